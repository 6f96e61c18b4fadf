"""`fit_mel`: it reduces the error of the mel, keeps a waveform that has the mel, and gives finite samples."""

from __future__ import annotations

import math

import torch

from dtc.audio import log_mel
from dtc.audio_config import AudioConfig
from dtc.vocoder.mel_fitting import fit_mel

AUDIO = AudioConfig(
    sampling_rate=16_000,
    filter_length=256,
    hop_length=64,
    win_length=256,
    n_mel_channels=20,
    mel_fmin=0.0,
    mel_fmax=8_000.0,
)
TIME_S = torch.arange(64 * 64) / AUDIO.sampling_rate
NOISE = 0.1 * torch.randn(1, 64 * 64, generator=torch.Generator().manual_seed(0))


def mel_of(wave: torch.Tensor) -> torch.Tensor:
    return log_mel(wave, AUDIO)[..., :-1]


def test_every_iteration_reduces_the_error_of_the_mel() -> None:
    """Noise is given the mel of a tone that becomes louder."""
    mel = mel_of(torch.sin(2 * math.pi * 1000.0 * TIME_S)[None] * torch.linspace(0.05, 1.0, len(TIME_S)))
    errors = [
        (mel_of(fit_mel(NOISE, mel, AUDIO, iterations)) - mel).abs().mean().item() for iterations in (0, 1, 2, 4, 8, 16)
    ]
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 0.15 * errors[0]


def test_a_waveform_that_has_the_mel_is_not_changed() -> None:
    """Also at its ends, where the mel depends on the reflection of the clip."""
    for wave in (torch.sin(2 * math.pi * 440.0 * TIME_S)[None], NOISE):
        torch.testing.assert_close(fit_mel(wave, mel_of(wave), AUDIO, 12), wave, atol=2e-5, rtol=0)


def test_no_iterations_and_too_short_waveforms_change_nothing() -> None:
    mel = torch.zeros(1, 20, 64)
    assert torch.equal(fit_mel(NOISE, mel, AUDIO, 0), NOISE)
    assert torch.equal(fit_mel(NOISE[:, :128], mel[..., :2], AUDIO, 12), NOISE[:, :128])
    assert not torch.equal(fit_mel(NOISE[:, :192], mel[..., :3], AUDIO, 12), NOISE[:, :192])


def test_impossible_mels_give_finite_samples() -> None:
    for mel in (
        torch.full((1, 20, 64), 80.0),
        torch.full((1, 20, 64), -300.0),
        torch.linspace(-40.0, 40.0, 20 * 64).view(1, 20, 64),
    ):
        assert torch.isfinite(fit_mel(NOISE, mel, AUDIO, 64)).all()
    silence = torch.zeros_like(NOISE)
    assert torch.equal(fit_mel(silence, torch.zeros(1, 20, 64), AUDIO, 12), silence)
