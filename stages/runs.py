"""`dtc runs`: list the runs of trainings, and delete those that are not needed any more."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from dtc.errors import InputError, plural
from dtc.files import locked, remove_folder
from stages import paths
from stages.kinds import KINDS, Kind
from stages.run_folders import Run, identity_of, is_of_a_run, runs

if TYPE_CHECKING:
    from stages.params import Params

ReadParams = Callable[[Kind], "Params"]  # the sections of params.yaml that decide a kind's runs; raises InputError


@dataclass(frozen=True)
class _Current:
    """Names of the runs that params.yaml, data and code as they are would go on with or restore."""

    names: Collection[str]
    unknown: Mapping[str, InputError]  # kind → why its runs are not known


def list_runs(names: Sequence[str], read_params: ReadParams, console: Console) -> None:
    """Print a table of all runs, or of the named ones. Raises InputError for an unknown name."""
    found = _named(names)
    if not found:
        console.print("runs: there are none")
        return
    current = _current({run.kind for run in found}, read_params)
    table = Table("run", "model", "step", "state", "MB", "last changed", "goes on")
    for run in found:
        state = "finished" if run.finished else "unfinished" if run.unfinished else "without a checkpoint"
        goes_on = "?" if run.kind in current.unknown else "yes" if run.name in current.names else "no"
        steps = f"{run.step} of {run.total_steps}"
        size, changed = f"{run.size_bytes / 1e6:.1f}", f"{run.changed:%Y-%m-%d %H:%M}"
        table.add_row(run.name, run.model, steps, state, size, changed, goes_on)
    console.print(table)
    for kind, error in current.unknown.items():
        console.print(f"runs: which {kind} run goes on is not known: {error}")


def prune_runs(names: Sequence[str], read_params: ReadParams, console: Console) -> None:
    """Delete the named runs; without names, all but those that params.yaml as it is would go on with or restore.

    Raises InputError, and deletes nothing, where a name is unknown, a run's folder has other files too, or it is not
    known which runs to keep.
    """
    found = _named(names)
    if not names:
        current = _current({run.kind for run in found}, read_params)
        for error in current.unknown.values():
            raise InputError(error.where, error.found, error.expected, "mend it, or name the runs to delete")
        found = [run for run in found if run.name not in current.names]
    freed = sum(run.size_bytes for run in found)
    for run in found:
        with locked(run.folder):
            remove_folder(run.folder, is_of_a_run, "move them elsewhere")
    console.print(f"runs: {plural(len(found), 'run')} deleted, {freed / 1e6:.1f} MB")


def _named(names: Sequence[str]) -> list[Run]:
    """Return the runs of these names, also given as paths; without names, all."""
    found = {run.name: run for run in runs()}
    wanted = [name.removeprefix(f"{paths.RUNS}/").rstrip("/") for name in names]
    for name in wanted:
        if name not in found:
            raise InputError(paths.RUNS, f"no run {name}", f"one of {', '.join(found) or 'none'}", "see `dtc runs`")
    return [found[name] for name in wanted] if wanted else list(found.values())


def _current(kinds: Collection[str], read_params: ReadParams) -> _Current:
    from stages.training_recipe import read_recipe  # imports torch

    names: list[str] = []
    unknown: dict[str, InputError] = {}
    for kind in KINDS.values():
        if kind.name in kinds:
            try:
                names.append(identity_of(read_recipe(kind, read_params(kind))).folder.name)
            except InputError as error:
                unknown[kind.name] = error
    return _Current(names, unknown)
