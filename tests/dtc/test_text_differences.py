from dtc.evaluation.text_differences import text_differences

TRAINING = [f"{first} {number} times" for first in ("call", "count", "at") for number in range(10, 20)]


def test_the_first_words_of_all_training_texts_are_named() -> None:
    assert text_differences(TRAINING, ["10 times 12", "12 at 14", "call 16 times"]) == [
        "of 30 training texts, all begin with at, call or count, but 2 of these 3 do not"
    ]


def test_the_lengths_and_the_unknown_words_are_named() -> None:
    assert text_differences(TRAINING, ["Call fourteen times at sixteen!", "call us, 2 times"]) == [
        "of 30 training texts, all have 3 words, but 2 of these 2 do not",
        "2 of their 9 words are in no training text",
    ]


def test_texts_like_those_of_the_training_do_not_differ() -> None:
    assert text_differences(TRAINING, TRAINING[:5]) == []
    assert text_differences([], TRAINING) == text_differences(TRAINING, []) == []


def test_a_few_training_texts_have_no_first_words_in_common() -> None:
    assert text_differences(["call one", "count two"], ["one two"]) == []
