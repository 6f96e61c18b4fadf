"""The line that a training prints before its first step."""

from dataclasses import replace

import pytest

from dtc.training.devices import Devices
from stages.train import _summary
from tests.dtc.test_training import TaughtToy, Toy, config, task

FROZEN = {"params": "layer.*", "until_step": None}


@pytest.mark.parametrize(
    ("model", "changes", "line"),
    [
        (Toy(), {}, "20 parameters to train on cpu in fp32; 12 steps, each of a batch of 2 clips"),
        (TaughtToy(), {}, "25 parameters to train on cpu in fp32; 12 steps, each of a batch of 2 clips"),
        (
            TaughtToy(),
            {"freeze": [FROZEN], "precision": "bf16"},
            "5 parameters to train on cpu in bf16; 12 steps, each of a batch of 2 clips",
        ),
        (
            Toy(),
            {"freeze": [FROZEN | {"until_step": 3}], "accumulate": 2, "batch_size": None, "batch_frames": 9000},
            "20 parameters to train on cpu in fp32; 6 steps, each of 2 batches of at most 9,000 frames",
        ),
    ],
)
def test_it_tells_what_is_trained_where_and_for_how_long(model: Toy, changes: dict[str, object], line: str) -> None:
    assert _summary(task(model), config(**changes)) == line


def test_it_counts_the_processes() -> None:
    of_two = replace(task(Toy()), devices=Devices(world=2))
    assert _summary(of_two, config()).startswith("20 parameters to train by 2 processes on cpu in fp32; ")
