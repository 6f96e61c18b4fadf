"""An HTTP server on 127.0.0.1 that serves one file, and drops, refuses and lies on request."""

import gzip
import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass(frozen=True)
class Answer:
    """How one request is answered. As it stands: as a good server does."""

    body: bytes | None = None  # the file's content from now on
    status: int | None = None  # an error, or a redirect
    headers: dict[str, str] = field(default_factory=dict)  # instead of the server's own, or further ones
    drop_after: int | None = None  # bytes of the body; then the connection is closed
    stall_after: int | None = None  # bytes of the body; then nothing comes until the server ends
    silent: bool = False  # not even a status
    ranges: bool = True
    if_range: bool = True  # heeds If-Range
    range_from: int = 0  # the rest starts so many bytes later than asked for
    largest: int | None = None  # bytes of the file that a partial answer gives at most
    length: int = 0  # Content-Length is so much more than the truth
    chunked: bool = False  # no Content-Length
    compressed: bool = False  # gzip, whatever the client asks for
    versions: str = "etag"  # or "date", "weak", "": what names the version of the file


@dataclass(frozen=True)
class Request:
    path: str
    range: str | None
    if_range: str | None


class Server(ThreadingHTTPServer):
    """Serves `body` at every path, compressed for whom wants it; `answers` are used up first, then comes `usual`."""

    daemon_threads = True

    def __init__(self, body: bytes = b"") -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.body = body
        self.answers: list[Answer] = []
        self.usual = Answer()
        self.requests: list[Request] = []
        self.ending = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/voice.tar"

    @property
    def ranges(self) -> list[str | None]:
        """What part of the file each request asked for."""
        return [request.range for request in self.requests]

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hangs up is what the tests are about."""


class _Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        server, self.close_connection = self.server, True
        server.requests.append(Request(self.path, self.headers.get("Range"), self.headers.get("If-Range")))
        answer = server.answers.pop(0) if server.answers else server.usual
        server.body = server.body if answer.body is None else answer.body
        if answer.silent:
            server.ending.wait()
            return
        if answer.status is not None:
            self._send_head(answer.status, {"Content-Length": "0"} | answer.headers)
            return
        first, last = self._asked(answer)
        if first >= len(server.body) > 0:
            self._send_head(416, {"Content-Length": "0", "Content-Range": f"bytes */{len(server.body)}"})
            return
        headers = {"Content-Type": "application/octet-stream"} | self._version(answer)
        if first:
            first += answer.range_from
            headers["Content-Range"] = f"bytes {first}-{last}/{len(server.body)}"
        self._send_body(206 if first else 200, headers, server.body[first : last + 1], answer)

    def _asked(self, answer: Answer) -> tuple[int, int]:
        """First and last byte to send."""
        asked, end = self.headers.get("Range"), len(self.server.body) - 1
        unless = self.headers.get("If-Range")
        changed = answer.if_range and unless is not None and unless not in self._version(answer).values()
        if asked is None or not answer.ranges or changed:
            return 0, end
        first = int(asked.removeprefix("bytes=").removesuffix("-"))
        return first, end if answer.largest is None else min(end, first + answer.largest - 1)

    def _version(self, answer: Answer) -> dict[str, str]:
        digest = hashlib.md5(self.server.body).hexdigest()
        date = f"Mon, 01 Jan 2024 00:{int(digest[:2], 16) % 60:02d}:{int(digest[2:4], 16) % 60:02d} GMT"
        return {
            "etag": {"ETag": f'"{digest}"', "Last-Modified": date},
            "date": {"Last-Modified": date},
            "weak": {"ETag": f'W/"{digest}"'},
            "": {},
        }[answer.versions]

    def _send_body(self, status: int, headers: dict[str, str], content: bytes, answer: Answer) -> None:
        if answer.compressed or "gzip" in self.headers.get("Accept-Encoding", ""):
            content, headers["Content-Encoding"] = gzip.compress(content, 1), "gzip"
        if answer.chunked:
            headers["Transfer-Encoding"] = "chunked"
            content = b"".join(f"{len(piece):x}\r\n".encode() + piece + b"\r\n" for piece in _pieces(content))
        else:
            headers["Content-Length"] = str(len(content) + answer.length)
        self._send_head(status, headers | answer.headers)
        stop = min((n for n in (answer.drop_after, answer.stall_after) if n is not None), default=None)
        self.wfile.write(content[:stop])
        if answer.stall_after is not None:
            self.wfile.flush()
            self.server.ending.wait()

    def _send_head(self, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Connection", "close")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


def _pieces(content: bytes, size: int = 10_000) -> Iterator[bytes]:
    """Chunks as a chunked body has them, the empty one at the end included."""
    for first in range(0, len(content), size):
        yield content[first : first + size]
    yield b""


@contextmanager
def serving(body: bytes = b"") -> Iterator[Server]:
    """A server that runs until the block ends."""
    with Server(body) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.ending.set()
            server.shutdown()
            thread.join()
