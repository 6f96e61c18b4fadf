"""`dtc download`: what it says while it runs and at the end, and what it leaves in data/archive."""

import hashlib
import io
import shutil
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from rich.console import Console

from dtc.files import locked
from pipeline.download import Patience, fetch_part
from stages import download
from stages.download import Lines
from stages.params import load_params
from tests.conftest import Project, write_corpus
from tests.e2e.clone import clone_into, repro
from tests.pipeline.unreliable_server import Answer, Server, serving

BODY = bytes(range(256)) * 1000
MD5, SHA256 = hashlib.md5(BODY, usedforsecurity=False).hexdigest(), hashlib.sha256(BODY).hexdigest()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    impatient = Patience(wait=lambda seconds: None)
    monkeypatch.setattr(download, "fetch_part", partial(fetch_part, patience=impatient))
    with serving(BODY) as made:
        yield made


def test_it_says_what_came_from_where(project: Project, server: Server) -> None:
    project.write_params({"corpus.source": server.url})
    assert project.run("download").splitlines() == [
        f"download: data/archive/voice.tar, 256,000 bytes, MD5 {MD5}, SHA-256 {SHA256}, from {server.url}",
        f"download: corpus.md5 is null; set it to {MD5}, and corpus.sha256 to {SHA256}, to be told when the corpus "
        "changes",
    ]
    project.write_params({"corpus.source": server.url, "corpus.sha256": SHA256})
    assert project.run("download").splitlines() == [
        f"download: data/archive/voice.tar, 256,000 bytes, MD5 {MD5}, SHA-256 {SHA256}, was there already",
        f"download: corpus.md5 is null; set it to {MD5}, to be told when the corpus changes",
    ]
    project.write_params({"corpus.source": server.url, "corpus.md5": MD5})
    assert len(project.run("download").splitlines()) == 1
    assert len(server.requests) == 1
    assert project.contents("data/archive", "data/archive.part") == {"data/archive/voice.tar": BODY}


def test_it_says_what_went_wrong_on_the_way(project: Project, server: Server) -> None:
    server.usual = Answer(status=404)
    mirror = server.url.replace("voice.tar", "mirror.tar")
    server.answers = [Answer(status=404), Answer()]
    project.write_params({"corpus.source": server.url, "corpus.mirrors": [mirror], "corpus.md5": MD5})
    assert project.run("download").splitlines() == [
        f"download: {server.url}: HTTP 404 Not Found, expected 200; trying the next source",
        f"download: data/archive/voice.tar, 256,000 bytes, MD5 {MD5}, SHA-256 {SHA256}, from {mirror}",
    ]


def test_a_failure_keeps_the_archive_and_the_part(project: Project, server: Server) -> None:
    project.run("download")
    before = project.contents("data/archive")
    server.answers, server.usual = [Answer(drop_after=100_000)], Answer(status=404)
    project.write_params({"corpus.source": server.url})
    assert project.run("download", code=2).startswith(f"{server.url}: HTTP 404 Not Found, expected 200; check the")
    assert project.contents("data/archive") == before
    assert Path("data/archive.part/voice.tar").read_bytes() == BODY[:100_000]
    server.usual = Answer()
    project.run("download")
    assert server.ranges[-1] == "bytes=100000-"
    assert project.contents("data/archive", "data/archive.part") == {"data/archive/voice.tar": BODY}


def archives() -> list[str]:
    """What is in data/archive, and in data/archive.part."""
    folders = (Path("data/archive"), Path("data/archive.part"))
    return sorted(path.name for folder in folders if folder.is_dir() for path in folder.iterdir())


def test_the_archive_of_another_corpus_is_replaced(project: Project, server: Server) -> None:
    project.run("download")
    assert archives() == ["tones.tar"]
    project.write_params({"corpus.source": server.url})
    project.run("download")
    assert archives() == ["voice.tar"]
    project.write_params()
    project.run("download")
    assert archives() == ["tones.tar"]


@pytest.mark.parametrize("stranger", ["clip.wav", "mine/clip.wav", "voice.tar", ".hidden"])
def test_what_a_user_put_there_is_named_and_kept(project: Project, server: Server, stranger: str) -> None:
    project.run("download")
    project.write_params({"corpus.source": server.url})
    mine = Path("data/archive", stranger)
    mine.parent.mkdir(exist_ok=True)
    mine.write_bytes(b"recorded by me")
    before = project.contents("data/archive")
    name = stranger.partition("/")[0]
    assert project.run("download", code=2) == (
        f"data/archive: {name} there, which dtc did not write, expected none; move it elsewhere; "
        "to train on it, set corpus.source to its new place"
    )
    assert project.contents("data/archive") == before
    assert not server.requests, "refused before anything is fetched"
    mine.rename("elsewhere")
    if name != stranger:
        mine.parent.rmdir()
    project.run("download")
    assert archives() == ["voice.tar"]


def test_an_archive_that_a_user_has_replaced_is_kept(project: Project, server: Server) -> None:
    project.run("download")
    Path("data/archive/tones.tar").write_bytes(b"another take")
    for source in (str(project.corpus), server.url):
        project.write_params({"corpus.source": source})
        assert project.run("download", code=2).startswith("data/archive: tones.tar there, which dtc did not write")
    assert Path("data/archive/tones.tar").read_bytes() == b"another take"


def test_a_right_archive_that_came_otherwise_is_taken_over(project: Project, server: Server) -> None:
    """As `dvc pull` brings it: without the note."""
    project.write_params({"corpus.source": server.url, "corpus.md5": MD5})
    Path("data/archive").mkdir(parents=True)
    Path("data/archive/voice.tar").write_bytes(BODY)
    assert project.run("download").endswith("was there already\n")
    project.write_params()
    project.run("download")
    assert archives() == ["tones.tar"]


def test_only_its_own_parts_are_deleted(project: Project, server: Server) -> None:
    part = Path("data/archive.part")
    part.mkdir(parents=True)
    (part / "mine.wav").write_bytes(b"recorded by me")
    project.run("download")
    assert archives() == ["mine.wav", "tones.tar"]
    (part / "voice.tar").write_bytes(b"packed by me")
    project.write_params({"corpus.source": server.url})
    assert project.run("download", code=2).startswith("data/archive.part/voice.tar: was not written by dtc, expected ")
    assert (part / "voice.tar").read_bytes() == b"packed by me"
    assert not server.requests


def test_what_is_left_of_another_download_goes(project: Project, server: Server) -> None:
    server.answers, server.usual = [Answer(drop_after=100_000)], Answer(status=404)
    project.write_params({"corpus.source": server.url})
    project.run("download", code=2)
    assert archives() == ["voice.tar", "voice.tar.json"]
    project.write_params()
    project.run("download")
    assert archives() == ["tones.tar"]


@pytest.mark.parametrize(
    "source", ["data/archive", "data/archive/x.tar", "models/acoustic", "runs/a", ".", "..", "results"]
)
def test_a_source_inside_or_around_what_dtc_writes_is_refused(project: Project, source: str) -> None:
    project.write_params({"corpus.source": source})
    assert project.run("download", code=2).startswith(f"corpus.source: {source} ")
    assert not Path("data").exists()


def test_two_at_once(project: Project) -> None:
    with locked(Path("data/archive")):
        assert project.run("download", code=2).startswith("data/archive: is being written by process ")


@pytest.mark.parametrize("number", range(1, 14))
def test_killed_between_any_two_file_operations_and_run_again(project: Project, number: int) -> None:
    """The next run ends as if never killed, for the first corpus and for another one."""
    archive = project.corpus.with_name("other.tar")
    project.run("download")
    shutil.copy("data/archive/tones.tar", archive)
    project.write_params({"corpus.source": "other.tar"})
    program = (
        "import os, pathlib\n"
        "left = [" + str(number) + "]\n"
        "def killing(operation):\n"
        "    def operate(*arguments, **options):\n"
        "        left[0] -= 1\n"
        "        if not left[0]: os._exit(9)\n"
        "        return operation(*arguments, **options)\n"
        "    return operate\n"
        "for name in ('replace', 'unlink', 'rmdir', 'mkdir'):\n"
        "    setattr(pathlib.Path, name, killing(getattr(pathlib.Path, name)))\n"
        "from stages.__main__ import main\n"
        "main()\n"
    )
    killed = subprocess.run([sys.executable, "-c", program, "download"], capture_output=True, timeout=120)
    assert killed.returncode in (9, 0), killed.stderr
    project.run("download")
    assert archives() == ["other.tar"]
    assert Path("data/archive/other.tar").read_bytes() == archive.read_bytes()


@pytest.mark.slow
def test_dvc_leaves_alone_what_a_user_put_into_data_raw(tmp_path: Path) -> None:
    """Its stage owns data/archive, which it empties; data/raw, where people put recordings, is nobody's."""
    clone = clone_into(tmp_path / "clone")
    made = Project(clone, write_corpus(tmp_path / "recordings"))
    made.write_params()
    mine = clone / "data/raw/mine.wav"
    mine.parent.mkdir(parents=True)
    mine.write_bytes(b"recorded by me")
    assert repro(clone, "download")[0] == ["download"]
    made.write_params({"corpus.name": "others"})
    assert repro(clone, "download")[0] == ["download"]
    assert mine.read_bytes() == b"recorded by me"
    assert [path.name for path in (clone / "data/archive").iterdir()] == ["others.tar"]


class Clock:
    """Told what time it is."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def lines_of(*calls: tuple[float, int, int]) -> list[str]:
    """What is printed where, at these seconds, so many bytes of so many are there."""
    clock, said = Clock(), list[str]()
    lines = Lines(said.append, clock)
    for now, done, total in calls:
        clock.now = now
        lines(done, total)
    return said


GB, MB = 10**9, 10**6


@pytest.mark.parametrize(
    ("calls", "said"),
    [
        ([(0, 100 * MB, 2700 * MB), (10, 510 * MB, 2700 * MB)], ["0.5 of 2.7 GB, 41.0 MB/s, 53 s left"]),
        ([(0, 100 * MB, 2700 * MB), (10, 110 * MB, 2700 * MB)], []),
        ([(0, 100 * MB, 2700 * MB), (30, 130 * MB, 2700 * MB)], ["0.1 of 2.7 GB, 1.0 MB/s, 43 min left"]),
        ([(0, 100 * MB, 0), (30, 130 * MB, 0)], ["130.0 MB, 1.0 MB/s"]),
        ([(0, 1, 8 * MB), (0.1, 4 * MB, 8 * MB), (0.9, 8 * MB, 8 * MB)], []),
        ([(0, 1, 8 * MB), (1, 8 * MB, 8 * MB)], ["8.0 of 8.0 MB, 8.0 MB/s, 0 s left"]),
        # What another run had fetched is not counted as speed.
        ([(0, 2000 * MB, 2700 * MB), (7, 2350 * MB, 2700 * MB)], ["2.4 of 2.7 GB, 50.0 MB/s, 7 s left"]),
        # Neither is what was thrown away.
        (
            [(0, 1, 10 * MB), (5, 5 * MB, 10 * MB), (6, MB, 10 * MB), (7, 2 * MB, 10 * MB)],
            ["5.0 of 10.0 MB, 1.0 MB/s, 5 s left", "2.0 of 10.0 MB, 1.0 MB/s, 8 s left"],
        ),
        ([(0, 1, 5000), (1, 900, 5000)], ["0.9 of 5.0 kB, 0.9 kB/s, 5 s left"]),
    ],
)
def test_plain_lines(calls: list[tuple[float, int, int]], said: list[str]) -> None:
    assert lines_of(*calls) == said


def test_a_line_every_tenth() -> None:
    said = lines_of(*((second, second * 27 * MB, 2700 * MB) for second in range(1, 101)))
    assert len(said) == 9
    assert said[0] == "0.3 of 2.7 GB, 27.0 MB/s, 89 s left"


def test_a_bar_on_a_terminal(project: Project, server: Server) -> None:
    project.write_params({"corpus.source": server.url})
    console = Console(file=io.StringIO(), force_terminal=True, width=300, highlight=False)
    server.answers = [Answer(drop_after=100_000, ranges=False), Answer(ranges=False)]
    download.download(load_params(Path("params.yaml")).corpus, console)
    shown = console.file.getvalue()  # type: ignore[attr-defined]
    assert "256.0/256.0 kB" in shown
    assert f"SHA-256 {SHA256}" in shown
