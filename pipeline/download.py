"""The corpus's archive, fetched or found, and verified by its MD5 while it is read."""

from __future__ import annotations

import hashlib
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from urllib.parse import unquote, urlparse

import requests

from dtc.errors import InputError
from dtc.provenance import md5_of
from pipeline.archive import pack_folder
from pipeline.corpora import EMBEDDED, CorpusConfig, embedded_archive

CHUNK_BYTES = 1 << 20
TIMEOUT_S = 30
ARCHIVE = re.compile(r"\.(tar(\.\w+)?|tgz|tbz2?|txz)$")

Advance = Callable[[int, int], None]  # bytes so far, bytes in all (0: not known)


def fetch(corpus: CorpusConfig, archive: Path, part: Path, advance: Advance) -> str:
    """Put the corpus's archive at `archive` and return its MD5.

    An archive that is there and right is kept. A download grows in `part`, which outlives an interruption and is gone
    on with. Raises InputError for a wrong MD5 and for a source that is not there; `archive` is written only when it is
    right.
    """
    if corpus.md5 is not None and archive.is_file() and md5_of(archive) == corpus.md5:
        return corpus.md5
    part.parent.mkdir(parents=True, exist_ok=True)
    source = corpus.source
    if source.startswith(("http://", "https://")):
        if corpus.md5 is None:
            part.unlink(missing_ok=True)  # nothing could tell whether the server's file is still the same one
        found = _download(source, part, advance)
    else:
        found = _copy(_local_path(source), part, advance)
    if corpus.md5 not in (None, found):
        part.unlink()
        remedy = "set corpus.md5 to the MD5 that the corpus's owner publishes, or fetch the right file"
        raise InputError(source, f"MD5 {found}", str(corpus.md5), remedy)
    archive.parent.mkdir(parents=True, exist_ok=True)
    part.replace(archive)
    return found


def archive_name(corpus: CorpusConfig) -> str:
    """File name of the archive in the project."""
    path = Path(unquote(urlparse(corpus.source).path) if "://" in corpus.source else corpus.source)
    # Not just any suffix: a folder may be called LJSpeech-1.1.
    return path.name if ARCHIVE.search(path.name) else f"{corpus.name}.tar"


def _local_path(source: str) -> Path:
    if source.startswith(EMBEDDED):
        return embedded_archive(source.removeprefix(EMBEDDED))
    path = Path(unquote(urlparse(source).path)) if source.startswith("file:") else Path(source).expanduser()
    if not path.exists():
        raise InputError("corpus.source", f"{source}: no such file or folder", "an archive, a folder or a URL")
    return path


def _copy(source: Path, part: Path, advance: Advance) -> str:
    part.unlink(missing_ok=True)  # a copy starts over: it is quick, and the file may be another one now
    if source.is_dir():
        pack_folder(source, part)
    else:
        shutil.copyfile(source, part)
    digest, done = hashlib.md5(usedforsecurity=False), 0
    with part.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            digest.update(chunk)
            done += len(chunk)
            advance(done, part.stat().st_size)
    return digest.hexdigest()


def _download(url: str, part: Path, advance: Advance) -> str:
    """Fetch what `part` lacks of a URL; the MD5 of the whole."""
    digest, done = hashlib.md5(usedforsecurity=False), 0
    if part.exists():
        with part.open("rb") as file:
            while chunk := file.read(CHUNK_BYTES):
                digest.update(chunk)
                done += len(chunk)
    remedy = f"check the network, or put the file by hand anywhere and set corpus.source to its path (from {url})"
    try:
        # A server must not compress on the way: ranges and the MD5 are of the file's own bytes.
        headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={done}-"} if done else {})
        with requests.get(url, headers=headers, stream=True, timeout=TIMEOUT_S) as response:
            if response.status_code == 416:  # nothing is missing: the part is whole already
                return digest.hexdigest()
            if not response.ok:
                raise InputError(url, f"HTTP {response.status_code} {response.reason}", "200", remedy)
            if response.status_code != 206:  # the server ignores ranges: from the start
                digest, done = hashlib.md5(usedforsecurity=False), 0
            total = done + int(response.headers.get("Content-Length", 0))
            with part.open("ab" if done else "wb") as file:
                for chunk in response.iter_content(CHUNK_BYTES):
                    file.write(chunk)
                    digest.update(chunk)
                    done += len(chunk)
                    advance(done, total)
    except requests.RequestException as error:
        raise InputError(url, f"download stopped ({type(error).__name__})", remedy=remedy) from None
    if total > done:
        raise InputError(url, f"download stopped after {done} bytes", f"{total}", "run it again to go on")
    return digest.hexdigest()
