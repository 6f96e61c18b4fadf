"""The report: one HTML page with the sounds, figures and metrics of a voice.

The file needs no other file and no network: audio and figures are data URIs, styles are inline, and there is no script.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import accumulate
from pathlib import Path

import numpy as np

from dtc.evaluation.word_errors import WordPair, compare_words
from dtc.files import write_whole
from dtc.report import plots
from dtc.report.content import ALIGNMENT, PREDICTED_MEL, RECORDED_MEL, ComparisonRow, Report, ReportClip
from dtc.report.findings import Findings, interval_in
from dtc.report.html import data_uri, environment, png_uri
from dtc.report.metric_names import METRICS
from dtc.seal import UNSEALED, sealed

# Sounds make the page large: it is to weigh 6 MB at most, and in it they take 4/3 of their size. Cards end at the limit
# that is reached first; all clips are in the table.
MAX_CARDS = 12
MAX_FAILURE_CARDS = 8
MAX_AUDIO_BYTES, MAX_OTHER_AUDIO_BYTES = 2_900_000, 500_000
Pictures = Mapping[str, np.ndarray]  # `ID/NAME` of a clip's array → the array
NO_FINDINGS = Findings()
OTHER_TEXTS = "Texts that the corpus does not have"  # a heading


def confusions(clips: Sequence[ReportClip]) -> list[tuple[WordPair, int]]:
    """Return the most frequent word errors of the synthesis with their numbers, the most frequent first."""
    words = [word for clip in clips for word in compare_words(clip.spoken_text, clip.synthesis.recognised or "")]
    return Counter(word for word in words if word.verdict != "right").most_common(8)


def worst_first(clips: Sequence[ReportClip]) -> list[ReportClip]:
    """Sort clips: incomplete ones first, then by word errors; equal ones keep their order."""
    return sorted(clips, key=lambda clip: (clip.ended, -clip.word_errors))


def choose_cards(
    clips: Sequence[ReportClip], max_bytes: int = MAX_AUDIO_BYTES
) -> tuple[list[ReportClip], list[ReportClip]]:
    """Choose the clips that get players and figures: failures, the worst first, and other clips."""
    ranked = worst_first(clips)
    failures = [clip for clip in ranked if clip.failed][:MAX_FAILURE_CARDS]
    ordinary = [clip for clip in ranked if not clip.failed][: MAX_CARDS - len(failures)]
    n_bytes = accumulate(
        sum(each.sound.stat().st_size for each in clip.renditions.values()) for clip in failures + ordinary
    )
    affordable = {clip.id for clip, total in zip(failures + ordinary, n_bytes, strict=True) if total <= max_bytes}
    return [clip for clip in failures if clip.id in affordable], [clip for clip in ordinary if clip.id in affordable]


def _sound_bytes(clip: ReportClip) -> int:
    return sum(each.sound.stat().st_size for each in clip.renditions.values())


def write_report(path: Path, report: Report, pictures: Pictures, findings: Findings = NO_FINDINGS) -> None:
    """Write the page, sealed. A kill leaves the old page or the new one."""
    write_whole(path, sealed(render_report(report, pictures, findings).encode()))


def render_report(report: Report, pictures: Pictures, findings: Findings = NO_FINDINGS) -> str:
    """Render the page's HTML. Every text is escaped; equal arguments give equal pages."""
    failures, ordinary = choose_cards(report.clips)
    unknown, known = choose_cards(report.other_texts, MAX_OTHER_AUDIO_BYTES)
    return (
        environment()
        .get_template("report.html.j2")
        .render(
            report=report,
            findings=findings,
            word_error_rates=_known(report.metrics, word_errors=True),
            tiles=_known(report.metrics, word_errors=False),
            other_metrics={key: value for key, value in report.metrics.items() if _base(key) not in METRICS},
            interval_in=interval_in,
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
            audio=lambda rendition: data_uri("audio/wav", rendition.sound.read_bytes()),
            spectrograms=lambda clip: _spectrograms_uri(clip, pictures, report),
            alignment=lambda clip: _alignment_uri(clip, pictures),
            curves_figure=lambda curves: png_uri(plots.curves_figure(curves)),
            png=lambda path: data_uri("image/png", path.read_bytes()),
            HEARD=plots.HEARD,
            METRICS=METRICS,
            UNSEALED=UNSEALED,
        )
    )


def _known(metrics: Mapping[str, float], *, word_errors: bool) -> list[str]:
    """Return the metrics that are in `METRICS`, in its order: the word error rates, or all others."""
    return [key for key in METRICS if key in metrics and key.endswith("word_error_rate") == word_errors]


def _base(key: str) -> str:
    """Return the name of a metric, given that of its value or of an end of its interval."""
    return key.removesuffix("_low").removesuffix("_high")


def _columns(rows: Sequence[ComparisonRow]) -> list[str]:
    """Return the metrics that any row has, without the ends of intervals, in the order of their first appearance."""
    return list(dict.fromkeys(_base(key) for row in rows for key in row.metrics))


def _word_error_rates(rows: Sequence[ComparisonRow]) -> list[float]:
    return [row.metrics["word_error_rate"] for row in rows if "word_error_rate" in row.metrics]


def _bar_percent(rate: float, rates: Sequence[float]) -> float:
    """Return the length of a rate's bar; the full length is the worst rate, or 10 % where all rates are below it."""
    full = max([0.1, *(other for other in rates if math.isfinite(other))])
    return round(100 * rate / full, 1) if math.isfinite(rate) else 0.0


def _spectrograms_uri(clip: ReportClip, pictures: Pictures, report: Report) -> str:
    """Return a figure of the two spectrograms of a clip; "" where one is missing."""
    mels = [pictures.get(f"{clip.id}/{name}") for name in (RECORDED_MEL, PREDICTED_MEL)]
    if mels[0] is None or mels[1] is None:
        return ""
    return png_uri(plots.spectrogram_pair_figure(mels[0], mels[1], report.sampling_rate, report.hop_length))


def _alignment_uri(clip: ReportClip, pictures: Pictures) -> str:
    """Return a figure of the alignment of a clip; "" where there is none."""
    alignment = pictures.get(f"{clip.id}/{ALIGNMENT}")
    if alignment is None:
        return ""
    return png_uri(plots.alignment_figure(alignment, clip.symbols, clip.seconds_per_step))
