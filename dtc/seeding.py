"""Seeding: what is drawn at random depends on what it is drawn for, and not on what was drawn before."""

from __future__ import annotations

import hashlib

import torch


def seed_all(*parts: object) -> None:
    """Seed torch's random generators with a hash of `parts`, such as ("step", 7)."""
    digest = hashlib.sha256(repr(parts).encode()).digest()
    torch.manual_seed(int.from_bytes(digest[:8], "little") >> 1)
