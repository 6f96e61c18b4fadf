"""Where in the text the decoder looks. `acoustic.attention.model` names one; a further one is a file and a line here.

`location_sensitive` also compares the decoder with the text, so it can find its place again, and lose it. The other two
never see the text: they move on from where they are, and read texts of any length as they read those of the training.
"""

from __future__ import annotations

from dtc.acoustic.attention.base import Attention, AttentionConfig, LocationConfig, Reading, State
from dtc.acoustic.attention.dynamic_convolution import DynamicConvolutionAttention
from dtc.acoustic.attention.gmm import GMMAttention
from dtc.acoustic.attention.location_sensitive import LocationSensitiveAttention

__all__ = ["ATTENTIONS", "Attention", "AttentionConfig", "LocationConfig", "Reading", "State"]

ATTENTIONS: dict[str, type[Attention]] = {
    "location_sensitive": LocationSensitiveAttention,
    "gmm": GMMAttention,
    "dynamic_convolution": DynamicConvolutionAttention,
}
