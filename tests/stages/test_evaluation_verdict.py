import pytest

from dtc.evaluation.word_errors import WordErrors
from stages.evaluation_verdict import not_judged, worse_on_other_texts

TRAINING = ["call one", "count two"] * 12
TEXTS = ["one", "two"]


def training_texts() -> list[str]:
    return TRAINING


@pytest.mark.parametrize(("errors", "judged"), [(0, True), (10, True), (11, False)])
def test_a_recogniser_with_many_errors_in_the_recordings_cannot_judge(errors: int, judged: bool) -> None:
    assert (not_judged(WordErrors(errors, 100)) == "") == judged


def test_a_voice_that_knows_its_corpus_only_gets_a_warning() -> None:
    assert worse_on_other_texts(WordErrors(7, 240), WordErrors(7, 30), TEXTS, training_texts) == (
        "23.3% word errors in evaluate.texts, 2.9% in the held-out clips: of 24 training texts, all begin with call or"
        " count, but 2 of these 2 do not; of 24 training texts, all have 2 words, but 2 of these 2 do not"
    )


@pytest.mark.parametrize(
    ("held_out", "other"),
    [
        (WordErrors(10, 100), WordErrors(29, 100)),  # less than three times as many
        (WordErrors(0, 240), WordErrors(2, 30)),  # too few to mean anything
        (WordErrors(0, 240), WordErrors(0, 30)),
    ],
)
def test_a_voice_that_speaks_other_texts_nearly_as_well_gets_none(held_out: WordErrors, other: WordErrors) -> None:
    def unread() -> list[str]:
        raise AssertionError("the training texts were read without need")

    assert worse_on_other_texts(held_out, other, TEXTS, unread) == ""


def test_a_voice_may_be_worse_for_no_reason_that_is_known() -> None:
    warning = worse_on_other_texts(WordErrors(0, 9), WordErrors(3, 9), TRAINING, training_texts)
    assert warning.endswith(": no difference in first words, length or words found")
