"""NVIDIA's published weights in our models: a state_dict in, a model that speaks out."""

from __future__ import annotations

from dtc.compat.nvidia_tacotron2 import tacotron2_from_state_dict
from dtc.compat.nvidia_waveglow import waveglow_from_state_dict

__all__ = ["tacotron2_from_state_dict", "waveglow_from_state_dict"]
