"""pipeline.batching: each clip once an epoch, budgets held; nothing of it depends on chance."""

import os
import random
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dtc.errors import InputError
from pipeline.batching import Batching, Order


def order(
    frames: list[int], batch_size: int | None = None, batch_frames: int | None = None, seed: int | None = 1
) -> Order:
    return Order(
        [f"clip-{n:03d}" for n in range(len(frames))], frames, "train", Batching(batch_size, batch_frames, seed)
    )


def padding_share(frames: list[int], made: Order) -> float:
    batches = [[frames[clip] for clip in batch] for batch in made.batches(0)]
    padded = sum(max(batch) * len(batch) for batch in batches)
    return 1 - sum(frames) / padded


LENGTHS = st.lists(st.integers(1, 50), min_size=1, max_size=90)
SEEDS = st.none() | st.integers(0, 2**31)


def assert_whole(made: Order, clips: int, epoch: int) -> list[list[int]]:
    batches = [list(batch) for batch in made.batches(epoch)]
    assert sorted(clip for batch in batches for clip in batch) == list(range(clips))
    assert all(batches)
    assert len(batches) == made.batches_per_epoch
    return batches


@given(frames=LENGTHS, batch_size=st.integers(1, 12), seed=SEEDS, epoch=st.integers(0, 99))
@settings(deadline=None)
def test_by_count(frames: list[int], batch_size: int, seed: int | None, epoch: int) -> None:
    sizes = sorted(map(len, assert_whole(order(frames, batch_size, None, seed), len(frames), epoch)))
    assert sizes[1:] == [batch_size] * len(sizes[1:]), "one batch may hold less"
    assert sizes[0] <= batch_size


@given(frames=LENGTHS, more=st.integers(0, 200), seed=SEEDS, epoch=st.integers(0, 99))
@settings(deadline=None)
def test_by_frames(frames: list[int], more: int, seed: int | None, epoch: int) -> None:
    budget = max(frames) + more
    for batch in assert_whole(order(frames, None, budget, seed), len(frames), epoch):
        assert max(frames[clip] for clip in batch) * len(batch) <= budget


TWELVE = [9, 3, 7, 5, 8, 2, 6, 4, 7, 3, 9, 1]


def test_these_orders_are_for_ever() -> None:
    """A changed order would change every trained model without a changed parameter."""
    assert order(TWELVE, batch_size=2).batches(3) == [[11, 5], [7, 2], [0, 10], [8, 4], [3, 6], [1, 9]]
    assert order(TWELVE[:9], batch_size=2).batches(3) == [[2, 8], [4, 0], [5], [3, 6], [1, 7]]
    by_frames = order(TWELVE, batch_frames=18)
    assert by_frames.batches(0) == [[8, 10], [11, 7], [5, 6], [2, 4], [1, 3], [9, 0]]
    assert by_frames.batches(3) == [[11, 5], [7, 2], [8, 4], [3, 0], [1, 10], [9, 6]]


def test_another_process_draws_the_same_order() -> None:
    """Python's own hashes differ from process to process."""
    program = (
        "from pipeline.batching import Batching, Order; ids = [f'clip-{n:03d}' for n in range(40)];"
        "print(Order(ids, [n * 7 % 11 for n in range(40)], 'train', Batching(8, seed=5)).batches(9))"
    )
    environment = os.environ | {"PYTHONHASHSEED": "4242"}
    output = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, check=True).stdout
    assert output.decode().strip() == str(order([n * 7 % 11 for n in range(40)], 8, seed=5).batches(9))


def test_by_frames_the_longest_come_first() -> None:
    frames = random.Random(4).sample(range(100, 900), 400)
    for seed in range(5):
        made = order(frames, batch_frames=4000, seed=seed)
        assert max(frames) in [frames[clip] for clip in made.batches(0)[0]]
        assert len(made.batches(0)[0]) == 4000 // max(frames), "a full batch of them"
        assert any(max(frames) not in [frames[clip] for clip in made.batches(epoch)[0]] for epoch in range(1, 4))


def test_by_frames_batches_are_put_together_anew_each_epoch() -> None:
    frames = random.Random(4).choices(range(100, 900), k=400)
    made = order(frames, batch_frames=4000)
    first, second = ({frozenset(batch) for batch in made.batches(epoch)} for epoch in (0, 1))
    assert len(first & second) < len(first) / 10


def test_padding_of_a_corpus_like_ljspeech() -> None:
    """13,100 clips of 1.1 to 10.1 s, mean 6.6 s, as frames of 256 samples at 22,050 Hz."""
    seconds = np.clip(10.1 - np.random.default_rng(0).gamma(2.6, 1.36, 13_100), 1.1, 10.1)
    frames = np.ceil(seconds * 22_050 / 256).astype(int).tolist()
    unsorted = padding_share(frames, order(frames, batch_size=32, seed=None))
    by_count = padding_share(frames, order(frames, batch_size=32))
    by_frames = padding_share(frames, order(frames, batch_frames=32 * 570))
    assert (round(unsorted, 2), round(by_count, 2), round(by_frames, 2)) == (0.31, 0.13, 0.01)


def test_a_clip_beyond_the_budget_is_named() -> None:
    fault = "clip-010: 9 frames, expected at most 8; raise batch_frames of this model's training section, or lower verify.max"
    with pytest.raises(InputError, match=fault):
        order(TWELVE, batch_frames=8)
