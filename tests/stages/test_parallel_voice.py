"""The parallel model in every command of a project, and what is asked of models with attention alone."""

import csv
import json
import re
import shutil
from pathlib import Path

import pytest

from pipeline.shards import read_index
from stages import paths
from tests.conftest import Project
from tests.dtc.tiny_parallel import config

TRAINING = {
    "acoustic": config(aligner_steps=2).model_dump(mode="json"),
    "training.acoustic.batch_size": 4,
    "training.acoustic.epochs": 2,
}


@pytest.fixture
def parallel(voice: Path, project: Project) -> Project:
    """The features and the vocoder of a tiny voice, and params that want a parallel model."""
    for folder in ("data", "models"):
        shutil.copytree(voice / folder, folder)
    shutil.rmtree(paths.ACOUSTIC)
    project.write_params(TRAINING | {"vocoder.train_on": "gta", "evaluate.ear": "none"})
    return project


def test_from_features_to_a_report(parallel: Project) -> None:
    parallel.run("train", "acoustic", "--device", "cpu")
    rows = list(csv.DictReader(paths.ACOUSTIC_CURVE.open()))
    assert {row["split"] for row in rows if row["mel"]} == {"train", "validation"}
    parallel.run("align", "--device", "cpu")
    frames = [[shard.frames for shard in read_index(folder).shards] for folder in (paths.FEATURES, paths.GTA)]
    assert frames[0] == frames[1]
    parallel.run("train", "vocoder", "--device", "cpu")
    parallel.run("evaluate", "--device", "cpu")
    metrics = json.loads(paths.EVALUATION.read_text())
    assert (metrics["ended_share"], metrics["attempts_per_phrase"]) == (1, 1)
    assert "attention_focus" not in metrics
    assert "attention_diagonality" not in metrics
    page = Path("results/report/index.html").read_text()
    assert "Alignment of the words of" in page
    assert "Attention focus" not in page


def test_it_speaks_at_a_pace(parallel: Project) -> None:
    parallel.run("train", "acoustic", "--device", "cpu")
    for name, pace in (("usual", 1.0), ("slow", 4.0)):
        parallel.write_params(TRAINING | {"synthesis.pace": pace})
        parallel.run("say", "call one", "--device", "cpu", "--out", name)
    usual, slow = (json.loads(Path(name, "001-call-one.json").read_text()) for name in ("usual", "slow"))
    assert slow["duration_s"] > 1.5 * usual["duration_s"]
    assert usual["status"] == slow["status"] == "ended"
    assert slow["synthesis"]["pace"] == 4


def test_a_pace_is_refused_by_a_model_that_predicts_no_durations(voice: Path, project: Project) -> None:
    shutil.copytree(voice / "models", "models")
    project.write_params({"synthesis.pace": 1.5})
    line = project.run("say", "call one", "--device", "cpu", code=2)
    assert line == ("synthesis.pace: 1.5, expected 1 with the acoustic model tacotron2, which predicts no durations")


def test_a_text_that_does_not_fit_names_its_clip(parallel: Project) -> None:
    shutil.rmtree("data")
    metadata = parallel.corpus / "metadata.csv"
    metadata.write_text(metadata.read_text().replace("call", "call one two three four"))
    parallel.write_params(TRAINING)
    for command in ("download", "verify", "preprocess"):
        parallel.run(command)
    line = parallel.run("train", "acoustic", "--device", "cpu", code=2)
    assert re.match(r"clip-\d+: the text does not fit: 3\d symbols in [12]\d frames, expected [34]\d frames or", line)
