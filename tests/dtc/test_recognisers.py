import os
import signal
from pathlib import Path

import numpy as np
import pytest
from scipy.signal import resample_poly

from dtc.errors import InputError
from dtc.evaluation import RECOGNISERS, EvaluateConfig
from dtc.evaluation.recognisers import transcribe_all
from dtc.evaluation.recognisers.grammar import GrammarRecogniser
from dtc.registry import Part
from tests.conftest import add_part
from tests.dtc.recordings import NUMBERS, SAMPLING_RATE_HZ, recordings


def config(grammar: Path) -> EvaluateConfig:
    return EvaluateConfig(
        seed=1,
        max_clips=1,
        ear="grammar",
        grammar=str(grammar),
        whisper_model="tiny.en",
        texts=None,
        texts_grammar=None,
        fit_iterations=1,
        griffin_lim_iterations=1,
        griffin_lim_momentum=0.9,
    )


@pytest.fixture(scope="module")
def recogniser():
    return GrammarRecogniser(NUMBERS / "numbers.jsgf")


@pytest.fixture(scope="module")
def clips():
    """Eight recordings spread over the corpus: (spoken text, wave)."""
    return recordings()


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
    alone = GrammarRecogniser(NUMBERS / "numbers.jsgf").transcribe(noisy[5], SAMPLING_RATE_HZ)
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
        GrammarRecogniser(tmp_path / "absent.jsgf")


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
        GrammarRecogniser(path)


def test_several_processes_recognise_the_same_words_as_one(recogniser, clips, tmp_path):
    waves = [wave for _, wave in clips][:4]
    alone = [recogniser.transcribe(wave, SAMPLING_RATE_HZ) for wave in waves]
    other = tmp_path / "other.jsgf"
    other.write_text("#JSGF V1.0;\ngrammar other;\npublic <number> = one | two;\n")
    requests = [(config(NUMBERS / "numbers.jsgf"), wave) for wave in waves] + [(config(other), waves[0])]
    *found, of_another_grammar = transcribe_all(requests, SAMPLING_RATE_HZ, processes=2)
    assert found == alone
    assert set(of_another_grammar.split()) <= {"one", "two"}
    assert transcribe_all([], SAMPLING_RATE_HZ) == []


class Killed:
    """A recogniser whose process is killed when it is to transcribe; in the process of the test it only exists."""

    def __init__(self, config):
        pass

    def transcribe(self, wave, sampling_rate):
        os.kill(os.getpid(), signal.SIGKILL)


def test_a_process_that_is_killed_is_told(monkeypatch) -> None:
    """With waveforms that no pipe holds: a thread is writing one when the process dies."""
    add_part(monkeypatch, RECOGNISERS, "killed", Part(f"{__name__}:Killed"))
    killed = config(NUMBERS / "numbers.jsgf").model_copy(update={"ear": "killed"})
    with pytest.raises(
        InputError, match=r"^a process of the recogniser: died \(killed, or out of memory\); run it again"
    ):
        transcribe_all([(killed, np.zeros(1_000_000))] * 4, SAMPLING_RATE_HZ, processes=1)


def test_an_unknown_recogniser_is_refused() -> None:
    assert RECOGNISERS.names() == ("whisper", "grammar")
    for name, hint in (("nobody", ""), ("gramar", r"; did you mean grammar\?")):
        with pytest.raises(ValueError, match=f"found '{name}', expected one of none, whisper, grammar{hint}"):
            EvaluateConfig.model_validate(config(NUMBERS / "numbers.jsgf").model_dump() | {"ear": name})
