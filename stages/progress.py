"""Show the progress of a long stage: a live bar on a terminal, a line from time to time elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

SECONDS_BETWEEN_LINES = 10.0


@contextmanager
def counted(title: str, unit: str, total: int, console: Console) -> Iterator[Callable[[int], None]]:
    """Yield a function `advance(n)`, to be called when n more units are done."""
    columns = (TextColumn(title), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[rate]}"))
    done, started, last_line = 0, time.monotonic(), time.monotonic()
    with Progress(*columns, TimeRemainingColumn(), console=console, disable=not console.is_terminal) as progress:
        bar = progress.add_task(title, total=total, rate="")

        def advance(number: int) -> None:
            nonlocal done, last_line
            done, now = done + number, time.monotonic()
            rate = done / max(now - started, 1e-9)
            progress.update(bar, completed=done, rate=f"{rate:.0f} {unit}/s")
            if not console.is_terminal and now - last_line > SECONDS_BETWEEN_LINES:
                last_line = now
                left_s = (total - done) / rate
                console.print(
                    f"{title}: {done:,} of {total:,} {unit}, {rate:.0f}/s, {left_s:.0f} s left", highlight=False
                )

        yield advance
