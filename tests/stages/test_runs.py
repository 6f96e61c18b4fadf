"""Runs: which continue, are restored, or start over and say why; what `dtc runs` lists and deletes."""

import json
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from dtc.files import locked
from stages import code_identity, paths
from stages.cli import app
from tests.conftest import Project
from tests.stages.conftest import prepared_project
from tests.stages.test_cli import imported_by

EPOCHS = {"training.vocoder.epochs": 4, "run.vocoder.epochs_save": 1}
TRAIN = ("train", "vocoder", "--device", "cpu")


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with features and nothing trained."""
    root = tmp_path_factory.mktemp("prepared")
    with prepared_project(root, EPOCHS):
        return root


@pytest.fixture
def ready(prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    """A copy of it to work in; digests of edited code are not kept for the next test."""
    root = tmp_path / "project"
    shutil.copytree(prepared, root)
    monkeypatch.chdir(root)
    project = Project(root, root / "recordings")
    project.write_params(EPOCHS)
    yield project
    code_identity._digest_of.cache_clear()


def interrupt(monkeypatch: pytest.MonkeyPatch, project: Project, step: int) -> str:
    """Train until a step is done, as if Ctrl-C had been pressed then; return the last line."""
    from dtc.training import loop

    do_step = loop.Training.do_step

    def interrupted(training: loop.Training, batch: object) -> dict[str, float]:
        values = do_step(training, batch)  # type: ignore[arg-type]
        training.review.stop.requested = training.state.step == step
        return values

    with monkeypatch.context() as patch:
        patch.setattr(loop.Training, "do_step", interrupted)
        return project.run(*TRAIN, code=130)


def the_run(kind: str = "vocoder") -> Path:
    [folder] = paths.RUNS.glob(f"{kind}-*")
    return folder


def edit_code(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, module: str, old: str, new: str) -> None:
    """Have a module's source be another one, as after an edit; what is imported stays as it is."""
    source = code_identity._file_of(module).read_text()
    assert source.count(old) == 1
    edited = tmp_path / "edited" / "module.py"
    edited.parent.mkdir(exist_ok=True)
    edited.write_text(source.replace(old, new))
    file_of = code_identity._file_of
    monkeypatch.setattr(code_identity, "_file_of", lambda name: edited if name == module else file_of(name))
    code_identity._digest_of.cache_clear()


SPEAK = "def training_loss("


def test_logging_comments_new_paths_and_a_moved_folder_lose_nothing(
    ready: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (
        interrupt(monkeypatch, ready, 2)
        == "vocoder: stopped at step 2 of 4, saved; `dtc train vocoder --device cpu` continues"
    )
    ready.root.rename(tmp_path / "moved")
    monkeypatch.chdir(tmp_path / "moved")
    moved = Project(tmp_path / "moved", ready.corpus)
    how = {"run.vocoder.tensorboard_update": 3, "run.vocoder.epochs_save": 7, "run.vocoder.epochs_test": 5}
    moved.write_params(EPOCHS | how)
    comment = f"# A comment.\n    {SPEAK}"
    edit_code(monkeypatch, tmp_path, "dtc.vocoder.vocos", SPEAK, comment)
    (tmp_path / "paths").mkdir()
    edit_code(monkeypatch, tmp_path / "paths", "stages.paths", "SPOKEN = ", 'ANOTHER = Path("another")\nSPOKEN = ')
    printed = moved.run(*TRAIN)
    assert "vocoder: continuing from step 2 of 4" in printed
    assert "starts over" not in printed


def test_a_change_that_starts_over_is_told_and_what_it_changed_goes_on(
    ready: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupt(monkeypatch, ready, 2)
    old = the_run()
    ready.write_params(EPOCHS | {"training.vocoder.seed": 5})
    with monkeypatch.context() as patch:
        edit_code(patch, tmp_path, "dtc.vocoder.vocos", SPEAK, f"ANOTHER = 1\n\n    {SPEAK}")
        lines = ready.run(*TRAIN).splitlines()
    assert lines[0] == "vocoder: starts over, as this changed: training.vocoder.seed 1 → 5, code of dtc.vocoder.vocos"
    assert lines[1] == (
        f"vocoder: {old} stays at step 2/4; to continue it, stop this, change it back and run `dtc train vocoder` again"
    )
    code_identity._digest_of.cache_clear()
    ready.write_params(EPOCHS)
    assert "vocoder: continuing from step 2 of 4" in ready.run(*TRAIN)


def test_a_finished_run_is_restored_with_equal_bytes(ready: Project) -> None:
    """As `dvc repro` after a changed comment, which deletes the outputs and runs the stage."""
    first_lines = ready.run(*TRAIN)
    first = ready.contents("models", "results/curves", "results/metrics")
    shutil.rmtree("models")
    shutil.rmtree("results/curves")
    paths.VOCODER_METRICS.unlink()
    left = the_run() / "checkpoints/00000004.pt"  # as by a kill after the model was saved
    left.touch()
    printed = ready.run(*TRAIN)
    assert not left.exists()
    assert f"vocoder: is complete already, restored from {the_run()}; `dtc runs --prune {the_run().name}`" in printed
    assert ready.contents("models", "results/curves", "results/metrics") == first
    assert printed.splitlines()[-5:] == first_lines.splitlines()[-5:], "the same table"
    (the_run() / "model/model.safetensors").write_bytes(b"damaged")
    line = ready.run(*TRAIN, code=2)
    assert line.endswith(f"; run `dtc runs --prune {the_run().name}`, then train again")
    ready.run("runs", "--prune", "--yes", the_run().name)
    assert "restored" not in ready.run(*TRAIN)
    assert ready.contents("models", "results/curves", "results/metrics") == first


def test_a_profile_is_a_file_of_its_run(ready: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("SIZE", 64), ("COUNTED_STEPS", 1), ("PROFILED_STEPS", 2)):
        monkeypatch.setattr(f"dtc.training.profile.{name}", value)
    printed = ready.run(*TRAIN, "--profile")
    assert f"profile: {the_run()}/profile.json.gz," in printed
    assert (the_run() / "profile.json.gz").is_file()
    assert "vocoder: no step is done, so none is profiled" in ready.run(*TRAIN, "--profile")
    ready.run("runs", "--prune", "--yes", the_run().name)


def test_runs_are_listed(ready: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    assert ready.run("runs") == "runs: there are none\n"
    interrupt(monkeypatch, ready, 2)
    old = the_run().name
    ready.write_params(EPOCHS | {"training.vocoder.seed": 5})
    ready.run(*TRAIN)
    rows = {row.split()[0]: row for row in ready.run("runs").splitlines() if "vocoder-" in row}
    assert len(rows) == 2
    assert re.search(r"vocos +2/4 +unfinished +\d+\.\d +\d\d-.* no\b", rows.pop(old))
    [current] = rows.values()
    assert re.search(r"vocos +4/4 +finished +\d+\.\d +\d\d-.* yes\b", current)
    ready.write_params(EPOCHS | {"audio.mel_fmax": 7000.0})
    printed = ready.run("runs")
    assert len(re.findall(r" \?\s", printed)) == 2
    assert "runs: which vocoder run is current is not known: data/features and params.yaml: different mels" in printed


def test_pruning_keeps_what_params_yaml_would_use(ready: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    interrupt(monkeypatch, ready, 2)
    first = the_run()
    ready.write_params(EPOCHS | {"training.vocoder.seed": 5})
    interrupt(monkeypatch, ready, 1)
    (paths.RUNS / "mine").mkdir()
    (paths.RUNS / "mine/notes.txt").write_text("a user's")
    assert "runs: 1 run deleted, " in ready.run("runs", "--prune", "--yes")
    assert not list(paths.RUNS.glob(f"*{first.name}*")), "neither the run nor its lock is left"
    assert (paths.RUNS / "mine/notes.txt").is_file()
    assert paths.PREPROCESSED.is_file()
    second = the_run()
    ready.write_params(EPOCHS | {"audio.mel_fmax": 7000.0})
    line = ready.run("runs", "--prune", code=2)
    assert line.endswith("; mend it, or name the runs to delete")
    assert second.is_dir()
    assert "runs: 1 run deleted, " in ready.run("runs", "--prune", "--yes", f"runs/{second.name}/")
    assert not second.exists()
    assert ready.run("runs", "--prune", "vocoder-0", code=2) == ("runs: no run vocoder-0; see `dtc runs`")


def test_pruning_shows_what_would_go_and_asks(ready: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    interrupt(monkeypatch, ready, 1)
    name = the_run().name
    ready.write_params(EPOCHS | {"training.vocoder.seed": 5})
    for answer, line, code in (
        ("", "dtc: standard input: no answer, expected y or n; add --yes to go ahead without a question", 2),
        ("n\n", "runs: nothing was deleted", 0),
        ("\n", "runs: nothing was deleted", 0),
        ("y\n", "runs: 1 run deleted, ", 0),
    ):
        assert the_run().is_dir()
        result = CliRunner().invoke(app, ["runs", "--prune"], input=answer)
        assert result.exit_code == code
        assert name in result.stdout
        assert line in result.output
        assert "Delete 1 run, 0." in result.stdout
    assert not list(paths.RUNS.glob("vocoder-*"))
    assert ready.run("runs", "--prune") == "runs: there are none to delete\n"


def test_a_training_shows_its_steps_from_the_first_one(ready: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    from dtc.training import loop

    do_step, seen = loop.Training.do_step, []

    def looked_at(training: loop.Training, batch: object) -> dict[str, float]:
        seen.append(ready.run("runs"))
        seen.append(ready.run("runs", "--prune"))
        return do_step(training, batch)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(loop.Training, "do_step", looked_at)
        ready.run(*TRAIN)
    assert re.search(r"vocos +0/4 +in training", seen[0])
    assert f"{the_run().name} is being trained by process {os.getpid()} on " in seen[0]
    assert seen[1] == "runs: there are none to delete\n"
    assert re.search(r"vocos +1/4 +in training", seen[2])


def test_runs_are_listed_without_torch(ready: Project) -> None:
    ready.run(*TRAIN)
    for arguments in (["runs"], ["runs", "--prune"]):
        assert not imported_by(*arguments) & {"torch", "numpy", "safetensors"}


def test_what_a_run_did_not_write_is_not_deleted(ready: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    interrupt(monkeypatch, ready, 1)
    (the_run() / "notes.txt").write_text("a user's")
    before = ready.contents("runs")
    line = ready.run("runs", "--prune", "--yes", the_run().name, code=2)
    assert line == f"{the_run()}: holds what dtc did not write (notes.txt), expected nothing else; move them elsewhere"
    assert ready.contents("runs").keys() >= before.keys()


def test_a_run_that_another_process_trains_is_refused(ready: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    interrupt(monkeypatch, ready, 1)
    with locked(the_run()):
        line = ready.run(*TRAIN, code=2)
    assert line.startswith(f"{the_run()}: is being written by process {os.getpid()} on ")
    assert "vocoder: continuing from step 1 of 4" in ready.run(*TRAIN)


def test_a_run_of_an_older_version_is_listed_and_told(ready: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    interrupt(monkeypatch, ready, 2)
    old = the_run()
    for name in ("run.json", "progress.json"):
        (old / name).unlink()
    ready.write_params(EPOCHS | {"training.vocoder.seed": 5})
    assert "vocoder: starts over, as this changed: the version of dtc" in ready.run(*TRAIN)
    assert old.name in ready.run("runs")


def test_a_model_with_nothing_to_train_has_a_run_too(ready: Project) -> None:
    griffin_lim = {"model": "griffin_lim", "train_on": "recorded", "iterations": 2, "momentum": 0.99}
    ready.write_params({"vocoder": griffin_lim})
    ready.run(*TRAIN)
    first = ready.contents("models", "results/curves")
    assert json.loads(first["models/vocoder/config.json"])["steps"] == 0
    assert "complete already" in ready.run(*TRAIN)
    assert ready.contents("models", "results/curves") == first
