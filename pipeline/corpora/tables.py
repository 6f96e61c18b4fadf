"""Read listings that are tables: `id|text`, and what other programs write where it is unambiguous.

These are tabs, CSV with commas or semicolons, quotation marks, and a first row that names the columns.
"""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dtc.errors import InputError, plural

SEPARATORS = {"|": "|", "\t": "tabs", ",": "commas", ";": "semicolons"}  # the first that most lines have counts
# The names of columns in a first row, in small letters with _ for spaces.
ID_NAMES = re.compile(
    r"((wav|audio|clip|file|utt|utterance|segment)_?)?(id|file|filename|name|filepath|path)|wav|audio|clip"
)
TEXT_NAMES = re.compile(r"((raw|original|written)_?)?(text|transcript|transcription|sentence|words|prompt)")
SPOKEN_NAMES = re.compile(r"(spoken|normali[sz]ed)_?(text|transcript|transcription|sentence)")
ONE_SPEAKER = "lists of several speakers are not supported: keep one speaker's lines and remove the column"


@dataclass(frozen=True)
class Table:
    """The rows of a listing, and which of their fields is what."""

    rows: dict[str, list[str]]  # place → fields
    layout: str  # for messages, such as id|text
    width: int  # the number of fields that a row must have
    id_at: int
    text_at: int
    spoken_at: int | None
    has_names: bool  # whether a first row, which is not among the rows, names the columns

    def field(self, fields: Sequence[str], at: int) -> str:
        """Return a field of a row, which may have too few: then its last one."""
        return fields[min(at, len(fields) - 1)]

    def fault_of(self, where: str, fields: Sequence[str]) -> InputError | None:
        """Return the fault of a row with too many or too few fields, else None."""
        if len(fields) == self.width:
            return None
        return InputError(where, plural(len(fields), "field"), f"{self.width}: {self.layout}")


def read_table(lines: Mapping[str, str], layouts: Mapping[int, str]) -> Table:
    """Return the table in some lines. `layouts` are the possible ones without names, by their number of columns.

    Most lines tell the number of columns; the other lines are faulty. Raises InputError where the columns are not
    certain.
    """
    rows, separator = _divide(lines)
    first = next(iter(rows), "")
    header = rows.get(first, [])
    names = [re.sub(r"[\s_-]+", "_", field.strip("# \t").lower()) for field in header]
    id_at, text_at, spoken_at = (
        next((place for place, name in enumerate(names) if known.fullmatch(name)), None)
        for known in (ID_NAMES, TEXT_NAMES, SPOKEN_NAMES)
    )
    text_at = spoken_at if text_at is None else text_at
    if id_at is None or text_at is None:
        width = _count_columns(rows, separator, layouts)
        return Table(rows, layouts[width], width, 0, 1, 2 if width == 3 else None, has_names=False)
    del rows[first]
    for place in (place for place, name in enumerate(names) if re.match("speaker|client_id", name)):
        speakers = {fields[place] for fields in rows.values() if len(fields) == len(header)}
        if len(speakers) > 1:
            raise InputError(first, plural(len(speakers), "speaker"), "one", ONE_SPEAKER)
    return Table(rows, separator.join(header), len(header), id_at, text_at, spoken_at, has_names=True)


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


def _count_columns(rows: Mapping[str, Sequence[str]], separator: str, layouts: Mapping[int, str]) -> int:
    """Return the number of columns of rows without names. Raises InputError where it is none of `layouts`."""
    widths = Counter(len(fields) for fields in rows.values() if any(fields))
    width = max(sorted(layouts, reverse=True), key=lambda columns: widths[columns])
    where = next(iter(rows), "")
    if separator in ",;" and set(widths) != {2}:
        found = f"{SEPARATORS[separator]} between the fields, and perhaps in the texts"
        remedy = 'write | between them; or begin with the row id,text and put the texts in quotation marks, "…"'
        raise InputError(where, found, layouts[2], remedy)
    if widths and not widths[width]:
        most = widths.most_common(1)[0][0]
        raise InputError(where, plural(most, "field"), " or ".join(layouts.values()), ONE_SPEAKER if most > 2 else "")
    thirds, seconds = ({fields[column] for fields in rows.values() if len(fields) == 3} for column in (2, 1))
    if width == 3 and len(thirds) == 1 and len(seconds) > 2:
        found = f"the third field is {thirds.pop()!r} in every row"
        raise InputError(where, found, layouts[3], "remove this column if it is not what is said")
    return width
