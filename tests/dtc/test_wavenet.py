"""WaveGlow's flows and networks: the network for CPUs, weight normalisation, interpolation, mixing."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn.utils.parametrizations import weight_norm
from torch.utils.flop_counter import FlopCounterMode

from dtc import bfloat16
from dtc.audio import MelStatistics
from dtc.config import parse_section
from dtc.training.operations import UNCOUNTED
from dtc.vocoder.configs import WaveGlowConfig, WaveNetConfig
from dtc.vocoder.waveglow import WaveGlow
from dtc.vocoder.wavenet import Conditioning, NormedConvolution, WaveNet
from dtc.vocoder.wavenet_weights import interpolated
from tests.dtc.tiny_waveglow import AUDIO, CONFIG, batch_of, mel_of, noise, waveglow

BFLOAT16_ERROR = 0.02  # of the output in bfloat16, as a share of its norm; 0.006 was found at the most


@settings(max_examples=25)
@given(
    layers=st.integers(1, 5),
    channels=st.sampled_from([2, 8]),
    frames=st.integers(1, 40),
    clips=st.integers(1, 2),
    conditioning=st.sampled_from(["upsampled", "interpolated"]),
)
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


@pytest.mark.skipif(not bfloat16.is_supported(torch.device("cpu")), reason="oneDNN has no bfloat16 on this CPU")
@settings(max_examples=25)
@given(
    layers=st.integers(1, 5),
    kernel_size=st.sampled_from([3, 5]),
    frames=st.integers(1, 40),
    clips=st.integers(1, 2),
    conditioning=st.sampled_from(["upsampled", "interpolated"]),
)
def test_inference_in_bfloat16_on_a_cpu_is_near_float32(
    layers: int, kernel_size: int, frames: int, clips: int, conditioning: str
) -> None:
    """Also for dilations wider than the clip."""
    wavenet = {"num_layers": layers, "num_channels": 16, "kernel_size": kernel_size}
    model = waveglow(wavenet=wavenet, conditioning=conditioning)
    network, (mel, half) = model.flows[0].network, (mel_of(frames, clips), torch.randn(clips, 4, frames * 2))
    with torch.no_grad():
        condition = model._condition(mel)
        exact = torch.cat(network(half, condition), dim=1)
        with torch.autocast("cpu", torch.bfloat16):
            found = torch.cat(network.infer(half, condition), dim=1)
    assert found.dtype == torch.float32
    assert torch.dist(found, exact) < BFLOAT16_ERROR * exact.norm()


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
        with FlopCounterMode(display=False, custom_mapping=UNCOUNTED) as counter, torch.no_grad():
            compute(half, condition)
        operations.append(counter.get_total_flops())
    assert operations[1] / operations[0] == pytest.approx(0.77, abs=0.01)


def test_interpolation_between_frames_is_linear() -> None:
    frames = torch.tensor([[[1.0, 3.0, -1.0]]])
    between = interpolated(frames, 4)[0, 0]
    assert between.tolist() == pytest.approx([1.25, 1.75, 2.25, 2.75, 2.5, 1.5, 0.5, -0.5, -1.0, -1.0, -1.0, -1.0])


def test_weights_are_normalised_as_torch_does() -> None:
    layer, torchs = NormedConvolution(3, 4, 5, dilation=2), weight_norm(nn.Conv1d(3, 4, 5, padding=4, dilation=2))
    with torch.no_grad():
        layer.weight_g.mul_(2.0)
        torchs.bias.copy_(layer.bias)
        torchs.parametrizations.weight.original0.copy_(layer.weight_g)
        torchs.parametrizations.weight.original1.copy_(layer.weight_v)
        torch.testing.assert_close(layer(mel_of(7)[:, :3]), torchs(mel_of(7)[:, :3]))


def test_a_flow_starts_as_a_rotation() -> None:
    model = WaveGlow(parse_section(CONFIG, WaveGlowConfig, "vocoder"), AUDIO, MelStatistics.neutral(5))
    for flow in model.flows:
        matrix = flow.mixing.weight[..., 0].detach()
        torch.testing.assert_close(matrix @ matrix.T, torch.eye(len(matrix)), atol=1e-5, rtol=0)
        assert torch.linalg.det(matrix).item() == pytest.approx(1.0, abs=1e-5)
    z, log_scale, _ = model.noise_of(mel_of(4), noise(64)[None])
    assert torch.all(log_scale == 0.0)
    torch.testing.assert_close(z.square().sum(), noise(64).square().sum())


def test_the_determinant_of_a_reflection_has_a_logarithm() -> None:
    model = waveglow()
    with torch.no_grad():
        model.flows[0].mixing.weight[0] *= -2.0
        assert torch.isfinite(model.training_loss(batch_of(noise(400)), 0)["loss"])
        torch.testing.assert_close(model.flows[0].mixing.log_det().item(), math.log(2.0), atol=1e-5, rtol=0)
