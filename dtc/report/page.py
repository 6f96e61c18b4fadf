"""The report: one HTML page with the sounds, figures and metrics of a voice.

The file needs no other file and no network: audio and figures are data URIs, styles are inline, and there is no script.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path

import numpy as np
from jaxtyping import Float
from torch import Tensor

from dtc.audio import wav_bytes
from dtc.evaluation.word_errors import WordPair, compare_words, word_errors
from dtc.files import write_whole
from dtc.report import plots
from dtc.report.html import data_uri, environment, png_uri
from dtc.report.metric_names import METRICS, Metric
from dtc.seal import UNSEALED, sealed
from dtc.wav_mark import marked

# Players and figures make the page large: 12 cards of 2.5 s at 16 kHz are about 6 MB. Cards end at the limit that is
# reached first; all clips are in the table.
MAX_CARDS = 12
MAX_FAILURE_CARDS = 8
MAX_AUDIO_BYTES = 6_000_000
OTHER_TEXTS = "Texts that the corpus does not have"  # a heading


@dataclass(frozen=True)
class Rendition:
    """One waveform of an utterance, in [-1, 1] and at the report's sampling rate, and its recognised words."""

    wave: Float[Tensor, " samples"]
    recognised: str | None = None  # None where there was no recogniser
    origin: Mapping[str, str] | None = None  # of synthetic speech, name → fingerprint; None: a recording


@dataclass(frozen=True)
class ReportClip:
    """One utterance of the test. Its mels are drawn where both are given."""

    id: str  # unique in the report
    raw_text: str
    spoken_text: str  # with which the recognised words are compared
    synthesis: Rendition  # by the voice; its word errors rank the clip
    recording: Rendition | None = None
    copy_synthesis: Rendition | None = None  # the vocoder's waveform of the recording's mel
    status: str = ""  # in words
    ended: bool = True  # the synthesis has the whole text and was ended by the model; otherwise the clip is a failure
    reference_log_mel: Float[np.ndarray, "mels reference_frames"] | None = None
    synthesised_log_mel: Float[np.ndarray, "mels synthesised_frames"] | None = None
    alignment: Float[np.ndarray, "steps symbols"] | None = None
    symbols: Sequence[str] | None = None  # of the alignment
    seconds_per_step: float | None = None  # of the alignment

    @property
    def word_errors(self) -> int:
        """Return the number of word errors of the synthesis; 0 where there was no recogniser."""
        recognised = self.synthesis.recognised
        return 0 if recognised is None else word_errors([self.spoken_text], [recognised]).errors

    @property
    def failed(self) -> bool:
        """Return whether there is a word error or the synthesis is incomplete."""
        return self.word_errors > 0 or not self.ended

    @property
    def renditions(self) -> dict[str, Rendition]:
        """Return the waveforms by name, the recording first."""
        named = {"recording": self.recording, "copy synthesis": self.copy_synthesis, "synthesis": self.synthesis}
        return {name: rendition for name, rendition in named.items() if rendition is not None}


@dataclass(frozen=True)
class ComparisonRow:
    """One kind of waveform and its metrics over the whole test, keyed as in `METRICS`."""

    name: str
    metrics: Mapping[str, float]
    note: str = ""


@dataclass(frozen=True)
class Report:
    """The content of the page. Rates and shares are fractions: 0.05 is shown as 5.0 %."""

    title: str  # the voice's name
    summary: str  # one sentence on the test
    sampling_rate: int  # of every waveform, in Hz
    hop_length: int  # samples from one mel frame to the next
    metrics: Mapping[str, float]  # those in `METRICS` get a tile, others a line in the table of other figures
    comparison: Sequence[ComparisonRow] = ()  # word errors of each kind of waveform
    copies: Sequence[ComparisonRow] = ()  # measures of each vocoder's copies, and of the recordings themselves
    warnings: Sequence[str] = ()  # clauses, without which the figures must not be read
    clips: Sequence[ReportClip] = ()  # all utterances, in any order; the page sorts failures first
    other_texts: Sequence[ReportClip] = ()  # texts that the corpus does not have, without recordings
    curves: Mapping[str, Path] = field(default_factory=dict)  # name of a model → CSV, which may be missing
    kept: Mapping[str, str] = field(default_factory=dict)  # name of a model → which of its weights these are, and why
    provenance: Mapping[str, str] = field(default_factory=dict)  # name → fingerprint, from the corpus to the voice
    origin: Mapping[str, str] = field(default_factory=dict)  # the same by the names that WAV files have for it
    made_with: Mapping[str, str] = field(default_factory=dict)  # software → version
    params_yaml: str = ""
    commands: Mapping[str, str] = field(default_factory=dict)  # caption → command line


def confusions(clips: Sequence[ReportClip]) -> list[tuple[WordPair, int]]:
    """Return the most frequent word errors of the synthesis with their numbers, the most frequent first."""
    words = [word for clip in clips for word in compare_words(clip.spoken_text, clip.synthesis.recognised or "")]
    return Counter(word for word in words if word.verdict != "right").most_common(8)


def worst_first(clips: Sequence[ReportClip]) -> list[ReportClip]:
    """Sort clips: incomplete ones first, then by word errors; equal ones keep their order."""
    return sorted(clips, key=lambda clip: (clip.ended, -clip.word_errors))


def choose_cards(clips: Sequence[ReportClip]) -> tuple[list[ReportClip], list[ReportClip]]:
    """Choose the clips that get players and figures: failures, the worst first, and other clips."""
    ranked = worst_first(clips)
    failures = [clip for clip in ranked if clip.failed][:MAX_FAILURE_CARDS]
    ordinary = [clip for clip in ranked if not clip.failed][: MAX_CARDS - len(failures)]
    n_bytes = accumulate(sum(2 * len(each.wave) for each in clip.renditions.values()) for clip in failures + ordinary)
    affordable = {clip.id for clip, total in zip(failures + ordinary, n_bytes, strict=True) if total <= MAX_AUDIO_BYTES}
    return [clip for clip in failures if clip.id in affordable], [clip for clip in ordinary if clip.id in affordable]


def write_report(report: Report, path: Path) -> None:
    """Write the page, sealed. A kill leaves the old page or the new one."""
    write_whole(path, sealed(render_report(report).encode()))


def render_report(report: Report) -> str:
    """Render the page's HTML. Every text is escaped; equal reports give equal pages."""
    failures, ordinary = choose_cards(report.clips)
    unknown, known = choose_cards(report.other_texts)
    return (
        environment()
        .get_template("report.html.j2")
        .render(
            report=report,
            word_error_rates=_known(report.metrics, word_errors=True),
            tiles=_known(report.metrics, word_errors=False),
            other_metrics={key: value for key, value in report.metrics.items() if key not in METRICS},
            columns_of=_columns,
            bar_percent=lambda rate: _bar_percent(rate, _word_error_rates(report.comparison)),
            card_sections={"Failures": failures, "Other utterances": ordinary, OTHER_TEXTS: unknown + known},
            ranked=worst_first(report.clips),
            n_failed=sum(clip.failed for clip in report.clips),
            n_not_transcribed=sum(clip.synthesis.recognised is None for clip in report.clips),
            with_card={clip.id for clip in failures + ordinary},
            confusions=confusions([clip for clip in report.clips if clip.synthesis.recognised is not None]),
            curves={name: plots.read_curves(path) for name, path in report.curves.items()},
            compare_words=compare_words,
            audio=lambda rendition: _audio_uri(rendition, report.sampling_rate),
            spectrograms=lambda clip: _spectrograms_uri(clip, report),
            alignment=_alignment_uri,
            curves_figure=lambda curves: png_uri(plots.curves_figure(curves)),
            METRICS=METRICS,
            UNSEALED=UNSEALED,
        )
    )


def _known(metrics: Mapping[str, float], *, word_errors: bool) -> list[tuple[Metric, float]]:
    """Return the metrics that are in `METRICS`, in its order: the word error rates, or all others."""
    keys = [key for key in METRICS if key in metrics and key.endswith("word_error_rate") == word_errors]
    return [(METRICS[key], metrics[key]) for key in keys]


def _columns(rows: Sequence[ComparisonRow]) -> list[str]:
    """Return the metrics that any row has, in the order of their first appearance."""
    return list(dict.fromkeys(key for row in rows for key in row.metrics))


def _word_error_rates(rows: Sequence[ComparisonRow]) -> list[float]:
    return [row.metrics["word_error_rate"] for row in rows if "word_error_rate" in row.metrics]


def _bar_percent(rate: float, rates: Sequence[float]) -> float:
    """Return the length of a rate's bar; the full length is the worst rate, or 10 % where all rates are below it."""
    full = max([0.1, *(other for other in rates if math.isfinite(other))])
    return round(100 * rate / full, 1) if math.isfinite(rate) else 0.0


def _audio_uri(rendition: Rendition, sampling_rate: int) -> str:
    content = wav_bytes(rendition.wave, sampling_rate)
    return data_uri("audio/wav", content if rendition.origin is None else marked(content, rendition.origin))


def _spectrograms_uri(clip: ReportClip, report: Report) -> str:
    """Return a figure of the two spectrograms of a clip; "" where one is missing."""
    if clip.reference_log_mel is None or clip.synthesised_log_mel is None:
        return ""
    figure = plots.spectrogram_pair_figure(
        clip.reference_log_mel, clip.synthesised_log_mel, report.sampling_rate, report.hop_length
    )
    return png_uri(figure)


def _alignment_uri(clip: ReportClip) -> str:
    """Return a figure of the alignment of a clip; "" where there is none."""
    if clip.alignment is None:
        return ""
    return png_uri(plots.alignment_figure(clip.alignment, clip.symbols, clip.seconds_per_step))
