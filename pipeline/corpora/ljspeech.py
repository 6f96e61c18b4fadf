"""LJSpeech's format: `metadata.csv` beside `wavs/`, rows `id|raw text|spoken text` or `id|text`, without quoting.

Tables of other programs are read too, where they are unambiguous: see `pipeline.corpora.tables`.
"""

from __future__ import annotations

import posixpath
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePosixPath

from dtc.errors import InputError, named
from pipeline.corpora.base import Finder, ListedFormat, ListedRow, clip_path, composed, without_suffix
from pipeline.corpora.tables import read_table

METADATA = "metadata.csv"
WAVS = "wavs"
COLUMNS = {2: "id|text", 3: "id|raw text|spoken text"}


def is_metadata(member: str) -> bool:
    """Return whether a file in an archive is the corpus's metadata.csv: at the top, or one folder down."""
    path = PurePosixPath(member)
    return path.name.lower() == METADATA and len(path.parts) <= 2


def parse_metadata(lines: Mapping[str, str]) -> Iterator[ListedRow]:
    """Yield a row for each line, except for a first one that names the columns."""
    table = read_table(lines, COLUMNS)
    for where, fields in table.rows.items():
        name = composed(table.field(fields, table.id_at).strip())
        clip = without_suffix(clip_path(name).name)
        clip_id = clip if table.has_names else name  # in a column of files, a path's stem is the id
        if fault := table.fault_of(where, fields):
            yield ListedRow(where, clip, clip_id, fault=fault)
        else:
            spoken = None if table.spoken_at is None else fields[table.spoken_at]
            yield ListedRow(where, clip, clip_id, fields[table.text_at], spoken)


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
