"""Where a voice comes from, and how its texts and clips are listed: one file a layout."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from dtc.config import Name, Section, matching
from dtc.errors import InputError

EMBEDDED = "embedded:"
CONVERTED = "tensor_mel"  # the format of what `dtc convert` wrote
FOLDER = Path(__file__).parent / "numbers"

Md5 = Annotated[str, matching(r"[0-9a-f]{32}", "32 hexadecimal digits in small letters, as md5sum prints them")]
Sha256 = Annotated[str, matching(r"[0-9a-f]{64}", "64 hexadecimal digits in small letters, as sha256sum prints them")]
Format = Literal["auto", "ljspeech", "filelist", "jsonl", "tensor_mel"]


class CorpusConfig(Section):
    """The recordings and where to get them."""

    name: Name
    source: str  # embedded:NAME, a URL, the path of an archive, or the path of a folder
    mirrors: tuple[str, ...]  # further URLs of the same file, tried in turn
    md5: Md5 | None  # of the archive; null: taken as it comes
    sha256: Sha256 | None
    format: Format  # how its texts and clips are listed; auto: as its files say. tensor_mel: what `dtc convert` wrote
    checksums: dict[str, Md5]  # of a converted set's files


def embedded_archive(name: str) -> Path:
    """The archive of a corpus that ships with the toolkit, such as numbers-1.0."""
    return _shipped(name, ".tar", "corpus.source", EMBEDDED)


def find_grammar(grammar: str) -> Path:
    """A JSGF grammar: a path, or the name of one that ships with the toolkit, such as numbers."""
    path = Path(grammar) if Path(grammar).suffix else _shipped(grammar, ".jsgf", "evaluate.grammar", "")
    if not path.is_file():
        remedy = "or set evaluate.ear to none, which gives no word errors"
        raise InputError(
            "evaluate.grammar", f"{path}: no such file", "a JSGF grammar, or the name of one that ships", remedy
        )
    return path


def _shipped(name: str, suffix: str, key: str, prefix: str) -> Path:
    """The file `name` of this folder. `key` of params.yaml names it, behind a prefix."""
    path = FOLDER / f"{name}{suffix}"
    if not path.is_file():
        known = ", ".join(f"{prefix}{other.stem}" for other in sorted(FOLDER.glob(f"*{suffix}")))
        raise InputError(key, f"{prefix}{name} does not ship with dtc", known)
    return path
