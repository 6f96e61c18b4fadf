"""`dtc report`: make the page of what evaluation, machine judge, duel and stress list have left."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from rich.console import Console

from dtc.report.changes import Changes
from dtc.report.content import read_report
from dtc.report.page import write_report
from stages import paths
from stages.report_findings import read_findings

PAGE = "index.html"


def report(console: Console) -> None:
    """Write results/report/index.html: equal results give equal pages."""
    make_page(paths.REPORT / PAGE, None, console)


def make_page(path: Path, changes: Changes | None, console: Console) -> None:
    """Write the page of the results that are there, with changes since a revision where they are given."""
    write_report(path, *read_report(paths.EVALUATED), replace(read_findings(), changes=changes))
    console.print(f"report: {path}, {path.stat().st_size / 1e6:.1f} MB")
