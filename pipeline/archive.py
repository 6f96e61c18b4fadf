"""Archives, read as a stream and never unpacked; and a folder packed into one."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from dtc.errors import InputError

LARGEST_MEMBER_BYTES = 1 << 30  # an hour of 16-bit stereo at 48 kHz is 0.7 GB; more in one file is no clip


class _StrictMember(tarfile.TarInfo):
    """tarfile takes a header that is cut off or damaged for the end of the archive; here only the end marker is one."""

    @classmethod
    def fromtarfile(cls, tarfile_: tarfile.TarFile) -> _StrictMember:
        try:
            return super().fromtarfile(tarfile_)
        except tarfile.EOFHeaderError:  # type: ignore[attr-defined]  # typeshed lacks it
            raise
        except tarfile.HeaderError as error:
            raise tarfile.ReadError(str(error)) from None


def read_members(archive: Path) -> Iterator[tuple[str, bytes]]:
    """Name and content of every file of a tar (plain, gz, bz2, xz), in the archive's order.

    Raises InputError for what is no tar, ends early or holds a link, a device or a path that leaves the archive.
    """
    remedy = "remove it and run `dtc download` again"
    try:
        with tarfile.open(archive, mode="r|*", tarinfo=_StrictMember) as tar:
            for member in tar:
                if member.isdir():
                    continue
                _refuse_unsafe(archive, member)
                content = tar.extractfile(member)
                assert content is not None  # a regular file, by _refuse_unsafe
                yield member.name.removeprefix("./"), content.read()
    except FileNotFoundError:
        raise InputError(archive, "no such file", "the corpus's archive", "run `dtc download` first") from None
    except (tarfile.TarError, EOFError, OSError) as error:
        raise InputError(archive, f"does not read as a tar archive ({error})", remedy=remedy) from None


def _refuse_unsafe(archive: Path, member: tarfile.TarInfo) -> None:
    path = PurePosixPath(member.name)
    if path.is_absolute() or ".." in path.parts:
        raise InputError(f"{archive}:{member.name}", "path leads out of the archive", remedy="do not use this archive")
    if not member.isreg():
        raise InputError(f"{archive}:{member.name}", "a link or device", "regular files only", "pack it again")
    if member.size > LARGEST_MEMBER_BYTES:
        raise InputError(f"{archive}:{member.name}", f"{member.size} bytes", f"at most {LARGEST_MEMBER_BYTES}")


def pack_folder(folder: Path, archive: Path) -> None:
    """Pack the files of a folder into a plain tar; equal files give equal bytes, whenever and whoever packs them."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and not _is_hidden(path.relative_to(folder)))
    with tarfile.open(archive, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for path in files:
            name = PurePosixPath(folder.name, path.relative_to(folder).as_posix()).as_posix()
            with path.open("rb") as content:
                tar.addfile(plain_member(name, path.stat().st_size), content)


def _is_hidden(path: Path) -> bool:
    """Whether a file is an editor's or a version control's, by its name or a folder's."""
    return any(part.startswith(".") for part in path.parts)


def plain_member(name: str, size_bytes: int) -> tarfile.TarInfo:
    """A tar header that says nothing but name and size: no time, no owner, mode 0644."""
    member = tarfile.TarInfo(name)  # the constructor's times and owners are 0
    member.size, member.mode = size_bytes, 0o644
    return member
