"""A model in training speaks: its metrics are logged and may decide, and nothing else of the training changes."""

import csv
import json
import math
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from rich.console import Console
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from dtc.errors import InputError
from dtc.evaluation.recognisers import grammar
from dtc.training.interrupts import StopRequest
from dtc.training.logbook import Logbook
from pipeline.batching import Batching
from pipeline.loader import ShardLoader
from stages import listening, paths
from stages.kinds import KINDS
from stages.listening import copy_mels, handful, listening_of, require_computed
from stages.params import load_training
from stages.run_folders import identity_of
from stages.training_recipe import read_recipe
from tests.conftest import REPOSITORY, Project
from tests.dtc.tiny_parallel import config as parallel_config
from tests.stages.conftest import prepared_project
from tests.training_params import run_config

# Twelve clips in a batch: a step is an epoch.
SPEAKING = {"run.acoustic.speak_every": 1, "training.acoustic.epochs": 3, "run.acoustic.epochs_save": 1}
CHOOSING = SPEAKING | {"training.acoustic.keep_best": "word_error_rate"}
PARALLEL = {"acoustic": parallel_config(aligner_steps=2).model_dump(mode="json"), "training.acoustic.epochs": 5}
TRAIN = ("train", "acoustic", "--device", "cpu")
METRICS = ["word_error_rate", "duration_ratio", "ended_share", "word_error_rate_noise"]


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with features."""
    root = tmp_path_factory.mktemp("prepared")
    with prepared_project(root):
        return root


@pytest.fixture
def ready(prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A copy of it to work in."""
    root = tmp_path / "project"
    shutil.copytree(prepared, root)
    monkeypatch.chdir(root)
    return Project(root, root / "recordings")


def rows(curve: Path, *splits: str) -> list[dict[str, str]]:
    return [row for row in csv.DictReader(curve.open()) if row["split"] in splits]


def trained(project: Project, edits: Mapping[str, object], kind: str = "acoustic") -> tuple[bytes, Path, str]:
    """Train from the start; return the bytes of the weights, the curve and what was printed."""
    shutil.rmtree("runs", ignore_errors=True)
    project.write_params(edits)
    printed = project.run("train", kind, "--device", "cpu")
    return Path(f"models/{kind}/model.safetensors").read_bytes(), KINDS[kind].curve, printed  # type: ignore[index]


@pytest.mark.parametrize("model", [{}, PARALLEL], ids=["tacotron2", "parallel"])
def test_speaking_changes_no_weight_and_no_loss(ready: Project, model: dict[str, object]) -> None:
    silent, curve, _ = trained(ready, SPEAKING | model | {"run.acoustic.speak_every": None})
    losses = rows(curve, "train", "validation")
    assert not rows(curve, "spoken")
    speaking, curve, printed = trained(ready, SPEAKING | model)
    assert speaking == silent
    assert rows(curve, "train", "validation") == [row | dict.fromkeys(METRICS, "") | row for row in losses]
    spoken = rows(curve, "spoken")
    assert [int(row["step"]) for row in spoken] == ([3, 4, 5] if model else [1, 2, 3]), "not before the last phase"
    assert all(float(row[name]) >= 0 for row in spoken for name in METRICS)
    assert "acoustic: step 3, spoken: word error rate " in printed
    again, curve, _ = trained(ready, SPEAKING | model)
    assert rows(curve, "spoken") == spoken
    assert again == silent


def test_a_model_speaks_with_the_durations_that_it_will_have(ready: Project) -> None:
    """Two epochs without a calibration leave them at 0.83 of that; a few batches are calibrated with here."""
    _, curve, _ = trained(ready, SPEAKING | PARALLEL)
    assert float(rows(curve, "spoken")[-1]["duration_ratio"]) == pytest.approx(1.0, abs=0.12)
    assert float(rows(curve, "validation")[-1]["duration_ratio"]) > 0, "the loss's own metric has another row"


def test_sounds_of_the_same_few_clips_are_in_tensorboard(ready: Project, monkeypatch) -> None:
    monkeypatch.setattr(listening, "SOUNDS", 1)
    trained(ready, SPEAKING)
    [folder] = Path("runs").glob("*/tensorboard")
    events = EventAccumulator(str(folder)).Reload()
    sounds = [tag for tag in events.Tags()["audio"] if tag.startswith("spoken/")]
    assert sounds == ["spoken/1"]
    assert [event.step for event in events.Audio("spoken/1")] == [1, 2, 3]
    assert [event.step for event in events.Scalars("word_error_rate/spoken")] == [1, 2, 3]


def test_the_handful_is_of_the_validation_clips_and_always_the_same(ready: Project, monkeypatch) -> None:
    split = {entry.id: entry for entry in ShardLoader(paths.FEATURES, "validation", Batching(1)).entries}
    assert {clip.id for clip in handful()} == split.keys(), "all where there are few"
    chosen = [clip.id for clip in handful()]
    monkeypatch.setattr(listening, "MOST_CLIPS", 1)
    assert [clip.id for clip in handful()] == chosen[:1]


def test_the_best_by_ear_is_kept_and_the_card_and_the_report_say_so(ready: Project, monkeypatch) -> None:
    heard = iter([0.5, 0.25, 0.75])
    say = listening.Listening._values
    monkeypatch.setattr(
        listening.Listening,
        "_values",
        lambda *given: say(*given) | {"word_error_rate": next(heard), "word_error_rate_noise": 0.1},
    )
    trained(ready, CHOOSING)
    kept = "the best by word_error_rate, 0.25, of step 2"
    assert json.loads((paths.ACOUSTIC / "config.json").read_text())["kept"] == kept
    ready.run("train", "vocoder", "--device", "cpu")
    ready.write_params(CHOOSING | {"evaluate.ear": "none"})
    ready.run("evaluate", "--device", "cpu")
    ready.run("report")
    page = Path("results/report/index.html").read_text()
    assert kept in page
    assert "the last, of step 1" in page, "the vocoder"


KILLED = """
import os, signal, sys
from stages import listening
from stages.cli import app
values = listening.Listening._values
def killed(self, *given):
    if Path("killed").exists():
        return values(self, *given)
    killed.calls += 1
    if killed.calls == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return values(self, *given)
killed.calls = 0
from pathlib import Path
listening.Listening._values = killed
app()
"""


def test_killed_while_it_listens_it_ends_with_the_same_bytes(ready: Project) -> None:
    """A real process and a real SIGKILL, in the listening of step 2."""
    trained(ready, CHOOSING)
    whole = ready.contents("models/acoustic", "results/curves")
    shutil.rmtree("runs")
    shutil.rmtree("models")
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY)}
    died = subprocess.run([sys.executable, "-c", KILLED, *TRAIN], check=False, env=environment)
    assert died.returncode == -signal.SIGKILL
    assert "continuing from step 1 of 3" in ready.run(*TRAIN)
    assert ready.contents("models/acoustic", "results/curves") == whole


@pytest.mark.parametrize("call", [5, 7])
def test_ctrl_c_while_it_listens_stops_before_the_next_clip(ready: Project, monkeypatch, call: int) -> None:
    """Two clips, and their recordings are recognised at the start: the first clip of steps 2 and 3 is interrupted.

    The validation of that step is not repeated.
    """
    trained(ready, CHOOSING | {"run.acoustic.epochs_test": 1})
    whole = ready.contents("models/acoustic", "results/curves")
    shutil.rmtree("runs")
    calls, transcribe = [0], grammar.GrammarRecogniser.transcribe

    def interrupted(self: grammar.GrammarRecogniser, wave: np.ndarray, sampling_rate: int) -> str:
        calls[0] += 1
        if calls[0] == call:
            os.kill(os.getpid(), signal.SIGINT)
        assert calls[0] <= call
        return transcribe(self, wave, sampling_rate)

    step = (call - 1) // 2
    with monkeypatch.context() as patch:
        patch.setattr(grammar.GrammarRecogniser, "transcribe", interrupted)
        stopped = f"acoustic: stopped at step {step} of 3, saved; `dtc train acoustic --device cpu` continues"
        assert ready.run(*TRAIN, code=130) == stopped
    [curve] = Path("runs").glob("*/history.csv")
    assert [int(row["step"]) for row in rows(curve, "validation")] == list(range(1, step + 1))
    assert [int(row["step"]) for row in rows(curve, "spoken")] == list(range(1, step))
    ready.run(*TRAIN)
    assert ready.contents("models/acoustic", "results/curves") == whole


def test_a_vocoder_copies_the_recorded_mels(ready: Project) -> None:
    speaking = {"run.vocoder.speak_every": 1, "training.vocoder.epochs": 2}
    silent, _, _ = trained(ready, speaking | {"run.vocoder.speak_every": None}, "vocoder")
    chosen, curve, _ = trained(ready, speaking | {"training.vocoder.keep_best": "word_error_rate"}, "vocoder")
    assert [set(row) & set(METRICS) for row in rows(curve, "spoken")] == [
        {"word_error_rate", "word_error_rate_noise"}
    ] * 2
    kept = json.loads((paths.VOCODER / "config.json").read_text())["kept"]
    assert kept.startswith("the best by word_error_rate, ")
    assert kept.endswith(" of step 2") <= (chosen == silent)
    clips = handful()[:2]
    model = torch.nn.Conv1d(80, 1, 1)
    model.forward = lambda mel: mel.mean(dim=1)  # type: ignore[method-assign]
    for clip, copied in zip(clips, copy_mels(model, clips, 1), strict=True):
        assert np.array_equal(copied.wave, clip.mel.mean(dim=0).numpy())


def test_a_model_that_cannot_speak_yet_has_all_words_wrong(ready: Project) -> None:
    ready.write_params(SPEAKING | PARALLEL)
    recipe = read_recipe(KINDS["acoustic"], params := load_training(Path("params.yaml"), "acoustic"))
    logbook = Logbook(ready.root, "acoustic", Console(quiet=True))
    listen = listening_of(recipe, params.run.acoustic, params.evaluate, logbook)
    model = recipe.model()
    torch.nn.init.constant_(model.log_duration.bias, 90.0)  # infinite durations
    with logbook.opened(0, 1):
        values = listen(model, logbook, 3, StopRequest())
    assert values is not None
    assert values.pop("word_error_rate_noise") == pytest.approx(2.0 / math.sqrt(6)), "three words in each of two clips"
    assert values == {"word_error_rate": 1.0, "duration_ratio": 0.0, "ended_share": 0.0}


@pytest.mark.parametrize(
    ("edits", "line"),
    [
        (
            {"training.acoustic.keep_best": "word_error_rate"},
            "run.acoustic.speak_every: null, so nothing is spoken, and training.acoustic.keep_best follows "
            "word_error_rate, expected a number of steps; or set keep_best to another metric",
        ),
        (
            SPEAKING | {"evaluate.ear": "none"},
            "evaluate.ear: none, expected one of whisper, grammar; set one, or run.acoustic.speak_every to null",
        ),
        (
            SPEAKING | {"evaluate.grammar": None},
            "evaluate.grammar: null, expected a JSGF grammar, for the recogniser grammar",
        ),
    ],
)
def test_what_is_missing_is_named_before_the_first_step(ready: Project, edits: dict[str, object], line: str) -> None:
    ready.write_params(edits)
    assert ready.run(*TRAIN, code=2) == line
    assert not list(Path("runs").glob("*/checkpoints"))


def test_a_package_that_is_missing_is_named(ready: Project, monkeypatch) -> None:
    monkeypatch.delitem(sys.modules, "dtc.evaluation.recognisers.grammar")
    monkeypatch.setitem(sys.modules, "pocketsphinx", None)
    ready.write_params(SPEAKING)
    assert ready.run(*TRAIN, code=2) == (
        "evaluate.ear: grammar needs pocketsphinx, which is not installed; install it with "
        "`pip install 'dueling-turing-classifier[train,ear]'`, or set run.acoustic.speak_every to null"
    )


def test_metrics_that_are_not_computed_decide_nothing(monkeypatch) -> None:
    monkeypatch.setattr(listening, "is_installed", lambda measure: measure != "DistillMOS")
    speaking = run_config(speak_every=1)
    with pytest.raises(InputError, match="keep_best: duration_ratio, which"):
        require_computed("vocoder", speaking, {"keep_best": "duration_ratio"})
    with pytest.raises(InputError, match="DistillMOS"):
        require_computed("acoustic", speaking, {"early_stopping": "opinion_score"})
    require_computed("acoustic", speaking, {"keep_best": "ended_share", "lr_scheduler": "loss"})
    require_computed("acoustic", run_config(), {"keep_best": "duration_ratio"})


def test_the_recogniser_is_part_of_the_identity_only_where_it_decides(ready: Project) -> None:
    def identity(edits: Mapping[str, object]) -> Mapping[str, object]:
        ready.write_params(edits)
        params = load_training(Path("params.yaml"), "acoustic")
        return identity_of(read_recipe(KINDS["acoustic"], params), params.run.acoustic).tree

    Path("mine.jsgf").write_text("#JSGF V1.0;\ngrammar mine;\npublic <all> = call one;\n")
    other = {"evaluate.grammar": "mine.jsgf"}
    silent = SPEAKING | {"run.acoustic.speak_every": None}
    assert identity(silent) == identity(SPEAKING) == identity(SPEAKING | other)
    assert not [name for name in identity(SPEAKING)["code"] if "listening" in name or "recognisers" in name]
    by_loss = {"training.acoustic.keep_best": "loss"}
    assert identity(silent | by_loss) == identity(SPEAKING | by_loss), "the speech decides nothing here"
    chosen = identity(CHOOSING)
    assert {"stages.listening", "dtc.evaluation.recognisers.grammar"} <= chosen["code"].keys()
    assert chosen["run"]["speak_every"] == 1
    mine = identity(CHOOSING | other)
    assert mine["evaluate"] != chosen["evaluate"]
    Path("mine.jsgf").write_text("#JSGF V1.0;\ngrammar mine;\npublic <all> = call two;\n")
    assert identity(CHOOSING | other)["evaluate"] != mine["evaluate"], "by its content"
    assert identity(CHOOSING | {"evaluate.max_clips": 1, "evaluate.texts_grammar": None}) == chosen
