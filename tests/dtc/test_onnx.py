"""Vocoders as ONNX models: onnxruntime computes what torch computes, for any number of clips and frames."""

import numpy as np
import onnxruntime
import pytest
import torch

from dtc.audio import istft, stft
from dtc.audio_config import AudioConfig
from dtc.compat.onnx import onnx_model
from dtc.errors import InputError
from dtc.vocoder.configs import GriffinLimConfig
from dtc.vocoder.griffin_lim import GriffinLim
from dtc.vocoder.onnx_graph import InverseStft
from tests.dtc.test_vocoder import AUDIO, vocos
from tests.dtc.tiny_waveglow import mel_of, waveglow

TOLERANCE = 1e-5  # float32 in another order; 2e-7 is seen


def session(content: bytes) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def test_vocos() -> None:
    model = vocos().eval()
    exported = session(onnx_model(model.onnx_graph(), {}))
    assert [each.shape for each in exported.get_inputs()] == [["batch", 20, "frames"]]
    for clips, frames in ((1, 1), (1, 5), (2, 12), (3, 77)):
        mel = torch.randn(clips, 20, frames, generator=torch.Generator().manual_seed(frames))
        with torch.no_grad():
            expected = model(mel).numpy()
        (found,) = exported.run(["wave"], {"mel": mel.numpy()})
        np.testing.assert_allclose(found, expected, atol=TOLERANCE)


@pytest.mark.slow
@pytest.mark.parametrize("conditioning", ["upsampled", "interpolated"])
def test_waveglow(conditioning: str) -> None:
    model = waveglow(conditioning=conditioning)
    exported = session(onnx_model(model.onnx_graph(), {}))
    assert [each.shape for each in exported.get_inputs()] == [["batch", 5, "frames"], ["batch", 8, "positions"]]
    for clips, frames in ((1, 1), (2, 5), (1, 40)):
        mel = mel_of(frames, clips)
        noise = 0.6 * torch.randn(clips, 8, frames * 2, generator=torch.Generator().manual_seed(frames))
        with torch.no_grad():
            expected = model.wave_of(mel, noise).numpy()
        (found,) = exported.run(["wave"], {"mel": mel.numpy(), "noise": noise.numpy()})
        np.testing.assert_allclose(found, expected, atol=TOLERANCE)


@pytest.mark.parametrize("win_length", [64, 48])
def test_the_inverse_stft_is_that_of_dtc_audio(win_length: int) -> None:
    audio = AudioConfig(
        sampling_rate=16000,
        filter_length=64,
        hop_length=16,
        win_length=win_length,
        n_mel_channels=5,
        mel_fmin=0,
        mel_fmax=8000,
    )
    spectrum = stft(torch.randn(2, 640, generator=torch.Generator().manual_seed(0)), audio)
    expected = istft(spectrum, audio, 640)
    torch.testing.assert_close(
        InverseStft(audio)(spectrum.real, spectrum.imag)[:, :640], expected, atol=TOLERANCE, rtol=0
    )


def test_griffin_lim_is_refused() -> None:
    griffin_lim = GriffinLim(
        GriffinLimConfig(model="griffin_lim", train_on="recorded", iterations=2, momentum=0.9), AUDIO
    )
    with pytest.raises(InputError, match=r"^vocoder: griffin_lim has no network for ONNX, expected vocos or waveglow$"):
        griffin_lim.onnx_graph()
