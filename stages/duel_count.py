"""`dtc duel --count`: count the votes of a duel, write results/metrics/duel.json and print what they say."""

from __future__ import annotations

import json
from collections.abc import Container, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from rich.console import Console
from rich.table import Column, Table

from dtc.duel.sequential import MARGIN, TOLD_APART, UNDECIDED
from dtc.duel.static_page import read_answers
from dtc.duel.statistics import Figures, figures_of
from dtc.duel.trials import Item, Trial, Vote, score_of
from dtc.duel.votes import read_votes
from dtc.errors import InputError, plural
from dtc.files import write_whole
from stages import paths
from stages.tables import print_table

VOICE = "voice"  # the name of the voice in results/scp
ROWS = {
    "human_rate": "taken for a human, alone",
    "fooling_rate": "fooling rate: that, over the recordings' own",
    "copy_human_rate": "copies taken for a human, alone",
    "ab_share": "taken for the human, beside the recording; the goal is 50%",
    "copy_ab_share": "copies taken for the human, beside it",
    "strength": "strength, in log-odds; the recordings have 0",
    "rank": "rank",
}
MANY_ALIKE = 10  # answers; of as many, all are one and the same by chance in 1 of 500 listeners


def count(files: Sequence[Path], without: Sequence[str], console: Console) -> None:
    """Count the votes in files: databases and the answers that pages have saved; without any, votes/duel.sqlite.

    A file of answers that is given twice counts once, and the score of each listener is printed.

    Args:
        files: the files.
        without: the first characters of listeners whose votes are left out.
        console: where the figures are printed.
    """
    votes = dict[tuple[str, str], Vote]()
    for path in files or [paths.DUEL_VOTES]:
        is_answers = path.suffix == ".json"
        found = read_answers(path, paths.VOTES) if is_answers else read_votes(path)
        if is_answers:
            score = score_of(found)
            console.print(f"duel: {path}: right {score['right']} of {score['of']} times")
        for vote in found:
            if votes.setdefault((vote.listener, vote.trial.id), vote) != vote:
                remedy = "leave one of the files out"
                raise InputError(path, "another answer of the same listener to the same trial", remedy=remedy)
    if files and paths.DUEL_VOTES.is_file() and (more := _votes_beyond(votes)):
        again = "name that file too, and they count"
        console.print(f"duel: {plural(more, 'vote')} in {paths.DUEL_VOTES} are left out; {again}")
    if not votes:
        raise InputError("dtc duel --count", "no votes", remedy="let people listen first: `dtc duel`")
    write_figures(_without(list(votes.values()), without), console)


def _votes_beyond(counted: Container[tuple[str, str]]) -> int:
    """Return how many votes of the server are not counted; 0 where they cannot be read, as nobody asked for them."""
    try:
        return sum((vote.listener, vote.trial.id) not in counted for vote in read_votes(paths.DUEL_VOTES))
    except InputError:
        return 0


def _without(votes: Sequence[Vote], names: Sequence[str]) -> list[Vote]:
    """Return the votes of all listeners but some, who are given by the first characters of their names."""
    for name in names:
        if not any(name_of(vote).startswith(name) for vote in votes):
            raise InputError("--without", f"no listener {name}", "the name that --count prints")
    if not (kept := [vote for vote in votes if not name_of(vote).startswith(tuple(names))]):
        raise InputError("--without", "no votes are left", remedy="leave fewer listeners out")
    return kept


def name_of(vote: Vote) -> str:
    """Return the random number of a vote's listener. On a page without a server, the page's number stands before it."""
    return vote.listener.rpartition(" ")[2]


def write_figures(votes: Sequence[Vote], console: Console) -> None:
    """Write results/metrics/duel.json, and print what the votes say."""
    newest = of_newest_voices(votes)
    if left_out := len(votes) - len(newest):
        console.print(f"duel: {plural(left_out, 'vote')} on earlier voices of the same name, which are not counted")
    common, voices = figures_of(newest)
    for line in alike_answers(newest):
        console.print(f"duel: {line}")
    write_whole(paths.DUEL, json.dumps({**common, **voices}, indent=2) + "\n")
    _print(common, voices, console)


def of_newest_voices(votes: Sequence[Vote]) -> list[Vote]:
    """Return the votes on the voices that were heard last, of each name, by their names without fingerprints."""
    in_time = sorted(votes, key=lambda vote: vote.at)
    labels = [item.voice for vote in in_time for item in vote.trial.sides if item.voice]
    newest = {label.partition("@")[0]: label for label in labels}
    kept = {"": ""} | {label: name for name, label in newest.items()}

    def renamed(trial: Trial) -> Trial:
        return replace(trial, sides=tuple(Item(kind, kept[voice]) for kind, voice in trial.sides))

    counted = (vote for vote in votes if all(item.voice in kept for item in vote.trial.sides))
    return [replace(vote, trial=renamed(vote.trial)) for vote in counted]


def alike_answers(votes: Sequence[Vote]) -> list[str]:
    """Return a line for each listener whose answers to at least MANY_ALIKE questions of a form are all the same."""
    given = dict[tuple[str, str], list[str]]()
    for vote in votes:
        given.setdefault((name_of(vote), vote.trial.form), []).append(vote.answer)
    return [
        f"listener {name[:8]} answered {answers[0]} to all {len(answers)} questions with "
        f"{'one clip' if form == 'single' else 'two clips'}; --without {name[:8]} leaves the listener out"
        for (name, form), answers in given.items()
        if len(answers) >= MANY_ALIKE and len(set(answers)) == 1
    ]


def _print(common: Figures, voices: Mapping[str, Figures], console: Console) -> None:
    table = Table(Column("share", overflow="fold"), *voices, "recordings")
    for name, meaning in ROWS.items():
        cells = [_cell(values, name) for values in voices.values()]
        recordings = _cell(common, "recording_human_rate") if name == "human_rate" else ""
        if any(cells):
            table.add_row(meaning, *(cell or "–" for cell in cells), recordings)
    print_table(table, console)
    nouns = {"votes": "vote", "listeners": "listener", "texts": "text"}
    counted = ", ".join(plural(int(common[name]), noun) for name, noun in nouns.items())
    console.print(f"duel: {counted}; intervals of 95 %; {paths.DUEL}")
    for name, values in sorted(voices.items(), key=lambda voice: int(voice[1].get("rank", 0))):
        console.print(f"duel: {name}: {_sentence(values)}")
    if "lead" in common:
        console.print(f"duel: {_comparison(common, voices)}")


def _comparison(common: Figures, voices: Mapping[str, Figures]) -> str:
    """Return in words whether the first voice is better than the second."""
    first, second = sorted(voices, key=lambda voice: int(voices[voice]["rank"]))[:2]
    strength = f"difference in strength {_cell(common, 'lead')}"
    if float(common["lead_low"]) > 0:
        return f"{first} is better than {second}: {strength}"
    return f"no difference seen between {first} and {second}: {strength}"


def _cell(values: Mapping[str, object], name: str) -> str:
    """Return a figure and its interval; "" where there are no votes for it."""
    if name == "fooling_rate" and name not in values and "human_rate" in values:
        return "too few votes"
    if name not in values:
        return ""
    if name == "rank":
        return str(values[name])
    numbers = [values[key] for key in (name, f"{name}_low", f"{name}_high")]
    value, low, high = (f"{number:.2f}" if name in ("strength", "lead") else f"{number:.0%}" for number in numbers)
    return f"{value} ({low} to {high})"


def _sentence(values: Figures) -> str:
    """Return the verdict in words."""
    margin = f"{0.5 - MARGIN:.0%} to {0.5 + MARGIN:.0%}"
    pairs = plural(int(values["ab_votes"]), "vote")
    if not values["ab_votes"]:
        return "no vote beside a recording yet"
    if values["verdict"] == UNDECIDED:
        return f"undecided after {pairs} beside recordings; about {values['more_votes']:,} more, if the share stays"
    if values["verdict"] == TOLD_APART:
        return f"told apart from the speaker, after {pairs} beside recordings"
    return f"equal to the speaker within the margin ({margin}), after {pairs} beside recordings"
