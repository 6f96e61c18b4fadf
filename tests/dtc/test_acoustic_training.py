"""Tacotron 2 in training: gradients, statistics, dropout, precision, and what it learns."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from rich.console import Console
from torch import Tensor

from dtc.acoustic.decoder import PreNet
from dtc.acoustic.layers import MaskedBatchNorm
from dtc.batch import Batch
from dtc.seeding import seed_all
from dtc.training.guards import NonFiniteLoss
from dtc.training.logbook import Logbook
from dtc.training.loop import train
from dtc.training.optim import AdamConfig, build_optimizer
from dtc.training.task import Task
from tests.dtc.tiny_acoustic import OPTIONS, batch, clip, model, padded_further
from tests.training_params import run_config, training_config

GRADIENT_ERROR = 0.02  # of all gradients in bfloat16, as a share of their norm; 0.006 was found


@pytest.fixture
def no_dropout(monkeypatch: pytest.MonkeyPatch) -> None:
    """Prenet dropout is always on, in torchaudio's model too."""
    monkeypatch.setattr(F, "dropout", lambda values, *_, **__: values)


@pytest.mark.usefixtures("no_dropout")
def test_padding_changes_no_gradient_in_training() -> None:
    """The same two clips, padded further: the same loss and gradients, batch normalisation's statistics included."""
    ours = model(frames_per_step=3).train()
    example = batch((7, 20), (9, 31))
    gradients = []
    for each in (example, padded_further(example)):
        ours.zero_grad()
        loss = ours.training_loss(each, 0)["loss"]
        loss.backward()
        gradients.append([loss] + [parameter.grad.clone() for parameter in ours.parameters()])
    for plain, padded in zip(*gradients, strict=True):
        torch.testing.assert_close(padded, plain, atol=1e-4, rtol=1e-3)


def test_one_clip_of_one_symbol_leaves_the_running_variance_as_it_was() -> None:
    """The variance of one value is undefined: dividing by count - 1 would make it NaN."""
    norm = MaskedBatchNorm(5).train()
    mask = torch.tensor([[True, False, False]])
    assert torch.isfinite(norm(torch.randn(1, 5, 3), mask)[:, :, 0]).all()
    assert torch.equal(norm.running_var, torch.ones(5))
    assert norm.num_batches_tracked == 1


def test_masked_batch_norm_is_batch_norm_without_padding() -> None:
    values = torch.randn(3, 5, 11)
    ours, theirs = MaskedBatchNorm(5), torch.nn.BatchNorm1d(5)
    torch.testing.assert_close(ours(values, torch.ones(3, 11, dtype=torch.bool)), theirs(values))
    torch.testing.assert_close(ours.running_var, theirs.running_var)
    torch.testing.assert_close(ours.running_mean, theirs.running_mean)


@pytest.mark.slow
@pytest.mark.usefixtures("no_dropout")
def test_learns_one_batch_by_heart() -> None:
    """The targets are noise, so an error near 0 is memory, not luck."""
    ours = model(frames_per_step=2).train()
    example = batch((6, 18), (8, 23))
    optimizer = torch.optim.Adam(ours.parameters(), 5e-3)
    history = []
    for _ in range(150):
        losses = ours.training_loss(example, 0)
        optimizer.zero_grad()
        losses["loss"].backward()
        optimizer.step()
        history.append({name: value.item() for name, value in losses.items()})
    assert history[-1]["mel_postnet"] < 0.3 * history[0]["mel_postnet"]
    assert history[-1]["gate"] < 0.1 * history[0]["gate"]


def test_dropped_frames_are_the_mean_and_come_in_training_only() -> None:
    ours, example = model(frame_dropout=0.5), batch((7, 40))
    seen: list[Tensor] = []
    forward = PreNet.forward
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(PreNet, "forward", lambda prenet, frames, *kept: seen.append(frames) or forward(prenet, frames))
        ours.train()(example, step=0)
        ours.eval()(example, step=0)
    in_training, in_evaluation = ((frames[1:] == 0).all(dim=2).float().mean().item() for frames in seen)
    assert 0.2 < in_training < 0.8
    assert in_evaluation == 0.0


def test_a_model_in_training_speaks_with_its_latest_weights() -> None:
    """The fused optimizer changes them without a trace: a decoder made ready earlier is another voice."""
    ours, text = model(), clip("a", 9, 1).symbol_ids
    adam = AdamConfig(type="adamw", learning_rate=0.1, betas=(0.9, 0.99), eps=1e-6, weight_decay=0.0, decays="all")
    optimizer = build_optimizer(ours.parameters(), adam)
    before = ours.eval().infer([text], seed=1, options=OPTIONS)[0]
    ours.train().training_loss(batch((7, 20), (9, 31)), 0)["loss"].backward()
    optimizer.step()
    after = ours.eval().infer([text], seed=1, options=OPTIONS)[0]
    fresh = model()
    fresh.load_state_dict(ours.state_dict())
    expected = fresh.eval().infer([text], seed=1, options=OPTIONS)[0]
    assert torch.equal(after.mel, expected.mel)
    assert not torch.equal(after.alignment[0], before.alignment[0])


def test_a_mel_that_is_no_number_stops_the_training_and_names_the_clips(tmp_path: Path) -> None:
    class Data:
        batches_per_epoch = 1

        def epoch(self, number: int, first: int = 0) -> Iterator[Batch]:
            example = batch((7, 20), (9, 31))
            example.mel[1, 3, 5] = float("nan")
            yield example

    training = training_config()
    how = run_config(epochs_test=1)
    task = Task(model(), Data(), Data(), lambda *_: None)
    with pytest.raises(NonFiniteLoss, match=r"step 0: loss nan, .*; clips clip0, clip1"):
        train(task, training, how, tmp_path, Logbook(tmp_path, "acoustic", Console(quiet=True)))


@pytest.mark.parametrize("bfloat16", [False, True])
def test_gradient_checkpointing_keeps_less_and_changes_nothing(bfloat16: bool) -> None:
    example, kept_bytes, results = batch((7, 100), (9, 71)), [], []

    def count(value: Tensor) -> Tensor:
        kept_bytes[-1] += value.numel() * value.element_size()
        return value

    for checkpointed in (False, True):
        ours = model(gradient_checkpointing=checkpointed).train()
        kept_bytes.append(0)
        seed_all("dropout")
        with (
            torch.autograd.graph.saved_tensors_hooks(count, lambda value: value),
            torch.autocast("cpu", torch.bfloat16, enabled=bfloat16),
        ):
            loss = ours.training_loss(example, 0)["loss"]
        loss.backward()
        results.append([loss, *(parameter.grad for parameter in ours.parameters())])
    assert kept_bytes[1] < 0.7 * kept_bytes[0]
    assert all(torch.equal(one, other) for one, other in zip(*results, strict=True))


def test_bfloat16_is_near_float32() -> None:
    """Products in bfloat16, softmax, states and losses in float32: 8 bits of mantissa, so about a percent."""
    ours, example = model(frames_per_step=2).train(), batch((7, 20), (9, 31))
    losses, gradients = [], []
    for enabled in (False, True):
        seed_all("dropout")
        ours.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            losses.append(ours.training_loss(example, 0))
        losses[-1]["loss"].backward()
        gradients.append(torch.cat([parameter.grad.flatten() for parameter in ours.parameters()]))
    assert torch.dist(*gradients) < GRADIENT_ERROR * gradients[0].norm()
    assert all(value.dtype == torch.float32 for value in losses[1].values())
    for name, value in losses[0].items():
        torch.testing.assert_close(losses[1][name], value, rtol=0.05, atol=0.01)
    assert all(torch.isfinite(parameter.grad).all() for parameter in ours.parameters())
