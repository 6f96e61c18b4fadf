"""Fetch the corpus's archive from the first of its sources that has it, and verify its checksums."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlparse

import requests
from urllib3.exceptions import HTTPError
from urllib3.util import Retry

from dtc.errors import InputError
from dtc.files import local_path
from dtc.provenance import CHUNK_BYTES, Checksums, read_chunks
from pipeline.archives import pack_folder
from pipeline.corpora import EMBEDDED, CorpusConfig, embedded_archive
from pipeline.partial_download import Origin, Part

ARCHIVE = re.compile(r"\.(tar(\.\w+)?|tgz|tbz2?|txz|zip)$")
GZIPPED = re.compile(r"\.t?gz$")
LONGEST_WAIT_S = 60.0  # even if a server asks for more
BUSY = {408, 425, 429}  # answers after which another attempt may succeed, as after every 5xx
THIS_MACHINE = ("127.0.0.1", "localhost", "::1")
BY_HAND = "check the network, or fetch it by hand, put it anywhere and set corpus.source to its path"

Advance = Callable[[int, int], None]  # called with the bytes so far, and the bytes in all (0: not known)
Report = Callable[[str], None]  # called with a line about a fault and what is done next


@dataclass(frozen=True)
class Patience:
    """How long to wait for a server: until as many attempts in a row as `attempts` have brought no new bytes."""

    timeout_s: float = 30.0
    attempts: int = 6  # with 1, 2, 4, 8 and 16 s between them
    wait: Callable[[float], None] = time.sleep


PATIENCE = Patience()


def existing_archive(corpus: CorpusConfig, archive: Path) -> Checksums | None:
    """Return the checksums of the archive if it is there and `corpus` names one of them, else None."""
    if not corpus.verifiable or not archive.is_file() or _fault(sums := Checksums.of(archive), corpus):
        return None
    return sums


def fetch_part(
    corpus: CorpusConfig, part: Path, advance: Advance, report: Report, patience: Patience = PATIENCE
) -> tuple[Part, str]:
    """Return the whole archive as a part, and the source that it was read from.

    The sources are tried in turn. After an interruption, a later call continues the part. Raises InputError with the
    fault of each source.
    """
    growing = Part(part, corpus.verifiable, advance)
    return growing, _fill_from_first(corpus, growing, report, patience)


def archive_name(corpus: CorpusConfig) -> str:
    """Return the file name that the archive has in the project."""
    path = local_path(corpus.source) or Path(unquote(urlparse(corpus.source).path))
    # Only these suffixes: a folder may be called LJSpeech-1.1.
    return path.name if ARCHIVE.search(path.name) else f"{corpus.name}.tar"


class _Refused(InputError):
    """Raised where a source does not have the archive. Another source may have it."""

    @property
    def fault(self) -> str:
        """Return what is wrong with the source, without the remedy."""
        return str(InputError(self.where, self.found, self.expected))


class _Interrupted(Exception):
    """Raised where an attempt failed or ended early. The next attempt may continue it."""

    def __init__(self, found: str, asked_s: float = 0.0) -> None:
        super().__init__(found)
        self.asked_s = asked_s  # seconds that the server asked to wait


def _fill_from_first(corpus: CorpusConfig, part: Part, report: Report, patience: Patience) -> str:
    """Fill the part from the first source that has the archive, and return that source."""
    sources, refusals = (corpus.source, *corpus.mirrors), list[_Refused]()
    for source in sources:
        try:
            if urlparse(source).scheme in ("http", "https"):
                return _download(source, corpus, part, report, patience)
            return _copy(source, corpus, part)
        except _Refused as refusal:
            refusals.append(refusal)
            if source == corpus.source and local_path(source):  # mistyped or wrong: no server that failed
                break
            if len(refusals) < len(sources):
                report(f"{refusal.fault}; trying the next source")
    if len(refusals) == 1:
        raise refusals[0]
    faults = "; ".join(refusal.fault for refusal in refusals)
    remedies = dict.fromkeys(refusal.remedy for refusal in refusals if refusal.remedy)
    found = f"none of {len(sources)} sources has the archive ({faults})"
    raise InputError("corpus.source and corpus.mirrors", found, remedy="; ".join(remedies))


def _copy(source: str, corpus: CorpusConfig, part: Part) -> str:
    """Fill the part with the bytes of a file, or with a folder packed as a tar."""
    path = _local_path(source)
    part.start_over()  # a copy is quick, and the file may have changed
    if path.is_dir():
        pack_folder(path, part.path)
        part.sums = Checksums.of(part.path)
        part.advance(part.sums.bytes, part.sums.bytes)
    else:
        size_bytes = path.stat().st_size
        part.check_room(size_bytes)
        part.grow(read_chunks(path), size_bytes)
    _refuse_if_wrong(source, corpus, part)
    return source


def _local_path(source: str) -> Path:
    if source.startswith(EMBEDDED):
        return embedded_archive(source.removeprefix(EMBEDDED))
    path = local_path(source)
    if path is None:
        found = f"{source}: {urlparse(source).scheme}:// is not supported"
        raise _Refused("corpus.source", found, "http, https, file or a path")
    if not path.is_file() and not path.is_dir():
        raise _Refused("corpus.source", f"{source}: no such file or folder", "an archive, a folder or a URL")
    return path


def _download(url: str, corpus: CorpusConfig, part: Part, report: Report, patience: Patience) -> str:
    """Fetch the rest of the part. If the archive is wrong and came in pieces, fetch it once more from the start."""
    if part.verifiable and not _fault(part.sums, corpus):
        return part.origin.url if part.origin else url  # killed between its last byte and the move
    _fill(url, part, report, patience)
    if part.pieced and (fault := _fault(part.sums, corpus)):
        report(f"{url}: {fault[0]} after a resumed download; fetched from the start")
        part.start_over()
        _fill(url, part, report, patience)
    _refuse_if_wrong(url, corpus, part)
    return url


def _fill(url: str, part: Part, report: Report, patience: Patience) -> None:
    """Request the rest until it is complete, or until too many attempts in a row have brought no new bytes."""
    failures, most = 0, part.sums.bytes
    while True:
        try:
            return _attempt(url, part, report, patience.timeout_s)
        except _Interrupted as fault:
            # Only bytes beyond all earlier attempts count, as a server may start over and break off each time.
            failures = 1 if part.sums.bytes > most else failures + 1
            most = max(most, part.sums.bytes)
            if failures >= patience.attempts:
                raise _Refused(url, f"{fault} ({failures} attempts)", "the archive", BY_HAND) from None
            pause_s = min(max(fault.asked_s, 2.0 ** (failures - 1)), LONGEST_WAIT_S)
            report(f"{url}: {fault}; trying again in {pause_s:.0f} s")
            patience.wait(pause_s)


def _attempt(url: str, part: Part, report: Report, timeout_s: float) -> None:
    """Send one request, and append the bytes of the answer to the part."""
    # The server must not compress the answer: ranges and checksums are of the file's own bytes.
    headers = {"Accept-Encoding": "identity"} | part.range_headers(url)
    _require_authentic(url, part)
    try:
        with requests.get(url, headers=headers, stream=True, timeout=timeout_s) as response:
            for answer in (*response.history, response):
                _require_authentic(answer.url, part)
            total = _prepare(part, response, url, report)
            # read1 returns what has arrived; read would lose up to a chunk when the connection breaks.
            part.grow(iter(lambda: response.raw.read1(CHUNK_BYTES, decode_content=False), b""), total)
    except (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError, HTTPError) as error:
        raise _Interrupted(_in_plain_words(error, timeout_s)) from None
    except requests.RequestException as error:  # no address, or redirected to another scheme or in a circle
        raise _Refused(url, f"does not lead to a file ({error})", "an archive", BY_HAND) from None
    if total and part.sums.bytes != total:
        raise _Interrupted(f"ended after {part.sums.bytes:,} of {total:,} bytes")


def _require_authentic(url: str, part: Part) -> None:
    """Raise _Refused for plain HTTP from another machine where no checksum tells which bytes are right."""
    address = urlparse(url)
    if address.scheme == "http" and address.hostname not in THIS_MACHINE and not part.verifiable:
        found = "http without a checksum, so that anyone on the way could replace the archive"
        remedy = "use an https address, or enter corpus.sha256 as whoever publishes the archive gives it"
        raise _Refused(url, found, "https, or a checksum", remedy)


def _refuse_bad_answer(response: requests.Response, url: str) -> None:
    """Raise _Interrupted or _Refused for an answer that does not hold the file's bytes."""
    status, found = response.status_code, f"HTTP {response.status_code} {response.reason}"
    if status >= 500 or status in BUSY:
        raise _Interrupted(found, _retry_after_s(response.headers.get("Retry-After", "")))
    if status not in ((200, 206) if "Range" in response.request.headers else (200,)):
        raise _Refused(url, found, "200", BY_HAND)
    kind, encoding = response.headers.get("Content-Type", ""), response.headers.get("Content-Encoding", "identity")
    if kind.startswith("text/html"):  # for example the log-in page of a network
        raise _Refused(url, f"a web page ({kind})", "an archive", BY_HAND)
    if encoding != "identity" and not GZIPPED.search(urlparse(url).path):  # some servers label a .tar.gz so
        raise _Refused(url, f"sends the file compressed ({encoding})", "the file's own bytes", BY_HAND)


def _prepare(part: Part, response: requests.Response, url: str, report: Report) -> int:
    """Prepare the part for the body of an answer; return the bytes of the whole file, 0 where they are unknown."""
    if response.status_code == 416 and part.sums.bytes:  # nothing follows, but the part is not the whole file
        part.start_over()
        raise _Interrupted("HTTP 416: the part is of another file")
    _refuse_bad_answer(response, url)
    length = response.raw.length_remaining or 0  # as urllib3 reads the headers
    etag, validator = response.headers.get("ETag", ""), response.headers.get("Last-Modified")
    if etag and not etag.startswith("W/"):  # a weak one may belong to several files, and If-Range accepts none
        validator = etag
    if response.status_code == 200:
        if part.sums.bytes:
            report(f"{url}: the server sends the whole file, not the rest; fetched from the start")
        part.start_over()
        origin = Origin(url=url, validator=validator, total=length)
    else:
        rest = part.origin_of_rest(response.headers.get("Content-Range", ""), length, url, validator)
        if rest is None:
            part.start_over()
            raise _Interrupted("HTTP 206: not the rest of the part")
        part.pieced, origin = True, rest
    part.check_room(length)
    part.remember(origin)
    return origin.total


def _retry_after_s(value: str) -> float:
    """Return the seconds that a Retry-After header asks for, given as a number or as a date; 0 where it is neither."""
    try:
        return float(Retry().parse_retry_after(value))
    except HTTPError:
        return 0.0


def _in_plain_words(error: BaseException, timeout_s: float) -> str:
    """Return the message of the operating system inside an error of requests and urllib3."""
    causes = [error]
    while causes[-1].__context__ is not None:
        causes.append(causes[-1].__context__)
    if any(isinstance(cause, TimeoutError) for cause in causes):
        return f"nothing came for {timeout_s:g} s"
    system = [
        cause for cause in causes if isinstance(cause, OSError) and not isinstance(cause, requests.RequestException)
    ]
    return system[-1].strerror or str(system[-1]) if system else "the connection broke off"


def _refuse_if_wrong(source: str, corpus: CorpusConfig, part: Part) -> None:
    if fault := _fault(part.sums, corpus):
        part.start_over()
        raise _Refused(source, *fault)


def _fault(sums: Checksums, corpus: CorpusConfig) -> tuple[str, str, str] | None:
    """Return why the bytes are not the corpus's archive, as found, expected and remedy; None if they are."""
    if not sums.bytes:
        return "0 bytes", "an archive", BY_HAND
    if wrong := corpus.wrong_checksum(sums):
        key, found, expected = wrong
        published = f"the {found.partition(' ')[0]} that the corpus's owner publishes"
        remedy = f"set corpus.{key} to {published}, or to null where it is unknown, or fetch the right file"
        return found, expected, remedy
    return None
