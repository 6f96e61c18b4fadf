"""pipeline.archive on real tar files: what is read alike, what is refused, and that packing is deterministic."""

import bz2
import gzip
import io
import lzma
import os
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from dtc.errors import InputError
from pipeline.archive import LARGEST_MEMBER_BYTES, pack_folder, read_members

FILES = {"voice/metadata.csv": b"a|A|a\n", "voice/wavs/a.wav": b"RIFF" * 300}


def tar_bytes(files: dict[str, bytes], *extra: tarfile.TarInfo) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
        for member in extra:
            tar.addfile(member)
    return stream.getvalue()


def member(name: str, kind: bytes = tarfile.REGTYPE, target: str = "", size: int = 0) -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.type, made.linkname, made.size = kind, target, size
    return made


@pytest.mark.parametrize("compress", [bytes, gzip.compress, bz2.compress, lzma.compress])
def test_every_compression_reads_alike(tmp_path: Path, compress: Callable[[bytes], bytes]) -> None:
    archive = tmp_path / "voice"  # by content, not by suffix
    archive.write_bytes(compress(tar_bytes(FILES)))
    assert dict(read_members(archive)) == FILES


def test_folders_and_a_leading_dot_are_no_part_of_a_name(tmp_path: Path) -> None:
    archive = tmp_path / "voice.tar"
    archive.write_bytes(tar_bytes({"./metadata.csv": b"a"}, member("./wavs", tarfile.DIRTYPE)))
    assert list(read_members(archive)) == [("metadata.csv", b"a")]


@pytest.mark.parametrize(
    ("bad", "fault"),
    [
        (member("../evil"), "path leads out of the archive"),
        (member("voice/../../evil"), "path leads out of the archive"),
        (member("/etc/passwd"), "path leads out of the archive"),
        (member("voice/link", tarfile.SYMTYPE, "/etc/passwd"), "a link or device, expected regular files only"),
        (member("voice/link", tarfile.LNKTYPE, "voice/metadata.csv"), "a link or device"),
        (member("voice/null", tarfile.CHRTYPE), "a link or device"),
        (member("voice/pipe", tarfile.FIFOTYPE), "a link or device"),
        (member("voice/wavs/b.wav", size=LARGEST_MEMBER_BYTES + 1), "1073741825 bytes, expected at most 1073741824"),
    ],
)
def test_unsafe_members_are_refused_by_name(tmp_path: Path, bad: tarfile.TarInfo, fault: str) -> None:
    archive = tmp_path / "voice.tar"
    archive.write_bytes(tar_bytes(FILES, bad))
    with pytest.raises(InputError) as error:
        list(read_members(archive))
    assert str(error.value).startswith(f"{archive}:{bad.name}: {fault}")


WHOLE = tar_bytes(FILES)


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"no tar at all\n" * 100, id="text"),
        pytest.param(WHOLE[:300], id="cut in the first header"),
        pytest.param(WHOLE[:1024], id="cut between two members"),
        pytest.param(WHOLE[:1300], id="cut in a later header"),
        pytest.param(WHOLE[:2000], id="cut in a content"),
        pytest.param(WHOLE[:1024] + b"x" * 512 + WHOLE[1536:], id="a later header overwritten"),
        pytest.param(gzip.compress(WHOLE)[:60], id="cut gzip"),
        pytest.param(bz2.compress(WHOLE)[:60], id="cut bzip2"),
        pytest.param(lzma.compress(WHOLE)[:100], id="cut xz"),
        pytest.param(gzip.compress(WHOLE)[:40] + b"x" * 40, id="overwritten gzip"),
    ],
)
def test_a_damaged_archive_is_never_read_as_whole(tmp_path: Path, content: bytes) -> None:
    archive = tmp_path / "voice.tar"
    archive.write_bytes(content)
    with pytest.raises(InputError, match="does not read as a tar archive") as error:
        list(read_members(archive))
    assert str(error.value).startswith(f"{archive}: ")
    assert str(error.value).endswith("; remove it and run `dtc download` again")


@pytest.mark.parametrize(("name", "fault"), [("missing.tar", "no such file"), (".", "does not read as a tar archive")])
def test_no_archive_there(tmp_path: Path, name: str, fault: str) -> None:
    with pytest.raises(InputError, match=fault):
        list(read_members(tmp_path / name))


def test_packing_depends_on_names_and_contents_alone(tmp_path: Path, make_corpus: Callable[..., Path]) -> None:
    folder = make_corpus(tmp_path / "voice", clips=3)
    (folder / "wavs/.hidden").write_bytes(b"an editor's backup")
    (folder / ".git").mkdir()
    (folder / ".git/config.cfg").write_bytes(b"a version control's")
    pack_folder(folder, tmp_path / "first.tar")
    for path in folder.rglob("*"):
        os.utime(path, (1, 1))
        path.chmod(0o700)
        if os.geteuid() == 0:
            os.chown(path, 1234, 1234)
    pack_folder(folder, tmp_path / "second.tar")
    assert (tmp_path / "first.tar").read_bytes() == (tmp_path / "second.tar").read_bytes()
    files = {
        f"voice/{path.relative_to(folder)}": path.read_bytes()
        for path in [folder / "metadata.csv", *(folder / "wavs").glob("*.wav")]
    }
    assert dict(read_members(tmp_path / "first.tar")) == files
    assert len(files) == 4
