"""The speech library: acoustic models, vocoders, training, evaluation, and voices.

>>> from dtc import Voice
>>> Voice.load("models").speak("Hello!").save("hello.wav")  # doctest: +SKIP

It knows no command line, no DVC and no folder layout of a project. Importing it does not import torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dtc.voice import Voice as Voice

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """Import `Voice`, and with it torch, at its first use."""
    if name == "Voice":
        return import_module("dtc.voice").Voice
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
