"""Written text → spoken words → symbols → ids."""

from __future__ import annotations

from dtc.text.characters import html_entities
from dtc.text.english import normalise
from dtc.text.symbols import TextConfig

__all__ = ["html_entities", "normalise", "spoken_words"]


def spoken_words(text: str, config: TextConfig) -> str:
    """Return a written text as it is spoken, by the normaliser that `config` names; single spaces either way."""
    return normalise(text) if config.normaliser == "english" else " ".join(text.split())
