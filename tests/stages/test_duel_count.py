"""What `dtc duel --count` prints of votes, and which votes it leaves out."""

import io
import json
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest
from rich.console import Console

from dtc.duel.trials import Item, Trial, Vote
from dtc.duel.votes import Ballot, VoteBook
from dtc.errors import InputError
from stages.duel_count import count, write_figures

SPEAKER, ONE, OTHER = Item("recording"), Item("synthesis", "one@1"), Item("synthesis", "other@1")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def console() -> tuple[Console, io.StringIO]:
    written = io.StringIO()
    return Console(file=written, width=200), written


def printed(votes: Sequence[Vote]) -> str:
    screen, written = console()
    write_figures(votes, screen)
    return written.getvalue()


def votes_of(sides: tuple[Item, ...], answers: Sequence[str], listener: str = "l") -> list[Vote]:
    return [
        Vote(listener, Trial(f"{listener} {sides} {n}", f"text-{n}", sides), answer) for n, answer in enumerate(answers)
    ]


def database(path: Path, answers: dict[str, str]) -> None:
    """A database of votes. `answers`: those of each listener, by the first letter of its name."""
    with closing(VoteBook(path)) as book:
        for name, letters in answers.items():
            trials = [Trial(f"{name}{n}", f"text-{n}", (SPEAKER, ONE)) for n in range(len(letters))]
            book._notes.execute("INSERT INTO listeners VALUES (?, 0)", (name * 32,))
            book.begin(name * 32, trials, now=0.0)
            for trial in trials:
                for side in (0, 1):
                    book.note_fetched(trial.id, side, now=0.0)
            for n, (trial, letter) in enumerate(zip(trials, letters, strict=True), 1):
                assert book.vote([Ballot(trial, letter, 1.0, 10.0 * n)]) == [len(letters) - n]


def test_which_voice_is_better_is_said() -> None:
    answers = "aaabaaaaba"
    lines = printed([vote for n in range(6) for vote in votes_of((ONE, OTHER), answers[n:] + answers[:n], f"l{n}")])
    assert "duel: one is better than other: difference in strength 1." in lines
    assert "│ rank " in lines
    assert "duel: one: no vote beside a recording yet\n" in lines
    assert "no difference seen between" in printed(votes_of((ONE, OTHER), "abab"))


def test_few_votes_give_no_fooling_rate() -> None:
    beside = votes_of((SPEAKER, ONE), "b")
    found = printed([*votes_of((SPEAKER,), ["human"]), *votes_of((ONE,), ["human", "machine"]), *beside])
    assert "taken for the human, beside the recording; the goal is 50%" in found
    (row,) = [line for line in found.splitlines() if "fooling rate" in line]
    assert "too few votes" in row


def test_a_listener_whose_answers_are_all_alike_is_named_and_can_be_left_out() -> None:
    database(Path("votes/duel.sqlite"), {"a": "a" * 10, "b": "abababbbab"})
    screen, written = console()
    count([], [], screen)
    assert written.getvalue().count("--without") == 1
    line = "duel: listener aaaaaaaa answered a to all 10 questions with two clips; --without aaaaaaaa leaves"
    assert line in written.getvalue()
    count([], ["aaaaaaaa"], screen)
    assert json.loads(Path("results/metrics/duel.json").read_text())["listeners"] == 1
    for without, message in ((["x"], "no listener x, expected the name that"), (["a", "b"], "no votes are left")):
        with pytest.raises(InputError, match=message):
            count([], without, screen)


def test_votes_of_the_server_that_are_left_out_are_counted() -> None:
    database(Path("votes/duel.sqlite"), {"a": "ab"})
    database(Path("other.sqlite"), {"b": "abb"})
    screen, written = console()
    count([Path("other.sqlite")], [], screen)
    assert "duel: 2 votes in votes/duel.sqlite are left out; name that file too, and they count" in written.getvalue()
    count([Path("other.sqlite"), Path("votes/duel.sqlite")], [], screen)
    assert written.getvalue().count("left out") == 1
    assert json.loads(Path("results/metrics/duel.json").read_text())["votes"] == 5
