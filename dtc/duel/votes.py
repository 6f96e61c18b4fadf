"""The votes of listeners in an SQLite database, of which none is lost once its listener has been told that it counts.

The database is in WAL mode: it can be read while it is written, and a process that is killed leaves it whole. A vote is
forced to disk before it is answered, so it survives a power cut too.
"""

from __future__ import annotations

import json
import secrets
import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from dtc.duel.trials import ANSWERS, Item, Trial, Vote
from dtc.errors import InputError

SCHEMA = """
CREATE TABLE IF NOT EXISTS listeners (id TEXT PRIMARY KEY, consented_at REAL NOT NULL);
CREATE TABLE IF NOT EXISTS sessions (
    id TEXT PRIMARY KEY, listener TEXT NOT NULL REFERENCES listeners, last_vote_at REAL NOT NULL
);
CREATE INDEX IF NOT EXISTS sessions_of_a_listener ON sessions (listener);
CREATE TABLE IF NOT EXISTS trials (
    id TEXT PRIMARY KEY, session TEXT NOT NULL REFERENCES sessions, text TEXT NOT NULL, sides TEXT NOT NULL,
    fetched_a REAL, fetched_b REAL
);
CREATE INDEX IF NOT EXISTS trials_of_a_session ON trials (session);
CREATE TABLE IF NOT EXISTS votes (trial TEXT PRIMARY KEY REFERENCES trials, answer TEXT NOT NULL, at REAL NOT NULL);
"""
CLOCK_TOLERANCE = 0.95  # of a clip's duration: the clocks of sound cards are not exact
MOVE, RIGHT = "move it away", "give yourself the right to read and write the file and its folder"  # remedies
WAIT_S = 30.0  # for another process that is writing the database


class RefusedError(Exception):
    """A request that does not count, with the status of HTTP that says why."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status, self.reason = status, reason


class Ballot(NamedTuple):
    """An answer that a listener gives to a trial."""

    trial: Trial
    answer: str
    duration_s: float  # of each of the trial's clips
    at: float  # seconds since 1970


class VoteBook:
    """Listeners, their trials and their votes, in one file. One thread at a time uses it.

    Args:
        path: of the database, which is made where there is none.

    Raises InputError where the file is no such database.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        # With synchronous = NORMAL, a kill loses nothing and a power cut the last transactions; FULL waits for the
        # disk. So votes have a connection of their own: the times at which clips are fetched need not be that safe.
        self._notes, self._votes = _connect(path, "NORMAL"), _connect(path, "FULL")

    def close(self) -> None:
        """Close the database."""
        for connection in (self._notes, self._votes):
            connection.close()

    def begin(self, listener: str | None, trials: Sequence[Trial], now: float) -> tuple[str, str]:
        """Note the trials of a new session; return the ids of the session and of its listener.

        Args:
            listener: the id of one who has been here before; another text, or None, makes a new listener.
            trials: of the session.
            now: the time in seconds since 1970.
        """
        known = self._notes.execute("SELECT id FROM listeners WHERE id = ?", (listener,)).fetchone()
        session, listener = secrets.token_hex(16), known[0] if known else secrets.token_hex(16)
        with self._notes as write:
            write.execute("BEGIN")
            write.execute("INSERT OR IGNORE INTO listeners VALUES (?, ?)", (listener, now))
            write.execute("INSERT INTO sessions VALUES (?, ?, ?)", (session, listener, now))
            rows = [(trial.id, session, trial.text, written_sides(trial.sides)) for trial in trials]
            write.executemany("INSERT INTO trials (id, session, text, sides) VALUES (?, ?, ?, ?)", rows)
        return session, listener

    def open_trials(self, listener: str | None) -> tuple[str, int, list[Trial]] | None:
        """Return the last session of a listener that has trials without votes: its id, its votes, and those trials.

        None where there is no such listener or session. So a page that was closed half way goes on.
        """
        query = """SELECT sessions.id, trials.id, text, sides, votes.trial IS NULL FROM trials
            JOIN sessions ON session = sessions.id LEFT JOIN votes ON trial = trials.id WHERE session =
            (SELECT id FROM sessions WHERE listener = ? ORDER BY rowid DESC LIMIT 1) ORDER BY trials.rowid"""
        rows = self._notes.execute(query, (listener,)).fetchall()
        trials = [Trial(id, text, read_sides(sides)) for _, id, text, sides, is_open in rows if is_open]
        return (rows[0][0], len(rows) - len(trials), trials) if trials else None

    def trial(self, id: str) -> Trial:
        """Return a trial. Raises RefusedError where there is none with this id."""
        row = self._notes.execute("SELECT text, sides FROM trials WHERE id = ?", (id,)).fetchone()
        if row is None:
            raise RefusedError(404, "There is no such trial.")
        return Trial(id, row[0], read_sides(row[1]))

    def note_fetched(self, trial: str, side: int, now: float) -> None:
        """Note when a clip was fetched for the first time."""
        column = ("fetched_a", "fetched_b")[side]
        self._notes.execute(f"UPDATE trials SET {column} = coalesce({column}, ?) WHERE id = ?", (now, trial))

    def vote(self, ballots: Sequence[Ballot]) -> list[int | RefusedError]:
        """Note votes, and force them to disk together.

        Returns for each how many trials of its session have no vote yet, or why it does not count: its trial does not
        have such an answer, it is early, or it is the second one. A vote is early where the clips were not fetched, or
        where there was no time to hear all of them since they were, or since the listener's last vote: a page may fetch
        the clips of the next trial during this one.
        """
        with self._votes as write:
            write.execute("BEGIN IMMEDIATE")
            noted = [self._note(ballot) for ballot in ballots]
        return [each if isinstance(each, RefusedError) else self._count_open(each) for each in noted]

    def _note(self, ballot: Ballot) -> str | RefusedError:
        """Note a vote in an open transaction; return the id of its session, or why the vote does not count."""
        trial, answer, duration_s, now = ballot
        if answer not in ANSWERS[trial.form]:
            return RefusedError(400, f"The answer is none of {', '.join(ANSWERS[trial.form])}.")
        query = """SELECT session, answer, last_vote_at, fetched_a, fetched_b FROM trials
            JOIN sessions ON session = sessions.id LEFT JOIN votes ON trial = trials.id WHERE trials.id = ?"""
        session, earlier, *times = self._votes.execute(query, (trial.id,)).fetchone()
        if earlier is not None:
            return RefusedError(409, "This trial has a vote already.")
        needed = times[: 1 + len(trial.sides)]
        if None in needed or now < max(needed) + CLOCK_TOLERANCE * duration_s * len(trial.sides):
            return RefusedError(425, "Hear each clip to its end first.")
        self._votes.execute("INSERT INTO votes VALUES (?, ?, ?)", (trial.id, answer, now))
        self._votes.execute("UPDATE sessions SET last_vote_at = ? WHERE id = ?", (now, session))
        return str(session)

    def _count_open(self, session: str) -> int:
        query = "SELECT count(*) FROM trials LEFT JOIN votes ON trial = id WHERE session = ? AND trial IS NULL"
        return int(self._notes.execute(query, (session,)).fetchone()[0])

    def session_votes(self, session: str) -> list[Vote]:
        """Return the votes of a session. Raises RefusedError where trials have none yet, or there is no session."""
        if self._count_open(session):
            raise RefusedError(409, "Trials of this session are open.")
        if not (votes := _read(self._notes, "WHERE sessions.id = ?", session)):
            raise RefusedError(404, "There is no such session.")
        return votes

    def all_votes(self) -> list[Vote]:
        """Return all votes, in the order in which they came."""
        return _read(self._notes, "")


def read_votes(path: Path) -> list[Vote]:
    """Return all votes of a database, which is not changed. Raises InputError where there is no such database."""
    if not path.is_file():
        raise InputError(path, "no such file", "votes", "run `dtc duel` and let people listen first")
    try:
        return _read_only(path, "mode=ro")
    except sqlite3.DatabaseError as error:
        if path.with_name(f"{path.name}-wal").exists() or not _is_right_missing(error):
            raise _unusable(path, error, "leave it out") from None
    try:  # the mode WAL writes files beside the database even to read it; not where it is said that nothing changes
        return _read_only(path, "immutable=1")
    except sqlite3.DatabaseError as error:
        raise _unusable(path, error, "leave it out") from None


def _read_only(path: Path, mode: str) -> list[Vote]:
    with closing(sqlite3.connect(f"{path.resolve().as_uri()}?{mode}", uri=True, timeout=WAIT_S)) as connection:
        return _read(connection, "")


def _read(connection: sqlite3.Connection, where: str, *values: str) -> list[Vote]:
    query = f"""SELECT listener, trials.id, text, sides, answer, votes.at FROM votes
        JOIN trials ON trial = trials.id JOIN sessions ON session = sessions.id {where} ORDER BY votes.rowid"""
    rows = connection.execute(query, values)
    return [Vote(who, Trial(id, text, read_sides(sides)), answer, at) for who, id, text, sides, answer, at in rows]


def written_sides(sides: Iterable[Item]) -> str:
    """Return items as a text for a file: JSON."""
    return json.dumps([list(item) for item in sides])


def read_sides(text: str) -> tuple[Item, ...]:
    """Return the items that `written_sides` has written."""
    return tuple(Item(kind, voice) for kind, voice in json.loads(text))


def _connect(path: Path, synchronous: str) -> sqlite3.Connection:
    try:
        connection = sqlite3.connect(path, timeout=WAIT_S, isolation_level=None, check_same_thread=False)
    except sqlite3.OperationalError as error:
        raise _unusable(path, error, MOVE) from None
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(f"PRAGMA synchronous = {synchronous}")
        connection.executescript(SCHEMA)
    except sqlite3.DatabaseError as error:
        connection.close()
        raise _unusable(path, error, MOVE) from None
    return connection


def _unusable(path: Path, error: sqlite3.DatabaseError, remedy: str) -> InputError:
    """Return the error of a file. `remedy`: where its content is wrong; a database may lack no more than a right."""
    remedy = RIGHT if _is_right_missing(error) else remedy
    return InputError(path, f"cannot be used ({error})", "votes of `dtc duel`", remedy)


def _is_right_missing(error: sqlite3.DatabaseError) -> bool:
    return error.sqlite_errorname.startswith(("SQLITE_CANTOPEN", "SQLITE_READONLY", "SQLITE_PERM"))
