"""Manifests of one JSON object a line, as NeMo's: a clip's path, its text, and what else is known of it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath

from dtc.errors import InputError
from pipeline.corpora.base import Draft, Layout, Line, is_hidden
from pipeline.corpora.filelist import find_by_path, stem_and_suffix

PATH_KEYS = ("audio_filepath", "audio", "path")  # the first that is there
SPOKEN_KEYS = ("spoken_text", "normalized_text")


def is_manifest(member: str) -> bool:
    """Whether an archive's member is a manifest, by its suffix."""
    return PurePosixPath(member).suffix.lower() == ".jsonl" and not is_hidden(member)


def parse_manifest(lines: Sequence[Line]) -> Iterator[Draft]:
    """Every line's clip, texts and id (without one, the path's stem); keys that are not known here are left alone."""
    for line in lines:
        path = ""
        try:
            entry = _parse_object(line)
            path = _find_text(entry, PATH_KEYS, line.where) or ""
            yield _make_draft(entry, path, line.where)
        except InputError as fault:
            yield Draft(line.where, clip=path, fault=fault)


def _parse_object(line: Line) -> dict[str, object]:
    try:
        entry = json.loads(line.text, object_pairs_hook=_refuse_twins)
    except (ValueError, RecursionError) as error:
        raise InputError(line.where, f"no JSON ({error})", "one object a line") from None
    if not isinstance(entry, dict):
        raise InputError(line.where, f"{type(entry).__name__}", "an object, {…}")
    return entry


def _refuse_twins(pairs: list[tuple[str, object]]) -> dict[str, object]:
    entry = dict(pairs)
    if len(entry) != len(pairs):
        raise ValueError("a key is given twice")
    return entry


def _make_draft(entry: dict[str, object], path: str, where: str) -> Draft:
    if not path:
        raise InputError(where, "no path of a clip", f"the key {' or '.join(PATH_KEYS)}")
    if entry.get("offset"):
        remedy = "cut the recording into one file a clip"
        raise InputError(where, f"offset {entry['offset']!r}: a part of a file", "whole files", remedy)
    text = _find_text(entry, ("text",), where)
    if text is None:
        raise InputError(where, "no text", "the key text")
    clip_id = _find_text(entry, ("id",), where)
    spoken_text = _find_text(entry, SPOKEN_KEYS, where)
    return Draft(where, path, stem_and_suffix(path)[0] if clip_id is None else clip_id, text, spoken_text)


def _find_text(entry: dict[str, object], keys: Sequence[str], where: str) -> str | None:
    """The value of the first key that is there and not null."""
    for key in keys:
        value = entry.get(key)
        if isinstance(value, str):
            return value
        if value is not None:
            raise InputError(where, f"{key} {value!r:.40}", "a string")
    return None


LAYOUT = Layout(
    files="*.jsonl",
    expected='manifests: *.jsonl with lines {"audio_filepath": …, "text": …}, and the clips that they name',
    only_one=False,
    is_listing=is_manifest,
    looks_right=lambda content: True,
    parse=parse_manifest,
    call_clip="{}",
    make_finder=find_by_path,
)
