"""The parallel model in every command of a project, and what is asked of models with attention alone."""

import csv
import io
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from dtc.acoustic.base import load_acoustic
from dtc.model_card import read_card
from dtc.voice import Voice
from pipeline.batching import Batching
from pipeline.loader import ShardLoader
from pipeline.shards import read_index
from stages import paths
from stages.kinds import KINDS
from stages.params import load_training
from stages.training_recipe import read_recipe
from tests.conftest import Project, default_params, sound_bytes
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
    parallel.run("report")
    page = Path("results/report/index.html").read_text()
    assert "Alignment of the words of" in page
    assert "Attention focus" not in page


def test_a_start_from_a_trained_aligner_trains_it_for_few_steps(parallel: Project) -> None:
    parallel.run("train", "acoustic", "--device", "cpu")
    shutil.copytree(paths.ACOUSTIC, "base")
    acoustic = config(aligner_steps=20).model_dump(mode="json")

    def write_params(take: str) -> None:
        start = {"folder": "base", "take": [take]}
        parallel.write_params(TRAINING | {"acoustic": acoustic, "training.acoustic.start_from": start})

    def aligner_steps() -> int:
        return read_recipe(KINDS["acoustic"], load_training(paths.PARAMS, "acoustic")).config.aligner.steps

    write_params("encoder.*")
    assert aligner_steps() == 20, "the aligner is new"
    write_params("*")
    printed = parallel.run("train", "acoustic", "--device", "cpu")
    assert "acoustic.aligner.steps 20 → 2, as this part is trained already" in printed
    assert "step 2: phase 2 of 2 begins" in printed
    assert aligner_steps() == read_card(paths.ACOUSTIC, "acoustic").config["aligner"]["steps"] == 2
    tree = json.loads(Path("base/config.json").read_text())
    tree["alphabet"].remove("e")
    Path("base/config.json").write_text(json.dumps(tree))
    assert aligner_steps() == 20, "a symbol is new"


def test_the_durations_of_the_trained_model_are_as_long_as_the_recordings(parallel: Project) -> None:
    """Two epochs without a calibration leave them at 0.83 of that."""
    parallel.run("train", "acoustic", "--device", "cpu")
    model, _ = load_acoustic(paths.ACOUSTIC, torch.device("cpu"))
    batches = ShardLoader(paths.FEATURES, "train", Batching(4, None, seed=1)).epoch(0)
    with torch.inference_mode():
        losses = [(model.training_loss(batch, step=2)["duration_ratio"], batch.mel_lengths.sum()) for batch in batches]
    predicted = sum(ratio * frames for ratio, frames in losses) / sum(frames for _, frames in losses)
    assert predicted.item() == pytest.approx(1.0, abs=0.02)  # trained in bfloat16, where the hardware has it


def test_it_speaks_at_a_pace(parallel: Project) -> None:
    parallel.run("train", "acoustic", "--device", "cpu")
    for name, pace in (("usual", 1.0), ("slow", 4.0)):  # untrained, some durations are below the least of a frame
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
    # With the limit of the presets, which is less than the frames in a second, it is found before.
    usual = default_params()["verify"]["max_characters_per_s"]
    parallel.write_params(TRAINING | {"verify.max_characters_per_s": usual})
    assert re.search(r"3\d characters in 0.\d\d s, .* a second, expected at most 35 ", parallel.run("verify", code=2))
    assert usual < read_index(paths.FEATURES).audio.frames_per_s


def test_the_voice_pauses_as_the_corpus_does(parallel: Project) -> None:
    """Of its six training clips, each has three sentences and, between these, silences of 0.25 s."""
    shutil.rmtree("data")
    sound, silence = soundfile.read(io.BytesIO(sound_bytes(0.3)), dtype="int16")[0], np.zeros(4000, np.int16)
    for number, path in enumerate(sorted((parallel.corpus / "wavs").iterdir())):
        wave = np.concatenate([sound, silence, sound, silence, np.roll(sound, number)])
        soundfile.write(path, wave, 16000)
    metadata = parallel.corpus / "metadata.csv"
    metadata.write_text("".join(f"clip-{number:03d}|One. Call! Two.\n" for number in range(12)))
    for command in ("download", "verify", "preprocess"):
        parallel.run(command)
    null = {f"synthesis.{name}": None for name in ("longest_phrase", "sentence_pause_s", "clause_pause_s")}
    parallel.write_params(TRAINING | null)
    parallel.run("train", "acoustic", "--device", "cpu")
    pauses = Voice.load("models").acoustic_card.pauses
    assert pauses is not None
    assert (pauses.sentence_s, pauses.clause_s) == (pytest.approx(0.25, abs=0.02), None)
    parallel.run("say", "Call. Two.", "--device", "cpu")
    first, second = json.loads(Path("spoken/001-call-two.json").read_text())["phrases"]
    assert first["start_s"] == 0 < second["start_s"]
