"""Show the progress of a long stage: a live bar on a terminal, a line from time to time elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from dtc.errors import pace, plural

SECONDS_BETWEEN_LINES = 10.0

Advance = Callable[[int, str], None]  # called with a number of further clips, and the name of the last one or ""
Describe = Callable[[int, float], str]  # (clips that are done, clips per second) → the line to show


@contextmanager
def clip_progress(describe: Describe, console: Console, total: int | None = None) -> Iterator[Advance]:
    """Yield a function to call when more clips are done.

    Args:
        describe: returns the line to show. On a terminal, the name of the last clip is added to it.
        console: where the line is shown.
        total: number of clips; None where it is not known, and then nothing stays on a terminal at the end.
    """
    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
    done, started, last_line = 0, time.monotonic(), time.monotonic()
    on_terminal = console.is_terminal
    with Progress(*columns, console=console, disable=not on_terminal, transient=total is None) as progress:
        bar = progress.add_task(describe(0, 0.0), total=total)

        def advance(number: int, name: str) -> None:
            nonlocal done, last_line
            done, now = done + number, time.monotonic()
            line = describe(done, done / max(now - started, 1e-9))
            progress.update(bar, completed=done, description=f"{line}, {name}" if name else line)
            if not on_terminal and done != total and now - last_line > SECONDS_BETWEEN_LINES:
                last_line = now
                console.print(line)

        yield advance


@contextmanager
def computed_clips(stage: str, total: int, console: Console) -> Iterator[Callable[[int], None]]:
    """Yield a function to call with a number of further clips that a stage has computed, out of `total`."""

    def describe(done: int, clips_per_s: float) -> str:
        speed = f", {pace(clips_per_s)}, {(total - done) / clips_per_s:.0f} s left" if clips_per_s else ""
        return f"{stage}: {done:,} of {total:,} clips{speed}"

    with clip_progress(describe, console, total) as advance:
        yield lambda number: advance(number, "")


@contextmanager
def counted_clips(stage: str, console: Console) -> Iterator[Callable[[str], None]]:
    """Yield a function to call with the name of each clip. Their number is not known, as an archive is a stream."""

    def describe(done: int, clips_per_s: float) -> str:
        return f"{stage}: {plural(done, 'clip')}" + (f", {pace(clips_per_s)}" if clips_per_s else "")

    with clip_progress(describe, console) as advance:
        yield lambda name: advance(1, name)
