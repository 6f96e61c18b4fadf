"""Check a corpus: a manifest of the clips that can be used for training, and the faults of the others."""

from __future__ import annotations

import hashlib
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from jaxtyping import Shaped

from dtc.audio_config import AudioConfig
from dtc.errors import InputError, plural
from dtc.text import html_entities, spoken_words
from dtc.text.symbols import TextConfig, text_to_ids
from pipeline.archives import Member, is_hidden, read_members
from pipeline.config import RecordingConfig, VerifyConfig
from pipeline.corpora import CorpusConfig, prepared_format
from pipeline.corpora.base import Fault, ListedRow, is_audio
from pipeline.corpora.listing import is_listing, read_rows
from pipeline.decoding import decode
from pipeline.limits import FACTS, make_facts, measure, out_of_bounds, wrong_pace
from pipeline.manifest import ManifestRow
from pipeline.recording import mismatches, treat, used_channels

DURATION_TOLERANCE_S = 0.05  # durations are rounded, and those of MP3 files include what the encoder added


@dataclass(frozen=True)
class CorpusSettings:
    """The sections of params.yaml that decide whether a clip can be used."""

    corpus: CorpusConfig
    recording: RecordingConfig
    verify: VerifyConfig
    audio: AudioConfig
    text: TextConfig

    @classmethod
    def of(cls, params: Any) -> CorpusSettings:
        """Return the sections of whole params."""
        return cls(params.corpus, params.recording, params.verify, params.audio, params.text)


@dataclass(frozen=True)
class CorpusFindings:
    """The result of one pass over a corpus. The arrays have one value for each clip, in the archive's order."""

    rows: list[ManifestRow]  # of the clips without fault, in the archive's order
    faults: list[Fault]  # of the corpus; of clips, in the archive's order; of the listing, then of clips without a row
    names: list[str]  # of all clips: their ids, or else the names of their files
    facts: Shaped[np.ndarray, " clips"]  # records of pipeline.limits.FACTS
    characters: Shaped[np.ndarray, " clips"]  # of their texts; 0 where there is none that can be spoken
    kept: Shaped[np.ndarray, " clips"]  # whether they are among the rows

    @property
    def clips(self) -> int:
        """Count the clips, and the rows whose clip is missing."""
        return len(self.names) + sum(fault.kind == "missing" and not fault.member for fault in self.faults)

    @property
    def seconds(self) -> float:
        """Return the duration of the clips without faults."""
        return float(self.facts["duration_s"][self.kept].sum())

    @property
    def left_out(self) -> int:
        """Count the clips that are not among the rows. A row without a clip is a fault, and leaves none out."""
        return len(self.names) - len(self.rows)


Wrong = tuple[int, str, InputError]  # the number of a clip in the archive, a kind of fault, the fault


def verify_corpus(source: Path, settings: CorpusSettings, advance: Callable[[str], None]) -> CorpusFindings:
    """Check every clip and every row of an archive, of a folder as it would be packed, or of prepared features.

    `advance` is called with the name of each clip. Raises InputError for what cannot be read at all.
    """
    if prepared := prepared_format(settings.corpus.format):
        return prepared.verify(source, settings, advance)
    others: list[str] = []
    listings, members, facts, wrong = _read_clips(source, settings, advance, others)
    wrong = _name_odd_rates(wrong, facts)
    listing = read_rows(source.name, listings, members, settings.corpus.format, others)
    numbers = {member: number for number, member in enumerate(members)}
    rows = {numbers[row.member]: row for row in listing.rows}
    for number, first in _duplicates(facts, rows):
        where, found = f"{source.name}:{members[number]}", f"the same samples as {members[first]}"
        wrong.append((number, "duplicate", InputError(where, found, "another recording", "remove one of the two")))
    spoken, characters = dict[int, str](), np.zeros(len(facts), np.int32)
    for number, row in rows.items():
        spoken[number], characters[number], of_row = _check_row(row, facts[number], settings)
        wrong += [(number, kind, error) for kind, error in of_row]
    faulty = {number for number, _, _ in wrong}
    kept = np.array([number in rows and number not in faulty for number in range(len(facts))], bool)
    manifest = [_manifest_row(rows[n], spoken[n], facts[n]) for n in np.flatnonzero(kept).tolist()]
    ids = {number: row.id for number, row in rows.items()}
    names = [ids.get(number) or PurePosixPath(member).stem for number, member in enumerate(members)]
    of_clips = [Fault(kind, error, ids.get(n, ""), members[n]) for n, kind, error in sorted(wrong, key=itemgetter(0))]
    faults = sorted([*of_clips, *listing.faults], key=lambda fault: fault.kind != "corpus")  # the corpus's first
    return CorpusFindings(manifest, faults, names, facts, characters, kept)


def _read_clips(
    source: Path, settings: CorpusSettings, advance: Callable[[str], None], others: list[str]
) -> tuple[dict[str, bytes], list[str], Shaped[np.ndarray, " clips"], list[Wrong]]:
    """Return the contents of what may be listings; the names of the clips in the archive, their facts and faults.

    The names of all other files are appended to `others`. Raises InputError where all clips and listings are hidden.
    """
    listings, members, records, wrong = dict[str, bytes](), list[str](), bytearray(), list[Wrong]()

    def is_wanted(name: str) -> bool:
        wanted = is_listing(name) or is_audio(name)
        others.extend([name] * (not wanted))
        return wanted

    for member in read_members(source, is_wanted):
        if is_listing(member.name):
            listings[member.name] = member.content
        else:
            advance(member.name)
            facts, faults = _check_clip(member, f"{source.name}:{member.name}", settings)
            wrong += [(len(members), kind, error) for kind, error in faults.items()]
            members.append(member.name)
            records += facts.tobytes()
    if not listings and not members:
        bare = ((name, PurePosixPath(name).name.lstrip(".")) for name in others if is_hidden(name))
        if hidden := next((name for name, shown in bare if is_audio(shown) or is_listing(shown)), ""):
            found = f"clips and listings in hidden folders alone, such as {hidden}"
            raise InputError(source.name, found, "names without a leading dot", "rename the folder and pack it again")
    return listings, members, np.frombuffer(records, FACTS), wrong


def _name_odd_rates(wrong: list[Wrong], facts: Shaped[np.ndarray, " clips"]) -> list[Wrong]:
    """Return the faults; the remedy of a clip whose sampling rate is not that of most clips is to convert the clip."""
    rates = Counter(facts["source_sampling_rate"][facts["samples"] > 0].tolist())
    if len(rates) < 2:
        return wrong
    [(commonest, clips)] = rates.most_common(1)

    def advise(number: int, kind: str, fault: InputError) -> InputError:
        if kind != "sampling_rate" or facts["source_sampling_rate"][number] == commonest:
            return fault
        remedy = f"convert it to {commonest} Hz, which {clips:,} of {plural(rates.total(), 'clip')} have"
        or_all = ", or set recording.resample to true" if "recording.resample" in fault.remedy else ""
        return InputError(fault.where, fault.found, fault.expected, remedy + or_all)

    return [(number, kind, advise(number, kind, fault)) for number, kind, fault in wrong]


def _check_clip(member: Member, where: str, settings: CorpusSettings) -> tuple[np.void, dict[str, InputError]]:
    """Return the facts of a clip, and its faults by kind."""
    recording, audio, config = settings.recording, settings.audio, settings.verify
    try:
        samples, sampling_rate, largest_sample = decode(member.content, where)
    except InputError as fault:
        return make_facts(), {"decode": fault}
    refused = mismatches(samples.shape[1], sampling_rate, where, recording, audio)
    treated = treat(samples, sampling_rate, recording, audio)
    heard_at = sampling_rate if "sampling_rate" in refused else audio.sampling_rate
    used = used_channels(samples, recording.channels)
    facts = measure(used, treated, heard_at, config.silence_db, largest_sample)
    facts["source_sampling_rate"], facts["source_channels"] = sampling_rate, samples.shape[1]
    facts["md5"] = hashlib.md5(member.content, usedforsecurity=False).digest()
    facts["crc32"], facts["size_bytes"] = zlib.crc32(member.content), len(member.content)
    facts["first_byte"] = -1 if member.first_byte is None else member.first_byte
    return facts, refused | out_of_bounds(facts, where, config, audio.filter_length // 2 + 1)


def _duplicates(facts: Shaped[np.ndarray, " clips"], rows: Mapping[int, ListedRow]) -> Iterator[tuple[int, int]]:
    """Yield the number of every clip whose samples are those of an earlier clip, and the number of the first of these.

    Only clips with a row are compared. A clip without a row is a fault already: a copy of it, which has a row, is not
    to be left out for it.
    """
    listed = np.array(sorted(number for number in rows if facts["samples"][number]), int)
    _, firsts, groups = np.unique(facts["sound_md5"][listed], return_index=True, return_inverse=True)
    earliest = listed[firsts[groups]]
    for place in np.flatnonzero(earliest != listed).tolist():
        yield int(listed[place]), int(earliest[place])


def _check_row(
    row: ListedRow, facts: np.void, settings: CorpusSettings
) -> tuple[str, int, list[tuple[str, InputError]]]:
    """Return the words of a row's text, the number of their symbols, and the faults of the row with their kinds."""
    part = _part_of_a_file(row, facts)
    faults = [("duration", part)] if part else []
    try:
        words = _spell_out(row, settings.text)
        symbols = len(text_to_ids(words, row.where))
    except InputError as fault:
        return "", 0, [*faults, ("text", fault)]
    duration_s = float(facts["duration_s"])  # 0: it does not decode
    pace = wrong_pace(symbols, duration_s, row.where, settings.verify) if duration_s else None
    return words, symbols, [*faults, ("characters_per_s", pace)] if pace else faults


def _spell_out(row: ListedRow, config: TextConfig) -> str:
    """Return the words of a row's text. Raises InputError for a text that cannot be spoken."""
    text = row.spoken_text or row.raw_text
    if entities := html_entities(text):
        found = f"the HTML {'entity' if len(entities) == 1 else 'entities'} {' '.join(entities)}"
        raise InputError(row.where, found, "the characters", "write the character itself")
    words = spoken_words(text, config)
    return text if words == text else words  # one string in memory, not two


def _part_of_a_file(row: ListedRow, facts: np.void) -> InputError | None:
    """Return the fault of a row that gives a duration shorter than its file's, or None."""
    if row.duration_s is None or not facts["samples"]:
        return None
    file_s = int(facts["source_samples"]) / int(facts["source_sampling_rate"])
    if row.duration_s >= file_s - DURATION_TOLERANCE_S:
        return None
    found = f"duration {row.duration_s:g} s of {file_s:.2f} s: a part of a file"
    return InputError(row.where, found, "whole files", "cut the recording into one file a clip, or mend the duration")


def _manifest_row(row: ListedRow, spoken_text: str, facts: np.void) -> ManifestRow:
    first_byte = int(facts["first_byte"])
    copied = ("samples", "size_bytes", "source_sampling_rate", "source_channels", "crc32")
    return ManifestRow(
        id=row.id,
        raw_text=row.raw_text,
        spoken_text=spoken_text,
        member=row.member,
        md5=bytes(facts["md5"]).hex(),
        first_byte=None if first_byte < 0 else first_byte,
        **{name: int(facts[name]) for name in copied},
    )
