"""Test that folders of recordings are read as they are packed, in the same order on every system."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from dtc.errors import InputError
from pipeline import archive_members
from pipeline.archives import pack_folder, read_members
from tests.pipeline.archive_files import ODD_NAMES, Write, contents, write_files, zip_bytes


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


def is_wav(name: str) -> bool:
    return name.endswith(".wav")


def names_in(folder: Path) -> list[str]:
    """The names in the folder's archive, which must be those of the folder itself, in the same order."""
    pack_folder(folder, folder.parent / "packed.tar")
    packed = [member.name for member in read_members(folder.parent / "packed.tar")]
    assert packed == [member.name for member in read_members(folder)]
    return packed


def test_links_in_a_folder_are_followed_once(tmp_path: Path) -> None:
    write_files(tmp_path / "elsewhere", "a.wav")
    folder = write_files(tmp_path / "voice", "metadata.csv", "more/b.wav", ".store/c.wav")
    (folder / "wavs").symlink_to("../elsewhere")
    (folder / "hidden").symlink_to(".store")  # the files there come under this name alone
    (folder / "again").symlink_to("more")  # these come as more/
    (folder / "more/up").symlink_to("..")
    (folder / "out").symlink_to("../..")
    (tmp_path / "elsewhere/circle").symlink_to(tmp_path / "elsewhere")
    assert names_in(folder) == ["voice/hidden/c.wav", "voice/metadata.csv", "voice/more/b.wav", "voice/wavs/a.wav"]


@pytest.mark.parametrize("name", ["wavs", "lost.wav", "more/lost.wav", "metadata.csv"])
@pytest.mark.parametrize("target", ["nowhere", "/nowhere/a.wav", "{name}"])
def test_a_link_to_nothing_is_named(tmp_path: Path, name: str, target: str) -> None:
    """As in a folder of git-annex whose contents were not fetched, or a copy without what its links point to."""
    folder = write_files(tmp_path / "voice", "more/b.wav")
    (folder / name).symlink_to(target.format(name=folder / name))
    (folder / ".#notes").symlink_to("nowhere")  # hidden: of an editor
    for read in (lambda: list(read_members(folder, is_wav)), lambda: pack_folder(folder, tmp_path / "packed.tar")):
        with pytest.raises(InputError) as error:
            read()
        fault = "a link to a file that is not there; correct the link, or remove it"
        assert str(error.value) == f"{folder / name}: {fault}"


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
    monkeypatch.setattr(Path, "iterdir", refuse)
    with pytest.raises(InputError, match=r"voice: cannot be read \(Permission denied\)"):
        list(read_members(folder))


def test_a_link_called_wavs_names_the_folder_that_it_points_to(tmp_path: Path) -> None:
    folder = write_files(tmp_path / "voice", "audio/a.wav", "metadata.csv")
    (folder / "wavs").symlink_to("audio")
    (folder / "clips").symlink_to("audio")
    assert names_in(folder) == ["voice/metadata.csv", "voice/wavs/a.wav"]
    (folder / "wavs").unlink()
    (folder / "wavs").symlink_to(".")
    assert names_in(folder) == ["voice/audio/a.wav", "voice/metadata.csv"]
