"""Test that tar archives of every kind are read alike, and that damaged or unsafe ones are refused by name."""

import bz2
import gzip
import lzma
import os
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dtc.errors import InputError
from pipeline import archive_members
from pipeline.archive_members import LARGEST_MEMBER_BYTES
from pipeline.archives import read_member_at, read_members
from tests.pipeline.archive_files import (
    FILES,
    FORMATS,
    METHODS,
    Write,
    contents,
    member,
    packed_by,
    refusal,
    tar_bytes,
    zip_bytes,
)


@pytest.mark.parametrize("compress", [bytes, gzip.compress, bz2.compress, lzma.compress])
@pytest.mark.parametrize("format", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_every_tar_reads_alike(write: Write, compress: Callable[[bytes], bytes], format: int) -> None:
    assert contents(write(compress(tar_bytes(FILES, format=format)))) == FILES


def test_folders_and_a_leading_dot_are_no_part_of_a_name(write: Write) -> None:
    archive = write(tar_bytes({"./metadata.csv": b"a", "./wavs//./a.wav": b"b"}, member("./wavs", tarfile.DIRTYPE)))
    assert [member.name for member in read_members(archive)] == ["metadata.csv", "wavs/a.wav"]


@pytest.mark.parametrize("name", ["OggS/a.wav", "RIFF.csv", "BZh9/a.wav", "<html>"])
def test_a_tar_whose_first_name_looks_like_another_format_is_read(write: Write, name: str) -> None:
    assert contents(write(tar_bytes({name: b"content"}))) == {name: b"content"}


names = st.lists(
    st.text(st.characters(codec="utf-8", exclude_categories=["Cc"], exclude_characters="/\\:"), min_size=1).filter(
        lambda part: part not in (".", "..")
    ),
    min_size=1,
    max_size=12,
).map("/".join)


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


def test_reading_a_member_behind_the_end_is_refused(write: Write) -> None:
    archive = write(b"0123456789")
    assert read_member_at(archive, 3, 4) == b"3456"
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
    tar_bytes(MIXED),
    tar_bytes(MIXED, format=tarfile.GNU_FORMAT),
    gzip.compress(tar_bytes(MIXED)),
    bz2.compress(tar_bytes(MIXED)),
    lzma.compress(tar_bytes(MIXED)),
    *(zip_bytes(MIXED, method) for method in METHODS),
]


@given(st.sampled_from(ARCHIVES), st.floats(0, 1, exclude_max=True), st.binary(max_size=8), st.integers(0, 8))
def test_a_flipped_byte_anywhere_gives_members_or_an_input_error(
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


def test_a_missing_archive_is_refused(tmp_path: Path) -> None:
    assert refusal(tmp_path / "missing.tar").startswith("no such file")


@pytest.mark.parametrize("compress", [gzip.compress, bz2.compress, lzma.compress])
@pytest.mark.parametrize(
    "files",
    [{"a.wav": bytes(1 << 20)}, {f"a{number}.wav": b"" for number in range(2000)}, {"a" * 200_000: b""}],
    ids=["content", "headers", "a name"],
)
def test_an_archive_that_unpacks_to_too_many_bytes_is_refused(
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


@pytest.mark.parametrize(
    ("prepare", "fault"),
    [
        (
            lambda wavs: os.link(wavs / "a.wav", wavs / "b.wav"),
            "a hard link, expected regular files only; pack it again with --hard-dereference",
        ),
        (
            lambda wavs: (wavs / "b.wav").symlink_to("a.wav"),
            "a symbolic link, expected regular files only; pack it again with --dereference --hard-dereference",
        ),
    ],
)
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
