"""The kinds of pauses that marks ask for, and the length that a corpus gives them."""

from typing import Literal

from dtc.config import Section

Pause = Literal["none", "clause", "sentence"]


class MarkPauses(Section):
    """The median silences at the marks inside the clips of a corpus; None where they tell nothing."""

    sentence_s: float | None
    clause_s: float | None
