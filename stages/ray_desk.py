"""The actor of Ray between `dtc train` and the workers that Ray starts for it."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from stages.launch import Ended

STDOUT, STDERR, BEGUN, FAILURE, END = range(5)  # kinds of events
Event = tuple[int, str]


class Desk:
    """An actor of Ray between the command and the workers: it has what the command prints, and whether all must end."""

    def __init__(self) -> None:
        self._events, self._ended = list[Event](), list[Ended]()
        self._written, self._over, self._stopped = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def write(self, kind: int, text: str) -> None:
        """Keep a line that the first process has printed, that the processes begin, or why Ray starts them again."""
        self._events.append((kind, text))
        self._written.set()

    async def read(self, patience_s: float) -> list[Event]:
        """Return the events since the last call; wait for the first one for some seconds."""
        await _wait(self._written, patience_s)
        self._written.clear()
        events, self._events = self._events, []
        return events

    async def end(self, ended: Ended) -> None:
        """Keep how a process has ended, for a reason that ends the training."""
        self._ended.append(ended)
        self._over.set()
        await self.write(END, "")

    async def ended(self) -> list[Ended]:
        """Return the processes that have ended for a reason that ends the training, in the order in which they did."""
        return self._ended

    async def is_over(self, patience_s: float) -> bool:
        """Return whether the training must not go on; wait for that for some seconds."""
        await _wait(self._over, patience_s)
        return self._over.is_set()

    async def stop(self) -> None:
        """Ask all processes to save and stop."""
        self._over.set()
        self._stopped.set()

    async def stopped(self) -> None:
        """Wait until all processes are asked to save and stop."""
        await self._stopped.wait()


async def _wait(event: asyncio.Event, patience_s: float) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(patience_s):
            await event.wait()
