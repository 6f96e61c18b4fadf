"""Assign each clip to a split: train, validation (when to stop) or test (held out from every decision)."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, NonNegativeInt

from dtc.config import Name, Section
from dtc.errors import InputError, named, plural
from pipeline.corpora.base import clip_path, composed, read_lines

Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = ("train", "validation", "test")
LISTS = Path("splits")  # of a project
SHIPPED = Path(__file__).parent / "splits"  # the lists that ship with the toolkit
DEFAULT_SHARES = {"validation_share": 0.05, "test_share": 0.12, "seed": 1}  # in advice to split by ratio


HeldOutShare = Annotated[float, Field(gt=0.0, lt=0.5)]


class HashSplit(Section):
    """Split by a hash of each id: adding or removing clips moves no other clip; the shares are met roughly."""

    method: Literal["hash"]
    validation_share: HeldOutShare
    test_share: HeldOutShare
    seed: NonNegativeInt


class RatioSplit(Section):
    """Split by the order of the hashes, with exactly these shares of the clips."""

    method: Literal["ratio"]
    validation_share: HeldOutShare
    test_share: HeldOutShare
    seed: NonNegativeInt


class ListedSplit(Section):
    """Split by the lists splits/NAME/{train,validation,test}.txt; without train.txt, all other clips are `train`."""

    method: Literal["lists"]
    lists: Name  # a folder in splits/, or the name of lists that ship with the toolkit


SplitConfig = Annotated[HashSplit | RatioSplit | ListedSplit, Field(discriminator="method")]


def assign_splits(ids: Sequence[str], config: SplitConfig, folder: Path = LISTS) -> list[Split]:
    """Return the split of each clip. It does not depend on the order of the ids, and may leave a split empty.

    Raises InputError where the lists in `folder` are missing, contradict one another, leave out a clip or name none.
    """
    if isinstance(config, HashSplit):
        return [split_of(clip_id, config) for clip_id in ids]
    if isinstance(config, RatioSplit):
        return _cut(ids, config)
    return _look_up(ids, config, _folder_of(config, folder))


def require_every_split(splits: Sequence[Split], config: SplitConfig, folder: Path = LISTS) -> None:
    """Raise InputError, with the remedy of the method, where a split has no clip."""
    for split in SPLITS:
        if split not in splits:
            found = f"{config.method} leaves {split} without one of {plural(len(splits), 'clip')}"
            raise InputError("split.method", found, "clips in every split", _remedy(split, config, len(splits), folder))


def _remedy(split: Split, config: SplitConfig, clips: int, folder: Path) -> str:
    if clips < len(SPLITS):
        return f"record more: {len(SPLITS)} clips are the fewest"
    if isinstance(config, ListedSplit):
        lists = folder / config.lists
        return f"list clips of this corpus in {lists / split}.txt, or {_by_ratio(clips, config)}, which needs no lists"
    return f"{_by_ratio(clips, config)}, which meets the shares exactly; or record more"


def _by_ratio(clips: int, config: SplitConfig) -> str:
    """Return the advice to split by ratio as a line for params.yaml, with shares that leave no split empty."""
    own = config.model_dump(exclude={"method", "lists"})
    ratio = RatioSplit.model_validate({"method": "ratio", **DEFAULT_SHARES, **own})
    if 0 in _held_out(clips, ratio) or sum(_held_out(clips, ratio)) >= clips:
        least = math.ceil(1000 / clips) / 1000  # of one clip
        shares = {
            key: min(max(getattr(ratio, key), least), max(0.2, least)) for key in ("validation_share", "test_share")
        }
        ratio = ratio.model_copy(update=shares)
    shown = ", ".join(f"{key}: {value}" for key, value in ratio)
    return f"replace the section split by `split: {{{shown}}}`"


def split_of(clip_id: str, config: HashSplit) -> Split:
    """Return a clip's split, from a hash of the seed and its id: it does not depend on the other clips."""
    place = _place(clip_id, config.seed)
    if place < config.test_share:
        return "test"
    return "validation" if place < config.test_share + config.validation_share else "train"


def _place(clip_id: str, seed: int) -> float:
    """Return a number in [0, 1) for a clip, evenly distributed over all ids."""
    digest = hashlib.sha256(f"{seed}:{clip_id}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def _cut(ids: Sequence[str], config: RatioSplit) -> list[Split]:
    """Take round(share × clips) clips each for test and validation, in the order of the hashes."""
    test, validation = _held_out(len(ids), config)
    order = sorted(range(len(ids)), key=lambda number: (_place(ids[number], config.seed), ids[number]))
    splits: list[Split] = ["train"] * len(ids)
    for place, number in enumerate(order[: test + validation]):
        splits[number] = "test" if place < test else "validation"
    return splits


def _held_out(clips: int, config: RatioSplit) -> tuple[int, int]:
    """Return the numbers of test and of validation clips."""
    return round(config.test_share * clips), round(config.validation_share * clips)


def describe_unknown_ids(ids: Sequence[str], config: SplitConfig, folder: Path = LISTS) -> str:
    """Return a line about listed ids that the corpus lacks, "" where there are none.

    They are no fault, as published lists serve samples of a corpus too, but may be misspelt.
    """
    if not isinstance(config, ListedSplit):
        return ""
    unknown = _read_lists(_folder_of(config, folder)).keys() - {composed(clip_id) for clip_id in ids}
    found = f"{plural(len(unknown), 'listed id')} {'is' if len(unknown) == 1 else 'are'} not in the corpus"
    return f"{found}, such as {min(unknown)} in {folder / config.lists}" if unknown else ""


def _folder_of(config: ListedSplit, folder: Path) -> Path:
    """Return the folder of the lists: the project's own or, where it has none of this name, the shipped one."""
    own, shipped = folder / config.lists, SHIPPED / config.lists
    return shipped if shipped.is_dir() and not own.is_dir() else own


def _look_up(ids: Sequence[str], config: ListedSplit, folder: Path) -> list[Split]:
    listed = _read_lists(folder)
    keys = [composed(clip_id) for clip_id in ids]
    if listed and keys and listed.keys().isdisjoint(keys):
        found = f"none of its {plural(len(listed), 'id')} is in the corpus (such as {min(listed)})"
        remedy = f"list ids such as {min(keys)}"
        if len(keys) >= len(SPLITS):
            remedy += f", or {_by_ratio(len(keys), config)}, which needs no lists"
        raise InputError(folder, found, "lists of this corpus", remedy)
    if (folder / "train.txt").is_file():
        missing = [clip_id for clip_id, key in zip(ids, keys, strict=True) if key not in listed]
        if missing:
            found = f"{plural(len(missing), 'clip')} in no list ({named(missing)})"
            remedy = "list them, or remove train.txt: without it the rest is train"
            raise InputError(folder, found, "every clip in one", remedy)
    return [listed.get(key, "train") for key in keys]


def _read_lists(folder: Path) -> dict[str, Split]:
    """Return id → split of every listed id."""
    if not folder.is_dir():
        known = ", ".join(sorted({other.name for place in (folder.parent, SHIPPED) for other in place.glob("*/")}))
        remedy = "put validation.txt and test.txt there, and train.txt to refuse unlisted clips; or name another folder"
        raise InputError("split.lists", f"no folder {folder}", f"one of {folder.parent}/ ({known})", remedy)
    listed: dict[str, tuple[Split, str]] = {}  # with the place of the line
    for split in SPLITS:
        path = folder / f"{split}.txt"
        for clip_id, where in _read_ids(path) if split != "train" or path.exists() else ():
            if clip_id in listed:
                raise InputError(where, f"{clip_id} again, first at {listed[clip_id][1]}", "one list a clip")
            listed[clip_id] = split, where
    return {clip_id: split for clip_id, (split, _) in listed.items()}


def _read_ids(path: Path) -> Iterator[tuple[str, str]]:
    """Yield the ids of a list and their places. A line is an id, a path, or `path|text`; the path's stem is the id."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(path, f"cannot be read ({error.strerror})", "one id a line", "write it") from None
    for where, line in read_lines(content, str(path)).items():
        if line.strip():
            yield clip_path(line).stem, where
