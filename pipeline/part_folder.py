"""Make and delete folders of unfinished work, beside the folder that they will become.

A folder `NAME.part` has a note inside. It records what the work is made from, and that dtc made the folder: a folder
without a note is not deleted. The finished files are gathered in a folder of their own below it, which is moved into
the place of `NAME` when it is whole.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from dtc.errors import InputError, named
from dtc.files import files_of_others, write_whole

NOTE = "made_from.txt"
NEW = "new"  # the folder below that becomes the finished one
MOVE_AWAY = "move it away, and run this again"


def part_of(folder: Path) -> Path:
    """Return the folder in which `folder` grows."""
    return folder.with_name(f"{folder.name}.part")


def start_part(part: Path, made_from: str) -> Path:
    """Make a part folder, unless it is there with the same note; return the folder below it for the finished files.

    Work with another note is deleted. Raises InputError where there is a folder or a file that dtc did not make.
    """
    note, new = part / NOTE, part / NEW
    if not note.is_file() or note.read_text(encoding="utf-8") != made_from:
        discard_part(part)
        new.mkdir(parents=True)  # before the note: where the note is and this folder is not, it was moved into place
        write_whole(note, made_from)
    return new


def discard_part(part: Path) -> None:
    """Delete a part folder, where it is there. Raises InputError where it has files and no note of dtc's.

    The note goes last: a deletion that is killed is continued by the next one.
    """
    note = part / NOTE
    if part.is_symlink():
        raise InputError(part, "is a link", "a folder that dtc made", MOVE_AWAY)
    if not part.exists():
        return
    if not note.is_file() and (others := files_of_others(part, lambda path: path.name == f"{NOTE}.part")):
        raise InputError(part, f"holds what dtc did not write ({named(others)})", "a folder that dtc made", MOVE_AWAY)
    for path in list(part.iterdir()):
        if path.is_dir():
            shutil.rmtree(path)
        elif path != note:
            path.unlink()
    note.unlink(missing_ok=True)
    part.rmdir()
