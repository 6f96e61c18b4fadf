"""`dtc report`: make the page of what evaluation, machine judge, duel and stress list have left."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from rich.console import Console

from dtc.errors import InputError
from dtc.files import locked
from dtc.report.changes import Changes
from dtc.report.content import Report, read_report
from dtc.report.findings import Findings
from dtc.report.page import write_report
from stages import paths
from stages.report_findings import read_findings
from stages.report_tables import write_tables

PAGE = "index.html"


def report(console: Console) -> None:
    """Write results/report/index.html, and what DVC plots and compares. Equal results give equal bytes."""
    require_evaluation()
    with locked(paths.REPORT):
        content, findings = make_page(paths.REPORT / PAGE, None, console)
        write_tables(content, findings)


def require_evaluation() -> None:
    """Raise InputError where there is nothing to show, before a folder is made."""
    if not paths.EVALUATED.is_dir():
        is_project = paths.PARAMS.is_file()
        remedy = "run `dtc evaluate`" if is_project else f"no {paths.PARAMS} is here: go to the folder of a project"
        raise InputError(paths.EVALUATED, "holds no evaluation", remedy=remedy)


def make_page(path: Path, changes: Changes | None, console: Console) -> tuple[Report, Findings]:
    """Write the page of the results that are there, with changes since a revision where they are given; return them."""
    content, pictures = read_report(paths.EVALUATED)
    findings = replace(read_findings(), changes=changes)
    write_report(path, content, pictures, findings)
    console.print(f"report: {path}, {path.stat().st_size / 1e6:.1f} MB")
    return content, findings
