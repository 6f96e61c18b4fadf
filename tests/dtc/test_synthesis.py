"""A voice of two untrained models: what it reads, what it refuses, and that texts do not disturb one another."""

from pathlib import Path

import pytest
import torch
import yaml

from dtc.acoustic import build_acoustic
from dtc.acoustic.tacotron2 import Tacotron2Config
from dtc.audio import AudioConfig
from dtc.errors import InputError
from dtc.synthesis import Speech, Voice, load_voice
from dtc.text.symbols import TextConfig
from dtc.training.checkpoint import ModelCard, save_model
from dtc.training.loop import seed_all
from dtc.vocoder import build_vocoder
from dtc.vocoder.vocos import VocosConfig

SMOKE = yaml.safe_load((Path(__file__).parents[2] / "stages/presets/smoke.yaml").read_text())
ALPHABET = " '" + "abcdefghilnoprstuvwxyz"  # no j, k, m, q
CPU = torch.device("cpu")


def save_voice(folder: Path, **audio_of_vocoder: int) -> None:
    """Both models with random weights, as a training would leave them."""
    audio = AudioConfig.model_validate(SMOKE["audio"])
    mels = dict(mel_mean=(-5.0,) * 80, mel_deviation=(2.0,) * 80)
    facts = dict(
        training={},
        text=TextConfig(symbols="nvidia", normaliser="english"),
        alphabet=tuple(ALPHABET),
        corpus="0" * 32,
        features="f" * 16,
        steps=0,
        **mels,
    )
    seed_all("voice")
    acoustic = ModelCard(kind="acoustic", config=SMOKE["acoustic"], audio=audio, **facts)
    model = build_acoustic(Tacotron2Config.model_validate(SMOKE["acoustic"]), audio, *acoustic.statistics())
    save_model(folder / "acoustic", model.state_dict(), acoustic)
    other = AudioConfig.model_validate(SMOKE["audio"] | audio_of_vocoder)
    vocoder = ModelCard(kind="vocoder", config=SMOKE["vocoder"], audio=other, **facts)
    vocos = build_vocoder(VocosConfig.model_validate(SMOKE["vocoder"]), other, *vocoder.statistics())
    save_model(folder / "vocoder", vocos.state_dict(), vocoder)


def speak(voice: Voice, texts: list[str]) -> list[Speech]:
    return voice.speak_words(texts, [voice.read(text, f"text {n}") for n, text in enumerate(texts, start=1)], seed=1)


@pytest.fixture
def voice(tmp_path: Path) -> Voice:
    save_voice(tmp_path)
    return load_voice(tmp_path / "acoustic", tmp_path / "vocoder", CPU)


def test_texts_come_back_in_order_and_as_if_alone(voice: Voice) -> None:
    texts = ["the 21st of seven hundred and ninety two", "two", "at 7:45"]
    together = speak(voice, texts)
    assert [speech.raw_text for speech in together] == texts
    assert [speech.spoken_text for speech in together][1:] == ["two", "at seven forty five"]
    for text, speech in zip(texts, together, strict=True):
        alone: Speech = speak(voice, [text])[0]
        assert alone.wave.shape == speech.wave.shape
        torch.testing.assert_close(alone.wave, speech.wave, atol=1e-4, rtol=0)
        assert len(speech.wave) == speech.mel.shape[1] * voice.audio.hop_length


def test_more_texts_than_a_batch(voice: Voice) -> None:
    texts = [f"the {number}th" for number in range(20, 40)]
    assert [speech.raw_text for speech in speak(voice, texts)] == texts


def test_letters_that_were_never_taught_are_shown(voice: Voice) -> None:
    with pytest.raises(InputError, match=r"^text 2: 'j' 'm' not in the voice's alphabet, expected only 'abc"):
        speak(voice, ["two", "jam"])


def test_characters_outside_all_alphabets_are_shown(voice: Voice) -> None:
    with pytest.raises(InputError, match=r"^text 1: '☃' not in the alphabet"):
        speak(voice, ["caf\N{LATIN SMALL LETTER E WITH ACUTE} ☃"])


def test_models_of_different_mels_refuse_each_other(tmp_path: Path) -> None:
    save_voice(tmp_path, hop_length=200)
    with pytest.raises(InputError, match="acoustic model and vocoder: different mels: hop_length 256 against 200"):
        load_voice(tmp_path / "acoustic", tmp_path / "vocoder", CPU)


def test_copy_speaks_a_mel(voice: Voice) -> None:
    assert voice.copy(torch.full((80, 7), -5.0)).shape == (7 * 256,)
