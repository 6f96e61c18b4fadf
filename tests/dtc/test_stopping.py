"""Decisions by validation: the best model, early stopping and plateaus, exact also when the training was stopped."""

import csv
import io
from pathlib import Path

import pytest
import torch
from rich.console import Console
from torch import Tensor, nn

from dtc.batch import Batch
from dtc.errors import InputError
from dtc.seeding import seed_all
from dtc.training.interrupts import Interrupted, StopRequest
from dtc.training.logbook import Logbook
from dtc.training.loop import train
from dtc.training.result import Trained
from dtc.training.stopping import Choice, Gains, badness
from dtc.training.task import Task
from tests.dtc.test_run_settings import SGD
from tests.dtc.test_training import Data, Toy, assert_same_run, config, how, task, taught

PLATEAU = {
    "type": "reduce_lr_on_plateau",
    "metric": "loss",
    "factor": 0.5,
    "patience": 1,
    "min_delta": 0.0,
    "min_share": 0.0,
}


class Scripted(Toy):
    """A toy whose validation losses are given, one for each validation; 4 batches are validated each time."""

    def __init__(self, losses: list[float], **options: object) -> None:
        super().__init__(**options)  # type: ignore[arg-type]
        self.losses = losses

    def training_loss(self, batch: Batch, step: int) -> dict[str, Tensor]:
        found = super().training_loss(batch, step)
        return found if self.training else {"loss": torch.tensor(self.losses[step - 1])}


def run(
    folder: Path, losses: list[float], console: Console | None = None, kill_at: int | None = None, **changes: object
) -> Trained:
    seed_all("toy")
    model = Scripted(losses, kill_at=kill_at, poison="ctrl-c")
    options = {"weight_average": 0.0, "epochs_test": 1, "predict": 100} | changes
    logbook = Logbook(folder, "toy", console or Console(quiet=True))
    return train(task(model), config(**options), how(**options), folder, logbook)


def rows(folder: Path, split: str) -> list[dict[str, str]]:
    return [row for row in csv.DictReader((folder / "history.csv").open()) if row["split"] == split]


BEST_AT_4 = [5.0, 4.0, 3.0, 1.0, 2.0, 2.5, 3.0, 3.0, 3.0, 3.0, 3.0, 3.0]
FALLING = [float(12 - step) for step in range(12)]


def test_the_best_validated_model_is_kept_and_it_is_told_why(tmp_path: Path) -> None:
    printed = io.StringIO()
    best = run(tmp_path / "best", BEST_AT_4, Console(file=printed, width=200), keep_best="loss")
    until_4 = run(tmp_path / "short", BEST_AT_4, lr_scheduler={"type": "constant"}, max_steps=4, epochs=None)
    constant = run(tmp_path / "same", BEST_AT_4, lr_scheduler={"type": "constant"}, keep_best="loss")
    assert best.steps == 12
    assert best.kept == "the best by loss, 1, of step 4"
    assert "toy: keeps the best by loss, 1, of step 4" in printed.getvalue().splitlines()
    assert all(torch.equal(constant.weights[name], value) for name, value in until_4.weights.items())
    assert run(tmp_path / "last", BEST_AT_4).kept == "the last, of step 12"


def test_it_ends_when_patience_is_used_up(tmp_path: Path) -> None:
    early = {"metric": "loss", "patience": 3, "min_delta": 0.0}
    assert run(tmp_path / "3", BEST_AT_4, early_stopping=early).steps == 7
    assert run(tmp_path / "1", BEST_AT_4, early_stopping=early | {"patience": 1}).steps == 5
    assert run(tmp_path / "delta", BEST_AT_4, early_stopping=early | {"patience": 2, "min_delta": 1.5}).steps == 6
    assert run(tmp_path / "never", FALLING, early_stopping=early).steps == 12


def test_the_rate_falls_on_each_plateau(tmp_path: Path) -> None:
    """Validated after each step: patience 1 is used up by the second one in a row without a gain."""
    run(tmp_path, BEST_AT_4, lr_scheduler=PLATEAU)
    rates = [float(row["lr"]) / 0.01 for row in rows(tmp_path, "train")]
    assert rates == pytest.approx([1.0] * 6 + [0.5] * 2 + [0.25] * 2 + [0.125] * 2)


def test_each_schedule_has_its_own_plateaus(tmp_path: Path) -> None:
    """That of the adversary, which enters at step 4, is more patient; that of the model is the second of a chain."""
    patient = {"optimizer": SGD, "lr_scheduler": PLATEAU | {"patience": 3}}
    chain = [{"schedule": PLATEAU | {"patience": 5}, "until_step": 2}, {"schedule": PLATEAU, "until_step": None}]
    model = taught()
    model.model = Scripted(BEST_AT_4)
    options = {"lr_scheduler": {"type": "chained", "schedules": chain}, "adversary": patient, "weight_average": 0.0}
    toy_logbook = Logbook(tmp_path, "toy", Console(quiet=True))
    train(task(model), config(**options), how(epochs_test=1), tmp_path, toy_logbook)
    found = rows(tmp_path, "train")
    rates = [float(row["lr"]) / 0.01 for row in found]
    assert rates == pytest.approx([1.0] * 6 + [0.5] * 2 + [0.25] * 2 + [0.125] * 2)
    rates = [float(row["adversary_lr"]) / 0.1 for row in found[3:]]
    assert rates == pytest.approx([1.0] * 5 + [0.5] * 4)


@pytest.mark.parametrize("kill_at", [3, 5, 6])
def test_stopped_and_continued_it_decides_the_same(tmp_path: Path, kill_at: int) -> None:
    options = {
        "keep_best": "loss",
        "early_stopping": {"metric": "loss", "patience": 5, "min_delta": 0.0},
        "lr_scheduler": PLATEAU,
        "weight_average": 0.5,
    }
    expected = run(tmp_path / "whole", BEST_AT_4, **options)
    with pytest.raises(Interrupted):
        run(tmp_path / "stopped", BEST_AT_4, kill_at=kill_at, **options)
    found = run(tmp_path / "stopped", BEST_AT_4, **options)
    assert (found.steps, found.kept) == (expected.steps, expected.kept) == (9, "the best by loss, 1, of step 4")
    assert_same_run(tmp_path / "stopped", tmp_path / "whole", found.weights, expected.weights)


def test_killed_after_the_decision_to_end_it_does_not_go_on(tmp_path: Path) -> None:
    early = {"metric": "loss", "patience": 1, "min_delta": 0.0}
    assert run(tmp_path, BEST_AT_4, early_stopping=early).steps == 5
    assert run(tmp_path, BEST_AT_4, early_stopping=early).steps == 5, "continued from its last checkpoint"


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"keep_best": "mel"}, "keep_best"),
        ({"early_stopping": {"metric": "mel", "patience": 1, "min_delta": 0.0}}, "early_stopping"),
        ({"lr_scheduler": PLATEAU | {"metric": "mel"}}, "lr_scheduler"),
        ({"adversary": {"optimizer": SGD, "lr_scheduler": PLATEAU | {"metric": "mel"}}}, "adversary.lr_scheduler"),
    ],
)
def test_an_unknown_metric_is_refused(tmp_path: Path, changes: dict[str, object], key: str) -> None:
    with pytest.raises(InputError) as raised:
        run(tmp_path, BEST_AT_4, **changes)
    assert str(raised.value) == f"training.{key}: no metric mel in the validation, expected one of loss"


def test_metrics_of_speech_decide_too(tmp_path: Path) -> None:
    """Spoken after each second step; the other validations do not count for a metric that they do not have."""
    errors = {2: 0.5, 4: 0.2, 6: 0.3, 8: 0.3, 10: 0.3, 12: 0.3}

    def listen(model: nn.Module, logbook: Logbook, step: int, stop: StopRequest) -> dict[str, float]:
        return {"word_error_rate": errors[step]}

    seed_all("toy")
    model = Scripted(BEST_AT_4)
    options = {
        "keep_best": "word_error_rate",
        "early_stopping": {"metric": "word_error_rate", "patience": 3, "min_delta": 0.0},
        "speak_every": 2,
    }
    heard = Task(model, Data(), Data(), lambda *_: None, listen=listen)
    found = train(heard, config(**options), how(**options), tmp_path, Logbook(tmp_path, "toy", Console(quiet=True)))
    assert (found.steps, found.kept) == (10, "the best by word_error_rate, 0.2, of step 4")
    assert [row["word_error_rate"] for row in rows(tmp_path, "spoken")] == ["0.5", "0.2", "0.3", "0.3", "0.3"]


def test_what_is_better_depends_on_the_metric() -> None:
    assert badness("loss", 1.0) < badness("loss", 2.0)
    assert badness("opinion_score", 3.0) < badness("opinion_score", 2.0)
    assert badness("ended_share", 1.0) < badness("ended_share", 0.9)
    assert badness("duration_ratio", 1.0) < badness("duration_ratio", 0.9)
    assert badness("duration_ratio", 0.5) == pytest.approx(badness("duration_ratio", 2.0))
    gains = Gains("opinion_score", min_delta=0.1)
    assert [gains.see({"opinion_score": value}) for value in (2.0, 2.05, 2.2, 1.0)] == [True, False, True, False]
    assert not gains.see({"loss": 0.0})
    assert gains.without == 1


def test_of_equal_models_the_one_that_was_trained_longest_is_kept(tmp_path: Path) -> None:
    losses = [5.0, 1.0, 2.0, 1.0, 3.0, 1.0] + [4.0] * 6
    early = {"metric": "loss", "patience": 6, "min_delta": 0.0}
    found = run(tmp_path, losses, keep_best="loss", early_stopping=early)
    assert (found.kept, found.steps) == ("the best by loss, 1, of step 6", 8), "an equal value is no gain"


def test_a_metric_of_the_loss_with_the_name_of_one_of_speech_decides_nothing(tmp_path: Path) -> None:
    """Both are rows of the curve. Where nothing is spoken, that of the loss decides."""

    class Ratio(Scripted):
        def training_loss(self, batch: Batch, step: int) -> dict[str, Tensor]:
            return super().training_loss(batch, step) | {"duration_ratio": torch.tensor(1.0 if step == 1 else 2.0)}

    def listen(model: nn.Module, logbook: Logbook, step: int, stop: StopRequest) -> dict[str, float]:
        return {"duration_ratio": 1.0 if step == 3 else 0.5}

    for name, hears, best in (("spoken", listen, 3), ("silent", None, 1)):
        seed_all("toy")
        logbook = Logbook(tmp_path / name, "toy", Console(quiet=True))
        options = {"keep_best": "duration_ratio", "speak_every": 1, "epochs_test": 1, "weight_average": 0.0}
        heard = Task(Ratio(FALLING), Data(), Data(), lambda *_: None, listen=hears)
        found = train(heard, config(**options), how(**options), tmp_path / name, logbook)
        assert found.kept == f"the best by duration_ratio, 1, of step {best}"


def test_nothing_is_decided_before_the_last_phase(tmp_path: Path) -> None:
    """The losses of an earlier phase are others, here the lowest."""
    seed_all("toy")
    model = Scripted([0.1, 0.1, 0.1, 0.1, 5.0, 4.0, 5.0] + [6.0] * 5)
    model.phase_starts = (4,)  # type: ignore[assignment]
    options = {"keep_best": "loss", "early_stopping": {"metric": "loss", "patience": 3, "min_delta": 0.0}}
    options |= {"weight_average": 0.0, "epochs_test": 1, "predict": 100}
    logbook = Logbook(tmp_path, "toy", Console(quiet=True))
    found = train(task(model), config(**options), how(**options), tmp_path, logbook)
    assert (found.kept, found.steps) == ("the best by loss, 4, of step 6", 9)


def test_the_latest_of_the_models_that_differ_from_the_best_by_noise_is_chosen(tmp_path: Path) -> None:
    errors = {
        1: (0.5, 0.2),
        2: (0.2, 0.1),
        3: (0.3, 0.2),
        4: (0.1, 0.05),
        5: (0.14, 0.9),
        6: (0.16, 0.9),
        7: (0.15, 0.0),
    }

    def listen(model: nn.Module, logbook: Logbook, step: int, stop: StopRequest) -> dict[str, float]:
        return dict(zip(("word_error_rate", "word_error_rate_noise"), errors.get(step, (0.5, 0.1)), strict=True))

    choice = Choice("word_error_rate")
    seen = [listen(nn.Identity(), None, step, StopRequest()) for step in errors]  # type: ignore[arg-type]
    assert [choice.see(values) for values in seen] == [True, True, True, True, True, False, True], "noise is the best's"
    assert not choice.see({"loss": 0.0})
    seed_all("toy")
    heard = Task(Scripted(FALLING), Data(), Data(), lambda *_: None, listen=listen)
    options = {"keep_best": "word_error_rate", "speak_every": 1}
    found = train(heard, config(**options), how(**options), tmp_path, Logbook(tmp_path, "toy", Console(quiet=True)))
    best = "the best by word_error_rate, 0.15, of step 7"
    assert found.kept == f"{best}; 0.1, of an earlier step, is as good but for noise"
