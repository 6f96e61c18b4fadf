"""`dtc runs`: list the runs of trainings, and delete those that are not needed any more."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Column, Table

from dtc.errors import InputError, named, plural
from dtc.files import locked, remove_folder
from stages import paths
from stages.kinds import KINDS, Kind
from stages.run_folders import Run, identity_of, is_of_a_run, runs
from stages.tables import print_table
from stages.training_recipe import read_recipe

if TYPE_CHECKING:
    from stages.params import Params

ReadParams = Callable[[Kind], "Params"]  # the sections of params.yaml that decide a kind's runs; raises InputError


@dataclass(frozen=True)
class _Current:
    """Names of the runs that params.yaml, data and code as they are would continue or restore."""

    names: Collection[str]
    unknown: Mapping[str, InputError]  # kind → why its runs are not known

    def has(self, run: Run) -> str:
        """Return yes or no, or ? where it is not known."""
        return "?" if run.kind in self.unknown else "yes" if run.name in self.names else "no"


def list_runs(names: Sequence[str], read_params: ReadParams, console: Console) -> None:
    """Print a table of all runs, or of the named ones. Raises InputError for an unknown name."""
    found = _named(names)
    if not found:
        console.print("runs: there are none")
        return
    current = _current(found, read_params)
    print_table(_table(found, current), console)
    for run in found:
        if run.holder:
            console.print(f"runs: {run.name} is being trained by {run.holder}")
    for kind, error in current.unknown.items():
        console.print(f"runs: which {kind} run is current is not known: {error}")


def prune_runs(names: Sequence[str], read_params: ReadParams, confirm: Callable[[str], bool], console: Console) -> None:
    """Show the named runs and, where `confirm` answers a question with yes, delete them.

    Without names, these are all runs but those that are being trained, and those that params.yaml as it is would
    continue or restore. Raises InputError where a name is unknown, where it is not known which runs to keep, and where
    a run is being trained or has files of others.
    """
    found = _named(names)
    current = _current(found, read_params)
    if not names:
        for error in current.unknown.values():
            raise InputError(error.where, error.found, error.expected, "mend it, or name the runs to delete")
        found = [run for run in found if run.name not in current.names and not run.holder]
    if not found:
        console.print("runs: there are none to delete")
        return
    print_table(_table(found, current), console)
    size = f"{sum(run.size_bytes for run in found) / 1e6:.1f} MB"
    if not confirm(f"Delete {plural(len(found), 'run')}, {size}?"):
        console.print("runs: nothing was deleted")
        return
    for run in found:
        with locked(run.folder):
            remove_folder(run.folder, is_of_a_run, "move them elsewhere")
    console.print(f"runs: {plural(len(found), 'run')} deleted, {size}")


def _table(found: Sequence[Run], current: _Current) -> Table:
    others = (Column(name, overflow="fold") for name in ("model", "step", "state", "MB", "last change", "current"))
    table = Table("run", *others, box=None, padding=(0, 1, 0, 0), header_style="bold")
    for run in found:
        size, changed = f"{run.size_bytes / 1e6:.1f}", f"{run.changed:%m-%d %H:%M}"
        table.add_row(run.name, run.model, run.progress, run.state, size, changed, current.has(run))
    return table


def _named(names: Sequence[str]) -> list[Run]:
    """Return the runs of these names, also given as paths; without names, all."""
    found = {run.name: run for run in runs()}
    wanted = [name.removeprefix(f"{paths.RUNS}/").rstrip("/") for name in names]
    for name in wanted:
        if name not in found:
            expected = f"one of {named(list(found))}" if found else ""
            raise InputError(paths.RUNS, f"no run {name}", expected, "see `dtc runs`")
    return [found[name] for name in wanted] if wanted else list(found.values())


def _current(found: Sequence[Run], read_params: ReadParams) -> _Current:
    names: list[str] = []
    unknown: dict[str, InputError] = {}
    for kind in KINDS.values():
        if any(run.kind == kind.name for run in found):
            try:
                params = read_params(kind)
                names.append(identity_of(read_recipe(kind, params), getattr(params.run, kind.name)).folder.name)
            except InputError as error:
                unknown[kind.name] = error
    return _Current(names, unknown)
