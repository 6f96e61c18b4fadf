"""`dtc tune`: trials that are ordinary trainings, and a search that is interrupted, killed and continued."""

import csv
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from dtc.errors import InputError
from stages.tune_space import Resources
from stages.tune_trial import Trial, prepare
from tests.conftest import REPOSITORY, Project
from tests.stages.test_tune_space import with_section

RATE = "training.vocoder.optimizer.learning_rate"
GOOD, BAD, DIVERGING = 0.003, 1e-9, 1e30  # the preset has 0.002
STEPS, VALIDATED = 160, 20
SHORT = {
    "training.vocoder.epochs": None,
    "training.vocoder.max_steps": STEPS,
    "run.vocoder.epochs_test": VALIDATED,
    "run.vocoder.epochs_save": VALIDATED,
    "run.vocoder.predict": STEPS,
}


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory, make_corpus: Any) -> Iterator[Project]:
    """A project with features and the section `tune`, whose trials run one after another."""
    pytest.importorskip("pandas")
    pytest.importorskip("ray")
    root = tmp_path_factory.mktemp("searched")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        project = Project(root, make_corpus(root / "recordings"))
        rates = {RATE: {"choice": [GOOD, BAD, DIVERGING]}}
        section = {"num_samples": 3, "seed": 7, "resources": {"cpu": os.cpu_count()}, "reduction_factor": 2.0, **rates}
        with_section(project, section, SHORT)
        for stage in ("download", "verify", "preprocess"):
            project.run(stage)
        yield project


ENVIRONMENT = os.environ | {"PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": str(os.cpu_count())}


def search() -> "subprocess.Popen[str]":
    command = [sys.executable, "-u", "-m", "stages", "tune", "vocoder"]
    return subprocess.Popen(
        command, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )


def read_until(process: "subprocess.Popen[str]", words: str) -> list[str]:
    """Return the lines that a process prints up to one with these words."""
    lines: list[str] = []
    assert process.stdout
    for line in process.stdout:
        lines.append(line)
        if words in line:
            return lines
    pytest.fail("".join(lines))


def curve_and_model(folder: Path) -> tuple[bytes, bytes]:
    return (folder / "results/curves/vocoder.csv").read_bytes(), (
        folder / "models/vocoder/model.safetensors"
    ).read_bytes()


@pytest.mark.slow
@pytest.mark.timeout(900)  # three starts of Ray, which take long on a busy machine
def test_a_search_is_continued_after_ctrl_c_and_after_a_kill(searched: Project) -> None:
    interrupted = search()
    read_until(interrupted, f"trial 1: running, step {VALIDATED}")
    interrupted.send_signal(signal.SIGINT)
    output, _ = interrupted.communicate(timeout=120)
    assert interrupted.returncode == 130
    assert output.endswith("dtc: tune: stopped, and the trials are saved; `dtc tune vocoder` continues\n")

    killed = search()
    read_until(killed, f"trial 1: running, step {2 * VALIDATED}")
    killed.kill()
    killed.communicate(timeout=120)

    output, _ = search().communicate(timeout=280)
    [first] = [file.parent for file in Path("runs/tune").glob("*/params.yaml") if rate_in(file) == GOOD]
    log = (first / "log.txt").read_text()
    assert len(re.findall(r"stopped at step \d+ of 160, saved", log)) == 2, "after Ctrl-C and after the kill"
    assert len(re.findall(r"continuing from step \d+ of 160", log)) == 2
    assert_results(output)

    applied = searched.run("tune", "vocoder", "--apply")
    assert "tune: params.yaml has its values now" in applied
    text = Path("params.yaml").read_text()
    assert "# A search." in text
    assert rate_in(Path("params.yaml")) == GOOD
    assert f"restored from runs/{first.name}" in searched.run("train", "vocoder")
    assert curve_and_model(Path()) == curve_and_model(first)

    searched.run("runs", "--prune", "--yes", first.name)
    subprocess.run([sys.executable, "-m", "stages", "train", "vocoder"], env=ENVIRONMENT, check=True, timeout=280)
    assert curve_and_model(Path()) == curve_and_model(first), "a trial is an ordinary training"


def rate_in(file: Path) -> float:
    return yaml.safe_load(file.read_text())["training"]["vocoder"]["optimizer"]["learning_rate"]


def assert_results(output: str) -> None:
    """Trial 1 has finished, the worse one is stopped at its first validation, and the last one has failed."""
    assert re.search(r"tune: trial \d is the best; results/tune/best.yaml, ", output), output
    assert yaml.safe_load(Path("results/tune/best.yaml").read_text()) == {RATE: GOOD}
    rows = list(csv.DictReader(Path("results/tune/trials.csv").read_text().splitlines()))
    assert [(row["state"], row["step"], float(row[RATE])) for row in rows] == [
        ("finished", str(STEPS), GOOD),
        ("stopped", str(VALIDATED), BAD),
        ("failed", "", DIVERGING),
    ]
    assert rows[1]["reason"] == "others are better after 12 % of the training"
    assert "step 1" in rows[2]["reason"]
    assert "data:image/png" in Path("results/tune/report.html").read_text()


@pytest.mark.slow
def test_a_column_that_the_curve_does_not_have(searched: Project) -> None:
    from stages.tune_ray import Training

    trial = Trial(1, {}, "vocoder", "vocoder-0000000000000000", ("word_errors", "min"))
    params = yaml.safe_load(Path("params.yaml").read_text())
    params["training"]["vocoder"]["max_steps"] = 2
    del params["tune"]
    prepare(trial.folder, "vocoder", params, Path.cwd())
    training = object.__new__(Training)
    training.setup({"number": 1}, [trial], Path.cwd(), Resources())
    end = training.step()
    assert (end["state"], end["done"]) == ("failed", True)
    assert end["reason"].startswith("no validation of its curve has word_errors")


def test_more_cores_than_there_are() -> None:
    pytest.importorskip("pandas")
    from stages.tune_ray import require_room

    with pytest.raises(
        InputError, match=r"^tune\.resources\.gpu: 1, of 0 on this machine; ask for no more than there is$"
    ):
        require_room(Resources(cpu=2, gpu=1.0), {"CPU": 2.0})
    require_room(Resources(cpu=2, gpu=0.5), {"CPU": 2.0, "GPU": 1.0})
