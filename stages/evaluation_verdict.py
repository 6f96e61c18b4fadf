"""What `dtc evaluate` says of its figures: whether they tell if the voice is understood, and where it is not."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from dtc.evaluation.text_differences import text_differences
from dtc.evaluation.word_errors import WordErrors

# Word error rate of the recordings above which a recogniser cannot judge the voice.
MOST_ERRORS_IN_RECORDINGS = 0.10
# Word errors in the other texts are worth a warning where there are this many times those in the held-out clips, and
# at least so many: one or two may be the recogniser's.
TOO_MANY_TIMES, FEWEST_ERRORS = 3.0, 3


def not_judged(recordings: WordErrors | None) -> str:
    """Return why no figure tells whether the voice is understood; "" where the word errors do.

    `recordings`: the recogniser's word errors in the recordings; None: there was no recogniser.
    """
    if recordings is None:
        others = "the other figures do not tell a voice that can be understood from one that cannot"
        return f"no recogniser was used (evaluate.ear is none): {others}"
    if recordings.rate > MOST_ERRORS_IN_RECORDINGS:
        found = f"the recogniser gets {recordings.rate:.1%} of the words of the recordings wrong"
        return f"{found}, more than {MOST_ERRORS_IN_RECORDINGS:.0%}: it cannot judge the voice"
    return ""


def worse_on_other_texts(
    held_out: WordErrors, other: WordErrors, texts: Sequence[str], training_texts: Callable[[], Sequence[str]]
) -> str:
    """Return a warning where a voice speaks texts that the corpus does not have much worse than held-out clips, or "".

    Args:
        held_out: word errors in the texts of held-out clips.
        other: word errors in the other texts.
        texts: the other texts.
        training_texts: returns texts of training; called only for a warning, as reading them takes time.
    """
    if other.errors < FEWEST_ERRORS or other.rate < TOO_MANY_TIMES * held_out.rate:
        return ""
    rates = f"{other.rate:.1%} word errors in evaluate.texts, {held_out.rate:.1%} in the held-out clips"
    differences = text_differences(training_texts(), texts) or ["no difference in first words, length or words found"]
    return f"{rates}: {'; '.join(differences)}"
