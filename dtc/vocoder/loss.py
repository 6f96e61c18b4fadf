"""The losses of a vocoder without discriminators: spectra at several resolutions, and the mel."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from dtc import whole_batch
from dtc.audio import StftSizes, log_mel, stft_magnitude
from dtc.audio_config import AudioConfig
from dtc.batch import Losses, with_total
from dtc.vocoder.configs import SpectralLossConfig

SMALLEST_MAGNITUDE = 1e-4  # keeps the gradient of the logarithm finite in silence


def spectral_loss(
    predicted: Float[Tensor, "batch samples"],
    target: Float[Tensor, "batch samples"],
    config: SpectralLossConfig,
    audio: AudioConfig,
) -> Losses:
    """Return the weighted terms of the loss, and their sum as `loss`.

    convergence = ‖|P| - |T|‖ / ‖|T|‖ (Frobenius norms) and log_magnitude = mean |ln|P| - ln|T||, both averaged over the
    FFT sizes; mel = mean absolute error of the log-mels. Source: Yamamoto et al. 2020 (arXiv:1910.11480), section 2.2.
    """
    convergence, log_magnitude = [], []
    for size in config.fft_sizes:
        sizes = StftSizes(size, size // 4, size)
        p, t = (stft_magnitude(wave, sizes, SMALLEST_MAGNITUDE**2) for wave in (predicted, target))
        convergence.append(whole_batch.norm(p - t) / whole_batch.norm(t).clamp(min=SMALLEST_MAGNITUDE))
        log_magnitude.append(whole_batch.mean((p.log() - t.log()).abs()))
    return with_total(
        {
            "convergence": config.convergence_weight * torch.stack(convergence).mean(),
            "log_magnitude": config.log_magnitude_weight * torch.stack(log_magnitude).mean(),
            "mel": config.mel_weight * whole_batch.mean((log_mel(predicted, audio) - log_mel(target, audio)).abs()),
        }
    )
