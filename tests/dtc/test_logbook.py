"""The record of a training: events, figures and TensorBoard, with no gap and no double after a stop."""

import csv
import io
import json
import threading
from datetime import datetime
from itertools import pairwise
from pathlib import Path

import pytest
from rich.console import Console
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.summary.writer.event_file_writer import EventFileWriter
from tensorboard.summary.writer.record_writer import RecordWriter

from dtc.training.event_log import read_events
from dtc.training.interrupts import Interrupted
from dtc.training.logbook import Logbook
from dtc.training.loop import train
from tests.dtc.test_training import Toy, config, how, run, task, toy

EVERY = {"tensorboard_update": 3, "epochs_save": 2}


def steps_of(folder: Path, event: str) -> list[int]:
    return [each["step"] for each in read_events(folder / "progress.jsonl") if each["event"] == event]


def rows_of(folder: Path) -> list[dict[str, str]]:
    return list(csv.DictReader((folder / "history.csv").open()))


def test_each_event_is_a_line_with_its_time_and_the_figures_of_the_machine(tmp_path: Path) -> None:
    run(tmp_path, **EVERY)
    events = read_events(tmp_path / "progress.jsonl")
    assert events[0] | {"time": ""} == {"time": "", "event": "start", "step": 0, "total_steps": 12}
    assert all(
        datetime.fromisoformat(first["time"]) <= datetime.fromisoformat(second["time"])
        for first, second in pairwise(events)
    )
    assert steps_of(tmp_path, "train") == [3, 6, 9, 12]
    assert steps_of(tmp_path, "validation") == [5, 10, 12]
    assert steps_of(tmp_path, "checkpoint") == [2, 4, 6, 8, 10, 12]
    assert events[-1]["event"] == "end"
    row = next(event for event in events if event["event"] == "train")
    assert row["frames_per_s"] > 0
    assert 0 <= row["waiting_share"] <= 1
    assert row["memory_mb"] > 1
    assert f"{row['loss']:.6g}" == rows_of(tmp_path)[0]["loss"]
    assert not {"frames_per_s", "waiting_share", "memory_mb", "time"} & set(rows_of(tmp_path)[0])


def test_the_final_figures_are_those_of_the_curve(tmp_path: Path) -> None:
    run(tmp_path, **EVERY)
    last = {row["split"]: row for row in rows_of(tmp_path)}
    figures = json.loads((tmp_path / "metrics.json").read_text())
    assert figures == {
        "steps": 12,
        "kept_step": 12,
        **{split: {name: float(last[split][name]) for name in ("loss", "half")} for split in ("train", "validation")},
    }
    run(tmp_path / "again", **EVERY)
    assert (tmp_path / "again/metrics.json").read_bytes() == (tmp_path / "metrics.json").read_bytes()


def test_the_final_figures_are_of_the_step_that_is_kept(tmp_path: Path) -> None:
    run(tmp_path, keep_best="loss", weight_average=0.0, epochs_test=1)
    figures = json.loads((tmp_path / "metrics.json").read_text())
    losses = {int(row["step"]): float(row["loss"]) for row in rows_of(tmp_path) if row["split"] == "validation"}
    assert losses[figures["kept_step"]] == figures["validation"]["loss"] == min(losses.values())


def test_stopped_and_continued_there_is_no_gap_and_no_double(tmp_path: Path) -> None:
    with pytest.raises(Interrupted):
        run(tmp_path, toy(kill_at=4, poison="ctrl-c"), **EVERY)
    assert steps_of(tmp_path, "interrupted") == [4]
    with (tmp_path / "progress.jsonl").open("a") as file:  # of a process that went on and was killed
        for step, event in ((5, "validation"), (6, "train"), (6, "checkpoint"), (12, "end")):
            file.write(json.dumps({"time": "", "event": event, "step": step}) + "\n")
        file.write('{"time": "20')
    run(tmp_path, **EVERY)
    assert steps_of(tmp_path, "start") == [0]
    assert steps_of(tmp_path, "resume") == [4]
    assert steps_of(tmp_path, "interrupted") == [4]
    assert steps_of(tmp_path, "train") == [3, 6, 9, 12]
    assert steps_of(tmp_path, "validation") == [5, 10, 12]
    assert steps_of(tmp_path, "checkpoint") == [2, 4, 6, 8, 10, 12]
    assert steps_of(tmp_path, "end") == [12]
    shown = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    for tag in ("loss/train", "grad_norm/train", "lr/train", "run/frames_per_s", "run/waiting_share", "run/memory_mb"):
        assert [point.step for point in shown.Scalars(tag)] == [3, 6, 9, 12], tag
    assert [point.step for point in shown.Scalars("loss/validation")] == [5, 10, 12]


def test_points_are_written_before_a_checkpoint_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """TensorBoard's writer is a thread, here one that waits: a kill loses what is in its queue."""
    logbook, told = Logbook(tmp_path, "toy", Console(quiet=True)), threading.Event()
    write, flush = RecordWriter.write, EventFileWriter.flush
    with logbook.opened(0, 3):
        monkeypatch.setattr(RecordWriter, "write", lambda *given: (told.wait(60), write(*given)))
        monkeypatch.setattr(EventFileWriter, "flush", lambda *given: (told.set(), flush(*given)))
        for step in (1, 2, 3):
            logbook.scalars(step, "train", {"loss": 1.0})
        logbook.sync()
        was_told = told.is_set()
        told.set()
        shown = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
        assert was_told
        assert [point.step for point in shown.Scalars("loss/train")] == [1, 2, 3]


def test_what_is_done_again_after_a_kill_is_no_double(tmp_path: Path) -> None:
    """Two reviews of step 4 are due: the process that does them is killed before a checkpoint, and so is the next."""
    logbook = Logbook(tmp_path, "toy", Console(quiet=True))
    with logbook.opened(0, 6):
        logbook.scalars(4, "train", {"loss": 4.0})
    for due, splits in ((2, ["validation"]), (2, ["validation"]), (1, ["spoken", "later"]), (1, ["spoken"]), (0, [])):
        with logbook.opened(4, 6, ["validation", "spoken"][2 - due :]):
            for split in splits:
                logbook.scalars(5 if split == "later" else 4, split, {"loss": float(due)})
            logbook.end(4, 4)  # and after that, before the model is saved
    shown = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    found = {tag: [(point.step, point.value) for point in shown.Scalars(tag)] for tag in shown.Tags()["scalars"]}
    finals = {tag: points for tag, points in found.items() if tag.startswith("final/")}
    assert finals
    assert all(len(points) == 1 for points in finals.values())
    assert {tag: points for tag, points in found.items() if tag not in finals} == {
        "loss/train": [(4, 4.0)],
        "loss/validation": [(4, 2.0)],
        "loss/spoken": [(4, 1.0)],
    }


def test_a_training_that_starts_over_has_no_events_of_the_one_before(tmp_path: Path) -> None:
    with pytest.raises(Interrupted):
        run(tmp_path, toy(kill_at=4, poison="ctrl-c"), **EVERY)
    run(tmp_path, load_model=False, **EVERY)
    assert steps_of(tmp_path, "start") == [0]
    assert steps_of(tmp_path, "interrupted") == []
    assert steps_of(tmp_path, "train") == [3, 6, 9, 12]


def test_tensorboard_has_the_settings_beside_the_final_figures(tmp_path: Path) -> None:
    logbook = Logbook(tmp_path, "toy", Console(quiet=True), {"training.seed": 7, "training.betas": [0.9, 0.99]})
    train(task(toy()), config(), how(**EVERY), tmp_path, logbook)
    shown = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert "_hparams_/session_start_info" in shown.summary_metadata
    [figure] = shown.Scalars("final/validation loss")
    assert figure.value == pytest.approx(float({row["split"]: row for row in rows_of(tmp_path)}["validation"]["loss"]))


class InPhases(Toy):
    phase_starts = (4, 9)


def test_a_phase_that_begins_is_announced(tmp_path: Path) -> None:
    printed = io.StringIO()
    run(tmp_path, InPhases(), Console(file=printed, width=200), **EVERY)
    lines = [line for line in printed.getvalue().splitlines() if "phase" in line]
    assert lines == [
        f"toy: step {step}: phase {number} of 3 begins; the schedule of the learning rate starts anew"
        for step, number in ((4, 2), (9, 3))
    ]
    assert steps_of(tmp_path, "phase") == [4, 9]


def test_a_process_that_ends_at_once_shows_the_cursor_again(tmp_path: Path) -> None:
    hide, show = "\x1b[?25l", "\x1b[?25h"
    screen = io.StringIO()
    logbook = Logbook(tmp_path, "toy", Console(file=screen, force_terminal=True, width=100, legacy_windows=False))
    with logbook.opened(0, 3):
        assert hide in screen.getvalue()
        assert show not in screen.getvalue()
        logbook.leave()
        assert screen.getvalue().endswith(show)
