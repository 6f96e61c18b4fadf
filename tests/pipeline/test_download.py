"""pipeline.download against real files and a real HTTP server on 127.0.0.1 that drops, refuses and lies on request."""

import gzip
import hashlib
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from dtc.errors import InputError
from dtc.provenance import md5_of
from pipeline.archive import read_members
from pipeline.corpora import CorpusConfig, embedded_archive
from pipeline.download import CHUNK_BYTES, archive_name, fetch

BODY = np.random.default_rng(0).bytes(3 * CHUNK_BYTES + 17)  # noise, so that no piece can pass for another
MD5 = hashlib.md5(BODY, usedforsecurity=False).hexdigest()


class Server(ThreadingHTTPServer):
    """Serves BODY at /voice.tar, compressed for whom wants it; the attributes say how badly."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.body = BODY
        self.drop_after: int | None = None  # bytes of the next answer, which then breaks off
        self.ranges = True
        self.requests: list[tuple[str, str | None]] = []  # path, Range

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        asked, server = self.headers.get("Range"), self.server
        server.requests.append((self.path, asked))
        if self.path == "/moved.tar":
            self.send_response(302)
            self.send_header("Location", "/voice.tar")
            self.end_headers()
            return
        if self.path != "/voice.tar":
            self.send_error(404)
            return
        first = int(asked.removeprefix("bytes=").removesuffix("-")) if asked and server.ranges else 0
        if first >= len(server.body):
            self.send_error(416)
            return
        content = server.body[first:]
        self.send_response(206 if first else 200)
        if "gzip" in self.headers.get("Accept-Encoding", ""):
            content = gzip.compress(content, 1)
            self.send_header("Content-Encoding", "gzip")
        self.send_header("Content-Length", str(len(content)))
        if first:
            self.send_header("Content-Range", f"bytes {first}-{len(server.body) - 1}/{len(server.body)}")
        self.end_headers()
        self.wfile.write(content[: server.drop_after])
        server.drop_after = None

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as made:
        thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield made
        made.shutdown()
        thread.join()


def corpus(source: object, md5: str | None = MD5) -> CorpusConfig:
    return CorpusConfig(name="voice", source=str(source), md5=md5)


class Target:
    """Where a test's archive goes."""

    def __init__(self, folder: Path) -> None:
        self.archive, self.part = folder / "data/raw/voice.tar", folder / "runs/voice.tar.part"
        self.advances: list[tuple[int, int]] = []

    def fetch(self, source: object, md5: str | None = MD5) -> str:
        self.advances.clear()
        return fetch(corpus(source, md5), self.archive, self.part, lambda *done: self.advances.append(done))

    def assert_refused(self, source: object, fault: str, md5: str | None = MD5) -> None:
        """The line says what is wrong, and whatever was in place stays."""
        before = self.archive.read_bytes() if self.archive.exists() else None
        with pytest.raises(InputError) as error:
            self.fetch(source, md5)
        assert str(error.value).startswith(fault)
        assert (self.archive.read_bytes() if self.archive.exists() else None) == before

    def assert_whole(self) -> None:
        assert self.archive.read_bytes() == BODY
        assert not self.part.exists()


@pytest.fixture
def target(tmp_path: Path) -> Target:
    return Target(tmp_path)


def test_the_embedded_corpus(target: Target) -> None:
    md5 = target.fetch("embedded:numbers-1.0", None)
    assert md5 == md5_of(target.archive) == md5_of(embedded_archive("numbers-1.0"))
    assert target.advances[-1] == (target.archive.stat().st_size,) * 2


@pytest.mark.parametrize("scheme", ["{}", "file://{}"])
def test_a_local_archive(target: Target, tmp_path: Path, scheme: str) -> None:
    file = tmp_path / "my voice.tar"
    file.write_bytes(BODY)
    source = scheme.format(str(file).replace(" ", "%20") if "file:" in scheme else file)
    assert target.fetch(source) == MD5
    target.assert_whole()
    assert file.read_bytes() == BODY, "copied, not moved"


def test_a_folder_is_packed(target: Target, tmp_path: Path, make_corpus: Callable[..., Path]) -> None:
    folder = make_corpus(tmp_path / "recordings", clips=2)
    first = target.fetch(folder, None)
    assert [name for name, _ in read_members(target.archive)] == [
        "recordings/metadata.csv",
        "recordings/wavs/clip-000.wav",
        "recordings/wavs/clip-001.wav",
    ]
    assert target.fetch(folder, first) == first


@pytest.mark.parametrize(
    ("source", "fault"),
    [
        ("nowhere/voice.tar", "corpus.source: nowhere/voice.tar: no such file or folder, expected an archive"),
        ("file:///nowhere.tar", "corpus.source: file:///nowhere.tar: no such file or folder"),
        ("embedded:letters", "letters.tar: does not ship with dtc, expected one of numbers-1.0"),
    ],
)
def test_a_source_that_is_not_there(target: Target, source: str, fault: str) -> None:
    target.assert_refused(source, fault)


def test_a_download(target: Target, server: Server) -> None:
    assert target.fetch(f"{server.url}/voice.tar") == MD5
    target.assert_whole()
    assert target.advances[-1] == (len(BODY), len(BODY))
    assert server.requests == [("/voice.tar", None)]


def test_what_is_there_and_right_is_not_fetched_again(target: Target, server: Server) -> None:
    for _ in range(2):
        target.fetch(f"{server.url}/voice.tar")
    assert len(server.requests) == 1
    target.archive.write_bytes(BODY[:-1])
    target.fetch(f"{server.url}/voice.tar")
    target.assert_whole()


def test_a_redirect_is_followed(target: Target, server: Server) -> None:
    assert target.fetch(f"{server.url}/moved.tar") == MD5
    target.assert_whole()


def test_a_dropped_download_is_gone_on_with(target: Target, server: Server) -> None:
    server.drop_after = 2 * CHUNK_BYTES + 9
    target.assert_refused(f"{server.url}/voice.tar", f"{server.url}/voice.tar: download stopped (")
    assert target.part.read_bytes() == BODY[: 2 * CHUNK_BYTES]
    assert target.fetch(f"{server.url}/voice.tar") == MD5
    target.assert_whole()
    assert server.requests == [("/voice.tar", None), ("/voice.tar", f"bytes={2 * CHUNK_BYTES}-")]
    assert target.advances[0] == (3 * CHUNK_BYTES, len(BODY)), "progress counts what was there"


def test_a_server_without_ranges_starts_over(target: Target, server: Server) -> None:
    server.ranges, server.drop_after = False, 2 * CHUNK_BYTES
    target.assert_refused(f"{server.url}/voice.tar", f"{server.url}/voice.tar: download stopped (")
    assert target.fetch(f"{server.url}/voice.tar") == MD5
    target.assert_whole()


def test_a_whole_part_is_taken(target: Target, server: Server) -> None:
    """Killed between the last byte and the move."""
    target.part.parent.mkdir()
    target.part.write_bytes(BODY)
    assert target.fetch(f"{server.url}/voice.tar") == MD5
    target.assert_whole()


def test_without_md5_a_part_is_not_trusted(target: Target, server: Server) -> None:
    """The server may have another file by now, and nothing would tell."""
    target.part.parent.mkdir()
    target.part.write_bytes(b"another file" * CHUNK_BYTES)
    assert target.fetch(f"{server.url}/voice.tar", None) == MD5
    target.assert_whole()


def test_a_wrong_md5_removes_the_part_and_keeps_what_was_there(target: Target, server: Server) -> None:
    target.archive.parent.mkdir(parents=True)
    target.archive.write_bytes(b"the corpus of before")
    server.body = BODY[:-1] + b"?"
    found = hashlib.md5(server.body, usedforsecurity=False).hexdigest()
    target.assert_refused(
        f"{server.url}/voice.tar",
        f"{server.url}/voice.tar: MD5 {found}, expected {MD5}; set corpus.md5 to the MD5 that",
    )
    assert not target.part.exists()
    server.body = BODY
    target.fetch(f"{server.url}/voice.tar")
    target.assert_whole()


def test_a_part_of_another_file_is_found_out(target: Target, server: Server) -> None:
    target.part.parent.mkdir()
    target.part.write_bytes(b"?" * CHUNK_BYTES)
    target.assert_refused(f"{server.url}/voice.tar", f"{server.url}/voice.tar: MD5 ")
    target.fetch(f"{server.url}/voice.tar")
    target.assert_whole()


def test_an_error_of_the_server_is_told(target: Target, server: Server) -> None:
    target.assert_refused(
        f"{server.url}/nowhere.tar", f"{server.url}/nowhere.tar: HTTP 404 Not Found, expected 200; check"
    )


def test_no_server_there(target: Target, server: Server) -> None:
    with Server() as other:
        url = f"{other.url}/voice.tar"  # its port is free again after this block
    target.assert_refused(url, f"{url}: download stopped (ConnectionError); check the network, or put the file by hand")


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("embedded:numbers-1.0", "voice.tar"),
        ("https://keithito.com/data/LJSpeech-1.1.tar.bz2", "LJSpeech-1.1.tar.bz2"),
        ("https://host/my%20voice.tar?token=a/b.zip", "my voice.tar"),
        ("https://host/download?id=3", "voice.tar"),
        ("https://host", "voice.tar"),
        ("https://host/%2e%2e", "voice.tar"),
        ("file:///a/b.tar.gz", "b.tar.gz"),
        ("/a/recordings", "voice.tar"),
        ("../recordings.tgz", "recordings.tgz"),
        (".", "voice.tar"),
        ("recordings/LJSpeech-1.1", "voice.tar"),
    ],
)
def test_archive_name(source: str, name: str) -> None:
    assert archive_name(corpus(source)) == name
