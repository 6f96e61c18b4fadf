"""`dtc debug-batch`: the batch that has stopped a training, clip by clip."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from dtc.batch import Batch
from dtc.training import task
from stages import paths
from tests.conftest import Project, write_corpus
from tests.stages.conftest import prepare

POISONED = "clip-004"


@pytest.fixture(scope="module")
def ready(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """A project with features; its folder is the working folder."""
    root = tmp_path_factory.mktemp("debugged")
    project = Project(root, write_corpus(root / "recordings"))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        project.write_params({"run.acoustic.epochs_save": 1, "training.acoustic.epochs": 3})
        prepare(project)
        yield project


def fail(project: Project, monkeypatch: pytest.MonkeyPatch, name: str, spoil: str) -> str:
    """Train where the second step has a clip that is not finite; return the last line."""
    batches_from = task.batches_from

    def spoilt(*arguments: object) -> Iterator[Batch]:
        for number, batch in enumerate(batches_from(*arguments)):  # type: ignore[arg-type]
            if number == 1:
                getattr(batch, spoil)[1].fill_(float("nan"))
            yield batch

    with monkeypatch.context() as patch:
        patch.setattr("dtc.training.loop.batches_from", spoilt)
        return project.run("train", name, "--device", "cpu", code=1)


def table_of(printed: str) -> dict[str, list[str]]:
    """The cells of each row, by its first; a cell may be written in several lines."""
    rows: dict[str, list[str]] = {}
    for line in printed.splitlines():
        if cells := [cell.strip() for cell in line.split("│")[1:-1]]:
            name = cells[0] or list(rows)[-1]
            rows[name] = [
                f"{before} {cell}".strip() for before, cell in zip(rows.get(name, [""] * 6), cells, strict=True)
            ]
    return rows


@pytest.mark.parametrize(("name", "spoil"), [("acoustic", "mel"), ("vocoder", "wave")])
def test_the_batch_that_stopped_a_training_is_shown_clip_by_clip(
    ready: Project, monkeypatch: pytest.MonkeyPatch, name: str, spoil: str
) -> None:
    ready.write_params({f"training.{name}.epochs": 3, f"training.{name}.batch_size": 3})
    line = fail(ready, monkeypatch, name, spoil)
    [file] = paths.RUNS.glob(f"{name}-*/offending-batch.pt")
    told = re.fullmatch(r"step 1: loss nan, .*; clips (.*); `dtc debug-batch (.*)` shows which clip it is", line)
    assert told is not None, line
    assert told[2] == str(file)
    clips = told[1].split(", ")
    printed = ready.run("debug-batch", str(file), "--device", "cpu")
    rows = table_of(printed)
    assert list(rows) == [*clips, "all 3 clips"]
    for row in (clips[1], "all 3 clips"):
        assert re.fullmatch(rf"input {spoil}; losses loss, .*; gradients .*", rows[row][5]), printed
        assert rows[row][4] == "nan"
    for clip in (clips[0], clips[2]):
        assert rows[clip][5] == "–", printed
        assert re.fullmatch("call [a-z]+ [a-z]+", rows[clip][1]), "its text"
        assert int(rows[clip][2]) == len(rows[clip][1])


def test_the_file_holds_tensors_and_primitives_and_the_state_before_the_step(
    ready: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    ready.write_params({"training.acoustic.epochs": 3, "training.acoustic.seed": 2, "run.acoustic.epochs_save": 1})
    fail(ready, monkeypatch, "acoustic", "mel")
    [file] = [path for path in paths.RUNS.glob("acoustic-*/offending-batch.pt") if torch.load(path)["seed"] == 2]
    found = torch.load(file, weights_only=True)
    assert (found["step"], found["validation"]) == (1, None)
    [checkpoint] = sorted((file.parent / "checkpoints").glob("*.pt"))
    saved = torch.load(checkpoint, weights_only=True)["model"]
    assert all(torch.equal(found["weights"][name], value) for name, value in saved.items())
    assert "finite" not in ready.run("runs", "--prune", "--yes", file.parent.name)
    assert not file.exists(), "it is a file of the run, which can be deleted"


def test_another_file_is_refused(ready: Project) -> None:
    assert ready.run("debug-batch", "none.pt", code=2) == (
        "none.pt: no such file, expected the offending-batch.pt that a training has named"
    )
    Path("other.pt").write_bytes(b"no batch")
    assert ready.run("debug-batch", "other.pt", code=2).endswith("expected the offending-batch.pt of a training")
