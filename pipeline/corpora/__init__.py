"""Corpora: where the recordings come from, and the registry of the formats in which clips and texts are listed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator

from dtc.config import Name, Section
from dtc.errors import InputError
from dtc.files import local_path
from dtc.provenance import Checksums
from dtc.registry import Part, Registry
from pipeline.config import Md5, Sha256
from pipeline.corpora.base import ListedFormat, PreparedFormat

EMBEDDED = "embedded:"
FOLDER = Path(__file__).parent
AUTO = "auto"

# Each of these files holds a ListedFormat or a PreparedFormat, called FORMAT.
BUILT_IN = ("ljspeech", "jsonl", "filelist", "tensor_mel")
FORMATS: Registry[Any] = Registry("corpus.format", {name: Part(f"{__name__}.{name}:FORMAT") for name in BUILT_IN})


def listed_formats() -> dict[str, ListedFormat]:
    """Return name → format, of the formats of recordings: one of them is recognised where corpus.format is auto."""
    formats = {name: FORMATS.get(name) for name in FORMATS.names()}
    return {name: format for name, format in formats.items() if isinstance(format, ListedFormat)}


def prepared_format(name: str) -> PreparedFormat | None:
    """Return the format of this name where its corpora are prepared features, None where they are recordings."""
    format = None if name == AUTO else FORMATS.get(name)
    return None if isinstance(format, ListedFormat) else format


def _check_source(source: str) -> str:
    """Refuse what is neither a URL nor a path, before anything is done with it."""
    try:
        local_path(source)
    except (ValueError, RuntimeError) as error:  # half an address, the home of nobody
        raise ValueError(f"found {source!r}, expected a URL or a path ({error})") from None
    if "\0" in source:
        raise ValueError(f"found {source!r}, expected a URL or a path without a null character")
    return source


Source = Annotated[str, AfterValidator(_check_source)]
FormatName = Annotated[str, FORMATS.name_or(AUTO)]


class CorpusConfig(Section):
    """The recordings and where to get them."""

    name: Name  # of the corpus, for the report and the files
    source: Source  # embedded:NAME, a URL, the path of an archive, or the path of a folder
    mirrors: tuple[Source, ...]  # further URLs of the same file, tried in turn
    md5: Md5 | None  # of the archive; null: any archive is accepted
    sha256: Sha256 | None
    format: FormatName  # how texts and clips are listed; auto: recognised. tensor_mel: what `dtc convert` wrote
    checksums: dict[str, Md5]  # of the files of a converted set
    licence: str | None  # of the recordings: the name that model hubs have for it, or a sentence; null: unknown
    consent: str | None  # of the speaker to a voice made of the recordings; null: unknown

    @property
    def verifiable(self) -> bool:
        """Return whether a checksum of the archive is known."""
        return self.md5 is not None or self.sha256 is not None

    def wrong_checksum(self, sums: Checksums) -> tuple[str, str, str] | None:
        """Return the first checksum that differs: its key, what was found and what was expected; None if none does."""
        for key, name, found in (("md5", "MD5", sums.md5), ("sha256", "SHA-256", sums.sha256)):
            if (expected := getattr(self, key)) not in (None, found):
                return key, f"{name} {found}", expected
        return None


def embedded_archive(name: str) -> Path:
    """Return the archive of a corpus that ships with the toolkit, such as numbers-1.0."""
    return _shipped(name, ".tar", "corpus.source", EMBEDDED)


def find_grammar(grammar: str, key: str = "evaluate.grammar") -> Path:
    """Return a JSGF grammar's path, given its path or the name of one that ships with the toolkit, such as numbers."""
    remedy = "or set evaluate.ear to none, which gives no word errors"
    return _file_or_shipped(grammar, ".jsgf", key, ("a JSGF grammar", remedy))


def find_texts(texts: str) -> Path:
    """Return the path of a file of texts, given its path or the name of one that ships with the toolkit."""
    return _file_or_shipped(texts, ".txt", "evaluate.texts", ("a file with one text in each line", "or set it to null"))


def _file_or_shipped(name: str, suffix: str, key: str, help: tuple[str, str]) -> Path:
    """Return the path that `name` is, or that of the shipped file. `help`: the kind of file, and a remedy."""
    path = Path(name) if Path(name).suffix else _shipped(name, suffix, key, "")
    if not path.is_file():
        raise InputError(key, f"{path}: no such file", f"{help[0]}, or the name of one that ships with dtc", help[1])
    return path


def _shipped(name: str, suffix: str, key: str, prefix: str) -> Path:
    """Return the shipped file of this name. `key` of params.yaml names it, behind a prefix."""
    known = {path.stem: path for path in sorted(FOLDER.rglob(f"*{suffix}"))}
    if name not in known:
        raise InputError(key, f"{prefix}{name} does not ship with dtc", ", ".join(prefix + each for each in known))
    return known[name]
