"""Figures of spectrograms, alignments and training curves, for the report's page and for TensorBoard.

Each `*_figure` function draws one matplotlib Figure; `png_bytes` and `rgb_array` turn any of them into pixels. Figures
are built without pyplot, so there is no global state, no display and nothing to close. They are narrow enough for a
phone, and have a dark ground of their own, so they look the same on a light and a dark page.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from itertools import cycle, groupby
from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LinearSegmentedColormap, to_rgb
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from dtc.training.curve import read_curve

GROUND = "#0f161d"
INK = "#c3ccd6"
FAINT = "#3a4653"
TEAL = "#4cc2b4"
AMBER = "#f2b450"
PART_COLOURS = ("#7d8fd6", "#d985a8", "#8fb569", "#b79a7c", "#7fa6bd", "#a58bc2")

# The lightness rises throughout, so that the colours are in order in a grey print too.
LOUDNESS = LinearSegmentedColormap.from_list("loudness", [GROUND, "#15405a", "#13807f", "#8bc17a", "#fbeeb4"])

HEARD = "word_error_rate"  # the column of a curve with the word errors of the model's speech

WIDTH_IN = 4.4
DOTS_PER_IN = 160
TEXT_PT = 9.5


def png_bytes(figure: Figure) -> bytes:
    """Encode the figure as a PNG file; the same drawing gives the same bytes."""
    file = BytesIO()
    figure.savefig(file, format="png", dpi=DOTS_PER_IN, facecolor=GROUND, metadata={"Software": None})
    return file.getvalue()


def rgb_array(figure: Figure) -> UInt8[np.ndarray, "height width 3"]:
    """Render the figure's pixels, for `SummaryWriter.add_image(..., dataformats="HWC")`."""
    figure.set_dpi(DOTS_PER_IN)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[:, :, :3].copy()


def spectrogram_figure(log_mel: Float[np.ndarray, "mels frames"], sampling_rate: int, hop_length: int) -> Figure:
    """Draw a mel spectrogram over seconds; the colours range from its quietest 1 % to its loudest value."""
    figure, (axes,) = _figure(height_in=1.9, n_rows=1)
    _draw_spectrogram(axes, log_mel, hop_length / sampling_rate, _colour_limits([log_mel]))
    axes.set_xlabel("time (s)")
    return figure


def spectrogram_pair_figure(
    reference_log_mel: Float[np.ndarray, "mels reference_frames"],
    synthesised_log_mel: Float[np.ndarray, "mels synthesised_frames"],
    sampling_rate: int,
    hop_length: int,
) -> Figure:
    """Draw the mels of recording and synthesis, one above the other, with the same time axis and colour scale."""
    log_mels = (reference_log_mel, synthesised_log_mel)
    figure, rows = _figure(height_in=3.1, n_rows=2)
    seconds_per_frame = hop_length / sampling_rate
    for axes, log_mel, name in zip(rows, log_mels, ("recording", "synthesis"), strict=True):
        _draw_spectrogram(axes, log_mel, seconds_per_frame, _colour_limits(log_mels))
        axes.set_title(name, color=INK, size=TEXT_PT, loc="left", pad=4)
        axes.set_xlim(0, seconds_per_frame * max(mel.shape[1] for mel in log_mels))
    rows[0].tick_params(labelbottom=False)
    rows[-1].set_xlabel("time (s)")
    return figure


def saliency_figure(
    log_mel: Float[np.ndarray, "bands frames"],
    saliency: Float[np.ndarray, "bands frames"],
    frequencies_hz: Float[np.ndarray, " bands"],
    seconds_per_frame: float,
) -> Figure:
    """Draw a mel in grey, and over it in amber what adds to a score; NaN where nothing is known."""
    figure, (axes,) = _figure(height_in=1.9, n_rows=1)
    low, high = np.nanpercentile(log_mel, 1), np.nanmax(log_mel)
    grey = np.clip((np.nan_to_num(log_mel, nan=low) - low) / max(high - low, 1e-3), 0, 1)[..., None]
    added = np.clip(np.nan_to_num(saliency), 0, None)
    share = (added / max(float(added.max()), 1e-9))[..., None]
    picture = (1 - share) * (0.06 + 0.6 * grey) + share * np.array(to_rgb(AMBER))
    _draw_image(axes, picture, log_mel.shape[1] * seconds_per_frame, limits=(0.0, 1.0))
    shown_hz = [hz for hz in (500, 1000, 2000, 4000, 8000) if hz < frequencies_hz[-1]]
    axes.set_yticks(np.interp(shown_hz, frequencies_hz, np.arange(len(frequencies_hz)) + 0.5), map(str, shown_hz))
    axes.set_xlabel("time without pauses (s)")
    axes.set_ylabel("Hz")
    return figure


def alignment_figure(
    alignment: Float[np.ndarray, "steps symbols"],
    symbols: Sequence[str] | None = None,
    seconds_per_step: float | None = None,
) -> Figure:
    """Draw the weights of the symbols at each step; a text read once and in order is a bright line between two corners.

    Args:
        alignment: weights of attention, or 1 for the symbol that is spoken; each step's sum is at most 1.
        symbols: the symbols of the text, one string each; the axis then shows its words.
        seconds_per_step: frames_per_step · hop_length / sampling_rate; without it the axis counts steps.
    """
    n_steps, n_symbols = alignment.shape
    if symbols is not None and len(symbols) != n_symbols:
        raise ValueError(f"{len(symbols)} symbols for an alignment over {n_symbols}")
    figure, (axes,) = _figure(height_in=3.1, n_rows=1)
    # The square root shows where weight leaks to, which the line's brightness would hide.
    _draw_image(axes, np.sqrt(alignment.T), n_steps * (seconds_per_step or 1.0), limits=(0.0, 1.0))
    axes.set_xlabel("step" if seconds_per_step is None else "time (s)")
    if symbols is None:
        axes.set_ylabel("symbol")
    else:
        _label_words(axes, symbols)
    return figure


@dataclass(frozen=True)
class Curve:
    """One column of a training's history.csv, for one split: values over steps, without the empty cells."""

    name: str
    split: str
    steps: tuple[int, ...]
    values: tuple[float, ...]

    @property
    def label(self) -> str:
        """Return the label of the curve in a legend, such as "loss, validation"."""
        return f"{self.name.replace('_', ' ')}, {self.split}"


def read_curves(path: Path) -> list[Curve]:
    """Return the curves of a history.csv in the order of its columns; none where it is missing or has no rows.

    The header is `step,split,<names …>`, the total loss before all others. A cell without a finite number is left out.
    """
    rows = [row for row in read_curve(path) if _number(row.get("step")) is not None]
    names = [name for name in (rows[0] if rows else {}) if name not in ("step", "split", None)]
    splits = sorted({row["split"] for row in rows})
    curves = [_curve(rows, name, split) for name in names for split in splits]
    return [curve for curve in curves if curve.steps]


def curves_figure(curves: Sequence[Curve]) -> Figure:
    """Draw losses over training steps, on a logarithmic axis where all values are positive.

    The first curve's name is that of the total loss, which is drawn for each split. Of all other names, only the curve
    of the validation is drawn; so names that only "train" has, such as the learning rate, are not drawn. Where a
    recogniser has heard the voice in training, its word errors are drawn below.
    """
    if not curves:
        raise ValueError("there is no curve to draw")
    heard = [curve for curve in curves if curve.name == HEARD]
    figure, rows = _figure(height_in=4.3 if heard else 2.9, n_rows=2 if heard else 1)
    _draw_losses(rows[0], [curve for curve in curves if not curve.name.startswith(HEARD)])
    for curve in heard:
        values = [100 * value for value in curve.values]
        rows[1].plot(curve.steps, values, color=AMBER, lw=1.5, marker=".", ms=4)
        rows[1].set(ylim=(0, 1.05 * max([10, *values])), ylabel="words misheard (%)")
    for axes in rows:
        axes.set_xlim(rows[0].get_xlim())
        axes.grid(color=FAINT, lw=0.5)
    rows[-1].set_xlabel("training step")
    figure.legend(
        loc="outside lower center", ncols=2, columnspacing=1.2, frameon=False, labelcolor=INK, fontsize=TEXT_PT - 1
    )
    return figure


def _draw_losses(axes: Axes, curves: Sequence[Curve]) -> None:
    totals = [curve for curve in curves if curve.name == curves[0].name]
    parts = [curve for curve in curves if curve.name != curves[0].name and curve.split != "train"]
    for curve in totals:
        colour, width = (TEAL, 1.3) if curve.split == "train" else (AMBER, 2.0)
        axes.plot(curve.steps, curve.values, color=colour, lw=width, label=curve.label, zorder=3)
    for curve, colour in zip(parts, cycle(PART_COLOURS), strict=False):
        axes.plot(curve.steps, curve.values, color=colour, lw=0.9, label=curve.name.replace("_", " "))
    if all(value > 0 for curve in totals + parts for value in curve.values):
        _use_log_scale(axes)
    axes.set_ylabel("loss")
    axes.margins(x=0.01)


def objective_figure(lines: Mapping[int, Sequence[tuple[int, float]]], name: str, best: int | None) -> Figure:
    """Draw the objective of a search's trials over training steps.

    Args:
        lines: number of a trial → its (step, value) pairs.
        name: of the objective, for the axis.
        best: the number of the best trial, whose line is thick.
    """
    figure, (axes,) = _figure(height_in=2.9, n_rows=1)
    for (number, pairs), colour in zip(lines.items(), cycle(PART_COLOURS), strict=False):
        style = (AMBER, 2.0, 3) if number == best else (colour, 0.9, 2)
        axes.plot(*zip(*pairs, strict=True), color=style[0], lw=style[1], zorder=style[2], marker=".", ms=3)
    axes.set_xlabel("training step")
    axes.set_ylabel(name.replace("_", " "))
    axes.grid(color=FAINT, lw=0.5)
    return figure


def _use_log_scale(axes: Axes) -> None:
    """Make the y axis logarithmic and label it 0.2, 0.5, 1 …, so that a range of less than a decade has labels too."""
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_minor_locator(NullLocator())


def _curve(rows: Sequence[dict[str, str]], name: str, split: str) -> Curve:
    pairs = [(int(float(row["step"])), _number(row[name])) for row in rows if row["split"] == split]
    known = sorted((step, value) for step, value in pairs if value is not None)
    return Curve(name, split, tuple(step for step, _ in known), tuple(value for _, value in known))


def _number(cell: str | None) -> float | None:
    try:
        value = float(cell or "nan")
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _figure(height_in: float, n_rows: int) -> tuple[Figure, list[Axes]]:
    """Return an empty figure in the style of the report, and its rows from top to bottom."""
    figure = Figure(figsize=(WIDTH_IN, height_in), dpi=DOTS_PER_IN, facecolor=GROUND, layout="constrained")
    rows = [figure.add_subplot(n_rows, 1, row + 1) for row in range(n_rows)]
    for axes in rows:
        axes.set_facecolor(GROUND)
        axes.tick_params(which="both", color=FAINT, labelcolor=INK, labelsize=TEXT_PT - 0.5)
        axes.spines[:].set_color(FAINT)
        axes.spines[["top", "right"]].set_visible(False)
        axes.xaxis.label.set(color=INK, size=TEXT_PT)
        axes.yaxis.label.set(color=INK, size=TEXT_PT)
    return figure, rows


def _draw_spectrogram(
    axes: Axes, log_mel: Float[np.ndarray, "mels frames"], seconds_per_frame: float, limits: tuple[float, float]
) -> None:
    _draw_image(axes, log_mel, log_mel.shape[1] * seconds_per_frame, limits)
    axes.set_ylabel("mel band")


def _draw_image(
    axes: Axes, values: Float[np.ndarray, "rows columns *rgb"], width: float, limits: tuple[float, float]
) -> None:
    """Show values as colours, row 0 at the bottom, over an x axis from 0 to width and a y axis that counts rows.

    A third axis of the values, of 3, has red, green and blue.
    """
    axes.imshow(
        values,
        cmap=LOUDNESS,
        vmin=limits[0],
        vmax=limits[1],
        origin="lower",
        aspect="auto",
        interpolation="nearest",
        extent=(0, width, 0, values.shape[0]),
    )


def _colour_limits(log_mels: Sequence[Float[np.ndarray, "mels _"]]) -> tuple[float, float]:
    """Return the range of the colours, without the quietest 1 %: digital silence would take half of the scale."""
    values = np.concatenate([log_mel.ravel() for log_mel in log_mels])
    low, high = float(np.percentile(values, 1)), float(values.max())
    return low, max(high, low + 1e-3)


def _label_words(axes: Axes, symbols: Sequence[str]) -> None:
    """Write each word at the middle of its symbols, with a faint line where a word begins."""
    position, middles, words = 0, [], []
    for is_blank, run in groupby(symbols, key=lambda symbol: symbol.isspace()):
        letters = list(run)
        if not is_blank:
            middles.append(position + len(letters) / 2)
            words.append("".join(letters))
            axes.axhline(position, color=FAINT, lw=0.5)
        position += len(letters)
    # Words of a long text would overlap: show every second, third … of them.
    every = math.ceil(len(words) / 16) or 1
    axes.set_yticks(middles[::every], words[::every])
    axes.tick_params(axis="y", length=0)
