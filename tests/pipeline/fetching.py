"""Where a test's archive goes, what it should be, and what is said on the way to it."""

import hashlib
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from dtc.errors import InputError
from pipeline.corpora import CorpusConfig
from pipeline.download import Patience, existing_archive, fetch_part


def noise(size: int, seed: int) -> bytes:
    """No piece of it can pass for another."""
    return np.random.default_rng(seed).bytes(size)


def md5(body: bytes) -> str:
    return hashlib.md5(body, usedforsecurity=False).hexdigest()


def sha256(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


BODY, OTHER = noise(300_017, 0), noise(300_017, 1)
RIGHT = {"md5": md5(BODY), "sha256": sha256(BODY)}
UNKNOWN = {"md5": None, "sha256": None}


def corpus(source: object, *mirrors: str, md5: str | None = None, sha256: str | None = None) -> CorpusConfig:
    return CorpusConfig(
        name="voice",
        source=str(source),
        mirrors=mirrors,
        md5=md5,
        sha256=sha256,
        format="auto",
        checksums={},
        licence=None,
        consent=None,
    )


class Fetched(NamedTuple):
    """What came from where."""

    md5: str
    sha256: str
    bytes: int
    from_source: str
    reused: bool


class Target:
    """Where a test's archive goes, and what was said on the way."""

    def __init__(self, folder: Path) -> None:
        self.archive, self.part = folder / "data/archive/voice.tar", folder / "runs/voice.tar.part"
        self.advances: list[tuple[int, int]] = []
        self.said: list[str] = []
        self.waits: list[float] = []

    def fetch(self, source: object, *mirrors: str, attempts: int = 6, timeout_s: float = 30.0, **sums: Any) -> Fetched:
        for record in (self.advances, self.said, self.waits):
            record.clear()
        asked = corpus(source, *mirrors, **(sums or RIGHT))
        patience = Patience(timeout_s, attempts, self.waits.append)
        if there := existing_archive(asked, self.archive):
            return Fetched(there.md5, there.sha256, there.bytes, "", reused=True)
        growing, origin = fetch_part(
            asked, self.part, lambda *done: self.advances.append(done), self.said.append, patience
        )
        growing.move(self.archive)
        return Fetched(growing.sums.md5, growing.sums.sha256, growing.sums.bytes, origin, reused=False)

    def assert_refused(self, fault: str, source: object, *mirrors: str, **options: Any) -> str:
        """The line says what is wrong, and whatever was in place stays."""
        before = self.archive.read_bytes() if self.archive.exists() else None
        with pytest.raises(InputError) as error:
            self.fetch(source, *mirrors, **options)
        assert str(error.value).startswith(fault)
        assert (self.archive.read_bytes() if self.archive.exists() else None) == before
        return str(error.value)

    def assert_whole(self, body: bytes = BODY) -> None:
        """The archive is there, and nothing of the way to it."""
        assert self.archive.read_bytes() == body
        assert list(self.part.parent.iterdir()) == []
