"""The database of votes: which files it takes, and that it changes none of others."""

import os
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from dtc.duel.trials import Item, Trial
from dtc.duel.votes import Ballot, VoteBook, read_votes
from dtc.errors import InputError


def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    (tmp_path / "duel.sqlite").write_text("votes, but no database " * 50)
    with pytest.raises(InputError, match=r"duel\.sqlite: cannot be used \(file is not a database\)"):
        VoteBook(tmp_path / "duel.sqlite")


def test_a_database_of_others_is_not_counted_and_not_changed(tmp_path: Path) -> None:
    path = tmp_path / "other.sqlite"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE mine (id)")
    before = path.read_bytes()
    with pytest.raises(InputError, match=r"other\.sqlite: cannot be used \(no such table: votes\)"):
        read_votes(path)
    assert (path.read_bytes(), [each.name for each in tmp_path.iterdir()]) == (before, ["other.sqlite"])


@pytest.fixture
def protected() -> Iterator[Path]:
    """A database with a vote, in a folder that nobody may write; root, who may, becomes another user meanwhile."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "duel.sqlite")
        with closing(VoteBook(path)) as book:
            trial = Trial("t", "text", (Item("recording"),))
            book.begin(None, [trial], now=0.0)
            book.note_fetched("t", 0, now=0.0)
            book.vote([Ballot(trial, "human", 1.0, 10.0)])
        path.chmod(0o444)
        Path(folder).chmod(0o555)
        user = os.geteuid()
        if user == 0:
            os.seteuid(65534)
        yield path
        os.seteuid(user)
        Path(folder).chmod(0o755)


def test_a_database_that_may_not_be_written_is_counted_and_is_not_to_be_moved_away(protected: Path) -> None:
    assert [vote.answer for vote in read_votes(protected)] == ["human"]
    with pytest.raises(InputError, match=r"duel\.sqlite: cannot be used .*; give yourself the right to read and write"):
        VoteBook(protected)


def test_a_database_that_may_not_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "duel.sqlite").mkdir()  # cannot be opened, by root neither
    with pytest.raises(InputError, match=r"duel\.sqlite: cannot be used \(unable to open .*; give yourself the right"):
        VoteBook(tmp_path / "duel.sqlite")
