"""Batches that do not fit into a GPU's memory, computed in parts."""

import io
from pathlib import Path

import pytest
import torch
from rich.console import Console
from torch import Tensor

from dtc.batch import Batch
from dtc.errors import InputError
from dtc.training.devices import Devices
from dtc.training.logbook import Logbook
from dtc.training.loop import train
from dtc.training.task import Task
from tests.dtc.test_run_settings import SGD, Plain, Rows
from tests.dtc.test_training import config, how
from tests.dtc.tiny_acoustic import batch


class Small(Plain):
    """A toy on a GPU with memory for so many clips; it fails in the backward pass, when some gradients are there."""

    def __init__(self, most_clips: int) -> None:
        super().__init__()
        self.most_clips = most_clips
        self.register_buffer("passes", torch.zeros(()))

    def training_loss(self, batch: Batch, step: int) -> dict[str, Tensor]:
        losses = super().training_loss(batch, step)
        if self.training:
            self.passes += 1
            if len(batch.ids) > self.most_clips:
                losses["loss"].backward()
                raise torch.OutOfMemoryError("CUDA out of memory.")
        return losses


def weights_of(folder: Path, most_clips: int, accumulate: int = 1, halve: bool = True) -> tuple[dict[str, Tensor], str]:
    torch.manual_seed(1)
    chosen = config(optimizer=SGD, epochs=2, weight_average=0.0, grad_clipping=False, accumulate=accumulate)
    printed = io.StringIO()
    size = 4 // accumulate
    task, logbook = (
        Task(Small(most_clips), Rows(size), Rows(size), lambda *_: None),
        Logbook(folder, "toy", Console(file=printed, width=200)),
    )
    done = train(task, chosen, how(halve_on_oom=halve), folder, logbook)
    assert done.steps == 2
    return done.weights, printed.getvalue()


@pytest.mark.parametrize(("most_clips", "accumulate", "parts"), [(2, 1, [2]), (1, 1, [2, 4]), (1, 2, [2])])
def test_a_batch_that_is_too_large_is_computed_in_parts_with_the_same_result(
    tmp_path: Path, most_clips: int, accumulate: int, parts: list[int]
) -> None:
    expected, _ = weights_of(tmp_path / "whole", 4, accumulate)
    weights, printed = weights_of(tmp_path / "parts", most_clips, accumulate)
    assert weights.pop("passes") == 2 * 4 // most_clips, "a pass that failed leaves nothing"
    del expected["passes"]
    torch.testing.assert_close(weights, expected)
    lines = [line for line in printed.splitlines() if "out of memory" in line]
    assert lines == [f"toy: out of memory: from here on, a batch is computed in {count} parts" for count in parts]


def test_it_is_refused_where_it_is_not_wanted_and_where_one_clip_is_too_large(tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"out of memory with a batch of 4 clips × 6 frames; lower training.batch_size"
    ):
        weights_of(tmp_path / "unwanted", 2, halve=False)
    with pytest.raises(InputError, match=r"out of memory with a batch of 1 clip × 6 frames"):
        weights_of(tmp_path / "tiny", 0)


def test_several_processes_refuse_it(tmp_path: Path) -> None:
    task = Task(Small(2), Rows(4), Rows(4), lambda *_: None, "training.vocoder", devices=Devices(world=2))
    with pytest.raises(InputError) as refused:
        train(task, config(), how(halve_on_oom=True), tmp_path, Logbook(tmp_path, "toy", Console(quiet=True)))
    assert str(refused.value) == (
        "run.vocoder.halve_on_oom: true, with 2 processes, expected false; set it to false and raise "
        "training.vocoder.accumulate, with smaller batches, or use one process"
    )


def test_a_part_of_a_batch_is_padded_to_its_own_longest_clip() -> None:
    whole = batch((7, 20), (9, 31), (4, 12))
    part = whole.part(slice(0, None, 2))
    assert part.ids == ("clip0", "clip2")
    assert part.symbol_ids.shape == (2, 7)
    assert part.mel.shape[2] == 20
    assert torch.equal(part.mel[1, :, :12], whole.mel[2, :, :12])
    assert part.wave_lengths.tolist() == [80, 48]
