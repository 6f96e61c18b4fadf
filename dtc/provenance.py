"""Fingerprints and checksums, which record the origin of every file from the corpus's archive to the last WAV.

A fingerprint is the first 16 hexadecimal digits of a SHA-256. That is short enough to compare by eye, and long enough
that two different definitions do not have the same one by accident.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from pydantic import BaseModel

DIGITS = 16
CHUNK_BYTES = 1 << 20


def fingerprint(*parts: object) -> str:
    """Return the fingerprint of JSON-like values and params sections; it ignores the order of a mapping's keys."""
    plain = [part.model_dump(mode="json") if isinstance(part, BaseModel) else part for part in parts]
    text = json.dumps(plain, sort_keys=True, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return hashlib.sha256(text.encode("ascii")).hexdigest()[:DIGITS]


def md5_of(path: Path) -> str:
    """Return the MD5 of a file, as 32 hexadecimal digits."""
    return _digest(path, partial(hashlib.md5, usedforsecurity=False))


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file, as 64 hexadecimal digits."""
    return _digest(path, hashlib.sha256)


class Checksums:
    """MD5, SHA-256 and length of bytes that arrive in pieces, computed in one pass."""

    def __init__(self) -> None:
        self.bytes = 0
        self._md5, self._sha256 = hashlib.md5(usedforsecurity=False), hashlib.sha256()

    @classmethod
    def of(cls, path: Path) -> Checksums:
        """Return the checksums of a file."""
        checksums = cls()
        for chunk in read_chunks(path):
            checksums.add(chunk)
        return checksums

    def add(self, chunk: bytes) -> None:
        """Add the next bytes."""
        self.bytes += len(chunk)
        self._md5.update(chunk)
        self._sha256.update(chunk)

    @property
    def md5(self) -> str:
        """Return the MD5 as 32 hexadecimal digits."""
        return self._md5.hexdigest()

    @property
    def sha256(self) -> str:
        """Return the SHA-256 as 64 hexadecimal digits."""
        return self._sha256.hexdigest()


def read_chunks(path: Path) -> Iterator[bytes]:
    """Yield the bytes of a file in pieces."""
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            yield chunk


def _digest(path: Path, algorithm: Callable[[], Any]) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, algorithm).hexdigest()
