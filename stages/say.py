"""`dtc say`: texts → WAVs, each with a JSON beside it that says what it is."""

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

from dtc.acoustic.utterance_status import MEANINGS
from dtc.audio import to_int16
from dtc.errors import InputError
from dtc.speech import Piece, Speech, SpokenPhrase
from dtc.synthesis_config import SynthesisConfig
from dtc.voice import Voice

LONGEST_NAME = 40
LONGEST_SHOWN = 80
REMEDY = "try another --seed, shorter sentences or other words; a voice that often does so wants more training"


@dataclass(frozen=True)
class Text:
    """Something to say, and where it stands: `text 2` of the command line, or `file:line`."""

    raw_text: str
    where: str


def say(texts: Sequence[Text], voice: Voice, config: SynthesisConfig, seed: int, out: Path, console: Console) -> None:
    """Speak every text, and write a WAV file for each into `out`. Nothing is written if one cannot be read."""
    spoken = [voice.read(text.raw_text, text.where) for text in texts]
    started = time.monotonic()
    speeches = voice.speak_words([text.raw_text for text in texts], spoken, seed, config)
    seconds = time.monotonic() - started
    out.mkdir(parents=True, exist_ok=True)
    table = Table("file", "spoken", "seconds", "status", "attempts")
    doubtful = []
    for number, (text, speech) in enumerate(zip(texts, speeches, strict=True), start=1):
        path = write_speech(speech, out, number)
        duration_s = len(speech.wave) / voice.audio.sampling_rate
        shown = textwrap.shorten(speech.spoken_text, LONGEST_SHOWN, placeholder=" …")
        table.add_row(str(path), shown, f"{duration_s:.2f}", speech.status, str(speech.attempts))
        doubtful += _doubts(text, speech, path)
    console.print(table)
    for line in doubtful:
        console.print(line, highlight=False)
    if doubtful:
        console.print(f"say: listen to these first; {REMEDY}", highlight=False)
    total_s = sum(len(speech.wave) for speech in speeches) / voice.audio.sampling_rate
    console.print(f"say: {total_s:.1f} s of speech in {seconds:.1f} s, voice {voice.fingerprint}", highlight=False)


def stream(
    texts: Sequence[Text], voice: Voice, config: SynthesisConfig, seed: int, out: BinaryIO, console: Console
) -> None:
    """Write 16-bit samples to `out`, phrase by phrase, as soon as each is spoken. `console` is not where they go."""
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
                    console.print(_doubt(text, piece), highlight=False)
    except BrokenPipeError:  # the player was closed; what is still in the pipe's buffer goes nowhere
        os.dup2(os.open(os.devnull, os.O_WRONLY), out.fileno())
    seconds, spoken_s = time.monotonic() - started, samples / voice.audio.sampling_rate
    console.print(
        f"say: {spoken_s:.1f} s of speech in {seconds:.1f} s, the first after {first_s:.2f} s", highlight=False
    )
    console.print(f"say: as `{player}` plays it; voice {voice.fingerprint}", highlight=False)


def load(models: Path, device: torch.device, console: Console) -> Voice:
    """Return the voice of the folders acoustic and vocoder in `models`. Prints a hint where the two do not fit.

    Raises InputError where one is missing, changed, or made for another mel.
    """
    voice = Voice.load(models, device)
    if voice.mismatch:
        own = f"this is {voice.acoustic_card.fingerprint}: run `dtc align`, then `dtc train vocoder`, for its own"
        console.print(f"say: {voice.mismatch}, {own}", highlight=False)
    return voice


def _doubts(text: Text, speech: Speech, path: Path) -> list[str]:
    """A line for every phrase that went wrong at every attempt."""
    return [f"{_doubt(text, phrase)} in {path}" for phrase in speech.phrases if phrase.status != "stopped"]


def _doubt(text: Text, phrase: SpokenPhrase | Piece) -> str:
    return (
        f"say: {text.where}: {phrase.status} after {phrase.attempts} attempts ({MEANINGS[phrase.status]}): "
        f"{textwrap.shorten(phrase.words, LONGEST_SHOWN, placeholder=' …')!r}"
    )


def write_speech(speech: Speech, out: Path, number: int) -> Path:
    """Write the WAV file and the sidecar of a spoken text, named by its number and its words; return the WAV's path."""
    words = re.sub(r"[^a-z0-9]+", "-", speech.raw_text.lower()).strip("-")[:LONGEST_NAME].rstrip("-")
    path = out / f"{number:03d}-{words}.wav"
    speech.save(path)
    return path


def read_texts(texts: Sequence[str], file: Path | None) -> list[Text]:
    """Texts of the command line, then the file's lines; empty ones are left out."""
    found = [Text(text.strip(), f"text {number}") for number, text in enumerate(texts, start=1)]
    if file is not None:
        try:
            lines = file.read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:
            raise InputError(file, "no such file", "one text a line") from None
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(file, f"cannot be read ({error})", "text in UTF-8, one text a line") from None
        found += [Text(line.strip(), f"{file}:{number}") for number, line in enumerate(lines, start=1)]
    found = [text for text in found if text.raw_text]
    if not found:
        raise InputError("say", "nothing to say", "a text or --file", 'try `dtc say "call 90210 at 7:45"`')
    return found
