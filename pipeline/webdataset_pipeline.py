"""A split of a folder of features as a WebDataset pipeline, for programs that train with something else than dtc."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from webdataset import DataPipeline, SimpleShardList, split_by_node, split_by_worker
from webdataset.compat import FluidInterface

from dtc.errors import InputError
from pipeline.clip_entries import ClipEntries
from pipeline.remote import open_features
from pipeline.shard_reader import FeatureFolder, ShardReader
from pipeline.shards import StoredText
from pipeline.split import Split


class FeaturePipeline(DataPipeline, FluidInterface):  # type: ignore[misc]
    """A WebDataset pipeline with the methods of webdataset.WebDataset: shuffle, map, batched, to_tuple, ..."""


def webdataset_pipeline(location: str | Path, split: Split) -> FeaturePipeline:
    """Return a pipeline of the clips of a split, in the order of the shards.

    Each sample is a dict with the names that the members have in a shard: `__key__` is the clip's id, `json` a dict of
    raw_text, spoken_text, n_samples and source_md5, `wave.npy` an int16 array (samples,), and `mel.npy` a float32 array
    (mels, frames) of natural-log mels. The shards are divided among the ranks and the workers of a DataLoader. Each one
    is verified, and fetched where it is remote, when it is opened; the members are checked as for dtc's own training.

        clips = webdataset_pipeline("data/features", "train").shuffle(1000).to_tuple("json", "wave.npy", "mel.npy")
        loader = torch.utils.data.DataLoader(clips, batch_size=None, num_workers=2)

    Args:
        location: the folder of the features, or its address, such as https://host/features (see `pipeline.remote`).
        split: "train", "validation" or "test".

    Raises InputError where there are no features, or no clips of the split; and while it is read, where a shard does
    not match the index.
    """
    clips = _Clips(open_features(location), split)
    if not clips.files:
        raise InputError(location, f"no clips in split {split}", "at least one", "change the split section")
    return FeaturePipeline(SimpleShardList(clips.files), split_by_node, split_by_worker, clips.read)


class _Clips:
    """The clips of a split by their shards; an object that worker processes can be given."""

    def __init__(self, features: FeatureFolder, split: Split) -> None:
        self._features, self._entries = features, ClipEntries(features, split)
        numbers = itertools.groupby(range(len(self._entries)), key=lambda number: self._entries[number].shard)
        self._of_shard = {file: list(clips) for file, clips in numbers}
        self.files = list(self._of_shard)

    def read(self, shards: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        """Yield the samples of the shards, whose names are under the key "url", as in all stages of WebDataset."""
        with ShardReader(self._features) as reader:
            for shard in shards:
                for number in self._of_shard[shard["url"]]:
                    clip = reader.read(self._entries[number])
                    row = clip.row
                    text = StoredText.of(row).model_dump()
                    yield {"__key__": row.id, "json": text, "wave.npy": clip.wave, "mel.npy": clip.mel}
