"""Make the embedded corpus `numbers-1.0.tar`: `python -m pipeline.corpora.numbers.make_numbers OUT_DIR`.

The phrases are composed, spelt out with `dtc.text.normalise` and spoken by SVOX Pico; the tar has LJSpeech's layout.
Two runs write equal bytes (with the same py-nanotts and libsndfile). Only this script needs the extra `corpus`, as the
tar is in the repository.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import soundfile

from pipeline.archives import plain_member
from pipeline.compressed import ogg_checksum
from pipeline.corpora.numbers.phrases import compose, raw, spoken

NAME = "numbers-1.0"
CLIPS = 324  # between ten and eleven minutes
SEED = 1

SAMPLING_RATE_HZ = 16_000  # Pico's own
VOICE = "en-US"
SPEED = 1.1  # ten minutes hold a tenth more words, which the recogniser recognises as well
VOLUME = 0.5  # at 1.0 Pico saturates: hundreds of clipped samples in every clip
LEADING_SILENCE_S, TRAILING_SILENCE_S = 0.06, 0.10
SILENCE_RMS = 40 / 32768  # Pico's own noise lies below 20 / 32768, its softest consonants lie above 60 / 32768

# Part of the archive, whose checksum is fixed: it names this module by the name that it had then.
README = f"""\
{NAME}: ten minutes of one synthetic voice that reads numbers.

voice     SVOX Pico {VOICE}, speed {SPEED}, volume {VOLUME}, through py-nanotts 0.1.1; each clip in a fresh process
licence   SVOX Pico and its voices are Apache-2.0, Copyright SVOX AG 2008-2009; so are these recordings
audio     {SAMPLING_RATE_HZ} Hz, mono, Ogg Vorbis at libvorbis's highest quality; silence around the words:
          about {1000 * LEADING_SILENCE_S:.0f} ms before, {1000 * TRAILING_SILENCE_S:.0f} ms after
text      metadata.csv, one row a clip: id|raw text|spoken words, no quoting, no header. Digit strings, integers to
          999,999, decimals, years, prices, times and ordinals, one or two in a phrase, chosen so that rare words occur
          often. No number string occurs in two clips: every split into training and test is disjoint.
made by   python -m pipeline.corpora.make_numbers OUT_DIR, from the repository of dtc
"""


# ── sound ───────────────────────────────────────────────────────────────────────────────────────────────────────────

SPEAK = """
import sys
from py_nanotts import NanoTTS
text, voice, speed, volume = sys.argv[1:]
sys.stdout.buffer.write(NanoTTS().speak(text, voice=voice, speed=float(speed), volume=float(volume)))
"""


def speak(text: str, voice: str = VOICE) -> np.ndarray:
    """Return a text as a voice of Pico speaks it: float32 in [-1, 1] at 16 kHz.

    Pico runs in a fresh process: it keeps state between utterances, so a clip would depend on the ones before it.
    """
    command = [sys.executable, "-c", SPEAK, text, voice, str(SPEED), str(VOLUME)]
    pcm = subprocess.run(command, capture_output=True, check=True).stdout
    return np.frombuffer(pcm, dtype="<i2").astype(np.float32) / 32768


def trim(wave: np.ndarray) -> np.ndarray:
    """Cut the silence around the words to 60 ms before and 100 ms after, by the level of 5 ms frames."""
    frame = SAMPLING_RATE_HZ * 5 // 1000
    frames = wave[: len(wave) // frame * frame].reshape(-1, frame)
    loud = np.flatnonzero(np.sqrt((frames**2).mean(axis=1)) > SILENCE_RMS)
    first = int(loud[0]) * frame - int(LEADING_SILENCE_S * SAMPLING_RATE_HZ)
    last = (int(loud[-1]) + 1) * frame + int(TRAILING_SILENCE_S * SAMPLING_RATE_HZ)
    return wave[max(first, 0) : last]


def encode(wave: np.ndarray, serial: int) -> bytes:
    """Compress a wave to Ogg Vorbis, equal waves to equal bytes.

    Measured: ten minutes need 12.9 MB as FLAC and 6.7 MB as Vorbis at its highest quality; the limit is 8 MB.
    """
    buffer = io.BytesIO()
    soundfile.write(buffer, wave, SAMPLING_RATE_HZ, format="OGG", subtype="VORBIS", compression_level=0.0)
    return with_serial(buffer.getvalue(), serial)


def with_serial(ogg: bytes, serial: int) -> bytes:
    """Give an Ogg stream a chosen serial number: libsndfile draws a random one for every file.

    A page: "OggS", 10 bytes, serial (4), sequence (4), CRC (4), number of segments (1), their lengths, the segments.
    Source: RFC 3533, section 6.
    """
    pages, start = [], 0
    while start < len(ogg):
        segments = ogg[start + 26]
        end = start + 27 + segments + sum(ogg[start + 27 : start + 27 + segments])
        page = bytearray(ogg[start:end])
        page[14:18] = serial.to_bytes(4, "little")
        page[22:26] = bytes(4)  # the checksum is taken with its own field zero
        page[22:26] = ogg_checksum(bytes(page)).to_bytes(4, "little")
        pages.append(bytes(page))
        start = end
    return b"".join(pages)


# ── archive ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def write_tar(path: Path, files: dict[str, bytes]) -> None:
    """Write files to an uncompressed tar whose bytes depend on nothing but them."""
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as tar:
        for name in sorted(files):
            tar.addfile(plain_member(name, len(files[name])), io.BytesIO(files[name]))


def make(out_dir: Path) -> Path:
    """Write `numbers-1.0.tar` to a folder and return its path."""
    phrases = compose(CLIPS, SEED)
    rows, files, duration_s = [], {}, 0.0
    for number, phrase in enumerate(phrases, start=1):
        clip_id = f"numbers-{number:04}"
        rows.append(f"{clip_id}|{raw(phrase)}|{spoken(phrase)}\n")
        wave = trim(speak(spoken(phrase)))
        files[f"{NAME}/wavs/{clip_id}.ogg"] = encode(wave, serial=number)
        duration_s += len(wave) / SAMPLING_RATE_HZ
    files[f"{NAME}/README"] = README.encode()
    files[f"{NAME}/metadata.csv"] = "".join(rows).encode()
    out_dir.mkdir(parents=True, exist_ok=True)
    path = out_dir / f"{NAME}.tar"
    write_tar(path, files)
    sys.stdout.write(f"{path}: {len(phrases)} clips, {duration_s / 60:.2f} min, {path.stat().st_size:,} bytes, ")
    sys.stdout.write(f"MD5 {hashlib.md5(path.read_bytes()).hexdigest()}\n")
    return path


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Make the embedded corpus.")
    parser.add_argument("out_dir", type=Path)
    make(parser.parse_args().out_dir)
