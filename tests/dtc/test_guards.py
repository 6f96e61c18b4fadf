"""What keeps a training from harm: nothing that is not finite is kept, and a step that is left out changes nothing."""

from copy import deepcopy
from pathlib import Path

import pytest
import torch
from rich.console import Console
from torch import Tensor, nn

from dtc.batch import Batch
from dtc.errors import InputError
from dtc.training.checkpoints import TrainingState, checkpoints_in, step_of
from dtc.training.guards import NonFiniteLoss
from dtc.training.interrupts import Interrupted, StopRequest
from dtc.training.learner import average_of
from dtc.training.logbook import Logbook
from dtc.training.loop import Training
from dtc.training.review import Review
from tests.dtc.test_training import Data, config, how, read_last_checkpoint, run, task, toy
from tests.training_params import SPIKES


class Normalised(nn.Module):
    """A model with running statistics, whose loss is what the test says."""

    def __init__(self, factor: float = 1.0, adversary_factor: float = 1.0) -> None:
        super().__init__()
        self.model = nn.BatchNorm1d(4)
        self.model.training_loss = self.training_loss  # type: ignore[assignment]
        self.adversary = nn.Linear(4, 1)
        self.factor, self.adversary_factor = factor, adversary_factor

    def training_loss(self, batch: Batch, step: int) -> dict[str, Tensor]:
        self.made = self.model(batch.mel).detach()
        return {"loss": self.model(batch.mel).square().mean() * self.factor}

    def adversary_loss(self) -> dict[str, Tensor]:
        return {"loss": self.adversary(self.made.transpose(1, 2)).square().mean() * self.adversary_factor}


def training_of(model: Normalised, folder: Path) -> Training:
    state = TrainingState(task(model), config(loss_spikes=SPIKES, epochs=25), folder)
    logbook = Logbook(folder, "toy", Console(quiet=True))
    return Training(task(model), config(), state, Review(task(model), config(), how(), state, logbook, StopRequest()))


def everything(training: Training) -> dict[str, object]:
    return deepcopy({**training.state._state_dict(), "spikes": {}, "step": 0})


def assert_equal(one: object, other: object) -> None:
    if isinstance(one, dict):
        assert isinstance(other, dict)
        assert one.keys() == other.keys()
        for key in one:
            assert_equal(one[key], other[key])
    elif isinstance(one, Tensor):
        assert isinstance(other, Tensor)
        assert torch.equal(one, other)
    else:
        assert one == other


@pytest.mark.parametrize("culprit", ["factor", "adversary_factor"])
def test_a_step_that_is_not_finite_leaves_everything_as_it_was(tmp_path: Path, culprit: str) -> None:
    """Also where only the adversary's loss is not finite, which is known after the model's gradient."""
    model = Normalised()
    training = training_of(model, tmp_path)
    batch = next(Data().epoch(0))
    training.do_step([batch])
    before = everything(training)
    setattr(model, culprit, float("nan"))
    with pytest.raises(NonFiniteLoss, match=r"step 1: loss nan.*clips clip"):
        training.do_step([batch])
    assert_equal(everything(training), before)


def test_a_step_that_is_left_out_leaves_everything_as_it_was(tmp_path: Path) -> None:
    model = Normalised()
    training = training_of(model, tmp_path)
    batch = next(Data().epoch(0))
    for _ in range(100):
        training.do_step([batch])
    before = everything(training)
    model.factor = 1e6
    training.do_step([batch])
    assert training.state.spikes.in_a_row == 1
    assert_equal(everything(training), before)
    model.factor = 1.0
    training.do_step([batch])
    assert training.state.model.state_dict()["model.num_batches_tracked"] == 202, "two passes in each of 101 steps"


def test_a_validation_loss_that_is_not_finite_stops_the_training(tmp_path: Path) -> None:
    model = toy()
    model.training_loss = lambda batch, step: {  # type: ignore[method-assign]
        "loss": model.layer(batch.mel.transpose(1, 2)).square().mean(),
        "half": torch.tensor(1.0 if model.training else float("nan")),
    }
    with pytest.raises(NonFiniteLoss, match=r"step 5, validation: loss [\d.]+, half nan; clips clip\d"):
        run(tmp_path, model, weight_average=0.0)
    assert read_last_checkpoint(tmp_path)["step"] == 4


def test_weights_that_are_not_finite_are_not_saved(tmp_path: Path) -> None:
    """The loss does not read this weight, so only the weights tell."""
    model = toy()
    model.register_buffer("running", torch.zeros(2))
    model.forward = None  # type: ignore[assignment]
    run(tmp_path, model, epochs=1)
    saved = checkpoints_in(tmp_path)[-1].read_bytes()
    broken = toy()
    broken.register_buffer("running", torch.tensor([0.0, float("inf")]))
    with pytest.raises(NonFiniteLoss, match="step 1: weights that are not finite: running"):
        run(tmp_path / "broken", broken, epochs=1)
    assert checkpoints_in(tmp_path / "broken") == []
    assert checkpoints_in(tmp_path)[-1].read_bytes() == saved


def test_the_average_by_hand() -> None:
    """Decay 0.5; update 0 copies, then 2/11 and 3/12 of the average are kept, and from update 8 on a half."""
    model = nn.BatchNorm1d(1)
    average = average_of(model, 0.5)
    expected = None
    for update, value in enumerate([1.0, 2.0, 4.0, *[8.0] * 7]):
        with torch.no_grad():
            model.weight.fill_(value)
            model.running_var.fill_(10.0 * value)
            model.num_batches_tracked.fill_(update)
        average.update_parameters(model)
        kept = [None, 2 / 11, 3 / 12, 4 / 13, 5 / 14, 6 / 15, 7 / 16, 8 / 17, 0.5, 0.5][update]
        expected = value if kept is None else kept * expected + (1 - kept) * value
        assert average.module.weight.item() == pytest.approx(expected, rel=1e-6)
        assert average.module.running_var.item() == pytest.approx(10.0 * expected, rel=1e-6)
        assert average.module.num_batches_tracked.item() == update


def test_the_average_holds_what_is_kept_and_no_adversary(tmp_path: Path) -> None:
    state = training_of(Normalised(), tmp_path).state
    assert state.average is not None
    assert state.average.module.state_dict().keys() == nn.BatchNorm1d(4).state_dict().keys()


def test_a_gpu_without_memory_is_one_line_with_the_setting_to_lower(tmp_path: Path) -> None:
    model = toy()

    def training_loss(batch: Batch, step: int) -> dict[str, Tensor]:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB. GPU 0 has …")

    model.training_loss = training_loss  # type: ignore[method-assign]
    with pytest.raises(InputError) as raised:
        run(tmp_path, model)
    assert str(raised.value) == (
        "GPU: out of memory with a batch of 1 clip × 6 frames; lower training.batch_size, which is 2"
    )


DAMAGED = pytest.mark.parametrize("content", [b"", b"no state", b"PK\x03\x04"])


@DAMAGED
def test_a_damaged_checkpoint_is_passed_over_for_the_one_before(
    tmp_path: Path, content: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    expected, _ = run(tmp_path / "whole", epochs=1)
    with pytest.raises(Interrupted):
        run(tmp_path / "damaged", toy(kill_at=3, poison="ctrl-c"), epochs=1)
    before, last = checkpoints_in(tmp_path / "damaged")
    last.write_bytes(content or last.read_bytes()[:-100])
    weights, _ = run(tmp_path / "damaged", None, Console(width=300), epochs=1)
    told = capsys.readouterr().out.splitlines()
    assert told[0].startswith(f"toy: {last}: damaged (")
    assert told[0].endswith("it was passed over")
    assert told[1] == f"toy: continuing from step {step_of(before)} of 4"
    assert all(torch.equal(weights[name], expected[name]) for name in expected)


@DAMAGED
def test_where_all_checkpoints_are_damaged_deleting_them_starts_over(tmp_path: Path, content: bytes) -> None:
    expected, _ = run(tmp_path / "whole", epochs=1)
    run(tmp_path / "damaged", epochs=1, keep_last=1)
    (state,) = checkpoints_in(tmp_path / "damaged")
    state.write_bytes(content or state.read_bytes()[:-100])
    with pytest.raises(InputError, match=r"4.pt: damaged \(.*delete this file, and the same command starts"):
        run(tmp_path / "damaged", epochs=1)
    state.unlink()
    weights, _ = run(tmp_path / "damaged", epochs=1)
    assert all(torch.equal(weights[name], expected[name]) for name in expected)
