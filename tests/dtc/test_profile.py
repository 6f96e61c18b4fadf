"""A profile of a training: it changes no weight, and tells where the time goes."""

import gzip
import io
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from rich.console import Console
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from dtc.batch import Batch
from dtc.training import profile
from dtc.training.logbook import Logbook
from dtc.training.loop import train
from dtc.training.operations import UNCOUNTED
from dtc.training.task import Task
from tests.dtc.tiny_acoustic import batch, model
from tests.training_params import run_config, training_config


class Clips:
    batches_per_epoch = 3

    def epoch(self, number: int, first: int = 0) -> Iterator[Batch]:
        for place in range(first, 3):
            yield batch((5 + place, 12), (7, 15 + place))


def trained(folder: Path, steps: int, profiles: bool) -> tuple[dict[str, Tensor], str]:
    printed = io.StringIO()
    logbook = Logbook(folder, "toy", Console(file=printed, width=160), profiles=profiles)
    task = Task(model(frames_per_step=3), Clips(), Clips(), lambda *_: None)
    how = run_config(epochs_test=100, predict=100, epochs_save=100)
    config = training_config(max_steps=steps, epochs=None, precision="fp32")
    return train(task, config, how, folder, logbook).weights, printed.getvalue()


def test_it_changes_no_weight_and_names_the_costliest_operations(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(profile, "SIZE", 64)
    monkeypatch.setattr(profile, "PROFILED_STEPS", 2)
    monkeypatch.setattr(profile, "COUNTED_STEPS", 2)
    expected, _ = trained(tmp_path / "plain", 6, profiles=False)
    weights, printed = trained(tmp_path / "profiled", 6, profiles=True)
    assert all(torch.equal(weights[name], value) for name, value in expected.items())
    assert len(re.findall(r"^ ?\S.* +[\d,]+ +[\d,.]+ +\d+\.\d%", printed, re.MULTILINE)) == profile.COSTLIEST
    told = re.search(r"profile: 2 steps, ([\d,.]+) GFLOP/s in products and convolutions, ([\d.]+)% of the", printed)
    assert told is not None
    trace = json.loads(gzip.decompress((tmp_path / "profiled/profile.json.gz").read_bytes()))
    assert any(event.get("name") == "aten::addmm" for event in trace["traceEvents"])


def test_a_training_that_is_too_short_has_no_profile(tmp_path: Path) -> None:
    _, printed = trained(tmp_path, 2, profiles=True)
    assert "profile: none, as the training has 5 steps or fewer left" in printed
    assert not (tmp_path / "profile.json.gz").exists()


def test_the_products_that_pytorch_does_not_count_are_counted() -> None:
    left, right = torch.zeros(3, 4), torch.zeros(4, 5)
    with FlopCounterMode(display=False, custom_mapping=UNCOUNTED) as counter:
        torch.zeros(3, 5).addmm_(left, right)
        torch.zeros(2, 3, 5).baddbmm_(left.expand(2, 3, 4), right.expand(2, 4, 5))
    assert counter.get_total_flops() == 2 * 3 * 4 * 5 + 2 * 2 * 3 * 4 * 5
