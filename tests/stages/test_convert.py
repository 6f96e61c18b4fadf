"""`dtc convert`: what it writes and prints, all or nothing, and never over what is not its own."""

import hashlib
import io
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from rich.console import Console

from dtc.files import locked

CLIPS = {"train": 6, "validation": 2, "test": 4}  # of the twelve, by their hashes
PROGRESS = [f"Converting: 100% {clips}/{clips}" for clips in CLIPS.values()]
FILES = {
    "torch": ["train.pt", "validation.pt", "test.pt"],
    "numpy": ["train.npz", "validation.npz", "test.npz"],
    "wav": ["metadata.csv", "train.txt", "validation.txt", "test.txt"],
}
WAVS = [f"wavs/clip-{number:03d}.wav" for number in range(12)]


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache") / "project"


@pytest.fixture
def prepared(project: Any, cache: Path) -> Any:
    """A project with data/features."""
    if not cache.exists():
        for stage in ("download", "verify", "preprocess"):
            project.run(stage)
        shutil.copytree(".", cache, ignore=shutil.ignore_patterns("recordings", "params.yaml"))
    else:
        shutil.copytree(cache, ".", dirs_exist_ok=True)
    return project


def md5s(folder: str) -> dict[str, str]:
    """Name → MD5 of all files but the list of them."""
    files = (path for path in Path(folder).rglob("*") if path.is_file() and path.name != "MD5SUMS")
    return {path.relative_to(folder).as_posix(): hashlib.md5(path.read_bytes()).hexdigest() for path in files}


@pytest.mark.parametrize("format", ["torch", "numpy"])
def test_files_and_what_is_printed(prepared: Any, format: str) -> None:
    lines = prepared.run("convert", "--format", format).splitlines()
    found = md5s("converted")
    assert [line for line in lines if line.startswith("Converting")] == PROGRESS
    assert list(found.keys() - FILES[format]) == []
    snippet = lines.index("corpus:")
    assert lines[snippet - 4 : snippet - 1] == [f"{found[name]}  converted/{name}" for name in FILES[format]]
    assert lines[snippet - 1].endswith("to train from it, in params.yaml:")
    printed = yaml.safe_load("\n".join(lines[snippet:]))
    assert printed["corpus"] == {
        "name": "tones",
        "source": "converted",
        "mirrors": [],
        "md5": None,
        "sha256": None,
        "format": "tensor_mel",
        "checksums": {name: found[name] for name in FILES[format]},
        "licence": None,
        "consent": None,
    }
    assert list(printed) == ["corpus", "audio", "recording", "text"]


@pytest.mark.parametrize("format", ["torch", "wav"])
def test_what_is_printed_is_enough_in_another_project(prepared: Any, format: str) -> None:
    """Its params.yaml has another rate, other treatment and another split."""
    lines = prepared.run("convert", "--format", format).splitlines()
    before = mels(prepared.contents("data/features"))
    for said in (line for line in lines if line.startswith("convert: for the same split, ")):
        subprocess.run(said.removeprefix("convert: for the same split, "), shell=True, check=True)
    assert Path("splits/tones/train.txt").exists() == (format == "wav")
    printed = yaml.safe_load("\n".join(lines[lines.index("corpus:") :]))
    other = {
        "corpus.md5": "0" * 32,
        "corpus.mirrors": ["http://127.0.0.1/"],
        "audio.sampling_rate": 22050,
        "split.seed": 2,
        "text.normaliser": "none" if format == "torch" else "english",
    }
    prepared.write_params(other)
    tree = yaml.safe_load(Path("params.yaml").read_text())
    tree |= {name: keys if name == "split" else tree[name] | keys for name, keys in printed.items()}
    Path("params.yaml").write_text(yaml.safe_dump(tree))
    for stage in ("download", "verify", "preprocess"):
        prepared.run(stage)
    assert mels(prepared.contents("data/features")) == before


def test_wavs_and_what_is_printed(prepared: Any) -> None:
    lines = prepared.run("convert", "--format", "wav", "--out", "deep/spoken").splitlines()
    found = md5s("deep/spoken")
    assert sorted(found) == sorted([*FILES["wav"], *WAVS])
    assert [line for line in lines if "  deep/spoken" in line] == [
        f"{found[name]}  deep/spoken/{name}" for name in FILES["wav"]
    ]
    assert "12 WAVs; their MD5s are in deep/spoken/MD5SUMS" in lines
    snippet = yaml.safe_load("\n".join(lines[lines.index("corpus:") :]))
    assert list(snippet) == ["corpus", "audio", "split"]
    assert snippet["corpus"] == {
        "name": "tones",
        "source": "deep/spoken",
        "mirrors": [],
        "md5": None,
        "sha256": None,
        "format": "ljspeech",
        "checksums": {},
        "licence": None,
        "consent": None,
    }
    assert snippet["split"] == {"method": "lists", "lists": "tones"}
    assert sum(Path(f"deep/spoken/{name}.txt").read_text().count("\n") for name in CLIPS) == 12


@pytest.mark.parametrize("format", FILES)
def test_md5sum_itself_agrees(prepared: Any, format: str) -> None:
    prepared.run("convert", "--format", format)
    done = subprocess.run(
        ["md5sum", "--strict", "-c", "MD5SUMS"], cwd="converted", capture_output=True, text=True, check=True
    )
    names = {line.removesuffix(": OK") for line in done.stdout.splitlines()}
    assert names == {*FILES[format], *(WAVS if format == "wav" else [])} == md5s("converted").keys()


@pytest.mark.parametrize("format", ["ljspeech", "auto"])
def test_a_folder_of_wavs_is_a_corpus(prepared: Any, format: str) -> None:
    """The recordings were 16-bit mono: bit by bit, they come out as they went in."""
    prepared.run("convert", "--format", "wav", "--out", "spoken")
    first = prepared.contents("data/features")
    prepared.write_params({"corpus.source": "spoken", "corpus.format": format})
    for stage in ("download", "verify", "preprocess"):
        prepared.run(stage)
    second = prepared.contents("data/features")
    assert mels(first) == mels(second)
    assert len(mels(first)) == 24


def mels(contents: dict[str, bytes]) -> dict[str, bytes]:
    """Samples and mels of all shards: the WAVs' own bytes may differ."""
    import tarfile

    found = {}
    for name, content in contents.items():
        if name.endswith(".tar"):
            with tarfile.open(fileobj=io.BytesIO(content)) as tar:
                found |= {m.name: tar.extractfile(m).read() for m in tar if m.name.endswith(".npy")}
    return found


def test_an_older_conversion_is_replaced(prepared: Any) -> None:
    prepared.run("convert", "--format", "wav")
    prepared.run("convert", "--format", "torch")
    assert sorted(path.name for path in Path("converted").iterdir()) == sorted([*FILES["torch"], "MD5SUMS"])
    again = md5s("converted")
    prepared.run("convert", "--format", "torch")
    assert md5s("converted") == again


def make_folder(path: Path) -> None:
    path.mkdir()
    (path / "thesis.txt").write_text("mine")


@pytest.mark.parametrize(
    "make",
    [
        make_folder,
        lambda path: path.write_text("mine"),
        lambda path: path.symlink_to(path.parent / "recordings"),
        lambda path: path.symlink_to(path.parent / "nowhere"),
        lambda path: (make_folder(path), (path / "MD5SUMS").write_bytes(b"\xff")),
    ],
)
def test_what_is_not_its_own_is_left_alone(prepared: Any, make: Callable[[Path], Any]) -> None:
    make(Path("converted").absolute())
    before = prepared.contents("converted", "recordings")
    line = prepared.run("convert", "--format", "torch", code=2)
    assert re.match("converted: (holds what dtc did not write .*|is a link or a file, .*); name another folder", line)
    assert prepared.contents("converted", "recordings") == before


def test_where_no_folder_can_be(prepared: Any) -> None:
    line = prepared.run("convert", "--format", "torch", "--out", "/proc/converted", code=2)
    assert line == "/proc/converted: cannot be used (No such file or directory); mend it and run it again"


def test_a_file_put_into_a_conversion_is_not_lost(prepared: Any) -> None:
    prepared.run("convert", "--format", "torch")
    Path("converted/notes.txt").write_text("mine")
    line = prepared.run("convert", "--format", "torch", code=2)
    assert line.startswith("converted: holds what dtc did not write (notes.txt), expected nothing else; name another")
    assert Path("converted/notes.txt").read_text() == "mine"


@pytest.mark.parametrize("out", [".", "..", "data"])
def test_a_project_is_no_place_for_a_conversion(prepared: Any, out: str) -> None:
    before = prepared.contents(".")
    assert "holds what dtc did not write" in prepared.run("convert", "--format", "torch", "--out", out, code=2)
    assert prepared.contents(".") == before


def flip(name: str) -> None:
    content = bytearray(Path(name).read_bytes())
    content[700] ^= 1
    Path(name).write_bytes(content)


@pytest.mark.parametrize(
    ("arguments", "damage", "fault"),
    [
        (("--format", "mp3"), lambda: None, "--format: found 'mp3', expected torch, numpy, wav"),
        (("--format", "wav"), lambda: flip("data/features/test-00000.tar"), "data/features/test-00000.tar: MD5 "),
        (
            ("--format", "wav"),
            lambda: shutil.rmtree("data/features"),
            "data/features/index.json: no such file, expected the index of the features; run `dtc preprocess` first",
        ),
    ],
)
def test_faults_leave_no_folder(
    prepared: Any, arguments: tuple[str, ...], damage: Callable[[], None], fault: str
) -> None:
    damage()
    assert prepared.run("convert", *arguments, code=2).startswith(fault)
    assert not list(Path().glob("converted*"))


def test_an_interruption_leaves_the_older_conversion(prepared: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    import stages.convert

    prepared.run("convert", "--format", "torch")
    before = prepared.contents("converted")
    write = stages.convert.WRITERS["wav"]

    def interrupt(clips: Any, facts: Any, folder: Path) -> dict[str, str]:
        if facts.split == "test":
            raise KeyboardInterrupt
        return write(clips, facts, folder)

    monkeypatch.setitem(stages.convert.WRITERS, "wav", interrupt)
    prepared.run("convert", "--format", "wav", code=130)
    assert prepared.contents("converted") == before
    assert [path.name for path in Path().glob("converted*")] == ["converted"]


KILLED = """
import os, signal, sys
from stages.cli import app

def watch(event, arguments):
    if event == "os.rename" and str(arguments[0]).endswith("converted.part/new"):
        os.kill(os.getpid(), signal.SIGKILL)

sys.addaudithook(watch)
app(["convert", "--format", "torch"])
"""


def test_a_kill_before_the_end_leaves_no_folder(prepared: Any) -> None:
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    killed = subprocess.run([sys.executable, "-c", KILLED], env=environment, capture_output=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert not Path("converted").exists()
    assert Path("converted.part/new/train.pt").exists()
    prepared.run("convert", "--format", "torch")
    assert sorted(md5s("converted")) == sorted(FILES["torch"])
    assert not Path("converted.part").exists()


def test_a_second_process_is_told_who_writes_the_folder(prepared: Any) -> None:
    for command, folder in ((("preprocess",), "data/features"), (("convert", "--format", "torch"), "converted")):
        with locked(Path(folder).absolute()):
            line = prepared.run(*command, code=2)
        assert f"{folder}: is being written by process {os.getpid()} on " in line
        prepared.run(*command)


def test_a_part_folder_of_somebody_else_is_left_alone(prepared: Any) -> None:
    make_folder(Path("converted.part").absolute())
    line = prepared.run("convert", "--format", "torch", code=2)
    assert "converted.part: holds what dtc did not write (thesis.txt), expected a folder that dtc made; move it" in line
    assert prepared.contents("converted.part") == {"converted.part/thesis.txt": b"mine"}


def test_a_bar_a_split_on_a_terminal(prepared: Any) -> None:
    from stages.convert import convert

    screen = io.StringIO()
    convert("numpy", Path("converted"), Console(file=screen, force_terminal=True, width=100, color_system=None))
    last = [line for line in screen.getvalue().replace("\r", "\n").splitlines() if "Converting: 100%" in line]
    for line in PROGRESS:
        assert any(line in shown and "━" in shown for shown in last), line


def test_plain_lines_now_and_then(prepared: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stages.progress.SECONDS_BETWEEN_LINES", -1.0)
    lines = prepared.run("convert", "--format", "numpy").splitlines()
    assert lines[:6] == [
        "Converting:  16% 1/6",
        "Converting:  33% 2/6",
        "Converting:  50% 3/6",
        "Converting:  66% 4/6",
        "Converting:  83% 5/6",
        "Converting: 100% 6/6",
    ]


def test_numpy_alone_reads_the_arrays(prepared: Any) -> None:
    prepared.run("convert", "--format", "numpy")
    with np.load("converted/train.npz") as archive:
        assert len([name for name in archive.files if name.endswith(".mel")]) == 6
