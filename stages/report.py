"""`dtc report`: make the page of what `dtc evaluate` has saved."""

from __future__ import annotations

from rich.console import Console

from dtc.report.content import read_report
from dtc.report.page import write_report
from stages import paths


def report(console: Console) -> None:
    """Write results/report/index.html from results/evaluation and the sounds that it names."""
    page = paths.REPORT / "index.html"
    write_report(*read_report(paths.EVALUATED), page)
    console.print(f"report: {page}, {page.stat().st_size / 1e6:.1f} MB")
