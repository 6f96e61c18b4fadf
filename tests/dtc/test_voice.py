"""A voice of two untrained models: what it reads, what it refuses, and that texts do not disturb one another."""

import math
from pathlib import Path

import pytest
import torch

from dtc.acoustic.base import InferenceOptions
from dtc.audio import LOG_FLOOR
from dtc.errors import InputError
from dtc.speech import Speech
from dtc.text.symbols import symbols_of, text_to_ids
from dtc.voice import Voice
from tests.dtc.tiny_voice import ONCE, save_voice, silence_s, speak


@pytest.fixture
def voice(tmp_path: Path) -> Voice:
    save_voice(tmp_path)
    return Voice.load(tmp_path)


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
    with pytest.raises(InputError, match=r"^text 2: 'j' 'm' not in the voice's alphabet, expected only \"'abc"):
        speak(voice, ["two", "jam"])


def test_characters_outside_all_alphabets_are_shown(voice: Voice) -> None:
    with pytest.raises(InputError, match=r"^text 1: '☃' not in the alphabet"):
        speak(voice, ["caf\N{LATIN SMALL LETTER E WITH ACUTE} ☃"])


def test_models_of_different_mels_refuse_each_other(tmp_path: Path) -> None:
    save_voice(tmp_path, hop_length=200)
    with pytest.raises(InputError, match="acoustic model and vocoder: different mels: hop_length 256 against 200"):
        Voice.load(tmp_path)


def test_copy_speaks_a_mel(voice: Voice) -> None:
    assert voice.copy(torch.full((80, 7), -5.0), fit_iterations=2).shape == (7 * 256,)


def test_what_is_said_is_fitted_to_its_mel_if_asked_to(voice: Voice) -> None:
    (speech,) = speak(voice, ["twenty one"], fit_iterations=4)
    (unfitted,) = speak(voice, ["twenty one"])
    (piece,) = voice.stream_words("twenty one", 1, ONCE.model_copy(update={"fit_iterations": 4}))
    assert torch.equal(speech.mel, unfitted.mel)
    assert not torch.equal(speech.wave, unfitted.wave)
    assert torch.equal(speech.wave, voice.copy(speech.mel, fit_iterations=4))
    assert torch.equal(speech.wave, piece.wave)


def test_a_model_that_says_no_numbers_is_named(voice: Voice) -> None:
    """As one does whose training diverged: silence would pass for speech."""
    weights = {model: next(model.parameters()) for model in (voice.vocoder, voice.acoustic.post_net)}
    for model, name in ((voice.vocoder, "vocoder"), (voice.acoustic.post_net, "acoustic model")):
        kept = weights[model].detach().clone()
        weights[model].data.fill_(math.nan)
        with pytest.raises(InputError, match=f"^{name}: computed NaN or infinity, expected finite numbers; its train"):
            speak(voice, ["twenty one"])
        weights[model].data.copy_(kept)


def test_a_sentence_is_what_the_models_say_and_no_more(voice: Voice) -> None:
    (speech,) = speak(voice, ["the 21st"], seed=7, sentence_pause_s=5.0)
    ids = torch.tensor(text_to_ids("the twenty first"))
    (said,) = voice.acoustic.infer([ids], 7, InferenceOptions(step=0))
    assert (speech.status, speech.attempts) == (said.status, 1)
    assert torch.equal(speech.mel, said.mel)
    assert torch.equal(speech.alignment, said.alignment)
    assert torch.equal(speech.wave, voice.vocoder(said.mel[None])[0].detach())


def test_equal_seeds_give_equal_audio(voice: Voice) -> None:
    torch.nn.init.constant_(voice.acoustic.decoder.gate.bias, -9.0)  # it never ends by itself
    texts = ["the 21st. two hundred", "the 21st"]
    first, again, other = (speak(voice, texts, seed=seed, attempts=2) for seed in (1, 1, 2))
    for one, same, different in zip(first, again, other, strict=True):
        assert torch.equal(one.wave, same.wave)
        assert one.attempts == same.attempts == 2
        assert not torch.equal(one.wave, different.wave)


def test_a_text_of_sentences_is_its_sentences_and_pauses(voice: Voice) -> None:
    whole, first, second = speak(voice, ["the 21st. two", "the 21st", "two"], sentence_pause_s=3.0)
    assert whole.spoken_text == "the twenty first two"
    one, other = whole.phrases
    assert (one.words, other.words) == ("the twenty first", "two")
    hop, r = voice.audio.hop_length, voice.acoustic.config.frames_per_step
    frames, steps = other.pause_steps * r, other.pause_steps
    # Within the two own silences, which are no longer than the phrases.
    own_s = (len(first.wave) + len(second.wave)) / voice.audio.sampling_rate
    assert 3.0 - own_s - 0.1 < frames / voice.audio.frames_per_s < 3.0 + 0.1
    assert len(whole.wave) == whole.mel.shape[1] * hop
    torch.testing.assert_close(
        whole.wave, torch.cat([first.wave, torch.zeros(frames * hop), second.wave]), atol=1e-4, rtol=0
    )
    pause = torch.full((80, frames), math.log(LOG_FLOOR))
    torch.testing.assert_close(whole.mel, torch.cat([first.mel, pause, second.mel], dim=1), atol=1e-3, rtol=0)
    assert whole.alignment.shape == (whole.mel.shape[1] // r, len(symbols_of(whole.spoken_text)))
    begins = len(first.alignment) + steps
    assert whole.alignment[: len(first.alignment), :16].sum() == pytest.approx(len(first.alignment), rel=1e-4)
    assert whole.alignment[begins:, 17:].sum() == pytest.approx(len(second.alignment), rel=1e-4)
    assert whole.alignment.sum() == pytest.approx(len(first.alignment) + len(second.alignment), rel=1e-4)


def test_silence_of_the_voice_itself_counts(voice: Voice) -> None:
    sound = torch.tensor([1.0, -1.0]).repeat(500)
    assert silence_s(voice, torch.cat([torch.zeros(1000), sound])) == 3 * 256 / 16000
    assert silence_s(voice, sound) == 0
    assert silence_s(voice, torch.zeros(1000)) == 0


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", "text 1: empty text, expected words to speak"),
        (" \t\n", "text 1: empty text, expected words to speak"),
        ("\u201c\u201d", "text 1: empty text, expected words to speak"),
        ("...", "text 1: nothing but ..., expected words to speak"),
        ("?!,;: '", "text 1: nothing but ?!,;: ', expected words to speak"),
        ("." * 5000, "text 1: nothing but " + "." * 79 + "\u2026, expected words to speak"),
        ("call \u4f60", "text 1: '\u4f60' not in the alphabet, in 'call \u4f60'; write it in words or leave it out"),
        ("_", "text 1: '_' not in the alphabet, in '_'; write it in words or leave it out"),
        (
            "two {HH AH0} jam",
            "text 1: 'HH' 'AH0' in braces, expected no phonemes: the voice was trained on letters alone; write the word",
        ),
        ("two {HH QQ}", "text 1: 'QQ' in braces, expected ARPAbet phonemes, as in {HH AH0 L OW1}"),
        ("two {HH", "text 1: a brace without its other half, expected phonemes"),
        ("two. jam, mix" + " two" * 2000, "text 1: 'j' 'm' not in the voice's alphabet, expected only \"'abc"),
    ],
)
def test_what_cannot_be_spoken_is_named_in_one_line(voice: Voice, text: str, line: str) -> None:
    with pytest.raises(InputError) as error:
        speak(voice, [text])
    assert str(error.value).startswith(line)
    assert len(str(error.value)) < 250


def test_a_long_text_shows_the_sentence_that_is_at_fault(voice: Voice) -> None:
    with pytest.raises(InputError, match=r"; reads: two jam$"):
        speak(voice, ["two " * 500 + ". two jam. " + "two " * 500])


@pytest.mark.parametrize("text", ["a", "two", "a.", "'a'"])
def test_a_text_of_a_symbol_or_a_word(voice: Voice, text: str) -> None:
    (speech,) = speak(voice, [text])
    assert len(speech.wave) == speech.mel.shape[1] * 256 > 0
    assert speech.spoken_text == text.strip(".")


def test_a_voice_without_marks_pauses_at_them(voice: Voice) -> None:
    """The alphabet of the demo has no mark at all."""
    (speech,) = speak(voice, ["Two! Nine, (ten) eleven...\u201d"])
    assert [phrase.words for phrase in speech.phrases] == ["Two", "Nine", "ten", "eleven"]


@pytest.mark.parametrize(("weights", "tolerance"), [("float16", 1e-3), ("int8", 5e-2)])
def test_smaller_weights_say_nearly_the_same(voice: Voice, weights: str, tolerance: float) -> None:
    """In log-mel, over a few hundred frames in which each hears the ones before it."""
    texts = ["seven hundred and ninety two", "at seven forty five"]
    exact = voice.speak_words(texts, texts, 1, ONCE)
    close = voice.speak_words(texts, texts, 1, ONCE.model_copy(update={"decoder_weights": weights}))
    for mine, theirs in zip(close, exact, strict=True):
        assert mine.mel.shape == theirs.mel.shape
        assert not torch.equal(mine.mel, theirs.mel)
        torch.testing.assert_close(mine.mel, theirs.mel, atol=tolerance, rtol=0)
    again = voice.speak_words(texts, texts, 1, ONCE)
    assert torch.equal(again[0].mel, exact[0].mel)
