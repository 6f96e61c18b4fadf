"""The cards of the page: the utterances that can be heard and seen in it, and which of all utterances these are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from dtc.report import plots
from dtc.report.content import ALIGNMENT, PREDICTED_MEL, RECORDED_MEL, Report, ReportClip
from dtc.report.html import png_uri
from dtc.report.sounds import sound_uri

# The page is to weigh 6 MB at most. With these limits sounds take 3.9 MB of it, and pictures 1.5 MB.
MAX_CARDS = 12
MAX_FAILURE_CARDS = 8
MAX_SOUND_CHARACTERS, MAX_OTHER_SOUND_CHARACTERS = 3_400_000, 500_000

Pictures = Mapping[str, np.ndarray]  # `ID/NAME` of a clip's array → the array


@dataclass(frozen=True)
class Card:
    """An utterance with its sounds and pictures as data URIs."""

    clip: ReportClip
    sounds: Mapping[str, str]  # by the names of the clip's renditions
    spectrograms: str  # of recording and synthesis; "" where one is missing
    alignment: str  # "" where there is none


@dataclass(frozen=True)
class CardSection:
    """Cards under one heading."""

    heading: str
    cards: Sequence[Card]
    clips: int  # under this heading, with and without a card


def worst_first(clips: Sequence[ReportClip]) -> list[ReportClip]:
    """Sort clips: incomplete ones first, then by word errors; equal ones keep their order."""
    return sorted(clips, key=lambda clip: (clip.ended, -clip.word_errors))


def card_sections(report: Report, pictures: Pictures) -> list[CardSection]:
    """Return the cards of failures, of other utterances, and of texts that the corpus does not have.

    Failures get at most 8 of 12 cards, the worst first. A clip whose sounds would make the page too large has none.
    """
    ranked = worst_first(report.clips)
    failures = [clip for clip in ranked if clip.failed]
    ordinary = [clip for clip in ranked if not clip.failed]
    chosen = failures[:MAX_FAILURE_CARDS]
    chosen += ordinary[: MAX_CARDS - len(chosen)]
    cards = [_card(clip, sounds, pictures, report) for clip, sounds in _affordable(chosen, MAX_SOUND_CHARACTERS)]
    other_texts = _affordable(worst_first(report.other_texts), MAX_OTHER_SOUND_CHARACTERS)
    return [
        CardSection("Failures", [card for card in cards if card.clip.failed], len(failures)),
        CardSection("Other utterances", [card for card in cards if not card.clip.failed], len(ordinary)),
        CardSection(
            "Texts that the corpus does not have",
            [_card(clip, sounds, pictures, report) for clip, sounds in other_texts],
            len(report.other_texts),
        ),
    ]


def _affordable(clips: Sequence[ReportClip], characters: int) -> Iterator[tuple[ReportClip, dict[str, str]]]:
    """Yield the first clips with their sounds as data URIs, as far as these have so many characters together."""
    for clip in clips:
        sounds = {name: sound_uri(rendition.sound.read_bytes()) for name, rendition in clip.renditions.items()}
        needed = sum(map(len, sounds.values()))
        if needed <= characters:
            characters -= needed
            yield clip, sounds


def _card(clip: ReportClip, sounds: Mapping[str, str], pictures: Pictures, report: Report) -> Card:
    recorded, predicted, alignment = (
        pictures.get(f"{clip.id}/{name}") for name in (RECORDED_MEL, PREDICTED_MEL, ALIGNMENT)
    )
    spectrograms = drawn = ""
    if recorded is not None and predicted is not None:
        figure = plots.spectrogram_pair_figure(recorded, predicted, report.sampling_rate, report.hop_length)
        spectrograms = png_uri(figure)
    if alignment is not None:
        drawn = png_uri(plots.alignment_figure(alignment, clip.symbols, clip.seconds_per_step))
    return Card(clip, sounds, spectrograms, drawn)
