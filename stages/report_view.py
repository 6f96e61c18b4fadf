"""`dtc report --compare REV`, `--open`: the page with what changed since a revision, for whoever looks at it now.

It is no output of a stage, since it depends on the history of git.
"""

from __future__ import annotations

import webbrowser

from rich.console import Console

from dtc.errors import InputError
from dtc.report.changes import Changes
from stages import paths
from stages.report import PAGE, make_page, require_evaluation
from stages.report_changes import OPTION, changes_since

HEAD = "HEAD"


def view(revision: str | None, in_browser: bool, console: Console) -> None:
    """Write runs/report/index.html, print how the same texts compare, and open the page where that is asked for.

    Without a revision, the page has the changes since HEAD, where that has a dvc.lock.
    Raises InputError as `changes_since` for a revision.
    """
    require_evaluation()
    changes = changes_since(revision) if revision else _changes_since_head(console)
    path = paths.RUNS / "report" / PAGE
    make_page(path, changes, console)
    if changes and revision:
        _print_compared(changes, revision, console)
    if in_browser and not webbrowser.open(path.resolve().as_uri()):
        console.print(f"report: no browser was found; open {path} in one")


def _print_compared(changes: Changes, revision: str, console: Console) -> None:
    for row in changes.compared:
        difference = f"{row.difference} ({row.interval}) in {row.texts} texts"
        console.print(f"report: {row.label} since {revision}: {row.verdict}, {difference}")
    for note in changes.notes:
        console.print(f"report: {note}")


def _changes_since_head(console: Console) -> Changes | None:
    """Return the changes; None where there is nothing to compare with, and, with a line, where a file is damaged."""
    try:
        return changes_since(HEAD)
    except InputError as error:
        if error.where != OPTION:
            console.print(f"report: without changes since {HEAD}: {error}")
        return None
