"""Pictures and warnings of an acoustic model in training."""

from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from dtc.acoustic.examples import attention_warning, log_pictures
from dtc.training.logbook import Logbook
from tests.dtc.tiny_acoustic import batch, model


@pytest.mark.parametrize(
    ("share", "score", "warned"), [(0.24, 0.6, False), (0.25, 0.6, True), (0.9, 0.79, True), (0.25, 0.81, False)]
)
def test_an_attention_that_is_not_aligned_after_a_quarter_of_the_steps_is_reported(
    share: float, score: float, warned: bool
) -> None:
    warning = attention_warning({"loss": 1.0, "diagonal_score": score}, share)
    assert ("the attention does not follow the text" in warning) is warned
    if warned:
        assert warning.startswith(f"diagonal score {score:.2f}, expected 0.8 by now")
        assert "acoustic.loss.guided_attention_weight" in warning


def test_a_model_without_attention_is_not_warned_about() -> None:
    assert attention_warning({"loss": 1.0}, 0.9) == ""


class Images(Logbook):
    def __init__(self) -> None:
        super().__init__(Path("unused"), "toy", Console(quiet=True))
        self.images: dict[str, np.ndarray] = {}

    def image(self, step: int, name: str, picture: np.ndarray) -> None:
        assert step == 7
        self.images[name] = picture


def test_pictures_of_the_alignment_and_of_both_mels() -> None:
    log = Images()
    log_pictures(model().train(), batch((7, 20), (9, 31)), log, step=7)
    assert set(log.images) == {"alignment", "mel/recording", "mel/synthesis"}
    assert all(picture.std() > 0 for picture in log.images.values())
