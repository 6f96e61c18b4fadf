"""The wording of messages."""

import pytest

from dtc.errors import pace


@pytest.mark.parametrize(
    ("per_s", "shown"),
    [
        (0.0, ""),
        (0.001, "1,000 s each"),
        (0.05, "20 s each"),
        (0.4, "2.5 s each"),
        (1.0, "1.0/s"),
        (2.44, "2.4/s"),
        (12.4, "12/s"),
        (1234.0, "1,234/s"),
    ],
)
def test_a_pace_is_shown_with_a_unit_in_which_it_is_not_zero(per_s: float, shown: str) -> None:
    assert pace(per_s) == shown
