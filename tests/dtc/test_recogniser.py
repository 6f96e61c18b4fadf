import io
import math
import tarfile
from pathlib import Path

import numpy as np
import pytest
import soundfile
from scipy.signal import resample_poly

from dtc.errors import InputError
from dtc.evaluation.recogniser import Recogniser, WordErrors, transcribe_all, word_errors

CORPORA = Path(__file__).parents[2] / "pipeline/corpora/numbers"
SAMPLING_RATE_HZ = 16_000


@pytest.fixture(scope="module")
def recogniser():
    return Recogniser(CORPORA / "numbers.jsgf")


@pytest.fixture(scope="module")
def clips():
    """Eight recordings spread over the corpus: (spoken text, wave)."""
    with tarfile.open(CORPORA / "numbers-1.0.tar") as tar:
        rows = tar.extractfile("numbers-1.0/metadata.csv").read().decode().splitlines()
        chosen = [row.split("|") for row in rows[::45]]
        read = {clip: tar.extractfile(f"numbers-1.0/wavs/{clip}.ogg").read() for clip, _, _ in chosen}
    return [(spoken, soundfile.read(io.BytesIO(read[clip]))[0]) for clip, _, spoken in chosen]


def test_recordings_are_heard_right(recogniser, clips):
    heard = [recogniser.transcribe(wave, SAMPLING_RATE_HZ) for _, wave in clips]
    assert heard == [spoken for spoken, _ in clips]


def test_other_sampling_rates_are_resampled(recogniser, clips):
    spoken, wave = clips[0]
    assert recogniser.transcribe(resample_poly(wave, 441, 320), 22_050) == spoken


def test_a_quiet_recording_is_heard(recogniser, clips):
    spoken, wave = clips[0]
    assert recogniser.transcribe(wave.astype(np.float32) * 0.05, SAMPLING_RATE_HZ) == spoken


def test_what_was_heard_before_does_not_matter(recogniser, clips):
    # Speech under noise: hard enough that a level carried over from another utterance would show.
    generator = np.random.default_rng(0)
    noisy = [wave + generator.normal(0, 0.02, len(wave)) for _, wave in clips]
    forwards = [recogniser.transcribe(wave, SAMPLING_RATE_HZ) for wave in noisy]
    recogniser.transcribe(generator.uniform(-1, 1, SAMPLING_RATE_HZ), SAMPLING_RATE_HZ)
    backwards = [recogniser.transcribe(wave * 1.0, SAMPLING_RATE_HZ) for wave in noisy[::-1]]
    alone = Recogniser(CORPORA / "numbers.jsgf").transcribe(noisy[5], SAMPLING_RATE_HZ)
    assert forwards == backwards[::-1]
    assert alone == forwards[5]


@pytest.mark.parametrize(
    "wave",
    [
        np.zeros(0),
        np.ones(1),
        np.full(400, 0.1),
        np.zeros(SAMPLING_RATE_HZ),
        np.full(SAMPLING_RATE_HZ, np.nan),
        np.random.default_rng(0).normal(0, 1e-6, SAMPLING_RATE_HZ),
    ],
    ids=["empty", "one sample", "25 ms", "silence", "not a number", "below 16 bit"],
)
def test_no_speech_is_no_words(recogniser, wave):
    assert recogniser.transcribe(wave.astype(np.float32), SAMPLING_RATE_HZ) == ""


def test_missing_grammar(tmp_path):
    with pytest.raises(InputError, match=r"absent\.jsgf: no such file"):
        Recogniser(tmp_path / "absent.jsgf")


@pytest.mark.parametrize(
    ("grammar", "said"),
    [
        ("not a grammar", "not a usable grammar"),
        ("", "not a usable grammar"),
        ("#JSGF V1.0;\ngrammar g;\npublic <a> = call qqqxz;\n", "in CMUdict"),
        ("#JSGF V1.0;\ngrammar g;\npublic <a> = call <b>; // <b> = not this\n", "<b> is used but not defined"),
    ],
)
def test_broken_grammar(tmp_path, grammar, said):
    path = tmp_path / "broken.jsgf"
    path.write_text(grammar)
    with pytest.raises(InputError, match=said):
        Recogniser(path)


def test_word_errors_are_summed_before_dividing():
    # one substituted, one left out, one put in; six expected
    counted = word_errors(["call one two", "at ten ten"], ["call one three", "at ten"])
    assert counted == WordErrors(errors=2, words=6)
    assert counted.rate == pytest.approx(1 / 3)
    assert word_errors(["one"], ["one one"]) == WordErrors(errors=1, words=1)


def test_word_errors_of_empty_texts():
    assert word_errors(["one two"], [""]) == WordErrors(errors=2, words=2)
    assert word_errors(["", "one"], ["two two", "one"]) == WordErrors(errors=2, words=1)
    assert word_errors([], []).rate == 0.0
    assert word_errors([""], ["one"]).rate == math.inf
    with pytest.raises(ValueError, match="shorter"):
        word_errors(["one"], [])


def test_several_ears_hear_what_one_hears(recogniser, clips):
    waves = [wave for _, wave in clips][:4]
    alone = [recogniser.transcribe(wave, SAMPLING_RATE_HZ) for wave in waves]
    assert transcribe_all(CORPORA / "numbers.jsgf", waves, SAMPLING_RATE_HZ, processes=2) == alone
