"""dtc.processes: Ctrl-C ends a pool at once, without a traceback of its workers."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

MASTER = """
import multiprocessing, pathlib, signal
from dtc.processes import process_pool

LARGE = bytes(1_000_000)  # more than a pipe holds: such calls wait in a thread until a worker reads them

def wait(content):
    pathlib.Path("at work").touch()
    signal.pause()

if __name__ == "__mp_main__" and pathlib.Path("slow").exists():
    pathlib.Path("at work").touch()
    while True:
        signal.pause()
if __name__ == "__main__":
    try:
        with process_pool(1, multiprocessing.get_context("spawn"), print) as submit:
            [call.result() for call in [submit(wait, LARGE) for _ in range(4)]]
    except KeyboardInterrupt:
        print("interrupted")
"""


@pytest.mark.skipif(sys.platform == "win32", reason="a process group gets the signal")
@pytest.mark.parametrize("slow", [True, False], ids=["while it imports", "while it works"])
def test_ctrl_c_ends_spawned_workers(tmp_path: Path, slow: bool) -> None:
    (tmp_path / "master.py").write_text(MASTER)
    if slow:
        (tmp_path / "slow").touch()
    master = subprocess.Popen(
        [sys.executable, "master.py"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
        start_new_session=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    while not (tmp_path / "at work").exists():
        assert master.poll() is None
        time.sleep(0.01)  # real processes: there is nothing else to wait on
    os.killpg(master.pid, signal.SIGINT)
    printed, errors = master.communicate(timeout=60)
    assert (printed.strip(), errors) == ("interrupted", "")
