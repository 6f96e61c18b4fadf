"""Measure how long a corpus pauses at the marks inside its clips.

No alignment is needed: the longest silences of a clip are those at its marks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain, islice, repeat

import numpy as np
from jaxtyping import Shaped

from dtc.audio_config import AudioConfig
from dtc.silence import PAUSE_DB, frame_powers, sounds
from dtc.text.mark_pauses import MarkPauses, Pause
from dtc.text.sentences import inner_pauses

FEWEST_MARKS = 8  # whose median is taken for the corpus's


def silences_at_marks(
    spoken_text: str, wave: Shaped[np.ndarray, " samples"], audio: AudioConfig
) -> tuple[Pause, list[float]] | None:
    """Return the kind of the marks inside a clip and the silences at them in seconds, 0 where there is no silence.

    Return None for a clip without marks, or with marks of both kinds, as it is not known which silence is which.
    """
    marks = inner_pauses(spoken_text)
    if len(set(marks)) != 1:
        return None
    sounding = np.flatnonzero(sounds(frame_powers(wave, audio.hop_length), PAUSE_DB))
    longest = sorted((np.diff(sounding) - 1).tolist(), reverse=True)  # without the silence at either end of the clip
    return marks[0], [frames / audio.frames_per_s for frames in islice(chain(longest, repeat(0)), len(marks))]


def median_pauses(silences_s: Mapping[Pause, Sequence[float]]) -> MarkPauses | None:
    """Return the median of the silences at each kind of mark, or None where neither kind has one.

    A kind has none where there are fewer than FEWEST_MARKS such marks, or where half of them have no silence.
    """
    medians = {pause: float(np.median(found)) for pause, found in silences_s.items() if len(found) >= FEWEST_MARKS}
    # A median of 0 is that of a noisy recording, where nothing is below PAUSE_DB.
    sentence_s, clause_s = (round(medians.get(pause, 0.0), 3) or None for pause in ("sentence", "clause"))
    return MarkPauses(sentence_s=sentence_s, clause_s=clause_s) if sentence_s or clause_s else None
