"""The same texts by two voices, compared pairwise."""

from dtc.report.changes import Compared, compare_utterances


def row(id: str, heard: str, **numbers: object) -> dict[str, str]:
    described = {"id": id, "text": "58", "spoken_text": "call two", "status": "ended", "heard_in_synthesis": heard}
    return described | {name: str(number) for name, number in numbers.items()}


def table(heard: list[str], distortions: list[float]) -> list[dict[str, str]]:
    pairs = enumerate(zip(heard, distortions, strict=True))
    return [row(str(number), words, mel_cepstral_distortion_db=value) for number, (words, value) in pairs]


def found(rows: list[Compared]) -> dict[str, tuple[str, int]]:
    return {row.label: (row.verdict, row.texts) for row in rows}


def test_a_difference_is_seen_where_zero_is_outside_its_interval() -> None:
    before = table(["call two"] * 8, [2.0, 2.1, 2.2, 2.3, 2.4, 2.5, 2.6, 2.7])
    after = table(["call two"] * 7 + ["call"], [1.5, 1.7, 1.8, 1.7, 1.9, 2.1, 2.2, 2.1])
    compared = compare_utterances(before, after)
    assert found(compared) == {
        "Word errors": ("no difference seen", 8),
        "Mel-cepstral distortion": ("better", 8),
    }
    assert compared[1].difference == "-0.475"
    assert found(compare_utterances(after, before))["Mel-cepstral distortion"] == ("worse", 8)


def test_a_measure_of_which_neither_direction_is_better_is_higher_or_lower() -> None:
    before, after = ([row(str(n), "call two", duration_ratio=value) for n in range(6)] for value in (1.0, 1.2))
    assert found(compare_utterances(before, after))["Duration ratio"] == ("higher", 6)


def test_only_texts_and_measures_that_both_have_are_compared() -> None:
    before = [row("1", "call two"), row("2", "", extra=1), row("3", "call two", new="")]
    after = [row("2", "call two", new=3), row("3", "call two", new=3), row("4", "call two")]
    assert found(compare_utterances(before, after)) == {"Word errors": ("no difference seen", 2)}
    assert compare_utterances(before, []) == compare_utterances([], []) == []


def test_without_a_recogniser_there_are_no_word_errors() -> None:
    rows = [{"id": "1", "text": "a", "spoken_text": "a", "status": "ended", "attempts": "1"}]
    assert found(compare_utterances(rows, rows)) == {"Attempts": ("no difference seen", 1)}
