"""One self-contained HTML page that lets a reader hear, see and check what a voice can do.

Everything is inside the file: audio and figures as data URIs, styles inline, no script, no address of another machine.
The page is opened from disk, mailed or archived, and has to mean the same ten years later.
"""

from __future__ import annotations

import base64
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path

import jinja2
import numpy as np
import soundfile
from jaxtyping import Float

from dtc.report import plots
from dtc.report.word_comparison import Word, compare_words, count_word_errors

# Players and figures are the weight of the page: 12 cards of 2.5 s at 16 kHz are about 6 MB. Cards end at whichever of
# the two limits comes first; every clip is in the table all the same.
MAX_CARDS = 12
MAX_FAILURE_CARDS = 8
MAX_AUDIO_BYTES = 6_000_000


@dataclass(frozen=True)
class Rendition:
    """One way of hearing an utterance.

    Args:
        waveform: samples in [-1, 1], at the report's sampling rate.
        heard: what the recogniser heard in it; None where it was not asked.
    """

    waveform: Float[np.ndarray, " samples"]
    heard: str | None = None


@dataclass(frozen=True)
class ReportClip:
    """One utterance that the voice was tested on.

    Args:
        id: the clip's name, unique in the report.
        raw_text: as it was written, "call 90210".
        spoken_text: as it is spoken, in the recogniser's words; what `heard` is compared with.
        synthesis: the voice under test; its word errors rank the clip.
        recording: what the person said.
        copy_synthesis: the recording's own mel through the vocoder.
        stop_status: how the synthesis ended, in words.
        stopped: whether it read its text whole and ended by itself; where not, the clip counts as a failure.
        reference_log_mel, synthesised_log_mel: natural-log mels (mels × frames); shown where both are there.
        alignment: attention weights (steps × symbols).
        symbols: what the attention ran over, one string a symbol.
        seconds_per_step: of the alignment.
    """

    id: str
    raw_text: str
    spoken_text: str
    synthesis: Rendition
    recording: Rendition | None = None
    copy_synthesis: Rendition | None = None
    stop_status: str = ""
    stopped: bool = True
    reference_log_mel: Float[np.ndarray, "mels reference_frames"] | None = None
    synthesised_log_mel: Float[np.ndarray, "mels synthesised_frames"] | None = None
    alignment: Float[np.ndarray, "steps symbols"] | None = None
    symbols: Sequence[str] | None = None
    seconds_per_step: float | None = None

    @property
    def word_errors(self) -> int:
        """Words of the synthesis that were heard wrong, missed or added; 0 where nobody listened."""
        return count_word_errors(self.spoken_text, self.synthesis.heard)

    @property
    def failed(self) -> bool:
        """Whether a word went wrong or the text was not spoken whole."""
        return self.word_errors > 0 or not self.stopped

    @property
    def renditions(self) -> dict[str, Rendition]:
        """What there is to hear, by name, the original first."""
        named = {"recording": self.recording, "copy synthesis": self.copy_synthesis, "synthesis": self.synthesis}
        return {name: rendition for name, rendition in named.items() if rendition is not None}


@dataclass(frozen=True)
class ComparisonRow:
    """One way of making speech and its figures over the whole test, keyed as in `METRICS`."""

    name: str
    metrics: Mapping[str, float]
    note: str = ""


@dataclass(frozen=True)
class Report:
    """Everything on the page.

    Args:
        title: the voice's name.
        summary: one sentence on what was tested and how.
        sampling_rate: of every waveform, in Hz.
        hop_length: samples from one mel frame to the next.
        metrics: the headline figures; those that `METRICS` knows get a tile, others a line in the table of all figures.
            Rates and shares are fractions (0.05 is shown as 5.0 %).
        comparison: rows in the order of the page.
        copies: what each vocoder makes of the recordings' mels, and the recordings themselves.
        clips: every utterance of the test, in any order; the page sorts failures first.
        curves: a model's name → its logbook CSV, see `plots.read_curves`; the file may be missing.
        provenance: from corpus to audio, a link's name → its fingerprint, in that order.
        made_with: versions, machine, durations: a name → a value.
        params_yaml: the params in force.
        commands: what to type next, a caption → a command line.
    """

    title: str
    summary: str
    sampling_rate: int
    hop_length: int
    metrics: Mapping[str, float]
    comparison: Sequence[ComparisonRow] = ()
    copies: Sequence[ComparisonRow] = ()
    clips: Sequence[ReportClip] = ()
    curves: Mapping[str, Path] = field(default_factory=dict)
    provenance: Mapping[str, str] = field(default_factory=dict)
    made_with: Mapping[str, str] = field(default_factory=dict)
    params_yaml: str = ""
    commands: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Metric:
    """How a figure is named, written and explained."""

    label: str
    unit: str
    meaning: str
    decimals: int = 2

    def write(self, value: float) -> str:
        """Write the value with its decimals, without its unit; a dash where it is not a number."""
        if not math.isfinite(value):
            return "–"
        return f"{value * (100 if self.unit == '%' else 1):.{self.decimals}f}"


METRICS: Mapping[str, Metric] = {
    "word_error_rate": Metric("Word errors", "%", "of the synthesis, as the recogniser hears it", 1),
    "recording_word_error_rate": Metric("Recordings", "%", "what the same ear gets wrong in the real voice", 1),
    "copy_synthesis_word_error_rate": Metric("Copy synthesis", "%", "true mels, the voice's vocoder", 1),
    "fitted_copy_word_error_rate": Metric("Fitted copy", "%", "the same, fitted to those mels", 1),
    "griffin_lim_word_error_rate": Metric("Griffin-Lim copy", "%", "true mels, no network", 1),
    "griffin_lim_synthesis_word_error_rate": Metric(
        "Griffin-Lim synthesis", "%", "predicted mels, no vocoder network", 1
    ),
    "mel_cepstral_distortion_db": Metric("Mel-cepstral distortion", "dB", "from the recording; lower is closer"),
    "duration_ratio": Metric("Duration ratio", "×", "synthesis against recording; 1 is equal"),
    "attention_focus": Metric("Attention focus", "%", "mean of the largest weight; 100 % is certain", 1),
    "attention_diagonality": Metric("Attention diagonality", "%", "weight near the diagonal", 1),
    "real_time_factor": Metric("Real-time factor", "×", "seconds of work per second of audio", 3),
    "stopped_share": Metric("Spoken whole", "%", "syntheses that ended by themselves and left nothing out", 1),
    "attempts_per_phrase": Metric("Attempts", "×", "a phrase that goes wrong is spoken again; 1 is never"),
    "multi_resolution_stft": Metric("STFT distance", "0 is equal", "spectra at three resolutions"),
    "log_mel_l1": Metric("Log-mel error", "nepers", "mean difference of the mels", 3),
    "stoi": Metric("STOI", "1 is equal", "intelligibility", 3),
    "pesq": Metric("PESQ", "1 to 4.64", "opinion score of the difference"),
    "f0_rmse_cents": Metric("Pitch error", "cents", "where both are voiced", 1),
    "voicing_error": Metric("Voicing error", "%", "frames that are voiced in one only", 1),
    "periodicity_rmse": Metric("Periodicity error", "0 is equal", "confidence that a frame is voiced", 3),
    "dnsmos": Metric("DNSMOS", "1 to 5", "opinion score, without the recording"),
    "distill_mos": Metric("DistillMOS", "1 to 5", "opinion score, without the recording"),
}


def confusions(clips: Sequence[ReportClip], most: int = 8) -> list[tuple[Word, int]]:
    """Count the errors that the synthesis made most often, the most frequent first."""
    words = [word for clip in clips for word in compare_words(clip.spoken_text, clip.synthesis.heard or "")]
    return Counter(word for word in words if word.verdict != "right").most_common(most)


def worst_first(clips: Sequence[ReportClip]) -> list[ReportClip]:
    """Clips that were not spoken whole, then by word errors; equals keep their order."""
    return sorted(clips, key=lambda clip: (clip.stopped, -clip.word_errors))


def choose_cards(clips: Sequence[ReportClip]) -> tuple[list[ReportClip], list[ReportClip]]:
    """Failures, the worst first, and ordinary clips that get players and figures, within the limits of the page.

    Both kinds are shown: failures are not hidden behind good examples, nor is the ordinary case behind failures.
    """
    ranked = worst_first(clips)
    failures = [clip for clip in ranked if clip.failed][:MAX_FAILURE_CARDS]
    ordinary = [clip for clip in ranked if not clip.failed][: MAX_CARDS - len(failures)]
    n_bytes, affordable = 0, set()
    for clip in failures + ordinary:
        n_bytes += sum(2 * rendition.waveform.size for rendition in clip.renditions.values())
        if n_bytes <= MAX_AUDIO_BYTES:
            affordable.add(clip.id)
    return [clip for clip in failures if clip.id in affordable], [clip for clip in ordinary if clip.id in affordable]


def write_report(report: Report, path: Path) -> None:
    """Write the page, as a whole or not at all."""
    page = render_report(report)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    part.write_text(page, encoding="utf-8", newline="\n")
    part.replace(path)


def render_report(report: Report) -> str:
    """Render the page's HTML. Every text is escaped; equal reports give equal pages."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("dtc.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    failures, ordinary = choose_cards(report.clips)
    return environment.get_template("report.html.j2").render(
        report=report,
        word_error_rates=_known(report.metrics, word_errors=True),
        tiles=_known(report.metrics, word_errors=False),
        other_metrics={key: value for key, value in report.metrics.items() if key not in METRICS},
        columns_of=_columns,
        bar_percent=lambda rate: _bar_percent(rate, _word_error_rates(report.comparison)),
        card_sections={"Where it fails": failures, "Where it succeeds": ordinary},
        ranked=worst_first(report.clips),
        n_failed=sum(clip.failed for clip in report.clips),
        n_unheard=sum(clip.synthesis.heard is None for clip in report.clips),
        with_card={clip.id for clip in failures + ordinary},
        confusions=confusions([clip for clip in report.clips if clip.synthesis.heard is not None]),
        curves={name: plots.read_curves(path) for name, path in report.curves.items()},
        compare_words=compare_words,
        count_word_errors=count_word_errors,
        audio=lambda rendition: wav_uri(rendition.waveform, report.sampling_rate),
        spectrograms=lambda clip: _spectrograms_uri(clip, report),
        alignment=_alignment_uri,
        curves_figure=lambda curves: png_uri(plots.png_bytes(plots.curves_figure(curves))),
        METRICS=METRICS,
    )


def wav_uri(waveform: Float[np.ndarray, " samples"], sampling_rate: int) -> str:
    """Encode a 16-bit WAV, the format that every browser plays, as a data URI. Samples beyond ±1 are clipped."""
    file = BytesIO()
    soundfile.write(file, np.clip(waveform, -1.0, 1.0), sampling_rate, format="WAV", subtype="PCM_16")
    return "data:audio/wav;base64," + base64.b64encode(file.getvalue()).decode("ascii")


def png_uri(png: bytes) -> str:
    """Wrap a PNG file as a data URI."""
    return "data:image/png;base64," + base64.b64encode(png).decode("ascii")


def _known(metrics: Mapping[str, float], *, word_errors: bool) -> list[tuple[Metric, float]]:
    """List the figures that the page can name, in its own order: the word error rates, or all others."""
    keys = [key for key in METRICS if key in metrics and key.endswith("word_error_rate") == word_errors]
    return [(METRICS[key], metrics[key]) for key in keys]


def _columns(rows: Sequence[ComparisonRow]) -> list[str]:
    """List the metrics that any row has, in the order of their first appearance."""
    return list(dict.fromkeys(key for row in rows for key in row.metrics))


def _word_error_rates(rows: Sequence[ComparisonRow]) -> list[float]:
    return [row.metrics["word_error_rate"] for row in rows if "word_error_rate" in row.metrics]


def _bar_percent(rate: float, rates: Sequence[float]) -> float:
    """Length of a rate's bar; full is the worst of the rates, or 10 % where all are less: small rates look small."""
    full = max([0.1, *(other for other in rates if math.isfinite(other))])
    return round(100 * rate / full, 1) if math.isfinite(rate) else 0.0


def _spectrograms_uri(clip: ReportClip, report: Report) -> str:
    """Draw the two spectrograms of a clip; empty where one is not there."""
    if clip.reference_log_mel is None or clip.synthesised_log_mel is None:
        return ""
    figure = plots.spectrogram_pair_figure(
        clip.reference_log_mel, clip.synthesised_log_mel, report.sampling_rate, report.hop_length
    )
    return png_uri(plots.png_bytes(figure))


def _alignment_uri(clip: ReportClip) -> str:
    """Draw the alignment of a clip; empty where there is none."""
    if clip.alignment is None:
        return ""
    figure = plots.alignment_figure(clip.alignment, clip.symbols, clip.seconds_per_step)
    return png_uri(plots.png_bytes(figure))
