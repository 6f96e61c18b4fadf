"""`dtc convert`: write data/features as tensors, arrays or WAVs, for other programs and for another dtc project."""

from __future__ import annotations

import os
import shlex
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import yaml
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from dtc.errors import InputError
from dtc.files import locked, replace_folder, settle_replacement
from pipeline.convert import WAVS, WRITERS, Sums
from pipeline.features import Features
from pipeline.part_folder import discard_part, part_of, start_part
from pipeline.shard_reader import FeatureFolder, stored_clips
from pipeline.shards import ShardIndex, read_index
from pipeline.split import LISTS, SPLITS, Split
from pipeline.tensor_mel_files import SetFacts
from stages import paths
from stages.progress import SECONDS_BETWEEN_LINES

MD5SUMS = "MD5SUMS"


def convert(format: str, out: Path, console: Console) -> None:
    """Write every split of data/features into `out`. It replaces an older one when it is complete."""
    if format not in WRITERS:
        raise InputError("--format", f"found {format!r}", ", ".join(WRITERS))
    started = time.monotonic()
    features = FeatureFolder(paths.FEATURES, read_index(paths.FEATURES))
    _require_clips(features.index)
    _require_own(out)
    folder = Path(os.path.abspath(out))  # noqa: PTH100  # resolve() would follow a link, which is refused above
    part = part_of(folder)
    with locked(folder):
        settle_replacement(folder)
        discard_part(part)  # of a run that was killed
        try:
            new = start_part(part, f"dtc convert --format {format}")
            sums = _write(format, features, new, console)
            (new / MD5SUMS).write_text("".join(f"{md5}  {name}\n" for name, md5 in sums.items()), encoding="utf-8")
            replace_folder(new, folder)
        finally:
            discard_part(part)
    _report(format, features.index, out, sums, time.monotonic() - started, console)


def _require_clips(index: ShardIndex) -> None:
    for split in SPLITS:
        if not _clips(index, split):
            raise InputError(paths.FEATURES, f"no clips in split {split}", "at least one", "run `dtc preprocess` again")


def _clips(index: ShardIndex, split: Split) -> int:
    return sum(shard.clips for shard in index.of_split(split))


def _require_own(out: Path) -> None:
    """Raise InputError where `out` holds more than an earlier conversion, as it will be replaced."""
    if not out.exists() and not out.is_symlink():
        return
    try:
        lines = (out / MD5SUMS).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        lines = []
    known = {MD5SUMS, *(line.partition("  ")[2] for line in lines)}
    if out.is_symlink() or not out.is_dir() or any(name not in known for name in _files(out)):
        remedy = "name another folder with --out, or move it away"
        raise InputError(out, "is there, and holds more than a conversion", "a new folder", remedy)


def _files(folder: Path) -> Iterator[str]:
    return (path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir())


def _write(format: str, features: FeatureFolder, new: Path, console: Console) -> Sums:
    sums = Sums()
    for split in SPLITS:
        with _converting(_clips(features.index, split), console) as advance:
            clips = _counted(stored_clips(features, split), advance)
            sums |= WRITERS[format](clips, SetFacts.of(features.index, split), new)
    return sums


def _counted(clips: Iterable[Features], advance: Callable[[], None]) -> Iterator[Features]:
    for clip in clips:
        yield clip
        advance()


@contextmanager
def _converting(clips: int, console: Console) -> Iterator[Callable[[], None]]:
    """Yield a function to call after each clip. The last line is the same on a terminal and elsewhere."""
    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
    done, last_line = 0, time.monotonic()
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        bar = progress.add_task(_line(0, clips), total=clips)

        def advance() -> None:
            nonlocal done, last_line
            done += 1
            progress.update(bar, completed=done, description=_line(done, clips))
            if not console.is_terminal and done < clips and time.monotonic() - last_line > SECONDS_BETWEEN_LINES:
                last_line = time.monotonic()
                console.print(_line(done, clips), highlight=False)

        yield advance
    if not console.is_terminal:
        console.print(_line(done, clips), highlight=False)


def _line(done: int, clips: int) -> str:
    return f"Converting: {100 * done // clips:3d}% {done}/{clips}"


def _report(format: str, index: ShardIndex, out: Path, sums: Sums, seconds: float, console: Console) -> None:
    table = Table("split", "clips", "minutes")
    for split in SPLITS:
        frames = sum(shard.frames for shard in index.of_split(split))
        table.add_row(split, str(_clips(index, split)), f"{frames / index.audio.frames_per_s / 60:.1f}")
    console.print(table)
    for name, md5 in sums.items():
        if not name.startswith(f"{WAVS}/"):
            console.print(f"{md5}  {out / name}", highlight=False, soft_wrap=True)
    if format == "wav":
        wavs = sum(name.startswith(f"{WAVS}/") for name in sums)
        console.print(f"{wavs:,} WAVs; their MD5s are in {out / MD5SUMS}", highlight=False, soft_wrap=True)
    megabytes = sum((out / name).stat().st_size for name in sums) / 1e6
    if format == "wav":
        copy = shlex.join(["cp", *(str(out / f"{split}.txt") for split in SPLITS), str(LISTS / index.corpus)])
        line = f"convert: for the same split, mkdir -p {LISTS / index.corpus} && {copy}"
        console.print(line, highlight=False, soft_wrap=True)
    line = f"convert: {out}, {megabytes:,.1f} MB in {seconds:.1f} s; to train from it, in params.yaml:"
    console.print(line, highlight=False, soft_wrap=True)
    console.print(_snippet(format, out, sums, index), highlight=False, soft_wrap=True, end="")


def _snippet(format: str, out: Path, sums: Mapping[str, str], index: ShardIndex) -> str:
    """Return the keys of params.yaml that name this conversion, and the sections that it must be used with."""
    corpus: dict[str, object] = {"source": str(out), "mirrors": [], "md5": None, "sha256": None}
    if format == "wav":
        corpus |= {"format": "ljspeech", "checksums": {}}
        used_with: dict[str, object] = {"split": {"method": "lists", "lists": index.corpus}}
    else:
        corpus |= {"format": "tensor_mel", "checksums": dict(sums)}
        used_with = {name: getattr(index, name).model_dump(mode="json") for name in ("recording", "text")}
    tree = {"corpus": corpus, "audio": index.audio.model_dump(mode="json"), **used_with}
    return yaml.safe_dump(tree, sort_keys=False, allow_unicode=True)
