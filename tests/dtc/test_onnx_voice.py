"""A voice as one ONNX model: onnxruntime computes the waveforms of `Voice`, for any number and length of texts."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch

from dtc.batch import pad
from dtc.compat.onnx_voice import write_voice
from dtc.errors import InputError
from dtc.synthesis_config import DEFAULT_SYNTHESIS
from dtc.text.symbols import ID_OF, SYMBOLS, text_to_ids
from dtc.voice import Voice
from tests.dtc.test_onnx import session
from tests.dtc.tiny_parallel import save_parallel_voice
from tests.dtc.tiny_voice import ALPHABET, save_voice

TOLERANCE = 1e-5  # float32 in another order, of waveforms up to about 1; 1e-6 is seen
# From 1 to 400 symbols.
TEXTS = ["a", "on", "eleven", "the eight hundred fifteenth", ("two hundred four " * 24)[:400]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("voice")
    save_parallel_voice(folder, ALPHABET)
    return folder


@pytest.fixture(scope="module")
def exported(folder: Path) -> onnxruntime.InferenceSession:
    content = write_voice(folder).content
    assert isinstance(content, bytes)
    return session(content)


def run(exported: onnxruntime.InferenceSession, texts: Sequence[str], pace: float = 1.0) -> list[np.ndarray]:
    symbol_ids, lengths = pad([torch.tensor(text_to_ids(text)) for text in texts])
    inputs = {"symbol_ids": symbol_ids.numpy(), "lengths": lengths.numpy(), "pace": np.array(pace, np.float32)}
    waves, wave_lengths = exported.run(["wave", "wave_lengths"], inputs)
    assert waves.shape[1] == wave_lengths.max()
    assert not any(wave[length:].any() for wave, length in zip(waves, wave_lengths, strict=True))
    return [wave[:length] for wave, length in zip(waves, wave_lengths, strict=True)]


def spoken(voice: Voice, text: str, pace: float = 1.0) -> np.ndarray:
    config = DEFAULT_SYNTHESIS.model_copy(update={"longest_phrase": 1000, "pace": pace})
    return voice.speak_words([text], [text], 1, config)[0].wave.numpy()


def test_a_text_alone_and_in_a_batch(folder: Path, exported: onnxruntime.InferenceSession) -> None:
    voice = Voice.load(folder)
    for text, in_batch in zip(TEXTS, run(exported, TEXTS), strict=True):
        expected = spoken(voice, text)
        (alone,) = run(exported, [text])
        np.testing.assert_allclose(alone, expected, atol=TOLERANCE, rtol=0)
        np.testing.assert_allclose(in_batch, expected, atol=TOLERANCE, rtol=0)
        assert np.abs(expected).max() > 1000 * TOLERANCE


def test_a_pace(folder: Path, exported: onnxruntime.InferenceSession) -> None:
    (slow,) = run(exported, [TEXTS[3]], pace=3.0)
    np.testing.assert_allclose(slow, spoken(Voice.load(folder), TEXTS[3], 3.0), atol=TOLERANCE, rtol=0)
    (usual,) = run(exported, [TEXTS[3]])
    assert len(slow) > 1.5 * len(usual)


def test_the_metadata(folder: Path, exported: onnxruntime.InferenceSession) -> None:
    metadata, voice = exported.get_modelmeta().custom_metadata_map, Voice.load(folder)
    assert json.loads(metadata["symbols"]) == {symbol: ID_OF[symbol] for symbol in ALPHABET}
    assert int(metadata["sampling_rate"]) == voice.audio.sampling_rate
    assert metadata["voice"] == voice.fingerprint
    assert "numbers, dates and abbreviations in words" in metadata["text"]
    assert "phonemes" not in metadata["text"]
    shapes = {each.name: each.shape for each in [*exported.get_inputs(), *exported.get_outputs()]}
    assert shapes == {
        "symbol_ids": ["batch", "symbols"],
        "lengths": ["batch"],
        "pace": [],
        "wave": ["batch", "samples"],
        "wave_lengths": ["batch"],
    }
    assert len(SYMBOLS) == 148


def test_equal_voices_give_equal_files(folder: Path) -> None:
    assert write_voice(folder).content == write_voice(folder).content


def test_a_voice_of_other_models_is_refused(tmp_path: Path) -> None:
    save_voice(tmp_path)
    with pytest.raises(InputError) as error:
        write_voice(tmp_path)
    assert str(error.value) == (
        f"{tmp_path}: a voice of tacotron2 and vocos, expected one of parallel and vocos; `dtc export onnx FILE` "
        "without --voice writes the vocoder alone, vocos or waveglow"
    )
