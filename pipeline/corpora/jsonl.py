"""Manifests as NeMo writes them: one JSON object a line, with a clip's path, its text and what else is known of it."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePosixPath

from dtc.errors import InputError
from pipeline.corpora.base import ListedFormat, ListedRow, clip_path, composed

PATH_KEYS = ("audio_filepath", "audio", "path", "file_name", "file", "wav")  # the first one that is there counts
TEXT_KEYS = ("text", "transcript", "transcription", "sentence")
SPOKEN_KEYS = ("spoken_text", "normalized_text")
WHOLE_FILES = "cut the recording into one file a clip"


def is_manifest(member: str) -> bool:
    """Return whether a file in an archive is a manifest, by its name."""
    return PurePosixPath(member).suffix.lower() == ".jsonl"


def parse_manifest(lines: Mapping[str, str]) -> Iterator[ListedRow]:
    """Yield the clip, the texts and the id (without one, the path's stem) of each line; unknown keys are ignored."""
    where, first = next(iter(lines.items()), ("", ""))
    if first.strip() in ("[", "[{") or first.startswith("[{"):
        raise InputError(
            where, "a list of objects", "one object a line", "remove [ and ], and the commas between lines"
        )
    for where, line in lines.items():
        path = ""
        try:
            entry = _parse_object(where, line)
            path = _find_text(entry, PATH_KEYS, where) or ""
            yield _make_row(entry, path, where)
        except InputError as fault:
            yield ListedRow(where, path, fault=fault)


def _parse_object(where: str, line: str) -> dict[str, object]:
    try:
        entry = json.loads(line, object_pairs_hook=_refuse_twins)
    except (ValueError, RecursionError) as error:
        raise InputError(where, f"not JSON ({error})", "one object a line") from None
    if not isinstance(entry, dict):
        raise InputError(where, f"{type(entry).__name__}", "an object, {…}")
    return entry


def _refuse_twins(pairs: list[tuple[str, object]]) -> dict[str, object]:
    entry = dict(pairs)
    if len(entry) != len(pairs):
        raise ValueError("a key is given twice")
    return entry


def _make_row(entry: Mapping[str, object], path: str, where: str) -> ListedRow:
    if not path:
        raise InputError(where, "no path of a clip", f"the key {' or '.join(PATH_KEYS)}")
    if offset := _find_number(entry, "offset", where):
        raise InputError(where, f"offset {offset:g}: a part of a file", "whole files", WHOLE_FILES)
    text = _find_text(entry, TEXT_KEYS, where)
    if text is None:
        raise InputError(where, "no text", "the key text")
    clip_id = _find_text(entry, ("id",), where)
    clip_id = clip_path(path).stem if clip_id is None else composed(clip_id.strip())
    duration_s = _find_number(entry, "duration", where)
    return ListedRow(where, path, clip_id, text, _find_text(entry, SPOKEN_KEYS, where), duration_s)


def _find_number(entry: Mapping[str, object], key: str, where: str) -> float | None:
    """Return the number under a key, which may be written as a string; None where it is not there or null."""
    value = entry.get(key)
    if value is None:
        return None
    try:
        number = float(str(value))
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise InputError(where, f"{key} {value!r:.40}", "a number of seconds")
    return number


def _find_text(entry: Mapping[str, object], keys: Sequence[str], where: str) -> str | None:
    """Return the value of the first of the keys that is there and not null, or None."""
    for key in keys:
        value = entry.get(key)
        if isinstance(value, str):
            return value
        if value is not None:
            raise InputError(where, f"{key} {value!r:.40}", "a string")
    return None


FORMAT = ListedFormat(
    files="*.jsonl",
    expected='manifests: *.jsonl with lines {"audio_filepath": …, "text": …}, and the clips that they name',
    is_listing=is_manifest,
    parse=parse_manifest,
)
