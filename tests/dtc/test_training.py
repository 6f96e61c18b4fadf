"""The loop: exact when resumed, also after kill -9; stops for NaN and Ctrl-C with nothing lost."""

import csv
import io
import os
import re
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import pytest
import torch
from pydantic import ValidationError
from rich.console import Console
from torch import Tensor, nn

from dtc.batch import Batch, Clip, collate
from dtc.registry import Part
from dtc.seeding import seed_all
from dtc.training import logbook
from dtc.training.checkpoints import checkpoints_in
from dtc.training.config import RunConfig, TrainingConfig
from dtc.training.guards import NonFiniteLoss
from dtc.training.interrupts import Interrupted
from dtc.training.logbook import Logbook
from dtc.training.loop import train
from dtc.training.optim import OPTIMIZERS, OptimizerConfig
from dtc.training.precision import resolved
from dtc.training.schedule import SCHEDULES, OneCycleConfig, Place, ScheduleConfig, one_cycle_share
from dtc.training.task import Task
from dtc.training.validation import validation_losses
from tests.conftest import add_part
from tests.training_params import run_config, training_config


def config(**changes: object) -> TrainingConfig:
    adam = {
        "type": "adamw",
        "learning_rate": 0.01,
        "betas": [0.9, 0.99],
        "eps": 1e-6,
        "weight_decay": 0.01,
        "decays": "all",
    }
    toy = {
        "seed": 7,
        "batch_size": 2,
        "batch_frames": None,
        "epochs": 3,
        "max_steps": None,
        "precision": "fp32",
        "optimizer": adam,
        "lr_scheduler": {"type": "one_cycle", "warmup_share": 0.2, "final_share": 0.01},
        "grad_max_norm": 1.0,
        "loss_spikes": None,
        "weight_average": 0.5,
    }
    return training_config(
        **toy | {name: value for name, value in changes.items() if name not in RunConfig.model_fields}
    )


def how(**changes: object) -> RunConfig:
    return run_config(**{name: value for name, value in changes.items() if name in RunConfig.model_fields})


class Toy(nn.Module):
    """Predicts a mel from itself through dropout: its result depends on weights, order and the random stream."""

    def __init__(self, kill_at: int | None = None, poison: str = "") -> None:
        super().__init__()
        self.layer = nn.Linear(4, 4)
        self.kill_at, self.poison, self.calls = kill_at, poison, 0
        self.spikes: range = range(0)  # calls
        self.seen: list[Tensor] = []  # weights at each call

    def training_loss(self, batch: Batch, step: int) -> dict[str, Tensor]:
        self.calls += self.training
        if self.training and self.calls == self.kill_at:
            os.kill(os.getpid(), signal.SIGINT if self.poison == "ctrl-c" else signal.SIGKILL)
        dropped = nn.functional.dropout(batch.mel.transpose(1, 2), 0.5, self.training)
        loss = (self.layer(dropped) - batch.mel.transpose(1, 2)).square().mean()
        if self.poison == "nan" and self.training and self.calls == 5:
            loss = loss * float("nan")
        if self.training:
            self.seen.append(self.layer.weight.detach().clone())
            loss = loss * (1e4 if self.calls in self.spikes else 1.0)
        return {"loss": loss, "half": loss / 2}


class TaughtToy(nn.Module):
    """A toy and an adversary that comes in at step 3 and learns from what the toy has just made."""

    def __init__(self, enters_at: int | None = None, **options: object) -> None:
        super().__init__()
        self.model, self.adversary = Toy(**options), nn.Linear(4, 1)  # type: ignore[arg-type]
        self.enters_at = enters_at  # step from which the adversary adds a term of its own, for good
        self.made: Tensor | None = None

    def training_loss(self, batch: Batch, step: int) -> dict[str, Tensor]:
        losses, self.made = self.model.training_loss(batch, step), None
        if self.training and step >= 3:
            self.made = self.model.layer(batch.mel.transpose(1, 2)).detach()
            losses["loss"] = losses["loss"] + self.adversary(self.made).mean()
        if self.enters_at is not None and step >= self.enters_at:
            losses |= {"loss": losses["loss"] + 200.0, "convincing": losses["loss"] * 0.0 + 200.0}
        return losses

    def adversary_loss(self) -> dict[str, Tensor] | None:
        return None if self.made is None else {"loss": nn.functional.dropout(self.adversary(self.made)).square().mean()}


class Data:
    """Four batches an epoch, in an order that changes with the epoch."""

    batches_per_epoch = 4

    def epoch(self, number: int, first: int = 0) -> Iterator[Batch]:
        order = torch.randperm(4, generator=torch.Generator().manual_seed(number)).tolist()
        for index in order[first:]:
            mel = torch.randn(4, 6, generator=torch.Generator().manual_seed(index))
            yield collate([Clip(f"clip{index}", "", "", torch.tensor([1]), mel, torch.zeros(8))])


def run(
    folder: Path, model: nn.Module | None = None, console: Console | None = None, **changes: object
) -> tuple[dict[str, Tensor], int]:
    if model is None:
        seed_all("toy")
        model = Toy()
    logbook = Logbook(folder, "toy", console or Console(quiet=True))
    return train(task(model), config(**changes), how(**changes), folder, logbook)[:2]


def task(model: nn.Module) -> Task:
    return Task(model, Data(), Data(), lambda *_: None)


def read_last_checkpoint(folder: Path) -> dict | None:
    found = checkpoints_in(folder)
    return torch.load(found[-1], weights_only=True) if found else None


def toy(**options: object) -> Toy:
    seed_all("toy")
    return Toy(**options)  # type: ignore[arg-type]


def assert_same_run(first: Path, second: Path, weights: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    assert all(torch.equal(weights[name], expected[name]) for name in expected)
    rows = [list(csv.DictReader((folder / "history.csv").open())) for folder in (first, second)]
    assert rows[0] == rows[1]


KILLED = """
import sys
from pathlib import Path
from typing import Literal
sys.path.insert(0, {here!r})
import test_training as t
t.run(Path({folder!r}), t.toy(kill_at={kill_at}))
"""


@pytest.mark.parametrize("kill_at", [1, 6, 12])
def test_killed_and_run_again_is_as_if_never_killed(tmp_path: Path, kill_at: int) -> None:
    """A real process, a real SIGKILL in the middle of a step."""
    expected, steps = run(tmp_path / "whole")
    assert steps == 12
    script = KILLED.format(here=str(Path(__file__).parent), folder=str(tmp_path / "killed"), kill_at=kill_at)
    died = subprocess.run([sys.executable, "-c", script], check=False, env=os.environ | {"OMP_NUM_THREADS": "1"})
    assert died.returncode == -signal.SIGKILL
    saved = read_last_checkpoint(tmp_path / "killed")
    assert (saved["step"] if saved else 0) == kill_at - 1
    weights, steps = run(tmp_path / "killed")
    assert steps == 12
    assert_same_run(tmp_path / "killed", tmp_path / "whole", weights, expected)


def test_ctrl_c_saves_and_goes_on(tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGINT)
    expected, _ = run(tmp_path / "whole", tensorboard_update=3)  # stopped between two rows of the log
    with pytest.raises(Interrupted, match=r"stopped at step 4 of 12, saved$"):
        run(tmp_path / "stopped", toy(kill_at=4, poison="ctrl-c"), epochs_save=100, tensorboard_update=3)
    weights, _ = run(tmp_path / "stopped", epochs_save=100, tensorboard_update=3)
    assert_same_run(tmp_path / "stopped", tmp_path / "whole", weights, expected)
    assert signal.getsignal(signal.SIGINT) is before, "what was there is put back"


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """As on a disk that is full, no file can grow beyond so many bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize(("size", "file"), [(3000, "checkpoints/00000003.pt"), (1200, "")])
def test_on_a_full_disk_the_last_checkpoint_stays(tmp_path: Path, size: int, file: str) -> None:
    """Without a name, it is a file that grows: the curve, the events or TensorBoard's."""
    options = {"epochs_save": 100, "epochs_test": 100, "predict": 100}
    expected, _ = run(tmp_path / "whole", **options)
    folder = tmp_path / "full"
    with pytest.raises(Interrupted):
        run(folder, toy(kill_at=2, poison="ctrl-c"), **options)
    with largest_file(size), pytest.raises(OSError, match="File too large") as raised:
        run(folder, **options | {"epochs_save": 1})
    assert raised.value.filename == str(folder / file)
    assert [path.name for path in (folder / "checkpoints").iterdir()] == ["00000002.pt"]
    printed = io.StringIO()
    weights, _ = run(folder, console=Console(file=printed), **options)
    assert printed.getvalue().startswith("toy: continuing from step 2 of 12\n")
    assert_same_run(folder, tmp_path / "whole", weights, expected)


def test_how_it_is_run_changes_no_weight_also_in_the_middle(tmp_path: Path) -> None:
    expected, _ = run(tmp_path / "whole")
    with pytest.raises(Interrupted):
        run(tmp_path / "stopped", toy(kill_at=4, poison="ctrl-c"))
    weights, _ = run(tmp_path / "stopped", tensorboard_update=5, epochs_save=3, epochs_test=2)
    assert all(torch.equal(weights[name], expected[name]) for name in expected)


def test_a_finished_run_is_not_trained_again(tmp_path: Path) -> None:
    expected, _ = run(tmp_path)
    untrained = toy(poison="nan")
    weights, steps = run(tmp_path, untrained)
    assert (steps, untrained.calls) == (12, 0)
    assert all(torch.equal(weights[name], expected[name]) for name in expected)


def test_nan_stops_with_step_and_clips_and_keeps_the_last_state(tmp_path: Path) -> None:
    with pytest.raises(NonFiniteLoss, match=r"step 4: loss nan.*; clips clip\d"):
        run(tmp_path, toy(poison="nan"))
    saved = read_last_checkpoint(tmp_path)
    assert saved["step"] == 4
    assert all(torch.isfinite(value).all() for value in saved["model"].values())


def test_bfloat16_reaches_the_products_and_nothing_else(tmp_path: Path) -> None:
    exact, _ = run(tmp_path / "float32")
    weights, _ = run(tmp_path / "whole", precision="bf16")
    assert {value.dtype for value in weights.values()} == {torch.float32}
    assert not torch.equal(weights["layer.weight"], exact["layer.weight"])
    torch.testing.assert_close(weights["layer.weight"], exact["layer.weight"], atol=0.02, rtol=0)  # 12 steps of 0.01
    assert validation_losses(toy(), task(toy()), config(precision="bf16"), 1) != validation_losses(
        toy(), task(toy()), config(), 1
    )
    with pytest.raises(Interrupted):
        run(tmp_path / "stopped", toy(kill_at=4, poison="ctrl-c"), precision="bf16")
    again, _ = run(tmp_path / "stopped", precision="bf16")
    assert_same_run(tmp_path / "stopped", tmp_path / "whole", again, weights)


def test_auto_is_the_number_format_that_the_hardware_multiplies_in(monkeypatch: pytest.MonkeyPatch) -> None:
    cpu = torch.device("cpu")
    for capabilities, expected in (({"avx512_bf16": True}, "bf16"), ({"avx2": True}, "fp32")):
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities)  # noqa: B023
        assert resolved("auto", cpu) == expected
        assert validation_losses(toy(), task(toy()), config(precision="auto"), 1) == validation_losses(
            toy(), task(toy()), config(precision=expected), 1
        )


@pytest.mark.parametrize(
    ("epochs", "min_steps", "max_steps", "steps"),
    [
        (3, None, None, 12),
        (None, None, 5, 5),
        (3, None, 5, 5),
        (1, None, 5, 4),
        (1, 6, None, 6),
        (3, 6, 9, 9),
        (2, 6, 9, 8),
    ],
)  # an epoch has four batches
def test_it_ends_after_the_epochs_or_the_steps(
    tmp_path: Path, epochs: int | None, min_steps: int | None, max_steps: int | None, steps: int
) -> None:
    assert run(tmp_path, epochs=epochs, min_steps=min_steps, max_steps=max_steps)[1] == steps


@pytest.mark.parametrize(
    ("bounds", "message"),
    [
        ({"epochs": None, "min_steps": 5, "max_steps": 9}, "min_steps 5 and epochs null, expected epochs"),
        ({"min_steps": 5, "max_steps": 4}, "min_steps 5 and max_steps 4, expected it not to be larger"),
    ],
)
def test_bounds_of_the_steps_that_contradict_are_refused(bounds: dict[str, int | None], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        config(**bounds)


def test_a_training_without_an_end_is_refused() -> None:
    with pytest.raises(ValidationError, match="epochs null and max_steps null, expected at least one of them"):
        config(epochs=None)


def taught(**options: object) -> TaughtToy:
    seed_all("toy")
    return TaughtToy(**options)


def test_an_adversary_learns_in_turn_and_does_not_ship(tmp_path: Path) -> None:
    model = taught()
    before = [value.clone() for value in model.adversary.parameters()]
    weights, _ = run(tmp_path, model)
    assert weights.keys() == Toy().state_dict().keys()
    assert not any(torch.equal(value, old) for value, old in zip(model.adversary.parameters(), before, strict=True))
    rows = [row for row in csv.DictReader((tmp_path / "history.csv").open()) if row["split"] == "train"]
    assert [row["adversary_loss"] != "" for row in rows] == [False] * 3 + [True] * 9
    assert all(row["adversary_grad_norm"] for row in rows[3:])


def test_lines_tell_the_progress_where_there_is_no_bar(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logbook, "SECONDS_BETWEEN_LINES", -1.0)
    for terminal, lines in ((False, 12), (True, 0)):
        printed = io.StringIO()
        screen = Console(file=printed, force_terminal=terminal, width=120)
        run(tmp_path / str(terminal), console=screen, epochs_test=100)
        told = re.findall(r"^toy: step \d+/12, loss \d+\.\d{3}, \d+ s", printed.getvalue(), flags=re.MULTILINE)
        assert len(told) == lines


def test_stopped_in_the_middle_of_a_duel_it_is_as_if_never_stopped(tmp_path: Path) -> None:
    expected, _ = run(tmp_path / "whole", taught())
    with pytest.raises(Interrupted):
        run(tmp_path / "stopped", taught(kill_at=6, poison="ctrl-c"))
    weights, _ = run(tmp_path / "stopped", taught())
    assert_same_run(tmp_path / "stopped", tmp_path / "whole", weights, expected)
    states = [read_last_checkpoint(tmp_path / name) for name in ("whole", "stopped")]
    assert all(torch.equal(states[0]["model"][name], states[1]["model"][name]) for name in states[0]["model"])


def test_a_row_of_the_curve_is_the_mean_over_the_steps_that_have_it(tmp_path: Path) -> None:
    run(tmp_path, taught(), tensorboard_update=4)
    row = next(csv.DictReader((tmp_path / "history.csv").open()))
    assert float(row["adversary_loss"]) > 0  # of the fourth step alone
    assert float(row["half"]) > 0


def test_an_adversary_that_is_no_number_stops_the_training(tmp_path: Path) -> None:
    model = taught()
    nn.init.constant_(model.adversary.weight, float("inf"))
    with pytest.raises(NonFiniteLoss, match="step 3: "):
        run(tmp_path, model, epochs_save=100)


def test_the_average_is_what_is_kept(tmp_path: Path) -> None:
    plain, _ = run(tmp_path / "plain", weight_average=0.0)
    averaged, _ = run(tmp_path / "averaged")
    assert plain.keys() == averaged.keys()
    assert not torch.equal(plain["layer.weight"], averaged["layer.weight"])


def test_validation_draws_the_same_every_time() -> None:
    model = toy().train()
    assert validation_losses(model, task(model), config(), step=3) == validation_losses(
        model, task(model), config(), step=3
    )


def test_one_cycle_rises_to_the_peak_and_falls_to_the_end() -> None:
    schedule = OneCycleConfig(type="one_cycle", warmup_share=0.25, final_share=0.1)
    shares = [one_cycle_share(Place(step, 101), schedule) for step in range(101)]
    assert shares[0] == pytest.approx(1 / 25)
    assert shares[25] == pytest.approx(1.0)
    assert shares[100] == pytest.approx(0.1)
    assert shares[:26] == sorted(shares[:26])
    assert shares[25:] == sorted(shares[25:], reverse=True)


class InPhases(Toy):
    phase_starts = (3, 5)


def test_the_average_starts_anew_in_each_phase(tmp_path: Path) -> None:
    """The last phase has one step, so its average is the weights after it."""
    kept = []
    for decay in (0.9, 0.0):
        seed_all("toy")
        model = InPhases()
        model.phase_starts = (11,)
        kept.append(run(tmp_path / str(decay), model, weight_average=decay)[0])
    assert all(torch.equal(kept[0][name], value) for name, value in kept[1].items())


def test_the_schedule_starts_anew_in_each_phase(tmp_path: Path) -> None:
    seed_all("toy")
    run(tmp_path, InPhases())
    rates = [float(row["lr"]) for row in csv.DictReader((tmp_path / "history.csv").open()) if row["split"] == "train"]
    section = OneCycleConfig(type="one_cycle", warmup_share=0.2, final_share=0.01)
    expected = [one_cycle_share(Place(step, steps), section) for steps in (3, 2, 7) for step in range(steps)]
    assert rates == pytest.approx([0.01 * share for share in expected], rel=1e-5)


def test_an_optimizer_and_a_schedule_from_outside_need_one_line_each(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class SGDConfig(OptimizerConfig):
        type: Literal["plain"]

    class SameConfig(ScheduleConfig):
        type: Literal["same"]

    plain = Part(lambda parameters, config: torch.optim.SGD(parameters, config.learning_rate), SGDConfig)
    add_part(monkeypatch, OPTIMIZERS, "plain", plain)
    add_part(monkeypatch, SCHEDULES, "same", Part(lambda place, config: 1.0, SameConfig))
    section = {
        "optimizer": SGDConfig(type="plain", learning_rate=0.5, weight_decay=0.0, decays="all"),
        "lr_scheduler": SameConfig(type="same"),
    }
    chosen = config(weight_average=0.0).model_copy(update=section)
    model = toy()
    train(task(model), chosen, how(), tmp_path, Logbook(tmp_path, "toy", Console(quiet=True)))
    rows = [row for row in csv.DictReader((tmp_path / "history.csv").open()) if row["split"] == "train"]
    assert {row["lr"] for row in rows} == {"0.5"}
    for before, after, row in zip(model.seen, model.seen[1:], rows, strict=False):
        assert (before - after).norm() <= 0.5 * min(1.0, float(row["grad_norm"])) + 1e-6, (
            "plain steps down the gradient"
        )
