"""The curve of a training: a CSV file with a row for each step and split that was logged."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from dtc.files import write_whole

Row = Mapping[str, str]
EMPTY = ("step", "split", "loss")  # the header of a curve without rows
HOW = ("lr", "grad_norm")  # ends of the names of columns that say how it is trained, not how well


def read_curve(path: Path) -> list[dict[str, str]]:
    """Return the rows of a curve, each a mapping from column to cell; an empty cell has no value.

    No file is no rows. A last line without a line break, as a killed process leaves it, is ignored.
    """
    if not path.is_file():
        return []
    whole_lines = path.read_bytes().rpartition(b"\n")[0].decode("utf-8")
    return list(csv.DictReader(io.StringIO(whole_lines)))


def final_figures(rows: Sequence[Row], kept_step: int) -> dict[str, dict[str, float]]:
    """Return split → losses and metrics: of `train` in its last row, of others in their last one up to a step.

    Args:
        rows: those of a curve.
        kept_step: the number of steps after which the kept weights were those of the model.
    """
    last = {row["split"]: row for row in rows if row["split"] == "train" or int(row["step"]) <= kept_step}
    return {
        split: {name: float(cell) for name, cell in row.items() if cell and _tells_how_well(name)}
        for split, row in last.items()
    }


def _tells_how_well(column: str) -> bool:
    return column not in ("step", "split") and not column.endswith(HOW)


class CurveWriter:
    """Appends rows to a curve, each in the same time, however long the curve is.

    Only a row with a new column rewrites the file, which is replaced in one step; rows before it get empty cells.

    Args:
        path: the CSV file.
        keeps: whether to keep a row of an earlier process; the others are removed.
    """

    def __init__(self, path: Path, keeps: Callable[[Row], bool]) -> None:
        self.path = path
        rows = [row for row in read_curve(path) if keeps(row)]
        self._columns = list(rows[0]) if rows else []
        self._rewrite(rows)

    def append(self, row: Row) -> None:
        """Write a row at the end."""
        if new := [name for name in row if name not in self._columns]:
            self._columns += new
            self._rewrite([*read_curve(self.path), row])
            return
        with self.path.open("a", encoding="utf-8", newline="") as file:
            file.write(self._lines([row]))

    def sync(self) -> None:
        """Force the rows to disk, so that a power cut does not lose those before a checkpoint."""
        with self.path.open("rb+") as file:
            os.fsync(file.fileno())

    def _rewrite(self, rows: Sequence[Row]) -> None:
        header = ",".join(self._columns or EMPTY) + "\n"
        write_whole(self.path, header + self._lines(rows))

    def _lines(self, rows: Sequence[Row]) -> str:
        table = io.StringIO()
        csv.DictWriter(table, self._columns or EMPTY, lineterminator="\n").writerows(rows)
        return table.getvalue()
