"""Acoustic models (text → mel), by the name that `acoustic.model` gives. A new model is one file and one line here.

This module imports no torch, so that params.yaml is read quickly; `dtc.acoustic.base` builds and loads models.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

from dtc.acoustic.configs import AcousticSection
from dtc.registry import Part, Registry

if TYPE_CHECKING:
    from dtc.acoustic.base import AcousticModel

ACOUSTIC_MODELS: Registry[Callable[..., AcousticModel]] = Registry(
    "acoustic.model",
    {
        "tacotron2": Part("dtc.acoustic.tacotron2:Tacotron2", "dtc.acoustic.configs:Tacotron2Config"),
        "dtc": Part("dtc.acoustic.dtc:DTC", "dtc.acoustic.configs:DTCConfig"),
        "parallel": Part("dtc.acoustic.parallel:Parallel", "dtc.acoustic.configs:ParallelConfig"),
    },
)
AcousticConfig = Annotated[AcousticSection, ACOUSTIC_MODELS]
