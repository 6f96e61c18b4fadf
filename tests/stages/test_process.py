"""`dtc` as a real process: its exit code and its lines where the world around it is not as it should be."""

import ctypes
import os
import re
import resource
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.conftest import REPOSITORY, Project

DEADLINE_S = 120.0
PROGRAM = [sys.executable, "-m", "stages"]


def run(*arguments: str, **options: object) -> "subprocess.CompletedProcess[str]":
    settings: dict[str, object] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
    return subprocess.run([*PROGRAM, *arguments], text=True, timeout=DEADLINE_S, **settings)  # type: ignore[call-overload]


def without(*names: str, **others: str) -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name not in names} | others


def test_the_installed_command_is_the_one_that_is_tested() -> None:
    assert 'dtc = "stages.__main__:main"' in Path(__file__).parents[2].joinpath("pyproject.toml").read_text()


def test_nobody_reads_the_output(project: Project) -> None:
    read, write = os.pipe()
    os.close(read)
    done = run("params", stdout=write)
    os.close(write)
    assert (done.returncode, done.stderr) == (141, "")


def test_the_output_is_closed_from_the_start(project: Project) -> None:
    """A file that is opened then must not become standard output, and get what is printed."""
    done = run("download", preexec_fn=lambda: os.close(1))
    assert (done.returncode, done.stderr) == (0, "")
    [archive] = Path("data/archive").iterdir()
    whole = archive.read_bytes()
    project.run("download")
    assert archive.read_bytes() == whole
    assert run("params", preexec_fn=lambda: (os.close(0), os.close(1), os.close(2))).returncode == 0


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_the_output_is_on_a_full_disk(project: Project) -> None:
    with Path("/dev/full").open("w") as full:
        done = run("params", stdout=full)
    expected = "dtc: a file, or standard output: cannot be used (No space left on device); make room and run it again\n"
    assert (done.returncode, done.stderr) == (2, expected)


def test_a_disk_that_is_full(project: Project) -> None:
    done = run("download", preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000)))
    assert done.returncode == 2
    assert done.stderr.startswith("dtc: ")
    assert done.stderr.count("\n") == 1
    assert "File too large" in done.stderr


def drop_right_over_files() -> None:
    """Subject even root to the permissions of files, by taking CAP_DAC_OVERRIDE from what this process starts."""
    if os.geteuid() == 0:
        ctypes.CDLL(None).prctl(24, 1, 0, 0, 0)


@pytest.mark.skipif(sys.platform != "linux", reason="root's rights are taken away as Linux has it")
def test_no_right_to_write(project: Project) -> None:
    project.root.chmod(0o555)
    done = run("download", preexec_fn=drop_right_over_files)
    project.root.chmod(0o755)
    assert done.returncode == 2
    assert done.stderr == (
        "dtc: data: cannot be used (Permission denied); give yourself the right to it, or name another place\n"
    )


@pytest.mark.skipif(sys.platform != "linux", reason="root's rights are taken away as Linux has it")
def test_no_right_to_lock_a_folder(project: Project) -> None:
    """The line names the folder, and not the lock beside it."""
    Path("runs").mkdir(mode=0o555)
    Path("data").mkdir(mode=0o555)
    done = run("download", preexec_fn=drop_right_over_files)
    assert done.returncode == 2
    assert done.stderr == (
        "dtc: data/archive: cannot be used (Permission denied); give yourself the right to it, or name another place\n"
    )


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_characters_that_a_stream_cannot_show_are_replaced(project: Project, encoding: str) -> None:
    project.run("download")
    Path("data/archive/tones.tar").rename("größe-λ.tar")
    name = "größe-λ.tar".encode(encoding, "replace").decode(encoding)
    for source, code in (("größe-λ.tar", 0), ("keine-größe-λ.tar", 2)):
        project.write_params({"corpus.source": source})
        done = run("download", env=without(PYTHONIOENCODING=encoding), encoding=encoding)
        assert done.returncode == code
        assert name in (done.stderr if code else done.stdout)
        assert done.stderr.count("\n") == (1 if code else 0)


@pytest.mark.parametrize("locale", [{"LC_ALL": "en_US.ISO-8859-1"}, {"LC_ALL": "C", "PYTHONUTF8": "0"}])
def test_a_locale_without_unicode(project: Project, locale: dict[str, str]) -> None:
    for command in ("download", "verify"):
        done = run(command, env=without("PYTHONUTF8", "LANG", **locale))
        assert (done.returncode, done.stderr) == (0, "")


def test_no_home(project: Project) -> None:
    for command in ("params", "download"):
        assert run(command, env=without("HOME")).returncode == 0


@pytest.mark.parametrize(
    ("fault", "line"),
    [
        (
            "__import__('torch').OutOfMemoryError('CUDA out of memory. Tried to allocate 20.00 GiB. GPU 0 has a total of 79 GiB')",
            "out of memory: CUDA out of memory; use smaller batches",
        ),
        ("MemoryError()", "out of memory: no memory is left; use smaller batches"),
        (
            "OSError(28, 'No space left on device', 'models')",
            "models: cannot be used (No space left on device); make room",
        ),
    ],
)
def test_what_the_machine_lacks_is_one_line(project: Project, fault: str, line: str) -> None:
    program = (
        "import stages.params\n"
        f"def load_params(*_): raise {fault}\n"
        "stages.params.load_params = load_params\n"
        "from stages.__main__ import main\n"
        "main()\n"
    )
    done = subprocess.run([sys.executable, "-c", program, "params"], capture_output=True, text=True, timeout=DEADLINE_S)
    assert done.returncode == 2
    assert done.stderr.startswith(f"dtc: {line}")
    assert done.stderr.count("\n") == 1


def test_memory_that_cannot_be_had_is_one_line(project: Project) -> None:
    """Real: torch asks the system for more than there is."""
    program = (
        "import torch, stages.params\n"
        "stages.params.load_params = lambda *_: torch.empty(1 << 50)\n"
        "from stages.__main__ import main\n"
        "main()\n"
    )
    done = subprocess.run([sys.executable, "-c", program, "params"], capture_output=True, text=True, timeout=DEADLINE_S)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert done.stderr.startswith("dtc: out of memory: ")


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (
            ["say", "-5 degrees"],
            'No such option: -5; to speak a text that begins with "-", write "--" before it: dtc say -- "-5 degrees"',
        ),
        (["say", "--fiel", "a"], "no such option: --fiel (Possible options: --file, --help); see dtc say --help"),
        (["sya"], "no such command 'sya'. Did you mean 'say'?; see dtc --help"),
        (["convert"], "missing option '--format'; see dtc convert --help"),
        (["train", "acoustic", "--device"], "option '--device' requires an argument; see dtc train acoustic --help"),
        (["say", "a", "--out", ""], "--out: an empty value, expected a value, or no such option"),
        (["say", "a", "--out="], "--out: an empty value, expected a value, or no such option"),
        (["say", "a", "--seed", "x"], "invalid value for '--seed': expected integer; see dtc say --help"),
        (["say", "a", "--device", "cuda:99999999999"], "--device: cuda:99999999999, of "),
        (["say", "a", "--device", "cuda:٣"], "--device: found 'cuda:٣', expected auto, cpu, cuda or cuda:N"),
    ],
)
def test_a_wrong_command_line_is_one_line(project: Project, arguments: list[str], line: str) -> None:
    assert project.run(*arguments, code=2).startswith(line)


def test_a_checkout_whose_code_does_not_run_is_named(project: Project) -> None:
    Path("stages").mkdir()
    Path("stages/cli.py").write_text("# another version\n")
    program = "from stages.__main__ import main; main()"
    # Not `-m stages`, which runs the folder's own code: as the installed command does it.
    done = subprocess.run(
        [sys.executable, "-P", "-c", program, "params"], capture_output=True, text=True, timeout=DEADLINE_S
    )
    assert done.returncode == 0
    assert done.stderr.startswith("dtc: the code that runs is ")
    assert done.stderr.endswith("`python -m stages` runs this folder's code\n")
    assert done.stderr.count("\n") == 1


# Python names on standard error each module that it has imported: so a moment within the imports can be waited for.
def test_an_environment_without_the_packages_is_one_line() -> None:
    command = [sys.executable, "-S", "-m", "stages", "say", "hello"]  # -S: without the installed packages
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, timeout=DEADLINE_S)
    assert done.returncode == 2
    assert re.fullmatch(r"dtc: \w+ is not installed in .*; activate the environment of dtc, as by `.*`\n", done.stderr)


# `dtc` in a process that sends itself a signal when it begins to import a module.
INTERRUPTED_AT_IMPORT = """
import os, sys
module, number = sys.argv[1], int(sys.argv[2])
class Interrupter:
    def find_spec(self, name, path=None, target=None):
        if name == module:
            os.kill(os.getpid(), number)
sys.meta_path.insert(0, Interrupter())
sys.argv[1:3] = []
from stages.__main__ import main
main()
"""


@pytest.mark.parametrize(
    ("moment", "number"),
    [
        ("typer.main", signal.SIGINT),
        ("stages.params", signal.SIGTERM),
        ("numpy", signal.SIGINT),
        ("torch._C", signal.SIGTERM),
        ("torch.nn.functional", signal.SIGINT),
        ("torchaudio", signal.SIGTERM),
    ],
)
def test_a_signal_while_modules_are_imported(project: Project, moment: str, number: int) -> None:
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED_AT_IMPORT, moment, str(int(number)), "say", "hello", "--device", "cpu"],
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
    )
    assert (done.returncode, done.stderr, done.stdout) == (130, "dtc: interrupted\n", "")


INTERRUPTED = """
import io, os, signal, time
import soundfile, stages.params

class Source(io.BytesIO):
    is_interrupted = False

    def readinto(self, buffer):
        if not self.is_interrupted:
            self.is_interrupted = True
            os.kill(os.getpid(), signal.SIGINT)
        return super().readinto(buffer)

def decode():
    samples, _ = soundfile.read(Source(open("tone.flac", "rb").read()))
    print(len(samples), flush=True)

class Dropped:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGINT)

def run(*_):
    WORK()
    time.sleep(600)

stages.params.load_params = run
from stages.__main__ import main
main()
"""


@pytest.mark.parametrize("work", ["decode", "Dropped"])
def test_ctrl_c_where_python_drops_exceptions(tmp_path: Path, work: str) -> None:
    """libsndfile calls Python to read a file, and takes an exception there for the end of the file."""
    soundfile.write(tmp_path / "tone.flac", np.zeros(500_000, np.int16), 16000)
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED.replace("WORK", work), "params"],
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
    )
    assert (done.returncode, done.stderr) == (130, "dtc: interrupted\n")
    assert done.stdout.strip() in ("", "500000"), "all samples, or none; it may end before the line break"


def test_a_table_is_as_wide_as_columns_says(project: Project) -> None:
    run_folder = Path("runs/vocoder-0123456789abcdef")
    run_folder.mkdir(parents=True)
    for columns, width in (("50", 50), ("", 160)):
        done = run("runs", env=without(COLUMNS=columns))
        table = done.stdout.partition("runs: ")[0].splitlines()
        assert max(map(len, table)) <= width
        assert any(line.split()[0] == "vocoder-0123456789abcdef" for line in table)
