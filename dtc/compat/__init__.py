"""Formats of other projects, which `dtc import` reads and `dtc export` writes.

A new format is one file with a `FORMAT` (see dtc.compat.formats) and one line in FORMATS.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dtc.registry import Part, Registry

if TYPE_CHECKING:
    from dtc.compat.formats import Format

FORMATS: Registry[Format] = Registry(
    "format",
    {
        "nvidia-tacotron2": Part("dtc.compat.nvidia_tacotron2:FORMAT"),
        "nvidia-waveglow": Part("dtc.compat.nvidia_waveglow:FORMAT"),
        "onnx": Part("dtc.compat.onnx:FORMAT"),
        "onnx-voice": Part("dtc.compat.onnx_voice:FORMAT"),
        "piper": Part("dtc.compat.piper:FORMAT"),
        "sherpa": Part("dtc.compat.sherpa:FORMAT"),
    },
)
