"""The committed results of the demo: they are those that dvc.lock names, and the voice is as good as the README says."""

import json

import pytest
import yaml

from dtc.provenance import md5_of
from tests.conftest import REPOSITORY

MOST_WORD_ERRORS = 0.06  # of the voice on the held-out texts: trainings that differ by their seed have 3 to 6 %
LOCKED = yaml.safe_load((REPOSITORY / "dvc.lock").read_text())["stages"]
KEPT_IN_GIT = [out for stage in LOCKED.values() for out in stage["outs"] if (REPOSITORY / out["path"]).is_file()]


@pytest.mark.parametrize("out", KEPT_IN_GIT, ids=lambda out: out["path"])
def test_a_committed_result_is_the_locked_one(out: dict[str, str]) -> None:
    assert md5_of(REPOSITORY / out["path"]) == out["md5"]


def test_the_committed_voice_is_understood() -> None:
    assert len(KEPT_IN_GIT) >= 6
    metrics = json.loads((REPOSITORY / "results/metrics/evaluate.json").read_text())
    assert metrics["recording_word_error_rate"] <= 0.02, "the recogniser is fair"
    assert metrics["word_error_rate"] <= MOST_WORD_ERRORS
    assert metrics["clips"] == 40
