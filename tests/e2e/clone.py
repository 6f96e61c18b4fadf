"""A stranger's clone of the repository, and DVC in it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def clone_into(folder: Path) -> Path:
    """What `git clone` would give. The working tree is copied, so that what is tested is what lies here."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split("\0")
    for name in filter(None, listed):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, folder / name)
    subprocess.run(["git", "init", "--quiet"], cwd=folder, check=True)
    return folder


def repro(clone: Path, *targets: str) -> tuple[list[str], str]:
    """Run `dvc repro`: the stages that it ran, and all that was printed."""
    environment = os.environ | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "DVC_NO_ANALYTICS": "1",
        "no_proxy": "127.0.0.1",
    }
    environment.pop("PYTHONPATH", None)  # the commands run the clone's code by themselves
    done = subprocess.run(
        ["dvc", "repro", *targets], cwd=clone, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return [line.split("'")[1] for line in done.stdout.splitlines() if line.startswith("Running stage")], done.stdout
