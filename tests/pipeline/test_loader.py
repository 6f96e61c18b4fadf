"""pipeline.loader: each clip once an epoch, in an order that is a function of (seed, epoch) alone."""

import json
import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dtc.audio import AudioConfig
from dtc.batch import Batch
from dtc.errors import InputError
from pipeline.audit import ManifestRow
from pipeline.features import Features
from pipeline.loader import ShardLoader
from pipeline.shards import ShardIndex, ShardWriter, write_index

AUDIO = AudioConfig(
    sampling_rate=16000, filter_length=16, hop_length=4, win_length=16, n_mel_channels=2, mel_fmin=0, mel_fmax=8000
)


def clip(number: int) -> Features:
    frames = 1 + number * 7 % 11
    row = ManifestRow(f"clip-{number:03d}", f"N {number}", "n" * (1 + number % 5), "x", "0" * 32, 4 * frames)
    wave = np.full(4 * frames, number, dtype=np.int16)
    return Features(row, wave, np.full((2, frames), number, dtype=np.float32), None)


def write_shards(folder: Path, clips: int) -> None:
    """`clips` tiny clips of split train in shards of three."""
    writer = ShardWriter(folder, "train", 3)
    for number in range(clips):
        writer.add(clip(number))
    writer.close()
    index = ShardIndex(
        corpus="voice", corpus_md5="0" * 32, audio=AUDIO, alphabet="n", mel_mean=(0.0,) * 2, mel_deviation=(1.0,) * 2,
        shards=tuple(writer.shards),
    )  # fmt: skip
    write_index(folder, index, writer.places)


def ids(batches: list[Batch]) -> list[tuple[str, ...]]:
    return [batch.ids for batch in batches]


@pytest.fixture(scope="module")
def forty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("forty")
    write_shards(folder, 40)
    return folder


@given(clips=st.integers(1, 30), batch_size=st.integers(1, 9), seed=st.none() | st.integers(0, 2**31), data=st.data())
@settings(max_examples=25, deadline=None)
def test_every_clip_exactly_once_an_epoch(clips: int, batch_size: int, seed: int | None, data: st.DataObject) -> None:
    with TemporaryDirectory() as folder:
        write_shards(Path(folder), clips)
        loader = ShardLoader(Path(folder), "train", batch_size, seed)
        number = data.draw(st.integers(0, 1000), "epoch")
        whole = ids(list(loader.epoch(number)))
        assert sorted(clip for batch in whole for clip in batch) == [f"clip-{n:03d}" for n in range(clips)]
        assert len(whole) == loader.batches_per_epoch == -(-clips // batch_size)
        assert sorted(map(len, whole), reverse=True)[:-1] == [batch_size] * (len(whole) - 1)
        first = data.draw(st.integers(0, len(whole)), "first")
        assert ids(list(loader.epoch(number, first))) == whole[first:]


def test_a_batch_holds_its_clips_own_features(forty: Path) -> None:
    for batch in ShardLoader(forty, "train", 7, seed=3).epoch(2):
        for row, clip_id in enumerate(batch.ids):
            expected = clip(int(clip_id.removeprefix("clip-")))
            frames = expected.mel.shape[1]
            assert batch.mel_lengths[row] == frames
            assert batch.wave_lengths[row] == 4 * frames
            assert batch.symbol_lengths[row] == len(expected.row.spoken_text)
            np.testing.assert_array_equal(batch.mel[row, :, :frames], expected.mel)
            assert torch.all(batch.mel[row, :, frames:] == 0)
            assert torch.all(batch.wave[row, : 4 * frames] * 32768 == int(expected.wave[0]))


def test_epochs_and_seeds_are_orders_of_their_own(forty: Path) -> None:
    orders = {
        tuple(ids(list(ShardLoader(forty, "train", 8, seed).epoch(epoch)))) for seed in (1, 2) for epoch in range(4)
    }
    assert len(orders) == 8


def test_batches_are_put_together_anew_each_epoch(forty: Path) -> None:
    """Where there are more clips than a bucket holds: 40 against 16 batches of 2."""
    loader = ShardLoader(forty, "train", 2, seed=1)
    first, second = ({frozenset(place.id for place in batch) for batch in loader.plan(epoch)} for epoch in (0, 1))
    assert len(first & second) < 10


def test_without_a_seed_the_order_is_the_shards(forty: Path) -> None:
    loader = ShardLoader(forty, "train", 16)
    for epoch in (0, 5):
        batches = ids(list(loader.epoch(epoch)))
        assert [clip for batch in batches for clip in batch] == [f"clip-{n:03d}" for n in range(40)]


def test_clips_of_a_batch_are_of_similar_length(forty: Path) -> None:
    def padding(batches: list[Batch]) -> int:
        return sum(int((batch.mel_lengths.max() - batch.mel_lengths).sum()) for batch in batches)

    bucketed = padding(list(ShardLoader(forty, "train", 8, seed=1).epoch(0)))
    assert bucketed * 2 < padding(list(ShardLoader(forty, "train", 8).epoch(0)))


@pytest.mark.parametrize("hash_seed", ["0", "4242"])
def test_another_process_draws_the_same_order(forty: Path, hash_seed: str) -> None:
    program = (
        "import json, pathlib; from pipeline.loader import ShardLoader;"
        f"loader = ShardLoader(pathlib.Path({str(forty)!r}), 'train', 8, 5);"
        "print(json.dumps([[place.id for place in batch] for batch in loader.plan(9)]))"
    )
    environment = os.environ | {"PYTHONHASHSEED": hash_seed}
    output = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, check=True).stdout
    assert [tuple(batch) for batch in json.loads(output)] == ids(list(ShardLoader(forty, "train", 8, 5).epoch(9)))


def test_this_order_is_for_ever(tmp_path: Path) -> None:
    """A changed order would change every trained model without a changed parameter."""
    write_shards(tmp_path, 7)
    assert ids(list(ShardLoader(tmp_path, "train", 3, seed=1).epoch(0))) == [
        ("clip-000", "clip-005", "clip-002"),
        ("clip-003",),
        ("clip-004", "clip-001", "clip-006"),
    ]


def test_a_split_without_clips_is_refused(forty: Path) -> None:
    with pytest.raises(InputError, match="no clips in split test, expected at least one; change the split section"):
        ShardLoader(forty, "test", 8)
