"""The three contests of the machine judge: which waveforms are compared, as pairs of two sides."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dtc.equalise import Wave
from dtc.errors import InputError
from dtc.evaluation.speech_folder import AGAIN, COPY, RECORDING, SYNTHESIS, SpokenText, read_speech
from dtc.seeding import seed_of

OTHER_RECORDING = "other_recording"  # of another text


@dataclass(frozen=True)
class Sample:
    """One clip of a contest: its ID, its kind, and its waveform in [-1, 1)."""

    id: str
    kind: str
    wave: Wave


@dataclass(frozen=True)
class Pair:
    """A clip of each side. Pairs with equal texts are never in different folds."""

    text: str
    first: Sample
    second: Sample


@dataclass(frozen=True)
class Contest:
    """Two kinds of waveforms, in pairs; the judge is to give a higher score to the second of each pair.

    Args:
        name: in the results.
        blames: the part that is to be mended where the two are told apart; "" for the control.
        first: the kind of the first ones.
        second: the kind of the second ones.
        pairs: the clips.
    """

    name: str
    blames: str
    first: str
    second: str
    pairs: list[Pair]


def make_contests(texts: Sequence[SpokenText], seed: int) -> tuple[list[Contest], int]:
    """Return the three contests of the texts of results/scp, and the sampling rate of the waveforms in Hz.

    The control pairs recordings of different texts, each recording once, at random. So whatever the judge learns of
    one half of the recordings cannot hold for the other: if it tells them apart, it is wrong.
    Raises InputError where a file cannot be read, or has another sampling rate than the others.
    """
    rates: dict[int, Path] = {}
    samples = {
        kind: [Sample(text.id, kind, _read(text.paths[kind], rates)) for text in texts]
        for kind in (RECORDING, COPY, SYNTHESIS)
    }
    words = [" ".join(text.text.split()).casefold() for text in texts]
    of_texts = [
        Contest(name, blames, first, second, _pairs(words, samples[first], samples[second]))
        for name, blames, first, second in (
            ("vocoder", "the vocoder", RECORDING, COPY),
            ("acoustic", "the acoustic model", COPY, SYNTHESIS),
        )
    ]
    control = _different_texts(words, samples[RECORDING], seed)
    return [*of_texts, Contest("control", "", RECORDING, OTHER_RECORDING, control)], next(iter(rates))


def _read(path: Path, rates: dict[int, Path]) -> Wave:
    """Return the samples of a WAV file, and add its rate to `rates`, which must have one rate only."""
    wave, sampling_rate = read_speech(path)
    if not len(wave):
        raise InputError(path, "has no samples", remedy=AGAIN)
    rates.setdefault(sampling_rate, path)
    if len(rates) > 1:
        rate, other = next(iter(rates.items()))
        raise InputError(path, f"{sampling_rate} Hz", f"{rate} Hz as {other}", AGAIN)
    return wave


def _pairs(words: Sequence[str], first: Sequence[Sample], second: Sequence[Sample]) -> list[Pair]:
    return [Pair(text, *both) for text, *both in zip(words, first, second, strict=True)]


def _different_texts(words: Sequence[str], recordings: Sequence[Sample], seed: int) -> list[Pair]:
    """Return random pairs of recordings, at most one of each text; the text of a pair is both of its texts."""
    of_text = dict(zip(words, recordings, strict=True))  # a text that was recorded twice would be on both sides
    texts = sorted(of_text)
    order = np.random.default_rng(seed_of(f"judge control {seed}")).permutation(len(texts))
    chosen = [texts[number] for number in order]
    halves = zip(chosen[0::2], chosen[1::2], strict=False)
    return [Pair(f"{one} / {other}", of_text[one], _renamed(of_text[other])) for one, other in halves]


def _renamed(recording: Sample) -> Sample:
    return Sample(recording.id, OTHER_RECORDING, recording.wave)
