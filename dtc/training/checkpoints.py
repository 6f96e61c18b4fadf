"""The state that an interrupted training run goes on from. No pickle that could run code is written or read."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import torch

from dtc.files import write_whole


def save_resume_state(path: Path, state: dict[str, Any]) -> None:
    """Tensors and primitives only, so that it can be read with `weights_only=True`."""
    stream = io.BytesIO()
    torch.save(state, stream)
    write_whole(path, stream.getvalue())


def read_resume_state(path: Path) -> dict[str, Any] | None:
    """The state last saved, or None where there is none."""
    return torch.load(path, weights_only=True, map_location="cpu") if path.is_file() else None
