"""Shards → whole clips, one behind the other: what may become shards, or another format, again."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Iterator
from pathlib import Path

from dtc.config import Section, parse_section
from dtc.errors import InputError
from pipeline.archives import Member, read_members
from pipeline.corpora import Md5
from pipeline.features import Features
from pipeline.manifest import ManifestRow
from pipeline.npy import from_npy
from pipeline.shards import Shard, ShardIndex
from pipeline.split import Split

DTYPES = {"mel.npy": "<f4", "wave.npy": "<i2"}


class _StoredFacts(Section):
    """`<id>.json` of a shard."""

    raw_text: str
    spoken_text: str
    n_samples: int
    source_md5: Md5


def stored_clips(folder: Path, index: ShardIndex, split: Split) -> Iterator[Features]:
    """The clips of a split in the shards' order, without STFT, one in memory at a time."""
    for shard in index.shards:
        if shard.split == split:
            yield from clips_of(folder, index, shard)


def clips_of(folder: Path, index: ShardIndex, shard: Shard) -> Iterator[Features]:
    """The clips of a shard, likewise."""
    members = read_members(folder / shard.file)
    for clip_id, sample in itertools.groupby(members, key=lambda member: member.name.partition(".")[0]):
        yield _parse_sample(clip_id, sample, folder / shard.file, index)


def _parse_sample(clip_id: str, sample: Iterable[Member], shard: Path, index: ShardIndex) -> Features:
    where, audio, remedy = f"{shard}:{clip_id}", index.audio, index.remedy
    contents = {member.name.partition(".")[2]: member.content for member in sample}
    if lacking := sorted({"json", *DTYPES} - contents.keys()):
        raise InputError(where, f"no {lacking[0]}", "a clip's text, samples and mel", remedy)
    try:
        facts = parse_section(json.loads(contents["json"]), _StoredFacts, f"{where}.json")
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InputError(f"{where}.json", f"not JSON ({error})", remedy=remedy) from None
    shapes = {
        "mel.npy": (audio.n_mel_channels, 1 + facts.n_samples // audio.hop_length),
        "wave.npy": (facts.n_samples,),
    }
    mel, wave = (from_npy(contents[name], DTYPES[name], shapes[name], f"{where}.{name}", remedy) for name in DTYPES)
    row = ManifestRow(
        id=clip_id, raw_text=facts.raw_text, spoken_text=facts.spoken_text, member=shard.name, md5=facts.source_md5,
        samples=facts.n_samples, first_byte=None, size_bytes=mel.nbytes + wave.nbytes,
        source_sampling_rate=audio.sampling_rate, source_channels=1, crc32=0,  # of no file of its own
    )  # fmt: skip
    return Features(row, wave, mel, None)
