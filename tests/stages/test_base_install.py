"""What the base of the distribution installs is enough to speak, and a missing extra is named in one line.

The packages of the extra `train` are hidden from a real process, as if they were not installed.
"""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MODELS = ROOT / "tests/models/format-4"
IMPORT_NAMES = {"pyyaml": "yaml"}


def names_of(requirements: list[str]) -> list[str]:
    names = [requirement.partition(">=")[0].partition("==")[0] for requirement in requirements]
    return [IMPORT_NAMES.get(name, name) for name in names]


def run_with_the_base_alone(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    train = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]["train"]
    hide = f"import sys; sys.modules.update(dict.fromkeys({names_of(train)!r})); sys.argv[:] = {['dtc', *arguments]!r}"
    code = f"{hide}; from stages.__main__ import main; main()"
    return subprocess.run(
        [sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, timeout=120, check=False
    )


def test_the_base_speaks(tmp_path: Path) -> None:
    done = run_with_the_base_alone(tmp_path, "say", "one", "--models", str(MODELS), "--device", "cpu")
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "spoken/001-one.wav").is_file()
    code = f"from dtc import Voice; Voice.load({str(MODELS)!r}).speak('one').save('one.wav')"
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True, timeout=120)
    assert (tmp_path / "one.wav").is_file()


@pytest.mark.parametrize("command", [("train", "acoustic"), ("evaluate",), ("download",)])
def test_a_missing_extra_is_named(tmp_path: Path, command: tuple[str, ...]) -> None:
    (tmp_path / "params.yaml").write_text((ROOT / "params.yaml").read_text())
    done = run_with_the_base_alone(tmp_path, *command)
    assert done.returncode == 2
    assert done.stderr.endswith(" is not installed; run pip install 'dueling-turing-classifier[train]'\n")
    assert done.stderr.startswith(f"dtc: dtc {command[0]}: ")
    assert done.stderr.count("\n") == 1
