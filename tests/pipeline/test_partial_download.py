"""pipeline.partial_download and pipeline.download where connections break, servers lie and files change: never a wrong archive."""

import gzip
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dtc.errors import InputError
from tests.pipeline.fetching import BODY, OTHER, RIGHT, UNKNOWN, Target, corpus, md5, noise
from tests.pipeline.unreliable_server import Answer, Request, Server, serving

ROOT = Path(__file__).parents[2]


# Connections that break


def test_a_dropped_download_is_gone_on_with(target: Target, server: Server) -> None:
    server.answers = [Answer(drop_after=200_009), Answer(drop_after=50_000)]
    target.fetch(server.url)
    target.assert_whole()
    etag = f'"{md5(BODY)}"'
    assert server.requests == [
        Request("/voice.tar", None, None),
        Request("/voice.tar", "bytes=200009-", etag),
        Request("/voice.tar", "bytes=250009-", etag),
    ]
    assert target.waits == [1.0, 1.0], "what came counts: the attempts begin anew"
    assert target.said == [f"{server.url}: the connection broke off; trying again in 1 s"] * 2
    assert [done for done, _ in target.advances] == sorted(done for done, _ in target.advances)


@pytest.mark.parametrize("sums", [RIGHT, UNKNOWN])
def test_another_run_goes_on(target: Target, server: Server, sums: dict[str, Any]) -> None:
    server.answers = [Answer(drop_after=200_009)]
    line = target.assert_refused(f"{server.url}: the connection broke off", server.url, attempts=1, **sums)
    assert line == (
        f"{server.url}: the connection broke off (1 attempts), expected the archive; check the network, or fetch it by "
        "hand, put it anywhere and set corpus.source to its path"
    )
    assert target.part.read_bytes() == BODY[:200_009]
    target.fetch(server.url, **sums)
    target.assert_whole()
    assert server.ranges == [None, "bytes=200009-"]
    assert target.advances[0][0] > 200_009
    assert target.advances[0][1] == len(BODY), "progress counts what was there"


def test_a_chunked_body_that_breaks_off(target: Target, server: Server) -> None:
    server.answers = [Answer(chunked=True, drop_after=50_000)]
    target.fetch(server.url)
    target.assert_whole()
    assert len(server.requests) == 2


@pytest.mark.parametrize("sums", [RIGHT, UNKNOWN])
def test_a_server_without_ranges_starts_over(target: Target, server: Server, sums: dict[str, Any]) -> None:
    server.usual, server.answers = Answer(ranges=False), [Answer(drop_after=200_000)]
    target.fetch(server.url, **sums)
    target.assert_whole()
    assert target.said[1:] == [f"{server.url}: the server sends the whole file, not the rest; fetched from the start"]


def test_a_server_that_drops_and_starts_over_each_time_comes_to_an_end(target: Target, server: Server) -> None:
    server.usual = Answer(ranges=False, drop_after=200_000)
    target.assert_refused(f"{server.url}: the connection broke off (6 attempts)", server.url)
    assert len(server.requests) == 6
    assert target.waits == [1, 2, 4, 8, 16]


def test_a_server_that_gives_ranges_in_pieces(target: Target, server: Server) -> None:
    server.usual, server.answers = Answer(largest=49_999), [Answer(drop_after=200_000)]
    target.fetch(server.url, **UNKNOWN)
    target.assert_whole()
    assert server.ranges == [None, "bytes=200000-", "bytes=249999-", "bytes=299998-"]
    assert target.said[1] == f"{server.url}: ended after 249,999 of 300,017 bytes; trying again in 1 s"


def test_a_server_that_says_nothing(target: Target, server: Server) -> None:
    server.answers = [Answer(silent=True)]
    target.fetch(server.url, timeout_s=0.2)
    target.assert_whole()
    assert target.said == [f"{server.url}: nothing came for 0.2 s; trying again in 1 s"]


def test_a_stalled_connection(target: Target, server: Server) -> None:
    server.answers = [Answer(stall_after=100_000)]
    target.fetch(server.url, timeout_s=0.2)
    target.assert_whole()
    assert server.ranges == [None, "bytes=100000-"]
    assert target.said == [f"{server.url}: nothing came for 0.2 s; trying again in 1 s"]


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
def test_a_busy_server_is_asked_again(target: Target, server: Server, status: int) -> None:
    server.answers = [Answer(status=status)] * 3
    target.fetch(server.url)
    target.assert_whole()
    assert target.waits == [1, 2, 4]
    assert target.said[0].startswith(f"{server.url}: HTTP {status} ")


@pytest.mark.parametrize(
    ("asked", "waited"),
    [
        ("0", 1),
        ("7", 7),
        ("3600", 60),
        ("Fri, 01 Jan 2100 00:00:00 GMT", 60),
        ("Fri, 01 Jan 2100 00:00:00 -0000", 60),
        ("Sat, 01 Jan 2000 00:00:00 GMT", 1),
        ("soon", 1),
        ("", 1),
    ],
)
def test_retry_after_is_honoured_and_bounded(target: Target, server: Server, asked: str, waited: float) -> None:
    server.answers = [Answer(status=429, headers={"Retry-After": asked})]
    target.fetch(server.url)
    assert target.waits == [waited]


def test_a_server_that_stays_busy(target: Target, server: Server) -> None:
    server.usual = Answer(status=503)
    target.assert_refused(f"{server.url}: HTTP 503 Service Unavailable (6 attempts), expected the archive", server.url)
    assert target.waits == [1, 2, 4, 8, 16]


def test_no_server_there(target: Target) -> None:
    with serving() as other:
        url = other.url  # its port is free again after this block
    target.assert_refused(f"{url}: Connection refused (6 attempts), expected the archive; check the network, or", url)


def test_no_such_host(target: Target) -> None:
    url = "http://nowhere.invalid/voice.tar"
    line = target.assert_refused(f"{url}: ", url, attempts=2)
    assert line.endswith("or fetch it by hand, put it anywhere and set corpus.source to its path")


# Servers that send something else


def test_a_file_that_changed_meanwhile_is_never_spliced(target: Target, server: Server) -> None:
    server.answers = [Answer(drop_after=200_000), Answer(body=OTHER)]
    target.fetch(server.url, **UNKNOWN)
    target.assert_whole(OTHER)


@pytest.mark.parametrize("versions", ["etag", "date"])
@pytest.mark.parametrize("changed", [OTHER, OTHER + OTHER, OTHER[:250_000], OTHER[:100_000]])
def test_nor_where_the_server_heeds_no_if_range(target: Target, server: Server, versions: str, changed: bytes) -> None:
    server.answers = [
        Answer(drop_after=200_000, versions=versions),
        Answer(body=changed, versions=versions, if_range=False),
    ]
    target.fetch(server.url, **UNKNOWN)
    target.assert_whole(changed)
    assert server.ranges == [None, "bytes=200000-", None]


@pytest.mark.parametrize("versions", ["weak", ""])
def test_where_nothing_names_versions_only_a_checksum_lets_it_go_on(
    target: Target, server: Server, versions: str
) -> None:
    server.usual, drop = Answer(versions=versions), Answer(versions=versions, drop_after=200_000)
    server.answers = [drop]
    target.fetch(server.url, **UNKNOWN)
    target.assert_whole()
    server.answers = [drop]
    target.archive.unlink()
    target.fetch(server.url)
    target.assert_whole()
    assert server.requests[-1] == Request("/voice.tar", "bytes=200000-", None)
    assert server.ranges == [None, None, None, "bytes=200000-"]


@pytest.mark.parametrize(
    "lie",
    [
        Answer(range_from=1),
        Answer(headers={"Content-Range": "bytes 0-300016/300017"}),
        Answer(headers={"Content-Range": "bytes 200000-300016/200000"}),
        Answer(headers={"Content-Range": "bytes 200000-300016/999999"}),
        Answer(headers={"Content-Range": "bytes 200000-200100/300017"}),
        Answer(headers={"Content-Range": "pages 4-5/6"}),
        Answer(headers={"Content-Range": ""}),
    ],
)
def test_a_wrong_content_range_is_not_appended(target: Target, server: Server, lie: Answer) -> None:
    server.answers = [Answer(drop_after=200_000), lie]
    target.fetch(server.url, **UNKNOWN)
    target.assert_whole()
    assert server.ranges == [None, "bytes=200000-", None]
    assert target.said[1] == f"{server.url}: HTTP 206: not the rest of the part; trying again in 2 s"


def test_a_content_range_without_the_total(target: Target, server: Server) -> None:
    """It is known from before."""
    piece = Answer(largest=50_000, headers={"Content-Range": "bytes 200000-249999/*"})
    server.answers = [Answer(drop_after=200_000), piece]
    target.fetch(server.url, **UNKNOWN)
    target.assert_whole()
    assert server.ranges == [None, "bytes=200000-", "bytes=250000-"]


@pytest.mark.parametrize(
    ("versions", "sums", "third"),
    [("etag", UNKNOWN, None), ("etag", RIGHT, "bytes=250000-"), ("date", UNKNOWN, "bytes=250000-")],
)
def test_a_rest_that_names_no_version(
    target: Target, server: Server, versions: str, sums: dict[str, Any], third: str | None
) -> None:
    server.answers = [
        Answer(drop_after=200_000, versions=versions),
        Answer(versions="", if_range=False, drop_after=50_000),
    ]
    server.usual = Answer(versions=versions)
    target.fetch(server.url, **sums)
    target.assert_whole()
    assert server.ranges == [None, "bytes=200000-", third]


def test_a_part_of_an_answer_that_nobody_asked_for(target: Target, server: Server) -> None:
    server.usual = Answer(status=206, headers={"Content-Range": "bytes 0-0/1"})
    target.assert_refused(f"{server.url}: HTTP 206 Partial Content, expected 200", server.url)


@pytest.mark.parametrize("sums", [RIGHT, UNKNOWN])
def test_a_part_longer_than_the_file(target: Target, server: Server, sums: dict[str, Any]) -> None:
    server.answers = [Answer(body=OTHER + OTHER, drop_after=400_000)]
    target.assert_refused(server.url, server.url, attempts=1, **sums)
    server.body = BODY
    server.usual = Answer(if_range=False)
    target.fetch(server.url, **sums)
    target.assert_whole()


def test_a_body_shorter_than_its_length(target: Target, server: Server) -> None:
    """It looks like a connection that broke off; what was missing is asked for, and there is nothing."""
    server.usual = Answer(length=1000)
    target.assert_refused(f"{server.url}: ", server.url, **UNKNOWN)
    target.assert_refused(f"{server.url}: ", server.url, md5=md5(OTHER))
    server.usual = Answer()
    target.fetch(server.url)
    target.assert_whole()


def test_a_body_longer_than_its_length(target: Target, server: Server) -> None:
    server.answers = [Answer(length=-1)]
    target.assert_refused(f"{server.url}: MD5 {md5(BODY[:-1])}, expected {md5(BODY)}", server.url)
    target.fetch(server.url)
    target.assert_whole()


def test_an_empty_body(target: Target, server: Server) -> None:
    server.body = b""
    target.assert_refused(f"{server.url}: 0 bytes, expected an archive", server.url, **UNKNOWN)


def test_a_file_compressed_on_the_way_is_refused(target: Target, server: Server) -> None:
    server.answers = [Answer(compressed=True)]
    target.assert_refused(f"{server.url}: sends the file compressed (gzip), expected the file's own bytes", server.url)


def test_a_gz_that_is_called_compressed_is_kept_as_it_is(target: Target, server: Server) -> None:
    server.answers = [Answer(compressed=True)]
    target.fetch(server.url.replace(".tar", ".tar.gz"), **UNKNOWN)
    assert gzip.decompress(target.archive.read_bytes()) == BODY


def test_a_web_page_does_not_cost_the_part(target: Target, server: Server) -> None:
    server.answers = [
        Answer(drop_after=200_000),
        Answer(headers={"Content-Type": "text/html; charset=utf-8"}, ranges=False),
    ]
    target.assert_refused(f"{server.url}: a web page (text/html; charset=utf-8), expected an archive", server.url)
    assert target.part.stat().st_size == 200_000
    target.fetch(server.url)
    target.assert_whole()


# Any schedule of drops, changes and kills

SMALL, CHANGED = noise(50_000, 4), noise(60_000, 5)
drops = st.builds(
    Answer,
    drop_after=st.one_of(st.none(), st.integers(0, 40_000)),
    ranges=st.booleans(),
    if_range=st.booleans(),
    largest=st.one_of(st.none(), st.integers(1, 40_000)),
    chunked=st.booleans(),
)


def fetch_until_it_is_there(target: Target, url: str, **sums: Any) -> None:
    """As a patient user does."""
    while not target.archive.exists():
        with suppress(InputError):
            target.fetch(url, attempts=2, **sums)


@pytest.fixture(scope="module")
def small_server() -> Iterator[Server]:
    with pytest.MonkeyPatch.context() as patch, serving() as made:
        patch.setenv("no_proxy", "127.0.0.1")
        yield made


@settings(max_examples=40, deadline=None)
@given(answers=st.lists(drops, max_size=6), known=st.booleans())
def test_any_schedule_of_drops_ends_in_the_same_bytes(small_server: Server, answers: list[Answer], known: bool) -> None:
    small_server.body, small_server.answers = SMALL, list(answers)
    with TemporaryDirectory() as folder:
        target = Target(Path(folder))
        fetch_until_it_is_there(target, small_server.url, **({"md5": md5(SMALL)} if known else UNKNOWN))
        target.assert_whole(SMALL)


@settings(max_examples=40, deadline=None)
@given(
    answers=st.lists(drops, max_size=6),
    bodies=st.lists(st.sampled_from([SMALL, CHANGED]), min_size=6, max_size=6),
    versions=st.sampled_from(["etag", "date", "weak", ""]),
)
def test_a_file_that_changes_again_and_again_is_never_mixed(
    small_server: Server, answers: list[Answer], bodies: list[bytes], versions: str
) -> None:
    small_server.body, small_server.usual = SMALL, Answer(versions=versions)
    small_server.answers = [
        Answer(**vars(answer) | {"body": body, "versions": versions})
        for answer, body in zip(answers, bodies, strict=False)
    ]
    with TemporaryDirectory() as folder:
        target = Target(Path(folder))
        fetch_until_it_is_there(target, small_server.url, **UNKNOWN)
        assert target.archive.read_bytes() in (SMALL, CHANGED)


def test_killed_by_sigkill_it_goes_on(target: Target, server: Server) -> None:
    """A real process downloads; it is killed while the server has sent two thirds and no more."""
    server.answers = [Answer(stall_after=200_000)]
    program = (
        "import sys; from pathlib import Path; from pipeline.corpora import CorpusConfig\n"
        "from pipeline.download import fetch_part\n"
        "corpus = CorpusConfig.model_validate_json(sys.argv[1])\n"
        "fetch_part(corpus, Path(sys.argv[2]), lambda *done: None, print)"
    )
    arguments = [corpus(server.url, **RIGHT).model_dump_json(), str(target.part)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    process = subprocess.Popen([sys.executable, "-c", program, *arguments], env=environment)
    # What is written in one piece may wait in the file's buffer of 8 KiB.
    while not target.part.exists() or target.part.stat().st_size < 190_000:
        assert process.poll() is None, "it ended before it could be killed"
    process.kill()
    process.wait()
    there = target.part.stat().st_size
    assert 190_000 <= there <= 200_000
    assert not target.archive.exists()
    target.fetch(server.url)
    target.assert_whole()
    assert server.requests[1:] == [Request("/voice.tar", f"bytes={there}-", f'"{md5(BODY)}"')]
