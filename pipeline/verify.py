"""Check a corpus: a manifest of the clips that can be used for training, and the faults of the others."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from jaxtyping import Shaped

from dtc.audio import AudioConfig
from dtc.errors import InputError
from dtc.text import html_entities, spoken_words
from dtc.text.symbols import TextConfig, text_to_ids
from pipeline.archives import Member, is_hidden, read_members
from pipeline.config import RecordingConfig, VerifyConfig
from pipeline.corpora import CorpusConfig, prepared_format
from pipeline.corpora.base import ListedRow, is_audio
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


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault of one clip, of one row or, in the kind `corpus`, of the whole."""

    kind: str  # one of limits.KINDS
    error: InputError
    id: str = ""  # of the row, where there is one
    member: str = ""  # the clip's name in the archive, where one is concerned


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
    def left_out(self) -> int:
        """Count the clips that are not among the rows. A row without a clip is a fault, and leaves none out."""
        return len(self.names) - len(self.rows)


def verify_corpus(source: Path, settings: CorpusSettings, advance: Callable[[str], None]) -> CorpusFindings:
    """Check every clip and every row of an archive, of a folder as it would be packed, or of prepared features.

    `advance` is called with the name of each clip. Raises InputError for what cannot be read at all.
    """
    if prepared := prepared_format(settings.corpus.format):
        return prepared.verify(source, settings, advance)
    survey = _Survey(source.name, settings)
    for member in read_members(source, survey.wants):
        if is_listing(member.name):
            survey.listings[member.name] = member.content
        else:
            advance(member.name)
            survey.add_clip(member)
    survey.require_visible()
    listing = read_rows(source.name, survey.listings, list(survey.numbers), settings.corpus.format)
    survey.blame_duplicates(listing.rows)
    survey.blame_listings(listing.faults)
    return survey.conclude(listing.rows)


class _Survey:
    """What is known of a corpus while, and after, its members are read."""

    def __init__(self, name: str, settings: CorpusSettings) -> None:
        self.name, self.settings = name, settings
        self.listings: dict[str, bytes] = {}
        self.numbers: dict[str, int] = {}  # of the clips, in the archive's order, by their names there
        self._hidden = ""  # the first clip or listing in a hidden folder
        self._facts = bytearray()  # records of FACTS, packed
        self._clip_faults: dict[int, list[Fault]] = {}
        self._other_faults: list[Fault] = []

    def wants(self, name: str) -> bool:
        """Return whether a file is a clip or may be a listing."""
        if not self._hidden and is_hidden(name):
            bare = PurePosixPath(name).name.lstrip(".")
            self._hidden = name if is_audio(bare) or is_listing(bare) else ""
        return is_listing(name) or is_audio(name)

    def require_visible(self) -> None:
        """Raise InputError where a corpus seems empty because all of it is hidden."""
        if self._hidden and not self.listings and not self.numbers:
            found = f"clips and listings in hidden folders alone, such as {self._hidden}"
            raise InputError(self.name, found, "names without a leading dot", "rename the folder and pack it again")

    def add_clip(self, member: Member) -> None:
        """Measure a clip, and note its faults."""
        recording, audio = self.settings.recording, self.settings.audio
        number, where = len(self.numbers), f"{self.name}:{member.name}"
        self.numbers[member.name] = number
        try:
            samples, sampling_rate, largest_sample = decode(member.content, where)
        except InputError as fault:
            self._blame(number, "decode", fault)
            self._facts += make_facts().tobytes()
            return
        refused = mismatches(samples.shape[1], sampling_rate, where, recording, audio)
        treated = treat(samples, sampling_rate, recording, audio)
        heard_at = sampling_rate if "sampling_rate" in refused else audio.sampling_rate
        used = used_channels(samples, recording.channels)
        facts = measure(used, treated, heard_at, self.settings.verify.silence_db, largest_sample)
        facts["source_sampling_rate"], facts["source_channels"] = sampling_rate, samples.shape[1]
        facts["md5"] = hashlib.md5(member.content, usedforsecurity=False).digest()
        facts["crc32"], facts["size_bytes"] = zlib.crc32(member.content), len(member.content)
        facts["first_byte"] = -1 if member.first_byte is None else member.first_byte
        self._facts += facts.tobytes()
        least_samples = audio.filter_length // 2 + 1
        for kind, error in {**refused, **out_of_bounds(facts, where, self.settings.verify, least_samples)}.items():
            self._blame(number, kind, error)

    def blame_duplicates(self, rows: Iterable[ListedRow]) -> None:
        """Note every clip with a row whose samples are those of an earlier clip with a row.

        A clip without a row is a fault already: a copy of it, which has a row, is not to be left out for it.
        """
        members, facts = list(self.numbers), np.frombuffer(self._facts, FACTS)
        listed = np.zeros(len(facts), bool)
        listed[[self.numbers[row.member] for row in rows]] = True
        sounds = np.ascontiguousarray(facts["sound_md5"]).view("u8").reshape(-1, 2)
        order = np.lexsort((sounds[:, 1], sounds[:, 0]))  # stable: of equal ones, the first in the archive is first
        order = order[listed[order] & (facts["samples"][order] > 0)]
        equal = (sounds[order[1:]] == sounds[order[:-1]]).all(axis=1)
        first = 0
        for place in (np.flatnonzero(equal) + 1).tolist():
            first = first if place > 1 and equal[place - 2] else int(order[place - 1])
            number = int(order[place])
            where, found = f"{self.name}:{members[number]}", f"the same samples as {members[first]}"
            self._blame(number, "duplicate", InputError(where, found, "another recording", "remove one of the two"))

    def blame_listings(self, errors: Iterable[InputError]) -> None:
        """Note what the reader of the listings found: faults of clips, of rows, or of the whole."""
        # Nothing was read of a listing that is not UTF-8: any clip may be in it.
        unreadable = {name for name, content in self.listings.items() if not _is_utf_8(content)}
        for error in errors:
            member = error.where.removeprefix(f"{self.name}:")
            if member in self.numbers:
                self._other_faults.append(Fault("stray", error, member=member))
            elif member in self.listings or member.rpartition(":")[0] in unreadable:
                self._other_faults.append(Fault("corpus", error))
            else:
                self._other_faults.append(Fault("listing", error))

    def conclude(self, rows: Iterable[ListedRow]) -> CorpusFindings:
        """Check the rows' texts, and match them with the facts of their clips."""
        facts = np.frombuffer(self._facts, FACTS)
        characters = np.zeros(len(facts), np.int32)
        spoken: dict[int, tuple[ListedRow, str]] = {}
        for row in rows:
            number = self.numbers[row.member]
            if wrong := _part_of_a_file(row, facts[number]):
                self._blame(number, "duration", wrong)
            try:
                words = self._spell_out(row)
                spoken[number] = row, words
                characters[number] = len(text_to_ids(words, row.where))
            except InputError as fault:
                self._blame(number, "text", fault)
                continue
            duration_s = float(facts["duration_s"][number])  # 0: it does not decode
            config = self.settings.verify
            if duration_s and (wrong := wrong_pace(int(characters[number]), duration_s, row.where, config)):
                self._blame(number, "characters_per_s", wrong)
        kept = np.array([number in spoken and number not in self._clip_faults for number in range(len(facts))], bool)
        manifest = [_manifest_row(*spoken[number], facts[number]) for number in np.flatnonzero(kept).tolist()]
        ids = {number: row.id for number, (row, _) in spoken.items()}
        names = [ids.get(number) or PurePosixPath(member).stem for member, number in self.numbers.items()]
        return CorpusFindings(manifest, self._all_faults(ids), names, facts, characters, kept)

    def _spell_out(self, row: ListedRow) -> str:
        """Return the words of a row's text. Raises InputError for a text that cannot be spoken."""
        text = row.spoken_text or row.raw_text
        if entities := html_entities(text):
            found = f"the HTML {'entity' if len(entities) == 1 else 'entities'} {' '.join(entities)}"
            raise InputError(row.where, found, "the characters", "write the character itself")
        words = spoken_words(text, self.settings.text)
        return text if words == text else words  # one string in memory, not two

    def _blame(self, number: int, kind: str, error: InputError) -> None:
        self._clip_faults.setdefault(number, []).append(Fault(kind, error))

    def _all_faults(self, ids: Mapping[int, str]) -> list[Fault]:
        """Return the faults of the corpus; of the clips, in the archive's order; of the listing, as it was read."""
        members = list(self.numbers)
        of_clips = [
            replace(fault, id=ids.get(number, ""), member=members[number])
            for number in sorted(self._clip_faults)
            for fault in self._clip_faults[number]
        ]
        of_all = [fault for fault in self._other_faults if fault.kind == "corpus"]
        return of_all + of_clips + [fault for fault in self._other_faults if fault.kind != "corpus"]


def _is_utf_8(content: bytes) -> bool:
    try:
        content.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _part_of_a_file(row: ListedRow, facts: np.void) -> InputError | None:
    """Return the fault of a row that gives a duration shorter than its file's, or None."""
    if row.duration_s is None or not facts["samples"]:
        return None
    file_s = int(facts["source_samples"]) / int(facts["source_sampling_rate"])
    if row.duration_s >= file_s - DURATION_TOLERANCE_S:
        return None
    found = f"duration {row.duration_s:g} s of {file_s:.2f} s: a part of a file"
    return InputError(row.where, found, "whole files", "cut the recording into one file a clip, or mend the duration")


COPIED = ("samples", "size_bytes", "source_sampling_rate", "source_channels", "crc32")  # from the facts to the manifest


def _manifest_row(row: ListedRow, spoken_text: str, facts: np.void) -> ManifestRow:
    first_byte = int(facts["first_byte"])
    return ManifestRow(
        id=row.id,
        raw_text=row.raw_text,
        spoken_text=spoken_text,
        member=row.member,
        md5=bytes(facts["md5"]).hex(),
        first_byte=None if first_byte < 0 else first_byte,
        **{name: int(facts[name]) for name in COPIED},
    )
