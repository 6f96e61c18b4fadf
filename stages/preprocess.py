"""`dtc preprocess`: data/raw and the manifest → shards of features, and their index."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from dtc.audio import AudioConfig
from dtc.errors import InputError, plural
from dtc.files import write_whole
from dtc.provenance import fingerprint, fingerprint_files, md5_of
from dtc.text.symbols import TextConfig
from pipeline.config import RecordingConfig
from pipeline.corpora import CorpusConfig, prepared_format
from pipeline.corpora.tensor_mel import ConvertedMaker
from pipeline.engine import DistributedConfig, run
from pipeline.features import FeatureRecipe, FeaturesConfig
from pipeline.manifest import ManifestRow, read_manifest
from pipeline.shard_folder import Unfinished
from pipeline.shard_job import ShardJob, ShardMaker, ShardStorer, contents_of, places_of, plan_jobs, shard_files
from pipeline.shards import (
    INDEX,
    ShardIndex,
    read_index,
    verify_shards,
)
from pipeline.split import SPLITS, Split, SplitConfig, assign_splits, describe_unknown_ids, require_every_split
from stages import paths
from stages.progress import counted

# What shapes a shard's bytes: an edit here makes half-done work worthless.
CODE = (
    "dtc/audio.py", "dtc/silence.py", "pipeline/compressed.py", "pipeline/wave_chunks.py", "pipeline/decoding.py",
    "pipeline/recording.py", "dtc/text/symbols.py", "pipeline/archives.py",
    "pipeline/corpora/tensor_mel.py", "pipeline/features.py", "pipeline/shard_job.py", "pipeline/npy.py",
    "pipeline/shards.py", "pipeline/split.py", "pipeline/tensor_mel_files.py", "pipeline/shard_folder.py",
)  # fmt: skip
ROOT = Path(__file__).parent.parent
ALONE = DistributedConfig(engine="local", workers=0, ray_address=None)


def preprocess(
    corpus: CorpusConfig, recording: RecordingConfig, audio: AudioConfig, text: TextConfig, features: FeaturesConfig,
    split: SplitConfig, distributed: DistributedConfig, console: Console,
) -> None:  # fmt: skip
    """Compute the features of every clip. The folder appears when all is there; finished shards outlive a kill."""
    started = time.monotonic()
    source = _open_source(corpus, FeatureRecipe(recording, audio, features), split, console)
    # The manifest has the checksum of every clip; of a converted set only the files have one.
    made_from = fingerprint(
        corpus.name, corpus.checksums, recording, audio, text, features, split, md5_of(paths.MANIFEST),
        fingerprint_files(ROOT, CODE),
    )  # fmt: skip
    if _is_complete(made_from, source):
        write_whole(paths.RECORDED, f"{read_index(paths.FEATURES).fingerprint}\n")
        console.print(f"preprocess: {paths.FEATURES} is complete already", highlight=False)
        return
    unfinished = Unfinished(paths.FEATURES, shard_files(source.splits, features.clips_per_shard), made_from)
    finished = unfinished.finished()
    if finished:
        shards = f"{len(finished)} of {len(unfinished.files)} shards"
        console.print(f"preprocess: {shards} are finished already", highlight=False)
    jobs = plan_jobs(_clips(source.maker, distributed), source.splits, features.clips_per_shard, finished)
    with ThreadPoolExecutor(1) as beside, unfinished.telling_how_to_go_on("preprocess"):  # it may be seconds of hashing
        corpus_md5 = beside.submit(source.corpus_md5)
        computed = _compute(source.maker, jobs, len(source.splits), distributed, unfinished.part, console)

    index = ShardIndex(
        corpus=corpus.name, corpus_md5=corpus_md5.result(), recording=recording, audio=audio, text=text,
        **unfinished.summed_up(audio.n_mel_channels),
    )  # fmt: skip
    unfinished.finish(index)
    write_whole(paths.PREPROCESSED, f"{made_from} {index.fingerprint}\n")
    write_whole(paths.RECORDED, f"{index.fingerprint}\n")
    _report(index, computed, time.monotonic() - started, console)


@dataclass(frozen=True)
class _Source:
    """What the shards are made of: the archive, or a converted set."""

    maker: ShardMaker
    splits: list[Split]  # of each clip of the manifest
    corpus_md5: Callable[[], str]  # finds that of the archive: declared, and so checked by the stages before, or not


def _open_source(corpus: CorpusConfig, recipe: FeatureRecipe, split: SplitConfig, console: Console) -> _Source:
    if prepared := prepared_format(corpus.format):
        maker, splits, corpus_md5 = prepared.open(paths.RAW, corpus, recipe, read_manifest(paths.MANIFEST))
        _require_clips_of_every_file(splits)
        return _Source(maker, splits, corpus_md5)
    archive = paths.raw_archive()
    ids = [row.id for row in read_manifest(paths.MANIFEST)]
    splits = assign_splits(ids, split)
    require_every_split(splits, split)
    if unknown := describe_unknown_ids(ids, split):
        console.print(f"preprocess: {unknown}", highlight=False)
    return _Source(ShardMaker(archive, recipe), splits, lambda: corpus.md5 or md5_of(archive))


def _require_clips_of_every_file(splits: Sequence[Split]) -> None:
    """A converted set has clips of every split; `dtc verify` may have left out all of one."""
    for name in SPLITS:
        if name not in splits:
            raise InputError(paths.MANIFEST, f"no clips of {name}", "some", f"mend what {paths.SKIPPED} lists")


def _is_complete(made_from: str, source: _Source) -> bool:
    """Whether data/features was made from the same by the stage's last run, and is as it was written."""
    known = paths.PREPROCESSED.read_text(encoding="utf-8").split() if paths.PREPROCESSED.is_file() else []
    if known[:1] != [made_from] or not (paths.FEATURES / INDEX).is_file():
        return False
    try:
        index = read_index(paths.FEATURES)
        for name in SPLITS:
            verify_shards(paths.FEATURES, index, name)
    except InputError:
        return False  # changed or damaged: make it again
    archive = source.maker.archive
    same_archive = archive.is_dir() or md5_of(archive) == index.corpus_md5  # of a set, the files are in made_from
    return known[1:] == [index.fingerprint] and same_archive


def _clips(maker: ShardMaker, distributed: DistributedConfig) -> Iterator[tuple[ManifestRow, bytes | None]]:
    """The manifest's clips: with their bytes where a worker could not read them at their place in the archive."""
    manifest = read_manifest(paths.MANIFEST)
    if isinstance(maker, ConvertedMaker):
        return places_of(manifest)
    in_place = next(read_manifest(paths.MANIFEST)).first_byte is not None
    readable = in_place and distributed.engine == "local"
    return places_of(manifest) if readable else contents_of(maker.archive, manifest)


def _compute(
    maker: ShardMaker, jobs: Iterator[ShardJob], clips: int, distributed: DistributedConfig, folder: Path,
    console: Console,
) -> int:  # fmt: skip
    """Do the jobs; the number of clips computed."""
    computed = 0
    with counted("preprocess", "clips", clips, console) as advance:
        if distributed.engine == "local" or isinstance(maker, ConvertedMaker):  # which has nothing to compute
            here = distributed if distributed.engine == "local" else ALONE
            for done in run(ShardStorer(maker, folder), jobs, here):
                computed += done
                advance(done)
        else:  # another machine may not see this one's disk: the shard comes back as bytes
            for shard in run(maker.build, jobs, distributed):
                shard.store(folder)
                computed += shard.facts.shard.clips
                advance(shard.facts.shard.clips)
    return computed


def _report(index: ShardIndex, computed: int, seconds: float, console: Console) -> None:
    table = Table("split", "shards", "clips", "minutes", "MB")
    for name in SPLITS:
        shards = [shard for shard in index.shards if shard.split == name]
        minutes = sum(shard.frames for shard in shards) / index.audio.frames_per_s / 60
        megabytes = sum((paths.FEATURES / shard.file).stat().st_size for shard in shards) / 1e6
        clips = sum(shard.clips for shard in shards)
        table.add_row(name, str(len(shards)), str(clips), f"{minutes:.1f}", f"{megabytes:.1f}")
    console.print(table)
    console.print(
        f"preprocess: {plural(computed, 'clip')} computed in {seconds:.0f} s, features {index.fingerprint}",
        highlight=False,
    )
