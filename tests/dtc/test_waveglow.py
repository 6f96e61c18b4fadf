"""WaveGlow: NVIDIA's numbers, an exact inverse, audio that depends on the mel alone, a loss that is its parts."""

import copy
import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm
from torch.utils.flop_counter import FlopCounterMode

from dtc.audio import AudioConfig, log_mel, stft_magnitude
from dtc.batch import Batch, Clip, collate
from dtc.compat.nvidia_waveglow import import_waveglow
from dtc.config import parse_section
from dtc.errors import InputError
from dtc.seeding import seed_all
from dtc.training.loop import losses_of
from dtc.training.optim import AdamWConfig, build_optimizer
from dtc.vocoder.base import build_vocoder
from dtc.vocoder.configs import WaveGlowConfig, WaveNetConfig
from dtc.vocoder.waveglow import BIAS_FRAMES, WaveGlow, deemphasised, emphasised
from dtc.vocoder.wavenet import Conditioning, NormedConvolution, WaveNet, interpolated

GOLDEN = Path(__file__).parents[3] / "shared/golden/nvidia_waveglow_small.safetensors"
needs_golden = pytest.mark.skipif(not GOLDEN.is_file(), reason="../shared is not there: golden values of NVIDIA's code")
TOLERANCE = 1e-4  # float32, another order of summation; 2e-7 is seen in waveforms and noise
LOG_DET_TOLERANCE = 1e-6  # of one matrix; the sums count it 1,280 times

AUDIO = AudioConfig(
    sampling_rate=16000, filter_length=64, hop_length=16, win_length=64, n_mel_channels=5, mel_fmin=0, mel_fmax=8000
)
# PyTorch's counter passes over the products that add to what is there.
IN_PLACE = {torch.ops.aten.addmm_: lambda sums, left, right, **options: 2 * left[0] * left[1] * right[1]}
CONFIG: dict[str, Any] = {
    "model": "waveglow", "num_flows": 4, "group_size": 8, "early_every": 2, "early_size": 2, "conditioning": "upsampled", "pre_emphasis": 0.0,
    "wavenet": {"num_layers": 2, "num_channels": 8, "kernel_size": 3}, "train_on": "recorded", "attenuation_db": 0.0, "segment_frames": 12, "sigma": 0.7,
    "infer_sigma": 0.6, "denoiser_strength": 0.0,
}  # fmt: skip
PUBLISHED = CONFIG | {
    "num_flows": 12, "early_every": 4, "wavenet": {"num_layers": 8, "num_channels": 256, "kernel_size": 3}
}  # fmt: skip


def waveglow_from_state_dict(state_dict: dict[str, Tensor], config: dict[str, Any]) -> WaveGlow:
    """NVIDIA's weights in our model, in evaluation mode."""
    imported = import_waveglow(state_dict, config, "state_dict")
    bands = imported.audio.n_mel_channels
    model = WaveGlow(imported.config, imported.audio, torch.zeros(bands), torch.ones(bands))
    model.load_state_dict(imported.weights)
    return model.eval()


def waveglow(**edits: Any) -> WaveGlow:
    """A small one whose last layers, zero at first, say something: its noise is no mere rotation of the audio."""
    seed_all("weights")
    config = parse_section(CONFIG | edits, WaveGlowConfig, "vocoder")
    model = build_vocoder(config, AUDIO, torch.zeros(5), torch.ones(5))
    assert isinstance(model, WaveGlow)
    for name, parameter in model.named_parameters():
        if ".end." in name:
            nn.init.normal_(parameter, std=0.1)
    return model.eval()


def mel_of(frames: int, clips: int = 1) -> Tensor:
    return torch.randn(clips, 5, frames, generator=torch.Generator().manual_seed(frames)) - 5.0


def batch_of(*waves: Tensor) -> Batch:
    return collate(
        [Clip(f"{n}", "", "", torch.tensor([1]), log_mel(w[None], AUDIO)[0], w) for n, w in enumerate(waves)]
    )


def noise(samples: int) -> Tensor:
    return 0.1 * torch.randn(samples, generator=torch.Generator().manual_seed(samples))


# Parity with NVIDIA's code


@pytest.fixture(scope="module")
def golden() -> tuple[dict[str, Tensor], WaveGlow]:
    """Tensors of the golden file, and its model."""
    tensors = load_file(GOLDEN)
    with safe_open(GOLDEN, "pt") as file:
        config = json.loads(file.metadata()["config"])
    theirs = {name.removeprefix("state_dict."): value for name, value in tensors.items() if name.startswith("state_")}
    return tensors, waveglow_from_state_dict(theirs, config)


@needs_golden
def test_noise_and_its_density_equal_nvidias(golden: tuple[dict[str, Tensor], WaveGlow]) -> None:
    tensors, model = golden
    with torch.no_grad():
        z, log_scale, log_det = model.noise_of(tensors["in.mel"], tensors["in.audio"])
    torch.testing.assert_close(z, tensors["out.z"], atol=TOLERANCE, rtol=0)
    torch.testing.assert_close(log_scale, tensors["out.log_s_sum"], atol=TOLERANCE, rtol=0)
    clips, _, positions = tensors["out.z"].shape
    each = clips * positions
    torch.testing.assert_close(
        log_det / each, tensors["out.log_det_w"] / each, atol=LOG_DET_TOLERANCE, rtol=0
    )  # fmt: skip
    likelihood = z.square().sum() / 2 - log_scale.sum() - log_det.sum()
    torch.testing.assert_close(likelihood / z.numel(), tensors["out.loss"][0], atol=TOLERANCE, rtol=0)


@needs_golden
def test_audio_without_noise_equals_nvidias(golden: tuple[dict[str, Tensor], WaveGlow]) -> None:
    tensors, model = golden
    found = model.infer(tensors["in.mel"], sigma=0.0, seed=1)
    torch.testing.assert_close(found, tensors["infer.sigma0_audio"], atol=TOLERANCE, rtol=0)


@needs_golden
def test_nvidias_noise_is_nvidias_audio(golden: tuple[dict[str, Tensor], WaveGlow]) -> None:
    tensors, model = golden
    with torch.no_grad():
        found = model.wave_of(tensors["in.mel"], tensors["out.z"])
    torch.testing.assert_close(found, tensors["in.audio"], atol=TOLERANCE, rtol=0)


def test_parameters_of_the_published_size() -> None:
    audio = AUDIO.model_copy(
        update={"n_mel_channels": 80, "filter_length": 1024, "win_length": 1024, "hop_length": 256}
    )
    with torch.device("meta"):
        model = WaveGlow(parse_section(PUBLISHED, WaveGlowConfig, "vocoder"), audio, torch.zeros(80), torch.ones(80))
    sizes = {name: parameter.numel() for name, parameter in model.named_parameters()}
    assert sum(size for name, size in sizes.items() if not name.endswith("weight_g")) == 87_731_816  # as it speaks
    assert sum(sizes.values()) == 87_879_272  # as it is trained: each row's size is a number more
    assert [len(flow.mixing.weight) for flow in model.flows] == [8, 8, 8, 8, 6, 6, 6, 6, 4, 4, 4, 4]


# Flows


@settings(max_examples=25)
@given(
    flows=st.integers(1, 5), group=st.sampled_from([2, 4, 8, 16]), every=st.integers(1, 4), kernel=st.sampled_from([1, 3]),
    layers=st.integers(1, 3), frames=st.integers(1, 9), clips=st.integers(1, 3), seed=st.integers(0, 99),
    conditioning=st.sampled_from(["upsampled", "interpolated"]), pre_emphasis=st.sampled_from([0.0, 0.5, 0.97]),
)  # fmt: skip
def test_noise_becomes_the_audio_that_it_was(
    flows: int,
    group: int,
    every: int,
    kernel: int,
    layers: int,
    frames: int,
    clips: int,
    seed: int,
    conditioning: str,
    pre_emphasis: float,
) -> None:
    flows = min(flows, every * (group // 2))
    wavenet = {"num_layers": layers, "num_channels": 4, "kernel_size": kernel}
    model = waveglow(
        num_flows=flows, group_size=group, early_every=every, wavenet=wavenet, conditioning=conditioning,
        pre_emphasis=pre_emphasis,
    )  # fmt: skip
    mel = mel_of(frames, clips)
    wave = 0.3 * torch.randn(clips, frames * 16, generator=torch.Generator().manual_seed(seed))
    with torch.no_grad():
        z, _, _ = model.noise_of(mel, wave)
        assert z.shape == (clips, group, frames * 16 // group)
        torch.testing.assert_close(model.wave_of(mel, z), wave, atol=TOLERANCE, rtol=0)


@pytest.mark.parametrize("pre_emphasis", [0.0, 0.97])
def test_the_density_is_that_of_the_map(pre_emphasis: float) -> None:
    """ln|det ∂z/∂wave| by brute force is the sum of the scales' and the mixing's logarithms."""
    model, mel, wave = waveglow(pre_emphasis=pre_emphasis), mel_of(2), noise(32)
    jacobian = torch.autograd.functional.jacobian(lambda row: model.noise_of(mel, row[None])[0].flatten(), wave)
    with torch.no_grad():
        _, log_scale, log_det = model.noise_of(mel, wave[None])
    assert log_scale.abs().sum() > 0.1
    expected = torch.linalg.slogdet(jacobian.double())[1].float()
    torch.testing.assert_close(log_scale.sum() + log_det.sum(), expected, atol=1e-4, rtol=0)


def test_pre_emphasis_is_a_filter_and_its_inverse() -> None:
    wave = noise(4000)[None]
    sharper = emphasised(wave, 0.97)
    torch.testing.assert_close(sharper[:, 1:], wave[:, 1:] - 0.97 * wave[:, :-1])
    assert sharper[0, 0] == wave[0, 0]
    torch.testing.assert_close(deemphasised(sharper, 0.97), wave, atol=1e-6, rtol=0)
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(deemphasised(sharper, 0.97), wave, atol=1e-6, rtol=0)


@settings(max_examples=25)
@given(
    layers=st.integers(1, 5), channels=st.sampled_from([2, 8]), frames=st.integers(1, 40), clips=st.integers(1, 2),
    conditioning=st.sampled_from(["upsampled", "interpolated"]),
)  # fmt: skip
def test_inference_on_a_cpu_equals_the_network(
    layers: int, channels: int, frames: int, clips: int, conditioning: str
) -> None:
    """Also for positions that are not a whole number of blocks, and for dilations wider than the clip."""
    wavenet = {"num_layers": layers, "num_channels": channels, "kernel_size": 3}
    model = waveglow(wavenet=wavenet, conditioning=conditioning)
    network, (mel, half) = model.flows[0].network, (mel_of(frames, clips), torch.randn(clips, 4, frames * 2))
    with torch.no_grad():
        condition = model._condition(mel)
        for found, expected in zip(network.infer(half, condition), network(half, condition), strict=True):
            torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


@pytest.mark.filterwarnings("ignore:TF32 acceleration")
def test_inference_on_a_cpu_does_not_need_onednn() -> None:
    model, mel = waveglow(conditioning="upsampled"), mel_of(12, 2)
    expected = model(mel)
    with torch.backends.mkldnn.flags(enabled=False):
        assert not torch.backends.mkldnn.enabled
        torch.testing.assert_close(model(mel), expected, atol=1e-5, rtol=1e-5)


def test_inference_on_a_cpu_saves_a_quarter_of_the_products() -> None:
    network = WaveNet(4, Conditioning(640, 1, 1), WaveNetConfig(num_layers=8, num_channels=256, kernel_size=3)).eval()
    half, condition = torch.randn(1, 4, 1024), torch.randn(1, 640, 1024)
    operations = []
    for compute in (network, network.infer):
        with FlopCounterMode(display=False, custom_mapping=IN_PLACE) as counter, torch.no_grad():
            compute(half, condition)
        operations.append(counter.get_total_flops())
    assert operations[1] / operations[0] == pytest.approx(0.77, abs=0.01)


def test_interpolation_between_frames_is_linear() -> None:
    frames = torch.tensor([[[1.0, 3.0, -1.0]]])
    between = interpolated(frames, 4)[0, 0]
    assert between.tolist() == pytest.approx([1.25, 1.75, 2.25, 2.75, 2.5, 1.5, 0.5, -0.5, -1.0, -1.0, -1.0, -1.0])


def test_an_interpolated_mel_is_normalised() -> None:
    config = parse_section(CONFIG | {"conditioning": "interpolated"}, WaveGlowConfig, "vocoder")
    mean, deviation = torch.arange(5.0), torch.arange(1.0, 6.0)
    seed_all("weights")
    scaled = build_vocoder(config, AUDIO, mean, deviation).eval()
    plain = WaveGlow(config, AUDIO, torch.zeros(5), torch.ones(5)).eval()
    plain.load_state_dict(
        scaled.state_dict() | {"normalise.mean": torch.zeros(5), "normalise.deviation": torch.ones(5)}
    )
    mel = mel_of(6)
    torch.testing.assert_close(scaled(mel * deviation[:, None] + mean[:, None]), plain(mel), atol=1e-5, rtol=0)


def test_interpolation_saves_two_fifths_of_the_published_size() -> None:
    audio = AUDIO.model_copy(
        update={"n_mel_channels": 80, "filter_length": 1024, "win_length": 1024, "hop_length": 256}
    )
    operations = []
    for conditioning in ("upsampled", "interpolated"):
        one_flow = PUBLISHED | {"conditioning": conditioning, "num_flows": 1}
        config = parse_section(one_flow, WaveGlowConfig, "vocoder")
        model = WaveGlow(config, audio, torch.zeros(80), torch.ones(80))
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            model.noise_of(torch.zeros(1, 80, 4), torch.zeros(1, 1024))
        operations.append(counter.get_total_flops())
    assert operations[1] / operations[0] == pytest.approx(0.6, abs=0.02)


def test_a_flow_starts_as_a_rotation() -> None:
    model = WaveGlow(parse_section(CONFIG, WaveGlowConfig, "vocoder"), AUDIO, torch.zeros(5), torch.ones(5))
    for flow in model.flows:
        matrix = flow.mixing.weight[..., 0].detach()
        torch.testing.assert_close(matrix @ matrix.T, torch.eye(len(matrix)), atol=1e-5, rtol=0)
        assert torch.linalg.det(matrix).item() == pytest.approx(1.0, abs=1e-5)
    z, log_scale, _ = model.noise_of(mel_of(4), noise(64)[None])
    assert torch.all(log_scale == 0.0)
    torch.testing.assert_close(z.square().sum(), noise(64).square().sum())


def test_a_reflection_has_a_logarithm_too() -> None:
    model = waveglow()
    with torch.no_grad():
        model.flows[0].mixing.weight[0] *= -2.0
        assert torch.isfinite(model.training_loss(batch_of(noise(400)), 0)["loss"])
        torch.testing.assert_close(model.flows[0].mixing.log_det().item(), math.log(2.0), atol=1e-5, rtol=0)


def test_weights_are_normalised_as_torch_does() -> None:
    layer, torchs = NormedConvolution(3, 4, 5, dilation=2), weight_norm(nn.Conv1d(3, 4, 5, padding=4, dilation=2))
    with torch.no_grad():
        layer.weight_g.mul_(2.0)
        torchs.bias.copy_(layer.bias)
        torchs.parametrizations.weight.original0.copy_(layer.weight_g)
        torchs.parametrizations.weight.original1.copy_(layer.weight_v)
        torch.testing.assert_close(layer(mel_of(7)[:, :3]), torchs(mel_of(7)[:, :3]))


# Speaking


def test_equal_seeds_are_equal_audio() -> None:
    model, mel = waveglow(), mel_of(10)
    assert torch.equal(model.infer(mel, 0.6, 1), model.infer(mel, 0.6, 1))
    assert not torch.allclose(model.infer(mel, 0.6, 1), model.infer(mel, 0.6, 2))
    assert torch.equal(model.infer(mel, 0.0, 1), model.infer(mel, 0.0, 2))
    before = torch.random.get_rng_state()
    assert torch.equal(model(mel), model(mel))
    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.parametrize("conditioning", ["upsampled", "interpolated"])
@pytest.mark.parametrize("strength", [0.0, 0.1])
def test_a_clip_does_not_depend_on_its_neighbours(strength: float, conditioning: str) -> None:
    model, mels = waveglow(denoiser_strength=strength, conditioning=conditioning), mel_of(10, 3)
    torch.testing.assert_close(model(mels)[1:2], model(mels[1:2]), atol=1e-5, rtol=0)
    torch.testing.assert_close(model(mels[:1].expand(2, -1, -1))[1:], model(mels[:1]), atol=1e-5, rtol=0)


@pytest.mark.parametrize("strength", [0.0, 0.1])
@pytest.mark.parametrize("frames", [1, 2, 3, 2000])
def test_samples_are_frames_times_hop(frames: int, strength: float) -> None:
    wave = waveglow(denoiser_strength=strength)(mel_of(frames))
    assert wave.shape == (1, frames * 16)
    assert torch.isfinite(wave).all()


def test_what_is_no_mel_of_the_model_is_refused() -> None:
    model = waveglow()
    with pytest.raises(ValueError, match=r"^mel of 6 bands and 3 frames, expected 5 and 1 or more$"):
        model(torch.zeros(1, 6, 3))
    with pytest.raises(ValueError, match=r"^mel of 5 bands and 0 frames, expected 5 and 1 or more$"):
        model(torch.zeros(1, 5, 0))
    for value in (math.nan, math.inf):
        with pytest.raises(ValueError, match=r"^mel with NaN or infinity in it, expected finite numbers$"):
            model(mel_of(3).index_fill(2, torch.tensor([1]), value))
    with pytest.raises(ValueError, match=r"^47 samples, expected 3 frames \* hop_length 16$"):
        model.noise_of(mel_of(3), torch.zeros(1, 47))


def test_new_weights_are_heard_at_once() -> None:
    """What is kept of the weights for speaking follows them, also where an optimizer does not count their versions."""
    model, mel = waveglow(denoiser_strength=0.1), mel_of(10)
    optimizer = build_optimizer(
        model, AdamWConfig(type="adamw", learning_rate=0.01, betas=(0.9, 0.99), eps=1e-8, weight_decay=0)
    )
    before = model(mel)
    model.train().training_loss(batch_of(noise(400)), 0)["loss"].backward()
    optimizer.step()
    after = model.eval()(mel)
    assert not torch.allclose(before, after)
    assert torch.equal(copy.deepcopy(model)(mel), after)
    fresh = waveglow(denoiser_strength=0.1)
    assert torch.equal(fresh(mel), before)
    fresh.load_state_dict(model.state_dict())
    assert torch.equal(fresh(mel), after)


def test_cached_weights_give_the_same_audio_as_those_in_training() -> None:
    model, mel = waveglow(), mel_of(10)
    torch.testing.assert_close(model(mel), model.train()(mel), atol=1e-6, rtol=0)
    with torch.inference_mode():
        spoken = model.eval()(mel)
    assert torch.equal(model(mel), spoken)
    model.training_loss(batch_of(noise(400)), 0)["loss"].backward()  # what was kept in inference mode is not in the way
    assert model.flows[0].network.start.weight_g.grad is not None


def test_the_denoiser_takes_the_models_own_sound_away() -> None:
    model = waveglow()
    own = model.infer(torch.zeros(1, 5, BIAS_FRAMES), 0.0, 0)
    bias = stft_magnitude(own, AUDIO)[0, :, 0]
    tone = torch.sin(torch.arange(1600) * 0.7)[None]
    before, after = (stft_magnitude(wave, AUDIO)[0, :, 50] for wave in (tone, model.denoise(tone, 0.5)))
    peak = int(before.argmax())
    assert bias[peak] > 0
    assert (before[peak] - after[peak]).item() == pytest.approx(0.5 * bias[peak].item(), rel=0.1)
    torch.testing.assert_close(model.denoise(tone, 0.0), tone, atol=1e-5, rtol=0)
    assert torch.all(model.denoise(torch.zeros(1, 160), 1.0) == 0.0)
    assert model.denoise(own, 1e6).abs().max() == 0.0


# Training


def test_the_loss_is_the_sum_of_its_parts() -> None:
    model, of_wider_noise, batch = waveglow(), waveglow(sigma=1.4), batch_of(noise(700), noise(400))
    seed_all(1)
    with torch.no_grad():
        losses = model.training_loss(batch, 0)
    assert list(losses) == ["loss", "z", "log_s", "log_det"]
    assert losses["loss"].item() == pytest.approx(sum(losses[name].item() for name in ("z", "log_s", "log_det")))
    seed_all(1)
    with torch.no_grad():
        wider = of_wider_noise.training_loss(batch, 0)
    assert wider["z"].item() == pytest.approx(losses["z"].item() / 4)


@pytest.mark.parametrize("samples", [40, 160, 700])
def test_clips_of_any_length_train(samples: int) -> None:
    """A segment is 192 samples."""
    losses = waveglow().train().training_loss(batch_of(noise(samples)), 0)
    losses["loss"].backward()
    assert torch.isfinite(losses["loss"])


def test_silence_trains() -> None:
    model = waveglow().train()
    losses = model.training_loss(batch_of(torch.zeros(400), torch.zeros(300)), 0)
    losses["loss"].backward()
    assert torch.isfinite(losses["loss"])
    assert all(torch.isfinite(parameter.grad).all() for parameter in model.parameters())


def test_it_trains_in_bfloat16_with_its_determinants_in_float32() -> None:
    model, batch, losses = waveglow().train(), batch_of(noise(700), noise(400)), []
    for precision in ("float32", "bfloat16"):
        seed_all("segments")
        losses.append(losses_of(model, batch, 0, precision))
    losses[1]["loss"].backward()
    assert all(value.dtype == torch.float32 for value in losses[1].values())
    assert torch.equal(losses[0]["log_det"], losses[1]["log_det"])
    assert 0 < (losses[1]["loss"] - losses[0]["loss"]).abs() < 0.02
    assert all(torch.isfinite(parameter.grad).all() for parameter in model.parameters())


def test_it_learns_one_clip() -> None:
    model, batch, history = waveglow().train(), batch_of(noise(700)), []
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    for step in range(40):
        seed_all(step)
        loss = model.training_loss(batch, 0)["loss"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        history.append(loss.item())
    assert sum(history[-5:]) / 5 < sum(history[:5]) / 5 - 0.2


# Sizes


@pytest.mark.parametrize(
    ("edits", "line"),
    [
        (
            {"early_every": 1, "num_flows": 5},
            "params.yaml: (the whole file): early_every and early_size leave the last flow 0 channels, "
            "expected 2 or more",
        ),
        ({"group_size": 7}, "params.yaml: group_size: found 7, expected a multiple of 2"),
        ({"early_size": 1}, "params.yaml: early_size: found 1, expected a multiple of 2"),
        ({"sigma": 0.0}, "params.yaml: sigma: found 0.0, expected greater than 0"),
    ],
)
def test_sizes_that_no_model_has_are_refused(edits: dict[str, Any], line: str) -> None:
    with pytest.raises(InputError) as refused:
        parse_section(CONFIG | edits, WaveGlowConfig, "params.yaml")
    assert str(refused.value).startswith(line)


def test_a_frame_is_a_whole_number_of_groups() -> None:
    with pytest.raises(InputError, match=r"^vocoder: group_size 12, expected a divisor of hop_length 16$"):
        waveglow(group_size=12)
