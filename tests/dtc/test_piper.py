"""A voice for Piper: its inputs, its output and its config are those of Piper's format."""

import json
from pathlib import Path

import numpy as np
import pytest

from dtc.compat.piper import write_piper
from dtc.errors import InputError
from dtc.synthesis_config import DEFAULT_SYNTHESIS
from dtc.text.lexicon import LexiconConfig
from dtc.voice import Voice
from tests.dtc.test_onnx import session
from tests.dtc.tiny_parallel import save_parallel_voice
from tests.dtc.tiny_voice import ALPHABET

TOLERANCE = 1e-5  # float32 in another order, of waveforms up to about 1; 5e-6 is seen


def ids_by_piper(config: dict, text: str) -> list[int]:
    """The ids that Piper gives a network: `^` and `_`, each character and `_`, and `$`."""
    ids = config["phoneme_id_map"]
    return [*ids["^"], *ids["_"], *(number for each in text for number in ids[each] + ids["_"]), *ids["$"]]


def test_it_says_what_the_voice_says(tmp_path: Path) -> None:
    save_parallel_voice(tmp_path, ALPHABET)
    content = write_piper(tmp_path).content
    assert isinstance(content, dict)
    assert content.keys() == {"voice.onnx", "voice.onnx.json"}
    config, exported = json.loads(content["voice.onnx.json"]), session(content["voice.onnx"])
    assert [(each.name, each.type) for each in exported.get_inputs()] == [
        ("input", "tensor(int64)"),
        ("input_lengths", "tensor(int64)"),
        ("scales", "tensor(float)"),
    ]
    voice = Voice.load(tmp_path)
    for text, pace in (("About fifteen point eight", 1.0), ("a", 1.0), ("the hundredth", 1.5)):
        ids = np.array([ids_by_piper(config, text)])
        scales = np.array([config["inference"]["noise_scale"], pace, config["inference"]["noise_w"]], np.float32)
        inputs = {"input": ids, "input_lengths": np.array([ids.shape[1]]), "scales": scales}
        (wave,) = exported.run(None, inputs)
        assert wave.shape[:3] == (1, 1, 1)
        expected = voice.speak(text, config=DEFAULT_SYNTHESIS.model_copy(update={"pace": pace})).wave
        np.testing.assert_allclose(wave[0, 0, 0], expected.numpy(), atol=TOLERANCE, rtol=0)


def test_the_config_has_the_keys_of_piper(tmp_path: Path) -> None:
    save_parallel_voice(tmp_path, ALPHABET)
    content = write_piper(tmp_path).content
    assert isinstance(content, dict)
    config = json.loads(content["voice.onnx.json"])
    assert config["audio"]["sample_rate"] == Voice.load(tmp_path).audio.sampling_rate
    assert config["phoneme_type"] == "text"
    assert config["espeak"]["voice"]
    assert (config["num_speakers"], config["speaker_id_map"], config["num_symbols"]) == (1, {}, 148)
    assert config["inference"].keys() == {"noise_scale", "length_scale", "noise_w"}
    assert config["hop_length"] == Voice.load(tmp_path).audio.hop_length
    ids = config["phoneme_id_map"]
    assert ids.keys() == {"_", "^", "$", *ALPHABET, *ALPHABET.upper()}
    assert ids["A"] == ids["a"] != ids["b"]


def test_a_voice_that_reads_phonemes_is_refused(tmp_path: Path) -> None:
    save_parallel_voice(tmp_path, ALPHABET, LexiconConfig(words={}, letters_share=0.1))
    with pytest.raises(InputError) as error:
        write_piper(tmp_path)
    assert str(error.value) == (
        f"{tmp_path}: a voice that reads phonemes, expected one with text.phonemes: none; export it by "
        "`dtc export sherpa`, which writes its lexicon too"
    )
