"""benchmarks/preprocess.py: what it says where it cannot begin. It is never timed in tests."""

import subprocess
import sys
from pathlib import Path

from tests.conftest import REPOSITORY


def test_without_a_sample_it_says_what_to_pass(tmp_path: Path) -> None:
    command = [sys.executable, REPOSITORY / "benchmarks/preprocess.py", "--sample", "nowhere.tar"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr == (
        "nowhere.tar: no such file; pass --sample FILE, a tar of LJ Speech's layout (metadata.csv and wavs/, "
        "22,050 Hz); librosa comes with the extra `bench`\n"
    )
