"""Run by test_shard_folder.py: a stage whose shards are all finished, killed before its first, second, … file operation.

`killed_while_finishing.py BASE COPIES` copies BASE once for every file operation that finishing takes, kills the stage
before that operation, runs it again in the same copy, and prints how many operations there were.
"""

import os
import shutil
import sys
from pathlib import Path

from tiny_features import AUDIO, RECORDING, TEXT

from dtc.files import write_whole
from pipeline.part_folder import discard_part, part_of
from pipeline.shard_folder import Unfinished
from pipeline.shards import ShardIndex

FILES = ("train-00000.tar", "train-00001.tar", "validation-00000.tar")
MADE_FROM = "these clips"
OPERATIONS = {"os.mkdir", "os.rename", "os.remove", "os.rmdir", "shutil.rmtree"}


def stage(root: Path) -> None:
    """Finish the features in `root`, as `dtc preprocess` does. A shard that would be computed is an error."""
    folder, complete = root / "features", root / "complete.txt"
    if complete.exists():
        discard_part(part_of(folder))
        return
    unfinished = Unfinished(folder, FILES, MADE_FROM)
    assert unfinished.finished() == {*FILES}, "a shard would be computed twice"
    index = ShardIndex(
        corpus="voice",
        corpus_md5="0" * 32,
        recording=RECORDING,
        audio=AUDIO,
        text=TEXT,
        alphabet=("n",),
        **unfinished.summed_up(2),
    )
    unfinished.put_in_place(index)
    write_whole(complete, index.fingerprint)
    unfinished.discard()


def run(root: Path, before: int) -> int:
    """Run the stage in a process that exits before file operation number `before`; 0: never. Return its exit code."""
    if child := os.fork():
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    seen = 0

    def watch(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal seen
        opened = event == "open" and isinstance(arguments[1], str) and arguments[1][0] in "wax"
        if event in OPERATIONS or (opened and str(arguments[0]).startswith(str(root))):
            seen += 1
            if seen == before:
                os._exit(9)

    sys.addaudithook(watch)
    stage(root)
    os._exit(0)


def main(base: Path, copies: Path) -> None:
    """Kill ever later, until the stage ends by itself."""
    number, code = 0, 9
    while code:
        number += 1
        shutil.copytree(base, root := copies / str(number))
        code = run(root, before=number)
        assert code in (0, 9), number
        assert run(root, before=0) == 0, number
    print(number - 1)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
