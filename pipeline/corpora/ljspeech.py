"""LJSpeech's format: `metadata.csv` beside `wavs/`, rows `id|raw text|spoken text` or `id|text`, without quoting.

Rows divided by tabs, and CSV with commas or semicolons, are read too where they are unambiguous; and so is a first row
that names the columns.
"""

from __future__ import annotations

import csv
import posixpath
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePosixPath

from dtc.errors import InputError, named, plural
from pipeline.corpora.base import Finder, ListedFormat, ListedRow, clip_path, composed, without_suffix

METADATA = "metadata.csv"
WAVS = "wavs"
COLUMNS = {2: "id|text", 3: "id|raw text|spoken text"}
SEPARATORS = {"|": "|", "\t": "tabs", ",": "commas", ";": "semicolons"}  # the first that most lines have counts
# The names of the columns in a first row, in small letters with _ for spaces.
ID_NAMES = re.compile(r"id|(wav|audio|clip|file)?_?(id|file|filename|name|filepath|path)|wav|audio|clip|file")
TEXT_NAMES = re.compile(r"((raw|original)_?)?(text|transcript|transcription|sentence)")
SPOKEN_NAMES = re.compile(r"(spoken|normali[sz]ed)_?(text|transcript|transcription|sentence)")


def is_metadata(member: str) -> bool:
    """Return whether a file in an archive is the corpus's metadata.csv: at the top, or one folder down."""
    path = PurePosixPath(member)
    return path.name.lower() == METADATA and len(path.parts) <= 2


def parse_metadata(lines: Mapping[str, str]) -> Iterator[ListedRow]:
    """Yield a row for each line, except for a first one that names the columns.

    Most lines tell whether there are two columns or three; the other lines are faulty. Raises InputError where the
    columns cannot be told from the lines.
    """
    rows, separator = _divide(lines)
    columns = _named_columns(next(iter(rows.values()), []))
    if columns:
        header = rows.pop(next(iter(rows)))
        width, layout = len(header), separator.join(header)
    else:
        width = _count_columns(rows, separator)
        columns, layout = (0, 1, 2 if width == 3 else None), COLUMNS[width]
    id_at, text_at, spoken_at = columns
    for where, fields in rows.items():
        name = composed(fields[min(id_at, len(fields) - 1)].strip())
        clip = without_suffix(clip_path(name).name)
        clip_id = clip if layout != COLUMNS[width] else name  # in a column of files, a path's stem is the id
        if len(fields) != width:
            fault = InputError(where, plural(len(fields), "field"), f"{width}: {layout}")
            yield ListedRow(where, clip, clip_id, fault=fault)
        else:
            yield ListedRow(where, clip, clip_id, fields[text_at], None if spoken_at is None else fields[spoken_at])


def _divide(lines: Mapping[str, str]) -> tuple[dict[str, list[str]], str]:
    """Return place → fields, and what separates them.

    Between `|` quotation marks mean themselves, unless every line begins with a field in quotation marks. What follows
    a `|` at the end of every line is no column.
    """
    filled = [line for line in lines.values() if line.strip()]
    separator = next((mark for mark in SEPARATORS if 2 * sum(mark in line for line in filled) > len(filled)), "|")
    if len(filled) > 1 and all(line.rstrip().endswith(separator) for line in filled):
        lines = {where: line.rstrip().removesuffix(separator) for where, line in lines.items()}
    if separator == "|" and not all(re.match(r'"[^"|]*"\|', line) for line in filled):
        return {where: line.split("|") for where, line in lines.items()}, separator
    return {where: _parse_csv(line, separator) for where, line in lines.items()}, separator


def _parse_csv(line: str, separator: str) -> list[str]:
    try:
        return next(csv.reader([line], delimiter=separator, skipinitialspace=True), [""])
    except csv.Error:
        return [line]


def _named_columns(fields: Sequence[str]) -> tuple[int, int, int | None] | None:
    """Return the places of id, text and spoken text by the names in a first row; None where it is no such row."""
    names = [re.sub(r"[\s_-]+", "_", field.strip("# \t").lower()) for field in fields]
    id_at, text_at, spoken_at = (
        next((place for place, name in enumerate(names) if known.fullmatch(name)), None)
        for known in (ID_NAMES, TEXT_NAMES, SPOKEN_NAMES)
    )
    text_at = spoken_at if text_at is None else text_at
    return None if id_at is None or text_at is None else (id_at, text_at, spoken_at)


def _count_columns(rows: Mapping[str, Sequence[str]], separator: str) -> int:
    """Return the number of columns of rows without names. Raises InputError where it is not 2 or 3, or not certain."""
    widths = Counter(len(fields) for fields in rows.values() if any(fields))
    width = max(reversed(COLUMNS), key=lambda columns: widths[columns])
    where = next(iter(rows), "")
    if separator in ",;" and set(widths) != {2}:
        found = f"{SEPARATORS[separator]} between the fields, and perhaps in the texts"
        remedy = 'write | between them; or begin with the row id,text and put the texts in quotation marks, "…"'
        raise InputError(where, found, COLUMNS[2], remedy)
    if widths and not widths[width]:
        raise InputError(where, plural(widths.most_common(1)[0][0], "field"), " or ".join(COLUMNS.values()))
    thirds, seconds = ({fields[column] for fields in rows.values() if len(fields) == 3} for column in (2, 1))
    if width == 3 and len(thirds) == 1 and len(seconds) > 2:
        found = f"the third field is {thirds.pop()!r} in every row"
        raise InputError(where, found, COLUMNS[3], "remove this column if it is not what is said")
    return width


def find_in_wavs(clips: Sequence[str]) -> Finder:
    """Return what finds `wavs/ID.*`: beside the metadata, or else in the first folder of this name.

    Of two clips of one id the first is meant; the other is left over, and a fault.
    """
    by_id: dict[str, list[str]] = {}
    for clip in clips:
        path = PurePosixPath(clip)
        if path.parent.name == WAVS:
            by_id.setdefault(composed(path.stem), []).append(clip)

    def find(clip: str, listing: str) -> Sequence[str]:
        folder = posixpath.join(posixpath.dirname(listing), WAVS)
        found = sorted(by_id.get(clip, []), key=lambda member: posixpath.dirname(member) != folder)
        return found[:1]

    return find


def check_wavs(archive: str, listing: str, clips: Sequence[str]) -> None:
    """Raise InputError where there are clips, but none in a folder wavs."""
    if not clips or any(PurePosixPath(clip).parent.name == WAVS for clip in clips):
        return
    top = posixpath.dirname(listing) or "."
    folders = Counter(posixpath.relpath(posixpath.dirname(clip) or ".", top) for clip in clips)
    places = [folder for folder, _ in folders.most_common()]
    found = f"in {named([f'{place}/' for place in places])}" if places != ["."] else f"beside {METADATA}"
    one_folder = len(places) == 1 and len(PurePosixPath(places[0]).parts) == 1  # "." has no parts
    remedy = f"rename the folder to {WAVS}" if one_folder else f"move them to {WAVS}/"
    raise InputError(archive, f"the clips lie {found}", f"{WAVS}/", remedy)


FORMAT = ListedFormat(
    files=METADATA,
    expected=f"LJSpeech's layout: NAME/{METADATA} and NAME/{WAVS}/*.wav",
    only_one=True,
    is_listing=is_metadata,
    parse=parse_metadata,
    call_clip=f"{WAVS}/{{}}.*",
    make_finder=find_in_wavs,
    check_places=check_wavs,
)
