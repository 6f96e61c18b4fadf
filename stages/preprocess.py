"""`dtc preprocess`: data/raw and the manifest → shards of features, and their index."""

from __future__ import annotations

import shutil
import time

from rich.console import Console
from rich.progress import track
from rich.table import Table

from dtc.audio import AudioConfig
from dtc.errors import InputError
from dtc.provenance import md5_of
from dtc.text.symbols import TextConfig, symbols_of
from pipeline.audit import read_manifest
from pipeline.corpora import CorpusConfig
from pipeline.features import FeaturesConfig, MelStatistics, read_features
from pipeline.shards import ClipPlace, Shard, ShardIndex, ShardWriter, write_index
from pipeline.split import SPLITS, SplitConfig, split_of
from stages import paths


def preprocess(
    corpus: CorpusConfig, audio: AudioConfig, text: TextConfig, features: FeaturesConfig, split: SplitConfig,
    console: Console,
) -> None:  # fmt: skip
    """Compute the features of every clip. The folder appears when all of it is there."""
    started = time.monotonic()
    archive, manifest = paths.raw_archive(), read_manifest(paths.MANIFEST)
    part = paths.FEATURES.with_name(paths.FEATURES.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    writers = {name: ShardWriter(part, name, features.clips_per_shard) for name in SPLITS}
    statistics, alphabet = MelStatistics(), set[str]()
    clips = read_features(archive, manifest, audio, features)
    for clip in track(clips, "preprocess", len(manifest), console=console, disable=not console.is_terminal):
        name = split_of(clip.row.id, split)
        writers[name].add(clip)
        if name == "train":
            statistics.add(clip.mel)
            alphabet.update(symbols_of(clip.row.spoken_text))
    shards: list[Shard] = []
    places: list[ClipPlace] = []
    for name, writer in writers.items():
        writer.close()
        if not writer.shards:
            remedy = "raise split.validation_share and split.test_share, or record more"
            raise InputError(paths.FEATURES, f"no clips in split {name} of {len(manifest)}", "at least one", remedy)
        shards += writer.shards
        places += writer.places
    mean, deviation = statistics.mean_and_deviation()
    index = ShardIndex(
        corpus=corpus.name, corpus_md5=md5_of(archive), audio=audio, alphabet="".join(sorted(alphabet)),
        mel_mean=tuple(mean.tolist()), mel_deviation=tuple(deviation.tolist()), shards=tuple(shards),
    )  # fmt: skip
    write_index(part, index, places)
    shutil.rmtree(paths.FEATURES, ignore_errors=True)
    part.replace(paths.FEATURES)
    _report(index, time.monotonic() - started, console)


def _report(index: ShardIndex, seconds: float, console: Console) -> None:
    table = Table("split", "shards", "clips", "minutes", "MB")
    for name in SPLITS:
        shards = [shard for shard in index.shards if shard.split == name]
        minutes = sum(shard.frames for shard in shards) / index.audio.frames_per_s / 60
        megabytes = sum((paths.FEATURES / shard.file).stat().st_size for shard in shards) / 1e6
        clips = sum(shard.clips for shard in shards)
        table.add_row(name, str(len(shards)), str(clips), f"{minutes:.1f}", f"{megabytes:.1f}")
    console.print(table)
    clips = sum(shard.clips for shard in index.shards)
    console.print(f"preprocess: {clips / seconds:.0f} clips/s, features {index.fingerprint}", highlight=False)
