"""Summarise what `dtc verify` found: on one screen of the console, as a Markdown page, and as figures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Shaped
from rich.columns import Columns
from rich.console import Console
from rich.table import Table
from rich.text import Text

from dtc.errors import plural
from pipeline.corpora.base import Fault
from pipeline.limits import KINDS
from pipeline.verify import CorpusFindings

BINS_MOST, BAR_LONGEST = 10, 24
BIN_WIDTHS_MS = (100, 250, 500, 1_000, 2_000, 5_000, 10_000, 30_000, 60_000)
WORST = 5
FAULTS_SHOWN, FAULTS_OF_A_KIND = 20, 5


@dataclass(frozen=True)
class Grid:
    """A table for the console or for Markdown; the name of the first column is its title."""

    header: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]


@dataclass(frozen=True)
class Summary:
    """The summary of some of the clips of a corpus."""

    figures: dict[str, float]
    rows: list[list[Grid]]  # tables that belong side by side

    def show(self, console: Console) -> None:
        """Print the tables on one screen, side by side where they fit."""
        for grids in self.rows:
            console.print(Columns([_table(grid) for grid in grids], padding=(0, 3)))
            console.print()

    def markdown(self, title: str) -> str:
        """Return the summary as a page. Equal corpora give equal pages."""
        return f"# {title}\n\n" + "\n".join(_markdown(grid) for grids in self.rows for grid in grids)


def summarise(findings: CorpusFindings, chosen: Shaped[np.ndarray, " clips"]) -> Summary:
    """Summarise the clips where `chosen` is True. There is at least one, and all of them decode."""
    facts, characters = findings.facts[chosen], findings.characters[chosen]
    names = [findings.names[number] for number in np.flatnonzero(chosen).tolist()]
    figures = _figures(facts, characters, findings)
    header = ("clips", "hours", "shortest", "median", "longest", "characters/s", "sampling rate", "channels")
    row = (
        f"{figures['clips']:,}",
        f"{figures['hours']:.2f}",
        *(f"{figures[name]:.2f} s" for name in ("shortest_s", "median_s", "longest_s")),
        f"{figures['characters_per_s']:.1f}",
        _counted(facts["source_sampling_rate"], " Hz"),
        _counted(facts["source_channels"], ""),
    )
    kinds = count_kinds(findings.faults)
    second = [count_durations(facts["duration_s"])] + ([kinds] if kinds.rows else [])
    return Summary(figures, [[Grid(header, [row])], second, _worst(names, facts, characters)])


def _figures(
    facts: Shaped[np.ndarray, " clips"], characters: Shaped[np.ndarray, " clips"], findings: CorpusFindings
) -> dict[str, float]:
    seconds = facts["duration_s"]
    spoken_s = float(seconds[characters > 0].sum())
    return {
        "clips": len(facts),
        "skipped_clips": findings.left_out,
        "hours": round(float(seconds.sum()) / 3600, 4),
        "minutes": round(float(seconds.sum()) / 60, 2),
        "shortest_s": round(float(seconds.min()), 2),
        "median_s": round(float(np.median(seconds)), 2),
        "longest_s": round(float(seconds.max()), 2),
        "characters_per_s": round(float(characters.sum()) / spoken_s, 2) if spoken_s else 0.0,
        "leading_silence_s": round(float(np.median(facts["leading_s"])), 3),
        "trailing_silence_s": round(float(np.median(facts["trailing_s"])), 3),
    }


def _counted(values: Shaped[np.ndarray, " clips"], unit: str) -> str:
    """Return the values, the commonest first: "22050 Hz", or "22050 Hz ×310, 44100 Hz ×14"."""
    counts = Counter(values.tolist()).most_common()
    return ", ".join(f"{value}{unit}" + (f" ×{count:,}" if len(counts) > 1 else "") for value, count in counts)


def count_durations(seconds: Shaped[np.ndarray, " clips"]) -> Grid:
    """Count the clips by duration, in at most ten equal bins with round edges."""
    durations_ms = np.round(seconds * 1000).astype(np.int64)
    shortest, longest = int(durations_ms.min()), int(durations_ms.max())
    width = next((w for w in BIN_WIDTHS_MS if longest // w - shortest // w < BINS_MOST), longest)
    first = shortest // width
    counts = np.bincount(durations_ms // width - first)
    rows = [
        (f"{(first + place) * width / 1000:g}–{(first + place + 1) * width / 1000:g} s", f"{count:,}", _bar(share))
        for place, (count, share) in enumerate(zip(counts.tolist(), (counts / counts.max()).tolist(), strict=True))
    ]
    return Grid(("durations", "clips", ""), rows)


def _bar(share: float) -> str:
    """Return a bar as long as its share of the longest one; only a share of 0 gives none."""
    return "█" * round(share * BAR_LONGEST) or ("▏" if share else "")


def count_kinds(faults: Iterable[Fault]) -> Grid:
    """Count the faults of each kind."""
    counts = Counter(fault.kind for fault in faults)
    rows = [(kind, f"{counts[kind]:,}", meaning) for kind, meaning in KINDS.items() if counts[kind]]
    return Grid(("kind", "faults", ""), rows)


def name_faults(faults: Sequence[Fault]) -> Iterator[str]:
    """Yield lines about the faults, by kind: their number, and of each kind at least one, in all about twenty."""
    by_kind = {kind: [fault for fault in faults if fault.kind == kind] for kind in KINDS}
    sizes = [len(of_kind) for of_kind in by_kind.values()]
    few = range(1, FAULTS_OF_A_KIND + 1)
    shown = max(n for n in few if n == 1 or sum(min(n, size) for size in sizes) <= FAULTS_SHOWN)
    for kind, of_kind in by_kind.items():
        if of_kind:
            yield f"{kind}: {KINDS[kind]} ({plural(len(of_kind), 'fault')})"
        yield from (f"  {fault.error}" for fault in of_kind[:shown])
        if len(of_kind) > shown:
            yield f"  … and {len(of_kind) - shown:,} more"


def _worst(
    names: Sequence[str], facts: Shaped[np.ndarray, " clips"], characters: Shaped[np.ndarray, " clips"]
) -> list[Grid]:
    """Return tables of the clips to listen to first; those with equal values are ordered by name."""
    seconds, spoken = facts["duration_s"], characters > 0
    pace = np.divide(characters, seconds, out=np.zeros(len(seconds)), where=spoken)
    silence_s, clipped, everyone = facts["leading_s"] + facts["trailing_s"], facts["clipped_share"], seconds > 0

    rankings: list[tuple[str, Any, str, int, Any]] = [  # title, values, how one is shown, its sign, the clips ranked
        ("longest", seconds, "{:.2f} s", -1, everyone),
        ("shortest", seconds, "{:.2f} s", 1, everyone),
        ("fastest", pace, "{:.1f} characters/s", -1, spoken),
        ("slowest", pace, "{:.1f} characters/s", 1, spoken),
        ("quietest", facts["level_db"], "{:.1f} dB", 1, everyone),
        ("most silence at the ends", silence_s, "{:.2f} s", -1, silence_s > 0),
        ("most clipped", clipped, "{:.2%}", -1, clipped > 0),
    ]
    grids = []
    for title, values, shown, sign, among in rankings:
        ranked = sorted((sign * values[number], names[number]) for number in np.flatnonzero(among).tolist())[:WORST]
        grids += [Grid((title, ""), [(name, shown.format(sign * value)) for value, name in ranked])] if ranked else []
    return grids


# ── output ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def _table(grid: Grid) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for name in grid.header:
        table.add_column(name, justify="right" if name in ("clips", "faults") else "left", overflow="ellipsis")
    for row in grid.rows:
        table.add_row(*(Text(cell) for cell in row))
    return table


def _markdown(grid: Grid) -> str:
    lines = [grid.header, tuple("---" for _ in grid.header), *grid.rows]
    cells = ("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |\n" for line in lines)
    return "".join(cells)
