"""pipeline.shard_folder and part_folder: nothing finished is lost, whenever a stage is killed; nothing else is deleted."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from killed_while_finishing import FILES, MADE_FROM, stage
from tiny_features import AUDIO, tiny_clip, write_features

from dtc.errors import InputError
from pipeline.part_folder import NOTE, discard_part, start_part
from pipeline.shard_folder import Unfinished, remove_features
from pipeline.shard_writer import build_shard

KILLED = Path(__file__).with_name("killed_while_finishing.py")


def store_all(folder: Path, made_from: str = MADE_FROM) -> Unfinished:
    """Compute the shards of seven clips, and stop before finishing."""
    unfinished = Unfinished(folder, FILES, made_from)
    for first, file in enumerate(FILES):
        split = "validation" if file.startswith("validation") else "train"
        unfinished.store(build_shard(file, split, map(tiny_clip, range(3 * first, 3 * first + 3)), AUDIO))
    return unfinished


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.slow
@pytest.mark.parametrize("replaced", [False, True])
def test_killed_before_each_file_operation_of_finishing(tmp_path: Path, replaced: bool) -> None:
    """The next run ends with the same bytes as an undisturbed one, and computes no shard again."""
    (base := tmp_path / "base").mkdir()
    if replaced:
        write_features(base / "features", 40)
    store_all(base / "features")
    shutil.copytree(base, whole := tmp_path / "whole")
    stage(whole)
    done = subprocess.run(
        [sys.executable, KILLED, base, tmp_path / "copies"], capture_output=True, text=True, cwd=KILLED.parents[2]
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) >= 15
    for number in range(1, int(done.stdout) + 1):
        assert contents(tmp_path / "copies" / str(number)) == contents(whole), number
    assert sorted(contents(whole)) == [
        "complete.txt",
        *(f"features/{name}" for name in ("clips.jsonl", "index.json", *FILES)),
    ]


def test_shards_of_something_else_are_made_again(tmp_path: Path) -> None:
    store_all(tmp_path / "features", "other clips")
    assert Unfinished(tmp_path / "features", FILES, "other clips").finished() == {*FILES}
    unfinished = Unfinished(tmp_path / "features", FILES, MADE_FROM)
    assert unfinished.finished() == frozenset()
    assert list(contents(unfinished.part)) == [NOTE]


def test_what_a_killed_worker_had_begun_is_not_kept(tmp_path: Path) -> None:
    store_all(tmp_path / "features").shards.joinpath("train-00001.tar.123.part").write_bytes(b"half")
    stage(tmp_path)
    assert sorted(contents(tmp_path / "features")) == ["clips.jsonl", "index.json", *FILES]


@pytest.mark.parametrize("name", ["thesis.txt", "shards/thesis.txt", "train-00000.tar"])
def test_a_part_folder_of_somebody_else_is_refused(tmp_path: Path, name: str) -> None:
    mine = tmp_path / "features.part" / name
    mine.parent.mkdir(parents=True)
    mine.write_text("mine")
    for make in (lambda folder: Unfinished(folder, FILES, MADE_FROM), remove_features):
        with pytest.raises(InputError) as error:
            make(tmp_path / "features")
        assert str(error.value) == (
            f"{tmp_path}/features.part: holds what dtc did not write ({name}), expected a folder that dtc made; "
            "move it away, and run this again"
        )
        assert mine.read_text() == "mine"


def test_a_part_folder_that_is_a_link_is_refused(tmp_path: Path) -> None:
    (tmp_path / "recordings").mkdir()
    (tmp_path / "features.part").symlink_to(tmp_path / "recordings")
    with pytest.raises(InputError, match=r"features\.part: is a link, expected a folder that dtc made"):
        Unfinished(tmp_path / "features", FILES, MADE_FROM)
    assert (tmp_path / "recordings").is_dir()


def test_a_folder_with_more_than_features_is_not_replaced(tmp_path: Path) -> None:
    write_features(tmp_path / "features", 4)
    (tmp_path / "features/notes.txt").write_text("mine")
    for make in (lambda folder: Unfinished(folder, FILES, MADE_FROM), remove_features):
        with pytest.raises(InputError, match=r"features: holds what dtc did not write \(notes\.txt\), expected "):
            make(tmp_path / "features")
    assert (tmp_path / "features/notes.txt").read_text() == "mine"


def test_a_deletion_that_was_killed_is_continued(tmp_path: Path) -> None:
    """The note goes last: until then the folder is known to be dtc's; an empty folder is nobody's."""
    part = tmp_path / "features.part"
    start_part(part, MADE_FROM)
    (part / "new").rmdir()
    discard_part(part)
    assert not part.exists()
    (part / "new").mkdir(parents=True)
    start_part(part, MADE_FROM)
    discard_part(part)
    assert not part.exists()
    discard_part(part)
