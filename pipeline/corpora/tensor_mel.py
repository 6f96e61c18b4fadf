"""The corpus format `tensor_mel`: files that `dtc convert` wrote are copied, verified, and made into shards again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from dtc.audio_config import require_same_audio
from dtc.errors import InputError
from dtc.provenance import md5_of, read_chunks
from dtc.text.symbols import text_to_ids
from pipeline.config import FeaturesConfig, VerifyConfig
from pipeline.corpora import CorpusConfig
from pipeline.corpora.base import Fault, PreparedFormat
from pipeline.feature_recipe import FeatureRecipe
from pipeline.features import Features
from pipeline.limits import FACTS, measure, out_of_bounds, wrong_pace
from pipeline.manifest import ManifestRow
from pipeline.shard_job import ShardJob, ShardMaker, places_of
from pipeline.split import SPLITS, Split
from pipeline.tensor_mel_files import CONVERT_AGAIN, OpenSplit, SetFacts, in_one_line, open_split
from pipeline.verify import CorpusFindings, CorpusSettings

VERIFY_AGAIN = "run `dtc verify` again"

Advance = Callable[[int, int], None]  # bytes so far, bytes in all


def split_files(corpus: CorpusConfig) -> dict[str, str]:
    """Return name → MD5 of the files that `corpus` names, in the order of the splits.

    Raises InputError where corpus.checksums names no set, or other files.
    """
    sets = [[f"{split}{suffix}" for split in SPLITS] for suffix in (".pt", ".npz")]
    for names in sets:
        if set(names) == set(corpus.checksums):
            return {name: corpus.checksums[name] for name in names}
    found = ", ".join(sorted(corpus.checksums)) or "empty"
    expected = "the MD5s of " + ", or of ".join(", ".join(names) for names in sets)
    remedy = f"copy them from what `dtc convert` printed, or from `md5sum` in {corpus.source}"
    raise InputError("corpus.checksums", found, expected, remedy)


def fetch_converted(corpus: CorpusConfig, folder: Path, advance: Advance) -> None:
    """Copy the three files that `corpus` names into a folder, and check their MD5s.

    They are copied, not linked: DVC makes the files that it keeps read-only, and an edit of the source would go through
    a link. Raises InputError for a file that is missing, wrong or one too many.
    """
    files = split_files(corpus)
    source = _source_folder(corpus, files)
    total, done = sum((source / name).stat().st_size for name in files), 0
    folder.mkdir(parents=True, exist_ok=True)
    for name, expected in files.items():
        md5 = hashlib.md5(usedforsecurity=False)
        with (folder / name).open("wb") as copy:
            for chunk in read_chunks(source / name):
                copy.write(chunk)
                md5.update(chunk)
                done += len(chunk)
                advance(done, total)
        _require_md5(source / name, md5.hexdigest(), expected)


def _source_folder(corpus: CorpusConfig, files: Mapping[str, str]) -> Path:
    """Return the source folder. Raises InputError where it lacks one of the files, or holds files of other sets."""
    folder = Path(corpus.source).expanduser()
    if not folder.is_dir():
        raise InputError("corpus.source", f"{corpus.source}: no such folder", "the folder that `dtc convert` wrote")
    for path in sorted(folder.iterdir()):
        if path.suffix in (".pt", ".npz") and path.name not in files:
            raise InputError(path, "is not in corpus.checksums", ", ".join(files), "remove it or list all files")
    for name in files:
        if not (folder / name).is_file():
            raise InputError(folder / name, "no such file", "a file of corpus.checksums", CONVERT_AGAIN)
    return folder


def _require_md5(file: Path, found: str, expected: str) -> None:
    if found != expected:
        remedy = "fetch the right file, or set corpus.checksums to the MD5s that `dtc convert` printed"
        raise InputError(file, f"MD5 {found}", expected, remedy)


def verify_converted(corpus: CorpusConfig, raw: Path) -> None:
    """Raise InputError where a file in `raw` is not the one that corpus.checksums names."""
    files = split_files(corpus)
    for name, md5 in files.items():
        if not (raw / name).is_file():
            raise InputError(raw / name, "no such file", "a file of corpus.checksums", "run `dtc download` first")
        _require_md5(raw / name, md5_of(raw / name), md5)
    sets = {path.name for path in raw.iterdir() if path.suffix in (".pt", ".npz")}  # and MD5SUMS, at the source
    if others := sorted(sets - files.keys()):
        raise InputError(raw / others[0], "is not in corpus.checksums", ", ".join(files), "run `dtc download` again")


def verify_tensor_mel(raw: Path, settings: CorpusSettings, advance: Callable[[str], None]) -> CorpusFindings:
    """Check every clip of the set in `raw`; the member of a fault is `FILE:ID`.

    Raises InputError where a file is damaged or was made by other sections than those of params.yaml.
    """
    corpus, config = settings.corpus, settings.verify
    verify_converted(corpus, raw)
    rows, faults, table = list[ManifestRow](), list[Fault](), bytearray()
    ids, characters, kept, files = list[str](), list[int](), list[bool](), dict[str, str]()
    for name in split_files(corpus):
        split = open_split(raw / name)
        _require_params(split, settings)
        for number, clip in enumerate(split.clips):
            advance(clip.id)
            measured = _measure(split, number, config)
            symbols, wrong = _check_clip(split, number, measured, config)
            if files.setdefault(clip.id, name) != name:
                remedy = "no clip may be trained and evaluated on; convert again"
                found = f"is in {files[clip.id]} too"
                wrong["listing"] = InputError(f"{split.file}:{clip.id}", found, "one clip an id", remedy)
            faults += [Fault(kind, error, clip.id, f"{name}:{clip.id}") for kind, error in wrong.items()]
            rows += [] if wrong else [split.row(number)]
            ids.append(clip.id)
            characters.append(symbols)
            kept.append(not wrong)
            table += measured.tobytes()
    facts = np.frombuffer(table, FACTS)
    return CorpusFindings(rows, faults, ids, facts, np.array(characters, np.int32), np.array(kept, bool))


def _require_params(split: OpenSplit, settings: CorpusSettings) -> None:
    """Raise InputError where the clips were made by other sections than those of params.yaml."""
    corpus, facts, where = settings.corpus, split.facts, str(split.file)
    remedy = "set the section audio of params.yaml to the first of these values, the set's"
    require_same_audio(facts.audio, where, settings.audio, "params.yaml", remedy)
    for name in ("recording", "text"):
        for key, value in getattr(facts, name).model_dump().items():
            if (found := getattr(getattr(settings, name), key)) != value:
                differing = f"{name}.{key} {json.dumps(value)} against {json.dumps(found)}"
                remedy = f"set {name}.{key} to {json.dumps(value)}"
                raise InputError(f"{where} and params.yaml", differing, remedy=remedy)
    if corpus.md5 not in (None, facts.corpus_md5):
        remedy = f"set corpus.md5 to null or to {facts.corpus_md5}"
        raise InputError(where, f"made from the archive with MD5 {facts.corpus_md5}", str(corpus.md5), remedy)


def _check_clip(
    split: OpenSplit, number: int, facts: np.void, config: VerifyConfig
) -> tuple[int, dict[str, InputError]]:
    """Return the number of symbols of a clip's text, and the faults of the clip by their kinds."""
    clip, audio = split.clips[number], split.facts.audio
    where, symbols = f"{split.file}:{clip.id}", 0
    wrong = out_of_bounds(facts, where, config, audio.filter_length // 2 + 1)
    wrong.pop("clipping", None)  # the recording was judged before it was converted
    try:
        symbols = len(text_to_ids(clip.spoken_text, where))
        if fault := wrong_pace(symbols, facts["duration_s"], where, config):
            wrong["characters_per_s"] = fault
    except InputError as error:
        wrong["text"] = error
    if clip.frames != (frames := 1 + clip.samples // audio.hop_length):
        found = f"{clip.frames} frames for {clip.samples} samples"
        wrong["decode"] = InputError(where, found, f"{frames}", CONVERT_AGAIN)
    elif not np.isfinite(split.arrays(number)[0]).all():
        wrong["decode"] = InputError(where, "a mel that is not finite", "numbers", CONVERT_AGAIN)
    return symbols, wrong


def _measure(split: OpenSplit, number: int, config: VerifyConfig) -> np.void:
    wave, row = split.arrays(number)[1], split.row(number)
    facts = measure(wave[:, None], wave, split.facts.audio.sampling_rate, config.silence_db)
    facts["source_sampling_rate"], facts["source_channels"] = row.source_sampling_rate, row.source_channels
    facts["md5"], facts["size_bytes"] = bytes.fromhex(row.md5), row.size_bytes
    return facts


def require_packable(features: FeaturesConfig) -> None:
    """Raise InputError where the shards are to hold magnitudes, as a converted set has none."""
    if features.stft:
        remedy = "set features.stft to false, or start from the recordings"
        raise InputError("features.stft", "true", "false with corpus.format tensor_mel: it has no magnitudes", remedy)


def converted_splits(manifest: Iterable[ManifestRow]) -> list[Split]:
    """Return the split of each row of the manifest, which is that of its file."""
    names, splits = {str(split): split for split in SPLITS}, list[Split]()
    for row in manifest:
        if (stem := Path(row.member).stem) not in names:
            raise InputError(f"{row.id} in the manifest", f"lies in {row.member}", "a converted set", VERIFY_AGAIN)
        splits.append(names[stem])
    return splits


def set_facts(corpus: CorpusConfig, raw: Path) -> SetFacts:
    """Return the description of the set in `raw`, which has the MD5 of the archive that the clips come from."""
    return open_split(raw / next(iter(split_files(corpus)))).facts


@dataclass(frozen=True)
class ConvertedMaker(ShardMaker):
    """Builds shards of the clips of a set as they are; `archive` is the folder of the set."""

    computes = False

    def clips(self, manifest: Iterable[ManifestRow], same_disk: bool) -> Iterator[tuple[ManifestRow, None]]:
        """Yield the clips of the manifest without bytes: they are read from the set's files."""
        return places_of(manifest)

    def _features(self, job: ShardJob) -> Iterator[Features]:
        for row, _ in job.clips:
            yield _take(row, self.archive / row.member)


def _take(row: ManifestRow, file: Path) -> Features:
    """Return the features of a row of the manifest. Raises InputError where the file holds another clip by its id."""
    with in_one_line(file):
        status = file.stat()
    split, numbers = _opened(file, status.st_mtime_ns, status.st_size)
    number = numbers.get(row.id)
    if number is None or split.row(number) != row:
        raise InputError(f"{file}:{row.id}", "is not as in the manifest", "the same clip", VERIFY_AGAIN)
    mel, wave = split.arrays(number)
    return Features(row, wave, mel, None)


# Listing the clips of a large set takes a second: done once in a process, unless the file is written again.
@lru_cache(maxsize=len(SPLITS))
def _opened(file: Path, mtime_ns: int, size_bytes: int) -> tuple[OpenSplit, dict[str, int]]:
    split = open_split(file)
    return split, {clip.id: number for number, clip in enumerate(split.clips)}


class TensorMel(PreparedFormat):
    """The format of what `dtc convert` wrote, as `pipeline.corpora.FORMATS` offers it to the stages."""

    def files(self, corpus: CorpusConfig) -> dict[str, str]:
        """Return name → MD5 of the three files."""
        return split_files(corpus)

    def fetch(self, corpus: CorpusConfig, folder: Path, advance: Advance) -> None:
        """Copy the three files into `folder`."""
        fetch_converted(corpus, folder, advance)

    def verify(self, raw: Path, settings: CorpusSettings, advance: Callable[[str], None]) -> CorpusFindings:
        """Check every clip of the files in `raw`."""
        return verify_tensor_mel(raw, settings, advance)

    def open(
        self, raw: Path, corpus: CorpusConfig, recipe: FeatureRecipe, manifest: Iterable[ManifestRow]
    ) -> tuple[ShardMaker, list[Split], Callable[[], str]]:
        """Return what makes shards of the files in `raw`, the split of each clip, and the MD5 of the archive."""
        require_packable(recipe.features)
        verify_converted(corpus, raw)
        return ConvertedMaker(raw, recipe), converted_splits(manifest), lambda: set_facts(corpus, raw).corpus_md5


FORMAT = TensorMel()
