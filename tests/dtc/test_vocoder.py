"""Vocoders: lengths, alignment with the mel, streaming, losses and discriminators."""

import math
import subprocess
import sys
from collections.abc import Iterator

import pytest
import torch

from dtc.audio import MelStatistics, log_mel
from dtc.audio_config import AudioConfig
from dtc.batch import Batch, Clip, collate
from dtc.seeding import seed_all
from dtc.training.task import losses_of
from dtc.vocoder import VOCODERS
from dtc.vocoder.adversarial import Adversarial
from dtc.vocoder.configs import (
    AdversarialConfig,
    DiscriminatorsConfig,
    GriffinLimConfig,
    SpectralLossConfig,
    VocosConfig,
)
from dtc.vocoder.griffin_lim import GriffinLim
from dtc.vocoder.loss import spectral_loss
from dtc.vocoder.vocos import Vocos

AUDIO = AudioConfig(
    sampling_rate=16000, filter_length=256, hop_length=64, win_length=256, n_mel_channels=20, mel_fmin=0, mel_fmax=8000
)
LOSS = SpectralLossConfig(fft_sizes=(128, 256, 512), convergence_weight=1.0, log_magnitude_weight=1.0, mel_weight=1.0)


def vocos() -> Vocos:
    seed_all("weights")
    config = VocosConfig(
        model="vocos",
        dim=32,
        intermediate_dim=64,
        num_layers=2,
        kernel_size=7,
        train_on="recorded",
        segment_frames=16,
        attenuation_db=0.0,
        mel_blur=0.5,
        loss=LOSS,
        adversarial=None,
    )
    built = VOCODERS.build(config, AUDIO, MelStatistics.neutral(20))
    assert isinstance(built, Vocos)
    return built


def tone(frequency_hz: float, samples: int) -> torch.Tensor:
    return 0.3 * torch.sin(2 * math.pi * frequency_hz * torch.arange(samples) / AUDIO.sampling_rate)


def clip(name: str, samples: int) -> Clip:
    wave = tone(440.0, samples) * torch.linspace(0.2, 1.0, samples)
    return Clip(name, "", "", torch.tensor([1]), log_mel(wave[None], AUDIO)[0], wave)


def vocoders() -> list[Vocos | GriffinLim]:
    return [
        vocos().eval(),
        GriffinLim(GriffinLimConfig(model="griffin_lim", train_on="recorded", iterations=2, momentum=0.9), AUDIO),
    ]


def test_params_of_vocoders_are_read_without_torch() -> None:
    program = "import sys, dtc.vocoder, dtc.audio_config; dtc.vocoder.VOCODERS.configs(); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


@pytest.mark.parametrize("frames", [1, 2, 3, 50, 20_000])
def test_samples_are_frames_times_hop(frames: int) -> None:
    mel = torch.randn(1, 20, frames)
    for model in vocoders():
        with torch.no_grad():
            wave = model(mel)
        assert wave.shape == (1, frames * 64)
        assert torch.isfinite(wave).all()


def test_a_tensor_that_is_not_a_mel_is_refused() -> None:
    for model in vocoders():
        with pytest.raises(ValueError, match=r"^mel of 21 bands and 3 frames, expected 20 and 1 or more$"):
            model(torch.zeros(1, 21, 3))
        with pytest.raises(ValueError, match=r"^mel of 20 bands and 0 frames, expected 20 and 1 or more$"):
            model(torch.zeros(1, 20, 0))
        with pytest.raises(ValueError, match=r"^mel with NaN or infinity in it, expected finite numbers$"):
            model(torch.full((1, 20, 3), math.nan))


def test_a_clip_does_not_depend_on_its_neighbours() -> None:
    model, mels = vocos().eval(), torch.randn(3, 20, 30)
    torch.testing.assert_close(model(mels)[1:2], model(mels[1:2]), atol=1e-6, rtol=0)


def test_frame_t_is_at_sample_t_times_hop() -> None:
    """Changing one frame of the mel changes the audio around its own place only."""
    model, mel = vocos().eval(), torch.zeros(1, 20, 60)
    changed = mel.clone()
    changed[..., 30] += 3.0
    difference = (model(changed) - model(mel))[0].abs()
    centre = (difference * torch.arange(60 * 64)).sum() / difference.sum()
    assert centre.item() == pytest.approx(30 * 64, abs=64)
    reach = 3 * 3 * 64 + 128  # three convolutions of 7 frames, half an FFT
    assert difference[: 30 * 64 - reach].max() == 0.0
    assert difference[30 * 64 + reach :].max() == 0.0


def test_vocos_trains_in_bfloat16() -> None:
    """Only the products: the inverse STFT has no half precision, and losses are float32."""
    model, losses = vocos(), []
    batch = collate([clip("a", 64 * 40), clip("b", 64 * 30)])
    for precision in ("fp32", "bf16"):
        seed_all("segments")
        losses.append(losses_of(model, batch, 0, precision))
    losses[1]["loss"].backward()
    assert all(value.dtype == torch.float32 for value in losses[1].values())
    assert 0 < (losses[1]["loss"] - losses[0]["loss"]).abs() < 0.02 * losses[0]["loss"]
    assert all(torch.isfinite(parameter.grad).all() for parameter in model.parameters())


@pytest.mark.parametrize("sizes", [[1] * 40, [40], [0, 3, 0, 17, 1, 19, 0], [39, 1], [1, 39], [2], [12, 12]])
def test_a_stream_equals_the_whole(sizes: list[int]) -> None:
    model, frames = vocos().eval(), sum(sizes)
    mel = torch.randn(20, frames, generator=torch.Generator().manual_seed(0))
    arrived, waiting, parts = 0, [], []

    def chunks() -> Iterator[torch.Tensor]:
        nonlocal arrived
        for chunk in mel.split(sizes, dim=1):
            arrived += chunk.shape[1]
            yield chunk

    for wave in model.stream(chunks()):
        parts.append(wave)
        waiting.append(arrived - sum(map(len, parts)) // 64)
    torch.testing.assert_close(torch.cat(parts), model(mel[None])[0], atol=1e-5, rtol=0)
    assert model.look_ahead_frames == 3 * 3 + 2
    assert waiting[-1] == 0
    assert all(frames == model.look_ahead_frames for frames in waiting[:-1]), "frames are converted as soon as possible"


def test_a_stream_without_chunks_yields_nothing() -> None:
    assert list(vocos().eval().stream([])) == []


def test_griffin_lim_finds_the_frequency_of_a_tone() -> None:
    wave = tone(1000.0, 64 * 64)
    rebuilt = GriffinLim(
        GriffinLimConfig(model="griffin_lim", train_on="recorded", iterations=30, momentum=0.99), AUDIO
    )(log_mel(wave[None], AUDIO))[0]
    peak_hz = torch.fft.rfft(rebuilt).abs().argmax() * 16000 / len(rebuilt)
    assert peak_hz == pytest.approx(1000.0, abs=40.0)


def test_blur_changes_training_mels_only() -> None:
    model, mel = vocos(), torch.randn(4, 20, 16)
    seed_all(1)
    soft = model.train()._blur(mel)
    assert ((soft - mel).abs().amax(dim=(1, 2)) > 0.01).all()
    assert (soft.std(dim=(1, 2)) < mel.std(dim=(1, 2))).all()
    torch.testing.assert_close(model._blur(torch.full((1, 20, 16), -3.0)), torch.full((1, 20, 16), -3.0))
    assert torch.equal(model.eval()._blur(mel), mel)


def test_loss_is_zero_for_the_target_itself_and_has_a_gradient() -> None:
    target = tone(440.0, 2048)[None]
    assert spectral_loss(target, target, LOSS, AUDIO)["loss"].item() == 0.0
    silence = torch.zeros(1, 2048, requires_grad=True)
    spectral_loss(silence + 1e-4 * torch.randn(1, 2048), target, LOSS, AUDIO)["loss"].backward()
    assert torch.isfinite(silence.grad).all()
    assert silence.grad.abs().max() > 0


def test_loss_of_digital_silence_is_finite() -> None:
    silence = torch.zeros(1, 2048, requires_grad=True)
    losses = spectral_loss(silence, torch.zeros(1, 2048), LOSS, AUDIO)
    losses["loss"].backward()
    assert losses["loss"].item() == 0.0
    assert torch.isfinite(silence.grad).all()


def test_loss_terms_are_switched_off_by_zero() -> None:
    only_mel = LOSS.model_copy(update={"convergence_weight": 0.0, "log_magnitude_weight": 0.0})
    losses = spectral_loss(tone(440.0, 2048)[None], tone(900.0, 2048)[None], only_mel, AUDIO)
    assert losses["loss"].item() == losses["mel"].item() > 0


def test_vocos_learns_the_level_of_noise() -> None:
    swelling = torch.randn(64 * 60, generator=torch.Generator().manual_seed(0)) * torch.linspace(0.01, 0.3, 64 * 60)
    batch = collate([Clip("a", "", "", torch.tensor([1]), log_mel(swelling[None], AUDIO)[0], swelling)])
    model, history = vocos().train(), []
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    for step in range(100):
        seed_all(step)
        loss = model.training_loss(batch, 0)["loss"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        history.append(loss.item())
    assert sum(history[-20:]) < 0.6 * sum(history[:20])  # single steps vary: a quiet segment costs more


ADVERSARIAL = AdversarialConfig(
    start_step=2,
    adversarial_weight=1.0,
    feature_matching_weight=2.0,
    discriminators=DiscriminatorsConfig(
        periods=(2, 3), period_channels=(4, 8), fft_sizes=(64, 128), spectrum_channels=4
    ),
)


def adversarial() -> tuple[Adversarial, Batch]:
    seed_all("discriminators")
    return Adversarial(vocos(), ADVERSARIAL).train(), collate([clip("a", 64 * 40), clip("b", 64 * 30)])


def test_a_vocoder_is_trained_with_its_discriminators() -> None:
    config = vocos().config.model_copy(update={"adversarial": ADVERSARIAL})
    model = VOCODERS.build(config, AUDIO, MelStatistics.neutral(20))
    training = model.for_training()
    assert isinstance(training, Adversarial)
    assert training.model is model
    plain = vocos()
    assert plain.for_training() is plain


def test_discriminators_start_at_their_step_and_only_in_training() -> None:
    model, batch = adversarial()
    plain = {"loss", "convergence", "log_magnitude", "mel"}
    assert model.training_loss(batch, 1).keys() == plain
    assert model.adversary_loss() is None
    terms = model.training_loss(batch, 2)
    assert terms.keys() == plain | {"adversarial", "feature_matching"}
    torch.testing.assert_close(terms["loss"], sum(value for name, value in terms.items() if name != "loss"))
    assert model.adversary_loss() is not None
    assert model.eval().training_loss(batch, 2).keys() == plain
    assert model.adversary_loss() is None


def test_each_loss_gives_gradients_to_its_own_side_only() -> None:
    model, batch = adversarial()
    model.training_loss(batch, 2)["loss"].backward()
    assert all(torch.isfinite(value.grad).all() for value in model.model.parameters())
    assert all(value.grad is None for value in model.adversary.parameters())
    model.model.zero_grad(set_to_none=True)
    model.adversary_loss()["loss"].backward()
    assert all(value.grad is None for value in model.model.parameters())
    assert all(torch.isfinite(value.grad).all() for value in model.adversary.parameters())
    for discriminator in model.adversary.discriminators:
        assert any(value.grad.any() for value in discriminator.parameters())


def test_feature_matching_is_zero_for_the_recording_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    model, batch = adversarial()
    wave = batch.wave[:, : 64 * 16]
    monkeypatch.setattr(model.model, "generate_segments", lambda _: (wave, wave.clone().requires_grad_()))
    terms = model.training_loss(batch, 2)
    assert terms["feature_matching"] == 0.0
    assert terms["adversarial"] > 0.0


def test_discriminators_learn_to_separate_two_sounds() -> None:
    model, _ = adversarial()
    optimizer = torch.optim.Adam(model.adversary.parameters(), 0.01)
    recorded, generated = tone(440.0, 1024)[None], 0.3 * torch.rand(1, 1024)
    for _ in range(60):
        model._segments = recorded, generated
        optimizer.zero_grad()
        loss = model.adversary_loss()
        loss["loss"].backward()
        optimizer.step()
    assert loss["loss"] < 0.2  # 2 if all scores are 0
    assert all(each.scores.mean() > 0.5 for each in model.adversary(recorded))
    assert all(each.scores.mean() < -0.5 for each in model.adversary(generated))


@pytest.mark.parametrize("samples", [200, 257, 1000])
def test_discriminators_take_any_length(samples: int) -> None:
    model, _ = adversarial()
    for each in model.adversary(torch.rand(2, samples)):
        assert each.scores.shape[:2] == (2, 1)
        assert len(each.features) in (2, 25)  # layers; five bands of five


def test_adversarial_training_in_bfloat16() -> None:
    model, batch = adversarial()
    losses = losses_of(model, batch, 2, "bf16")
    losses["loss"].backward()
    assert all(torch.isfinite(value.grad).all() for value in model.model.parameters())
    assert losses["feature_matching"] > 0.0
