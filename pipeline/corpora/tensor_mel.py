"""The corpus format `tensor_mel`: copy and verify files that `dtc convert` wrote, and make shards of them again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from jaxtyping import Int16

from dtc.audio_config import require_same_audio
from dtc.errors import InputError
from dtc.files import local_path
from dtc.provenance import md5_of, read_chunks
from dtc.text.symbols import text_to_ids
from pipeline.config import VerifyConfig
from pipeline.corpora import CorpusConfig
from pipeline.corpora.base import Fault, PreparedFormat
from pipeline.feature_recipe import FeatureRecipe
from pipeline.features import Features, StoredText
from pipeline.limits import FACTS, measure, out_of_bounds, wrong_pace
from pipeline.manifest import VERIFY_AGAIN, ManifestRow
from pipeline.shard_job import ShardJob, ShardMaker, without_content
from pipeline.split import SPLITS, Split
from pipeline.tensor_mel_files import CONVERT_AGAIN, OpenSplit, in_one_line, open_split
from pipeline.verify import CorpusFindings, CorpusSettings

TWO_SPLITS = "a clip must not be used for training and evaluation; convert again"

SUFFIXES = (".pt", ".npz")

Advance = Callable[[int, int], None]  # called with the bytes so far, and the bytes in all


class TensorMel(PreparedFormat):
    """The format of the files that `dtc convert` wrote: one .pt or one .npz file for each split."""

    def files(self, corpus: CorpusConfig) -> dict[str, str]:
        """Return name → MD5 of the files that `corpus` names, in the order of the splits.

        Raises InputError where corpus.checksums names no set, or other files.
        """
        sets = [[f"{split}{suffix}" for split in SPLITS] for suffix in SUFFIXES]
        for names in sets:
            if set(names) == set(corpus.checksums):
                return {name: corpus.checksums[name] for name in names}
        found = ", ".join(sorted(corpus.checksums)) or "empty"
        expected = "the MD5s of " + ", or of ".join(", ".join(names) for names in sets)
        remedy = f"copy them from what `dtc convert` printed, or from `md5sum` in {corpus.source}"
        raise InputError("corpus.checksums", found, expected, remedy)

    def fetch(self, corpus: CorpusConfig, folder: Path, advance: Advance) -> None:
        """Copy the files that `corpus` names into a folder, and check their MD5s.

        They are copied, not linked: DVC makes the files that it keeps read-only, and an edit of the source would change
        a link's file too. Raises InputError for a file that is missing or wrong, and for a file of another set.
        """
        files, source = self.files(corpus), local_path(corpus.source)
        if source is None or not source.is_dir():
            raise InputError("corpus.source", f"{corpus.source}: no such folder", "the folder that `dtc convert` wrote")
        _require_files(source, files, "let the folder hold all files of one conversion, and no other .pt or .npz files")
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

    def verify(self, raw: Path, settings: CorpusSettings, advance: Callable[[str], None]) -> CorpusFindings:
        """Check every clip of the files in `raw`; the member of a fault is `FILE:ID`.

        Raises InputError where a file is damaged or was made by other sections than those of params.yaml.
        """
        checked, files = list[_Checked](), dict[str, str]()
        for name in self._verified_files(settings.corpus, raw):
            split = open_split(raw / name)
            _require_params(split, settings)
            for number, clip in enumerate(split.clips):
                advance(clip.id)
                checked.append(one := _check_clip(split, number, settings.verify))
                if (first := files.setdefault(clip.id, name)) != name:
                    where = f"{split.file}:{clip.id}"
                    one.wrong["listing"] = InputError(where, f"is in {first} too", "one clip an id", TWO_SPLITS)
        return CorpusFindings(
            rows=[one.row for one in checked if not one.wrong],
            faults=[
                Fault(kind, error, one.row.id, f"{one.row.member}:{one.row.id}")
                for one in checked
                for kind, error in one.wrong.items()
            ],
            names=[one.row.id for one in checked],
            facts=np.frombuffer(b"".join(one.facts for one in checked), FACTS),
            characters=np.array([one.symbols for one in checked], np.int32),
            kept=np.array([not one.wrong for one in checked], bool),
        )

    def open(
        self, raw: Path, corpus: CorpusConfig, recipe: FeatureRecipe, manifest: Iterable[ManifestRow]
    ) -> tuple[ShardMaker, list[Split], Callable[[], str]]:
        """Return what makes shards of the files in `raw`, the split of each clip, and the MD5 of the archive.

        Raises InputError where the shards are to hold magnitudes, as a converted set has none.
        """
        if recipe.features.stft:
            expected = "false with corpus.format tensor_mel: it has no magnitudes"
            remedy = "set features.stft to false, or start from the recordings"
            raise InputError("features.stft", "true", expected, remedy)
        first = self._verified_files(corpus, raw)[0]
        splits = [_split_of(row) for row in manifest]
        return ConvertedMaker(raw, recipe), splits, lambda: open_split(raw / first).facts.corpus_md5

    def _verified_files(self, corpus: CorpusConfig, raw: Path) -> list[str]:
        """Return the names of the files. Raises InputError where one in `raw` does not match corpus.checksums."""
        files = self.files(corpus)
        _require_files(raw, files, "run `dtc download`")
        for name, md5 in files.items():
            _require_md5(raw / name, md5_of(raw / name), md5)
        return list(files)


def _require_files(folder: Path, files: Mapping[str, str], remedy: str) -> None:
    """Raise InputError where a folder lacks one of the files of a set, or holds a file of another set."""
    for name in files:
        if not (folder / name).is_file():
            raise InputError(folder / name, "no such file", "a file of corpus.checksums", remedy)
    for path in sorted(folder.iterdir()):
        if path.suffix in SUFFIXES and path.name not in files:
            raise InputError(path, "is not in corpus.checksums", ", ".join(files), remedy)


def _require_md5(file: Path, found: str, expected: str) -> None:
    if found != expected:
        remedy = "fetch the right file, or set corpus.checksums to the MD5s that `dtc convert` printed"
        raise InputError(file, f"MD5 {found}", expected, remedy)


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


@dataclass(frozen=True)
class _Checked:
    """A clip that was checked: its row, its record of FACTS, the symbols of its text, and its faults by kind."""

    row: ManifestRow
    facts: bytes
    symbols: int
    wrong: dict[str, InputError]


def _check_clip(split: OpenSplit, number: int, config: VerifyConfig) -> _Checked:
    clip, audio, row = split.clips[number], split.facts.audio, split.row(number)
    mel, wave = split.arrays(number)
    facts = _measure(row, wave, config)
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
    elif not np.isfinite(mel).all():
        wrong["decode"] = InputError(where, "a mel that is not finite", "numbers", CONVERT_AGAIN)
    return _Checked(row, facts.tobytes(), symbols, wrong)


def _measure(row: ManifestRow, wave: Int16[np.ndarray, " samples"], config: VerifyConfig) -> np.void:
    facts = measure(wave[:, None], wave, row.source_sampling_rate, config.silence_db)
    facts["source_sampling_rate"], facts["source_channels"] = row.source_sampling_rate, row.source_channels
    facts["md5"], facts["size_bytes"] = bytes.fromhex(row.md5), row.size_bytes
    return facts


def _split_of(row: ManifestRow) -> Split:
    """Return the split of a row of the manifest, which is that of its file."""
    for split in SPLITS:
        if Path(row.member).stem == split:
            return split
    raise InputError(f"{row.id} in the manifest", f"is in {row.member}", "a converted set", VERIFY_AGAIN)


@dataclass(frozen=True)
class ConvertedMaker(ShardMaker):
    """Builds shards of the clips of a set as they are; `archive` is the folder of the set."""

    computes = False

    def clips(self, manifest: Iterable[ManifestRow], same_disk: bool) -> Iterator[tuple[ManifestRow, None]]:
        """Yield the clips of the manifest without bytes: they are read from the set's files."""
        return without_content(manifest)

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
    return Features(row.id, StoredText.of(row), wave, mel, None)


# Listing the clips of a large set takes a second: done once in a process, unless the file is written again.
@lru_cache(maxsize=len(SPLITS))
def _opened(file: Path, mtime_ns: int, size_bytes: int) -> tuple[OpenSplit, dict[str, int]]:
    split = open_split(file)
    return split, {clip.id: number for number, clip in enumerate(split.clips)}


FORMAT = TensorMel()
