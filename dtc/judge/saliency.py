"""Where in time and frequency the network finds what makes it sure of a clip."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from dtc.audio import mel_filters
from dtc.audio_config import AudioConfig
from dtc.equalise import Band
from dtc.judge.contests import Pair
from dtc.judge.network import PatchNetwork
from dtc.judge.patches import PATCH_S, PATCHES, filled, judge_audio, starts_of

COVERED = (8, 16)  # bands and frames of a block
TELLING_BANDS = 10  # of the narrowest range that is named


@dataclass(frozen=True)
class Salient:
    """A clip of the second side that the network was sure about.

    Args:
        id: of the clip.
        kind: of the clip.
        score: its held-out score.
        log_mel: as the network saw it; NaN where none of its patches was.
        saliency: by how much the score falls where a place is covered.
        frequencies_hz: the middle of each band.
        seconds_per_frame: of the clip as it was judged, without silence.
    """

    id: str
    kind: str
    score: float
    log_mel: Float[np.ndarray, "bands frames"]
    saliency: Float[np.ndarray, "bands frames"]
    frequencies_hz: Float[np.ndarray, " bands"]
    seconds_per_frame: float


def salient(
    pair: Pair, score: float, network: PatchNetwork, patches: Float[Tensor, "n bands frames"], sampling_rate: int
) -> Salient:
    """Return the second clip of a pair and its saliency: see `lost_by_covering`."""
    audio = judge_audio(sampling_rate)
    samples = round(PATCH_S * sampling_rate)
    starts = starts_of(len(filled(pair, samples)[1]), samples, PATCHES)
    frames = np.round(starts / audio.hop_length).astype(np.int64)
    return Salient(
        id=pair.second.id,
        kind=pair.second.kind,
        score=score,
        log_mel=_joined(patches, frames),
        saliency=_joined(lost_by_covering(network, patches), frames),
        frequencies_hz=_band_frequencies(audio),
        seconds_per_frame=audio.hop_length / sampling_rate,
    )


def lost_by_covering(
    network: PatchNetwork, patches: Float[Tensor, "n bands frames"]
) -> Float[Tensor, "n bands frames"]:
    """Return by how much the scores of the patches fall where a place is covered.

    A block of bands and frames is set to the means of its bands; the value of a place is the mean over the blocks that
    cover it. Gradients are cheaper, but between harmonics their signs alternate from band to band.
    Source: Zeiler & Fergus 2014 (arXiv:1311.2901).
    """
    inputs = network.standardised(patches)
    bands, frames = (_blocks(size, block) for size, block in zip(inputs.shape[1:], COVERED, strict=True))
    blocks = (bands[:, None, :, None] & frames[None, :, None, :]).flatten(0, 1)  # (blocks, bands, frames)
    covered = inputs.masked_fill(blocks[:, None], 0.0)  # (blocks, n, bands, frames)
    lost = network(inputs) - network.of_many(covered.flatten(0, 1)).view(covered.shape[:2])
    weights = blocks.float()
    return torch.einsum("kn,kbf->nbf", lost, weights) / weights.sum(dim=0)


def _blocks(size: int, block: int) -> Bool[Tensor, "blocks size"]:
    """Return masks of `block` neighbours, which overlap by about half and reach from 0 to `size`."""
    starts = np.linspace(0, size - block, 1 + math.ceil(2 * (size - block) / block)).round()
    places = np.arange(size)
    return torch.from_numpy((places >= starts[:, None]) & (places < starts[:, None] + block))


def _joined(
    patches: Float[Tensor, "n bands frames"], starts: Int[np.ndarray, " n"]
) -> Float[np.ndarray, "bands all_frames"]:
    """Return the mean of overlapping patches at their places; NaN where there is none."""
    bands, frames = patches.shape[1:]
    total, count = np.zeros((bands, starts[-1] + frames)), np.zeros(starts[-1] + frames)
    for start, patch in zip(starts, patches.numpy(), strict=True):
        total[:, start : start + frames] += patch
        count[start : start + frames] += 1
    return np.divide(total, count, out=np.full_like(total, np.nan), where=count > 0)


def telling_band(found: Sequence[Salient]) -> Band:
    """Return the range in Hz of the TELLING_BANDS neighbouring mel bands that add most to the scores of some clips."""
    each_band = np.mean([np.nanmean(each.saliency, axis=1) for each in found], axis=0)
    first = int(np.argmax(np.convolve(each_band, np.ones(TELLING_BANDS), "valid")))
    low, high = found[0].frequencies_hz[[first, first + TELLING_BANDS - 1]]
    return float(low), float(high)


def _band_frequencies(audio: AudioConfig) -> Float[np.ndarray, " bands"]:
    """Return the middle of each mel band in Hz: the mean of its bins, weighted by the filter."""
    filters = mel_filters(audio).double().numpy()
    bins_hz = np.arange(filters.shape[1]) * audio.sampling_rate / audio.filter_length
    return filters @ bins_hz / filters.sum(axis=1)
