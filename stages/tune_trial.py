"""One trial of a search: an ordinary training in a folder of its own, and a process that does it.

A trial's folder is runs/tune/NAME, where NAME is that of the run which `dtc train` makes with the same values:

    params.yaml         the project's params with the trial's values
    trial.json          whether and why the trial has ended before its training was finished
    log.txt             the output of the training
    runs/NAME/          the run: checkpoints and curve
    models/, results/   the trained model and its curve
    (the other names)   links to the project's files and folders, which a training reads

Run as `python -m stages.tune_trial KIND DEVICE` in a trial's folder, it trains, and saves and stops when its standard
input is closed. So a trial never outlives the process that started it, however that ended.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import yaml
from filelock import FileLock

from dtc.files import write_whole
from dtc.model_card import ModelKind
from dtc.training.curve import read_curve
from dtc.training.run_files import CURVE
from stages import paths
from stages.run_folders import read_run

TRIALS = paths.RUNS / "tune"
STATE, LOG, LOCK = "trial.json", "log.txt", ".lock"
NOT_LINKED = {"runs", "models", "results", paths.PARAMS.name}  # what a training writes
State = Literal["waiting", "running", "finished", "stopped", "failed"]
ENDED = ("finished", "stopped", "failed")
PREVIOUS_S, SAVING_S = 60, 60  # for the process that had the folder before, and for a process to save and end
DIVERGED = 1  # exit code of a training that diverges, and would do so again


@dataclass(frozen=True)
class Trial:
    """A trial: its place in the search, its values, and the name of its run.

    Args:
        number: from 1.
        values: dotted key of params.yaml → value.
        kind: acoustic or vocoder.
        name: of the run.
        objective: the column of the curve by which trials are compared, and min or max.
        keeps_best: whether the training keeps the best weights, and not the last.
    """

    number: int
    values: Mapping[str, Any]
    kind: ModelKind
    name: str
    objective: tuple[str, str]
    keeps_best: bool = False

    @property
    def folder(self) -> Path:
        """Return the trial's folder, relative to the project's."""
        return TRIALS / self.name

    @property
    def run(self) -> Path:
        """Return the folder of its run."""
        return self.folder / "runs" / self.name

    def rows(self, root: Path = Path()) -> list[tuple[int, float]]:
        """Return (step, objective) of the validations that have one, up to the step at which the trial was stopped."""
        last, column = self._noted(root).get("step"), self.objective[0]
        found = [row for row in read_curve(root / self.run / CURVE) if row["split"] == "validation" and row.get(column)]
        rows = [(int(row["step"]), float(row[column])) for row in found]
        return [row for row in rows if last is None or row[0] <= last]

    def columns(self, root: Path) -> str:
        """Return the names of the values that its curve has."""
        rows = read_curve(root / self.run / CURVE)
        return ", ".join(name for name in (rows[0] if rows else ()) if name not in ("step", "split")) or "no values"

    def value(self) -> tuple[int, float] | None:
        """Return (step, objective) of the weights that the training keeps, or has so far; None before a validation."""
        rows = self.rows()
        if not rows or not self.keeps_best:
            return rows[-1] if rows else None
        return (min if self.objective[1] == "min" else max)(rows, key=lambda row: row[1])

    def progress(self, root: Path = Path()) -> tuple[int, int]:
        """Return the number of steps at the last checkpoint, and that of the whole training."""
        run = read_run(root / self.run)
        return run.step, run.total_steps

    def state(self) -> tuple[State, str]:
        """Return whether the trial has ended, by what its folder holds, and why, where it did not finish."""
        noted = self._noted()
        if "state" in noted:
            return noted["state"], noted.get("reason", "")
        return ("finished" if read_run(self.run).finished else "waiting"), ""

    def note(self, state: State, reason: str, step: int | None = None) -> None:
        """Note how the trial ended. One that was stopped, as others were better, is so for this objective alone."""
        noted = {"state": state, "reason": reason, "step": step, "objective": self.objective}
        write_whole(self.folder / STATE, json.dumps(noted) + "\n")

    def _noted(self, root: Path = Path()) -> dict[str, Any]:
        try:
            noted = json.loads((root / self.folder / STATE).read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        other = noted["state"] == "stopped" and tuple(noted["objective"]) != self.objective
        return {} if other else noted


def prepare(folder: Path, kind: ModelKind, params: object, project: Path) -> None:
    """Make a trial's folder: its params, and links to what the training reads, but not to what it writes.

    Args:
        folder: the trial's folder.
        kind: acoustic or vocoder, whose model the training writes.
        params: the content of params.yaml.
        project: the project's folder.
    """
    models = folder / paths.MODELS
    models.mkdir(parents=True, exist_ok=True)
    read = [(path, folder) for path in project.iterdir() if path.name not in NOT_LINKED and path.name[0] != "."]
    if (others := project / paths.MODELS).is_dir():
        read += [(path, models) for path in others.iterdir() if path.name != kind and path.name[0] != "."]
    for path, place in read:
        link = place / path.name
        if not link.is_symlink():
            link.symlink_to(path.resolve())
    write_whole(folder / paths.PARAMS, yaml.safe_dump(params, sort_keys=False, allow_unicode=True))


def start(folder: Path, kind: ModelKind, cpu: int, on_gpu: bool) -> subprocess.Popen[bytes]:
    """Start the training of a trial. It saves and stops when the returned process's `stdin` is closed."""
    code = str(Path(__file__).parents[1])
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join(filter(None, (code, os.environ.get("PYTHONPATH")))),
        "OMP_NUM_THREADS": str(cpu),  # on which the last bits of the weights depend
    }
    command = [sys.executable, "-m", "stages.tune_trial", kind, "auto" if on_gpu else "cpu"]
    with (folder / LOG).open("ab") as log:
        return subprocess.Popen(
            command,
            cwd=folder,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            start_new_session=True,  # Ctrl-C in the terminal is for the search alone, which closes standard input
        )


def stop(process: subprocess.Popen[bytes]) -> None:
    """Have a training save and stop; end it where it does not."""
    assert process.stdin is not None
    process.stdin.close()
    try:
        process.wait(SAVING_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def last_line(folder: Path) -> str:
    """Return the last line that a trial's training has printed."""
    lines = (folder / LOG).read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return lines[-1].removeprefix("dtc: ") if lines else "it printed nothing"


def main() -> None:
    """Train in the working folder until the training or standard input ends."""
    kind, device = sys.argv[1:]
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})  # which Ray's processes block
    with FileLock(LOCK, timeout=PREVIOUS_S):
        threading.Thread(target=_stop_with_parent, daemon=True).start()
        from stages.__main__ import main as run

        sys.argv = ["dtc", "train", kind, "--device", device]
        run()


def _stop_with_parent() -> None:
    """Wait until the other end of standard input is closed; then stop as at SIGTERM, or at once after a while."""
    os.read(sys.stdin.fileno(), 1)  # nothing is ever written
    os.kill(os.getpid(), signal.SIGTERM)
    threading.Event().wait(SAVING_S)
    os._exit(DIVERGED)


if __name__ == "__main__":
    main()
