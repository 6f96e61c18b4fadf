"""pipeline.archives on real files: what is read alike, what is refused, and that packing is deterministic."""

import bz2
import gzip
import io
import lzma
import os
import stat
import struct
import subprocess
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dtc.errors import InputError
from pipeline import archive_members
from pipeline.archive_members import LARGEST_MEMBER_BYTES
from pipeline.archives import pack_folder, read_member_at, read_members

FILES = {"voice/metadata.csv": b"a|A|a\n", "voice/wavs/a.wav": b"RIFF" * 300}


def tar_bytes(files: Mapping[str, bytes], *extra: tarfile.TarInfo, format: int = tarfile.PAX_FORMAT) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=format) as tar:
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


@pytest.fixture
def write(tmp_path: Path) -> Callable[[bytes], Path]:
    def write(content: bytes) -> Path:
        (tmp_path / "voice").write_bytes(content)  # by content, not by suffix
        return tmp_path / "voice"

    return write


Write = Callable[[bytes], Path]


@pytest.mark.parametrize("compress", [bytes, gzip.compress, bz2.compress, lzma.compress])
@pytest.mark.parametrize("format", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_every_tar_reads_alike(write: Write, compress: Callable[[bytes], bytes], format: int) -> None:
    assert contents(write(compress(tar_bytes(FILES, format=format)))) == FILES


METHODS = [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA]


@pytest.mark.parametrize("method", METHODS)
def test_every_zip_reads_alike(write: Write, method: int) -> None:
    files = {"voice/": b"", **FILES, "voice/empty": b"", "voice/é.wav": b"e"}
    expected = {name: content for name, content in files.items() if name != "voice/"}
    assert contents(write(zip_bytes(files, method))) == expected


def test_a_zip_that_was_written_as_a_stream(tmp_path: Path) -> None:
    """Sizes and sums are behind the contents then, and of the large kind."""
    with (tmp_path / "voice").open("wb") as file, zipfile.ZipFile(Unseekable(file), "w") as made:
        for name, content in FILES.items():
            with made.open(name, "w", force_zip64=True) as stream:
                stream.write(content)
    assert contents(tmp_path / "voice") == FILES


class Unseekable(io.RawIOBase):
    def __init__(self, file) -> None:
        self.file = file

    def writable(self) -> bool:
        return True

    def write(self, content) -> int:
        return self.file.write(content)


def test_folders_and_a_leading_dot_are_no_part_of_a_name(write: Write) -> None:
    archive = write(tar_bytes({"./metadata.csv": b"a", "./wavs//./a.wav": b"b"}, member("./wavs", tarfile.DIRTYPE)))
    assert [member.name for member in read_members(archive)] == ["metadata.csv", "wavs/a.wav"]


@pytest.mark.parametrize("name", ["OggS/a.wav", "RIFF.csv", "BZh9/a.wav", "<html>"])
def test_a_tar_is_told_from_what_its_first_name_looks_like(write: Write, name: str) -> None:
    assert contents(write(tar_bytes({name: b"content"}))) == {name: b"content"}


names = st.lists(st.text(st.characters(codec="utf-8", exclude_categories=["Cc"], exclude_characters="/\\:"), min_size=1)
                 .filter(lambda part: part not in (".", "..")), min_size=1, max_size=12).map("/".join)  # fmt: skip
FORMATS = st.sampled_from([tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])


@given(st.dictionaries(names, st.binary(max_size=1500), max_size=4), FORMATS)
def test_any_names_and_contents_read_as_tarfile_wrote_them(
    tmp_path_factory: pytest.TempPathFactory, files: dict[str, bytes], format: int
) -> None:
    archive = tmp_path_factory.getbasetemp() / "any.tar"
    archive.write_bytes(tar_bytes(files, format=format))
    assert contents(archive) == files
    for found in read_members(archive):
        assert found.first_byte is not None
        assert read_member_at(archive, found.first_byte, len(found.content)) == found.content


def test_only_a_plain_tar_has_contents_at_a_place(write: Write) -> None:
    for content in (gzip.compress(tar_bytes(FILES)), zip_bytes(FILES, zipfile.ZIP_STORED)):
        assert [member.first_byte for member in read_members(write(content))] == [None, None]
    assert [member.first_byte for member in read_members(write(tar_bytes(FILES)))] == [512, 1536]


def test_a_place_behind_the_end(write: Write) -> None:
    archive = write(b"0123456789")
    with archive.open("rb") as file:
        assert read_member_at(file, 3, 4) == b"3456"
    with pytest.raises(InputError) as error:
        read_member_at(archive, 8, 4)
    assert str(error.value) == (
        f"{archive}: ends before byte 12, expected the archive that was verified; run `dtc verify` again"
    )
    with pytest.raises(InputError, match=r"cannot be read \(.*No such file"):
        read_member_at(archive.with_name("missing"), 0, 1)


PAX_SPARSE = member("voice/s.wav")
PAX_SPARSE.pax_headers = {"GNU.sparse.map": "0,0", "GNU.sparse.size": "9"}
PAX_SIZE = member("voice/b.wav")
PAX_SIZE.pax_headers = {"size": str(LARGEST_MEMBER_BYTES + 1)}


@pytest.mark.parametrize(
    ("bad", "fault"),
    [
        (member("../evil"), "path leads out of the archive"),
        (member("voice/../../evil"), "path leads out of the archive"),
        (member("/etc/passwd"), "path leads out of the archive"),
        (member("/etc", tarfile.DIRTYPE), "path leads out of the archive"),
        (member("C:/evil"), "path leads out of the archive"),
        (member("c:evil"), "path leads out of the archive"),
        (member("voice\\evil"), "a backslash in the name, expected folders divided by /"),
        (member("voice/link", tarfile.SYMTYPE, "/etc/passwd"), "a symbolic link, expected regular files only"),
        (member("voice/link", tarfile.SYMTYPE, "a" * 200), "a symbolic link, expected regular files only"),
        (member("voice/link", tarfile.LNKTYPE, "voice/metadata.csv"), "a hard link"),
        (member("voice/null", tarfile.CHRTYPE), "a device"),
        (member("voice/sda", tarfile.BLKTYPE), "a device"),
        (member("voice/pipe", tarfile.FIFOTYPE), "a device"),
        (member("volume", b"V"), "a device"),
        (member("voice/s.wav", tarfile.GNUTYPE_SPARSE), "a sparse file, expected whole files only"),
        (PAX_SPARSE, "a sparse file, expected whole files only"),
        (member("voice/b.wav", size=LARGEST_MEMBER_BYTES + 1), "1073741825 bytes, expected at most 1073741824"),
        (PAX_SIZE, "1073741825 bytes, expected at most 1073741824"),
        (member("voice/metadata.csv"), "a second member of this name, expected one"),
        (member("./voice//metadata.csv"), "a second member of this name, expected one"),
    ],
)
@pytest.mark.parametrize("format", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_unsafe_members_are_refused_by_name(write: Write, bad: tarfile.TarInfo, fault: str, format: int) -> None:
    if bad.pax_headers and format == tarfile.GNU_FORMAT:
        pytest.skip("has no such headers")
    name = "voice/metadata.csv" if "second" in fault else bad.name
    assert refusal(write(tar_bytes(FILES, bad, format=format))).startswith(f"{name}: {fault}")


@pytest.mark.parametrize("name", ["voice/\x1b[2J", "voice/a\nb", "voice/\udce9"])
def test_a_name_that_could_not_be_shown_is_refused(write: Write, name: str) -> None:
    line = refusal(write(tar_bytes({name: b""})))
    assert line == f"{name!a}: control characters, or bytes that are not UTF-8, in the name; rename it"
    line.encode()


WHOLE = tar_bytes(FILES)
HEADER = WHOLE[:512]


def with_header(*fields: tuple[int, bytes]) -> bytes:
    """A tar with bytes of its first header replaced and the header's sum put right."""
    header = bytearray(HEADER)
    for place, content in fields:
        header[place : place + len(content)] = content
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    return bytes(header) + WHOLE[512:]


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        pytest.param(b"", "an empty file", id="empty"),
        pytest.param(b"no archive at all\n" * 100, "does not read as a tar or zip archive (", id="text"),
        pytest.param(b"<!DOCTYPE html><title>404</title>", "a web page", id="web page"),
        pytest.param(b"7z\xbc\xaf\x27\x1c" * 100, "a 7-Zip archive", id="7z"),
        pytest.param(gzip.compress(b"text" * 500), "does not read as a tar archive (", id="gzip of no tar"),
        pytest.param(bytes(1024)[:300], "does not read as a tar or zip archive (truncated header)", id="zeros"),
        pytest.param(WHOLE[:300], "does not read as", id="cut in the first header"),
        pytest.param(WHOLE[:1024], "does not read as", id="cut between two members"),
        pytest.param(WHOLE[:1300], "does not read as", id="cut in a later header"),
        pytest.param(WHOLE[:2000], "does not read as", id="cut in a content"),
        pytest.param(WHOLE[:1024] + b"x" * 512 + WHOLE[1536:], "does not read as", id="a later header overwritten"),
        pytest.param(WHOLE[:1024] + bytes(512) + WHOLE[1536:], "does not read as", id="a later header zeroed"),
        pytest.param(WHOLE + WHOLE, "does not read as", id="two archives"),
        pytest.param(with_header((124, b"\xff" * 12)), "does not read as", id="size of -1"),
        pytest.param(with_header((124, b"9" * 12)), "does not read as", id="size that is none"),
        pytest.param(with_header((156, b"x"), (124, b"%011o" % (1 << 21))), "does not read as", id="2 MiB of header"),
        pytest.param(with_header((156, b"L"), (124, b"%011o" % (1 << 21))), "does not read as", id="2 MiB of name"),
        pytest.param(gzip.compress(WHOLE)[:60], "does not read as a tar archive (", id="cut gzip"),
        pytest.param(gzip.compress(WHOLE)[:-4], "does not read as a tar archive (", id="gzip without its size"),
        pytest.param(gzip.compress(WHOLE)[:-8] + bytes(8), "does not read as a tar archive (", id="gzip of other sum"),
        pytest.param(bz2.compress(WHOLE)[:60], "does not read as a tar archive (", id="cut bzip2"),
        pytest.param(bz2.compress(WHOLE)[:-1], "does not read as a tar archive (", id="bzip2 without its last byte"),
        pytest.param(lzma.compress(WHOLE)[:100], "does not read as a tar archive (", id="cut xz"),
        pytest.param(lzma.compress(WHOLE)[:-1], "does not read as a tar archive (", id="xz without its last byte"),
        pytest.param(gzip.compress(WHOLE)[:40] + b"x" * 40, "does not read as a tar archive (", id="overwritten gzip"),
        pytest.param(zip_bytes(FILES)[:-1], "does not read as a zip archive (", id="zip without its last byte"),
        pytest.param(zip_bytes(FILES)[:60], "does not read as a zip archive (", id="cut zip"),
    ],
)
def test_a_damaged_archive_is_never_read_as_whole(write: Write, content: bytes, fault: str) -> None:
    line = refusal(write(content))
    assert line.startswith(fault)
    assert line.endswith(", expected a tar (plain, gzip, bzip2 or xz) or a zip; run `dtc download` again")


MIXED = {"metadata.csv": b"a|A|a\n", "wavs/a.wav": bytes(range(256)) * 8, "é" * 60: b"long name"}
ARCHIVES = [
    tar_bytes(MIXED), tar_bytes(MIXED, format=tarfile.GNU_FORMAT), gzip.compress(tar_bytes(MIXED)),
    bz2.compress(tar_bytes(MIXED)), lzma.compress(tar_bytes(MIXED)),
    *(zip_bytes(MIXED, method) for method in METHODS),
]  # fmt: skip


@given(st.sampled_from(ARCHIVES), st.floats(0, 1, exclude_max=True), st.binary(max_size=8), st.integers(0, 8))
def test_damage_anywhere_is_survived_or_refused(
    tmp_path_factory: pytest.TempPathFactory, whole: bytes, place: float, written: bytes, removed: int
) -> None:
    """Nothing but an InputError; and where sums are kept, all contents are as they were."""
    at = int(place * len(whole))
    archive = tmp_path_factory.getbasetemp() / "damaged"
    archive.write_bytes(whole[:at] + written + whole[at + removed :])
    try:
        found = contents(archive)
    except InputError:
        return
    if not whole.startswith(b"metadata"):  # a plain tar has no sums of its contents
        assert list(found.values()) == list(MIXED.values())


def test_an_archive_that_is_not_there(tmp_path: Path) -> None:
    assert refusal(tmp_path / "missing.tar").startswith("no such file")


@pytest.mark.parametrize("compress", [gzip.compress, bz2.compress, lzma.compress])
@pytest.mark.parametrize(
    "files",
    [{"a.wav": bytes(1 << 20)}, {f"a{number}.wav": b"" for number in range(2000)}, {"a" * 200_000: b""}],
    ids=["content", "headers", "a name"],
)
def test_what_unpacks_to_too_much_is_refused(
    write: Write, monkeypatch: pytest.MonkeyPatch, compress: Callable[[bytes], bytes], files: dict[str, bytes]
) -> None:
    monkeypatch.setattr(archive_members, "SPARE_BYTES", 1 << 16)
    monkeypatch.setattr(archive_members, "LARGEST_RATIO", 5)
    assert contents(write(compress(tar_bytes(FILES)))) == FILES
    line = refusal(write(compress(tar_bytes(files))))
    assert line.startswith("unpacks to more bytes than recordings do, expected at most ")
    assert line.endswith("; do not use this archive")


@pytest.mark.parametrize("format", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_a_name_of_megabytes_is_refused(write: Write, format: int) -> None:
    line = refusal(write(tar_bytes({"a" * (1 << 20): b""}, format=format)))
    assert line.startswith("does not read as a tar or zip archive (an extended header of 10485")


def test_zeros_behind_the_end_are_counted_too(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive_members, "SPARE_BYTES", 1 << 16)
    assert contents(write(gzip.compress(tar_bytes(FILES) + bytes(10240)))) == FILES
    assert "unpacks to more" in refusal(write(gzip.compress(tar_bytes(FILES) + bytes(1 << 20))))


def edited_zip(edit: Callable[[bytearray, int, int], None], name: str = "b.wav", method: int = 8) -> bytes:
    """A zip of a.wav and b.wav, `edit(zip, local header, entry in the list)` applied to a member."""
    content = bytearray(zip_bytes({"a.wav": b"A" * 999, "b.wav": b"B" * 999}, method))
    entry = content.rindex(name.encode()) - 46
    local = struct.unpack_from("<I", content, entry + 42)[0]
    edit(content, local, entry)
    return bytes(content)


def put(format: str, value: int, local: int | None, entry: int | None) -> Callable[[bytearray, int, int], None]:
    """Write a number at its place in the local header and in the list of members."""

    def edit(content: bytearray, header: int, listed: int) -> None:
        for start, offset in ((header, local), (listed, entry)):
            if offset is not None:
                struct.pack_into(format, content, start + offset, value)

    return edit


@pytest.mark.parametrize(
    ("edit", "method", "fault"),
    [
        (put("<H", 1, 6, 8), 8, "encrypted, expected a member that can be read"),
        (put("<H", 0x41, 6, 8), 8, "encrypted, expected a member that can be read"),
        (put("<I", (stat.S_IFLNK | 0o777) << 16, None, 38), 8, "a link or device, expected regular files only"),
        (put("<I", (stat.S_IFIFO | 0o644) << 16, None, 38), 8, "a link or device, expected regular files only"),
        (put("<H", 93, 8, 10), 8, "compressed by method 93, expected stored, deflate, bzip2 or LZMA"),
        (put("<I", LARGEST_MEMBER_BYTES + 1, 22, 24), 8, "1073741825 bytes, expected at most 1073741824"),
        (put("<I", 998, 22, 24), 8, "more bytes, expected 998, as declared"),
        (put("<I", 1000, 22, 24), 8, "999 bytes, expected 1000, as declared"),
        (put("<I", 998, 22, 24), 0, "more bytes, expected 998, as declared"),
        (put("<I", 998, 22, 24), 12, "more bytes, expected 998, as declared"),
        (put("<I", 998, 22, 24), 14, "more bytes, expected 998, as declared"),
        (put("<I", 7, 14, 16), 8, "CRC "),
        (put("<I", 2000, 18, 20), 8, "overlaps the member behind it, expected members side by side"),
        (put("<H", 2000, 28, None), 8, "overlaps the member behind it, expected members side by side"),
        (put("<B", ord("c"), 30, None), 8, "is not where the list of members says"),
        (put("<B", 0xFF, 35, None), 8, "does not unpack ("),
        (put("<B", 0xFF, 35, None), 12, "does not unpack ("),
        (put("<B", 0xFF, 39, None), 14, "does not unpack ("),
    ],
)
def test_a_bad_member_of_a_zip_is_named(
    write: Write, monkeypatch: pytest.MonkeyPatch, edit: Callable, method: int, fault: str
) -> None:
    monkeypatch.setattr(archive_members, "SPARE_BYTES", 4 << 30)  # else a declared size alone is refused as too much
    assert refusal(write(edited_zip(edit, method=method))).removeprefix("b.wav: ").startswith(fault)


def test_members_of_a_zip_that_share_bytes(write: Write) -> None:
    """The list says twice the same place: as often as it likes, which is how a small zip unpacks to petabytes."""
    content = edited_zip(put("<I", 0, None, 42))
    content = content.replace(b"b.wav", b"a.wav")
    assert refusal(write(content)).startswith("a.wav: overlaps the member behind it, expected members side by side")


def test_members_of_a_zip_that_its_list_lacks(write: Write) -> None:
    """As where damage makes the comment of the entry before swallow an entry: nobody would miss the clip."""
    listed = edited_zip(put("<H", 46 + 5, None, 32), name="a.wav")  # bytes of a.wav's comment: all of b.wav's entry
    assert refusal(write(listed)) == (
        "a.wav: a member behind it that the list of members lacks; run `dtc download` again"
    )
    first = edited_zip(put("<I", 1, None, 42), name="a.wav")
    assert "its list of members lacks the first" in refusal(write(first))


@pytest.mark.parametrize("name", ["../evil", "/etc/passwd", "C:/evil"])
def test_a_zip_that_leads_out(write: Write, name: str) -> None:
    assert refusal(write(zip_bytes({"a.wav": b"", name: b""}))).startswith(f"{name}: path leads out of the archive")


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_zip_with_one_name_twice(write: Write) -> None:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as made:
        made.writestr("a.wav", b"1")
        made.writestr("a.wav", b"2")
    assert refusal(write(stream.getvalue())).startswith("a.wav: a second member of this name, expected one")


def test_a_zip_that_declares_too_much(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive_members, "SPARE_BYTES", 1 << 16)
    assert contents(write(zip_bytes(FILES))) == FILES
    assert refusal(write(zip_bytes({"a.wav": bytes(1 << 20)}))).startswith("unpacks to more bytes than recordings do")


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
    assert contents(tmp_path / "first.tar") == files
    assert len(files) == 4


def packed_by(program: list[str], folder: Path) -> Path:
    """An archive of `folder` made by tar or zip as people have them; the archive's path follows the program's name."""
    archive = folder.parent / "packed"
    subprocess.run([program[0], program[1], archive, *program[2:], folder.name], cwd=folder.parent, check=True)
    return archive


@pytest.mark.parametrize(
    ("prepare", "fault"),
    [
        (lambda wavs: os.link(wavs / "a.wav", wavs / "b.wav"), "a hard link, expected regular files only; pack it again with --hard-dereference"),
        (lambda wavs: (wavs / "b.wav").symlink_to("a.wav"), "a symbolic link, expected regular files only; pack it again with --dereference --hard-dereference"),
    ],
)  # fmt: skip
def test_the_remedy_for_a_link_in_a_tar_works(tmp_path: Path, prepare: Callable[[Path], None], fault: str) -> None:
    wavs = tmp_path / "voice/wavs"
    wavs.mkdir(parents=True)
    (wavs / "a.wav").write_bytes(b"RIFF")
    prepare(wavs)
    line = refusal(packed_by(["tar", "-cf"], tmp_path / "voice"))
    assert line.partition(": ")[2] == fault
    assert line.partition(": ")[0] in ("voice/wavs/a.wav", "voice/wavs/b.wav")  # whichever tar met second
    options = fault.rpartition("again with ")[2].split()
    expected = {"voice/wavs/a.wav": b"RIFF", "voice/wavs/b.wav": b"RIFF"}
    assert contents(packed_by(["tar", "-cf", *options], tmp_path / "voice")) == expected


def test_a_real_sparse_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "voice").mkdir()
    with (tmp_path / "voice/a.wav").open("wb") as file:
        file.write(b"RIFF")
        file.truncate(1 << 20)
    for format in ("gnu", "pax"):
        line = refusal(packed_by(["tar", "-cf", "--sparse", f"--format={format}"], tmp_path / "voice"))
        assert line == "voice/a.wav: a sparse file, expected whole files only; pack it again without --sparse"


@pytest.mark.parametrize("options", [[], ["-UN=UTF8"]], ids=["as people pack", "names flagged as UTF-8"])
def test_a_zip_made_by_zip_reads_as_its_folder(tmp_path: Path, options: list[str]) -> None:
    wavs = tmp_path / "voix é/wavs"
    wavs.mkdir(parents=True)
    (wavs / "café00.wav").write_bytes(b"RIFF")
    zipped = packed_by(["zip", "-qr", *options], tmp_path / "voix é").with_suffix(".zip")  # zip adds the suffix
    assert contents(zipped) == {"voix é/wavs/café00.wav": b"RIFF"}
    assert contents(tmp_path / "voix é") == {"voix é/wavs/café00.wav": b"RIFF"}


def zip_with_name(packed: bytes, flags: int = 0, extra: bytes = b"") -> bytes:
    """A zip of one member, stored, whose name is these bytes."""
    content = b"RIFF"
    common = struct.pack("<HHHHIII", flags, 0, 0, 33, zlib.crc32(content), len(content), len(content))
    lengths = struct.pack("<HH", len(packed), len(extra))
    local = b"PK\x03\x04" + struct.pack("<H", 20) + common + lengths + packed + extra + content
    entry = b"PK\x01\x02" + struct.pack("<HH", 20, 20) + common + lengths + bytes(14) + packed + extra
    end = b"PK\x05\x06" + struct.pack("<HHHHIIH", 0, 0, 1, 1, len(entry), len(local), 0)
    return local + entry + end


def unicode_path(packed: bytes, name: str) -> bytes:
    """Info-ZIP's extra field 0x7075 for a name that was packed as other bytes."""
    field = struct.pack("<BI", 1, zlib.crc32(packed)) + name.encode()
    return struct.pack("<HH", 0x5455, 0) + struct.pack("<HH", 0x7075, len(field)) + field


@pytest.mark.parametrize(
    ("packed", "flags", "extra"),
    [
        ("café.wav".encode(), 0x800, b""),
        ("café.wav".encode(), 0, b""),
        ("café.wav".encode("cp437"), 0, b""),
        (b"caf?.wav", 0, unicode_path(b"caf?.wav", "café.wav")),
        ("café.wav".encode("cp437"), 0, unicode_path(b"another name", "wrong.wav")),  # of a name that was changed since
    ],
    ids=["flag", "unmarked UTF-8", "code page 437", "extra field", "stale extra field"],
)
def test_names_in_a_zip_are_read_as_they_were_meant(write: Write, packed: bytes, flags: int, extra: bytes) -> None:
    assert contents(write(zip_with_name(packed, flags, extra))) == {"café.wav": b"RIFF"}


ODD_NAMES = {"voice/Icon\r": b"", "voice/back\\slash.txt": b"", "voice/a.wav": b"RIFF"}


def test_odd_names_of_files_that_are_not_wanted_are_ignored(tmp_path: Path, write: Write) -> None:
    """The files that macOS puts into folders are no reason to refuse a corpus; in clips such names are refused."""
    folder = tmp_path / "folder/voice"
    folder.mkdir(parents=True)
    for name, content in ODD_NAMES.items():
        (tmp_path / "folder" / name).write_bytes(content)
    pack_folder(folder, tmp_path / "voice.tar")
    (tmp_path / "voice.zip").write_bytes(zip_bytes(ODD_NAMES))
    for source in (folder, tmp_path / "voice.tar", tmp_path / "voice.zip"):
        found = read_members(source, lambda name: name.endswith(".wav"))
        assert [(member.name, member.content) for member in found] == [("voice/a.wav", b"RIFF")]
        with pytest.raises(InputError, match="control characters, or bytes that are not UTF-8, in the name; rename it"):
            list(read_members(source, lambda name: "Icon" in name))


def test_a_large_file_that_is_not_wanted_is_ignored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "voice").mkdir()
    (tmp_path / "voice/film.mkv").write_bytes(bytes(100_000))
    pack_folder(tmp_path / "voice", tmp_path / "voice.tar")
    monkeypatch.setattr(archive_members, "LARGEST_MEMBER_BYTES", 99_999)
    for source in (tmp_path / "voice", tmp_path / "voice.tar"):
        assert list(read_members(source, lambda name: name.endswith(".wav"))) == []
        with pytest.raises(InputError, match=r"film\.mkv: 100000 bytes, expected at most 99999"):
            list(read_members(source))


# --- folders


def names_in(folder: Path) -> list[str]:
    """The names in the folder's archive, which must be those of the folder itself, in the same order."""
    pack_folder(folder, folder.parent / "packed.tar")
    packed = [member.name for member in read_members(folder.parent / "packed.tar")]
    assert packed == [member.name for member in read_members(folder)]
    return packed


def write_files(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(name.encode())
    return folder


def test_links_in_a_folder_are_followed_once(tmp_path: Path) -> None:
    write_files(tmp_path / "elsewhere", "a.wav")
    folder = write_files(tmp_path / "voice", "metadata.csv", "more/b.wav", ".store/c.wav")
    (folder / "wavs").symlink_to("../elsewhere")
    (folder / "hidden").symlink_to(".store")  # the files there come under this name alone
    (folder / "again").symlink_to("more")  # these come as more/
    (folder / "more/up").symlink_to("..")
    (folder / "out").symlink_to("../..")
    (tmp_path / "elsewhere/circle").symlink_to(tmp_path / "elsewhere")
    (folder / "lost.wav").symlink_to("nowhere")
    assert names_in(folder) == ["voice/hidden/c.wav", "voice/metadata.csv", "voice/more/b.wav", "voice/wavs/a.wav"]


def test_only_names_inside_a_folder_make_it_hidden(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write_files(tmp_path / ".voices/.me", "wavs/a.wav", "wavs/.b.wav", ".git/c.wav")
    assert names_in(folder) == ["me/wavs/a.wav"]
    monkeypatch.chdir(folder)
    assert [member.name for member in read_members(Path())] == ["me/wavs/a.wav"]


def test_the_order_of_a_folder_is_that_of_composed_names(tmp_path: Path) -> None:
    """As Unicode orders them, whether a system stores é as one character or as two; a folder's files stay together."""
    decomposed, composed = "e\u0301.wav", "\u00e9.wav"
    folder = write_files(
        tmp_path / "voice", "a/z.wav", "a-b.wav", "B.wav", "f.wav", "\uffff.wav", "\U0001f600.wav", decomposed
    )
    order = ["B.wav", "a/z.wav", "a-b.wav", "f.wav", decomposed, "\uffff.wav", "\U0001f600.wav"]
    assert names_in(folder) == [f"voice/{name}" for name in order]
    (folder / decomposed).rename(folder / composed)
    assert names_in(folder) == [f"voice/{name.replace(decomposed, composed)}" for name in order]


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write_files(tmp_path / "voice", "a.wav")

    def refuse(*arguments: object, **options: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    for read in (lambda: list(read_members(folder)), lambda: pack_folder(folder, tmp_path / "packed.tar")):
        with pytest.raises(InputError, match=r"voice/a\.wav: cannot be read \(Permission denied\); allow reading it"):
            read()
