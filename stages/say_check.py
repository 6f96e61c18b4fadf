"""`dtc say --check`: recognise each phrase that was spoken, so that the voice speaks again what is misheard."""

from __future__ import annotations

from torch import Tensor

from dtc.evaluation import RECOGNISERS, EarConfig
from dtc.evaluation.recognisers import Recogniser
from dtc.speech import Heard
from stages.ears import ears_of


class Check:
    """A listener for `Voice.speak_words`: it counts the word errors of a recogniser in a phrase.

    Raises InputError, with the remedy, where the recogniser is not installed, or its model or grammar is missing.
    """

    def __init__(self, ear: EarConfig, sampling_rate: int) -> None:
        self._sampling_rate = sampling_rate
        build = RECOGNISERS.get(ear.ear)
        # It is not known whether a text is as in the corpus or not, so both are tried. Whisper is the same for both.
        self._recognisers: list[Recogniser] = list(dict.fromkeys(map(build, ears_of(ear))))

    def __call__(self, words: str, wave: Tensor) -> Heard | None:
        """Return what was heard with the fewest word errors; None for a phrase with phonemes instead of words."""
        from dtc.evaluation.word_errors import word_errors  # needs jiwer: a missing recogniser is to be named first

        if "{" in words:
            return None
        heard = [each.transcribe(wave.numpy(), self._sampling_rate) for each in self._recognisers]
        return min(
            (Heard(each, word_errors([words], [each]).errors) for each in heard), key=lambda each: each.word_errors
        )
