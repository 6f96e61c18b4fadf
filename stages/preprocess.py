"""`dtc preprocess`: compute the shards of features, and their index, from data/archive and the manifest."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from dtc.errors import InputError, plural
from dtc.files import locked, write_whole
from dtc.made_by import MadeBy, versions_of
from dtc.provenance import fingerprint, md5_of
from dtc.text.lexicon import Lexicon, LexiconConfig
from dtc.text.symbols import symbols_of
from pipeline.config import DistributedConfig
from pipeline.corpora import CorpusConfig, prepared_format
from pipeline.engine import IN_PROCESS, run
from pipeline.feature_recipe import FeatureRecipe
from pipeline.manifest import read_manifest
from pipeline.part_folder import discard_part, part_of
from pipeline.shard_folder import Unfinished
from pipeline.shard_job import ShardJob, ShardMaker, plan_jobs, shard_files, store_shard
from pipeline.shard_reader import FeatureFolder
from pipeline.shards import INDEX, ShardIndex, read_index
from pipeline.split import SPLITS, Split, SplitConfig, assign_splits, describe_unknown_ids, require_every_split
from stages import paths
from stages.code_identity import fingerprint_code, modules_of
from stages.progress import computed_clips

if TYPE_CHECKING:
    from stages.params import Params

# The code that decides the bytes of a shard: a change to it makes half-done work worthless.
CODE = ("pipeline.shard_job", "pipeline.corpora.tensor_mel", "pipeline.split")
LIBRARIES = ("numpy", "soundfile", "torch", "torchaudio")  # that decode, resample and compute the mel


def preprocess(params: Params, console: Console) -> None:
    """Compute the features of every clip. The folder appears when it is complete; until then, shards are kept."""
    recipe = FeatureRecipe(params.recording, params.audio, params.features)
    source = _open_source(params.corpus, recipe, params.split, console)
    with locked(paths.FEATURES):
        _make_features(params, source, console)


def _make_features(params: Params, source: _Source, console: Console) -> None:
    started, lexicon = time.monotonic(), params.text.read_lexicon()
    made_from = _made_from(params, lexicon, source.splits)
    if _is_complete(made_from, source):
        discard_part(part_of(paths.FEATURES))  # of a run that was killed after it had noted that it is complete
        write_whole(paths.RECORDED, f"{read_index(paths.FEATURES).fingerprint}\n")
        console.print(f"preprocess: {paths.FEATURES} is complete already")
        return
    unfinished = Unfinished(paths.FEATURES, shard_files(source.splits, params.features.clips_per_shard), made_from)
    with ThreadPoolExecutor(1) as beside:
        corpus_md5 = beside.submit(source.corpus_md5)  # hashing a large archive takes seconds
        computed = _compute(params, source, unfinished, console)
    index = ShardIndex(
        corpus=params.corpus.name,
        corpus_md5=corpus_md5.result(),
        manifest_md5=md5_of(paths.MANIFEST),
        recording=params.recording,
        audio=params.audio,
        text=params.text.recorded(),
        lexicon=lexicon,
        alphabet=_alphabet_of_training(source.splits, lexicon),
        **unfinished.summed_up(params.audio.n_mel_channels),
        made_by=_made_by(params),
    )
    unfinished.put_in_place(index)
    write_whole(paths.RECORDED, f"{index.fingerprint}\n")
    write_whole(paths.PREPROCESSED, f"{made_from} {index.fingerprint}\n")
    unfinished.discard()
    _report(index, computed, time.monotonic() - started, console)


def _made_by(params: Params) -> MadeBy:
    sections = {name: getattr(params, name).model_dump(mode="json") for name in ("features", "split")}
    return MadeBy(code=fingerprint_code(modules_of(CODE)), params=sections, environment=versions_of(*LIBRARIES))


def _alphabet_of_training(splits: Sequence[Split], config: LexiconConfig | None) -> tuple[str, ...]:
    """Return the symbols that a model is given of the training texts: phonemes, and the letters of what stays so."""
    lexicon, symbols = Lexicon(config), set[str]()
    for row, split in zip(read_manifest(paths.MANIFEST), splits, strict=True):
        if split == "train":
            symbols.update(*map(symbols_of, lexicon.readings(row.spoken_text)))
    return tuple(sorted(symbols))


def _made_from(params: Params, lexicon: LexiconConfig | None, splits: Sequence[Split]) -> str:
    """Return a fingerprint of everything that decides the bytes of the shards.

    The manifest has the checksum of every clip of an archive. Of a converted set, only its files have checksums.
    """
    sections = (params.recording, params.audio, params.text.recorded(), lexicon, params.features, list(splits))
    code = fingerprint_code(modules_of(CODE))
    return fingerprint(params.corpus.name, params.corpus.checksums, *sections, md5_of(paths.MANIFEST), code)


@dataclass(frozen=True)
class _Source:
    """What the shards are made of: the archive, or a converted set."""

    maker: ShardMaker
    splits: list[Split]  # of each clip of the manifest
    corpus_md5: Callable[[], str]  # returns the archive's MD5: that of params.yaml, which is checked before, or its own


def _open_source(corpus: CorpusConfig, recipe: FeatureRecipe, split: SplitConfig, console: Console) -> _Source:
    if prepared := prepared_format(corpus.format):
        maker, splits, corpus_md5 = prepared.open(paths.ARCHIVE, corpus, recipe, read_manifest(paths.MANIFEST))
        _require_clips_of_every_file(splits)
        return _Source(maker, splits, corpus_md5)
    archive = paths.corpus_archive()
    ids = [row.id for row in read_manifest(paths.MANIFEST)]
    splits = assign_splits(ids, split)
    require_every_split(splits, split)
    if unknown := describe_unknown_ids(ids, split):
        console.print(f"preprocess: {unknown}")
    return _Source(ShardMaker(archive, recipe), splits, lambda: corpus.md5 or md5_of(archive))


def _require_clips_of_every_file(splits: Sequence[Split]) -> None:
    """Raise InputError where a split has no clips: `dtc verify` may have left out all of one."""
    for name in SPLITS:
        if name not in splits:
            raise InputError(paths.MANIFEST, f"no clips of {name}", "some", f"mend what {paths.SKIPPED} lists")


def _is_complete(made_from: str, source: _Source) -> bool:
    """Return whether data/features was made from the same by the stage's last run, and is as it was written."""
    known = paths.PREPROCESSED.read_text(encoding="utf-8").split() if paths.PREPROCESSED.is_file() else []
    if known[:1] != [made_from] or not (paths.FEATURES / INDEX).is_file():
        return False
    try:
        index = read_index(paths.FEATURES)
        features = FeatureFolder(paths.FEATURES, index)
        for shard in index.shards:
            features.shard(shard.file)
    except InputError:
        return False  # changed or damaged: make it again
    archive = source.maker.archive
    same_archive = archive.is_dir() or md5_of(archive) == index.corpus_md5  # of a set, the files are in made_from
    return known[1:] == [index.fingerprint] and same_archive


def _compute(params: Params, source: _Source, unfinished: Unfinished, console: Console) -> int:
    """Build and store the shards that are not finished; return the number of clips in them."""
    finished, computed = unfinished.finished(), 0
    if finished:
        console.print(f"preprocess: {len(finished)} of {len(unfinished.files)} shards are finished already")
    # A prepared set only has to be copied: no other machine takes part.
    distributed = params.distributed if source.maker.computes else IN_PROCESS
    clips = source.maker.clips(read_manifest(paths.MANIFEST), same_disk=distributed.engine == "local")
    jobs = plan_jobs(clips, source.splits, params.features.clips_per_shard, finished)
    total = len(source.splits)
    with unfinished.with_counted_interrupts("preprocess"), computed_clips("preprocess", total, console) as advance:
        for number in _store_shards(source.maker, jobs, distributed, unfinished):
            computed += number
            advance(number)
    return computed


def _store_shards(
    maker: ShardMaker, jobs: Iterator[ShardJob], distributed: DistributedConfig, unfinished: Unfinished
) -> Iterator[int]:
    """Build and store the shards of the jobs; yield the number of clips of each."""
    if distributed.engine == "local":
        yield from run(partial(store_shard, maker, unfinished), jobs, distributed)
    else:  # another machine may not see this one's disk: the shard comes back as bytes
        for shard in run(maker.build, jobs, distributed):
            unfinished.store(shard)
            yield shard.facts.shard.clips


def _report(index: ShardIndex, computed: int, seconds: float, console: Console) -> None:
    table = Table("split", "shards", "clips", "minutes", "MB")
    for name in SPLITS:
        shards = index.of_split(name)
        megabytes = sum((paths.FEATURES / shard.file).stat().st_size for shard in shards) / 1e6
        clips, minutes = index.clips_of(name), index.minutes_of(name)
        table.add_row(name, str(len(shards)), str(clips), f"{minutes:.1f}", f"{megabytes:.1f}")
    console.print(table)
    console.print(f"preprocess: {plural(computed, 'clip')} computed in {seconds:.0f} s, features {index.fingerprint}")
