"""A voice: an acoustic model and a vocoder for the same mel, which together turn text into a waveform.

    text ─► phrases ─► one utterance each ─► one waveform each ─► joined with pauses

A phrase with a bad status, or that a recogniser mishears, is synthesised again with other dropout or at another pace;
the best attempt is kept.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import get_args

import torch
from jaxtyping import Float
from torch import Tensor

from dtc.acoustic.base import AcousticModel, InferenceOptions, Utterance, load_acoustic, require_finite
from dtc.acoustic.utterance_status import badness
from dtc.audio_config import AudioConfig, require_same_audio
from dtc.errors import InputError
from dtc.model_card import CARD, ModelCard, ModelKind
from dtc.pauses import Pauses
from dtc.provenance import fingerprint
from dtc.speech import Heard, Listener, Speech, SpokenPhrase
from dtc.synthesis_config import DEFAULT_SYNTHESIS, SynthesisConfig
from dtc.text import spoken_words
from dtc.text.lexicon import Lexicon
from dtc.text.mark_pauses import Pause
from dtc.text.sentences import Phrase, cut_phrase, split_sentences
from dtc.text.symbols import text_to_ids, unknown_symbols
from dtc.vocoder.base import Vocoder, load_vocoder
from dtc.vocoder.mel_fitting import fit_mel

PHRASES_PER_BATCH = 16
# Factors of synthesis.pace at the attempts of a model without attention, which may compute the same with every seed.
PACES = (1.0, 1.1, 0.95, 1.2, 0.9)
LONGEST_SHOWN = 80  # characters of a text in an error message


@dataclass(frozen=True)
class Attempted:
    """The best utterance of a phrase, its pace, what a recogniser heard in it, and the number of attempts at it."""

    utterance: Utterance
    attempts: int
    pace: float
    heard: Heard | None

    @property
    def faults(self) -> tuple[int, int]:
        """Return the word errors and the badness of the status: (0, 0) if nothing went wrong."""
        return self.heard.word_errors if self.heard else 0, badness(self.utterance.status)


class Voice:
    """A trained acoustic model and a vocoder for its mels.

    >>> voice = Voice.load("tests/models/format-4")  # a tiny model with random weights
    >>> speech = voice.speak("Three, nine.")
    >>> speech.sampling_rate, speech.wave.shape, speech.wave.dtype
    (8000, torch.Size([1152]), torch.float32)
    """

    def __init__(
        self, acoustic: AcousticModel, acoustic_card: ModelCard, vocoder: Vocoder, vocoder_card: ModelCard
    ) -> None:
        require_same_audio(acoustic_card.audio, "acoustic model", vocoder_card.audio, "vocoder")
        self.acoustic, self.vocoder = acoustic.eval(), vocoder.eval()
        self.acoustic_card, self.vocoder_card = acoustic_card, vocoder_card
        self._lexicon = Lexicon(acoustic_card.lexicon)

    @classmethod
    def load(cls, folder: str | os.PathLike[str], device: torch.device | str = "cpu") -> Voice:
        """Return the voice in a folder that holds the model folders `acoustic` and `vocoder`.

        Raises InputError where a model is missing or changed, or where both were made for different mels.
        """
        folder, device = Path(folder), torch.device(device)
        _require_both_models(folder)
        acoustic, acoustic_card = load_acoustic(folder / "acoustic", device)
        vocoder, vocoder_card = load_vocoder(folder / "vocoder", device)
        return cls(acoustic, acoustic_card, vocoder, vocoder_card)

    def speak(self, text: str, seed: int = 1, config: SynthesisConfig | None = None) -> Speech:
        """Return the synthesised speech of a written text; equal arguments give equal waveforms.

        Args:
            text: written English of any length, with numbers and abbreviations.
            seed: another seed gives another rendering.
            config: the section `synthesis` of params.yaml; else DEFAULT_SYNTHESIS.

        Raises InputError for a text without words, and for symbols that the voice was not trained on.
        """
        return self.speak_words([text], [self.read(text)], seed, config or DEFAULT_SYNTHESIS)[0]

    @property
    def audio(self) -> AudioConfig:
        """Return the definition of the mel of both models."""
        return self.acoustic_card.audio

    @property
    def mismatch(self) -> str:
        """Return a message where the vocoder was trained on the predictions of another acoustic model, or ""."""
        trained_on, own = self.vocoder_card.aligned_by, self.acoustic_card.fingerprint
        return "" if trained_on in ("", own) else f"the vocoder was trained on mels of acoustic model {trained_on}"

    @property
    def fingerprint(self) -> str:
        """Return the identity of the voice, which is that of both models."""
        return fingerprint("voice", self.acoustic_card.fingerprint, self.vocoder_card.fingerprint)

    def read(self, text: str, where: str = "text") -> str:
        """Return the spoken words of a written text.

        Raises InputError, naming `where`, for a text without words, and for symbols that the voice was not trained on.
        """
        alphabet, words = self.acoustic_card.alphabet, spoken_words(text, self.acoustic_card.text)
        # The silent marks in "forty-five" and "seven:forty-five p.m." stay only where the voice was trained on them.
        silent = re.compile(r"-+|(?<=\w):(?=\w)")
        spoken = silent.sub(lambda mark: mark[0] if mark[0][0] in alphabet else " ", words)
        spoken = " ".join(spoken.split())
        text_to_ids(spoken, where)
        phrases = split_sentences(spoken, alphabet)
        if not phrases:
            raise InputError(where, f"nothing but {_shortened(spoken)}", "words to speak")
        self._require_alphabet(phrases, where)
        return spoken

    def pronounce(self, words: str) -> str:
        """Return spoken words as the model reads them: by a lexicon with phonemes in braces, else as they are.

        A word stays in letters where the lexicon lacks it, or the voice was not trained on one of its phonemes.
        """
        return self._lexicon.pronounce(words, self._lacks)

    def words_in_letters(self, words: str) -> list[str]:
        """Return the words that a voice with a lexicon speaks by their letters."""
        return self._lexicon.unknown_words(words, self._lacks)

    def _lacks(self, place: int, phonemes: str) -> bool:
        return any("@" + phoneme not in self.acoustic_card.alphabet for phoneme in phonemes.split())

    def _require_alphabet(self, phrases: Sequence[Phrase], where: str) -> None:
        alphabet = self.acoustic_card.alphabet
        for phrase in phrases:
            if unknown := unknown_symbols(self.pronounce(phrase.words), alphabet):
                if phonemes := [symbol[1:] for symbol in unknown if len(symbol) > 1]:
                    taught = " ".join(symbol[1:] for symbol in alphabet if len(symbol) > 1)
                    expected = f"only {taught}" if taught else "no phonemes: the voice was trained on letters alone"
                    found = f"{' '.join(map(repr, phonemes))} in braces"
                    raise InputError(where, found, expected, "write the word in letters")
                unknown = unknown_symbols(self.pronounce(" ".join(each.words for each in phrases)), alphabet)
                shown = " ".join(map(repr, unknown))
                known = "".join(symbol for symbol in alphabet if len(symbol) == 1).strip()  # without phonemes
                remedy = f"reads: {_shortened(phrase.words)}"
                raise InputError(where, f"{shown} not in the voice's alphabet", f"only {known!r} and spaces", remedy)

    @torch.inference_mode()
    def speak_words(
        self,
        raw_texts: Sequence[str],
        spoken_texts: Sequence[str],
        seed: int,
        config: SynthesisConfig,
        listener: Listener | None = None,
    ) -> list[Speech]:
        """Return the synthesised speech of texts in spoken words, as `read` returns them.

        With a listener, a phrase is also synthesised again where that hears word errors.
        A phrase's waveform depends on (seed, phrase); the other phrases change it by no more than rounding.
        Raises InputError, naming the model, where one computes NaN or infinity, and for a pace that it cannot have.
        """
        texts = [self._phrases(text, config) for text in spoken_texts]
        attempted = self._synthesise({phrase.words for text in texts for phrase in text}, seed, config, listener)
        return [
            Speech(
                raw_text=raw_text,
                phrases=tuple(self._spoken(text, (attempted[phrase.words] for phrase in text), config)),
                sampling_rate=self.audio.sampling_rate,
                seed=seed,
                config=config,
                origin=self.origin,
            )
            for raw_text, text in zip(raw_texts, texts, strict=True)
        ]

    @torch.inference_mode()
    def stream_words(self, spoken_text: str, seed: int, config: SynthesisConfig) -> Iterator[SpokenPhrase]:
        """Yield the phrases that `speak_words` returns, each as soon as it is computed."""
        phrases = self._phrases(spoken_text, config)
        attempted = (self._synthesise([phrase.words], seed, config)[phrase.words] for phrase in phrases)
        yield from self._spoken(phrases, attempted, config)

    @torch.inference_mode()
    def copy(self, mel: Float[Tensor, "mels frames"], fit_iterations: int) -> Float[Tensor, " samples"]:
        """Return the vocoder's waveform of a recording's natural-log mel. Raises InputError as `speak_words` does."""
        return self._vocode(mel.to(next(self.acoustic.parameters()).device), fit_iterations)

    @property
    def origin(self) -> dict[str, str]:
        """Return the fingerprints that a WAV file and its sidecar have, from the voice back to the corpus."""
        return {
            "voice": self.fingerprint,
            "acoustic": self.acoustic_card.fingerprint,
            "vocoder": self.vocoder_card.fingerprint,
            "features": self.acoustic_card.features,
            "audio": self.audio.fingerprint,
            "manifest_md5": self.acoustic_card.manifest,
            "corpus_md5": self.acoustic_card.corpus,
        }

    def _phrases(self, spoken_text: str, config: SynthesisConfig) -> list[Phrase]:
        longest = config.longest_phrase or self.acoustic.longest_phrase
        sentences = split_sentences(spoken_text, self.acoustic_card.alphabet)
        # The text of a held-out clip may consist of punctuation marks alone; `read` refuses such a text.
        sentences = sentences or [Phrase(spoken_text, "sentence")]
        return [phrase for sentence in sentences for phrase in cut_phrase(sentence, longest)]

    def _synthesise(
        self, texts: Collection[str], seed: int, config: SynthesisConfig, listener: Listener | None = None
    ) -> dict[str, Attempted]:
        """Return the best of each text's attempts; there is no further attempt after one without faults."""
        if config.pace != 1.0 and self.acoustic.attends:
            expected = f"1 with the acoustic model {self.acoustic_card.config['model']}, which predicts no durations"
            raise InputError("synthesis.pace", f"{config.pace:g}", expected)
        best: dict[str, Attempted] = {}
        # Texts of similar length share a batch, as a batch takes as long as its longest text.
        waiting = sorted(texts, key=lambda text: (len(text), text))
        for attempt in range(1, config.attempts + 1):
            pace = config.pace if self.acoustic.attends else config.pace * PACES[(attempt - 1) % len(PACES)]
            options = InferenceOptions(self.acoustic_card.steps, config.decoder_weights, config.cuda_graphs, pace)
            for first in range(0, len(waiting), PHRASES_PER_BATCH):
                batch = waiting[first : first + PHRASES_PER_BATCH]
                ids = [torch.tensor(text_to_ids(self.pronounce(text))) for text in batch]
                utterances = self.acoustic.infer(ids, _seed_of(seed, attempt), options)
                for text, utterance in zip(batch, utterances, strict=True):
                    require_finite(utterance.mel, "acoustic model")
                    heard = listener(text, self._vocode(utterance.mel, config.fit_iterations)) if listener else None
                    tried = Attempted(utterance, attempt, pace, heard)
                    better = min(best.get(text, tried), tried, key=lambda each: each.faults)
                    best[text] = replace(better, attempts=attempt)
            waiting = [text for text in waiting if any(best[text].faults)]
        return best

    def _spoken(
        self, phrases: Sequence[Phrase], attempted: Iterable[Attempted], config: SynthesisConfig
    ) -> Iterator[SpokenPhrase]:
        """Yield each phrase with its waveform, and with the pause between the phrase before and itself."""
        pauses = Pauses(self.audio, config, self.acoustic_card.pauses)
        before: tuple[Pause, Tensor] | None = None
        for phrase, best in zip(phrases, attempted, strict=True):
            utterance = best.utterance
            wave = self._vocode(utterance.mel, config.fit_iterations)
            frames_per_step = utterance.mel.shape[1] // len(utterance.alignment)
            yield SpokenPhrase(
                words=phrase.words,
                wave=wave,
                mel=utterance.mel.cpu(),
                alignment=utterance.alignment.cpu(),
                status=utterance.status,
                attempts=best.attempts,
                pause_steps=pauses.missing_steps(*before, wave, frames_per_step) if before else 0,
                pace=best.pace,
                heard=best.heard,
            )
            before = phrase.pause, wave

    def _vocode(self, mel: Float[Tensor, "mels frames"], fit_iterations: int) -> Float[Tensor, " samples"]:
        wave = fit_mel(self.vocoder(mel[None]), mel[None], self.audio, fit_iterations)[0].cpu()
        require_finite(wave, "vocoder")
        return wave


def _require_both_models(folder: Path) -> None:
    """Raise InputError where a folder is not one that holds the model folders acoustic and vocoder."""
    missing = [name for name in get_args(ModelKind) if not (folder / name).is_dir()]
    expected = "the folder that holds acoustic/ and vocoder/"
    if (folder / CARD).is_file():
        raise InputError(folder, "one model", expected, f"name the folder around it, {folder.parent}")
    if len(missing) == 1:
        remedy = f"run `dtc train {missing[0]}`, or import or copy that model"
        raise InputError(folder, f"no {missing[0]}/ inside", expected, remedy)
    if missing:
        found = "no acoustic/ or vocoder/ inside" if folder.is_dir() else "no such folder"
        raise InputError(folder, found, expected, "name another, or run `dtc train acoustic` and `dtc train vocoder`")


def _seed_of(seed: int, attempt: int) -> int:
    """Return the seed of an attempt: `seed` itself for the first, and others for later ones that no other seed has."""
    return seed if attempt == 1 else int(fingerprint("attempt", seed, attempt), 16)


def _shortened(text: str) -> str:
    return text if len(text) <= LONGEST_SHOWN else f"{text[: LONGEST_SHOWN - 1]}…"
