"""pipeline.loader: each clip once an epoch, in an order that workers and interruptions do not change."""

import functools
import gc
import threading
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from tiny_features import tiny_clip, write_features

from dtc.batch import Batch
from dtc.errors import InputError
from dtc.training.task import Batches
from pipeline.batching import Batching
from pipeline.loader import BATCHES_AHEAD, FirstBatches, ShardLoader
from tests.training_params import training_config


def ids(batches: Iterable[Batch]) -> list[tuple[str, ...]]:
    return [batch.ids for batch in batches]


def threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("loader")]


@pytest.fixture(scope="module")
def forty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("forty")
    write_features(folder, 40, validation=7)
    return folder


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("features")


@functools.cache
def features_of(root: Path, clips: int) -> Path:
    write_features(root / str(clips), clips)
    return root / str(clips)


BATCHES = st.one_of(
    st.builds(lambda size: {"batch_size": size}, st.integers(1, 9)),
    st.builds(lambda frames: {"batch_size": None, "batch_frames": frames}, st.integers(22, 60)),
)


@given(
    clips=st.integers(4, 30),
    batches=BATCHES,
    seed=st.none() | st.integers(0, 2**31),
    workers=st.integers(0, 3),
    epoch=st.integers(0, 99),
    data=st.data(),
)
@settings(max_examples=30, deadline=None)
def test_whatever_is_asked_for(
    root: Path,
    clips: int,
    batches: dict[str, int | None],
    seed: int | None,
    workers: int,
    epoch: int,
    data: st.DataObject,
) -> None:
    """Every clip once, budgets held; workers change nothing, resuming anywhere neither."""
    plain, loader = (
        ShardLoader(features_of(root, clips), "train", Batching(**batches, seed=seed), number)
        for number in (0, workers)
    )
    whole = ids(loader.epoch(epoch))
    assert sorted(clip for batch in whole for clip in batch) == [f"clip-{n:03d}" for n in range(clips)]
    assert len(whole) == loader.batches_per_epoch
    assert ids(plain.epoch(epoch)) == whole
    if budget := batches.get("batch_frames"):
        assert all(batch.mel.shape[2] * len(batch.ids) <= budget for batch in loader.epoch(epoch))
    first = data.draw(st.integers(0, len(whole)), "first")
    assert ids(loader.epoch(epoch, first)) == whole[first:]


def test_a_batch_holds_its_clips_own_features(forty: Path) -> None:
    for batch in ShardLoader(forty, "train", Batching(7, seed=3)).epoch(2):
        for row, clip_id in enumerate(batch.ids):
            expected = tiny_clip(int(clip_id.removeprefix("clip-")))
            frames = expected.mel.shape[1]
            assert batch.mel_lengths[row] == frames
            assert batch.wave_lengths[row] == 4 * frames
            assert batch.symbol_lengths[row] == len(expected.text.spoken_text)
            np.testing.assert_array_equal(batch.mel[row, :, :frames], expected.mel)
            assert torch.all(batch.mel[row, :, frames:] == 0)
            assert torch.all(batch.wave[row, : 4 * frames] * 32768 == int(expected.wave[0]))


def test_epochs_and_seeds_are_orders_of_their_own(forty: Path) -> None:
    orders = {
        tuple(ids(ShardLoader(forty, "train", Batching(8, seed=seed)).epoch(epoch)))
        for seed in (1, 2)
        for epoch in range(4)
    }
    assert len(orders) == 8


def test_batches_are_put_together_anew_each_epoch(forty: Path) -> None:
    """Where there are more clips than a bucket holds: 40 against 16 batches of 2."""
    loader = ShardLoader(forty, "train", Batching(2, seed=1))
    first, second = ({frozenset(batch) for batch in loader.order.batches(epoch)} for epoch in (0, 1))
    assert len(first & second) < 10


def test_without_a_seed_the_order_is_the_shards(forty: Path) -> None:
    loader = ShardLoader(forty, "train", Batching(16))
    for epoch in (0, 5):
        batches = ids(loader.epoch(epoch))
        assert [clip for batch in batches for clip in batch] == [f"clip-{n:03d}" for n in range(40)]


def test_without_shuffling_the_order_is_the_shards_and_letters_are_drawn_as_before(forty: Path) -> None:
    shards = Batching(16, seed=1, shuffle=False)
    assert ids(ShardLoader(forty, "train", shards).epoch(3)) == ids(ShardLoader(forty, "train", Batching(16)).epoch(0))


@pytest.mark.parametrize(("size", "batches"), [(16, 2), (8, 5), (64, 1)])
def test_clips_that_do_not_fill_a_batch_can_be_left_out(forty: Path, size: int, batches: int) -> None:
    """Of 40 clips; but not where they are all that there is."""
    loader = ShardLoader(forty, "train", Batching(size, seed=1, drop_last=True))
    for epoch in range(3):
        found = ids(loader.epoch(epoch))
        assert len(found) == loader.batches_per_epoch == batches
        assert {len(batch) for batch in found} == {min(size, 40)}


@pytest.mark.parametrize("first", [0, 1])
def test_the_first_batches_again_in_every_epoch(forty: Path, first: int) -> None:
    whole = ShardLoader(forty, "train", Batching(8, seed=1))
    few = FirstBatches(whole, 2)
    assert few.batches_per_epoch == 2
    for epoch in (0, 3):
        assert ids(few.epoch(epoch, first)) == ids(whole.epoch(0))[first:2]
    assert FirstBatches(whole, 9).batches_per_epoch == 5


def test_without_a_gpu_pinning_has_no_effect(forty: Path) -> None:
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    batch = next(ShardLoader(forty, "train", Batching(8), pinned=True).epoch(0))
    assert not batch.mel.is_pinned()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_batches_for_a_gpu_are_in_pinned_memory(forty: Path) -> None:
    for workers in (0, 2):
        batch = next(ShardLoader(forty, "train", Batching(8), workers, pinned=True).epoch(0))
        assert all(value.is_pinned() for name, value in vars(batch).items() if name != "ids")


def test_this_order_is_for_ever(tmp_path: Path) -> None:
    """A changed order would change every trained model without a changed parameter."""
    write_features(tmp_path, 7)
    assert ids(ShardLoader(tmp_path, "train", Batching(3, seed=1)).epoch(0)) == [
        ("clip-000", "clip-005", "clip-002"),
        ("clip-003",),
        ("clip-004", "clip-001", "clip-006"),
    ]


def test_a_split_without_clips_is_refused(forty: Path) -> None:
    with pytest.raises(InputError, match="no clips in split test, expected at least one; change the split section"):
        ShardLoader(forty, "test", Batching(8))


@pytest.mark.parametrize(("batch_size", "batch_frames"), [(None, None), (8, 100), (0, None)])
def test_exactly_one_batch_setting(forty: Path, batch_size: int | None, batch_frames: int | None) -> None:
    with pytest.raises(ValueError, match=f"batch_size {batch_size} and batch_frames {batch_frames}, expected one of"):
        Batching(batch_size, batch_frames)


@pytest.mark.parametrize(("batch_size", "batch_frames"), [(None, None), (8, 100), (8, None), (None, 100)])
def test_the_training_section_wants_exactly_one_too(batch_size: int | None, batch_frames: int | None) -> None:
    section = {"batch_size": batch_size, "batch_frames": batch_frames}
    if (batch_size is None) != (batch_frames is None):
        assert training_config(**section).batch_frames == batch_frames
        return
    shown = "null" if batch_size is None else batch_size, "null" if batch_frames is None else batch_frames
    fault = f"batch_size {shown[0]} and batch_frames {shown[1]}, expected one of them, the other null"
    with pytest.raises(ValidationError, match=fault):
        training_config(**section)


def test_it_is_what_training_takes(forty: Path) -> None:
    assert isinstance(ShardLoader(forty, "train", Batching(8)), Batches)


def test_a_changed_shard_is_refused(tmp_path: Path) -> None:
    write_features(tmp_path, 4)
    shard = tmp_path / "train-00001.tar"
    shard.write_bytes(shard.read_bytes()[:-1] + b"?")
    with pytest.raises(InputError, match=r"train-00001\.tar: MD5 .* the file was changed"):
        next(ShardLoader(tmp_path, "train", Batching(8)).epoch(0))


def test_threads_end_with_the_iterator(forty: Path) -> None:
    loader = ShardLoader(forty, "train", Batching(2), workers=3)
    closed = loader.epoch(0)
    next(closed)
    assert 0 < len(threads()) <= 3
    closed.close()
    assert not threads()
    dropped: Iterator[Batch] | None = loader.epoch(0)
    assert dropped is not None
    next(dropped)
    assert threads()
    dropped = None
    gc.collect()
    assert not threads()
    assert len(list(loader.epoch(0))) == 20
    assert not threads()


def test_workers_read_a_few_batches_ahead(forty: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loader, read = ShardLoader(forty, "train", Batching(1), workers=2), list[str]()
    collate = loader._collate
    monkeypatch.setattr(
        loader, "_collate", lambda reader, epoch, batch: read.append("") or collate(reader, epoch, batch)
    )
    batches = loader.epoch(0)
    for _ in range(5):
        next(batches)
    batches.close()
    assert 5 <= len(read) <= 5 + BATCHES_AHEAD * 2


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_a_fault_comes_in_its_batch_s_place(tmp_path: Path, workers: int) -> None:
    write_features(tmp_path, 12)
    loader = ShardLoader(tmp_path, "train", Batching(3), workers)
    with (tmp_path / "train-00002.tar").open("r+b") as shard:
        shard.seek(loader.entries[7].members["mel.npy"][0])
        shard.write(b"?")
    batches = loader.epoch(0)
    assert ids(islice(batches, 2)) == [("clip-000", "clip-001", "clip-002"), ("clip-003", "clip-004", "clip-005")]
    with pytest.raises(InputError, match=r"train-00002.tar: MD5 "):
        next(batches)
    assert not threads()
