"""`dtc say --check`: recognise each phrase that was spoken, so that the voice speaks again what is misheard."""

from __future__ import annotations

from torch import Tensor

from dtc.evaluation import RECOGNISERS, EarConfig
from dtc.evaluation.recognisers import Recogniser
from dtc.speech import Heard
from pipeline.corpora import find_grammar


class Check:
    """A listener for `Voice.speak_words`: it counts the word errors of a recogniser in a phrase.

    Raises InputError, with the remedy, where the recogniser is not installed, or its model or grammar is missing.
    """

    def __init__(self, ear: EarConfig, sampling_rate: int) -> None:
        self._sampling_rate = sampling_rate
        self._recognisers: list[Recogniser] = [RECOGNISERS.get(ear.ear)(config) for config in _configs(ear)]

    def __call__(self, words: str, wave: Tensor) -> Heard | None:
        """Return what was heard with the fewest word errors; None for a phrase with phonemes instead of words."""
        from dtc.evaluation.word_errors import word_errors  # needs jiwer: a missing recogniser is to be named first

        if "{" in words:
            return None
        heard = [each.transcribe(wave.numpy(), self._sampling_rate) for each in self._recognisers]
        return min(
            (Heard(each, word_errors([words], [each]).errors) for each in heard), key=lambda each: each.word_errors
        )


def _configs(ear: EarConfig) -> list[EarConfig]:
    """Return the settings for texts as in the corpus and for others: nobody knows which of them a text is."""
    grammars = dict.fromkeys((ear.grammar, ear.texts_grammar or ear.grammar))
    return [ear.model_copy(update={"grammar": each and str(find_grammar(each))}) for each in grammars]
