"""Listings for tests: read as those of an archive v.tar with three clips."""

from collections.abc import Sequence

import pytest

from dtc.errors import InputError
from pipeline.corpora.base import ListedRow
from pipeline.corpora.listing import is_listing, read_rows

CLIPS = ("voice/wavs/a.wav", "voice/wavs/b.wav", "voice/wavs/c.wav")


def read(
    listings: dict[str, str | bytes], clips: Sequence[str] = CLIPS, format: str = "auto"
) -> tuple[list[ListedRow], list[str]]:
    """Rows and faults of an archive `v.tar`; the faults as lines without its name."""
    content = {name: text if isinstance(text, bytes) else text.encode() for name, text in listings.items()}
    assert all(is_listing(name) for name in listings)
    listing = read_rows("v.tar", content, clips, format)
    lines = [str(fault.error) for fault in listing.faults]
    assert all(line.startswith("v.tar:") for line in lines)
    return listing.rows, [line.removeprefix("v.tar:") for line in lines]


def summary(found: tuple[list[ListedRow], list[str]]) -> tuple[list[tuple[str | None, ...]], list[str]]:
    """Id, texts, clip and place of each row; and the faults."""
    return [(row.id, row.raw_text, row.spoken_text, row.member, row.where) for row in found[0]], found[1]


def refusal(listings: dict[str, str], format: str = "auto") -> str:
    with pytest.raises(InputError) as error:
        read(listings, format=format)
    return str(error.value)


ID_RULE = "expected a name without dots, slashes and control characters, of at most 80 bytes; rename it and its clip"


FORMATS: list[tuple[str, str, str]] = [
    ("ljspeech", "metadata.csv", "a|é|b\n"),
    ("filelist", "all.txt", "a.wav|é\n"),
    ("jsonl", "m.jsonl", '{"path": "a.wav", "text": "é"}\n'),
]
