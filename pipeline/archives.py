"""Archives and folders of recordings: read member by member, alike whatever they are; and a folder packed as a tar."""

from __future__ import annotations

import bz2
import gzip
import lzma
import re
import tarfile
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

from dtc.errors import InputError
from pipeline.archive_members import (
    FETCH_AGAIN,
    PACK_AGAIN,
    ZIP_STARTS,
    Allowance,
    Member,
    Wanted,
    check_wanted,
    read_tar,
    read_zip,
)

__all__ = ["Member", "is_hidden", "pack_folder", "plain_member", "read_member_at", "read_members", "top_name"]

SYSTEM_FOLDERS = {"__MACOSX", "@eaDir", "$RECYCLE.BIN", "System Volume Information"}  # of macOS, Synology, Windows
LINKED = "wavs"  # LJSpeech's folder of clips, which may be a link to one of another name
READABLE = "a tar (plain, gzip, bzip2 or xz) or a zip"
DECOMPRESSORS: dict[bytes, Callable[[BinaryIO], Any]] = {
    b"\x1f\x8b": lambda file: gzip.GzipFile(fileobj=file),
    b"BZh": bz2.BZ2File,
    b"\xfd7zXZ\x00": lzma.LZMAFile,
}
FOREIGN = {
    b"7z\xbc\xaf": "a 7-Zip archive",
    b"Rar!": "a RAR archive",
    b"(\xb5/\xfd": "a Zstandard file",
    b"RIFF": "a WAV file",
    b"fLaC": "a FLAC file",
    b"OggS": "an Ogg file",
    b"<!": "a web page",
    b"<h": "a web page",
}


def read_members(source: Path, wanted: Wanted = lambda name: True) -> Iterator[Member]:
    """Yield the files of a tar (plain, gzip, bzip2, xz), of a zip or of a folder, one in memory at a time.

    Those of an archive come in its order; those of a folder as they would come from the tar that `pack_folder` makes.

    Args:
        source: the archive or folder.
        wanted: whether the file of this name is to be read. Other files may have any name and size.

    Raises InputError for a file that is no archive, is damaged or ends early, unpacks to more than recordings do, or
    holds a member that is a link or a device, leads out of the archive, is too large, or has another one's name.
    """
    seen = set[str]()
    for member in _read_folder(source, wanted) if source.is_dir() else _read_archive(source, wanted):
        if member.name in seen:
            raise InputError(f"{source}:{member.name}", "a second member of this name", "one", PACK_AGAIN)
        seen.add(member.name)
        yield member


def read_member_at(archive: Path, first_byte: int, size_bytes: int) -> bytes:
    """Return a member's content from its place in a plain tar. Raises InputError where the file ends before it."""
    try:
        with archive.open("rb") as file:
            file.seek(first_byte)
            content = file.read(size_bytes)
    except OSError as error:
        raise InputError(archive, f"cannot be read ({error})", remedy=FETCH_AGAIN) from None
    if len(content) != size_bytes:
        found = f"ends before byte {first_byte + size_bytes}"
        raise InputError(archive, found, "the archive that was verified", "run `dtc verify` again")
    return content


def _read_archive(archive: Path, wanted: Wanted) -> Iterator[Member]:
    kind = "tar or zip"
    try:
        with archive.open("rb") as file:
            head = file.read(tarfile.BLOCKSIZE)
            file.seek(0)
            start = head if head[257:262] != b"ustar" else b""  # a plain tar begins with a name, which may be any
            foreign = "an empty file" if not head else _by_start(FOREIGN, start)
            if foreign:
                raise InputError(archive, foreign, READABLE, FETCH_AGAIN)
            if start.startswith(ZIP_STARTS):
                kind = "zip"
                yield from read_zip(file, archive, wanted)
            elif decompress := _by_start(DECOMPRESSORS, start):
                kind = "tar"
                yield from read_tar(Allowance(archive, decompress(file).read), archive, False, wanted)
            else:
                yield from read_tar(Allowance(archive, file.read), archive, True, wanted)
    except FileNotFoundError:
        raise InputError(archive, "no such file", "the corpus's archive", "run `dtc download` first") from None
    except InputError:
        raise
    except Exception as error:  # tarfile, zipfile and the decompressors raise anything for a damaged file
        raise InputError(archive, f"does not read as a {kind} archive ({error})", READABLE, FETCH_AGAIN) from None


def _by_start(table: Mapping[bytes, Any], start: bytes) -> Any:
    """Return the value of the first key with which `start` begins, or None."""
    return next((value for key, value in table.items() if start.startswith(key)), None)


# ── folders ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def is_hidden(name: str) -> bool:
    """Return whether a file belongs to an editor, to version control or to a system: `.git/a.wav`, `@eaDir/a.wav`."""
    return any(part.startswith(".") or part in SYSTEM_FOLDERS for part in PurePosixPath(name).parts)


def top_name(folder: Path) -> str:
    """Return the name that a folder has in its archive: its own, without leading dots, which would hide all of it.

    A colon or backslash becomes _, as Windows would take `c:` for a drive and a backslash for a folder's end.
    """
    name = folder.resolve().name if folder.name in ("", "..") else folder.name
    return re.sub(r"[:\\]", "_", name.lstrip(".")) or "corpus"


def pack_folder(folder: Path, archive: Path) -> None:
    """Pack the files of a folder, but for hidden ones, into a plain tar.

    Equal files give equal bytes on every system. Raises InputError for a file that cannot be read.
    """
    with tarfile.open(archive, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, path in _walk(folder):
            with _readable(path), path.open("rb") as content:
                tar.addfile(plain_member(name, path.stat().st_size), content)


def plain_member(name: str, size_bytes: int) -> tarfile.TarInfo:
    """Return a tar header that holds nothing but name and size: no time, no owner, mode 0644."""
    member = tarfile.TarInfo(name)  # the constructor's times and owners are 0
    member.size, member.mode = size_bytes, 0o644
    return member


def _read_folder(folder: Path, wanted: Wanted) -> Iterator[Member]:
    for name, path in _walk(folder):
        if wanted(name):
            with _readable(path):
                check_wanted(folder, name, path.stat().st_size)
                content = path.read_bytes()
            yield Member(name, content, None)


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        found = f"cannot be read ({error.strerror or error})"
        raise InputError(path, found, remedy="allow reading it, or remove it") from None


def _walk(folder: Path) -> Iterator[tuple[str, Path]]:
    """Yield the name in an archive, and the path, of each file of a folder that is not hidden; links are followed.

    Raises InputError for a link to nothing.
    The order is that of the names in Unicode's composed form (NFC), folder by folder: it does not depend on the system.
    A folder that has several names, by links, is walked under one of them: a link `wavs` in the top folder, else its
    own place, else a link.
    """
    yield from _walk_below(folder, top_name(folder), folder, frozenset({folder.resolve()}))


def _walk_below(folder: Path, name: str, top: Path, above: frozenset[Path]) -> Iterator[tuple[str, Path]]:
    with _readable(folder):
        children = sorted(folder.iterdir(), key=lambda path: (unicodedata.normalize("NFC", path.name), path.name))
    for path in children:
        inside = f"{name}/{path.name}"
        if is_hidden(path.name):
            continue
        if path.is_symlink() and not path.exists():
            raise InputError(path, "a link to a file that is not there", remedy="correct the link, or remove it")
        if path.is_file():
            yield inside, path
        elif path.is_dir() and path.resolve() not in above and not _has_another_name(path, top):
            yield from _walk_below(path, inside, top, above | {path.resolve()})


def _has_another_name(folder: Path, top: Path) -> bool:
    """Return whether a folder is walked under another name, or is a link to a folder that contains all of it."""
    target, root, link = folder.resolve(), top.resolve(), top / LINKED
    if not folder.is_symlink():
        return link.is_symlink() and link.is_dir() and link.resolve() == target
    has_own_place = target.is_relative_to(root) and not is_hidden(target.relative_to(root).as_posix())
    return root.is_relative_to(target) or (has_own_place and folder != link)
