"""What a vocoder is taught by without a discriminator: spectra at several resolutions, and the mel itself."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from dtc.audio import AudioConfig, log_mel
from dtc.vocoder.configs import SpectralLossConfig

SMALLEST_MAGNITUDE = 1e-4  # keeps the logarithm's gradient finite in silence


def spectral_loss(
    predicted: Float[Tensor, "batch samples"],
    target: Float[Tensor, "batch samples"],
    config: SpectralLossConfig,
    audio: AudioConfig,
) -> dict[str, Float[Tensor, ""]]:
    """Weighted terms, `loss` their sum.

    convergence = ‖|P| - |T|‖ / ‖|T|‖ (Frobenius), log_magnitude = mean |ln|P| - ln|T||, both averaged over the FFT
    sizes; mel = mean absolute error of log-mels. Source: Yamamoto et al. 2020 (arXiv:1910.11480), section 2.2.
    """
    convergence, log_magnitude = [], []
    for size in config.fft_sizes:
        p, t = _magnitude(predicted, size), _magnitude(target, size)
        convergence.append(torch.linalg.norm(p - t) / torch.linalg.norm(t).clamp(min=SMALLEST_MAGNITUDE))
        log_magnitude.append((p.log() - t.log()).abs().mean())
    terms = {
        "convergence": config.convergence_weight * torch.stack(convergence).mean(),
        "log_magnitude": config.log_magnitude_weight * torch.stack(log_magnitude).mean(),
        "mel": config.mel_weight * (log_mel(predicted, audio) - log_mel(target, audio)).abs().mean(),
    }
    return {"loss": torch.stack(list(terms.values())).sum(), **terms}


def _magnitude(wave: Float[Tensor, "batch samples"], size: int) -> Float[Tensor, "batch bins frames"]:
    window = torch.hann_window(size, device=wave.device)
    spectrum = torch.stft(wave, size, size // 4, size, window, return_complex=True)
    # Not .abs(): its gradient at 0 is undefined, and digital silence is exactly 0.
    return (spectrum.real.square() + spectrum.imag.square()).clamp(min=SMALLEST_MAGNITUDE**2).sqrt()
