"""The parallel model: its losses, its masks, its two phases of training, and what it infers."""

import csv
import math
import os
import signal
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from rich.console import Console
from torch import Tensor

from dtc.acoustic.base import InferenceOptions
from dtc.acoustic.parallel import Parallel, duration_loss, framed, spread, whole_frames, with_lasting_words
from dtc.batch import Batch
from dtc.errors import InputError
from dtc.text.symbols import ID_OF, text_to_ids
from dtc.training.config import TrainingConfig
from dtc.training.interrupts import Interrupted
from dtc.training.logbook import Logbook
from dtc.training.loop import train
from dtc.training.result import Trained
from dtc.training.task import Task
from tests.conftest import default_params
from tests.dtc.tiny_acoustic import AUDIO, MELS, OPTIONS, batch, clip, padded_further
from tests.dtc.tiny_parallel import model
from tests.training_params import run_config

SPACE = ID_OF[" "]
ALIGNER_STEPS = 4


def test_a_text_has_a_space_at_either_end() -> None:
    ids, lengths = framed(torch.tensor([[40, 41, 42], [43, 0, 0]]), torch.tensor([3, 1]))
    assert ids.tolist() == [[SPACE, 40, 41, 42, SPACE], [SPACE, 43, SPACE, 0, 0]]
    assert lengths.tolist() == [5, 3]


def test_symbols_are_spread_over_frames() -> None:
    found = spread(torch.tensor([[2, 1, 3], [1, 1, 0]]), frames=6)
    assert found.path.argmax(dim=2).tolist() == [[0, 0, 1, 2, 2, 2], [0, 1, 1, 1, 1, 1]]
    assert torch.equal(found.path.sum(dim=2), torch.ones(2, 6))
    passed, start, end, log_duration, middle = found.place[0].unbind(dim=1)
    torch.testing.assert_close(passed, torch.tensor([1 / 4, 3 / 4, 1 / 2, 1 / 6, 1 / 2, 5 / 6]))
    torch.testing.assert_close(start, torch.exp(-torch.tensor([0.0, 0.5, 0.0, 0.0, 0.5, 1.0])))
    torch.testing.assert_close(end, torch.exp(-torch.tensor([0.5, 0.0, 0.0, 1.0, 0.5, 0.0])))
    torch.testing.assert_close(log_duration.exp(), torch.tensor([2.0, 2.0, 1.0, 3.0, 3.0, 3.0]))
    torch.testing.assert_close(middle, torch.sin(torch.pi * passed))
    assert torch.equal(found.place[1, 2:], found.place[1, 1:2].expand(4, 5)), "the padding repeats the last frame"


def test_durations_are_rounded_without_drift_and_none_is_0() -> None:
    durations = torch.tensor([[1.4, 1.4, 1.4, 1.4, 1.4], [1.0, 2.6, 1.0, 7.0, 7.0]])
    mask = torch.tensor([[True] * 5, [True] * 3 + [False] * 2])
    assert whole_frames(durations, mask).tolist() == [[1, 2, 1, 2, 1], [1, 3, 1, 0, 0]]


def test_a_word_lasts_as_long_as_one_can_be_spoken() -> None:
    ids = torch.tensor([[SPACE, *text_to_ids("a. to, {HH AY1} two"), SPACE]])
    durations = torch.tensor([[9.0, 1.0, 7.0, 1.0, 2.0, 2.0, 5.0, 1.0, 1.0, 1.0, 1.0, 4.0, 4.0, 4.0, 9.0]])
    expected = torch.tensor([[9.0, 5.0, 7.0, 1.0, 2.5, 2.5, 5.0, 1.0, 2.5, 2.5, 1.0, 4.0, 4.0, 4.0, 9.0]])
    torch.testing.assert_close(with_lasting_words(durations, ids, shortest=5), expected)
    ours, text = model().eval(), torch.tensor(text_to_ids("a to the"))
    (said,) = ours.infer([text], seed=1, options=InferenceOptions(step=0, pace=0.01))
    frames = said.alignment.sum(dim=0)
    assert min(frames[0], frames[2:4].sum(), frames[5:].sum()) >= 0.045 * AUDIO.frames_per_s


@pytest.mark.parametrize("step", [0, ALIGNER_STEPS])
def test_padding_changes_no_gradient(step: int) -> None:
    ours = model(dropout_rate=0.0).train()
    example = batch((7, 20), (9, 31))
    gradients = []
    for each in (example, padded_further(example)):
        ours.zero_grad()
        loss = ours.training_loss(each, step)["loss"]
        loss.backward()
        gradients.append([loss, *(each.grad.clone() for each in ours.parameters() if each.grad is not None)])
    for plain, padded in zip(*gradients, strict=True):
        torch.testing.assert_close(padded, plain, atol=1e-5, rtol=1e-4)


def test_the_loss_is_the_mean_over_clips_of_their_own_losses() -> None:
    ours = model(dropout_rate=0.0).eval()
    together = ours.training_loss(batch((7, 20), (9, 31)), ALIGNER_STEPS)
    assert set(together) == {"loss", "mel", "duration", "duration_ratio"}
    torch.testing.assert_close(together["loss"], together["mel"] + together["duration"])
    first, second = (_row(batch((7, 20), (9, 31)), row) for row in (0, 1))
    one, other = (ours.training_loss(each, ALIGNER_STEPS) for each in (first, second))
    torch.testing.assert_close(together["mel"], (20 * one["mel"] + 31 * other["mel"]) / 51)
    torch.testing.assert_close(together["duration"], (9 * one["duration"] + 11 * other["duration"]) / 20)


def _row(example: Batch, row: int) -> Batch:
    """One clip of a batch, as if it were alone."""
    symbols, frames = int(example.symbol_lengths[row]), int(example.mel_lengths[row])
    return Batch(
        example.ids[row : row + 1],
        example.symbol_ids[row : row + 1, :symbols],
        example.symbol_lengths[row : row + 1],
        example.mel[row : row + 1, :, :frames],
        example.mel_lengths[row : row + 1],
        example.wave[row : row + 1],
        example.wave_lengths[row : row + 1],
    )


def test_the_loss_of_durations_is_least_at_their_mean_and_not_at_their_geometric_mean() -> None:
    """Of 2 and 8 frames: at 5, and not at √16 = 4. Padding is left out."""
    durations, mask = torch.tensor([[2, 8, 0]]), torch.tensor([[True, True, False]])
    predicted = torch.arange(2.0, 8.0, 0.1)
    losses = torch.stack([duration_loss(value.log().expand(1, 3), durations, mask) for value in predicted])
    assert predicted[losses.argmin()].item() == pytest.approx(5.0, abs=0.05)
    exact = duration_loss(torch.tensor([[2.0, 8.0, 9.0]]).log(), durations, mask)
    assert exact.item() == pytest.approx(0.0, abs=1e-6)
    near = duration_loss(torch.tensor([[2.1, 8.4, 9.0]]).log(), durations, mask)
    relative_errors = torch.tensor(1.05).log().square() * torch.tensor([2.0, 8.0]).sqrt()
    assert near.item() == pytest.approx(relative_errors.mean().item(), rel=0.05)


def test_noise_of_the_predicted_durations_does_not_make_speech_slower() -> None:
    """Dropout adds noise of the same size to either side of a log duration, in training but not when it is spoken."""
    durations, mask = torch.tensor([[2, 8, 8, 2]]), torch.ones(1, 4, dtype=torch.bool)
    noise = torch.tensor([[0.5, 0.5, -0.5, -0.5]])
    predicted = torch.arange(2.0, 8.0, 0.1)
    losses = torch.stack([duration_loss(value.log() + noise, durations, mask) for value in predicted])
    assert predicted[losses.argmin()].item() == pytest.approx(5.0, abs=0.05)


@torch.no_grad()
def test_calibration_makes_the_durations_as_long_as_the_recordings() -> None:
    ours, batches = model().eval(), [batch((7, 40), (9, 50)), batch((5, 31))]
    before = ours.log_duration.weight.clone()
    ours.calibrate(batches)
    ratios = [ours.training_loss(each, ALIGNER_STEPS)["duration_ratio"] for each in batches]
    frames = torch.tensor([90.0, 31.0])
    assert (torch.stack(ratios) * frames).sum().item() == pytest.approx(121, rel=1e-5)
    assert torch.equal(ours.log_duration.weight, before)


@pytest.mark.parametrize("predicted", [1000.0, -1000.0, float("nan")])
@torch.no_grad()
def test_durations_that_no_factor_corrects_are_refused(predicted: float) -> None:
    """The sum of exp(1000) is infinite, that of exp(-1000) is 0."""
    ours = model().eval()
    ours.log_duration.bias.fill_(predicted)
    before = {name: value.clone() for name, value in ours.state_dict().items()}
    with pytest.raises(InputError, match=r"^acoustic model: computed NaN or infinity"):
        ours.calibrate([batch((7, 40))])
    torch.testing.assert_close(dict(ours.state_dict()), before, rtol=0, atol=0, equal_nan=True)


def test_lengths_of_1_and_400_in_one_batch_train_and_speak() -> None:
    ours = model().train()
    for step in (0, ALIGNER_STEPS):
        ours.zero_grad()
        losses = ours.training_loss(batch((1, 3), (400, 402), (7, 60)), step)
        losses["loss"].backward()
        assert all(torch.isfinite(value) for value in losses.values())
        gradients = [parameter.grad for parameter in ours.parameters() if parameter.grad is not None]
        assert all(torch.isfinite(gradient).all() for gradient in gradients)
    texts = [clip("a", symbols, 1).symbol_ids for symbols in (1, 400, 7)]
    for text, said in zip(texts, ours.eval().infer(texts, seed=1, options=OPTIONS), strict=True):
        assert said.mel.shape == (MELS, len(said.alignment))
        assert said.alignment.shape[1] == len(text)
        assert torch.isfinite(said.mel).all()
        assert said.status == "ended"


@pytest.mark.parametrize("step", [0, ALIGNER_STEPS])
def test_a_text_longer_than_its_clip_is_named(step: int) -> None:
    line = "clip1: the text does not fit: 9 symbols in 10 frames, expected 11 frames or more; correct its text, or"
    for fails in (model().training_loss, model().predict_recorded):
        with pytest.raises(InputError, match=f"^{line}"):
            fails(batch((7, 20), (9, 10)), step)


def test_silence_trains_and_speaks() -> None:
    ours, example = model(), batch((7, 20), (9, 31))
    silent = replace(example, mel=torch.full_like(example.mel, -11.5))
    for step in (0, ALIGNER_STEPS):
        assert all(torch.isfinite(value) for value in ours.training_loss(silent, step).values())
    assert torch.isfinite(ours.predict_recorded(silent, ALIGNER_STEPS)).all()


def test_an_utterance_is_its_text_in_order() -> None:
    ours, text = model().eval(), clip("a", 9, 1).symbol_ids
    (said,) = ours.infer([text], seed=1, options=OPTIONS)
    spoken = said.alignment.sum(dim=1)
    first, last = spoken.nonzero()[0], spoken.nonzero()[-1]
    assert spoken[first : last + 1].eq(1).all(), "silence is only at the ends"
    assert first >= 1
    assert last <= len(spoken) - 2
    symbols = said.alignment[spoken == 1].argmax(dim=1)
    assert symbols.unique_consecutive().tolist() == list(range(9))


def test_a_text_is_spoken_alone_as_in_a_batch_and_for_every_seed() -> None:
    ours = model().eval()
    texts = [clip("a", symbols, 1).symbol_ids for symbols in (9, 25, 4)]
    together = ours.infer(texts, seed=3, options=OPTIONS)
    for text, said in zip(texts, together, strict=True):
        (alone,) = ours.infer([text], seed=4, options=OPTIONS)
        assert torch.equal(alone.alignment, said.alignment)
        torch.testing.assert_close(alone.mel, said.mel, atol=1e-5, rtol=0)


def test_pace_is_a_factor_of_the_durations() -> None:
    ours, text = model().eval(), clip("a", 30, 1).symbol_ids
    torch.nn.init.constant_(ours.log_duration.bias, 3.0)

    def frames(pace: float) -> int:
        return ours.infer([text], seed=1, options=InferenceOptions(step=0, pace=pace))[0].mel.shape[1]

    assert frames(2.0) == pytest.approx(2 * frames(1.0), abs=1)
    assert frames(0.5) == pytest.approx(frames(1.0) / 2, abs=1)
    assert frames(0.01) == 32, "no symbol is left out"


@pytest.mark.parametrize(
    ("log_duration", "found"),
    [
        (math.nan, "computed NaN or infinity, expected finite numbers"),
        (100.0, "computed NaN or infinity, expected finite numbers"),
        (math.log(400.0), r"predicted 4\.4e\+03 frames for 11 symbols, expected at most 2100"),
    ],
)
def test_durations_that_are_no_speech_are_refused(log_duration: float, found: str) -> None:
    """They are those of a model whose training diverged, and would take endless memory."""
    ours = model().eval()
    torch.nn.init.zeros_(ours.log_duration.weight)
    torch.nn.init.constant_(ours.log_duration.bias, log_duration)
    with pytest.raises(InputError, match=f"^acoustic model: {found}; its training diverged: train it again$"):
        ours.infer([clip("a", 4, 1).symbol_ids, clip("b", 9, 1).symbol_ids], seed=1, options=OPTIONS)


def test_a_long_silence_in_a_short_text_is_spoken() -> None:
    ours = model().eval()
    torch.nn.init.zeros_(ours.log_duration.weight)
    torch.nn.init.constant_(ours.log_duration.bias, math.log(300.0))
    assert ours.infer([torch.tensor([40])], seed=1, options=OPTIONS)[0].mel.shape[1] == 900


def test_recordings_are_predicted_with_their_own_durations() -> None:
    ours, example = model().eval(), batch((7, 20), (9, 31))
    predicted = ours.predict_recorded(example, ALIGNER_STEPS)
    assert predicted.shape == example.mel.shape
    alone = ours.predict_recorded(_row(example, 0), ALIGNER_STEPS)
    torch.testing.assert_close(predicted[:1, :, :20], alone, atol=1e-5, rtol=0)
    error = (ours.normalise(predicted) - ours.normalise(example.mel)).abs()[1].mean()
    loss = ours.training_loss(_row(example, 1), ALIGNER_STEPS)["mel"]
    torch.testing.assert_close(error, loss, atol=1e-5, rtol=0)


def test_bfloat16_is_near_float32() -> None:
    ours, example = model(dropout_rate=0.0).train(), batch((7, 20), (9, 31))
    plain = ours.training_loss(example, ALIGNER_STEPS)
    with torch.autocast("cpu", torch.bfloat16):
        losses = ours.training_loss(example, ALIGNER_STEPS)
    losses["loss"].backward()
    assert all(value.dtype == torch.float32 for value in losses.values())
    for name, value in plain.items():
        torch.testing.assert_close(losses[name], value, rtol=0.05, atol=0.01)


@pytest.mark.slow
def test_learns_one_batch_by_heart() -> None:
    """The targets are noise, so an error near 0 is memory, not luck."""
    ours, example = model(aligner_steps=20, dropout_rate=0.0).train(), batch((6, 18), (8, 23))
    adam = torch.optim.Adam(ours.parameters(), 1e-2)
    history = []
    for step in range(170):
        losses = ours.training_loss(example, step)
        adam.zero_grad()
        losses["loss"].backward()
        adam.step()
        history.append({name: value.item() for name, value in losses.items()})
    assert history[-1]["mel"] < 0.3 * history[20]["mel"]
    assert history[-1]["duration"] < 0.1 * history[20]["duration"]


class Data:
    """Three batches an epoch."""

    batches_per_epoch = 3

    def epoch(self, number: int, first: int = 0) -> Iterator[Batch]:
        yield from [batch((7, 20), (9, 31)), batch((5, 18), (6, 40)), batch((1, 9), (12, 33))][first:]


class Killed(Parallel):
    """Receives Ctrl-C in a step of the training."""

    kill_at: int

    def training_loss(self, batch: Batch, step: int) -> dict[str, Tensor]:
        if self.training and step == self.kill_at:
            os.kill(os.getpid(), signal.SIGINT)
        return super().training_loss(batch, step)


def run(folder: Path, kill_at: int | None = None, epochs: int = 3) -> Trained:
    tree = default_params()["training"]["acoustic"] | {"epochs": epochs, "weight_average": 0.9}
    ours = model(ALIGNER_STEPS)
    if kill_at is not None:
        ours.__class__, ours.kill_at = Killed, kill_at
    how = run_config(epochs_save=100)
    task = Task(ours, Data(), Data(), lambda *_: None, "training.acoustic")
    training = TrainingConfig.model_validate(tree)
    return train(task, training, how, folder, Logbook(folder, "acoustic", Console(quiet=True)))


@pytest.mark.parametrize("kill_at", [1, ALIGNER_STEPS - 1, ALIGNER_STEPS, ALIGNER_STEPS + 2])
def test_a_training_that_is_stopped_in_either_phase_goes_on_exactly(tmp_path: Path, kill_at: int) -> None:
    expected = run(tmp_path / "whole")
    with pytest.raises(Interrupted):
        run(tmp_path / "stopped", kill_at)
    found = run(tmp_path / "stopped")
    assert found.steps == expected.steps == 9
    assert all(torch.equal(found.weights[name], value) for name, value in expected.weights.items())
    rows = [(tmp_path / name / "history.csv").read_text() for name in ("whole", "stopped")]
    assert rows[0] == rows[1]


def test_the_aligner_is_trained_first_and_then_left_as_it_is(tmp_path: Path) -> None:
    ours = model(ALIGNER_STEPS)
    seen: list[dict[str, Tensor]] = []
    plain = ours.training_loss

    def remember(batch: Batch, step: int) -> dict[str, Tensor]:
        if ours.training:
            seen.append({name: value.detach().clone() for name, value in ours.named_parameters()})
        return plain(batch, step)

    ours.training_loss = remember  # type: ignore[method-assign]
    tree = default_params()["training"]["acoustic"] | {"epochs": 3}
    how = run_config(epochs_save=100)
    task = Task(ours, Data(), Data(), lambda *_: None)
    logbook = Logbook(tmp_path, "acoustic", Console(quiet=True))
    train(task, TrainingConfig.model_validate(tree), how, tmp_path, logbook)
    for step, (before, after) in enumerate(pairwise(seen)):
        changed = {name.partition(".")[0] for name in before if not torch.equal(before[name], after[name])}
        assert (changed == {"aligner"}) if step < ALIGNER_STEPS else ("aligner" not in changed)
    rows = [row for row in csv.DictReader((tmp_path / "history.csv").open()) if row["split"] == "train"]
    rates = [float(row["lr"]) for row in rows]
    assert rates[0] == rates[ALIGNER_STEPS] == min(rates[:3]) == pytest.approx(2e-3 / 25), "both phases warm up"
    assert rates[ALIGNER_STEPS - 1] == rates[-1] == pytest.approx(2e-5), "and end at the final share"
    assert all(bool(row["alignment"]) != bool(row["mel"]) for row in rows)


def test_a_training_without_steps_for_the_second_phase_is_refused(tmp_path: Path) -> None:
    line = "training.acoustic: 3 steps in all, expected more than 4, where the model's last phase begins; raise epochs, or max_steps"
    with pytest.raises(InputError, match=line):
        run(tmp_path, epochs=1)
