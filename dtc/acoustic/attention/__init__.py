"""Attentions, by the name that `acoustic.attention.model` gives. A new attention is one file and one line here.

`location_sensitive` compares the decoder's state with the text, so it may move to any place of the text. `gmm` and
`dynamic_convolution` depend on their last place instead, and only move forward. They therefore work with texts that are
longer than those of the training.
"""

from __future__ import annotations

from typing import Annotated

from dtc.acoustic.attention.configs import AttentionSection
from dtc.registry import Part, Registry

ATTENTIONS: Registry[type] = Registry(
    "acoustic.attention.model",
    {
        "location_sensitive": Part(
            "dtc.acoustic.attention.location_sensitive:LocationSensitiveAttention",
            "dtc.acoustic.attention.configs:LocationSensitiveConfig",
        ),
        "gmm": Part("dtc.acoustic.attention.gmm:GMMAttention", "dtc.acoustic.attention.configs:GMMConfig"),
        "dynamic_convolution": Part(
            "dtc.acoustic.attention.dynamic_convolution:DynamicConvolutionAttention",
            "dtc.acoustic.attention.configs:DynamicConvolutionConfig",
        ),
    },
)
AttentionConfig = Annotated[AttentionSection, ATTENTIONS]
