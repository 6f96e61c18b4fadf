"""dtc.batch: padding, lengths, masks."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from jaxtyping import TypeCheckError

from dtc.batch import Clip, collate, mask_of, masked_mean, pad


def clip(name: str, symbols: int, frames: int, hop_length: int = 4) -> Clip:
    """Frame t is t + 1 in every band; sample s is (s + 1) / 1000."""
    mel = torch.arange(1.0, frames + 1).expand(2, frames).contiguous()
    wave = torch.arange(1.0, frames * hop_length + 1) / 1000
    return Clip(name, name.upper(), name, torch.arange(1, symbols + 1), mel, wave)


def test_collate() -> None:
    batch = collate([clip("a", symbols=1, frames=3), clip("b", symbols=3, frames=1)])
    assert batch.ids == ("a", "b")
    assert batch.symbol_ids.tolist() == [[1, 0, 0], [1, 2, 3]]
    assert batch.symbol_lengths.tolist() == [1, 3]
    assert batch.mel[:, 0].tolist() == [[1, 2, 3], [1, 0, 0]]
    assert batch.mel_lengths.tolist() == [3, 1]
    assert batch.wave.shape == (2, 12)
    assert batch.wave[1].tolist() == pytest.approx([0.001, 0.002, 0.003, 0.004] + [0.0] * 8)
    assert batch.wave_lengths.tolist() == [12, 4]


def test_to_the_device_it_is_on_is_the_same_batch() -> None:
    batch = collate([clip("a", 1, 1)])
    assert batch.to(torch.device("cpu")) is batch
    moved = batch.to(torch.device("meta"))
    assert moved.ids == batch.ids
    assert moved.wave.device.type == moved.symbol_lengths.device.type == "meta"


def test_pad_keeps_dtype_and_leading_axes() -> None:
    padded, _ = pad([torch.ones(2, 5, 3, dtype=torch.int16), torch.ones(2, 5, 1, dtype=torch.int16)])
    assert padded.shape == (2, 2, 5, 3)
    assert padded.dtype == torch.int16
    assert padded.sum() == 2 * 5 * 4


def test_mask_of() -> None:
    assert mask_of(torch.tensor([0, 2, 3]), 3).int().tolist() == [[0, 0, 0], [1, 1, 0], [1, 1, 1]]


@given(st.lists(st.integers(1, 9), min_size=1, max_size=5), st.sampled_from([(), (2,), (2, 3)]))
def test_masked_mean_is_the_mean_of_what_is_there(lengths: list[int], middle: tuple[int, ...]) -> None:
    generator = torch.Generator().manual_seed(sum(lengths))
    rows = [torch.randn(*middle, length, generator=generator, dtype=torch.float64) for length in lengths]
    padded, padded_lengths = pad(rows)
    mask = mask_of(padded_lengths, padded.shape[-1])
    expected = torch.cat([row.flatten() for row in rows]).mean()
    spoiled = padded.masked_fill(~mask.reshape(len(rows), *[1] * len(middle), -1), 1e6)
    torch.testing.assert_close(masked_mean(padded.float(), mask), expected.float())
    torch.testing.assert_close(masked_mean(spoiled.float(), mask), expected.float())


def test_shapes_are_checked_while_tests_run() -> None:
    """The option --jaxtyping-packages checks nothing, and says nothing, where it does not find the packages."""
    with pytest.raises(TypeCheckError):
        mask_of(torch.zeros(2, 2, dtype=torch.int64), 3)
