"""The trials of a session: what is asked, how often, in which order, and what is right."""

from collections import Counter
from random import Random

import pytest

from dtc.duel.trials import PAIRS, SINGLES, TRIALS, Item, Trial, Vote, draw_trials, score_of
from dtc.evaluation.speech_folder import COPY, RECORDING, SYNTHESIS

SPEAKER, COPIED, SPOKEN = Item(RECORDING), Item(COPY, "v"), Item(SYNTHESIS, "v")
TEXTS = [f"text-{n}" for n in range(30)]
DRAWN = [draw_trials(TEXTS, ["v"], Random(seed)) for seed in range(400)]
DEVIATIONS = 4  # standard deviations of a share that is drawn


def test_each_text_is_heard_once_single_clips_first() -> None:
    for trials in DRAWN[:20]:
        assert len({trial.text for trial in trials}) == len({trial.id for trial in trials}) == TRIALS
        assert [trial.form for trial in trials] == ["single"] * 10 + ["pair"] * 10
    assert [trial.form for trial in draw_trials(TEXTS[:3], ["v"], Random(1))] == ["single", "single", "pair"]


@pytest.mark.parametrize(("kinds", "length"), [(SINGLES, 1), (PAIRS, 2)], ids=["single", "pair"])
def test_kinds_come_as_often_as_they_should(kinds: dict[tuple[str, ...], float], length: int) -> None:
    drawn = [trial for trials in DRAWN for trial in trials if len(trial.sides) == length]
    found = Counter(tuple(sorted(item.kind for item in trial.sides)) for trial in drawn)
    assert sum(kinds.values()) == pytest.approx(1)
    for kind, share in kinds.items():
        deviation = (share * (1 - share) / len(drawn)) ** 0.5
        assert found[tuple(sorted(kind))] / len(drawn) == pytest.approx(share, abs=DEVIATIONS * deviation)


def test_the_human_is_as_often_a_as_b_and_what_came_before_does_not_tell() -> None:
    answers = [[trial.right_answer for trial in trials if trial.form == "pair"] for trials in DRAWN]
    judged = [answer for each in answers for answer in each if answer]
    assert judged.count("a") / len(judged) == pytest.approx(0.5, abs=DEVIATIONS * 0.5 / len(judged) ** 0.5)
    after_a = [each[n + 1] for each in answers for n in range(9) if each[n] == "a" and each[n + 1]]
    assert after_a.count("a") / len(after_a) == pytest.approx(0.5, abs=DEVIATIONS * 0.5 / len(after_a) ** 0.5)


@pytest.mark.parametrize(
    ("sides", "right"),
    [
        ((SPEAKER,), "human"),
        ((SPOKEN,), "machine"),
        ((COPIED,), None),
        ((SPEAKER, SPOKEN), "a"),
        ((SPOKEN, SPEAKER), "b"),
        ((SPEAKER, COPIED), None),
        ((SPEAKER, SPEAKER), None),
        ((SPOKEN, Item(SYNTHESIS, "w")), None),
    ],
)
def test_the_right_answer(sides: tuple[Item, ...], right: str | None) -> None:
    assert Trial("id", "text", sides).right_answer == right


def test_two_syntheses_are_of_two_voices_where_there_are_several() -> None:
    for voices in (["v"], ["v", "w", "x"]):
        pairs = [trial.sides for seed in range(50) for trial in draw_trials(TEXTS, voices, Random(seed))]
        of_voices = [sides for sides in pairs if [item.kind for item in sides] == [SYNTHESIS] * 2]
        assert {len(set(sides)) for sides in of_voices} == {min(2, len(voices))}
        assert {item.voice for sides in of_voices for item in sides} == set(voices)


def test_the_score_leaves_controls_out() -> None:
    single, pair, control = ((SPEAKER,), (SPOKEN, SPEAKER), (COPIED,))
    answers = [(single, "human"), (single, "machine"), (pair, "b"), (control, "human")]
    votes = [Vote("listener", Trial(str(n), "text", sides), answer) for n, (sides, answer) in enumerate(answers)]
    assert score_of(votes) == {"right": 2, "of": 3, "controls": 1}
    assert votes[2].choice == (SPEAKER, SPOKEN)
    assert votes[0].choice is None
