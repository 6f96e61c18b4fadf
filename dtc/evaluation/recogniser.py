"""An independent ear: the words that a waveform holds.

PocketSphinx (BSD, its English model is inside the package) with a JSGF grammar of everything that may be said. It is
never told what should have been said.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import jiwer
import numpy as np
import pocketsphinx
from jaxtyping import Float
from scipy.signal import resample_poly

from dtc.errors import InputError

SAMPLING_RATE_HZ = 16_000  # of PocketSphinx's English model

# Below 50 ms there is no word, and PocketSphinx's feature windows have nothing to stand on.
SHORTEST_S = 0.05

# The model was trained on recordings with a pause around the words; 0.1 s and 0.3 s measured the same.
PADDING_S = 0.1

# PocketSphinx's default of 0.65 suits a language model that prices every word. A grammar does not: with it the corpus's
# recordings score 2.1 % errors, mostly short words put in ("point three" → "point three eight"); 0.1 scores 1.3 %,
# 0.01 and 0.003 0.8 %, 0.001 1.0 % with words left out.
WORD_INSERTION_PENALTY = 0.005


class Recogniser:
    """Recognises the phrases of one grammar.

    Args:
        grammar: a JSGF file with one public rule; its words must be in CMUdict.

    Raises InputError where the grammar is missing, broken, or holds a word that the dictionary lacks.
    """

    def __init__(self, grammar: Path) -> None:
        if not grammar.is_file():
            raise InputError(grammar, "no such file", "a JSGF grammar", "set evaluate.grammar to one")
        _check_rules(grammar)
        try:
            self._decoder = pocketsphinx.Decoder(
                jsgf=str(grammar),
                lm=None,
                wip=WORD_INSERTION_PENALTY,
                # The lattice's best path may end in the middle of a phrase ("in sixteen eighty three the").
                bestpath=False,
                # Mean and level are taken from the utterance itself, not carried over from the one before.
                cmn="batch",
                loglevel="FATAL",
            )
        except RuntimeError as error:
            raise InputError(
                grammar, "not a usable grammar", "JSGF whose words are all in CMUdict", "correct it"
            ) from error

    def transcribe(self, wave: Float[np.ndarray, " samples"], sampling_rate: int) -> str:
        """Say which phrase of the grammar a waveform in [-1, 1] holds: lower-case words, "" where it holds none.

        Silence, less than 50 ms and non-finite samples hold none.
        The result depends on the waveform alone, not on what was heard before.
        """
        if len(wave) < SHORTEST_S * sampling_rate or not np.any(wave) or not np.all(np.isfinite(wave)):
            return ""
        # Front end and feature state survive an utterance and shift the next one's scores; this resets them, at no
        # measurable cost. `cmn="batch"` alone does not: 14 of 17 noisy clips scored otherwise in another order.
        self._decoder.reinit_feat()
        self._decoder.start_utt()
        self._decoder.process_raw(_pcm(_resample(wave, sampling_rate)), full_utt=True)
        self._decoder.end_utt()
        hypothesis = self._decoder.hyp()
        return hypothesis.hypstr if hypothesis else ""


def _check_rules(grammar: Path) -> None:
    """Refuse a grammar that uses a rule which it does not define: PocketSphinx would hear nothing and not say why."""
    try:
        content = grammar.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise InputError(grammar, f"byte {error.start} is no UTF-8", "text in UTF-8", "save it as UTF-8") from None
    text = re.sub(r"/\*.*?\*/|//[^\n]*", "", content, flags=re.DOTALL)
    defined = set(re.findall(r"<([^<>]+)>\s*=", text)) | {"NULL", "VOID"}
    undefined = sorted(set(re.findall(r"<([^<>]+)>", text)) - defined)
    if undefined:
        raise InputError(grammar, f"<{undefined[0]}> is used but not defined", remedy=f"add <{undefined[0]}> = …;")


def _resample(wave: Float[np.ndarray, " samples"], sampling_rate: int) -> Float[np.ndarray, " resampled"]:
    """Change the sampling rate to the model's 16 kHz (polyphase, with its own low-pass)."""
    divisor = math.gcd(sampling_rate, SAMPLING_RATE_HZ)
    return resample_poly(wave.astype(np.float64), SAMPLING_RATE_HZ // divisor, sampling_rate // divisor)


def _pcm(wave: Float[np.ndarray, " samples"]) -> bytes:
    """16-bit samples at 16 kHz with silence around them; what exceeds [-1, 1] is clipped."""
    padded = np.pad(wave, int(PADDING_S * SAMPLING_RATE_HZ))
    return np.round(np.clip(padded, -1, 1) * 32767).astype("<i2").tobytes()


def transcribe_all(
    grammar: Path, waves: Sequence[Float[np.ndarray, " _"]], sampling_rate: int, processes: int | None = None
) -> list[str]:
    """What is heard in each waveform, in `processes` processes (None: one a core); how many changes no result."""
    Recogniser(grammar)  # a faulty grammar is told from here, once
    with ProcessPoolExecutor(processes, get_context("spawn"), _start, (grammar, sampling_rate)) as pool:
        return list(pool.map(_hear, waves, chunksize=8))


# The ear of a worker process: loading one takes as long as listening to a clip.
_ear: tuple[Recogniser, int]


def _start(grammar: Path, sampling_rate: int) -> None:
    global _ear
    _ear = Recogniser(grammar), sampling_rate


def _hear(wave: Float[np.ndarray, " samples"]) -> str:
    recogniser, sampling_rate = _ear
    return recogniser.transcribe(wave, sampling_rate)


@dataclass(frozen=True)
class WordErrors:
    """How many words of some texts were misheard: substituted, left out or put in."""

    errors: int
    words: int

    @property
    def rate(self) -> float:
        """Errors over expected words, 1.0 is 100 %; may exceed 1. Words heard where none were expected: infinite."""
        if self.words == 0:
            return math.inf if self.errors else 0.0
        return self.errors / self.words


def word_errors(expected: Sequence[str], heard: Sequence[str]) -> WordErrors:
    """Count word errors over pairs of texts by minimal edit distance, summed before dividing.

    Raises ValueError where the lists differ in length.
    """
    pairs = list(zip(expected, heard, strict=True))
    # jiwer refuses an empty reference; every word heard against one is put in.
    errors = sum(len(heard_text.split()) for expected_text, heard_text in pairs if not expected_text.split())
    spoken = [(expected_text, heard_text) for expected_text, heard_text in pairs if expected_text.split()]
    if not spoken:
        return WordErrors(errors, 0)
    counts = jiwer.process_words([pair[0] for pair in spoken], [pair[1] for pair in spoken])
    errors += counts.substitutions + counts.deletions + counts.insertions
    return WordErrors(errors, counts.hits + counts.substitutions + counts.deletions)
