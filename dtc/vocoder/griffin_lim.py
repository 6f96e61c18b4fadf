"""Griffin-Lim, the vocoder without weights: it finds phases by iteration. It is the baseline for the trained ones."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

from dtc.audio import griffin_lim, magnitude_from_mel, require_mel
from dtc.vocoder.base import Vocoder
from dtc.vocoder.configs import GriffinLimConfig


class GriffinLim(Vocoder):
    """Converts a mel to magnitudes by the pseudo-inverse of the filters, and those to a waveform."""

    config: GriffinLimConfig

    def forward(self, mel: Float[Tensor, "batch mels frames"]) -> Float[Tensor, "batch samples"]:
        """Return waveforms of natural-log mels; samples = frames * hop_length. Raises ValueError as `require_mel`."""
        require_mel(mel, self.audio)
        magnitude = magnitude_from_mel(mel, self.audio)
        return griffin_lim(magnitude, self.audio, self.config.iterations, self.config.momentum)
