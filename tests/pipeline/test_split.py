"""pipeline.split: a clip's split is a function of (seed, id) and the shares."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from pipeline.split import SplitConfig, split_of

IDS = [f"LJ{chapter:03d}-{clip:04d}" for chapter in range(1, 51) for clip in range(1, 101)]
FOUR_DEVIATIONS = 4 * (0.25 / len(IDS)) ** 0.5  # of a share counted over 5000 clips: 0.028


def config(validation_share: float = 0.05, test_share: float = 0.12, seed: int = 1) -> SplitConfig:
    return SplitConfig(validation_share=validation_share, test_share=test_share, seed=seed)


@pytest.mark.parametrize(("validation_share", "test_share"), [(0.05, 0.12), (0.01, 0.01), (0.4, 0.4)])
def test_shares_are_about_right(validation_share: float, test_share: float) -> None:
    splits = [split_of(clip, config(validation_share, test_share)) for clip in IDS]
    expected = {"validation": validation_share, "test": test_share, "train": 1 - validation_share - test_share}
    assert {name: splits.count(name) / len(IDS) for name in expected} == pytest.approx(expected, abs=FOUR_DEVIATIONS)


def test_these_clips_stay_where_they_are_for_ever() -> None:
    """A changed hash would silently teach models what they were tested on."""
    assert [split_of(f"clip-{n:03d}", config(0.25, 0.25)) for n in range(8)] == [
        "test",
        "validation",
        "train",
        "test",
        "test",
        "train",
        "train",
        "train",
    ]


@given(st.text(), st.integers(0, 2**31), st.floats(0.01, 0.2), st.floats(0.01, 0.2))
def test_a_larger_test_share_keeps_its_clips(clip: str, seed: int, test_share: float, more: float) -> None:
    before, after = (split_of(clip, config(0.2, share, seed)) for share in (test_share, test_share + more))
    assert before != "test" or after == "test"


def test_another_seed_is_another_split() -> None:
    one, other = ([split_of(clip, config(seed=seed)) for clip in IDS] for seed in (1, 2))
    assert one != other


@pytest.mark.parametrize("wrong", [{"validation_share": 0.0}, {"test_share": 0.5}, {"test_share": -0.1}, {"seed": -1}])
def test_section_is_strict(wrong: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        SplitConfig.model_validate({"validation_share": 0.05, "test_share": 0.12, "seed": 1} | wrong)
