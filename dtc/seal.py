"""Seals: a file that holds its own SHA-256, so that a changed byte shows without any other file.

The digest is that of the whole file with zeros in place of the digest. A seal is no signature: whoever changes a file
on purpose can seal it again. Then its fingerprint is another one than the files that were made from it name.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any, Literal

PREFIX, DIGITS = "dtc-seal:", 64
UNSEALED = PREFIX + "0" * DIGITS  # stands in a file until it is sealed
SEAL = re.compile(rb"dtc-seal:[0-9a-f]{64}")

SealState = Literal["intact", "changed", "none"]


def sealed(content: bytes) -> bytes:
    """Return the content of a file with its first UNSEALED replaced by its seal."""
    assert UNSEALED.encode() in content
    return content.replace(UNSEALED.encode(), _seal_of(content), 1)


def sealed_json(tree: Mapping[str, Any]) -> bytes:
    """Return a JSON file with the values of `tree` and, under the key `seal`, the file's seal."""
    return sealed(f"{json.dumps({**tree, 'seal': UNSEALED}, indent=2)}\n".encode())


def seal_in(content: bytes) -> str:
    """Return the first seal in the content of a file; "" where there is none."""
    found = SEAL.search(content)
    return found[0].decode() if found else ""


def check_seal(content: bytes) -> SealState:
    """Return whether the content of a file is as it was sealed; "none" where it has no seal."""
    if not (seal := seal_in(content)):
        return "none"
    unsealed = content.replace(seal.encode(), UNSEALED.encode(), 1)
    return "intact" if _seal_of(unsealed) == seal.encode() else "changed"


def _seal_of(unsealed: bytes) -> bytes:
    return (PREFIX + hashlib.sha256(unsealed).hexdigest()).encode()
