"""Write and replace files and folders whole or not at all, one process at a time; delete only what dtc wrote."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlparse

from filelock import FileLock, Timeout

from dtc.errors import InputError, named

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def local_path(source: str) -> Path | None:
    """Return the path that a path or a file: URL names; None for another URL. Raises ValueError for half an address."""
    url = urlparse(source)
    if url.scheme == "file":
        relative = url.netloc if url.netloc != "localhost" else ""  # file://recordings/a.tar
        return Path(unquote(relative + url.path)).expanduser()
    return None if "://" in source else Path(source).expanduser()


def write_whole(path: Path, content: bytes | str) -> None:
    """Write a file, text as UTF-8, beside its place and move it there: a kill leaves the old file or the new one.

    Raises OSError with the path. What is written by then is deleted, since the disk may be full.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    try:
        with part.open("wb") as file:
            file.write(content.encode("utf-8") if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())  # otherwise a power cut may keep the new name and lose the bytes
        part.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            part.unlink()
        raise OSError(error.errno, error.strerror, str(path)) from None


@contextmanager
def full_disk_named(path: Path) -> Iterator[None]:
    """Raise an error of writing to a full disk, which names no file, with a path."""
    try:
        yield
    except OSError as error:
        if error.errno in FULL and error.filename is None:
            raise OSError(error.errno, error.strerror, str(path)) from None
        raise


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the lock of a folder while this process writes it; the lock lies beside the folder, as `.NAME.lock`.

    Raises InputError, naming the process that holds it, where another process writes the same folder.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    lock, holder = _lock_files(folder)
    try:
        lock.touch()  # FileLock would take a lock that cannot be made for one that is held
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(folder)) from None
    try:
        with FileLock(lock, timeout=0):
            holder.write_text(json.dumps(_this_process()), encoding="utf-8")
            try:
                yield
            finally:
                holder.unlink(missing_ok=True)
                if not folder.exists():  # it was deleted, or the work failed before it was made
                    with contextlib.suppress(OSError):  # Windows does not delete open files
                        lock.unlink()
    except Timeout:
        remedy = "wait until it has finished, or stop it, and run this again"
        raise InputError(folder, f"is being written by {_shown(holder)}", "one process at a time", remedy) from None


def holder_of(folder: Path) -> str:
    """Return a description of the process that holds the lock of a folder; "" where none does."""
    lock, holder = _lock_files(folder)
    if not lock.exists():
        return ""
    try:
        with FileLock(lock, timeout=0):
            return ""
    except Timeout:
        return _shown(holder)
    except OSError:  # the lock is another user's
        return ""


def _lock_files(folder: Path) -> tuple[Path, Path]:
    """Return the path of a folder's lock, and that of the description of the process that holds it."""
    return folder.with_name(f".{folder.name}.lock"), folder.with_name(f".{folder.name}.holder")


def _this_process() -> dict[str, object]:
    command = " ".join(["dtc", *sys.argv[1:]])
    started = datetime.now().astimezone().isoformat(" ", "seconds")
    return {"pid": os.getpid(), "host": socket.gethostname(), "command": command, "started": started}


def _shown(holder: Path) -> str:
    """Return a description of the process that holds a lock."""
    try:
        process = json.loads(holder.read_text(encoding="utf-8"))
        return "process {pid} on {host} (`{command}`, since {started})".format(**process)
    except (OSError, ValueError, KeyError):  # it has just begun, or just ended
        return "another process"


def replace_folder(new: Path, folder: Path) -> None:
    """Move a finished folder to the place of an older one, which the caller has checked may be deleted.

    A kill at any point leaves the old folder or the new one whole: see `settle_replacement`.
    """
    old = _old(folder)
    if folder.exists():
        shutil.rmtree(old, ignore_errors=True)  # of a replacement that was killed after the new folder was in place
        folder.replace(old)
    new.replace(folder)
    shutil.rmtree(old, ignore_errors=True)


def settle_replacement(folder: Path) -> None:
    """Undo a `replace_folder` that was killed before the new folder was in place, and clean up after a later kill."""
    old = _old(folder)
    if old.is_dir() and not folder.exists():
        old.replace(folder)
    shutil.rmtree(old, ignore_errors=True)


def _old(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}.old")


def remove_folder(folder: Path, is_ours: Callable[[PurePosixPath], bool], remedy: str) -> None:
    """Delete a folder, unless it is not there. Raises InputError as `require_only_ours`, and deletes nothing then."""
    require_only_ours(folder, is_ours, remedy)
    with contextlib.suppress(FileNotFoundError):
        shutil.rmtree(folder)


def require_only_ours(folder: Path, is_ours: Callable[[PurePosixPath], bool], remedy: str) -> None:
    """Raise InputError where a folder, which will be deleted or replaced, holds files that dtc did not write.

    Args:
        folder: the folder, which may be missing; a link or a file in its place is refused too.
        is_ours: whether dtc wrote the file at a path relative to the folder.
        remedy: what the user can do where there are other files.
    """
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise InputError(folder, "is a link or a file", "a folder that dtc wrote", remedy)
    if others := files_of_others(folder, is_ours):
        raise InputError(folder, f"holds what dtc did not write ({named(others)})", "nothing else", remedy)


def files_of_others(folder: Path, is_ours: Callable[[PurePosixPath], bool]) -> list[str]:
    """Return the paths, relative to the folder, of the files in it that dtc did not write."""
    inside = (
        PurePosixPath(path.relative_to(folder).as_posix()) for path in sorted(folder.rglob("*")) if not path.is_dir()
    )
    return [str(path) for path in inside if not is_ours(path)]
