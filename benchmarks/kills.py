"""Trainings that are killed at random moments and continued, compared with one that is not disturbed.

    python benchmarks/kills.py [--kills 20] [--seed 1] [--kinds acoustic vocoder] [--processes 1 2]

`dtc train` trains tiny models with everything that has a state: average, plateau schedules, early stopping, the best
model by ear, discriminators. SIGKILL hits the command, or one of the processes that it starts, again and again until
the training ends; then it is compared, and the next one begins, until there are enough kills. The threads that read
ahead (none, or two) change with each start. Nothing may differ: weights, curve, figures, points of TensorBoard, events.
The processes are forked from one that has imported everything, which takes longer than such a training.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from forked import Forked, import_all
from loader import ROOT, SMOKE
from machine import write_results
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from dtc.model_card import ModelKind
from dtc.training.event_log import read_events
from dtc.training.run_files import EVENTS, TENSORBOARD

DEADLINE_S = 600.0  # of one start of the training
POLL_S = 0.005
BLOCKS = {"num_layers": 2, "dim": 16, "intermediate_dim": 24, "kernel_size": 3, "dropout_rate": 0.1}
PARALLEL = {
    "model": "parallel",
    "aligner": {
        "features": "cepstra",
        "steps": 7,
        "embedding_dim": 8,
        "hidden_dim": 12,
        "kernel_size": 3,
        "temper": 0.2,
    },
    "encoder": BLOCKS,
    "duration": BLOCKS,
    "decoder": BLOCKS,
    "duration_weight": 0.15,
}
DISCRIMINATORS = {
    "start_step": 5,
    "adversarial_weight": 1.0,
    "feature_matching_weight": 1.0,
    "discriminators": {"periods": [2, 3], "period_channels": [4, 8], "fft_sizes": [256], "spectrum_channels": 4},
}
PLATEAU = {
    "type": "reduce_lr_on_plateau",
    "metric": "loss",
    "factor": 0.5,
    "patience": 0,
    "min_delta": 0.1,
    "min_share": 0.01,
}
TRAINING = {
    "batch_size": 4,
    "overfit_batches": 3,
    "epochs": None,
    "max_steps": 24,
    "lr_scheduler": PLATEAU,
    "weight_average": 0.9,
}
HOW = {
    "tensorboard_update": 1,
    "epochs_test": 3,
    "predict": 7,
    "speak_every": 5,
    "epochs_save": 2,
    "keep_last": 2,
}
EAR = "word_error_rate"
EDITS: dict[str, Mapping[str, Any]] = {
    "split": {"validation_share": 0.01, "test_share": 0.49},  # few clips to validate and to speak
    "acoustic": PARALLEL,
    "vocoder": {"adversarial": DISCRIMINATORS, "dim": 16, "num_layers": 1, "segment_frames": 10, "mel_blur": 0.0},
    "training.acoustic": {
        **TRAINING,
        "keep_best": EAR,
        "early_stopping": {"metric": EAR, "patience": 2, "min_delta": 0.0},
    },
    "training.vocoder": {
        **TRAINING,
        "keep_best": "loss",
        "adversary": {
            "optimizer": {
                "type": "adam",
                "learning_rate": 1.0e-3,
                "betas": [0.8, 0.99],
                "eps": 1.0e-6,
                "weight_decay": 0.0,
                "decays": "all",
            },
            "lr_scheduler": {**PLATEAU, "factor": 0.7, "patience": 1},
        },
    },
    "run.acoustic": HOW,
    "run.vocoder": {**HOW, "speak_every": None},
}
BEGINNINGS = ("start", "resume")
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
OUTPUTS = ("models", "results/curves", "results/metrics")
Result = dict[str, object]


def main() -> None:
    """Kill, compare, print the counts and write results/benchmarks/kills.json; exit with 1 where something differs."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--kills", type=int, default=20, help="of each kind and number of processes")
    parser.add_argument("--seed", type=int, default=1, help="of the moments and of who is killed")
    parser.add_argument("--kinds", nargs="+", choices=("acoustic", "vocoder"), default=["acoustic", "vocoder"])
    parser.add_argument("--processes", nargs="+", type=int, default=[1, 2])
    arguments = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as name:
        write_params(Path(name), 1, 0)
        os.chdir(name)
        for stage in ("download", "verify", "preprocess"):
            subprocess.run(
                [sys.executable, "-m", "stages", stage], env=ENVIRONMENT, stdout=subprocess.DEVNULL, check=True
            )
        import_all()
        for kind in arguments.kinds:
            for processes in arguments.processes:
                case = Case(Path(name), kind, processes, arguments.seed)
                rows.append(case.killed(arguments.kills))
                print(json.dumps(rows[-1]), flush=True)
    print(write_results("kills", rows))
    sys.exit(any(row["different"] for row in rows))


def write_params(project: Path, processes: int, workers: int) -> None:
    """Write the preset smoke with tiny models, for a number of processes and of threads that read ahead."""
    tree = yaml.safe_load(SMOKE.read_text(encoding="utf-8"))
    for dotted, values in EDITS.items():
        section = tree
        for key in dotted.split("."):
            section = section[key]
        if "model" in values:
            section.clear()
        section.update(values)
    for how in (tree["run"]["acoustic"], tree["run"]["vocoder"]):
        for loader in how["dataloader"].values():
            loader["num_workers"] = workers
    tree["run"]["devices"]["processes"] = processes
    (project / "params.yaml").write_text(yaml.safe_dump(tree, sort_keys=False), encoding="utf-8")
    (project / "lexicon.txt").touch()


class Case:
    """The trainings of one kind of model by one number of processes.

    Args:
        project: a folder with features.
        kind: of the model.
        processes: that train it.
        seed: of the moments.
    """

    def __init__(self, project: Path, kind: ModelKind, processes: int, seed: int) -> None:
        self.project, self.kind, self.processes = project, kind, processes
        self.random, self.starts = random.Random(seed), 0

    def killed(self, kills: int) -> dict[str, object]:
        """Train once undisturbed, and then again and again, with so many kills; return the counts."""
        self.clear()
        began, _ = self.start(None)
        whole, whole_s = self.result(), time.monotonic() - began
        victims, trainings, different = Counter[str](), 0, list[str]()
        self.clear()
        while victims.total() < kills or any(self.runs()):
            delay = self.random.uniform(0.0, whole_s) if victims.total() < kills else None
            if victim := self.start(delay)[1]:
                victims[victim] += 1
                print(f"{self.kind}, {self.processes}: kill {victims.total()}, {victim}", flush=True)
                continue
            found = self.result()
            different += [name for name in sorted({*whole, *found}) if whole.get(name) != found.get(name)]
            trainings += 1
            print(f"{self.kind}, {self.processes}: training {trainings} compared, different: {different}", flush=True)
            self.clear()
        facts = {"kind": self.kind, "processes": self.processes, "trainings": trainings}
        return {**facts, "kills": dict(victims), "compared": len(whole), "different": different}

    def start(self, delay: float | None) -> tuple[float, str]:
        """Start the training, and kill a process of it so many seconds after it has begun or continued.

        Returns when it has begun, and which process was killed; "" where the training has ended before.
        """
        write_params(self.project, self.processes, workers=2 * (self.starts % 2))
        self.starts += 1
        before = self.record()
        from_training, to_us = os.pipe()
        training = Forked(["stages", "train", self.kind, "--device", "cpu"], ENVIRONMENT, to_us)
        os.close(to_us)
        deadline = time.monotonic() + DEADLINE_S
        while self.record() == before and training.poll() is None and time.monotonic() < deadline:
            time.sleep(POLL_S)
        began, victim = time.monotonic(), ""
        if delay is not None:
            time.sleep(delay)
            victim = self.kill_one_of(training.pid) if training.poll() is None else ""
        with os.fdopen(from_training) as pipe:
            printed = pipe.read()  # until no process holds its other end
        if (code := training.wait()) and not victim:
            raise RuntimeError(f"ended with {code}: {printed}")
        return began, victim

    def kill_one_of(self, command: int) -> str:
        """Kill a command, or one of the processes that it has started; return which."""
        children = Path(f"/proc/{command}/task/{command}/children").read_text().split()
        chosen = self.random.choice([command, *map(int, children)])
        os.kill(chosen, signal.SIGKILL)
        return "command" if chosen == command else f"process {children.index(str(chosen))}"

    def runs(self) -> list[Path]:
        """Return the folders of the runs of this kind: none, or one."""
        return list((self.project / "runs").glob(f"{self.kind}-*"))

    def record(self) -> tuple[int, ...]:
        """Return which file the events are in: it is a new one each time that a training begins or continues."""
        return tuple(path.stat().st_ino for run in self.runs() if (path := run / EVENTS).exists())

    def clear(self) -> None:
        """Delete the run and its outputs."""
        for folder in ("runs", *OUTPUTS):
            shutil.rmtree(self.project / folder, ignore_errors=True)

    def result(self) -> Result:
        """Return all that must be the same: outputs, points of TensorBoard and events, by name."""
        [run] = self.runs()
        files = [path for folder in OUTPUTS for path in (self.project / folder).rglob("*") if path.is_file()]
        outputs = {str(path.relative_to(self.project)): path.read_bytes() for path in files}
        events = [(each["event"], each["step"]) for each in read_events(run / EVENTS)]
        return {
            **outputs,
            **points(run / TENSORBOARD),
            "events": [each for each in events if each[0] not in BEGINNINGS],
        }


def points(folder: Path) -> Result:
    """Return tag → steps and values; of figures of the machine, the steps alone."""
    shown = EventAccumulator(str(folder), dict.fromkeys(("scalars", "images", "audio"), 0)).Reload()
    tags = shown.Tags()
    found: Result = {}
    for tag in tags["scalars"]:
        found[tag] = [(each.step, None if tag.startswith("run/") else each.value) for each in shown.Scalars(tag)]
    for tag in tags["images"]:
        found[tag] = [(each.step, each.encoded_image_string) for each in shown.Images(tag)]
    for tag in tags["audio"]:
        found[tag] = [(each.step, each.encoded_audio_string) for each in shown.Audio(tag)]
    return found


if __name__ == "__main__":
    main()
