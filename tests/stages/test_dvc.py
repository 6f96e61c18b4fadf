"""dvc.yaml: its code dependencies are those of the import graph, and its commands run the working folder's code."""

import csv
import functools
import operator
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from stages.dvc_dependencies import STAGES, code_of, main, rewritten
from tests.conftest import REPOSITORY, Project, write_corpus
from tests.e2e.clone import clone_into, repro

TEXT = (REPOSITORY / "dvc.yaml").read_text()
PIPELINE = yaml.safe_load(TEXT)["stages"]


def test_the_code_dependencies_are_those_of_the_import_graph() -> None:
    assert rewritten(TEXT) == TEXT, "run `python -m stages.dvc_dependencies`"


def test_rewriting_adds_what_is_missing_and_drops_what_is_not_imported() -> None:
    for line in ("      - dtc/audio.py\n", "      - dtc/acoustic/parallel.py\n"):
        assert line in TEXT
        assert rewritten(TEXT.replace(line, "")) == TEXT
    assert rewritten(TEXT.replace("    deps:\n", "    deps:\n      - stages/convert.py\n")) == TEXT


@pytest.mark.parametrize(("argument", "code"), [("--help", 0), ("--nonsense", 2)])
def test_its_help_rewrites_nothing(monkeypatch: pytest.MonkeyPatch, argument: str, code: int) -> None:
    monkeypatch.setattr(sys, "argv", ["dvc_dependencies", argument])
    monkeypatch.setattr(Path, "write_text", lambda *_, **__: pytest.fail("dvc.yaml is rewritten"))
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == code


def test_every_stage_is_one_command_of_the_working_folder() -> None:
    assert PIPELINE.keys() == STAGES.keys()
    for name, stage in PIPELINE.items():
        assert stage["cmd"] == f"python -m stages {name.replace('train_', 'train ')}"


def test_a_stage_depends_on_what_it_imports_and_not_on_what_it_does_not() -> None:
    assert "pipeline/verify.py" in code_of("verify")
    assert {"dtc/vocoder/vocos.py", "dtc/vocoder/waveglow.py"} <= set(code_of("train_vocoder"))
    assert "dtc/vocoder/adversarial.py" in code_of("train_vocoder")  # of one vocoder, and imported by it
    assert not [path for stage in STAGES for path in code_of(stage) if path.startswith("stages/cli")]
    assert not [path for path in code_of("download") if path.startswith("dtc/acoustic")]


@pytest.mark.parametrize("preset", sorted((REPOSITORY / "stages/presets").iterdir()), ids=lambda path: path.stem)
def test_every_preset_has_the_keys_and_files_that_the_stages_depend_on(preset: Path) -> None:
    params = yaml.safe_load(preset.read_text())
    for key in set(re.findall(r"\$\{([^}]*)\}", TEXT)):
        assert isinstance(functools.reduce(operator.getitem, key.split("."), params), str), key
    for stage in PIPELINE.values():
        for key in stage.get("params", []):
            functools.reduce(operator.getitem, key.split("."), params)


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A second clone of the repository, with twelve tones as its corpus; the environment is that of this checkout."""
    folder = clone_into(tmp_path / "clone")
    Project(folder, write_corpus(tmp_path / "recordings")).write_params()
    return folder


def edit_verify(clone: Path) -> None:
    """Have `dtc verify` of this clone give its summary another title."""
    file = clone / "stages/verify.py"
    code = file.read_text()
    assert code.count("Corpus {") == 1
    file.write_text(code.replace("Corpus {", "Edited corpus {"))


def test_a_second_clone_runs_its_own_code(clone: Path) -> None:
    edit_verify(clone)
    assert repro(clone, "verify")[0] == ["download", "verify"]
    assert "Edited corpus tones" in (clone / "results/corpus.md").read_text()


def run_in(clone: Path, *command: str) -> str:
    environment = os.environ | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "DVC_NO_ANALYTICS": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
    }
    environment.pop("PYTHONPATH", None)
    done = subprocess.run(command, cwd=clone, env=environment, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def commit_all(clone: Path) -> None:
    for key, value in (("user.name", "a"), ("user.email", "a@b.c"), ("commit.gpgsign", "false")):
        run_in(clone, "git", "config", key, value)
    run_in(clone, "git", "add", "--all")
    run_in(clone, "git", "commit", "--quiet", "--message", "first")


@pytest.mark.slow
def test_queued_experiments_run_with_their_values_and_with_the_code_that_was_queued(clone: Path) -> None:
    with (clone / "params.yaml").open("a") as file:  # with which DVC has to cope
        file.write("tune:\n  num_samples: 2\n  training.acoustic.grad_max_norm: {uniform: [0.5, 1.0]}\n")
    commit_all(clone)
    edit_verify(clone)
    run_in(clone, "dvc", "exp", "run", "--queue", "--name", "edited", "verify")
    run_in(clone, "git", "checkout", "stages/verify.py")
    run_in(clone, "dvc", "exp", "run", "--queue", "-S", "verify.max_duration_s=18", "verify")
    run_in(clone, "dvc", "exp", "run", "--run-all")

    rows = list(csv.DictReader(run_in(clone, "dvc", "exp", "show", "--csv").splitlines()))
    shown = ("verify.max_duration_s", "State", "results/metrics/corpus.json:clips")
    ran = {tuple(row[column] for column in shown) for row in rows if row["typ"].startswith("branch")}
    assert ran == {("20.0", "Success", "12"), ("18", "Success", "12")}, rows
    [experiment] = run_in(clone, "git", "for-each-ref", "--format=%(refname)", "refs/exps/*/*/edited").split()
    assert "Edited corpus tones" in run_in(clone, "git", "show", f"{experiment}:results/corpus.md")
