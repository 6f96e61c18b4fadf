"""Where a voice comes from, and how its texts and clips are listed: one file a layout."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import StringConstraints

from dtc.config import Section
from dtc.errors import InputError

EMBEDDED = "embedded:"
CONVERTED = "tensor_mel"  # the format of what `dtc convert` wrote
FOLDER = Path(__file__).parent

Md5 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Format = Literal["auto", "ljspeech", "filelist", "jsonl", "tensor_mel"]


class CorpusConfig(Section):
    """The recordings and where to get them."""

    name: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]+$")]
    source: str  # embedded:NAME, a URL, the path of an archive, or the path of a folder
    mirrors: tuple[str, ...]  # further URLs of the same file, tried in turn
    md5: Md5 | None  # of the archive; null: taken as it comes
    sha256: Sha256 | None
    format: Format  # how its texts and clips are listed; auto: as its files say. tensor_mel: what `dtc convert` wrote
    checksums: dict[str, Md5]  # of a converted set's files


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
