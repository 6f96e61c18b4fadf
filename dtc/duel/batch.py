"""Write votes that arrive while the disk is busy in one transaction.

Each vote is answered once it is on disk. With a transaction for each, fifty listeners would wait for fifty writes, one
after the other.
"""

from __future__ import annotations

import asyncio

from dtc.duel.votes import Ballot, RefusedError, VoteBook


class Batch:
    """The votes that wait to be written, all in the next round of the event loop."""

    def __init__(self, book: VoteBook) -> None:
        self._book = book
        self._waiting: list[Ballot] = []
        self._written: asyncio.Task[list[int | RefusedError]]

    async def vote(self, ballot: Ballot) -> int:
        """Return, once a vote is on disk, how many trials of its session have none yet.

        Raises RefusedError for a vote that does not count.
        """
        if not self._waiting:
            self._written = asyncio.create_task(self._write())
        self._waiting.append(ballot)
        place = len(self._waiting) - 1
        result = (await asyncio.shield(self._written))[place]  # one that goes away does not cancel the others
        if isinstance(result, RefusedError):
            raise result
        return result

    async def _write(self) -> list[int | RefusedError]:
        ballots, self._waiting = self._waiting, []
        return self._book.vote(ballots)
