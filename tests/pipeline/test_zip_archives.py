"""Test that zip archives of every kind are read alike, and that damaged or unsafe ones are refused by name."""

import io
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline import archive_members
from pipeline.archive_members import LARGEST_MEMBER_BYTES
from tests.pipeline.archive_files import FILES, METHODS, Write, contents, packed_by, refusal, zip_bytes


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
def test_a_zip_with_a_path_out_of_the_archive_is_refused(write: Write, name: str) -> None:
    assert refusal(write(zip_bytes({"a.wav": b"", name: b""}))).startswith(f"{name}: path leads out of the archive")


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_zip_with_one_name_twice_is_refused(write: Write) -> None:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as made:
        made.writestr("a.wav", b"1")
        made.writestr("a.wav", b"2")
    assert refusal(write(stream.getvalue())).startswith("a.wav: a second member of this name, expected one")


def test_a_zip_that_declares_too_many_bytes_is_refused(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive_members, "SPARE_BYTES", 1 << 16)
    assert contents(write(zip_bytes(FILES))) == FILES
    assert refusal(write(zip_bytes({"a.wav": bytes(1 << 20)}))).startswith("unpacks to more bytes than recordings do")


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


@pytest.mark.parametrize("name", [b"wavs\\a.wav", b"wavs/a.wav", b".\\wavs\\a.wav"])
def test_a_zip_made_on_windows_may_divide_folders_by_backslashes(write: Write, name: bytes) -> None:
    assert contents(write(zip_with_name(name))) == {"wavs/a.wav": b"RIFF"}
    assert refusal(write(zip_with_name(b"..\\" + name))).endswith(
        "path leads out of the archive; do not use this archive"
    )


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
def test_names_in_a_zip_are_decoded_by_flag_extra_field_or_guess(
    write: Write, packed: bytes, flags: int, extra: bytes
) -> None:
    assert contents(write(zip_with_name(packed, flags, extra))) == {"café.wav": b"RIFF"}
