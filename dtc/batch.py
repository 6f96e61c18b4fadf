"""Clips and batches of clips, with padding, lengths and masks: the only form of data for training."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from dtc import whole_batch

Losses = dict[str, Float[Tensor, ""]]  # of a batch: "loss", which training minimises, and its named parts


@dataclass(frozen=True)
class Clip:
    """The features of one recording and its text."""

    id: str
    raw_text: str
    spoken_text: str
    symbol_ids: Int[Tensor, " symbols"]
    mel: Float[Tensor, "mels frames"]  # natural log
    wave: Float[Tensor, " samples"]  # in [-1, 1)


@dataclass(frozen=True)
class Batch:
    """Clips padded with 0 to the longest. Values beyond a length are padding, which every loss masks."""

    ids: tuple[str, ...]
    symbol_ids: Int[Tensor, "batch symbols"]
    symbol_lengths: Int[Tensor, " batch"]
    mel: Float[Tensor, "batch mels frames"]
    mel_lengths: Int[Tensor, " batch"]  # frames
    wave: Float[Tensor, "batch samples"]
    wave_lengths: Int[Tensor, " batch"]  # samples

    def to(self, device: torch.device) -> Batch:
        """Return the batch on a device."""
        if self.mel.device == device:
            return self
        return self._with_each(lambda value: value.to(device, non_blocking=True))

    def pinned(self) -> Batch:
        """Return the batch in page-locked memory, from which a GPU copies while it computes."""
        return self._with_each(Tensor.pin_memory)

    def part(self, rows: slice) -> Batch:
        """Return some clips of the batch, padded to the longest of them."""
        lengths = self.symbol_lengths[rows], self.mel_lengths[rows], self.wave_lengths[rows]
        symbols, frames, samples = (int(each.max()) for each in lengths)
        return Batch(
            self.ids[rows],
            self.symbol_ids[rows, :symbols],
            lengths[0],
            self.mel[rows, :, :frames],
            lengths[1],
            self.wave[rows, :samples],
            lengths[2],
        )

    def _with_each(self, change: Callable[[Tensor], Tensor]) -> Batch:
        return Batch(ids=self.ids, **{name: change(value) for name, value in vars(self).items() if name != "ids"})

    @property
    def sizes(self) -> tuple[int, int, int]:
        """Return to how many symbols, frames and samples the clips are padded."""
        return self.symbol_ids.shape[-1], self.mel.shape[-1], self.wave.shape[-1]

    def padded(self, symbols: int, frames: int, samples: int) -> Batch:
        """Return the batch, padded to these larger sizes."""
        if (symbols, frames, samples) == self.sizes:
            return self
        return replace(
            self,
            symbol_ids=F.pad(self.symbol_ids, (0, symbols - self.symbol_ids.shape[-1])),
            mel=F.pad(self.mel, (0, frames - self.mel.shape[-1])),
            wave=F.pad(self.wave, (0, samples - self.wave.shape[-1])),
        )


def with_total(terms: Losses, metrics: Losses | None = None) -> Losses:
    """Return `loss`, the sum of the terms; the terms; and the metrics, without gradient, which are not in the sum."""
    detached = {name: value.detach() for name, value in (metrics or {}).items()}
    return {"loss": torch.stack(list(terms.values())).sum(), **terms, **detached}


def collate(clips: Sequence[Clip]) -> Batch:
    """Return a batch of clips, in their order."""
    symbol_ids, symbol_lengths = pad([clip.symbol_ids for clip in clips])
    mel, mel_lengths = pad([clip.mel for clip in clips])
    wave, wave_lengths = pad([clip.wave for clip in clips])
    ids = tuple(clip.id for clip in clips)
    return Batch(ids, symbol_ids, symbol_lengths, mel, mel_lengths, wave, wave_lengths)


def pad(rows: Sequence[Tensor]) -> tuple[Tensor, Int[Tensor, " batch"]]:
    """Return rows (…, length), stacked and padded with 0 to the longest, and their lengths."""
    lengths = torch.tensor([row.shape[-1] for row in rows])
    padded = rows[0].new_zeros(len(rows), *rows[0].shape[:-1], int(lengths.max()))
    for number, row in enumerate(rows):
        padded[number, ..., : row.shape[-1]] = row
    return padded, lengths


def mask_of(lengths: Int[Tensor, " batch"], size: int | Int[Tensor, ""]) -> Bool[Tensor, "batch size"]:
    """Return a mask that is true at the positions below each length."""
    return positions(size, lengths.device) < lengths[:, None]


def positions(size: int | Int[Tensor, ""], device: torch.device) -> Int[Tensor, " _"]:
    """Return 0, 1, …, size - 1. In a network that is exported, the size is a tensor."""
    return torch.arange(size, device=device)  # type: ignore[arg-type]


def masked_mean(values: Tensor, mask: Bool[Tensor, "batch size"]) -> Float[Tensor, ""]:
    """Return the mean of `values` (batch, …, size) over the unmasked positions of all other axes.

    Where several processes share a batch, it is a portion: the mean of theirs is that of the whole batch.
    """
    while mask.dim() < values.dim():
        mask = mask.unsqueeze(1)
    weight = mask.to(values.dtype).expand_as(values)
    return whole_batch.portion((values * weight).sum()) / whole_batch.total(weight.sum())


def time_reversed(values: Tensor, lengths: Int[Tensor, " batch"], dim: int) -> Tensor:
    """Return each row of a batch reversed in time by its own length, and 0 beyond it. `dim` is the axis of time."""
    size = values.shape[dim]
    mask = mask_of(lengths, size)  # (B, T)
    places = (lengths[:, None] - 1 - torch.arange(size, device=values.device)).clamp(min=0)
    shape = [len(values)] + [size if axis == dim else 1 for axis in range(1, values.dim())]
    gathered = values.gather(dim, places.view(shape).expand_as(values))
    return gathered * mask.view(shape)
