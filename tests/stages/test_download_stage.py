"""`dtc download`: what it says while it runs and at the end, and what it leaves in data/raw."""

import hashlib
import io
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from rich.console import Console

from pipeline.download import Patience, fetch
from stages import download
from stages.download import Lines
from stages.params import load_params
from tests.conftest import Project
from tests.pipeline.unreliable_server import Answer, Server, serving

BODY = bytes(range(256)) * 1000
MD5, SHA256 = hashlib.md5(BODY, usedforsecurity=False).hexdigest(), hashlib.sha256(BODY).hexdigest()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    impatient = Patience(wait=lambda seconds: None)
    monkeypatch.setattr(download, "fetch", partial(fetch, patience=impatient))
    with serving(BODY) as made:
        yield made


def test_it_says_what_came_from_where(project: Project, server: Server) -> None:
    project.write_params({"corpus.source": server.url})
    assert project.run("download").splitlines() == [
        f"download: data/raw/voice.tar, 256,000 bytes, MD5 {MD5}, SHA-256 {SHA256}, from {server.url}",
        f"download: corpus.md5 is null; set it to {MD5}, and corpus.sha256 to {SHA256}, to be told when the corpus "
        "changes",
    ]
    project.write_params({"corpus.source": server.url, "corpus.sha256": SHA256})
    assert project.run("download").splitlines() == [
        f"download: data/raw/voice.tar, 256,000 bytes, MD5 {MD5}, SHA-256 {SHA256}, was there already",
        f"download: corpus.md5 is null; set it to {MD5}, to be told when the corpus changes",
    ]
    project.write_params({"corpus.source": server.url, "corpus.md5": MD5})
    assert len(project.run("download").splitlines()) == 1
    assert len(server.requests) == 1
    assert project.contents("data") == {"data/raw/voice.tar": BODY}


def test_it_says_what_went_wrong_on_the_way(project: Project, server: Server) -> None:
    server.usual = Answer(status=404)
    mirror = server.url.replace("voice.tar", "mirror.tar")
    server.answers = [Answer(status=404), Answer()]
    project.write_params({"corpus.source": server.url, "corpus.mirrors": [mirror], "corpus.md5": MD5})
    assert project.run("download").splitlines() == [
        f"download: {server.url}: HTTP 404 Not Found, expected 200; on to the next source",
        f"download: data/raw/voice.tar, 256,000 bytes, MD5 {MD5}, SHA-256 {SHA256}, from {mirror}",
    ]


def test_a_failure_keeps_the_archive_and_the_part(project: Project, server: Server) -> None:
    project.run("download")
    before = project.contents("data/raw")
    server.answers, server.usual = [Answer(drop_after=100_000)], Answer(status=404)
    project.write_params({"corpus.source": server.url})
    assert project.run("download", code=2).startswith(f"{server.url}: HTTP 404 Not Found, expected 200; check the")
    assert project.contents("data/raw") == before
    assert Path("data/raw.part/voice.tar").read_bytes() == BODY[:100_000]
    server.usual = Answer()
    project.run("download")
    assert server.ranges[-1] == "bytes=100000-"
    assert project.contents("data") == {"data/raw/voice.tar": BODY}


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
        ([(0, 1, 5000), (1, 900, 5000)], ["0.9 of 5.0 kB, 0.0 MB/s, 5 s left"]),
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
    console = Console(file=io.StringIO(), force_terminal=True, width=300)
    server.answers = [Answer(drop_after=100_000, ranges=False), Answer(ranges=False)]
    download.download(load_params(Path("params.yaml")).corpus, console)
    shown = console.file.getvalue()  # type: ignore[attr-defined]
    assert "256.0/256.0 kB" in shown
    assert f"SHA-256 {SHA256}" in shown
