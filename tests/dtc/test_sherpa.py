"""A voice for sherpa-onnx: sherpa-onnx itself says texts, and its waveforms are those of `Voice`."""

from pathlib import Path

import numpy as np
import pytest
import sherpa_onnx
import torch

from dtc.compat.one_text import with_marks_at_words, with_single_spaces
from dtc.compat.sherpa import write_sherpa
from dtc.synthesis_config import DEFAULT_SYNTHESIS
from dtc.text.lexicon import LexiconConfig
from dtc.text.symbols import SYMBOLS, text_to_ids
from dtc.voice import Voice
from tests.dtc.tiny_parallel import save_parallel_voice
from tests.dtc.tiny_voice import ALPHABET

TOLERANCE = 1e-5  # float32 in another order, of waveforms up to about 1; 5e-6 is seen
PHONEMES = ["@AE", "@D", "@HH", "@IH", "@IY", "@K", "@N", "@OW", "@R", "@S", "@T", "@TH", "@Z"]


def exported(voice: Path, folder: Path) -> dict[str, str]:
    """Write the files of a voice for sherpa-onnx; return their paths by name."""
    content = write_sherpa(voice).content
    assert isinstance(content, dict)
    folder.mkdir()
    for name, each in content.items():
        (folder / name).write_bytes(each)
    return {name: str(folder / name) for name in content}


def sherpa(files: dict[str, str]) -> sherpa_onnx.OfflineTts:
    vits = sherpa_onnx.OfflineTtsVitsModelConfig(
        model=files["model.onnx"], tokens=files["tokens.txt"], lexicon=files.get("lexicon.txt", "")
    )
    config = sherpa_onnx.OfflineTtsConfig(model=sherpa_onnx.OfflineTtsModelConfig(vits=vits, num_threads=1))
    assert config.validate()
    return sherpa_onnx.OfflineTts(config)


def said(program: sherpa_onnx.OfflineTts, text: str, speed: float = 1.0) -> np.ndarray:
    return np.array(program.generate(text, sid=0, speed=speed).samples, dtype=np.float32)


def spoken(voice: Voice, text: str, pace: float = 1.0) -> np.ndarray:
    """The phrases of a text without pauses between them."""
    config = DEFAULT_SYNTHESIS.model_copy(update={"longest_phrase": 1000, "pace": pace})
    phrases = voice.speak_words([text], [text], 1, config)[0].phrases
    return torch.cat([phrase.wave for phrase in phrases]).numpy()


def test_it_says_letters(tmp_path: Path) -> None:
    save_parallel_voice(tmp_path / "voice", ALPHABET + ",.?")
    voice, files = Voice.load(tmp_path / "voice"), exported(tmp_path / "voice", tmp_path / "sherpa")
    assert files.keys() == {"model.onnx", "tokens.txt"}
    program = sherpa(files)
    assert program.sample_rate == voice.audio.sampling_rate
    for text in ("about fifteen point eight three three", "Tell us, on the hundredth", "it's over. is it? so it is."):
        expected = spoken(voice, text)
        np.testing.assert_allclose(said(program, text), expected, atol=TOLERANCE, rtol=0)
        assert np.abs(expected).max() > 1000 * TOLERANCE
    np.testing.assert_allclose(said(program, "on  two ", 0.5), spoken(voice, "on two", 2.0), atol=TOLERANCE, rtol=0)


def test_it_says_the_words_of_a_lexicon(tmp_path: Path) -> None:
    lexicon = LexiconConfig(words={"zyx": "Z IH K S"}, letters_share=0.1)
    save_parallel_voice(tmp_path / "voice", [*ALPHABET, ",", ".", *PHONEMES], lexicon)
    voice, files = Voice.load(tmp_path / "voice"), exported(tmp_path / "voice", tmp_path / "sherpa")
    program = sherpa(files)
    for text in ("Zyx has three notes", "don't, it is zyx."):
        np.testing.assert_allclose(said(program, text), spoken(voice, text), atol=TOLERANCE, rtol=0)
    words = dict(line.split(" ", 1) for line in Path(files["lexicon.txt"]).read_text().splitlines())
    assert words["zyx"] == "Z IH K S"
    assert words["notes"] == "N OW T S"
    assert "church" not in words  # the voice has no CH


@pytest.mark.parametrize(
    ("text", "expected"),
    [("  so   it is ", "so it is"), ("so", "so"), (" ", ""), ("so it", "so it")],
)
def test_needless_spaces_are_removed(text: str, expected: str) -> None:
    assert text_of(with_single_spaces(ids_of(text))) == expected


@pytest.mark.parametrize(
    ("text", "expected"), [("so ,it is .", "so, it is. "), ("so, it", "so, it"), (",so ", ",so "), ("so ", "so ")]
)
def test_marks_follow_their_words(text: str, expected: str) -> None:
    assert text_of(with_marks_at_words(ids_of(text))) == expected


def ids_of(text: str) -> torch.Tensor:
    return torch.tensor([text_to_ids(character)[0] if character != " " else SYMBOLS.index(" ") for character in text])


def text_of(symbol_ids: torch.Tensor) -> str:
    return "".join(SYMBOLS[number] for number in symbol_ids.tolist())
