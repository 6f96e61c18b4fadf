"""What a training says of itself while it runs."""

import io
from pathlib import Path

import pytest
from rich.console import Console

from dtc.training.logbook import Logbook
from stages.train import _look_at_attention


@pytest.mark.parametrize(
    ("step", "score", "warned"), [(24, 0.6, False), (25, 0.6, True), (90, 0.79, True), (25, 0.81, False)]
)
def test_an_attention_that_is_lost_after_a_quarter_of_the_steps_is_said(
    tmp_path: Path, step: int, score: float, warned: bool
) -> None:
    printed = io.StringIO()
    console = Console(file=printed, width=400)
    with Logbook(tmp_path, "acoustic", 0, 100, console) as logbook:
        logbook.scalars(step, "validation", {"loss": 1.0, "diagonal_score": score})
        _look_at_attention(logbook, step)
    assert ("the attention does not follow the text" in printed.getvalue()) is warned
    if warned:
        assert f"acoustic: step {step}, diagonal score {score:.2f}, expected 0.8 by now" in printed.getvalue()
        assert "acoustic.loss.guided_attention_weight" in printed.getvalue()
