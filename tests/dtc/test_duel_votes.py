"""The database of votes: which files it takes, and that it changes none of others."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from dtc.duel.votes import VoteBook, read_votes
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
