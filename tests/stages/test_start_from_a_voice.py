"""A training that starts from a trained model, through the command line: what it says, and that it can be resumed."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from dtc.model_folder import read_model
from stages import paths
from stages.train import _is_watched
from tests.conftest import REPOSITORY, Project, write_corpus
from tests.dtc.nvidia_tensors import SMALL, random_state_dict
from tests.stages.conftest import prepare
from tests.stages.test_parallel_voice import TRAINING

ACOUSTIC = ("train", "acoustic", "--device", "cpu")
OTHER = {"training.acoustic.seed": 2, "training.acoustic.epochs": 4, "run.acoustic.epochs_save": 1}
FROM_BASE = OTHER | {"training.acoustic.start_from": {"folder": "base/acoustic", "take": ["*"]}}
KILLED = """
import os, signal, sys
from dtc.training import loop
do_step = loop.Training.do_step
def killed(training, batch):
    values = do_step(training, batch)
    if training.state.step == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return values
loop.Training.do_step = killed
from stages.__main__ import main
main()
"""


@pytest.fixture
def based(voice: Path, project: Project) -> Project:
    """A project with the features of a voice, and the voice itself in `base`."""
    shutil.copytree(voice / "data", "data")
    shutil.copytree(voice / "models", "base")
    project.write_params(FROM_BASE)
    return project


def trained() -> dict[str, torch.Tensor]:
    return read_model(paths.ACOUSTIC, "acoustic")[1]


def the_run() -> Path:
    [folder] = paths.RUNS.glob("acoustic-*")
    return folder


def test_a_voice_started_from_another_one(based: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    printed = based.run(*ACOUSTIC)
    source, base = read_model(Path("base/acoustic"), "acoustic")
    assert "acoustic: starts from base/acoustic (tacotron2, 1 step, fingerprint " in printed
    assert source.fingerprint in printed
    assert re.search(r"\nencoder +taken +\d+ +convolutions, lstm +\n", printed)
    table = printed[printed.index("\npart ") : printed.index("acoustic: mels are normalised by its statistics")]
    assert max(map(len, table.splitlines())) <= 80
    card, started = read_model(paths.ACOUSTIC, "acoustic")
    assert card.started_from == source.fingerprint
    assert (card.mel_mean, card.mel_deviation) == (source.mel_mean, source.mel_deviation)
    based.write_params(OTHER)
    assert "starts from" not in based.run(*ACOUSTIC)
    fresh = trained()
    name = "encoder.lstm.weight_hh_l0"
    distances = [(each[name] - base[name]).abs().max().item() for each in (started, fresh)]
    assert 0 < distances[0] < distances[1] / 5
    based.write_params(FROM_BASE | {"training.acoustic.start_from": {"folder": "base/acoustic", "take": ["encoder.*"]}})
    printed = based.run(*ACOUSTIC)
    assert "mels are normalised" not in printed


def test_killed_and_run_again_it_ends_as_if_never_killed(based: Project) -> None:
    based.run(*ACOUSTIC)
    expected = (paths.ACOUSTIC / "model.safetensors").read_bytes()
    shutil.rmtree(paths.RUNS)
    shutil.rmtree(paths.ACOUSTIC)
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, *ACOUSTIC], env=environment, capture_output=True, timeout=200
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    progress = json.loads((the_run() / "progress.json").read_text())
    assert progress["step"] == 2
    printed = based.run(*ACOUSTIC)
    assert "continuing from step 2" in printed
    assert "starts from" not in printed
    assert (paths.ACOUSTIC / "model.safetensors").read_bytes() == expected
    assert "is complete already" in based.run(*ACOUSTIC)


def test_another_source_starts_over(based: Project) -> None:
    based.run(*ACOUSTIC)
    first = the_run()
    shutil.rmtree("base/acoustic")
    shutil.copytree(paths.ACOUSTIC, "base/acoustic")
    assert "starts from base/acoustic (tacotron2, 4 steps" in based.run(*ACOUSTIC)
    assert len(list(paths.RUNS.glob("acoustic-*"))) == 2
    shutil.rmtree(first)
    assert based.run("runs").count("acoustic-") == 1


@pytest.mark.parametrize(("dependency", "is_told"), [("data/features", True), ("base", False)])
def test_that_dvc_does_not_watch_it_is_told(
    based: Project, monkeypatch: pytest.MonkeyPatch, dependency: str, is_told: bool
) -> None:
    monkeypatch.setenv("DVC_STAGE", "train_acoustic")
    Path("dvc.yaml").write_text(json.dumps({"stages": {"train_acoustic": {"deps": [dependency]}}}))
    line = "acoustic: DVC does not watch base/acoustic, and will not notice a change there: add it to the deps of "
    assert (f"{line}train_acoustic in dvc.yaml\n" in based.run(*ACOUSTIC)) == is_told
    assert not _is_watched("base/acoustic", "a stage that dvc.yaml does not have")


def test_from_nvidias_checkpoint_to_a_voice_in_its_format(project: Project, voice: Path) -> None:
    """The mels stay as NVIDIA's are, so that what was trained can be exported again."""
    audio = {"audio.sampling_rate": 22050, "audio.mel_fmax": 8000.0}
    project.corpus = write_corpus(project.root / "higher", sampling_rate=22050)
    torch.save({"iteration": 1000, "state_dict": random_state_dict(SMALL)}, "theirs.pt")
    project.run("import", "nvidia-tacotron2", "theirs.pt", "--out", "base/acoustic")
    card, _ = read_model(Path("base/acoustic"), "acoustic")
    start = {"folder": "base/acoustic", "take": ["*"]}
    edits = {"acoustic": card.config, "training.acoustic.start_from": start} | audio
    shutil.copytree(voice / "data", "data")
    project.write_params({"training.acoustic.start_from": start, "acoustic": card.config})
    line = project.run(*ACOUSTIC, code=2)
    assert line.startswith("base/acoustic and params.yaml: different mels: sampling_rate 22050 against 16000; start")
    shutil.rmtree("data")
    project.write_params(edits)
    prepare(project)
    assert "mels are normalised by its statistics" in project.run(*ACOUSTIC)
    card, weights = read_model(paths.ACOUSTIC, "acoustic")
    assert set(card.mel_mean) == {0.0}
    assert not weights["mel_mean"].any()
    project.run("export", "nvidia-tacotron2", "ours.pt")


def test_refusals(based: Project) -> None:
    """Each before the first step."""
    start = "training.acoustic.start_from"
    shutil.copytree("base/acoustic", paths.ACOUSTIC)
    based.write_params(FROM_BASE | {start: {"folder": "models/acoustic", "take": ["*"]}})
    assert based.run(*ACOUSTIC, code=2) == (
        f"{start}.folder: models/acoustic is where this training writes its model, expected another folder; copy it, and "
        "name the copy"
    )
    based.write_params(FROM_BASE | {start: {"folder": "base", "take": ["*"]}})
    assert based.run(*ACOUSTIC, code=2).startswith(
        "base/config.json: no such file, expected a trained acoustic model; "
    )
    based.write_params(FROM_BASE | TRAINING)
    assert based.run(*ACOUSTIC, code=2).startswith(f"{start}.folder: base/acoustic is a model tacotron2, whose weights")
    based.write_params(FROM_BASE | {start: {"folder": "base/acoustic", "take": ["encodr.*"]}})
    assert based.run(*ACOUSTIC, code=2).startswith(f"{start}.take: no tensor of the model matches encodr.*, expected ")


def test_a_vocoder_started_from_another_one(based: Project) -> None:
    vocoder = ("train", "vocoder", "--device", "cpu")
    start = {"training.vocoder.seed": 2, "training.vocoder.start_from": {"folder": "base/vocoder", "take": ["*"]}}
    based.write_params(start)
    printed = based.run(*vocoder)
    card, _ = read_model(Path("base/vocoder"), "vocoder")
    assert f"vocoder: starts from base/vocoder (vocos, 1 step, fingerprint {card.fingerprint})" in printed
    assert read_model(paths.VOCODER, "vocoder")[0].started_from == card.fingerprint
