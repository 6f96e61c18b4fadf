"""Where a voice comes from. One file a corpus; all are kept in LJSpeech's layout."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field, StringConstraints

from dtc.config import Section
from dtc.errors import InputError

EMBEDDED = "embedded:"
FOLDER = Path(__file__).parent


class CorpusConfig(Section):
    """The recordings and where to get them."""

    name: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]+$")]
    source: str  # embedded:NAME, a URL, the path of an archive, or the path of a folder
    md5: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")] | None = Field()  # null: taken as it comes


def embedded_archive(name: str) -> Path:
    """The archive of a corpus that ships with the toolkit, such as numbers-1.0."""
    return _shipped(f"{name}.tar")


def find_grammar(grammar: str) -> Path:
    """A JSGF grammar: a path, or the name of one that ships with the toolkit, such as numbers."""
    path = Path(grammar) if Path(grammar).suffix else _shipped(f"{grammar}.jsgf")
    if not path.is_file():
        raise InputError(path, "no such file", "a JSGF grammar, or the name of one that ships with dtc")
    return path


def _shipped(file: str) -> Path:
    path = FOLDER / file
    if not path.is_file():
        known = sorted(other.stem for other in FOLDER.glob(f"*{path.suffix}"))
        raise InputError(file, "does not ship with dtc", f"one of {', '.join(known)}")
    return path
