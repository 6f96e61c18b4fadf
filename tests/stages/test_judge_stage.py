"""`dtc judge` in a project: what it writes and says, and what it refuses."""

import json
from collections.abc import Callable

import numpy as np
import pytest
import torch

from dtc.evaluation.intervals import Interval
from dtc.evaluation.speech_folder import COPY, RECORDING, SYNTHESIS, SpokenWaves, write_speech_folder
from dtc.judge import trial
from dtc.report.findings import Contest, Ruling
from stages import judge as stage
from stages import paths
from stages.judge_verdict import NAMES, next_step
from stages.report_findings import read_findings
from tests.conftest import Project

QUICK = {"judge.folds": 2, "judge.steps": 2, "judge.draws": 20}
INSTALLED, MISSING = "installed", "missing"


def write_speech(texts: int, change: Callable[[np.ndarray], np.ndarray] = lambda wave: wave) -> None:
    """Noise in place of recordings and copies; the synthesis is changed."""
    rng = np.random.default_rng(1)
    kinds = {RECORDING: lambda wave: wave, COPY: lambda wave: wave, SYNTHESIS: change}
    spoken = [
        SpokenWaves(f"clip-{n}", f"text {n}", {kind: torch.from_numpy(each(wave)) for kind, each in kinds.items()})
        for n, wave in enumerate(0.1 * rng.standard_normal((texts, 10_000)))
    ]
    write_speech_folder(paths.SCP, spoken, 16_000, {"voice": "0123"})


@pytest.fixture
def ready(project: Project, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project with waveforms of five texts, and quick settings; pictures are made of one clip only."""
    monkeypatch.setattr(trial, "SUREST", 1)
    project.write_params(QUICK)
    write_speech(5)
    return project


def test_it_writes_contests_metrics_and_saliency_and_the_same_bytes_again(ready: Project) -> None:
    said = ready.run("judge").splitlines()
    assert (
        said[-1]
        == "judge: no difference was found in 5 texts, but 5 are few: raise evaluate.max_clips or split.test_share"
    )
    assert "judge: scores and saliency in results/judge" in said
    metrics = json.loads(paths.JUDGE_METRICS.read_text())
    assert list(metrics) == ["vocoder", "acoustic", "control"]
    assert {"auc", "auc_low", "auc_high", "equal_error_rate", "pairs_right", "p"} <= metrics["vocoder"].keys()
    contests = json.loads((paths.JUDGE / "contests.json").read_text())
    assert [(each["name"], each["blames"]) for each in contests] == [
        ("vocoder", "the vocoder"),
        ("acoustic", "the acoustic model"),
        ("control", ""),
    ]
    assert contests[1]["pairs"] == [[f"clip-{n}"] * 2 for n in range(5)]
    assert np.array(contests[1]["scores"]["network"]).shape == (5, 2)
    assert contests[1]["auc"] == metrics["acoustic"]["auc"]
    pictures = [each["file"] for contest in contests for each in contest["surest"]]
    assert pictures == ["vocoder-1.png", "acoustic-1.png"]
    assert sorted(path.name for path in paths.JUDGE.iterdir()) == sorted([*pictures, "contests.json"])

    written = ready.contents("results")
    ready.run("judge")
    assert ready.contents("results") == written


@pytest.mark.parametrize("is_installed", [pytest.param(True, id=INSTALLED), pytest.param(False, id=MISSING)])
def test_the_judge_by_speaker_embeddings_is_held_where_its_package_is_installed(
    ready: Project, monkeypatch: pytest.MonkeyPatch, is_installed: bool
) -> None:
    monkeypatch.setattr(stage, "is_installed", lambda measure: is_installed)
    monkeypatch.setattr(
        stage, "speaker_vectors", lambda pairs, rate: np.random.default_rng(1).normal(size=(len(pairs), 2, 4))
    )
    said = ready.run("judge")
    line = "judge: no judge by speaker embeddings: pip install --no-deps Resemblyzer\n"
    assert (line in said) is not is_installed
    assert ("speaker_auc" in json.loads(paths.JUDGE_METRICS.read_text())["acoustic"]) is is_installed


def test_one_text_is_too_few(ready: Project) -> None:
    write_speech(3)
    said = ready.run("judge")
    assert "judge: contest control not held: it needs 2 pairs of clips or more" in said
    found = read_findings()
    assert [each.found for each in found.contests] == ["too few texts to tell"] * 2
    assert [f"judge: {sentence}" for sentence in found.judge_says] == said.splitlines()[-2:]
    assert list(json.loads(paths.JUDGE_METRICS.read_text())) == ["vocoder", "acoustic"]
    write_speech(1)
    assert ready.run("judge").splitlines()[-1] == (
        "judge: there are too few held-out texts to judge by; raise evaluate.max_clips or split.test_share"
    )
    assert json.loads(paths.JUDGE_METRICS.read_text()) == {}


def test_what_it_refuses(ready: Project) -> None:
    own = paths.JUDGE / "notes.txt"
    own.parent.mkdir(parents=True)
    own.write_text("mine")
    assert ready.run("judge", code=2) == (
        "results/judge: holds what dtc did not write (notes.txt), expected nothing else; move the other files away"
    )
    assert own.read_text() == "mine"
    own.unlink()
    ready.write_params({"judge.folds": 1})
    assert ready.run("judge", code=2).startswith("params.yaml: judge.folds: ")
    ready.write_params(QUICK)
    (paths.SCP / "text").unlink()
    assert ready.run("judge", code=2) == "results/scp/text: no such file; run `dtc evaluate` first"


def contest(name: str, auc: float, told_apart: bool) -> Contest:
    rate = Interval(0.5, 0.4, 0.6)
    ruling = Ruling("network", Interval(auc, auc - 0.1, auc), rate, rate, 0.01)
    return Contest(name, "it", "a", "b", 40, told_apart, None, [ruling], [])


@pytest.mark.parametrize(
    ("told", "beginning"),
    [
        (
            {"control": 0.8, "vocoder": 0.9},
            "do not rely on this: recordings are told from other recordings (AUC 0.80, 0.70 to 0.80)",
        ),
        (
            {"vocoder": 0.9},
            "copies are told from recordings (AUC 0.90, 0.80 to 0.90): mend the vocoder first: train it for longer (training.vocoder)",
        ),
        (
            {"vocoder": 0.9, "acoustic": 0.7},
            "copies are told from recordings (AUC 0.90, 0.80 to 0.90); synthesis is told from copies too (AUC 0.70, 0.60 to 0.70): mend",
        ),
        (
            {"acoustic": 0.7},
            "synthesis is told from copies (AUC 0.70, 0.60 to 0.70), and copies are not told from recordings: mend the acoustic model",
        ),
        ({}, "no difference was found in 40 texts: let people try, with `dtc duel`"),
    ],
)
def test_the_last_line_says_what_to_do_next(told: dict[str, float], beginning: str) -> None:
    contests = [contest(name, told.get(name, 0.55), name in told) for name in NAMES]
    assert next_step(contests).startswith(beginning)
