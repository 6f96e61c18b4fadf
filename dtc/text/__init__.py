"""Raw text → spoken words → symbols → ids."""

from __future__ import annotations

from dtc.text.english import normalise
from dtc.text.symbols import TextConfig

__all__ = ["normalise", "spoken_words"]


def spoken_words(text: str, config: TextConfig) -> str:
    """A written text as it is spoken, by the normaliser that the project asks for; single spaces either way."""
    return normalise(text) if config.normaliser == "english" else " ".join(text.split())
