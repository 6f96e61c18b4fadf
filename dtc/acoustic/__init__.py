"""Text → mel. A further model is one file beside tacotron2.py and one line here."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

from dtc.acoustic.tacotron2 import Tacotron2, Tacotron2Config

AcousticConfig = Tacotron2Config


def build_acoustic(
    config: AcousticConfig, mel_mean: Float[Tensor, " mels"], mel_deviation: Float[Tensor, " mels"]
) -> Tacotron2:
    """The model that `acoustic.model` names, with random weights."""
    return Tacotron2(config, mel_mean, mel_deviation)
