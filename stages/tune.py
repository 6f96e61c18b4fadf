"""`dtc tune acoustic` and `dtc tune vocoder`: search for good values of params.yaml, as its section `tune` says.

Each trial is an ordinary training in a folder of its own. The folder's name is the identity of its run, so a search
that was interrupted, or whose `num_samples` has grown, finds what it has done: the same command continues it.
"""

from __future__ import annotations

import csv
import io
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import cast

import yaml
from rich.console import Console

from dtc.errors import InputError, plural
from dtc.files import locked, write_whole
from dtc.model_card import ModelKind
from dtc.report.search import SearchReport, TrialReport, render_search
from stages import paths
from stages.kinds import KINDS
from stages.named_parts import LAYERS, NamedParts, read_named_parts, resolved
from stages.params import Params, training_of
from stages.params_file import edited, read_yaml
from stages.run_folders import identity_of
from stages.training_recipe import read_recipe
from stages.tune_space import Space, Tree, Values, dotted_keys, laid_over, value_at
from stages.tune_trial import TRIALS, Trial, prepare

RESULTS = paths.RESULTS / "tune"
BEST, TABLE, REPORT = RESULTS / "best.yaml", RESULTS / "trials.csv", RESULTS / "report.html"


@dataclass(frozen=True)
class Search:
    """A search in a project: its space, and the params over which the values of a trial are laid.

    Args:
        file: the params file.
        kind: acoustic or vocoder.
        space: the section `tune`.
        tree: the content of the params file without it, and with what its named parts stand for.
    """

    file: Path
    kind: ModelKind
    space: Space
    tree: Tree

    def params(self, values: Values) -> Params:
        """Return the params of a trial. Raises InputError where a value is wrong."""
        return training_of(laid_over(self.tree, values), self.file, self.kind)

    def trial(self, number: int, values: Values) -> Trial:
        """Return a trial, named as the run that its values make."""
        params, config = self.params(values), self.space.config
        recipe = read_recipe(KINDS[self.kind], params)
        name = identity_of(recipe, getattr(params.run, self.kind)).folder.name
        keeps_best = getattr(params.training, self.kind).keep_best is not None
        return Trial(number, values, self.kind, name, (config.objective, config.mode), keeps_best)

    def content(self, values: Values) -> Tree:
        """Return the content of a trial's params file; the trial is in a worker of Ray already, and starts none."""
        return laid_over(self.tree, {**values, "run.devices.engine": "local"})

    def require_right_values(self) -> None:
        """Raise InputError unless all keys are known, and the params with the ends of each range can be loaded."""
        self.params({})
        sections: Tree = {key: self.tree[key] for key in ("acoustic", "vocoder", "training") if key in self.tree}
        self.space.require_known(list(dotted_keys(sections)))
        for key, value in self.space.end_values():
            try:
                self.params({key: value})
            except InputError as error:
                where, found = f"{self.file}: tune, {key} {value}", error.found
                if error.where != f"{self.file}: {key}":
                    found = f"{error.where}: {found}"
                raise InputError(where, found, error.expected, error.remedy) from None


def tune(kind: ModelKind, file: Path, apply: bool, console: Console) -> None:
    """Run or continue a search, and write its results to results/tune.

    Args:
        kind: the model to train, acoustic or vocoder.
        file: the params file.
        apply: whether to write the values of the best trial into it.
        console: where lines and a table are printed.

    Raises InputError where the section `tune` or another input is wrong, or no trial finished; KeyboardInterrupt at
    Ctrl-C, after the trials are saved.
    """
    search = _read_search(kind, file)
    from stages.tune_ray import run_trials  # Ray takes seconds to import

    if search.space.passed_over:
        console.print(f"tune: not of the {kind} model, and passed over: {', '.join(search.space.passed_over)}")
    trials = [search.trial(number, values) for number, values in enumerate(search.space.draw(), 1)]
    if len(trials) < search.space.config.num_samples:
        console.print(f"tune: the ranges have {plural(len(trials), 'set')} of values, each of which is tried once")
    with locked(TRIALS):
        for trial in trials:
            prepare(trial.folder, kind, search.content(trial.values), Path.cwd())
        board = run_trials(trials, search.space.config, console)
        reports = [
            _report_of(trial, board.shown[trial.number].state, board.shown[trial.number].reason) for trial in trials
        ]
        best = _write_results(search, reports)
    console.print(board.table())
    if best is None:
        shown = reports[0]
        raise InputError(f"dtc tune {kind}", f"no trial finished; trial {shown.number} {shown.state}: {shown.reason}")
    console.print(f"tune: trial {best.number} is the best; {BEST}, {TABLE}, {REPORT}")
    if apply:
        _apply(search, trials[best.number - 1], console)


def _read_search(kind: ModelKind, file: Path) -> Search:
    """Return the search that a params file describes. Raises InputError where a key or a value is wrong."""
    content = read_yaml(file)
    tree = resolved(content, file)
    space = Space(read_named_parts(content, file).tune, kind, file)
    search = Search(file, kind, space, cast(Tree, tree))
    search.require_right_values()
    return search


def _report_of(trial: Trial, state: str, reason: str) -> TrialReport:
    step, value = trial.value() or (None, None)
    return TrialReport(trial.number, state, reason, trial.values, step, value, trial.rows())


def _write_results(search: Search, reports: Sequence[TrialReport]) -> TrialReport | None:
    """Write the table, the report and the best values; return the best trial, or None where none has finished."""
    config, kind = search.space.config, search.kind
    sign = 1 if config.mode == "min" else -1
    finished = [each for each in reports if each.state == "finished" and each.value is not None]
    ranked = sorted(
        reports, key=lambda each: (each not in finished, each.value is None, sign * (each.value or 0.0), each.number)
    )
    best = ranked[0] if finished else None
    keys = list(search.space.searched)
    write_whole(TABLE, _table(ranked, config.objective, keys))
    summary = (
        f"{plural(len(reports), 'trial')}, compared by {config.objective} of the validation clips ({config.mode})."
    )
    commands = {"Write the best values into params.yaml:": f"dtc tune {kind} --apply"} if best else {}
    number = best.number if best else None
    page = SearchReport(f"dtc tune {kind}", summary, config.objective, keys, ranked, number, commands)
    write_whole(REPORT, render_search(page))
    if best:
        head = f"# Trial {best.number} of `dtc tune {kind}`: {config.objective} {best.value:.6g} at step {best.step}.\n"
        write_whole(BEST, head + yaml.safe_dump(dict(best.values), sort_keys=False, allow_unicode=True))
    else:
        BEST.unlink(missing_ok=True)
    return best


def _table(reports: Sequence[TrialReport], objective: str, keys: Sequence[str]) -> str:
    """Return the trials as CSV, the best first."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(["trial", "state", "step", objective, *keys, "reason"])
    for each in reports:
        value = "" if each.value is None else f"{each.value:.6g}"
        writer.writerow([each.number, each.state, each.step, value, *(each.values[key] for key in keys), each.reason])
    return file.getvalue()


def _apply(search: Search, best: Trial, console: Console) -> None:
    """Write the values of the best trial into the params file, and its run to where `dtc train` restores it.

    Raises InputError, and changes nothing, where that would not change a value, as a flat key of a setting hides it.
    """
    parts = read_named_parts(read_yaml(search.file), search.file)
    text = edited(search.file, {place: value for key, value in best.values.items() for place in _places(key, parts)})
    with TemporaryDirectory() as folder:
        copy = Path(folder) / "params.yaml"
        copy.write_text(text, encoding="utf-8")
        tree = cast(Tree, resolved(read_yaml(copy), copy))
    for key, value in best.values.items():
        if value_at(tree, key) != value:
            found = "not changed, as active_setting, or a merge or an alias of YAML, decides it"
            raise InputError(f"{search.file}: {key}", found, remedy=f"set it to {value} by hand where it is defined")
    write_whole(search.file, text)
    run = paths.RUNS / best.name
    if not run.exists():
        shutil.copytree(best.run, run)
    console.print(f"tune: {search.file} has its values now; `dtc train {search.kind}` restores the trained model")


def _places(key: str, parts: NamedParts) -> Iterator[str]:
    """Yield the dotted keys at which a params file may have the value of one of its keys, or hide it."""
    yield key
    yield f"settings.{parts.active_setting}.{key}"
    for layer, kind in LAYERS.items():
        for section in (kind, f"training.{kind}"):
            if key.startswith(f"{section}."):
                yield f"models.{parts.use_model}.{layer}.{key.removeprefix(f'{section}.')}"
