"""`dtc convert`: write data/features as tensors, arrays or WAVs, for other programs and for another dtc project."""

from __future__ import annotations

import os
import shlex
import time
from collections.abc import Generator, Iterable, Mapping
from contextlib import closing
from pathlib import Path

import yaml
from rich.console import Console
from rich.table import Table

from dtc.errors import InputError
from dtc.files import locked, replace_folder, require_only_ours, settle_replacement
from pipeline.convert import WAVS, WRITERS, Sums
from pipeline.features import Features
from pipeline.part_folder import discard_part, part_of, start_part
from pipeline.shard_reader import FeatureFolder, stored_clips
from pipeline.shards import ShardIndex, read_index
from pipeline.split import LISTS, SPLITS
from pipeline.tensor_mel_files import SetFacts
from stages import paths
from stages.progress import clip_progress

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
    seconds, megabytes = time.monotonic() - started, sum((out / name).stat().st_size for name in sums) / 1e6
    _report(features.index, out, sums, console)
    line = f"convert: {out}, {megabytes:,.1f} MB in {seconds:.1f} s; to train from it, in params.yaml:"
    console.print(line, soft_wrap=True)
    console.print(_snippet(format, out, sums, features.index), soft_wrap=True, end="")


def _require_clips(index: ShardIndex) -> None:
    for split in SPLITS:
        if not index.clips_of(split):
            raise InputError(paths.FEATURES, f"no clips in split {split}", "at least one", "run `dtc preprocess` again")


def _require_own(out: Path) -> None:
    """Raise InputError where `out` holds more than an earlier conversion, as it will be replaced."""
    try:
        lines = (out / MD5SUMS).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        lines = []
    known = {MD5SUMS, *(line.partition("  ")[2] for line in lines)}
    require_only_ours(out, lambda path: str(path) in known, "name another folder with --out, or move it away")


def _write(format: str, features: FeatureFolder, new: Path, console: Console) -> Sums:
    sums = Sums()
    for split in SPLITS:
        with closing(_show_progress(stored_clips(features, split), features.index.clips_of(split), console)) as clips:
            sums |= WRITERS[format](clips, SetFacts.of(features.index, split), new)
    return sums


def _show_progress(clips: Iterable[Features], total: int, console: Console) -> Generator[Features, None, None]:
    """Yield the clips, and show how many are written. The last line is the same on a terminal and elsewhere."""

    def describe(done: int, clips_per_s: float) -> str:
        return f"Converting: {100 * done // total:3d}% {done}/{total}"

    with clip_progress(describe, console, total) as advance:
        for clip in clips:
            yield clip
            advance(1, "")
    if not console.is_terminal:
        console.print(describe(total, 0.0))


def _report(index: ShardIndex, out: Path, sums: Sums, console: Console) -> None:
    table = Table("split", "clips", "minutes")
    for split in SPLITS:
        table.add_row(split, str(index.clips_of(split)), f"{index.minutes_of(split):.1f}")
    console.print(table)
    wavs = {name for name in sums if name.startswith(f"{WAVS}/")}
    for name, md5 in sums.items():
        if name not in wavs:
            console.print(f"{md5}  {out / name}", soft_wrap=True)
    if wavs:
        console.print(f"{len(wavs):,} WAVs; their MD5s are in {out / MD5SUMS}", soft_wrap=True)
        copy = shlex.join(["cp", *(str(out / f"{split}.txt") for split in SPLITS), str(LISTS / index.corpus)])
        console.print(f"convert: for the same split, mkdir -p {LISTS / index.corpus} && {copy}", soft_wrap=True)


def _snippet(format: str, out: Path, sums: Mapping[str, str], index: ShardIndex) -> str:
    """Return the keys of params.yaml that name this conversion, and the sections that it must be used with."""
    corpus: dict[str, object] = {"name": index.corpus, "source": str(out), "mirrors": [], "md5": None, "sha256": None}
    unknown: dict[str, object] = {"licence": None, "consent": None}
    if format == "wav":
        corpus |= {"format": "ljspeech", "checksums": {}, **unknown}
        used_with: dict[str, object] = {"split": {"method": "lists", "lists": index.corpus}}
    else:
        corpus |= {"format": "tensor_mel", "checksums": dict(sums), **unknown}
        used_with = {name: getattr(index, name).model_dump(mode="json") for name in ("recording", "text")}
    tree = {"corpus": corpus, "audio": index.audio.model_dump(mode="json"), **used_with}
    return yaml.safe_dump(tree, sort_keys=False, allow_unicode=True)
