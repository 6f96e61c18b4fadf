"""A step whose loss is far above those before is left out; many in a row stop the training."""

import csv
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from rich.console import Console

from dtc.training.config import SpikesConfig
from dtc.training.guards import Diverged, Spikes
from dtc.training.interrupts import Interrupted
from tests.dtc.test_training import TaughtToy, Toy, assert_same_run, read_last_checkpoint, run, taught, toy
from tests.training_params import SPIKES

SELDOM = {"epochs_save": 50, "epochs_test": 50, "predict": 200}
GUARDED = {"epochs": 40, "loss_spikes": SPIKES, **SELDOM}


def spiking(*calls: int, **options: object) -> Toy:
    model = toy(**options)
    model.spikes = range(*calls)
    return model


def test_a_loss_that_spikes_changes_no_weights(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = spiking(131, 133)
    run(tmp_path, model, Console(width=200), **GUARDED)
    changed = [not torch.equal(before, after) for before, after in pairwise(model.seen)]
    assert [call for call, each in enumerate(changed, start=1) if not each] == [131, 132]
    lines = [line for line in capsys.readouterr().out.splitlines() if "a spike: left out" in line]
    assert len(lines) == 2
    assert lines[0].startswith("toy: step 131, loss ")
    rows = [row for row in csv.DictReader((tmp_path / "history.csv").open()) if row["split"] == "train"]
    assert float(rows[130]["loss"]) > 100 * float(rows[129]["loss"]), "the curve hides nothing"
    unguarded = spiking(131, 133)
    run(tmp_path / "unguarded", unguarded, epochs=40, **SELDOM)
    assert not any(torch.equal(before, after) for before, after in pairwise(unguarded.seen))


def test_stopped_among_spikes_it_is_as_if_never_stopped(tmp_path: Path) -> None:
    expected, _ = run(tmp_path / "whole", spiking(131, 137), **GUARDED)
    with pytest.raises(Interrupted):
        run(tmp_path / "stopped", spiking(131, 137, kill_at=133, poison="ctrl-c"), **GUARDED)
    weights, _ = run(tmp_path / "stopped", spiking(1, 4), **GUARDED)  # calls are counted from the start of a process
    assert_same_run(tmp_path / "stopped", tmp_path / "whole", weights, expected)
    states = [read_last_checkpoint(tmp_path / name) for name in ("whole", "stopped")]
    assert states[0]["spikes"] == states[1]["spikes"]


def test_a_loss_that_stays_up_stops_the_training(tmp_path: Path) -> None:
    with pytest.raises(Diverged, match=r"step 149: loss .*, above .* for 20 steps: start anew with a lower"):
        run(tmp_path, spiking(131, 1000), **GUARDED | {"epochs_save": 1})
    assert read_last_checkpoint(tmp_path)["step"] == 149


def test_a_term_that_comes_in_is_no_spike(tmp_path: Path) -> None:
    """As an adversary's does, and stays: what was learnt of the loss before is of another loss."""
    model = taught(enters_at=130)
    _, steps = run(tmp_path, model, **GUARDED)
    assert steps == 160
    rows = [row for row in csv.DictReader((tmp_path / "history.csv").open()) if row["split"] == "train"]
    assert float(rows[130]["loss"]) > 100 + float(rows[129]["loss"])
    assert all(row["adversary_loss"] for row in rows[130:]), "both go on learning"


@pytest.mark.slow
def test_stopped_between_an_adversary_and_spikes_it_is_as_if_never_stopped(tmp_path: Path) -> None:
    def among_spikes(**options: object) -> TaughtToy:
        model = taught(enters_at=2, **options)
        model.model.spikes = range(131, 134)  # type: ignore[attr-defined]
        return model

    expected, _ = run(tmp_path / "whole", among_spikes(), **GUARDED)
    with pytest.raises(Interrupted):
        run(tmp_path / "stopped", among_spikes(kill_at=133, poison="ctrl-c"), **GUARDED)
    weights, _ = run(tmp_path / "stopped", taught(enters_at=2), **GUARDED)
    assert_same_run(tmp_path / "stopped", tmp_path / "whole", weights, expected)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_loss_that_is_not_finite_is_no_spike(value: float) -> None:
    """It would be left out otherwise, and the training would go on with a model that computes NaN."""
    spikes = Spikes(SpikesConfig.model_validate(SPIKES))
    assert not any(spikes.is_spike({"loss": 1.0 + 0.01 * (step % 5)}, "") for step in range(200))
    before = spikes.state_dict()
    assert not spikes.is_spike({"loss": value}, "")
    assert spikes.state_dict() == before
    assert spikes.is_spike({"loss": 100.0}, "")
