"""Random training segments of a vocoder, and their attenuation."""

import math

import pytest
import torch

from dtc.audio import log_mel
from dtc.audio_config import AudioConfig
from dtc.batch import Clip, collate
from dtc.vocoder.configs import SegmentSection
from dtc.vocoder.training_segments import attenuate, cut_segments, draw_segments

SILENCE = math.log(1e-5)
AUDIO = AudioConfig(
    sampling_rate=16000, filter_length=256, hop_length=64, win_length=256, n_mel_channels=20, mel_fmin=0, mel_fmax=8000
)


def counting(name: str, frames: int, hop_length: int = 4) -> Clip:
    """Frame t is t + 1 in every band; sample s is (s + 1) / 1000."""
    mel = torch.arange(1.0, frames + 1).expand(2, frames).contiguous()
    return Clip(name, "", "", torch.tensor([1]), mel, torch.arange(1.0, frames * hop_length + 1) / 1000)


def swelling(name: str, samples: int) -> Clip:
    """A tone of 440 Hz, and its mel."""
    wave = 0.3 * torch.sin(2 * math.pi * 440.0 * torch.arange(samples) / AUDIO.sampling_rate)
    wave = wave * torch.linspace(0.2, 1.0, samples)
    return Clip(name, "", "", torch.tensor([1]), log_mel(wave[None], AUDIO)[0], wave)


def test_segments_start_on_a_frame_in_mel_and_wave_alike() -> None:
    torch.manual_seed(0)
    batch = collate([counting("a", 20), counting("b", 9)])
    starts = set()
    for _ in range(60):
        mel, wave = cut_segments(batch, frames=5, hop_length=4)
        assert mel.shape == (2, 2, 5)
        assert wave.shape == (2, 20)
        for row, frames in enumerate((20, 9)):
            first = int(mel[row, 0, 0]) - 1
            assert 0 <= first <= frames - 5, "a segment never reaches into the padding"
            assert mel[row, 1].tolist() == [first + 1 + t for t in range(5)]
            assert wave[row].tolist() == pytest.approx([(first * 4 + 1 + s) / 1000 for s in range(20)])
            starts.add((row, first))
    assert {first for row, first in starts if row == 1} == {0, 1, 2, 3, 4}, "every place is drawn"


def test_a_short_clip_is_followed_by_silence() -> None:
    mel, wave = cut_segments(collate([counting("a", 2), counting("b", 9)]), frames=4, hop_length=4)
    assert mel[0, 0].tolist() == pytest.approx([1, 2, SILENCE, SILENCE])
    assert wave[0].tolist() == pytest.approx([(s + 1) / 1000 for s in range(8)] + [0.0] * 8)


def test_mel_and_wave_of_a_segment_belong_together() -> None:
    batch = collate([swelling("long", 64 * 100 + 13), swelling("short", 64 * 9)])
    torch.manual_seed(1)
    mel, wave = cut_segments(batch, 16, AUDIO.hop_length)
    assert (mel.shape, wave.shape) == ((2, 20, 16), (2, 16 * 64))
    first = next(t for t in range(85) if torch.equal(batch.mel[0, :, t : t + 16], mel[0]))
    assert torch.equal(batch.wave[0, first * 64 : (first + 16) * 64], wave[0])
    # Inside, away from the cut, the mel of the cut audio is the cut mel.
    torch.testing.assert_close(log_mel(wave[:1], AUDIO)[0, :, 3:13], mel[0, :, 3:13], atol=1e-4, rtol=0)
    assert torch.all(wave[1, 64 * 9 :] == 0)
    assert torch.all(mel[1, :, 10:] == SILENCE)


def test_segments_are_a_function_of_the_seed() -> None:
    batch = collate([counting("a", 50), counting("b", 40)])
    drawn = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        drawn.append(cut_segments(batch, 5, 4)[0][:, 0, 0].tolist())
    assert drawn[0] == drawn[1] != drawn[2]


def test_an_attenuated_mel_is_that_of_the_attenuated_wave() -> None:
    clip = swelling("a", 64 * 50)
    nepers = torch.tensor([[-6.0]])  # 52 dB
    mel, wave = attenuate(clip.mel[None], clip.wave[None], nepers)
    assert wave.abs().max() == pytest.approx(float(clip.wave.abs().max()) * math.exp(-6.0))
    torch.testing.assert_close(mel, log_mel(wave, AUDIO), atol=1e-4, rtol=0)
    assert (mel == SILENCE).sum() > (clip.mel == SILENCE).sum(), "some bands fall to the floor"


def test_only_training_segments_are_attenuated_each_by_its_own_share() -> None:
    batch = collate([swelling(name, 64 * 50) for name in "abcdefgh"])
    plain, quieter = (
        SegmentSection(model="any", train_on="recorded", segment_frames=51, attenuation_db=db) for db in (0.0, 20.0)
    )
    recorded = batch.mel[:, :, :51]
    for config, training in ((plain, True), (quieter, False)):
        assert torch.equal(draw_segments(batch, config, 64, training)[0], recorded)
    mel, wave = draw_segments(batch, quieter, 64, training=True)
    decibels = 20.0 * torch.log10(wave.abs().amax(dim=1) / batch.wave.abs().amax(dim=1))
    assert (decibels >= -20.0).all()
    assert (decibels < 0.0).all()
    assert len({round(float(value), 3) for value in decibels}) == 8
    loud = recorded > SILENCE + 3.0
    shift = (mel - recorded)[loud].view(-1)
    torch.testing.assert_close(
        shift, (decibels / 20.0 * math.log(10.0))[:, None, None].expand_as(mel)[loud], atol=1e-4, rtol=0
    )
