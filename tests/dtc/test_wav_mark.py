"""The mark of synthetic speech in WAV files."""

import io
import struct

import numpy as np
import pytest
import soundfile
import torch

from dtc import __version__
from dtc.audio import wav_bytes
from dtc.wav_mark import SOURCE_TYPE, WavMark, marked, read_mark

WAVE = torch.sin(torch.arange(1001) / 20) / 2
ORIGIN = {"voice": "0123456789abcdef", "corpus_md5": "unknown: a; b"}
MARKED = marked(wav_bytes(WAVE, 16000), ORIGIN)


def test_soundfile_reads_the_mark_and_the_same_samples() -> None:
    with soundfile.SoundFile(io.BytesIO(MARKED)) as file:
        assert (file.samplerate, file.software) == (16000, f"dtc {__version__}")
        comment, samples = file.comment, file.read(dtype="int16")
    assert comment.startswith(f"synthetic speech; digital_source_type={SOURCE_TYPE}; voice=0123456789abcdef; ")
    np.testing.assert_array_equal(samples, soundfile.read(io.BytesIO(wav_bytes(WAVE, 16000)), dtype="int16")[0])


def test_a_copy_by_soundfile_keeps_the_mark_but_not_the_seal() -> None:
    with soundfile.SoundFile(io.BytesIO(MARKED)) as file:
        samples, tags, stream = file.read(dtype="int16"), file.copy_metadata(), io.BytesIO()
    with soundfile.SoundFile(stream, "w", 16000, 1, "PCM_16", format="WAV") as copy:
        copy.comment = tags["comment"]
        copy.write(samples)
    mark = read_mark(stream.getvalue())
    assert (mark.synthetic, mark.origin["voice"], mark.seal) == (True, ORIGIN["voice"], "changed")


def test_it_is_read_back() -> None:
    mark = read_mark(MARKED)
    assert mark == WavMark(
        True, f"dtc {__version__}", {"voice": ORIGIN["voice"], "corpus_md5": "unknown: a, b"}, "intact"
    )
    assert read_mark(wav_bytes(WAVE, 16000)) == WavMark(), "a recording has none"
    assert marked(wav_bytes(WAVE, 16000), ORIGIN) == MARKED


def test_a_chunk_before_it_and_one_of_odd_size_stay() -> None:
    plain = wav_bytes(WAVE[:5], 8000)
    odd = struct.pack("<4sI", b"note", 3) + b"abc\0"
    with_note = plain[:4] + struct.pack("<I", len(plain) - 8 + len(odd)) + plain[8:36] + odd + plain[36:]
    content = marked(with_note, ORIGIN)
    assert odd in content
    assert read_mark(content).seal == "intact"
    assert soundfile.info(io.BytesIO(content)).frames == 5


@pytest.mark.parametrize("place", [4, 20, 60, 200, -1])
def test_a_changed_byte_breaks_the_seal(place: int) -> None:
    content = bytearray(MARKED)
    content[place] ^= 1
    assert read_mark(bytes(content)).seal == "changed"


@pytest.mark.parametrize("content", [b"", b"RIFF", b"OggS" + bytes(40)])
def test_another_file_is_refused(content: bytes) -> None:
    with pytest.raises(ValueError, match="not a WAV file"):
        read_mark(content)
