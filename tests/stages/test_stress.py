"""`dtc evaluate --stress` with a voice of one epoch, and PocketSphinx in this process."""

import csv
import json
import re
import shutil
from pathlib import Path

import pytest

from dtc.evaluation import RECOGNISERS
from dtc.evaluation.stress_texts import StressText
from dtc.wav_mark import read_mark
from stages import paths
from tests.conftest import Project

TEXTS = [
    StressText("one word", "call"),
    StressText("words in a new order", "three one hen"),
    StressText("marks only", "?!"),
]


def transcribe_here(requests, sampling_rate):
    """Do what the worker processes do, which take seconds to start."""
    hear = RECOGNISERS.get("grammar")(requests[0][0])
    assert len({config for config, _ in requests}) == 1
    return [hear.transcribe(wave, sampling_rate) for _, wave in requests]


def test_the_stress_list_is_spoken_and_counted(voice: Path, project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    for folder in ("data", "models"):
        shutil.copytree(voice / folder, folder)
    project.write_params({"evaluate.max_clips": 1})
    monkeypatch.setattr("stages.stress.stress_texts", lambda corpus, is_readable, seed: TEXTS)
    monkeypatch.setattr("stages.stress.transcribe_all", transcribe_here)
    said = project.run("evaluate", "--stress", "--device", "cpu")
    assert "of the words of the recordings wrong" in said
    rows = list(csv.DictReader(paths.STRESS.open()))
    assert [(row["kind"], row["text"]) for row in rows] == [(each.kind, each.text) for each in TEXTS]
    assert [row["status"] == "refused" for row in rows] == [False, False, True]
    metrics = json.loads(paths.STRESS_METRICS.read_text())
    assert (metrics["texts"], metrics["refused"], metrics["words"]) == (3, 1, 4)
    assert metrics["word_errors"] == sum(int(row["word_errors"] or 0) for row in rows)
    assert metrics["word_error_rate_low"] <= metrics["word_error_rate"] <= metrics["word_error_rate_high"]
    assert metrics["kinds"]["marks only"]["refused"] == 1
    assert metrics["new_words"] == metrics["kinds"]["words in a new order"]["new_words"] == 1
    assert "word_error_rate" not in metrics["kinds"]["marks only"], "0 / 0 is no number in JSON"
    assert {"call", "one", "two"} <= set(re.findall(r"[\w']+", paths.STRESS_GRAMMAR.read_text()))
    wavs = sorted(paths.STRESS_WAVS.glob("*.wav"))
    assert [path.name for path in wavs] == ["001-call.wav", "002-three-one-hen.wav"]
    assert all(read_mark(path.read_bytes()).synthetic for path in wavs)


def test_a_stress_list_without_a_recogniser_is_refused(project: Project) -> None:
    project.write_params({"evaluate.ear": "none"})
    line = project.run("evaluate", "--stress", code=2)
    assert line == "evaluate.ear: none, expected a recogniser, which hears the stress list; set it to whisper"
