"""Text → waveform: an acoustic model and a vocoder that agree on the mel.

    text ─► phrases ─► an utterance each ─► a waveform each ─► joined with pauses

An utterance that went wrong is made again; a phrase that was spoken well is never touched.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from dtc.acoustic.base import AcousticModel, Utterance, load_acoustic
from dtc.acoustic.utterance_status import Status, badness, worst
from dtc.audio import LOG_FLOOR, AudioConfig, require_same_audio
from dtc.errors import InputError
from dtc.model_card import ModelCard
from dtc.provenance import fingerprint
from dtc.synthesis_config import SynthesisConfig as SynthesisConfig
from dtc.text import spoken_words
from dtc.text.sentences import Pause, Phrase, cut_phrase, split_sentences
from dtc.text.symbols import text_to_ids, unknown_symbols
from dtc.vocoder.base import Vocoder, load_vocoder
from dtc.vocoder.mel_fitting import fit_mel

PHRASES_PER_BATCH = 16
LONGEST_SHOWN = 80  # characters of a text in an error's line
QUIET = 0.01  # of the loudest frame, 40 dB below: no speech there


@dataclass(frozen=True)
class SpokenPhrase:
    """What was spoken at once."""

    words: str
    wave: Float[Tensor, " samples"]
    mel: Float[Tensor, "mels frames"]  # natural log
    alignment: Float[Tensor, "steps symbols"]
    status: Status
    attempts: int  # that were made; the best was kept
    pause_steps: int  # decoder steps of silence that follow

    @property
    def samples(self) -> int:
        """With the pause."""
        return len(self.wave) + len(self.wave) // len(self.alignment) * self.pause_steps


@dataclass(frozen=True)
class Speech:
    """One text, spoken: its phrases with pauses between them. Samples = frames * hop_length, frames = steps * r."""

    raw_text: str
    phrases: tuple[SpokenPhrase, ...]

    @property
    def spoken_text(self) -> str:
        """What was spoken, without the marks that the voice was never taught."""
        return " ".join(phrase.words for phrase in self.phrases)

    @property
    def status(self) -> Status:
        """That of the worst phrase."""
        return worst([phrase.status for phrase in self.phrases])

    @property
    def attempts(self) -> int:
        """The most that a phrase took."""
        return max(phrase.attempts for phrase in self.phrases)

    @cached_property
    def wave(self) -> Float[Tensor, " samples"]:
        """The phrases, and zeros between them."""
        return torch.cat([_with_pause(each.wave[None], each, 0.0)[0] for each in self.phrases])

    @cached_property
    def mel(self) -> Float[Tensor, "mels frames"]:
        """Natural log; the floor of a mel in the pauses."""
        return torch.cat([_with_pause(each.mel, each, math.log(LOG_FLOOR)) for each in self.phrases], dim=1)

    @property
    def alignment(self) -> Float[Tensor, "steps symbols"]:
        """Over the symbols of `spoken_text`: no weight on the space between two phrases, and none in a pause.

        Steps * symbols grow with the square of a text: not for books.
        """
        blocks = [_with_pause(each.alignment.T, each, 0.0).T for each in self.phrases]
        spaced = [F.pad(block, (0, 1)) for block in blocks[:-1]]
        return torch.block_diag(*spaced, blocks[-1])


class Piece(NamedTuple):
    """What a stream adds: a phrase, and the pause before it."""

    words: str
    wave: Float[Tensor, " samples"]
    status: Status
    attempts: int


class Voice:
    """A trained acoustic model with the vocoder that goes with it."""

    def __init__(
        self, acoustic: AcousticModel, acoustic_card: ModelCard, vocoder: Vocoder, vocoder_card: ModelCard
    ) -> None:
        require_same_audio(acoustic_card.audio, "acoustic model", vocoder_card.audio, "vocoder")
        self.acoustic, self.vocoder = acoustic.eval(), vocoder.eval()
        self.acoustic_card, self.vocoder_card = acoustic_card, vocoder_card

    @property
    def audio(self) -> AudioConfig:
        """What a frame is, for both models."""
        return self.acoustic_card.audio

    @property
    def taught_by_another(self) -> str:
        """Where the vocoder learnt from the predicted mels of another acoustic model: of which; else nothing."""
        taught_by, own = self.vocoder_card.aligned_by, self.acoustic_card.fingerprint
        return f"the vocoder learnt from mels of acoustic model {taught_by}" if taught_by not in ("", own) else ""

    @property
    def fingerprint(self) -> str:
        """Identity of the voice: both models."""
        return fingerprint("voice", self.acoustic_card.fingerprint, self.vocoder_card.fingerprint)

    def read(self, text: str, where: str = "text") -> str:
        """The words that will be spoken.

        Raises InputError, naming `where`, for a text without words and for symbols that the voice was never taught.
        """
        alphabet, words = self.acoustic_card.alphabet, spoken_words(text, self.acoustic_card.text)
        # Of the mute marks in "forty-five" and "seven:forty-five p.m." a voice is given those that it was taught.
        mute = re.compile(r"-+|(?<=\w):(?=\w)")
        spoken = mute.sub(lambda mark: mark[0] if mark[0][0] in alphabet else " ", words)
        spoken = " ".join(spoken.split())
        text_to_ids(spoken, where)
        phrases = split_sentences(spoken, alphabet)
        if not phrases:
            raise InputError(where, f"nothing but {_shortened(spoken)}", "words to speak")
        for phrase in phrases:
            if unknown_symbols(phrase.words, alphabet):
                unknown = unknown_symbols(" ".join(each.words for each in phrases), alphabet)
                shown = " ".join(map(repr, unknown))
                known = "".join(symbol for symbol in alphabet if len(symbol) == 1).strip()  # and no phonemes
                remedy = f"reads: {_shortened(phrase.words)}"
                raise InputError(where, f"{shown} not in the voice's alphabet", f"only {known!r} and spaces", remedy)
        return spoken

    @torch.inference_mode()
    def speak_words(
        self, raw_texts: Sequence[str], spoken_texts: Sequence[str], seed: int, config: SynthesisConfig
    ) -> list[Speech]:
        """Speak texts that are already in words, as `read` gives them.

        A phrase's result depends on (seed, phrase), and on what is spoken beside it by no more than rounding.
        Raises InputError, naming the model, where one says NaN or infinity.
        """
        self._prepare(config)
        texts = [self._phrases(text, config.longest_phrase) for text in spoken_texts]
        said = self._utter({phrase.words for text in texts for phrase in text}, seed, config.attempts)
        return [
            Speech(raw_text, self._with_pauses(text, [said[phrase.words] for phrase in text], config))
            for raw_text, text in zip(raw_texts, texts, strict=True)
        ]

    @torch.inference_mode()
    def stream_words(self, spoken_text: str, seed: int, config: SynthesisConfig) -> Iterator[Piece]:
        """What `speak_words` says, phrase by phrase: each as soon as it is spoken, with the pause before it."""
        self._prepare(config)
        before: tuple[Phrase, Tensor] | None = None
        for phrase in self._phrases(spoken_text, config.longest_phrase):
            utterance, attempts = self._utter([phrase.words], seed, config.attempts)[phrase.words]
            wave = self._vocode(utterance.mel, config.fit_iterations)
            pause_steps = self._pause_steps(*before, wave, config) if before else 0
            pause = wave.new_zeros(pause_steps * self.acoustic.frames_per_step * self.audio.hop_length)
            yield Piece(phrase.words, torch.cat([pause, wave]), utterance.status, attempts)
            before = phrase, wave

    def _prepare(self, config: SynthesisConfig) -> None:
        self.acoustic.precision, self.acoustic.cuda_graphs = config.decoder_weights, config.cuda_graphs

    def _phrases(self, spoken_text: str, longest_phrase: int) -> list[Phrase]:
        sentences = split_sentences(spoken_text, self.acoustic_card.alphabet)
        # A held-out clip may be of marks alone; `read` lets no such text through.
        sentences = sentences or [Phrase(spoken_text, "sentence")]
        return [phrase for sentence in sentences for phrase in cut_phrase(sentence, longest_phrase)]

    def _utter(self, texts: Collection[str], seed: int, attempts: int) -> dict[str, tuple[Utterance, int]]:
        """The best of each text's attempts, and how many were made: none after one that went well."""
        best: dict[str, tuple[Utterance, int]] = {}
        # Texts of similar length together: the shorter ones of a batch wait for the longest.
        waiting = sorted(texts, key=lambda text: (len(text), text))
        for attempt in range(1, attempts + 1):
            for first in range(0, len(waiting), PHRASES_PER_BATCH):
                batch = waiting[first : first + PHRASES_PER_BATCH]
                ids = [torch.tensor(text_to_ids(text)) for text in batch]
                for text, said in zip(batch, self.acoustic.infer(ids, _seed_of(seed, attempt)), strict=True):
                    _require_numbers(said.mel, "acoustic model")
                    earlier = best[text][0] if text in best else said
                    best[text] = min(earlier, said, key=lambda each: badness(each.status)), attempt
            waiting = [text for text in waiting if badness(best[text][0].status)]
        return best

    def _with_pauses(
        self, phrases: Sequence[Phrase], said: Sequence[tuple[Utterance, int]], config: SynthesisConfig
    ) -> tuple[SpokenPhrase, ...]:
        waves = [self._vocode(utterance.mel, config.fit_iterations) for utterance, _ in said]
        pause_steps = [
            self._pause_steps(phrase, before, after, config)
            for phrase, (before, after) in zip(phrases, pairwise(waves), strict=False)
        ] + [0]
        return tuple(
            SpokenPhrase(
                phrase.words, wave, utterance.mel.cpu(), utterance.alignment.cpu(), utterance.status, attempts, steps
            )
            for phrase, wave, (utterance, attempts), steps in zip(phrases, waves, said, pause_steps, strict=True)
        )

    def _pause_steps(
        self, phrase: Phrase, wave: Float[Tensor, " samples"], following: Float[Tensor, " _"], config: SynthesisConfig
    ) -> int:
        """Decoder steps of silence to put behind a phrase, beside what the two waves have of it."""
        pauses_s: dict[Pause, float] = {
            "none": 0.0, "clause": config.clause_pause_s, "sentence": config.sentence_pause_s,
        }  # fmt: skip
        missing_s = pauses_s[phrase.pause] - self._silence_s(wave.flip(0)) - self._silence_s(following)
        return max(0, round(missing_s * self.audio.frames_per_s / self.acoustic.frames_per_step))

    def _silence_s(self, wave: Float[Tensor, " samples"]) -> float:
        """How long it takes until a waveform speaks, in whole frames."""
        hop = self.audio.hop_length
        power = wave[: len(wave) // hop * hop].unflatten(0, (-1, hop)).square().mean(dim=1)
        return int((power > QUIET**2 * power.max()).int().argmax()) * hop / self.audio.sampling_rate

    @torch.inference_mode()
    def copy(self, mel: Float[Tensor, "mels frames"], fit_iterations: int) -> Float[Tensor, " samples"]:
        """A recording's mel through the vocoder alone, fitted to it if asked to. Raises as `speak_words`."""
        return self._vocode(mel.to(next(self.acoustic.parameters()).device), fit_iterations)

    def _vocode(self, mel: Float[Tensor, "mels frames"], fit_iterations: int) -> Float[Tensor, " samples"]:
        wave = fit_mel(self.vocoder(mel[None]), mel[None], self.audio, fit_iterations)[0].cpu()
        _require_numbers(wave, "vocoder")
        return wave


def _require_numbers(values: Tensor, maker: str) -> None:
    if not values.isfinite().all():
        raise InputError(maker, "NaN or infinity in what it says", "numbers", "its training went wrong: train it again")


def _with_pause(
    values: Float[Tensor, "channels time"], phrase: SpokenPhrase, filling: float
) -> Float[Tensor, "channels longer"]:
    """What a phrase is over time, and the pause behind it."""
    return F.pad(values, (0, values.shape[1] // len(phrase.alignment) * phrase.pause_steps), value=filling)


def _seed_of(seed: int, attempt: int) -> int:
    """The first attempt's is the seed itself; no other seed's attempts are the same."""
    return seed if attempt == 1 else int(fingerprint("attempt", seed, attempt), 16)


def _shortened(text: str) -> str:
    return text if len(text) <= LONGEST_SHOWN else f"{text[: LONGEST_SHOWN - 1]}…"


def load_voice(acoustic_folder: Path, vocoder_folder: Path, device: torch.device) -> Voice:
    """The two trained models of a project. Raises InputError where one is missing, changed, or made for another mel."""
    acoustic, acoustic_card = load_acoustic(acoustic_folder, device)
    vocoder, vocoder_card = load_vocoder(vocoder_folder, device)
    return Voice(acoustic, acoustic_card, vocoder, vocoder_card)
