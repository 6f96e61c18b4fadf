"""Read the metrics and the table of utterances, here or at a revision; one line names a file that is damaged."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dtc.errors import InputError
from dtc.report.changes import Row
from stages import paths

COMMANDS = {
    paths.CORPUS_METRICS: "dtc verify",
    paths.ACOUSTIC_METRICS: "dtc train acoustic",
    paths.VOCODER_METRICS: "dtc train vocoder",
    paths.EVALUATION: "dtc evaluate",
    paths.UTTERANCES: "dtc evaluate",
    paths.JUDGE: "dtc judge",
    paths.JUDGE_METRICS: "dtc judge",
    paths.STRESS: "dtc evaluate --stress",
    paths.STRESS_METRICS: "dtc evaluate --stress",
    paths.DUEL: "dtc duel --count",
}
CONTESTS = paths.JUDGE / "contests.json"


def require_metrics() -> None:
    """Raise InputError for the first file of results/metrics that cannot be read."""
    for path in sorted(paths.EVALUATION.parent.glob("*.json")):
        try:
            parse_metrics(path, path.read_text(encoding="utf-8"))
        except UnicodeDecodeError as error:
            raise damaged(path, str(error)) from None


def parse_metrics(path: Path, text: str, commit: str = "") -> dict[str, Any]:
    """Return the figures of a metrics file. Raises InputError for a damaged one; commit: whose file it is."""
    try:
        tree = json.loads(text)
    except ValueError as error:
        raise damaged(path, str(error), commit) from None
    if not isinstance(tree, dict):
        raise damaged(path, "no figures with names", commit)
    return tree


def parse_table(path: Path, text: str, keys: Sequence[str], commit: str = "") -> list[Row]:
    """Return the rows of a table that has these columns. Raises InputError for a damaged one, as `parse_metrics`."""
    table = csv.DictReader(io.StringIO(text), restkey="", strict=True)
    try:
        rows: list[Row] = list(table)
    except csv.Error as error:
        raise damaged(path, f"line {table.line_num}: {error}", commit) from None
    for key in keys:
        if key not in (table.fieldnames or ()):
            raise damaged(path, f"no column {key}", commit)
    for number, row in enumerate(rows, start=1):
        if "" in row or None in row.values():
            raise damaged(path, f"row {number} has not as many cells as the header", commit)
    return rows


def require_file(path: Path) -> Path:
    """Return the path of a file that a command of COMMANDS writes. Raises InputError where it is not there."""
    if not path.is_file():
        raise InputError(path, "no such file", remedy=f"run `{_command(path)}`")
    return path


def damaged(path: Path, fault: str, commit: str = "") -> InputError:
    """Return the error for a file that cannot be read, here or at a commit."""
    found = f"cannot be read ({fault})"
    if commit:
        return InputError(f"{path} at {commit[:12]}", found, remedy="compare with another revision")
    if command := _command(path):
        return InputError(path, found, f"what `{command}` of this version writes", f"run `{command}` again")
    return InputError(path, found, "figures in JSON", "move it away")


def _command(path: Path) -> str:
    """Return the command that writes a file; "" where it is not known."""
    return next((command for place, command in COMMANDS.items() if path == place or place in path.parents), "")
