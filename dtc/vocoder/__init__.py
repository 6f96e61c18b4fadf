"""Vocoders: natural-log mel → waveform.

A new vocoder is one file with its class, a subclass of `dtc.vocoder.base.Vocoder`, one section in configs.py and one
line in VOCODERS. This module does not import torch, so that params.yaml is read quickly; `dtc.vocoder.base` builds and
loads vocoders.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

from dtc.registry import Part, Registry
from dtc.vocoder.configs import GriffinLimConfig, VocoderSection, VocosConfig, WaveGlowConfig

if TYPE_CHECKING:
    from dtc.vocoder.base import Vocoder

VOCODERS: Registry[Callable[..., Vocoder]] = Registry(
    "vocoder.model",
    {
        "griffin_lim": Part("dtc.vocoder.griffin_lim:GriffinLim", GriffinLimConfig),
        "vocos": Part("dtc.vocoder.vocos:Vocos", VocosConfig),
        "waveglow": Part("dtc.vocoder.waveglow:WaveGlow", WaveGlowConfig),
    },
)
VocoderConfig = Annotated[VocoderSection, VOCODERS]
