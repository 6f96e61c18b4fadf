"""`dtc report --compare REV`, `--open`: the page with what changed since a revision, for whoever looks at it now.

It is no output of a stage, since it depends on the history of git.
"""

from __future__ import annotations

import contextlib
import webbrowser
from collections.abc import Sequence

from rich.console import Console

from dtc.errors import InputError
from dtc.report.changes import Changes, Compared
from stages import paths
from stages.report import PAGE, make_page
from stages.report_changes import changes_since

HEAD = "HEAD"


def view(revision: str | None, in_browser: bool, console: Console) -> None:
    """Write runs/report/index.html, print how the same texts compare, and open the page where that is asked for.

    Without a revision, the page has the changes since HEAD, where that has a dvc.lock.
    Raises InputError as `changes_since` for a revision.
    """
    changes = changes_since(revision) if revision else _changes_since_head()
    path = paths.RUNS / "report" / PAGE
    make_page(path, changes, console)
    if changes and revision:
        _print_compared(changes.compared, revision, console)
    if in_browser and not webbrowser.open(path.resolve().as_uri()):
        console.print(f"report: no browser was found; open {path} in one")


def _print_compared(compared: Sequence[Compared], revision: str, console: Console) -> None:
    for row in compared:
        difference = f"{row.difference} ({row.interval}) in {row.texts} texts"
        console.print(f"report: {row.label} since {revision}: {row.verdict}, {difference}")
    if not compared:
        console.print(f"report: no text is in {paths.UTTERANCES} both at {revision} and here, so none is compared")


def _changes_since_head() -> Changes | None:
    with contextlib.suppress(InputError):
        return changes_since(HEAD)
    return None
