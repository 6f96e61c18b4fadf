"""The wheel of the working tree in a fresh environment, outside the checkout."""

import os
import subprocess
import sys
import sysconfig
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.e2e.clone import clone_into

BUILD = "import sys; from setuptools import build_meta; getattr(build_meta, sys.argv[1])(sys.argv[2])"


@dataclass(frozen=True)
class Installed:
    """An environment with the wheel, and the wheel."""

    folder: Path
    wheel: Path

    @property
    def packages(self) -> Path:
        """The folder in which the wheel is installed."""
        return next(self.folder.glob("lib/python*/site-packages"))

    @property
    def environment(self) -> Mapping[str, str]:
        """The variables of a shell in which the environment is activated."""
        known = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        path = (str(self.folder / "bin"), str(Path(sys.executable).parent), known["PATH"])
        return known | {"PATH": os.pathsep.join(path), "DVC_NO_ANALYTICS": "1", "GIT_CONFIG_GLOBAL": os.devnull}

    def run(self, folder: Path, *command: str, code: int = 0) -> str:
        """Run a command in a folder; what it printed."""
        done = subprocess.run(
            command, cwd=folder, env=self.environment, capture_output=True, text=True, timeout=240, check=False
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr


def install(folder: Path) -> Installed:
    """Build an sdist, a wheel from it, and install that into a fresh environment.

    To save minutes, the other packages are not installed again: a .pth file adds the folder of those that the tests run
    with. Such a file does not load the editable installation of the checkout, whose own .pth file is not read.
    """
    source = clone_into(folder / "source")
    build(source, "build_sdist", folder)
    with tarfile.open(next(folder.glob("*.tar.gz"))) as sdist:
        sdist.extractall(folder / "unpacked")
    build(next((folder / "unpacked").iterdir()), "build_wheel", folder)
    made = Installed(folder / "environment", next(folder.glob("*.whl")))
    run = [sys.executable, "-m", "venv", "--without-pip", str(made.folder)]
    subprocess.run(run, check=True)
    python = made.folder / "bin/python"
    run = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--no-deps", "--no-index"]
    subprocess.run([*run, str(made.wheel)], check=True)
    (made.packages / "packages-of-the-tests.pth").write_text(f"{sysconfig.get_path('purelib')}\n")
    return made


def build(source: Path, what: str, folder: Path) -> None:
    subprocess.run([sys.executable, "-c", BUILD, what, str(folder)], cwd=source, capture_output=True, check=True)
