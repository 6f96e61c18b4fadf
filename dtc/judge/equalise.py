"""Make the two sides of a contest equal in all that is not speech: see `dtc.equalise`.

The length is made equal where the judge cuts its patches: see `dtc.judge.patches`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from dtc.equalise import Band, Wave, at_level, at_one_step, band_limited, common_band, with_noise, without_silence
from dtc.judge.contests import Pair, Sample

NOISE_BELOW_SPEECH_DB = 45.0


def equalise(pairs: Sequence[Pair], sampling_rate: int, seed: int) -> tuple[list[Pair], Band]:
    """Return the pairs with waveforms that are equal in all but the speech, and the band in Hz that they have left.

    The noise of each clip is drawn from the seed, its ID and its kind. Digital silence becomes noise alone.
    """
    stepped = [at_one_step((pair.first.wave, pair.second.wave)) for pair in pairs]
    band = common_band(list(zip(*stepped, strict=True)), sampling_rate)

    def finished(sample: Sample, wave: Wave) -> Sample:
        wave = at_level(without_silence(band_limited(wave, sampling_rate, band), sampling_rate))
        purpose = f"judge noise {seed} {sample.kind} {sample.id}"
        return replace(sample, wave=with_noise(wave, NOISE_BELOW_SPEECH_DB, purpose))

    return [
        replace(pair, first=finished(pair.first, first), second=finished(pair.second, second))
        for pair, (first, second) in zip(pairs, stepped, strict=True)
    ], band
