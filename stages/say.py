"""`dtc say`: speak texts, and write a WAV file for each with a JSON file beside it that records how it was made."""

from __future__ import annotations

import os
import re
import textwrap
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import torch
from rich.console import Console
from rich.table import Table

from dtc.acoustic.utterance_status import STATUS_MEANINGS
from dtc.audio import to_int16
from dtc.errors import InputError
from dtc.speech import Piece, Speech, SpokenPhrase
from dtc.synthesis_config import SynthesisConfig
from dtc.voice import Voice

LINE_END = re.compile(r"\r\n|\r|\n")  # Unicode has other ends of a line, such as \x85
NUMBERED = re.compile(r"(\d+)-.*\.(wav|json)$", re.ASCII)
LONGEST_NAME = 40
LONGEST_SHOWN = 80
REMEDY = "try another --seed, shorter sentences or other words; a voice that often fails so needs more training"


@dataclass(frozen=True)
class Text:
    """A text to speak, and its place for messages: `text 2` of the command line, or `file:line`."""

    raw_text: str
    where: str


def say(texts: Sequence[Text], voice: Voice, config: SynthesisConfig, seed: int, out: Path, console: Console) -> None:
    """Speak every text, and write a WAV file for each into `out`, beside those that are there.

    Raises InputError, before anything is spoken or written, for a text that the voice cannot read.
    """
    spoken = [voice.read(text.raw_text, text.where) for text in texts]
    started = time.monotonic()
    speeches = voice.speak_words([text.raw_text for text in texts], spoken, seed, config)
    seconds = time.monotonic() - started
    out.mkdir(parents=True, exist_ok=True)
    table = Table("file", "spoken", "seconds", "status", "attempts")
    doubtful = []
    for text, speech in zip(texts, speeches, strict=True):
        path = write_speech(speech, out, _next_number(out))
        duration_s = len(speech.wave) / voice.audio.sampling_rate
        shown = textwrap.shorten(speech.spoken_text, LONGEST_SHOWN, placeholder=" …")
        table.add_row(str(path), shown, f"{duration_s:.2f}", speech.status, str(speech.attempts))
        doubtful += _doubts(text, speech, path)
    console.print(table)
    for line in doubtful:
        console.print(line)
    if doubtful:
        console.print(f"say: listen to these first; {REMEDY}")
    total_s = sum(len(speech.wave) for speech in speeches) / voice.audio.sampling_rate
    console.print(f"say: {total_s:.1f} s of speech in {seconds:.1f} s, voice {voice.fingerprint}")


def stream(
    texts: Sequence[Text], voice: Voice, config: SynthesisConfig, seed: int, out: BinaryIO, console: Console
) -> None:
    """Write 16-bit samples to `out`, phrase by phrase, as soon as each is spoken. `console` must be another stream."""
    player = f"aplay -t raw -f S16_LE -c 1 -r {voice.audio.sampling_rate}"
    if out.isatty():
        remedy = f"try `dtc say --stream … | {player}`"
        raise InputError("--stream", "standard output is a terminal", "a pipe or a file: these are samples", remedy)
    spoken = [voice.read(text.raw_text, text.where) for text in texts]
    started, first_s, samples = time.monotonic(), 0.0, 0
    try:
        for text, words in zip(texts, spoken, strict=True):
            for piece in voice.stream_words(words, seed, config):
                out.write(to_int16(piece.wave).astype("<i2").tobytes())
                out.flush()
                first_s, samples = first_s or time.monotonic() - started, samples + len(piece.wave)
                if piece.status != "stopped":
                    console.print(_doubt(text, piece))
    except BrokenPipeError:  # the player was closed; what is still in the pipe's buffer goes nowhere
        os.dup2(os.open(os.devnull, os.O_WRONLY), out.fileno())
    seconds, spoken_s = time.monotonic() - started, samples / voice.audio.sampling_rate
    console.print(f"say: {spoken_s:.1f} s of speech in {seconds:.1f} s, the first after {first_s:.2f} s")
    console.print(f"say: as `{player}` plays it; voice {voice.fingerprint}")


def load(models: Path, device: torch.device, console: Console) -> Voice:
    """Return the voice of the folders acoustic and vocoder in `models`. Prints a hint where the two do not fit.

    Raises InputError where one is missing, changed, or made for another mel.
    """
    voice = Voice.load(models, device)
    if voice.mismatch:
        own = f"this is {voice.acoustic_card.fingerprint}: run `dtc align`, then `dtc train vocoder`, for its own"
        console.print(f"say: {voice.mismatch}, {own}")
    return voice


def _doubts(text: Text, speech: Speech, path: Path) -> list[str]:
    """Return a line for every phrase that went wrong at every attempt."""
    return [f"{_doubt(text, phrase)} in {path}" for phrase in speech.phrases if phrase.status != "stopped"]


def _doubt(text: Text, phrase: SpokenPhrase | Piece) -> str:
    return (
        f"say: {text.where}: {phrase.status} after {phrase.attempts} attempts ({STATUS_MEANINGS[phrase.status]}): "
        f"{textwrap.shorten(phrase.words, LONGEST_SHOWN, placeholder=' …')!r}"
    )


def write_speech(speech: Speech, out: Path, number: int) -> Path:
    """Write the WAV file and the sidecar of a spoken text, named by its number and its words; return the WAV's path."""
    words = re.sub(r"[^a-z0-9]+", "-", speech.raw_text.lower()).strip("-")[:LONGEST_NAME].rstrip("-")
    path = out / f"{number:03d}-{words}.wav"
    speech.save(path)
    return path


def _next_number(out: Path) -> int:
    """Return the number after the highest of the spoken files in a folder; 1 where there are none."""
    matches = [NUMBERED.match(path.name) for path in out.iterdir()]
    return 1 + max((int(match[1]) for match in matches if match), default=0)


def read_texts(texts: Sequence[str], file: Path | None) -> list[Text]:
    """Return the texts of the command line and then those of the file, one in each line, without the empty ones.

    Raises InputError where there are none, and where the file or a text cannot be read.
    """
    found = [Text(text.strip(), f"text {number}") for number, text in enumerate(texts, start=1)]
    found += [] if file is None else _lines_of(file)
    found = [text for text in found if text.raw_text]
    if not found:
        raise InputError("say", "nothing to say", "a text or --file", 'try `dtc say "call 90210 at 7:45"`')
    for text in found:
        if any("\ud800" <= character <= "\udfff" for character in text.raw_text):  # not UTF-8
            raise InputError(text.where, "is not UTF-8", "text in UTF-8")
    return found


def _lines_of(file: Path) -> list[Text]:
    """Return the lines of a file. Only line feeds and carriage returns end a line."""
    try:
        lines = LINE_END.split(file.read_bytes().decode("utf-8-sig"))
    except FileNotFoundError:
        raise InputError(file, "no such file", "a file with one text in each line") from None
    except UnicodeDecodeError as error:
        line = len(LINE_END.split(error.object[: error.start].decode("utf-8", "replace")))
        found = f"byte {error.object[error.start]:#04x} is not UTF-8"
        raise InputError(f"{file}:{line}", found, "text in UTF-8") from None
    except OSError as error:
        raise InputError(file, f"cannot be read ({error.strerror})", "a file with one text in each line") from None
    return [Text(line.strip(), f"{file}:{number}") for number, line in enumerate(lines, start=1)]
