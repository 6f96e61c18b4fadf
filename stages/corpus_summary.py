"""What `dtc verify` found, to be seen on one screen: on the console, as Markdown, as figures."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Shaped
from rich.columns import Columns
from rich.console import Console
from rich.table import Table
from rich.text import Text

from dtc.errors import plural
from pipeline.limits import KINDS
from pipeline.verify import CorpusFindings, Fault

BINS_MOST, BAR_LONGEST = 10, 24
BIN_WIDTHS_MS = (100, 250, 500, 1_000, 2_000, 5_000, 10_000, 30_000, 60_000)
WORST = 5
FAULTS_SHOWN, FAULTS_OF_A_KIND = 20, 5


@dataclass(frozen=True)
class Grid:
    """A table, whatever it is shown on; the first column's name is its title."""

    header: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]


@dataclass(frozen=True)
class Summary:
    """Of some of the clips of a corpus."""

    figures: dict[str, float]
    overview: Grid
    histogram: Grid
    kinds: Grid  # no rows where there are no faults
    worst: list[Grid]

    def show(self, console: Console) -> None:
        """On one screen: side by side what fits side by side."""
        for grids in ([self.overview], [self.histogram, *self._faults()], self.worst):
            console.print(Columns([_table(grid) for grid in grids], padding=(0, 3)))
            console.print()

    def markdown(self, title: str) -> str:
        """The same as a page; equal for equal corpora, whenever it is written."""
        grids = [self.overview, self.histogram, *self._faults(), *self.worst]
        return f"# {title}\n\n" + "\n".join(_markdown(grid) for grid in grids)

    def _faults(self) -> list[Grid]:
        return [self.kinds] if self.kinds.rows else []


def summarise(findings: CorpusFindings, chosen: Shaped[np.ndarray, " clips"]) -> Summary:
    """Of the clips where `chosen` is True; all of them decode, and there is at least one."""
    facts, characters = findings.facts[chosen], findings.characters[chosen]
    names = [findings.names[number] for number in np.flatnonzero(chosen).tolist()]
    figures = _figures(facts, characters, findings)
    header = ("clips", "hours", "shortest", "median", "longest", "characters/s", "sampling rate", "channels")
    row = (
        f"{figures['clips']:,}", f"{figures['hours']:.2f}", f"{figures['shortest_s']:.2f} s",
        f"{figures['median_s']:.2f} s", f"{figures['longest_s']:.2f} s", f"{figures['characters_per_s']:.1f}",
        _counted(facts["source_sampling_rate"], " Hz"), _counted(facts["source_channels"], ""),
    )  # fmt: skip
    overview = Grid(header, [row])
    worst = _worst(names, facts, characters)
    return Summary(figures, overview, count_durations(facts["duration_s"]), count_kinds(findings.faults), worst)


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
    """ "22050 Hz", or "22050 Hz ×310, 44100 Hz ×14"."""
    counts = Counter(values.tolist()).most_common()
    return ", ".join(f"{value}{unit}" + (f" ×{count:,}" if len(counts) > 1 else "") for value, count in counts)


def count_durations(seconds: Shaped[np.ndarray, " clips"]) -> Grid:
    """Clips by duration, in at most ten equal bins with round edges."""
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
    """A bar as long as its share of the longest one; something for everything but nothing."""
    return "█" * round(share * BAR_LONGEST) or ("▏" if share else "")


def count_kinds(faults: Iterable[Fault]) -> Grid:
    """How many faults of each kind there are."""
    counts = Counter(fault.kind for fault in faults)
    rows = [(kind, f"{counts[kind]:,}", meaning) for kind, meaning in KINDS.items() if counts[kind]]
    return Grid(("kind", "faults", ""), rows)


def name_faults(faults: Sequence[Fault]) -> Iterator[str]:
    """By kind, with their number: of each kind a few, as many as make twenty in all, and at least one."""
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
    """The clips to listen to first."""
    seconds, spoken = facts["duration_s"], characters > 0
    pace = np.divide(characters, seconds, out=np.zeros(len(seconds)), where=spoken)
    silence_s, clipped = facts["leading_s"] + facts["trailing_s"], facts["clipped_share"]
    all_clips = np.ones(len(names), bool)
    grids = [
        _ranked("longest", names, seconds, True, "{:.2f} s", all_clips),
        _ranked("shortest", names, seconds, False, "{:.2f} s", all_clips),
        _ranked("fastest", names, pace, True, "{:.1f} characters/s", spoken),
        _ranked("slowest", names, pace, False, "{:.1f} characters/s", spoken),
        _ranked("quietest", names, facts["level_db"], False, "{:.1f} dB", all_clips),
        _ranked("most silence at the ends", names, silence_s, True, "{:.2f} s", silence_s > 0),
        _ranked("most clipped", names, clipped, True, "{:.2%}", clipped > 0),
    ]
    return [grid for grid in grids if grid.rows]


def _ranked(
    title: str, names: Sequence[str], values: Shaped[np.ndarray, " clips"], largest: bool, shown: str,
    eligible: Shaped[np.ndarray, " clips"],
) -> Grid:  # fmt: skip
    """The eligible clips with the largest or smallest values; equal ones by name."""
    sign = -1.0 if largest else 1.0
    first = heapq.nsmallest(
        WORST, np.flatnonzero(eligible).tolist(), lambda number: (sign * values[number], names[number])
    )
    return Grid((title, ""), [(names[number], shown.format(values[number])) for number in first])


# ── shown ───────────────────────────────────────────────────────────────────────────────────────────────────────────


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
