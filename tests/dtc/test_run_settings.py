"""Settings of a training and of how it is run: what each of them changes, and what not."""

import csv
import io
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from rich.console import Console
from torch import Tensor

from dtc.batch import Batch, Clip, collate
from dtc.errors import InputError
from dtc.training.checkpoints import checkpoints_in, step_of
from dtc.training.interrupts import Interrupted
from dtc.training.logbook import Logbook
from dtc.training.loop import train
from dtc.training.task import Task
from tests.dtc.test_training import Data, Toy, assert_same_run, config, how, run, taught, toy

SGD = {"type": "sgd", "learning_rate": 0.1, "weight_decay": 0.0, "decays": "all", "momentum": 0.0, "nesterov": False}


class Rows:
    """Four clips an epoch in batches of one size, always in the same order."""

    def __init__(self, size: int) -> None:
        self.size, self.batches_per_epoch = size, 4 // size

    def epoch(self, number: int, first: int = 0) -> Iterator[Batch]:
        for start in range(first * self.size, 4, self.size):
            clips = [
                torch.randn(4, 6, generator=torch.Generator().manual_seed(row))
                for row in range(start, start + self.size)
            ]
            yield collate(
                [Clip(f"clip{row}", "", "", torch.tensor([1]), mel, torch.zeros(8)) for row, mel in enumerate(clips)]
            )


class Plain(Toy):
    """A toy without dropout: its loss is a mean over clips of one length."""

    def training_loss(self, batch: Batch, step: int) -> dict[str, Tensor]:
        mel = batch.mel.transpose(1, 2)
        return {"loss": (self.layer(mel) - mel).square().mean()}


def weights_of(folder: Path, size: int, accumulate: int) -> dict[str, Tensor]:
    torch.manual_seed(1)
    chosen = config(optimizer=SGD, accumulate=accumulate, epochs=2, weight_average=0.0, grad_clipping=False)
    done = train(
        Task(Plain(), Rows(size), Rows(size), lambda *_: None),
        chosen,
        how(),
        folder,
        Logbook(folder, "toy", Console(quiet=True)),
    )
    assert done.steps == 2
    return done.weights


def test_accumulated_batches_are_one_large_batch(tmp_path: Path) -> None:
    whole = weights_of(tmp_path / "4", 4, 1)
    for size in (1, 2):
        parts = weights_of(tmp_path / str(size), size, 4 // size)
        torch.testing.assert_close(parts, whole)


def test_accumulation_that_is_stopped_goes_on_exactly(tmp_path: Path) -> None:
    expected, steps = run(tmp_path / "whole", accumulate=3)
    assert steps == 6, "an epoch of 4 batches takes 2 steps"
    with pytest.raises(Interrupted):
        run(tmp_path / "stopped", toy(kill_at=8, poison="ctrl-c"), accumulate=3)
    weights, _ = run(tmp_path / "stopped", accumulate=3)
    assert_same_run(tmp_path / "stopped", tmp_path / "whole", weights, expected)


def test_half_precision_scales_the_loss_and_leaves_weights_in_float32(tmp_path: Path) -> None:
    exact, _ = run(tmp_path / "fp32")
    half, _ = run(tmp_path / "fp16", precision="fp16")
    assert {value.dtype for value in half.values()} == {torch.float32}
    assert not torch.equal(half["layer.weight"], exact["layer.weight"])
    torch.testing.assert_close(half["layer.weight"], exact["layer.weight"], atol=0.02, rtol=0)
    with pytest.raises(Interrupted):
        run(tmp_path / "stopped", toy(kill_at=4, poison="ctrl-c"), precision="fp16")
    again, _ = run(tmp_path / "stopped", precision="fp16")
    assert_same_run(tmp_path / "stopped", tmp_path / "fp16", again, half)


def rows_of(folder: Path) -> list[tuple[int, str]]:
    return [(int(row["step"]), row["split"]) for row in csv.DictReader((folder / "history.csv").open())]


def steps_of(folder: Path, split: str) -> list[int]:
    return [step for step, found in rows_of(folder) if found == split]


def test_how_often_it_logs_validates_shows_and_saves(tmp_path: Path) -> None:
    """An epoch has 4 steps; all is done after the last of the 12 steps, too."""
    shown: list[int] = []
    options = {"tensorboard_update": 5, "epochs_test": 3, "predict": 7, "epochs_save": 4, "keep_last": 9}
    model, quiet = toy(), Console(quiet=True)
    shows = Task(model, Data(), Data(), lambda model, batch, logbook, step: shown.append(step))
    train(shows, config(), how(**options), tmp_path / "steps", Logbook(tmp_path / "steps", "toy", quiet))
    assert steps_of(tmp_path / "steps", "train") == [5, 10, 12]
    assert steps_of(tmp_path / "steps", "validation") == [3, 6, 9, 12]
    assert shown == [7, 12]
    assert [step_of(path) for path in checkpoints_in(tmp_path / "steps")] == [4, 8, 12]
    epochs = {"test_per_iteration": False, "predict_per_iteration": False, "save_per_iteration": False, "start_test": 2}
    options |= {"epochs_test": 1, "predict": 2, "epochs_save": 2}
    shown.clear()
    shows = Task(toy(), Data(), Data(), lambda model, batch, logbook, step: shown.append(step))
    train(shows, config(), how(**options, **epochs), tmp_path / "epochs", Logbook(tmp_path / "epochs", "toy", quiet))
    assert steps_of(tmp_path / "epochs", "validation") == [8, 12]
    assert shown == [8, 12]
    assert [step_of(path) for path in checkpoints_in(tmp_path / "epochs")] == [8, 12]


def test_the_last_checkpoints_are_kept(tmp_path: Path) -> None:
    run(tmp_path, keep_last=3)
    assert [step_of(path) for path in checkpoints_in(tmp_path)] == [10, 11, 12]


def test_an_earlier_epoch_can_be_continued_and_ends_the_same(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    expected, _ = run(tmp_path / "whole", keep_last=12)
    with pytest.raises(Interrupted):
        run(tmp_path / "back", toy(kill_at=10, poison="ctrl-c"), keep_last=12)
    weights, _ = run(tmp_path / "back", None, Console(width=200), load_epoch=1, keep_last=12)
    assert capsys.readouterr().out.splitlines()[0] == "toy: continuing from step 4 of 12"
    assert_same_run(tmp_path / "back", tmp_path / "whole", weights, expected)
    with pytest.raises(
        InputError, match=r"no checkpoint of epoch 7, expected one of 0.25, 0.5, 0.75, 1 and 8 more; set"
    ):
        run(tmp_path / "back", load_epoch=7)


def test_it_starts_over_where_it_shall_not_load(tmp_path: Path) -> None:
    expected, _ = run(tmp_path / "whole")
    with pytest.raises(Interrupted):
        run(tmp_path / "again", toy(kill_at=6, poison="ctrl-c"))
    model = toy()
    weights, _ = run(tmp_path / "again", model, load_model=False)
    assert model.calls == 12
    assert_same_run(tmp_path / "again", tmp_path / "whole", weights, expected)


def test_a_line_each_so_many_steps(tmp_path: Path) -> None:
    printed = io.StringIO()
    run(tmp_path, console=Console(file=printed, width=120), console_log_rate=3, epochs_test=100)
    told = [line.split(",")[0] for line in printed.getvalue().splitlines()]
    assert told == [f"toy: step {step}/12" for step in (3, 6, 9, 12, 12)], "and a summary at the end"


def test_an_adversary_has_an_optimizer_of_its_own(tmp_path: Path) -> None:
    """With a rate so small that its weights stay, up to rounding, and another schedule."""
    own = {"optimizer": SGD | {"learning_rate": 1e-12}, "lr_scheduler": {"type": "constant"}}
    changed = {}
    for name, adversary in (("own", own), ("same", None)):
        model = taught()
        before = model.adversary.weight.detach().clone()
        run(tmp_path / name, model, adversary=adversary)
        changed[name] = (model.adversary.weight.detach() - before).abs().max().item()
    assert changed["own"] < 1e-9 < 1e-3 < changed["same"]
    rows = [row for row in csv.DictReader((tmp_path / "own/history.csv").open()) if row["adversary_lr"]]
    assert {row["adversary_lr"] for row in rows} == {"1e-12"}
    assert len({row["lr"] for row in rows}) > 3


def test_the_seed_decides_what_is_drawn(tmp_path: Path) -> None:
    weights = [run(tmp_path / str(number), seed=seed)[0]["layer.weight"] for number, seed in enumerate((1, 1, 2))]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])
