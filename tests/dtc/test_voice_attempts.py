"""Attempts at a phrase, texts of many phrases, and the pauses between them."""

from pathlib import Path

import pytest

from dtc.acoustic.utterance_status import Status
from dtc.speech import Heard
from dtc.text.symbols import symbols_of
from dtc.voice import Voice
from tests.dtc import tiny_parallel
from tests.dtc.tiny_voice import ONCE, save_voice, silence_s, speak, tell


@pytest.fixture
def voice(tmp_path: Path) -> Voice:
    save_voice(tmp_path)
    return Voice.load(tmp_path)


@pytest.mark.parametrize(
    ("told", "attempts", "kept"),
    [
        (["ended"], 1, 1),
        (["cut_off", "ended"], 2, 2),
        (["skipped_text", "attention_stuck", "ended"], 3, 3),
        (["skipped_text", "attention_stuck", "cut_off"], 3, 2),
        (["attention_stuck", "skipped_text", "attention_stuck"], 3, 1),  # of equals the earlier
        (["cut_off", "cut_off", "cut_off", "ended"], 3, 1),
    ],
)
def test_what_went_wrong_is_spoken_again_and_the_best_is_kept(
    voice: Voice, told: list[Status], attempts: int, kept: int
) -> None:
    voice, acoustic = tell(voice, {"two": told})
    (speech,) = speak(voice, ["two"], seed=5, attempts=3)
    assert (speech.attempts, speech.status, -speech.mel[0, 0]) == (attempts, told[kept - 1], kept)
    seeds = acoustic.seeds["two"]
    assert seeds[0] == 5
    assert len(set(seeds)) == len(seeds) == attempts


@pytest.mark.parametrize(
    ("errors", "told", "attempts", "kept"),
    [
        ([0], ["ended"], 1, 1),
        ([1, 0], ["ended", "ended"], 2, 2),
        ([3, 1, 2], ["ended", "ended", "ended"], 3, 2),
        ([2, 2, 2], ["cut_off", "ended", "ended"], 3, 2),  # of equals the one with the better status
        ([1, 0, 1], ["ended", "cut_off", "ended"], 3, 2),
    ],
)
@pytest.mark.parametrize("attends", [True, False])
def test_what_is_misheard_is_spoken_again_and_the_best_is_kept(
    voice: Voice, errors: list[int], told: list[Status], attempts: int, kept: int, attends: bool
) -> None:
    voice, acoustic = tell(voice, {"two": told})
    acoustic.attends = attends
    heard = iter([Heard(f"attempt {number}", count) for number, count in enumerate(errors, start=1)])
    config = ONCE.model_copy(update={"attempts": 3, "pace": 1.0 if attends else 2.0})
    (speech,) = voice.speak_words(["2"], ["two"], 1, config, lambda words, wave: next(heard))
    (phrase,) = speech.phrases
    assert (speech.attempts, phrase.status, -speech.mel[0, 0]) == (attempts, told[kept - 1], kept)
    assert phrase.heard == Heard(f"attempt {kept}", errors[kept - 1])
    assert acoustic.paces == pytest.approx([1, 1, 1][:attempts] if attends else [2, 2.2, 1.9][:attempts])
    assert phrase.pace == acoustic.paces[kept - 1]


def test_what_went_well_is_not_touched_by_what_went_wrong_beside_it(voice: Voice) -> None:
    voice, acoustic = tell(voice, {"two": ["cut_off", "attention_stuck", "cut_off"]})
    whole, well = speak(voice, ["nine. two. nine", "ten"], attempts=3)
    assert [(each.words, each.status, each.attempts) for each in whole.phrases] == [
        ("nine", "ended", 1),
        ("two", "attention_stuck", 3),
        ("nine", "ended", 1),
    ]
    assert (whole.status, whole.attempts) == ("attention_stuck", 3)
    assert (well.status, well.attempts) == ("ended", 1)
    assert {text: len(seeds) for text, seeds in acoustic.seeds.items()} == {"nine": 1, "two": 3, "ten": 1}


@pytest.mark.parametrize("text", ["x" * 5000, "two " * 1250, "the ninth, " * 454, "Two. " * 1000])
def test_five_thousand_symbols(voice: Voice, text: str) -> None:
    voice, acoustic = tell(voice, {})
    (speech,) = speak(voice, [text])
    assert max(map(len, acoustic.seeds)) <= 160
    assert "".join(speech.spoken_text.split()) == "".join(text.split()).replace(".", "").replace(",", "")
    assert (
        len(speech.wave) == speech.mel.shape[1] * 256 == sum(len(phrase.wave_after_pause) for phrase in speech.phrases)
    )
    assert speech.alignment.shape == (speech.mel.shape[1] // 2, len(symbols_of(speech.spoken_text)))


@pytest.mark.parametrize("text", ["x" * 5000, "two " * 1250, "the ninth, " * 454, "Two. " * 1000])
def test_five_thousand_symbols_by_the_parallel_model(tmp_path: Path, text: str) -> None:
    save_voice(tmp_path, tiny_parallel.config())
    (speech,) = speak(Voice.load(tmp_path), [text])
    assert len(speech.wave) == 256 * speech.mel.shape[1] > 5000
    assert max(len(phrase.words) for phrase in speech.phrases) <= 500
    assert "".join(speech.spoken_text.split()) == "".join(text.split()).replace(".", "").replace(",", "")


def test_the_parallel_model_speaks_a_long_sentence_at_once(tmp_path: Path) -> None:
    save_voice(tmp_path, tiny_parallel.config())
    voice, text = Voice.load(tmp_path), "two " * 99 + "nine"
    assert [len(speak(voice, [text], **cut)[0].phrases) for cut in ({}, {"longest_phrase": 160})] == [1, 4]


def test_pauses_are_as_long_as_the_marks_ask(voice: Voice) -> None:
    voice, _ = tell(voice, {})
    (speech,) = speak(voice, ["Two. Nine, ten " + "eleven " * 40], sentence_pause_s=0.5, clause_pause_s=0.25)
    own_s = [
        silence_s(voice, before.wave.flip(0)) + silence_s(voice, after.wave)
        for before, after in zip(speech.phrases, speech.phrases[1:], strict=False)
    ]
    step_s = 2 * 256 / 16000
    wanted_s = [0.5, 0.25] + [0.0] * (len(own_s) - 2)
    expected = [max(0, round((wanted - own) / step_s)) for wanted, own in zip(wanted_s, own_s, strict=True)]
    assert [phrase.pause_steps for phrase in speech.phrases] == [0, *expected]
    assert expected[0] > expected[1] > 0
