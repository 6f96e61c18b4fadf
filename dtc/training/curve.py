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


def read_curve(path: Path) -> list[dict[str, str]]:
    """Return the rows of a curve, each a mapping from column to cell; an empty cell has no value.

    No file is no rows. A last line without a line break, as a killed process leaves it, is ignored.
    """
    if not path.is_file():
        return []
    whole_lines = path.read_bytes().rpartition(b"\n")[0].decode("utf-8")
    return list(csv.DictReader(io.StringIO(whole_lines)))


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
