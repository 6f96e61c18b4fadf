"""A split of a folder of features as a WebDataset pipeline, for programs that train with something else than dtc."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from webdataset import DataPipeline, SimpleShardList, split_by_node, split_by_worker
from webdataset.compat import FluidInterface

from dtc.errors import InputError
from pipeline.remote import open_features
from pipeline.shard_reader import FeatureFolder, stored_clips
from pipeline.split import SPLITS, Split


# Not the annotation of what is returned: torch names the deprecated typing.Iterable in a base class of it.
class FeaturePipeline(DataPipeline, FluidInterface):  # type: ignore[misc]
    """A WebDataset pipeline with the methods of webdataset.WebDataset: shuffle, map, batched, to_tuple, ..."""


def webdataset_pipeline(location: str | Path, split: str) -> Any:
    """Return a FeaturePipeline of the clips of a split, in the order of the shards.

    Each sample is a dict with the names that the members have in a shard: `__key__` is the clip's id, `json` a dict of
    raw_text, spoken_text, n_samples and source_md5, `wave.npy` an int16 array (samples,), and `mel.npy` a float32 array
    (mels, frames) of natural-log mels. The shards are divided among the ranks and the workers of a DataLoader. Each one
    is verified, and fetched where it is remote, when it is opened; the members are checked as for dtc's own training.

        clips = webdataset_pipeline("data/features", "train").shuffle(1000).to_tuple("json", "wave.npy", "mel.npy")
        loader = torch.utils.data.DataLoader(clips, batch_size=None, num_workers=2)

    Args:
        location: the folder of the features, or its address, such as https://host/features (see `pipeline.remote`).
        split: "train", "validation" or "test".

    Raises InputError where there are no features, no such split, or no clips in it; and while it is read, where a shard
    does not match the index.
    """
    chosen = next((known for known in SPLITS if known == split), None)
    if chosen is None:
        raise InputError("split", repr(split), " or ".join(SPLITS), "pass one of these names")
    features = open_features(location)
    shards = [shard.file for shard in features.index.of_split(chosen)]
    if not shards:
        raise InputError(location, f"no clips in split {split}", "at least one", "change the split section")
    read = partial(_read_samples, features, chosen)
    return FeaturePipeline(SimpleShardList(shards), split_by_node, split_by_worker, read)


def _read_samples(features: FeatureFolder, split: Split, shards: Iterable[dict[str, str]]) -> Iterator[dict[str, Any]]:
    """Yield the samples of the shards, whose names are under the key "url", as in all stages of WebDataset."""
    for clip in stored_clips(features, split, {shard["url"] for shard in shards}):
        yield {"__key__": clip.id, "json": clip.text.model_dump(), "wave.npy": clip.wave, "mel.npy": clip.mel}
