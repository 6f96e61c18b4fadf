"""Small archives for tests: made by tarfile, by zipfile, and by the programs tar and zip."""

import io
import subprocess
import tarfile
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from hypothesis import strategies as st

from dtc.errors import InputError
from pipeline.archives import read_members

FILES = {"voice/metadata.csv": b"a|A|a\n", "voice/wavs/a.wav": b"RIFF" * 300}


def tar_bytes(files: Mapping[str, bytes], *extra: tarfile.TarInfo, format: int = tarfile.PAX_FORMAT) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=format) as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
        for member in extra:  # headers alone, whatever size they claim: addfile would want the content
            header = member.tobuf(format, tar.encoding, tar.errors)
            stream.write(header)
            tar.offset += len(header)
    return stream.getvalue()


def member(name: str, kind: bytes = tarfile.REGTYPE, target: str = "", size: int = 0) -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.type, made.linkname, made.size = kind, target, size
    return made


def zip_bytes(files: Mapping[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as made:
        for name, content in files.items():
            made.writestr(name, content)
    return stream.getvalue()


def contents(archive: Path) -> dict[str, bytes]:
    return {member.name: member.content for member in read_members(archive)}


def refusal(archive: Path) -> str:
    """Why an archive is refused, without its path."""
    with pytest.raises(InputError) as error:
        list(read_members(archive))
    assert str(error.value).startswith(str(archive))
    return str(error.value).removeprefix(str(archive)).removeprefix(":").removeprefix(" ")


Write = Callable[[bytes], Path]


METHODS = [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA]


FORMATS = st.sampled_from([tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])


def packed_by(program: list[str], folder: Path) -> Path:
    """An archive of `folder` made by tar or zip as people have them; the archive's path follows the program's name."""
    archive = folder.parent / "packed"
    subprocess.run([program[0], program[1], archive, *program[2:], folder.name], cwd=folder.parent, check=True)
    return archive


ODD_NAMES = {"voice/Icon\r": b"", "voice/back\\slash.txt": b"", "voice/a.wav": b"RIFF"}


def write_files(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(name.encode())
    return folder
