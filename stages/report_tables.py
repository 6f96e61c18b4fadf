"""What DVC compares of a report: results/plots for `dvc plots`, and results/headline.json for `dvc metrics`."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from dtc.files import remove_folder, write_whole
from dtc.report.content import Report
from dtc.report.findings import Findings
from dtc.report.plots import read_curves
from stages import paths

WORD_ERRORS = "word_errors.csv"


def write_tables(report: Report, findings: Findings) -> None:
    """Write one file for each line of a plot, since DVC tells lines apart by their files, and the headline figures."""
    remove_folder(paths.PLOTS, _is_ours, "move the other files away")
    for path in report.curves.values():
        for curve in read_curves(path):
            if curve.name == "loss":
                rows = zip(curve.steps, curve.values, strict=True)
                _write(paths.PLOTS / path.stem / f"{curve.split}.csv", ("step", "loss"), rows)
    rates = ((row.name, row.metrics.get("word_error_rate")) for row in report.comparison)
    percents = [(name, round(100 * rate, 3)) for name, rate in rates if rate is not None]
    _write(paths.PLOTS / WORD_ERRORS, ("speech", "word errors in percent"), percents)
    write_whole(paths.HEADLINE, json.dumps(_headline(report, findings), indent=2) + "\n")


def _write(path: Path, header: Iterable[str], rows: Iterable[Iterable[object]]) -> None:
    table = io.StringIO()
    csv.writer(table, lineterminator="\n").writerows([header, *rows])
    write_whole(path, table.getvalue())


def _is_ours(path: PurePosixPath) -> bool:
    """Return whether a file of results/plots is one that this stage wrote."""
    return path.as_posix() == WORD_ERRORS or re.fullmatch(r"\w+/(train|validation)\.csv", path.as_posix()) is not None


def _headline(report: Report, findings: Findings) -> dict[str, object]:
    """Return the figures that tell most of a voice: of the instruments, the machine judge and the listeners."""
    names = ("word_error_rate", "mel_cepstral_distortion_db", "duration_ratio", "ended_share")
    found: dict[str, object] = {name: round(report.metrics[name], 5) for name in names if name in report.metrics}
    found |= {f"judge_{each.name}_auc": each.rulings[0].auc.value for each in findings.contests if each.rulings}
    if findings.duel:
        rates = {voice.name: voice.fooling_rate for voice in findings.duel.voices}
        found["fooling_rate"] = {name: rate.value for name, rate in rates.items() if rate}
    return found
