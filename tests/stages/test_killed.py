"""`dtc preprocess`, killed by SIGKILL at any moment and run again, ends in the bytes of an undisturbed run."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY, Project, write_corpus

pytestmark = pytest.mark.slow

KILLS = 10
SEED = 1
POLL_S = 0.005  # between looks at how far a process has come, which take time from it
CLIPS = 60  # in shards of two: thirty, so that most moments find some finished and some not


@pytest.fixture
def verified(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project that is ready to be preprocessed."""
    monkeypatch.chdir(tmp_path)
    project = Project(tmp_path, write_corpus(tmp_path / "recordings", CLIPS))
    project.write_params({"features.clips_per_shard": 2, "features.stft": True})
    project.run("download")
    project.run("verify")
    return project


def test_killed_at_ten_random_moments(verified: Project, tmp_path_factory: pytest.TempPathFactory) -> None:
    copies = tmp_path_factory.mktemp("killed")
    done = subprocess.run(
        [sys.executable, REPOSITORY / "tests/stages/killed_at_random.py", verified.root, copies, str(KILLS), str(SEED)],
        capture_output=True,
        text=True,
        cwd=REPOSITORY,
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) >= KILLS // 4, "killed before they ended"
    whole = Project(copies / "0", verified.corpus).contents("data")
    assert len([name for name in whole if name.endswith(".tar") and "features" in name]) >= CLIPS // 2
    for number in range(1, KILLS + 1):
        copy = Project(copies / str(number), verified.corpus)
        os.chdir(copy.root)
        assert copy.contents("data/features") in ({}, contents_under(whole, "data/features")), "never half a folder"
        copy.run("preprocess")
        assert copy.contents("data") == whole


def contents_under(contents: dict[str, bytes], folder: str) -> dict[str, bytes]:
    return {path: content for path, content in contents.items() if path.startswith(folder + "/")}


STOPPED = re.compile(r"dtc: preprocess: stopped with \d+ of 31 shards finished; `dtc preprocess` continues\n")


def test_ctrl_c_while_the_workers_start(verified: Project) -> None:
    """As a terminal sends it, to all processes at once: one line, exit code 130, and it does end."""
    verified.write_params({"features.clips_per_shard": 2, "distributed.workers": 2})
    process = subprocess.Popen(
        [sys.executable, "-c", "from stages.cli import app; app()", "preprocess"],
        start_new_session=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
        stderr=subprocess.PIPE,
    )
    while not workers_importing(process.pid):
        assert process.poll() is None, "it ended before it was interrupted"
        time.sleep(POLL_S)
    os.killpg(process.pid, signal.SIGINT)
    _, printed = process.communicate(timeout=60)
    assert process.returncode == 130
    assert STOPPED.fullmatch(printed)


def test_sigterm_with_workers_is_as_quiet_as_ctrl_c(verified: Project) -> None:
    """As a batch system sends it, to the command alone: while the workers start, and later."""
    verified.write_params({"features.clips_per_shard": 2, "distributed.workers": 2})
    part = Path("data/features.part")
    for started in (workers_importing, lambda pid: len(list(part.glob("*.facts.json"))) >= 3):
        process = subprocess.Popen(
            [sys.executable, "-c", "from stages.cli import app; app()", "preprocess"],
            text=True,
            env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
            stderr=subprocess.PIPE,
        )
        while not started(process.pid):
            assert process.poll() is None, "it ended before it was interrupted"
            time.sleep(POLL_S)
        process.terminate()
        _, printed = process.communicate(timeout=60)
        assert process.returncode == 130
        assert STOPPED.fullmatch(printed)
    assert "shards are finished already" in verified.run("preprocess")


def workers_importing(pid: int) -> bool:
    """Whether the process that a process's workers are forked from is at its imports, torch among them."""
    for child in " ".join(path.read_text() for path in Path(f"/proc/{pid}/task").glob("*/children")).split():
        is_server = b"forkserver" in Path(f"/proc/{child}/cmdline").read_bytes()  # no longer its parent's copy
        if is_server and "libtorch" in Path(f"/proc/{child}/maps").read_text():
            return True
    return False


def test_killed_with_workers_again_and_again(verified: Project) -> None:
    """The real command with two worker processes, killed twice, each time as soon as it has come further."""
    verified.run("preprocess")
    whole = verified.contents("data")
    Path("data/features").rename("data/undisturbed")
    verified.write_params({"features.clips_per_shard": 2, "features.stft": True, "distributed.workers": 2})
    command = [sys.executable, "-c", "from stages.cli import app; app()", "preprocess"]
    part = Path("data/features.part")
    for shards in (3, 14):
        process = subprocess.Popen(command, env=os.environ | {"PYTHONPATH": str(REPOSITORY)})
        while len(list(part.glob("*.facts.json"))) < shards:
            assert process.poll() is None, "it ended before it could be killed"
            time.sleep(POLL_S)
        process.kill()
        process.wait()
        assert not Path("data/features").exists()
    assert "shards are finished already" in verified.run("preprocess")
    Path("data/undisturbed").rename("undisturbed")
    assert verified.contents("data") == whole
