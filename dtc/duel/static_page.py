"""A duel without a server: one page with its sounds, the key that stays with its host, and the files of answers.

The page has no answers: its trials have random ids, and their clips are samples without names, in files of equal size
for each text. Only the key says what they are. Who takes the sounds out of the page can examine them with instruments,
as any sound that is heard.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Annotated

from pydantic import Field, FiniteFloat, ValidationError

from dtc.config import Section
from dtc.duel.page import Page
from dtc.duel.sounds import Sounds
from dtc.duel.trials import ANSWERS, ID_BITS, Item, Trial, Vote, draw_trials
from dtc.duel.votes import CLOCK_TOLERANCE
from dtc.errors import InputError

FORMAT = "dtc-duel-votes-1"
RANDOM_ID = Annotated[str, Field(pattern="^[0-9a-f]{32}$")]


class KeyedTrial(Section):
    """A trial of a page, as its key has it."""

    text: str
    sides: tuple[Item, ...]
    duration_s: float  # of each clip


class Key(Section):
    """What the clips of a page are."""

    page: RANDOM_ID
    made_at: float = 0.0  # seconds since 1970; keys of earlier versions do not have it
    trials: dict[str, KeyedTrial]


class Answer(Section):
    """An answer in a file of answers."""

    trial: str
    answer: str  # human or machine; a or b, in the order in which the listener had them
    swapped: bool  # whether the second clip of the page was the listener's A
    after_s: FiniteFloat  # since the trial was shown


class Answers(Section):
    """The file that a page saves."""

    format: str
    page: RANDOM_ID
    listener: RANDOM_ID
    answers: tuple[Answer, ...]


def make_page(
    sounds: Sounds, texts: Sequence[str], voices: Sequence[str], random: Random, now: float
) -> tuple[str, Key]:
    """Return a page with one session of trials, and its key. `now`: the time in seconds since 1970."""
    trials = draw_trials(texts, voices, random)
    page = f"{random.getrandbits(ID_BITS):032x}"
    shown = [{"id": trial.id, "clips": [_uri("flac", content) for content in sounds.flacs(trial)]} for trial in trials]
    content = {"format": FORMAT, "page": page, "volume": _uri("wav", sounds.volume_wav()), "trials": shown}
    keyed = {
        trial.id: KeyedTrial(text=trial.text, sides=trial.sides, duration_s=sounds.duration_s(trial.clips[0]))
        for trial in trials
    }
    return Page.alone(content).html, Key(page=page, made_at=now, trials=keyed)


def _uri(form: str, content: bytes) -> str:
    return f"data:audio/{form};base64,{base64.b64encode(content).decode()}"


def key_path(folder: Path, page: str) -> Path:
    """Return where the key of a page is kept."""
    return folder / f"duel-{page[:8]}.key.json"


def read_answers(path: Path, keys: Path) -> list[Vote]:
    """Return the votes in a file of answers.

    Args:
        path: of the file.
        keys: the folder with the keys of pages.

    Raises InputError where it is no such file, where the key is missing, and for answers that the page cannot have
    saved: of trials that it does not have, a second one, an unknown one, or one before the clips could be heard.
    """
    try:
        found = Answers.model_validate_json(path.read_bytes())
    except ValidationError:
        found = None
    if found is None or found.format != FORMAT:
        raise InputError(path, "no answers of a duel's page", remedy="leave the file out")
    key, votes = _read_key(key_path(keys, found.page), found.page, path), dict[str, Vote]()
    for answer in found.answers:
        if answer.trial in votes:
            raise InputError(path, "answers a trial twice", remedy="leave the file out")
        votes[answer.trial] = _vote(answer, key, f"{found.page} {found.listener}", path)
    return list(votes.values())


def _read_key(path: Path, page: str, answers: Path) -> Key:
    try:
        key = Key.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        remedy = "count in the folder where the page was made with `dtc duel --static`, or leave the file out"
        raise InputError(answers, f"the key of its page, {path}, is not there", remedy=remedy) from None
    except ValidationError:
        raise InputError(path, "is not the key of a page", remedy="restore it from a copy") from None
    if key.page != page:
        raise InputError(path, f"is the key of page {key.page}", page, "restore the key of that page from a copy")
    return key


def _vote(answer: Answer, key: Key, listener: str, path: Path) -> Vote:
    """Return the vote of an answer, with its clips in the order in which they were heard as A and B."""
    keyed = key.trials.get(answer.trial)
    if keyed is None:
        raise InputError(path, "answers a trial that its page does not have", remedy="leave the file out")
    trial = Trial(answer.trial, keyed.text, keyed.sides[::-1] if answer.swapped else keyed.sides)
    if answer.answer not in ANSWERS[trial.form]:
        raise InputError(path, f"the answer {answer.answer!r}", " or ".join(ANSWERS[trial.form]), "leave the file out")
    if answer.after_s < CLOCK_TOLERANCE * keyed.duration_s * len(keyed.sides):
        raise InputError(path, "an answer before the clips were heard", remedy="leave the file out")
    return Vote(listener, trial, answer.answer, key.made_at)
