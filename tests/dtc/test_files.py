"""Whole files, locks that name their holder, safe replacement of folders, and folders that hold something else."""

import contextlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from dtc.errors import InputError
from dtc.files import files_of_others, holder_of, locked, remove_folder, replace_folder, settle_replacement, write_whole

HOLD = """
import sys
from pathlib import Path
from dtc.files import locked
sys.argv = ["dtc", "train", "acoustic"]
with locked(Path(sys.stdin.readline().strip())):
    print("held", flush=True)
    sys.stdin.readline()
"""


def test_a_second_process_is_told_who_holds_the_lock(tmp_path: Path) -> None:
    folder = tmp_path / "models/acoustic"
    with subprocess.Popen(
        [sys.executable, "-c", HOLD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdin is not None
        assert other.stdout is not None
        print(folder, file=other.stdin, flush=True)
        assert other.stdout.readline() == "held\n"
        held = (
            rf"is being written by process {other.pid} on .*\(`dtc train acoustic`, since 20.*\), expected one process"
        )
        with pytest.raises(InputError, match=held), locked(folder):
            pytest.fail("two processes hold one lock")
        assert holder_of(folder).startswith(f"process {other.pid} on ")
        print(file=other.stdin, flush=True)
        assert other.wait(30) == 0
    assert holder_of(folder) == "", "its process has ended"
    with locked(folder), locked(tmp_path / "models/vocoder"):
        assert not folder.exists(), "the lock lies beside the folder"


def test_a_lock_is_free_after_its_process_was_killed(tmp_path: Path) -> None:
    folder = tmp_path / "features"
    with subprocess.Popen(
        [sys.executable, "-c", HOLD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdin is not None
        assert other.stdout is not None
        print(folder, file=other.stdin, flush=True)
        assert other.stdout.readline() == "held\n"
        other.kill()
        other.wait(30)
    with locked(folder):
        pass


def folder_with(path: Path, content: str) -> Path:
    path.mkdir()
    (path / "a.txt").write_text(content)
    return path


@pytest.mark.parametrize("killed_at", range(6))
def test_a_replacement_that_is_killed_leaves_one_whole_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, killed_at: int
) -> None:
    folder, new = folder_with(tmp_path / "out", "old"), folder_with(tmp_path / "out.part", "new")
    operations = 0

    class Killed(BaseException):
        pass

    def counted(operation):  # type: ignore[no-untyped-def]
        def run(*arguments, **options):  # type: ignore[no-untyped-def]
            nonlocal operations
            if operations == killed_at:
                raise Killed
            operations += 1
            return operation(*arguments, **options)

        return run

    for name in ("replace", "unlink", "rmdir"):
        monkeypatch.setattr(os, name, counted(getattr(os, name)))
    with contextlib.suppress(Killed):
        replace_folder(new, folder)
    monkeypatch.undo()
    settle_replacement(folder)
    found = (folder / "a.txt").read_text()
    assert found == "new" or (found == "old" and (new / "a.txt").read_text() == "new")
    assert {path.name for path in tmp_path.iterdir()} <= {"out", "out.part"}


def test_a_folder_that_holds_something_else_is_not_deleted(tmp_path: Path) -> None:
    folder = folder_with(tmp_path / "out", "ours")
    (folder / "sub").mkdir()
    (folder / "sub/recording.wav").write_bytes(b"theirs")
    with pytest.raises(InputError, match=r"out: holds what dtc did not write \(sub/recording.wav\), .*; move it away"):
        remove_folder(folder, lambda path: path.name == "a.txt", "move it away")
    assert (folder / "a.txt").read_text() == "ours"
    (folder / "sub/recording.wav").unlink()
    remove_folder(folder, lambda path: path.name == "a.txt", "move it away")
    assert not folder.exists()
    remove_folder(folder, lambda path: False, "move it away")
    assert files_of_others(folder, lambda path: False) == []


def test_a_link_to_a_folder_is_not_followed(tmp_path: Path) -> None:
    target = folder_with(tmp_path / "target", "theirs")
    (tmp_path / "out").symlink_to(target)
    with pytest.raises(InputError, match="is a link or a file"):
        remove_folder(tmp_path / "out", lambda path: True, "move it away")
    assert (target / "a.txt").read_text() == "theirs"


def test_a_file_is_written_whole(tmp_path: Path) -> None:
    write_whole(tmp_path / "deep/a.txt", "ä")
    assert (tmp_path / "deep/a.txt").read_bytes() == "ä".encode()
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["a.txt"]
