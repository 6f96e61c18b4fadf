"""Sounds of the page: MP3 files that are as long as the WAV files, keep their mark and are equal for equal sounds."""

import base64
import io

import numpy as np
import pytest
import soundfile
import torch

from dtc.audio import wav_bytes
from dtc.report.sounds import MP3_RATES_HZ, sound_uri
from dtc.seal import check_seal
from dtc.wav_mark import marked

TONE = 0.5 * torch.sin(torch.arange(8000) / 5)


def decoded(uri: str, media_type: str) -> bytes:
    assert uri.startswith(f"data:{media_type};base64,")
    return base64.b64decode(uri.partition(",")[2])


@pytest.mark.parametrize("sampling_rate", MP3_RATES_HZ)
def test_the_sound_is_that_of_the_wav_file_in_less_than_a_third_of_its_size(sampling_rate: int) -> None:
    wav = wav_bytes(TONE, sampling_rate)
    mp3 = decoded(sound_uri(wav), "audio/mpeg")
    samples, found_rate = soundfile.read(io.BytesIO(mp3))
    assert found_rate == sampling_rate
    assert samples.shape == TONE.shape, "neither delay nor padding"
    assert np.sqrt(np.mean((samples - TONE.numpy()) ** 2)) < 0.02
    assert len(mp3) < len(wav) / 3


def test_the_mark_is_kept_with_a_seal_of_its_own() -> None:
    wav = marked(wav_bytes(TONE, 16_000), {"voice": "0123456789abcdef"})
    mp3 = decoded(sound_uri(wav), "audio/mpeg")
    assert check_seal(mp3) == "intact"
    assert check_seal(mp3[:-1] + b"\0\0") == "changed"
    comment, of_wav = (soundfile.SoundFile(io.BytesIO(content)).comment for content in (mp3, wav))
    assert comment.startswith("synthetic speech; digital_source_type=http")
    assert comment.partition("dtc-seal:")[0] == of_wav.partition("dtc-seal:")[0]
    assert b"ID3" not in decoded(sound_uri(wav_bytes(TONE, 16_000)), "audio/mpeg"), "a recording has no mark"


def test_equal_sounds_give_equal_bytes() -> None:
    wav = marked(wav_bytes(TONE, 22_050), {"voice": "0123"})
    assert sound_uri(wav) == sound_uri(wav)


@pytest.mark.parametrize("samples", [1, 1151])
def test_very_short_sounds(samples: int) -> None:
    mp3 = decoded(sound_uri(wav_bytes(TONE[:samples], 16_000)), "audio/mpeg")
    assert soundfile.info(io.BytesIO(mp3)).frames == samples


def test_a_rate_that_mp3_does_not_have_stays_wav() -> None:
    wav = wav_bytes(TONE, 10_000)
    assert decoded(sound_uri(wav), "audio/wav") == wav
