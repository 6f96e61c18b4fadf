"""The figures of an evaluation that JSON can hold."""

from dtc.evaluation.word_errors import WordErrors
from stages.evaluation_figures import error_rates


def test_texts_without_a_word_have_no_error_rate() -> None:
    rates = error_rates([], {"recording": [WordErrors(0, 0)], "synthesis": [WordErrors(1, 4)]}, {})
    assert rates.keys() == {"word_error_rate", "word_error_rate_low", "word_error_rate_high"}
    assert rates["word_error_rate"] == 0.25
