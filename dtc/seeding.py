"""Seeds of random generators, which depend on the purpose of a draw and not on earlier draws."""

from __future__ import annotations

import hashlib

import torch


def seed_all(*parts: object) -> None:
    """Seed torch's random generators with a hash of `parts`, such as ("step", 7)."""
    torch.manual_seed(seed_of(repr(parts)))


def seed_of(text: str) -> int:
    """Return the seed for a text: 63 bits of its SHA-256."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little") >> 1
