"""Run the trials of a search by Ray Tune on this machine, show them in a table, and let ASHA stop those behind.

ASHA (Li et al. 2020, "A System for Massively Parallel Hyperparameter Tuning") compares trials at shares of their
training that grow by a factor, and stops those that are not among the best there. Ray's own store is not used: all that
a search knows is in the trials' folders, from which ASHA is told of trials that have ended before.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from subprocess import TimeoutExpired
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any

from filelock import FileLock, Timeout
from rich.console import Console
from rich.live import Live
from rich.table import Table

from dtc.errors import InputError, install_hint
from stages.tune_space import Resources, TuneConfig
from stages.tune_trial import DIVERGED, ENDED, LOCK, SAVING_S, State, Trial, last_line, start, stop

# Read when Ray is imported: no usage reports, no files of results, and Ctrl-C is ours. A last report has no objective.
os.environ.update(
    RAY_USAGE_STATS_ENABLED="0",
    RAY_AIR_NEW_OUTPUT="0",
    RAY_kill_child_processes_on_worker_exit="0",  # so that a training can save
    RAY_worker_niceness="0",  # of the processes that trainings start from: as of other processes
    RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO="0",
    TUNE_DISABLE_AUTO_CALLBACK_LOGGERS="1",
    TUNE_DISABLE_SIGINT_HANDLER="1",
    TUNE_DISABLE_STRICT_METRIC_CHECKING="1",
)
try:
    import ray
    from ray import tune
    from ray.tune.schedulers import ASHAScheduler
except ImportError:
    raise InputError("dtc tune", "ray[tune] is not installed", remedy=f"run {install_hint('ray')}") from None

OBJECTIVE, PERCENT = "objective", "percent"  # of the training that is done
POLL_S = 0.2  # between looks at a trial's curve


class Training(tune.Trainable):
    """A trial's training as Ray Tune sees it: each `step` waits for the next validation, and reports it."""

    def setup(  # type: ignore[override]  # with_parameters adds the arguments after config
        self, config: dict[str, Any], trials: Sequence[Trial], root: Path, resources: Resources
    ) -> None:
        """Start the training in a process of its own, in a folder below the project's folder, `root`."""
        self.trial, self.root = trials[config["number"] - 1], root
        self.folder = self.root / self.trial.folder
        self.process = start(self.folder, self.trial.kind, resources.cpu, resources.gpu > 0)
        self.reported = 0

    def step(self) -> dict[str, Any]:
        """Return the next validation; with the last one, or after it, how the training ended."""
        while True:
            ended = self.process.poll() is not None  # before the curve is read, so that no row is missed
            rows, (_, total) = self.trial.rows(self.root)[self.reported :], self.trial.progress(self.root)
            # A training is not over with its last validation: the model is still to be saved.
            if rows and total and (ended or rows[0][0] < total):
                self.reported += 1
                step, value = rows[0]
                report = {"step": step, PERCENT: 100 * step / total, OBJECTIVE: value, "state": "running"}
                return report | (self._end() if ended and len(rows) == 1 else {})
            if ended:
                return self._end()
            with contextlib.suppress(TimeoutExpired):
                self.process.wait(POLL_S)

    def _end(self) -> dict[str, Any]:
        code = self.process.returncode
        if code:
            return {"state": "failed", "reason": last_line(self.folder), "again": code != DIVERGED, "done": True}
        if not self.reported:
            reason = f"no validation of its curve has {self.trial.objective[0]}, but {self.trial.columns(self.root)}"
            return {"state": "failed", "reason": reason, "again": False, "done": True}
        return {"state": "finished", "done": True}

    def cleanup(self) -> None:
        """Have the training save and stop, where it goes on."""
        stop(self.process)


@dataclass
class Shown:
    """A trial as the table shows it."""

    state: State
    reason: str


class Board(tune.Callback):
    """The trials and their states: a table that is kept up to date on a terminal, or a line for each change."""

    def __init__(self, trials: Sequence[Trial], console: Console) -> None:
        self.trials, self.console = trials, console
        self.shown = {trial.number: Shown(*trial.state()) for trial in trials}
        self._live = Live(console=console, auto_refresh=False) if console.is_terminal else None

    def __getstate__(self) -> dict[str, Any]:
        """Return nothing: Ray stores its callbacks, and this one is never restored."""
        return {}

    def waiting(self) -> list[Trial]:
        """Return the trials that have not ended."""
        return [trial for trial in self.trials if self.shown[trial.number].state not in ENDED]

    @contextmanager
    def opened(self) -> Iterator[None]:
        """Keep the table on the terminal up to date inside this context."""
        with self._live or contextlib.nullcontext():
            yield

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Show that a trial has begun."""
        self._change(self._ours(trial), "running")

    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        """Show a validation, and note how a trial has ended. One that did not end by itself is stopped by ASHA."""
        ours: Trial = self._ours(trial)
        state, reason = result["state"], result.get("reason", "")
        if state == "running" and result.get("done"):
            state, reason = "stopped", f"others are better after {result[PERCENT]:.0f} % of the training"
        if state == "stopped" or (state == "failed" and not result["again"]):
            ours.note(state, reason, result.get("step"))
        self._change(ours, state, reason, f"step {result['step']}, {result[OBJECTIVE]:.5g}" if "step" in result else "")

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Show a trial whose process in Ray died."""
        self._change(self._ours(trial), "failed", "its process was killed, or ran out of memory")

    def _ours(self, trial: Any) -> Trial:
        return self.trials[trial.config["number"] - 1]

    def _change(self, trial: Trial, state: State, reason: str = "", value: str = "") -> None:
        self.shown[trial.number] = Shown(state, reason)
        if self._live:
            self._live.update(self.table(), refresh=True)
        else:
            facts = ", ".join(filter(None, (state, value, reason)))
            self.console.print(f"tune: trial {trial.number}: {facts}")

    def table(self) -> Table:
        """Return all trials, with their values and the objective."""
        keys = list(self.trials[0].values)
        table = Table("trial", "state", "step", self.trials[0].objective[0], *map(_short, keys), box=None)
        for trial in self.trials:
            (step, total), value = trial.progress(), trial.value()
            facts = (self.shown[trial.number].state, f"{step}/{total or '?'}", f"{value[1]:.5g}" if value else "–")
            table.add_row(str(trial.number), *facts, *(str(trial.values[key]) for key in keys))
        counted = Counter(shown.state for shown in self.shown.values())
        table.caption = ", ".join(f"{number} {state}" for state, number in counted.items())
        return table


def _short(key: str) -> str:
    """Return a dotted key without its section, as a column's title."""
    return key.removeprefix("training.").partition(".")[2]


def run_trials(trials: Sequence[Trial], config: TuneConfig, console: Console) -> Board:
    """Run the trials that have not ended, and return the states of all.

    Raises KeyboardInterrupt at Ctrl-C, after the trainings have saved; InputError where a trial asks for more than this
    machine has.
    """
    board = Board(trials, console)
    if not board.waiting():
        return board
    grace = max(1, round(100 * config.grace_share))
    scheduler = ASHAScheduler(
        PERCENT, OBJECTIVE, config.mode, 100, grace, config.reduction_factor, stop_last_trials=False
    )
    for trial in trials:
        if trial not in board.waiting():
            _tell(scheduler, trial)
    try:
        with _ray(config.resources), board.opened(), TemporaryDirectory() as store:
            _tuner(board, scheduler, config.resources, store).fit()
    except KeyboardInterrupt:
        _wait_until_saved(board.waiting())
        raise KeyboardInterrupt("tune: stopped, and the trials are saved") from None
    return board


def _tell(scheduler: ASHAScheduler, trial: Trial) -> None:
    """Tell ASHA of the validations of a trial that has ended before."""
    known: Any = SimpleNamespace(trial_id=trial.name)  # all that ASHA reads of a trial; of the controller, nothing
    controller: Any = None
    scheduler.on_trial_add(controller, known)
    _, total = trial.progress()
    for step, value in trial.rows():
        report = {PERCENT: 100 * step / max(total, step), OBJECTIVE: value}
        scheduler.on_trial_result(controller, known, report)


def _tuner(board: Board, scheduler: ASHAScheduler, resources: Resources, store: str) -> tune.Tuner:
    training = tune.with_parameters(Training, trials=board.trials, root=Path.cwd(), resources=resources)
    return tune.Tuner(
        tune.with_resources(training, {"cpu": resources.cpu, "gpu": resources.gpu}),
        param_space={"number": tune.grid_search([trial.number for trial in board.waiting()])},
        tune_config=tune.TuneConfig(scheduler=scheduler),
        run_config=tune.RunConfig(
            name="search",
            storage_path=store,
            checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),  # the trainings save by themselves
            callbacks=[board],
            verbose=0,
        ),
    )


@contextmanager
def _ray(resources: Resources) -> Iterator[None]:
    """Start Ray on this machine, and stop it at the end. Raises InputError where a trial does not fit the machine."""
    ray.init(address="local", include_dashboard=False, log_to_driver=False, logging_level=logging.CRITICAL)
    try:
        require_room(resources, ray.cluster_resources())
        yield
    except KeyboardInterrupt:
        sys.stderr.write("stopping the trials, which takes some seconds\n")
        raise
    finally:
        ray.shutdown()


def require_room(resources: Resources, there: Mapping[str, float]) -> None:
    """Raise InputError unless a trial fits the machine, whose resources Ray names."""
    for name, asked in (("CPU", resources.cpu), ("GPU", resources.gpu)):
        if asked > there.get(name, 0):
            found = f"{asked:g}, of {there.get(name, 0):g} on this machine"
            raise InputError(f"tune.resources.{name.lower()}", found, remedy="ask for no more than there is")


def _wait_until_saved(trials: Sequence[Trial]) -> None:
    """Wait for the trainings, which save and end when Ray's processes end."""
    for trial in trials:
        with contextlib.suppress(Timeout, FileNotFoundError), FileLock(trial.folder / LOCK, timeout=SAVING_S):
            pass
