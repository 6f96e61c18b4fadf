"""The report: one HTML page with the sounds, figures and metrics of a voice.

The file needs no other file and no network: sounds and figures are data URIs, styles are inline, and there is no
script.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from dtc.evaluation.word_errors import WordPair, compare_words
from dtc.files import write_whole
from dtc.report import plots
from dtc.report.cards import Pictures, card_sections, worst_first
from dtc.report.content import ComparisonRow, Report, ReportClip
from dtc.report.findings import Findings, interval_in
from dtc.report.html import data_uri, environment, png_uri
from dtc.report.metric_names import HEADLINES, METRICS
from dtc.seal import UNSEALED, sealed

NO_FINDINGS = Findings()
WORD_ERROR_RATE = "word_error_rate"
COPY = "copy synthesis"  # the row of copies by the voice's vocoder


def write_report(path: Path, report: Report, pictures: Pictures, findings: Findings = NO_FINDINGS) -> None:
    """Write the page, sealed. A kill leaves the old page or the new one."""
    write_whole(path, sealed(render_report(report, pictures, findings).encode()))


def render_report(report: Report, pictures: Pictures, findings: Findings = NO_FINDINGS) -> str:
    """Render the page's HTML. Every text is escaped; equal arguments give equal pages."""
    template = environment().get_template("report.html.j2")
    return template.render(
        METRICS=METRICS,
        HEARD=plots.HEARD,
        UNSEALED=UNSEALED,
        report=report,
        findings=findings,
        interval_in=interval_in,
        compare_words=compare_words,
        png=lambda path: data_uri("image/png", path.read_bytes()),
        **_figures(report),
        **_utterances(report, pictures),
        **_training(report),
    )


def _figures(report: Report) -> dict[str, object]:
    """Return what the sections of figures show: names of metrics, and columns and bars of the tables."""
    known = [key for key in METRICS if key in report.metrics]
    rates = [row.metrics[WORD_ERROR_RATE] for row in report.comparison if WORD_ERROR_RATE in row.metrics]
    return {
        "beside": [f"{name}_{WORD_ERROR_RATE}" for name in ("recording", "other_texts")],
        "tiles": [key for key in HEADLINES if key in known],
        "measures": [key for key in known if not key.endswith(WORD_ERROR_RATE) and key not in HEADLINES],
        "other_metrics": {key: value for key, value in report.metrics.items() if _base(key) not in METRICS},
        "copied": next((row.metrics for row in report.copies if row.name == COPY), {}),
        "columns_of": _columns,
        "bar_percent": lambda rate: _bar_percent(rate, rates),
    }


def _utterances(report: Report, pictures: Pictures) -> dict[str, object]:
    """Return what the sections of utterances show: cards, the table of all, and their most frequent errors."""
    sections = card_sections(report, pictures)
    transcribed = [clip for clip in report.clips if clip.synthesis.recognised is not None]
    return {
        "sections": sections,
        "with_card": {card.clip.id for section in sections for card in section.cards},
        "ranked": worst_first(report.clips),
        "n_failed": sum(clip.failed for clip in report.clips),
        "n_not_transcribed": len(report.clips) - len(transcribed),
        "confusions": confusions(transcribed),
    }


def _training(report: Report) -> dict[str, object]:
    """Return the curves of each model, and the address of their figure; "" for a model without curves."""
    curves = {name: plots.read_curves(path) for name, path in report.curves.items()}
    drawn = {name: png_uri(plots.curves_figure(found)) if found else "" for name, found in curves.items()}
    return {"curves": curves, "curve_figures": drawn}


def confusions(clips: Sequence[ReportClip]) -> list[tuple[WordPair, int]]:
    """Return the most frequent word errors of the synthesis with their numbers, the most frequent first."""
    words = [word for clip in clips for word in compare_words(clip.spoken_text, clip.synthesis.recognised or "")]
    return Counter(word for word in words if word.verdict != "right").most_common(8)


def _base(key: str) -> str:
    """Return the name of a metric, given that of its value or of an end of its interval."""
    return key.removesuffix("_low").removesuffix("_high")


def _columns(rows: Sequence[ComparisonRow]) -> list[str]:
    """Return the metrics that any row has, without the ends of intervals, in the order of their first appearance."""
    return list(dict.fromkeys(_base(key) for row in rows for key in row.metrics))


def _bar_percent(rate: float, rates: Sequence[float]) -> float:
    """Return the length of a rate's bar; the full length is the worst rate, or 10 % where all rates are below it."""
    full = max([0.1, *(other for other in rates if math.isfinite(other))])
    return round(100 * rate / full, 1) if math.isfinite(rate) else 0.0
