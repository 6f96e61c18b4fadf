"""Is every clip what it says, and fit to teach a voice? A manifest of those that are, the faults of the others."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

import numpy as np
from jaxtyping import Shaped

from dtc.audio import AudioConfig
from dtc.errors import InputError
from dtc.text import spoken_words
from dtc.text.symbols import TextConfig, text_to_ids
from pipeline.archives import Member, read_members
from pipeline.corpora import CorpusConfig
from pipeline.corpora.listing import Row, is_audio, is_listing, read_rows
from pipeline.decoding import decode
from pipeline.limits import FACTS, VerifyConfig, make_facts, measure, out_of_bounds, wrong_pace
from pipeline.manifest import ManifestRow
from pipeline.recording import RecordingConfig, mismatches, treat, used_channels


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with one clip, one row, or (kind `corpus`) with all."""

    kind: str  # one of bounds.KINDS
    error: InputError
    id: str = ""  # of the row, where there is one
    member: str = ""  # the clip's name in the archive, where one is concerned


@dataclass(frozen=True)
class CorpusFindings:
    """What one pass over a corpus found."""

    rows: list[ManifestRow]  # of the clips without fault, in the archive's order
    faults: list[Fault]  # of the corpus; of clips, in the archive's order; of the listing, then of clips without a row
    names: list[str]  # of all clips, in the archive's order: their ids, or else their files'; and
    facts: Shaped[np.ndarray, " clips"]  # what was measured of them: pipeline.limits.FACTS
    characters: Shaped[np.ndarray, " clips"]  # of their texts; 0 where there is none that can be spoken
    kept: Shaped[np.ndarray, " clips"]  # whether they are among the rows

    @property
    def left_out(self) -> int:
        """How many clips are not among the rows. A row without a clip is a fault, and leaves none out."""
        return len(self.names) - len(self.rows)


def verify_corpus(
    archive: Path, corpus: CorpusConfig, recording: RecordingConfig, config: VerifyConfig, audio: AudioConfig,
    text: TextConfig, advance: Callable[[str], None],
) -> CorpusFindings:  # fmt: skip
    """Check every clip and every row of an archive, or of a folder that would become one.

    `advance` is told the name of each clip. Raises InputError for what cannot be read at all.
    """
    survey = _Survey(archive.name, recording, config, audio)
    for member in members_of(archive):
        if is_listing(member.name):
            survey.listings[member.name] = member.content
        elif is_audio(member.name):
            advance(member.name)
            survey.add_clip(member)
    survey.blame_duplicates()
    listing = read_rows(archive.name, survey.listings, list(survey.numbers), corpus.format)
    survey.blame_listings(listing.faults)
    return survey.conclude(listing.rows, text)


def members_of(source: Path) -> Iterator[Member]:
    """Of an archive; or of a folder, named and ordered as they will be when it is packed."""
    if not source.is_dir():
        yield from read_members(source)
        return
    for path in sorted(source.rglob("*")):
        inside = path.relative_to(source)
        name = PurePosixPath(source.name, inside.as_posix()).as_posix()
        hidden = any(part.startswith(".") for part in inside.parts)
        if path.is_file() and not hidden and (is_listing(name) or is_audio(name)):
            yield Member(name, path.read_bytes(), None)


class _Survey:
    """What is known of a corpus while, and after, its members are read."""

    def __init__(self, name: str, recording: RecordingConfig, config: VerifyConfig, audio: AudioConfig) -> None:
        self.name, self.recording, self.config, self.audio = name, recording, config, audio
        self.listings: dict[str, bytes] = {}
        self.numbers: dict[str, int] = {}  # of the clips, in the archive's order, by their names there
        self._facts = bytearray()  # records of FACTS, packed
        self._clip_faults: dict[int, list[Fault]] = {}
        self._other_faults: list[Fault] = []

    def add_clip(self, member: Member) -> None:
        """Its facts, and what of them is out of bounds."""
        number, where = len(self.numbers), f"{self.name}:{member.name}"
        self.numbers[member.name] = number
        try:
            samples, sampling_rate, largest_sample = decode(member.content, where)
        except InputError as fault:
            self._blame(number, "decode", fault)
            self._facts += make_facts().tobytes()
            return
        refused = mismatches(samples.shape[1], sampling_rate, where, self.recording, self.audio)
        treated = treat(samples, sampling_rate, self.recording, self.audio)
        heard_at = sampling_rate if "sampling_rate" in refused else self.audio.sampling_rate
        used = used_channels(samples, self.recording.channels)
        facts = measure(used, treated, heard_at, self.config.silence_db, largest_sample)
        facts["source_sampling_rate"], facts["source_channels"] = sampling_rate, samples.shape[1]
        facts["md5"] = hashlib.md5(member.content, usedforsecurity=False).digest()
        facts["crc32"], facts["size_bytes"] = zlib.crc32(member.content), len(member.content)
        facts["first_byte"] = -1 if member.first_byte is None else member.first_byte
        self._facts += facts.tobytes()
        least_samples = self.audio.filter_length // 2 + 1
        for kind, error in {**refused, **out_of_bounds(facts, where, self.config, least_samples)}.items():
            self._blame(number, kind, error)

    def blame_duplicates(self) -> None:
        """Every clip that sounds as an earlier one does, sample by sample."""
        members, facts = list(self.numbers), np.frombuffer(self._facts, FACTS)
        sounds = np.ascontiguousarray(facts["sound_md5"]).view("u8").reshape(-1, 2)
        order = np.lexsort((sounds[:, 1], sounds[:, 0]))  # stable: of equal ones, the first in the archive is first
        order = order[facts["samples"][order] > 0]
        equal = (sounds[order[1:]] == sounds[order[:-1]]).all(axis=1)
        first = 0
        for place in (np.flatnonzero(equal) + 1).tolist():
            first = first if place > 1 and equal[place - 2] else int(order[place - 1])
            number = int(order[place])
            where, found = f"{self.name}:{members[number]}", f"the same samples as {members[first]}"
            self._blame(number, "duplicate", InputError(where, found, "another recording", "remove one of the two"))

    def blame_listings(self, errors: Iterable[InputError]) -> None:
        """What the listings' reader found: faults of clips, of rows, or of the whole."""
        # Of a listing that is no UTF-8 nothing was read: any clip may be in it.
        unreadable = {name for name, content in self.listings.items() if not _is_utf_8(content)}
        for error in errors:
            member = error.where.removeprefix(f"{self.name}:")
            if member in self.numbers:
                self._other_faults.append(Fault("stray", error, member=member))
            elif member in self.listings or member.rpartition(":")[0] in unreadable:
                self._other_faults.append(Fault("corpus", error))
            else:
                self._other_faults.append(Fault("listing", error))

    def conclude(self, rows: Iterable[Row], text: TextConfig) -> CorpusFindings:
        """Check the rows' texts; match them with the clips' facts."""
        facts = np.frombuffer(self._facts, FACTS)
        characters = np.zeros(len(facts), np.int32)
        spoken: dict[int, tuple[Row, str]] = {}
        for row in rows:
            number = self.numbers[row.member]
            try:
                words = spoken_words(row.spoken_text or row.raw_text, text)
                spoken[number] = row, row.spoken_text if words == row.spoken_text else words  # one string, not two
                characters[number] = len(text_to_ids(words, row.where))
            except InputError as fault:
                self._blame(number, "text", fault)
                continue
            duration_s = float(facts["duration_s"][number])  # 0: it does not decode
            if duration_s and (wrong := wrong_pace(int(characters[number]), duration_s, row.where, self.config)):
                self._blame(number, "characters_per_s", wrong)
        kept = np.array([number in spoken and number not in self._clip_faults for number in range(len(facts))], bool)
        manifest = [_manifest_row(*spoken[number], facts[number]) for number in np.flatnonzero(kept).tolist()]
        ids = {number: row.id for number, (row, _) in spoken.items()}
        names = [ids.get(number) or PurePosixPath(member).stem for member, number in self.numbers.items()]
        return CorpusFindings(manifest, self._all_faults(ids), names, facts, characters, kept)

    def _blame(self, number: int, kind: str, error: InputError) -> None:
        self._clip_faults.setdefault(number, []).append(Fault(kind, error))

    def _all_faults(self, ids: Mapping[int, str]) -> list[Fault]:
        """Of the corpus; of the clips, in the archive's order, with ids and names; of the listing, as it was read."""
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


def _manifest_row(row: Row, spoken_text: str, facts: np.void) -> ManifestRow:
    first_byte = int(facts["first_byte"])
    return ManifestRow(
        id=row.id, raw_text=row.raw_text, spoken_text=spoken_text, member=row.member, md5=bytes(facts["md5"]).hex(),
        samples=int(facts["samples"]), first_byte=None if first_byte < 0 else first_byte,
        size_bytes=int(facts["size_bytes"]), source_sampling_rate=int(facts["source_sampling_rate"]),
        source_channels=int(facts["source_channels"]), crc32=int(facts["crc32"]),
    )  # fmt: skip
