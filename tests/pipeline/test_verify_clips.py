"""Test that verify_corpus names every fault of a clip by its file."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from dtc.audio_config import AudioConfig
from tests.pipeline.verifying import CLIPS, MakeSound, lines, verified


@pytest.mark.parametrize("format", ["FLAC", "OGG", "MP3"])
def test_other_codecs_are_clips_too(
    tmp_path: Path, make_corpus: Callable[..., Path], audio: AudioConfig, format: str
) -> None:
    found = verified(make_corpus(tmp_path / "voice", CLIPS, format=format), audio)
    assert found.faults == []
    assert [row.samples for row in found.rows] == [4000, 5120, 4160]


def cut(content: bytes) -> bytes:
    return content[: len(content) // 2]


def overwritten(content: bytes) -> bytes:
    middle = len(content) // 2
    return content[:middle] + bytes(40) + content[middle + 40 :]


def loud(content: bytes) -> bytes:
    """A 16-bit WAV, eight times as loud, and cut off at full scale."""
    samples = np.frombuffer(content[44:], "<i2").astype(np.int32) * 8
    return content[:44] + samples.clip(-32768, 32767).astype("<i2").tobytes()


def softened(content: bytes, divisor: int) -> bytes:
    """A 16-bit WAV whose samples are divided by a number."""
    return content[:44] + (np.frombuffer(content[44:], "<i2") // divisor).astype("<i2").tobytes()


def blanked(content: bytes, share: float) -> bytes:
    """A 16-bit WAV whose first share is zeros."""
    zeros = round(share * (len(content) - 44) / 2) * 2
    return content[:44] + bytes(zeros) + content[44 + zeros :]


DOES_NOT_DECODE = "does not decode (Format not recognised.), expected a WAV, FLAC, Ogg Vorbis, Opus or MP3 file"


REPLACED: dict[str, tuple[Callable[[MakeSound], bytes], str, str]] = {
    "garbage": (lambda make: b"this is no sound\n" * 99, "decode", DOES_NOT_DECODE),
    "nothing": (
        lambda make: b"",
        "decode",
        "an empty file, expected a WAV, FLAC, Ogg Vorbis, Opus or MP3 file; copy it",
    ),
    "cut in the header": (lambda make: make()[:30], "decode", "does not decode ("),
    "cut WAV": (lambda make: cut(make()), "decode", "ends after 2389 samples, expected 4800; copy it again"),
    "WAV without its last byte": (
        lambda make: make()[:-1],
        "decode",
        "ends after 4799 samples, expected 4800; copy it again",
    ),
    "cut FLAC": (lambda make: cut(make(format="FLAC")), "decode", "does not decode (Error : flac decoder lost sync.)"),
    "damaged FLAC": (lambda make: overwritten(make(format="FLAC")), "decode", "does not decode (Error : flac"),
    "cut Ogg": (lambda make: cut(make(format="OGG")), "decode", ""),
    "no samples": (lambda make: make(seconds=0), "decode", "no samples, expected speech; remove its row or record it"),
    "cut 24-bit WAV": (lambda make: cut(make(subtype="PCM_24")), "decode", "ends after "),
    "cut float WAV": (lambda make: cut(make(subtype="FLOAT")), "decode", "ends after "),
    "22050 Hz": (
        lambda make: make(sampling_rate=22050),
        "sampling_rate",
        "22050 Hz, expected 16000 Hz; convert it to 16000 Hz, which 2 of 3 clips have, or set recording.resample to true",
    ),
    "stereo": (
        lambda make: make(channels=2),
        "channels",
        "2 channels, expected 1 (mono); set recording.channels to left, right or mean",
    ),
    "too short for a frame": (
        lambda make: make(seconds=512 / 16000),
        "duration",
        "512 samples, expected more than 512; remove the clip",
    ),
    "too short": (
        lambda make: make(seconds=0.09),
        "duration",
        "0.09 s, expected at least 0.1 s (verify.min_duration_s 0.1); remove the clip or lower the bound",
    ),
    "too long": (
        lambda make: make(seconds=20.1),
        "duration",
        "20.10 s, expected at most 20 s (verify.max_duration_s 20); cut it into utterances or raise the bound",
    ),
    "clipped": (lambda make: loud(make()), "clipping", ""),
    "mostly silent": (
        lambda make: blanked(make(seconds=1.0), 0.8),
        "silence",
        "80% of the clip is below -60 dB (verify.silence_db), expected at most 70% (verify.max_silent_share 0.7); "
        "set recording.trim_silence_db, record it louder or raise the bound",
    ),
    "softer than the limit throughout": (
        lambda make: softened(make(), 4000),
        "silence",
        "100% of the clip is below -60 dB (verify.silence_db), expected at most 70% (verify.max_silent_share 0.7); "
        "record it again or remove it",
    ),
    "digital silence": (
        lambda make: blanked(make(), 1.0),
        "silence",
        "digital silence: all samples are the same, expected speech; record it again or remove it",
    ),
}


@pytest.mark.parametrize("name", REPLACED)
def test_a_bad_clip_is_named(corpus: Path, audio: AudioConfig, make_sound: MakeSound, name: str) -> None:
    content, kind, line = REPLACED[name]
    (corpus / "wavs/b.wav").write_bytes(content(make_sound))
    found = verified(corpus, audio, min_characters_per_s=0.0)
    assert [(fault.kind, fault.id, fault.member) for fault in found.faults] == [(kind, "b", "voice/wavs/b.wav")]
    assert str(found.faults[0].error).startswith(f"voice.tar:voice/wavs/b.wav: {line}")
    assert [row.id for row in found.rows] == ["a", "c"]
    assert found.kept.tolist() == [True, False, True]
    assert found.left_out == 1


def test_clipping_is_counted(corpus: Path, audio: AudioConfig, make_sound: MakeSound) -> None:
    content = loud(make_sound())
    (corpus / "wavs/b.wav").write_bytes(content)
    samples = np.frombuffer(content[44:], "<i2")
    full = "".join("x" if abs(int(sample)) >= 32767 else " " for sample in samples)
    runs = [run for run in full.split() if len(run) > 1]
    (fault,) = verified(corpus, audio).faults
    assert fault.error.found == (
        f"{sum(map(len, runs)) / len(samples):.2%} of the samples clipped, in {len(runs)} runs at full scale"
    )
    assert fault.error.expected == "at most 0.10% (verify.max_clipped_share 0.001)"


def test_the_same_audio_twice(corpus: Path, audio: AudioConfig, make_sound: MakeSound) -> None:
    """In other files, by other codecs: the samples tell. The first is kept."""
    for clip, format in (("a", "WAV"), ("b", "FLAC"), ("c", "WAV")):
        samples = np.frombuffer(make_sound()[44:], "<i2")
        soundfile.write(corpus / f"wavs/{clip}.wav", samples, 16000, format=format, subtype="PCM_16")
    found = verified(corpus, audio)
    assert [row.id for row in found.rows] == ["a"]
    said = "the same samples as voice/wavs/a.wav, expected another recording; remove one of the two"
    assert lines(found) == [
        ("duplicate", f"voice.tar:voice/wavs/b.wav: {said}"),
        ("duplicate", f"voice.tar:voice/wavs/c.wav: {said}"),
    ]


def test_several_groups_of_the_same_audio(
    tmp_path: Path, make_corpus: Callable[..., Path], audio: AudioConfig, make_sound: MakeSound
) -> None:
    corpus = make_corpus(tmp_path / "voice", {name: "one" for name in "abcdefgh"})
    pitches = dict(zip("abcdefgh", (220.0, 330.0, 220.0, 440.0, 330.0, 220.0, 550.0, 330.0), strict=True))
    for clip, pitch in pitches.items():
        (corpus / f"wavs/{clip}.wav").write_bytes(make_sound(pitch_hz=pitch))
    found = verified(corpus, audio)
    assert [row.id for row in found.rows] == ["a", "b", "d", "g"]
    assert {fault.id: fault.error.found.split()[-1][-5] for fault in found.faults} == {
        "c": "a",
        "e": "b",
        "f": "a",
        "h": "b",
    }


def test_a_clip_with_several_faults_has_them_all(corpus: Path, audio: AudioConfig, make_sound: MakeSound) -> None:
    stereo = loud(make_sound(seconds=21.0, sampling_rate=44100, channels=2))
    (corpus / "wavs/b.wav").write_bytes(stereo)
    (corpus / "metadata.csv").write_text("a|A|a\nb|B|b\nc|C|c\n")
    found = verified(corpus, audio)
    assert [fault.kind for fault in found.faults] == [
        "channels",
        "sampling_rate",
        "duration",
        "clipping",
        "characters_per_s",
    ]
    assert {(fault.id, fault.member) for fault in found.faults} == {("b", "voice/wavs/b.wav")}
    assert found.left_out == 1


def test_a_treatment_removes_the_faults_that_it_mends(corpus: Path, audio: AudioConfig, make_sound: MakeSound) -> None:
    """What the section recording allows is no fault, and what is measured is what is left of it."""
    content = make_sound(seconds=1.0, sampling_rate=32000, channels=2)
    (corpus / "wavs/b.wav").write_bytes(content[:44] + bytes(128000 - 32000) + content[44 + 96000 :])
    assert [fault.kind for fault in verified(corpus, audio).faults] == ["channels", "sampling_rate", "silence"]
    found = verified(corpus, audio, resample=True, channels="left", trim_silence_db=-40.0)
    assert found.faults == []
    assert [row.samples for row in found.rows] == [4000, 4800, 4160]  # a quarter, and 0.05 s before it
    assert (found.rows[1].source_sampling_rate, found.rows[1].source_channels) == (32000, 2)
    assert found.facts["leading_s"].tolist() == pytest.approx([0.0, 0.05, 0.0], abs=0.011)


def test_the_channel_that_is_used_is_the_one_that_may_clip(
    corpus: Path, audio: AudioConfig, make_sound: MakeSound
) -> None:
    samples = np.stack([np.frombuffer(make_sound()[44:], "<i2"), np.frombuffer(loud(make_sound())[44:], "<i2")], axis=1)
    stereo = make_sound(channels=2)
    (corpus / "wavs/b.wav").write_bytes(stereo[:44] + samples.tobytes())
    assert verified(corpus, audio, channels="left").faults == []
    for channels in ("right", "mean"):
        assert [fault.kind for fault in verified(corpus, audio, channels=channels).faults] == ["clipping"]
