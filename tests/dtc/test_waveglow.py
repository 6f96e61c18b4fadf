"""WaveGlow: the numbers of NVIDIA's code, analysis and its inverse, synthesis, denoiser."""

import copy
import json
import math
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.torch import load_file
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from dtc.audio import MelStatistics, stft_magnitude
from dtc.config import parse_section
from dtc.seeding import seed_all
from dtc.training.optim import AdamConfig, build_optimizer
from dtc.vocoder import VOCODERS
from dtc.vocoder.configs import WaveGlowConfig
from dtc.vocoder.waveglow import BIAS_FRAMES, WaveGlow, deemphasised, emphasised
from tests.dtc.tiny_waveglow import (
    AUDIO,
    CONFIG,
    PUBLISHED,
    batch_of,
    mel_of,
    noise,
    waveglow,
    waveglow_from_state_dict,
)

GOLDEN = Path(__file__).parents[3] / "shared/golden/nvidia_waveglow_small.safetensors"
needs_golden = pytest.mark.skipif(not GOLDEN.is_file(), reason="../shared is not there: golden values of NVIDIA's code")
TOLERANCE = 1e-4  # float32, another order of summation; 2e-7 is seen in waveforms and noise
LOG_DET_TOLERANCE = 1e-6  # of one matrix; the sums count it 1,280 times

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
    torch.testing.assert_close(log_det / each, tensors["out.log_det_w"] / each, atol=LOG_DET_TOLERANCE, rtol=0)
    likelihood = z.square().sum() / 2 - log_scale.sum() - log_det.sum()
    torch.testing.assert_close(likelihood / z.numel(), tensors["out.loss"][0], atol=TOLERANCE, rtol=0)


@needs_golden
def test_audio_without_noise_equals_nvidias(golden: tuple[dict[str, Tensor], WaveGlow]) -> None:
    tensors, model = golden
    found = model.infer(tensors["in.mel"], sigma=0.0, seed=1)
    torch.testing.assert_close(found, tensors["infer.sigma0_audio"], atol=TOLERANCE, rtol=0)


@needs_golden
def test_audio_from_nvidias_noise_equals_nvidias(golden: tuple[dict[str, Tensor], WaveGlow]) -> None:
    tensors, model = golden
    with torch.no_grad():
        found = model.wave_of(tensors["in.mel"], tensors["out.z"])
    torch.testing.assert_close(found, tensors["in.audio"], atol=TOLERANCE, rtol=0)


def test_parameters_of_the_published_size() -> None:
    audio = AUDIO.model_copy(
        update={"n_mel_channels": 80, "filter_length": 1024, "win_length": 1024, "hop_length": 256}
    )
    with torch.device("meta"):
        model = WaveGlow(parse_section(PUBLISHED, WaveGlowConfig, "vocoder"), audio, MelStatistics.neutral(80))
    sizes = {name: parameter.numel() for name, parameter in model.named_parameters()}
    assert sum(size for name, size in sizes.items() if not name.endswith("weight_g")) == 87_731_816  # as it speaks
    assert sum(sizes.values()) == 87_879_272  # as it is trained: each row's size is a number more
    assert [len(flow.mixing.weight) for flow in model.flows] == [8, 8, 8, 8, 6, 6, 6, 6, 4, 4, 4, 4]


# Flows


@settings(max_examples=25)
@given(
    flows=st.integers(1, 5),
    group=st.sampled_from([2, 4, 8, 16]),
    every=st.integers(1, 4),
    kernel=st.sampled_from([1, 3]),
    layers=st.integers(1, 3),
    frames=st.integers(1, 9),
    clips=st.integers(1, 3),
    seed=st.integers(0, 99),
    conditioning=st.sampled_from(["upsampled", "interpolated"]),
    pre_emphasis=st.sampled_from([0.0, 0.5, 0.97]),
)
def test_synthesis_inverts_analysis(
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
        num_flows=flows,
        group_size=group,
        early_every=every,
        wavenet=wavenet,
        conditioning=conditioning,
        pre_emphasis=pre_emphasis,
    )
    mel = mel_of(frames, clips)
    wave = 0.3 * torch.randn(clips, frames * 16, generator=torch.Generator().manual_seed(seed))
    with torch.no_grad():
        z, _, _ = model.noise_of(mel, wave)
        assert z.shape == (clips, group, frames * 16 // group)
        torch.testing.assert_close(model.wave_of(mel, z), wave, atol=TOLERANCE, rtol=0)


@pytest.mark.parametrize("pre_emphasis", [0.0, 0.97])
def test_the_log_determinant_is_that_of_the_jacobian(pre_emphasis: float) -> None:
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


def test_an_interpolated_mel_is_normalised() -> None:
    config = parse_section(CONFIG | {"conditioning": "interpolated"}, WaveGlowConfig, "vocoder")
    mean, deviation = torch.arange(5.0), torch.arange(1.0, 6.0)
    seed_all("weights")
    scaled = VOCODERS.build(config, AUDIO, MelStatistics(mean, deviation)).eval()
    plain = WaveGlow(config, AUDIO, MelStatistics.neutral(5)).eval()
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
        model = WaveGlow(config, audio, MelStatistics.neutral(80))
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            model.noise_of(torch.zeros(1, 80, 4), torch.zeros(1, 1024))
        operations.append(counter.get_total_flops())
    assert operations[1] / operations[0] == pytest.approx(0.6, abs=0.02)


# Synthesis


def test_equal_seeds_give_equal_audio() -> None:
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


def test_a_tensor_that_is_not_a_mel_of_the_model_is_refused() -> None:
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


def test_cached_values_follow_new_weights() -> None:
    """Also if an optimizer does not count the versions of the weights."""
    model, mel = waveglow(denoiser_strength=0.1), mel_of(10)
    optimizer = build_optimizer(
        model.parameters(),
        AdamConfig(type="adamw", learning_rate=0.01, betas=(0.9, 0.99), eps=1e-8, weight_decay=0, decays="all"),
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
    model.training_loss(batch_of(noise(400)), 0)["loss"].backward()  # values cached in inference mode are not used
    assert model.flows[0].network.start.weight_g.grad is not None


def test_the_denoiser_subtracts_the_bias_of_the_model() -> None:
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
