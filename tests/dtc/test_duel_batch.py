"""Votes that arrive together are written together, and each gets its own answer."""

import asyncio
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from dtc.duel.batch import Batch
from dtc.duel.trials import draw_trials
from dtc.duel.votes import Ballot, RefusedError, VoteBook
from tests.dtc.duel_clips import TEXTS, VOICE

LISTENERS = 8


@pytest.fixture
def book(tmp_path: Path) -> Iterator[VoteBook]:
    opened = VoteBook(tmp_path / "duel.sqlite")
    yield opened
    opened.close()


@pytest.fixture
def ballots(book: VoteBook) -> list[Ballot]:
    """A vote of each listener on a clip that was fetched and heard."""
    found = []
    for seed in range(LISTENERS):
        trial, *others = draw_trials(TEXTS, [VOICE], Random(seed))
        book.begin(None, [trial, *others], now=0.0)
        book.note_fetched(trial.id, 0, now=0.0)
        found.append(Ballot(trial, "human", 1.0, at=2.0))
    return found


async def vote_all(book: VoteBook, ballots: list[Ballot]) -> list[int | BaseException]:
    batch = Batch(book)
    return await asyncio.gather(*map(batch.vote, ballots), return_exceptions=True)


def test_votes_that_wait_are_in_one_transaction(book: VoteBook, ballots: list[Ballot]) -> None:
    statements: list[str] = []
    book._votes.set_trace_callback(statements.append)
    assert asyncio.run(vote_all(book, ballots)) == [len(TEXTS) - 1] * LISTENERS
    assert statements.count("BEGIN IMMEDIATE") == statements.count("COMMIT") == 1
    assert len(book.all_votes()) == LISTENERS


def test_a_refused_vote_among_others_is_refused_alone(book: VoteBook, ballots: list[Ballot]) -> None:
    early = ballots[1]._replace(at=0.5)
    results = asyncio.run(vote_all(book, [ballots[0], early, ballots[0]._replace(answer="machine"), ballots[2]]))
    refused = {place: each.status for place, each in enumerate(results) if isinstance(each, RefusedError)}
    assert refused == {1: 425, 2: 409}
    assert [(vote.trial, vote.answer) for vote in book.all_votes()] == [
        (each.trial, "human") for each in ballots[::2][:2]
    ]


def test_a_listener_that_goes_away_does_not_cancel_the_votes_of_others(book: VoteBook, ballots: list[Ballot]) -> None:
    async def one_goes_away() -> int:
        batch = Batch(book)
        first, second = (asyncio.create_task(batch.vote(ballot)) for ballot in ballots[:2])
        await asyncio.sleep(0)  # both wait
        first.cancel()
        return await second

    assert asyncio.run(one_goes_away()) == len(TEXTS) - 1
    assert len(book.all_votes()) == 2


def test_what_the_disk_refuses_is_told_to_all_and_the_next_vote_counts(book: VoteBook, ballots: list[Ballot]) -> None:
    async def full_disk() -> list[int | BaseException]:
        book._votes.execute("PRAGMA query_only = ON")
        batch = Batch(book)
        results = await asyncio.gather(*map(batch.vote, ballots[:2]), return_exceptions=True)
        book._votes.execute("PRAGMA query_only = OFF")
        return [*results, await batch.vote(ballots[0])]

    *failed, left = asyncio.run(full_disk())
    assert [type(each) for each in failed] == [sqlite3.OperationalError] * 2
    assert left == len(TEXTS) - 1
