"""The events of a training as JSON, one line each, for programs that watch it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from dtc.files import write_whole

Event = Mapping[str, Any]


def read_events(path: Path) -> list[dict[str, Any]]:
    """Return the events in a file. No file has none; a last line without a line break, as a kill leaves it, is ignored.

    Each has `time` (ISO 8601, UTC), `event` (start, resume, phase, train, validation, spoken, checkpoint, interrupted,
    failed or end), `step`, and its own values.
    """
    if not path.is_file():
        return []
    whole_lines = path.read_bytes().rpartition(b"\n")[0].decode("utf-8")
    return [json.loads(line) for line in whole_lines.splitlines()]


class EventLog:
    """Appends events to a file.

    Args:
        path: the file.
        keeps: whether to keep an event of an earlier process; the others are removed.
    """

    def __init__(self, path: Path, keeps: Callable[[Event], bool]) -> None:
        self.path = path
        write_whole(path, "".join(_line(event) for event in read_events(path) if keeps(event)))

    def append(self, event: str, step: int, values: Event) -> None:
        """Write an event at the end, with the present time."""
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        with self.path.open("a", encoding="utf-8") as file:
            file.write(_line({"time": now, "event": event, "step": step} | dict(values)))

    def sync(self) -> None:
        """Force the events to disk, so that a power cut does not lose those before a checkpoint."""
        with self.path.open("rb+") as file:
            os.fsync(file.fileno())


def _line(event: Event) -> str:
    return json.dumps(event, ensure_ascii=False) + "\n"
