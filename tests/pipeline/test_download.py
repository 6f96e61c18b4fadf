"""pipeline.download against real files and real HTTP servers on 127.0.0.1: which source gives it, and is it right."""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dtc.provenance import CHUNK_BYTES, md5_of, sha256_of
from pipeline.archives import read_members
from pipeline.corpora import embedded_archive
from pipeline.download import archive_name, fetch_part
from tests.pipeline.fetching import BODY, OTHER, RIGHT, UNKNOWN, Fetched, Target, corpus, md5, noise, sha256
from tests.pipeline.unreliable_server import Answer, Request, Server, serving

ROOT = Path(__file__).parents[2]


@pytest.fixture
def mirror(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with serving(BODY) as made:
        yield made


# Files and folders


def test_the_embedded_corpus(target: Target) -> None:
    source, there = "embedded:numbers-1.0", embedded_archive("numbers-1.0")
    fetched = target.fetch(source, **UNKNOWN)
    assert fetched == Fetched(md5_of(there), sha256_of(there), there.stat().st_size, source, reused=False)
    assert target.archive.read_bytes() == there.read_bytes()
    sizes = [done for done, _ in target.advances]
    assert sizes == sorted(sizes)
    assert len(sizes) == -(-fetched.bytes // CHUNK_BYTES)
    assert target.advances[-1] == (fetched.bytes, fetched.bytes)


@pytest.mark.parametrize("scheme", ["{}", "file://{}"])
def test_a_local_archive(target: Target, tmp_path: Path, scheme: str) -> None:
    file = tmp_path / "my voice.tar"
    file.write_bytes(BODY)
    source = scheme.format(str(file).replace(" ", "%20") if "file:" in scheme else file)
    fetched = target.fetch(source)
    assert (fetched.md5, fetched.sha256, fetched.bytes, fetched.from_source) == (*RIGHT.values(), len(BODY), source)
    target.assert_whole()
    assert file.read_bytes() == BODY, "copied, not moved"


def test_a_folder_is_packed(target: Target, tmp_path: Path, make_corpus: Callable[..., Path]) -> None:
    folder = make_corpus(tmp_path / "recordings", clips=2)
    first = target.fetch(folder, **UNKNOWN)
    assert [member.name for member in read_members(target.archive)] == [
        "recordings/metadata.csv",
        "recordings/wavs/clip-000.wav",
        "recordings/wavs/clip-001.wav",
    ]
    assert target.advances == [(first.bytes, first.bytes)]
    target.archive.unlink()
    assert target.fetch(folder, md5=first.md5, sha256=first.sha256) == first


@pytest.mark.parametrize(
    ("source", "fault"),
    [
        ("nowhere/voice.tar", "corpus.source: nowhere/voice.tar: no such file or folder, expected an archive, a fol"),
        ("file:///nowhere.tar", "corpus.source: file:///nowhere.tar: no such file or folder"),
        ("/dev/null", "corpus.source: /dev/null: no such file or folder"),
        ("embedded:letters", "corpus.source: embedded:letters does not ship with dtc, expected embedded:numbers-1.0"),
        (
            "s3://bucket/voice.tar",
            "corpus.source: s3://bucket/voice.tar: s3:// is not supported, expected http, https, ",
        ),
    ],
)
def test_a_source_that_is_not_there(target: Target, source: str, fault: str) -> None:
    target.assert_refused(fault, source)


def test_an_empty_file_is_no_archive(target: Target, tmp_path: Path) -> None:
    (tmp_path / "voice.tar").write_bytes(b"")
    target.assert_refused(f"{tmp_path}/voice.tar: 0 bytes, expected an archive", tmp_path / "voice.tar", **UNKNOWN)


def test_a_copy_takes_nothing_from_a_download(target: Target, server: Server, tmp_path: Path) -> None:
    """Killed in the middle of a copy, it must not be taken for the server's file that lay there before."""
    server.answers = [Answer(drop_after=100_000)]
    target.assert_refused(server.url, server.url, attempts=1, **UNKNOWN)
    (tmp_path / "voice.tar").write_bytes(OTHER[:50_000])

    def kill(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch_part(corpus(tmp_path / "voice.tar"), target.part, kill, target.said.append)
    assert target.part.stat().st_size > 0
    target.fetch(server.url, **UNKNOWN)
    target.assert_whole()


# Good servers


def test_a_download(target: Target, server: Server) -> None:
    assert target.fetch(server.url) == Fetched(RIGHT["md5"], RIGHT["sha256"], len(BODY), server.url, reused=False)
    target.assert_whole()
    assert target.advances[-1] == (len(BODY), len(BODY))
    assert server.requests == [Request("/voice.tar", None, None)]
    assert target.said == target.waits == []


def test_a_large_download(target: Target, server: Server) -> None:
    server.body = noise(5 * CHUNK_BYTES + 17, 2)
    fetched = target.fetch(server.url, **UNKNOWN)
    assert (fetched.md5, fetched.sha256) == (md5(server.body), sha256(server.body))
    target.assert_whole(server.body)


@pytest.mark.parametrize("known", [RIGHT, {"md5": RIGHT["md5"]}, {"sha256": RIGHT["sha256"]}])
def test_what_is_there_and_right_is_not_fetched_again(target: Target, server: Server, known: dict[str, str]) -> None:
    target.fetch(server.url, **known)
    again = target.fetch(server.url, **known)
    assert again == Fetched(RIGHT["md5"], RIGHT["sha256"], len(BODY), "", reused=True)
    assert len(server.requests) == 1
    target.archive.write_bytes(BODY[:-1])
    assert not target.fetch(server.url, **known).reused
    target.assert_whole()


def test_without_checksums_what_is_there_is_not_trusted(target: Target, server: Server) -> None:
    target.fetch(server.url, **UNKNOWN)
    server.body = OTHER
    assert not target.fetch(server.url, **UNKNOWN).reused
    target.assert_whole(OTHER)


def test_a_body_of_unknown_length(target: Target, server: Server) -> None:
    server.answers = [Answer(chunked=True)]
    target.fetch(server.url, **UNKNOWN)
    target.assert_whole()
    assert {total for _, total in target.advances} == {0}


def test_a_redirect_is_followed(target: Target, server: Server, mirror: Server) -> None:
    server.answers = [Answer(status=302, headers={"Location": "/moved.tar"})]
    server.usual = Answer(status=307, headers={"Location": mirror.url})
    mirror.answers = [Answer(drop_after=1000)]
    assert target.fetch(server.url).from_source == server.url
    target.assert_whole()
    assert [request.path for request in server.requests] == ["/voice.tar", "/moved.tar", "/voice.tar"]
    assert mirror.ranges == [None, "bytes=1000-"]


@pytest.mark.parametrize(
    ("location", "fault"),
    [
        ("file:///etc/passwd", "does not lead to a file (No connection adapters were found for 'file:///etc/passwd')"),
        ("ftp://127.0.0.1/voice.tar", "does not lead to a file (No connection adapters were found for 'ftp://127"),
        ("/voice.tar", "does not lead to a file (Exceeded 30 redirects.)"),
        ("http://", "does not lead to a file ("),
    ],
)
def test_a_redirect_that_leads_astray(target: Target, server: Server, location: str, fault: str) -> None:
    server.usual = Answer(status=302, headers={"Location": location})
    target.assert_refused(f"{server.url}: {fault}", server.url)
    assert target.waits == [], "not tried again"


def test_http_without_a_checksum_is_refused_before_a_request_and_after_a_redirect(
    target: Target, server: Server, mirror: Server
) -> None:
    """127.1 is this machine under another name; only the usual names of it are excepted."""
    fault = "http without a checksum, so that anyone on the way could replace the archive, expected https, or a"
    elsewhere = mirror.url.replace("127.0.0.1", "127.1")
    target.assert_refused(f"{elsewhere}: {fault}", elsewhere, **UNKNOWN)
    assert mirror.requests == []
    server.usual = Answer(status=302, headers={"Location": elsewhere})
    target.assert_refused(f"{elsewhere}: {fault}", server.url, **UNKNOWN)
    assert not target.archive.exists()
    target.fetch(server.url)
    target.assert_whole()


# Checksums


@pytest.mark.parametrize(("key", "name"), [("md5", "MD5"), ("sha256", "SHA-256")])
def test_a_wrong_checksum_removes_the_part_and_keeps_what_was_there(
    target: Target, server: Server, key: str, name: str
) -> None:
    target.archive.parent.mkdir(parents=True)
    target.archive.write_bytes(b"the corpus of before")
    found, expected = (md5(BODY), md5(OTHER)) if key == "md5" else (sha256(BODY), sha256(OTHER))
    line = target.assert_refused(server.url, server.url, **RIGHT | {key: expected})
    assert line == (
        f"{server.url}: {name} {found}, expected {expected}; set corpus.{key} to the {name} that the corpus's owner "
        "publishes, or to null where it is unknown, or fetch the right file"
    )
    assert len(server.requests) == 1, "it came in one piece: it would come so again"
    assert list(target.part.parent.iterdir()) == []
    target.fetch(server.url)
    target.assert_whole()


def test_a_wrong_checksum_of_a_file(target: Target, tmp_path: Path) -> None:
    (tmp_path / "voice.tar").write_bytes(OTHER)
    target.assert_refused(
        f"{tmp_path}/voice.tar: MD5 {md5(OTHER)}, expected {md5(BODY)}; set corpus.md5", tmp_path / "voice.tar"
    )
    assert list(target.part.parent.iterdir()) == []


@pytest.mark.parametrize("part", [OTHER[:1000], OTHER, OTHER + OTHER])
def test_a_part_of_another_file_is_found_out(target: Target, server: Server, part: bytes) -> None:
    target.part.parent.mkdir()
    target.part.write_bytes(part)
    target.fetch(server.url)
    target.assert_whole()


def test_what_was_gone_on_with_and_is_wrong_is_fetched_once_more(
    target: Target, server: Server, mirror: Server
) -> None:
    target.part.parent.mkdir()
    target.part.write_bytes(OTHER[:1000])
    server.body = mirror.body = OTHER
    target.assert_refused("corpus.source and corpus.mirrors: none of 2 sources has", server.url, mirror.url)
    assert server.ranges == ["bytes=1000-", None]
    assert mirror.ranges == [None]
    assert target.said == [
        f"{server.url}: MD5 {md5(OTHER)} after a resumed download; fetched from the start",
        f"{server.url}: MD5 {md5(OTHER)}, expected {md5(BODY)}; trying the next source",
    ]


def test_a_whole_part_is_taken(target: Target, server: Server) -> None:
    """Killed between the last byte and the move."""
    target.part.parent.mkdir()
    target.part.write_bytes(BODY)
    assert target.fetch(server.url).from_source == server.url
    target.assert_whole()
    assert server.requests == []


def test_a_whole_part_without_a_checksum_is_asked_for(target: Target, server: Server) -> None:
    target.part.parent.mkdir()
    target.part.write_bytes(BODY)
    sidecar = {"url": server.url, "validator": f'"{md5(BODY)}"', "total": len(BODY)}
    target.part.with_name("voice.tar.part.json").write_text(json.dumps(sidecar))
    target.fetch(server.url, **UNKNOWN)
    target.assert_whole()
    assert server.ranges == [f"bytes={len(BODY)}-", None]


@pytest.mark.parametrize("sidecar", [None, "", "[1", '{"url": 1}'])
def test_without_a_checksum_a_part_of_unknown_origin_is_not_trusted(
    target: Target, server: Server, sidecar: str | None
) -> None:
    target.part.parent.mkdir()
    target.part.write_bytes(OTHER[:1000])
    if sidecar is not None:
        target.part.with_name("voice.tar.part.json").write_text(sidecar)
    target.fetch(server.url, **UNKNOWN)
    target.assert_whole()
    assert server.ranges == [None]


# Mirrors


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 204, 304])
def test_a_refusal_sends_it_to_the_mirror(target: Target, server: Server, mirror: Server, status: int) -> None:
    server.usual = Answer(status=status)
    assert target.fetch(server.url, mirror.url).from_source == mirror.url
    target.assert_whole()
    assert len(server.requests) == 1
    assert target.waits == []
    (said,) = target.said
    assert said.startswith(f"{server.url}: HTTP {status} ")
    assert said.endswith("; trying the next source")


@pytest.mark.parametrize(
    "bad",
    [
        Answer(body=OTHER),
        Answer(body=b""),
        Answer(status=503),
        Answer(status=302, headers={"Location": "file:///etc/passwd"}),
        Answer(compressed=True),
        Answer(length=-1),
        Answer(ranges=False, drop_after=1000),
    ],
)
def test_so_does_whatever_else_does_not_end_in_the_archive(
    target: Target, server: Server, mirror: Server, bad: Answer
) -> None:
    server.usual = bad
    assert target.fetch(server.url, mirror.url).from_source == mirror.url
    target.assert_whole()


@pytest.mark.parametrize("source", ["nowhere/voice.tar", "file:///nowhere/voice.tar", "~/nowhere", "file://nowhere"])
def test_a_path_that_is_not_there_is_refused_at_once(target: Target, mirror: Server, source: str) -> None:
    """It is mistyped: a mirror may take hours to send the archive of the published corpus."""
    target.assert_refused(f"corpus.source: {source}: no such file or folder, expected an archive", source, mirror.url)
    assert mirror.requests == []


def test_a_mirror_goes_on_where_the_other_stopped(target: Target, server: Server, mirror: Server) -> None:
    """The checksum tells in the end whether both had the same file."""
    server.usual, server.answers = Answer(status=404), [Answer(drop_after=200_000)]
    mirror.usual = Answer(headers={"ETag": '"the same, called otherwise"'})
    target.fetch(server.url, mirror.url)
    target.assert_whole()
    assert mirror.requests == [Request("/voice.tar", "bytes=200000-", None)]


def test_but_never_without_a_checksum(target: Target, server: Server, mirror: Server) -> None:
    server.usual, server.answers = Answer(status=404), [Answer(drop_after=200_000)]
    mirror.body = OTHER
    target.fetch(server.url, mirror.url, **UNKNOWN)
    target.assert_whole(OTHER)
    assert mirror.ranges == [None]


@pytest.mark.parametrize("size", [200_000, 250_000, 300_017, 400_000])
def test_a_mirror_that_had_another_file_costs_a_restart(
    target: Target, server: Server, mirror: Server, size: int
) -> None:
    server.body = noise(size, 3)
    server.usual, server.answers = Answer(status=404), [Answer(drop_after=190_000)]
    target.fetch(server.url, mirror.url)
    target.assert_whole()
    assert mirror.ranges == ["bytes=190000-", None]


def test_the_error_lists_what_each_source_said(target: Target, server: Server, mirror: Server) -> None:
    server.usual, mirror.body = Answer(status=403), OTHER
    with serving() as gone:
        pass
    line = target.assert_refused("", server.url, mirror.url, gone.url, "/nowhere.tar", attempts=2)
    assert line == (
        "corpus.source and corpus.mirrors: none of 4 sources has the archive "
        f"({server.url}: HTTP 403 Forbidden, expected 200; "
        f"{mirror.url}: MD5 {md5(OTHER)}, expected {md5(BODY)}; "
        f"{gone.url}: Connection refused (2 attempts), expected the archive; "
        "corpus.source: /nowhere.tar: no such file or folder, expected an archive, a folder or a URL); "
        "check the network, or fetch it by hand, put it anywhere and set corpus.source to its path; "
        "set corpus.md5 to the MD5 that the corpus's owner publishes, or to null where it is unknown, or fetch the "
        "right file"
    )


# The disk


def disk_of(free: int) -> Callable[[Path], Any]:
    return lambda path: shutil._ntuple_diskusage(10**12, 10**12 - free, free)  # type: ignore[attr-defined]


def test_room_is_checked_before_the_body_is_read(
    target: Target, server: Server, mirror: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", disk_of(len(BODY) - 1))
    target.assert_refused(
        f"{target.part.parent}: 300,016 bytes free, expected 300,017 for the archive; make room and run it again",
        server.url,
        mirror.url,
    )
    assert target.advances == []
    assert mirror.requests == [], "another source needs as much"
    monkeypatch.setattr(shutil, "disk_usage", disk_of(len(BODY)))
    target.fetch(server.url)
    target.assert_whole()


def test_room_is_needed_for_the_rest_alone(target: Target, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    server.answers = [Answer(drop_after=200_000)]
    target.assert_refused(server.url, server.url, attempts=1)
    monkeypatch.setattr(shutil, "disk_usage", disk_of(100_016))
    target.assert_refused(f"{target.part.parent}: 100,016 bytes free, expected 100,017 for the archive", server.url)
    monkeypatch.setattr(shutil, "disk_usage", disk_of(100_017))
    target.fetch(server.url)
    target.assert_whole()


def test_room_for_a_copy(target: Target, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "voice.tar").write_bytes(BODY)
    monkeypatch.setattr(shutil, "disk_usage", disk_of(5))
    target.assert_refused(f"{target.part.parent}: 5 bytes free, expected 300,017", tmp_path / "voice.tar")


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("embedded:numbers-1.0", "voice.tar"),
        ("https://keithito.com/data/LJSpeech-1.1.tar.bz2", "LJSpeech-1.1.tar.bz2"),
        ("https://host/my%20voice.tar?token=a/b.zip", "my voice.tar"),
        ("https://host/voice.zip", "voice.zip"),
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
