"""How `numbers-1.0.tar`, the embedded corpus, was made.

`python -m pipeline.corpora.numbers.make_numbers OUT_DIR` composes phrases, spells them out with `dtc.text.normalise`,
has SVOX Pico speak each one and writes a tar in LJSpeech's layout. Two runs write equal bytes (same py-nanotts, same
libsndfile). It needs the extra `corpus`; nothing else of the toolkit does, because the tar is in
the repository.

The language: a subject (digits, an integer, a decimal, an ordinal), a circumstance (a year, a price, a time), or both
in either order. `numbers.jsgf` is the grammar of what is spoken.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import random
import subprocess
import sys
import tarfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from dtc.text import normalise

NAME = "numbers-1.0"
CLIPS = 324  # between ten and eleven minutes
SEED = 1
CANDIDATES = 200  # phrases drawn for each clip, of which the one with the scarcest words is kept

SAMPLING_RATE_HZ = 16_000  # Pico's own
VOICE = "en-US"
SPEED = 1.1  # ten minutes hold a tenth more words, and the recogniser hears them as well
VOLUME = 0.5  # at 1.0 Pico saturates: hundreds of clipped samples in every clip
LEADING_SILENCE_S, TRAILING_SILENCE_S = 0.06, 0.10
SILENCE_RMS = 40 / 32768  # Pico's own noise lies below 20 / 32768, its softest consonants lie above 60 / 32768

# Part of the archive, whose checksum is fixed: it names the place that this module had when the archive was made.
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


# ── text ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def draw_digits(rng: random.Random) -> str:
    """Draw 3 to 7 digits, a leading zero allowed."""
    return "".join(rng.choices("0123456789", k=rng.randint(3, 7)))


def draw_integer(rng: random.Random) -> str:
    """Draw 0 to 999,999; every length is equally likely, else nearly all would have six digits."""
    length = rng.randint(1, 6)
    return f"{rng.randrange(10 ** (length - 1) if length > 1 else 0, 10**length):,}"


def draw_decimal(rng: random.Random) -> str:
    """Draw 0.0 to 99.999."""
    return f"{rng.randrange(100)}.{''.join(rng.choices('0123456789', k=rng.randint(1, 3)))}"


def draw_ordinal(rng: random.Random) -> str:
    """Draw 1st to 999th. Up to 99th alone, eleventh could occur only once, since no string occurs twice."""
    below_hundred = rng.choice([rng.randrange(100), rng.randint(10, 19), 10 * rng.randrange(10)])  # by their last word
    number = 100 * rng.choice([0, rng.randint(1, 9)]) + below_hundred or 100
    teen = number // 10 % 10 == 1
    return f"{number}{'th' if teen else {1: 'st', 2: 'nd', 3: 'rd'}.get(number % 10, 'th')}"


def draw_year(rng: random.Random) -> str:
    """Draw 1100 to 2099; every third one ends in 00 to 09, which read differently."""
    century = rng.randint(11, 20)
    return f"{100 * century + rng.choice([rng.randrange(10), rng.randrange(100), rng.randrange(100)])}"


def draw_price(rng: random.Random) -> str:
    """Draw $0.01 to $999.99: whole dollars, cents alone, or both."""
    dollars, cents = rng.randrange(1, 10 ** rng.randint(1, 3)), rng.choice([1, rng.randrange(1, 100)])
    return rng.choice([f"${dollars}", f"$0.{cents:02}", f"${dollars}.{cents:02}", f"$1.{cents:02}"])


def draw_time(rng: random.Random) -> str:
    """Draw 1:00 to 12:59; every third one is in the first ten minutes, which read differently."""
    return f"{rng.randint(1, 12)}:{rng.choice([rng.randrange(10), rng.randrange(60), rng.randrange(60)]):02}"


@dataclass(frozen=True)
class Part:
    """One number and the word that says how to read it."""

    kind: str
    raw: str  # "call 90210"

    @property
    def number(self) -> str:
        """The number string alone: "90210"."""
        return self.raw.split()[-1]


SUBJECTS: dict[str, Callable[[random.Random], str]] = {
    "call": draw_digits,
    "count": draw_integer,
    "about": draw_decimal,
    "the": draw_ordinal,
}
CIRCUMSTANCES: dict[str, Callable[[random.Random], str]] = {"in": draw_year, "for": draw_price, "at": draw_time}


def draw_part(kinds: dict[str, Callable[[random.Random], str]], rng: random.Random) -> Part:
    """Draw one part, all kinds equally likely."""
    kind = rng.choice(sorted(kinds))
    return Part(kind, f"{kind} {kinds[kind](rng)}")


def draw_phrase(rng: random.Random) -> list[Part]:
    """Draw a phrase of one or two parts."""
    subject, circumstance = draw_part(SUBJECTS, rng), draw_part(CIRCUMSTANCES, rng)
    return rng.choice([[subject], [circumstance], [subject, circumstance], [circumstance, subject]])


ONES = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
TEENS = ["ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"]
TENS = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
ORDINALS = [
    "first",
    "second",
    "third",
    "fourth",
    "fifth",
    "sixth",
    "seventh",
    "eighth",
    "ninth",
    "tenth",
    "eleventh",
    "twelfth",
    "thirteenth",
    "fourteenth",
    "fifteenth",
    "sixteenth",
    "seventeenth",
    "eighteenth",
    "nineteenth",
    "twentieth",
    "thirtieth",
    "fortieth",
    "fiftieth",
    "sixtieth",
    "seventieth",
    "eightieth",
    "ninetieth",
    "hundredth",
]

# How often a feature of a phrase should occur, relative to the others: a word, or a kind of part in its position.
# Tuned until, in under eleven minutes, a digit's name occurs 60 times, a teen or ten 15 times, an ordinal 6 times.
WEIGHTS = (
    dict.fromkeys(["zero", *ONES], 60.0)
    | dict.fromkeys(TEENS + TENS, 20.0)
    | dict.fromkeys(ORDINALS, 25.0)
    | dict.fromkeys(["oh", "o'clock", "hundred", "thousand", "point", "dollar", "dollars", "cent", "cents"], 20.0)
    | {f"{kind} {position}": 25.0 for kind in [*SUBJECTS, *CIRCUMSTANCES] for position in ("alone", "first", "second")}
)


def features(phrase: list[Part]) -> list[str]:
    """List the words of a phrase and, for each part, its kind with its position: "call first"."""
    positions = ("alone",) if len(phrase) == 1 else ("first", "second")
    placed = [f"{part.kind} {position}" for part, position in zip(phrase, positions, strict=True)]
    return spoken(phrase).split() + placed


def raw(phrase: list[Part]) -> str:
    """Write a phrase as a person would: "call 90210 at 7:45"."""
    return " ".join(part.raw for part in phrase)


def spoken(phrase: list[Part]) -> str:
    """Spell a phrase out: "call nine zero two one zero at seven forty five"."""
    return normalise(raw(phrase)).replace("-", " ")  # the archive was made so, and is for ever


def compose(clips: int, seed: int) -> list[list[Part]]:
    """Choose phrases greedily, so that the scarcest words occur as often as the length allows.

    A feature that has occurred c times is worth weight / (1 + c); a phrase, the sum of its features' worth over its
    length in words and one more, the silence around it. No number string occurs in two phrases.
    """
    rng = random.Random(seed)
    seen: Counter[str] = Counter()
    used: set[str] = set()
    phrases = []

    def worth(phrase: list[Part]) -> float:
        found = features(phrase)
        return sum(WEIGHTS.get(feature, 0.0) / (1 + seen[feature]) for feature in found) / (1 + len(found))

    for _ in range(clips):
        drawn = [draw_phrase(rng) for _ in range(CANDIDATES)]
        fresh = [phrase for phrase in drawn if used.isdisjoint(part.number for part in phrase) and long_enough(phrase)]
        best = max(fresh, key=worth)
        seen.update(features(best))
        used.update(part.number for part in best)
        phrases.append(best)
    rng.shuffle(phrases)  # the greedy order runs from rare words to frequent ones
    numbers = [part.number for phrase in phrases for part in phrase]
    assert len(set(numbers)) == len(numbers)
    return phrases


def long_enough(phrase: list[Part]) -> bool:
    """Say whether a phrase lasts about a second: three words or more, "the tenth" is too short a clip."""
    return len(spoken(phrase).split()) >= 3


# ── sound ───────────────────────────────────────────────────────────────────────────────────────────────────────────

SPEAK = """
import sys
from py_nanotts import NanoTTS
text, voice, speed, volume = sys.argv[1:]
sys.stdout.buffer.write(NanoTTS().speak(text, voice=voice, speed=float(speed), volume=float(volume)))
"""


def speak(text: str) -> np.ndarray:
    """Have Pico say a text: float32 in [-1, 1] at 16 kHz.

    In a fresh process: Pico keeps state between utterances, so a clip would depend on the ones before it.
    """
    command = [sys.executable, "-c", SPEAK, text, VOICE, str(SPEED), str(VOLUME)]
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
        page[22:26] = ogg_crc(page).to_bytes(4, "little")
        pages.append(bytes(page))
        start = end
    return b"".join(pages)


def _crc_of_byte(byte: int) -> int:
    remainder = byte << 24
    for _ in range(8):
        remainder = (remainder << 1) ^ (0x04C11DB7 if remainder & 0x80000000 else 0)
    return remainder & 0xFFFFFFFF


CRC_TABLE = tuple(_crc_of_byte(byte) for byte in range(256))


def ogg_crc(page: bytes | bytearray) -> int:
    """Ogg's CRC-32: polynomial 0x04c11db7, not reflected, starting from 0 (zlib.crc32 is the reflected one)."""
    crc = 0
    for byte in page:
        crc = (crc << 8 & 0xFFFFFFFF) ^ CRC_TABLE[crc >> 24 ^ byte]
    return crc


# ── archive ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def write_tar(path: Path, files: dict[str, bytes]) -> None:
    """Write files to an uncompressed tar whose bytes depend on nothing but them."""
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as tar:
        for name in sorted(files):
            member = tarfile.TarInfo(name)  # its defaults: mtime, uid and gid 0, no names, mode 0644
            member.size = len(files[name])
            tar.addfile(member, io.BytesIO(files[name]))


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
