"""`dtc say`: speak texts, and write a WAV file for each with a JSON file beside it that records how it was made."""

from __future__ import annotations

import os
import re
import sys
import textwrap
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO

import torch
from rich.console import Console
from rich.table import Column, Table

from dtc.acoustic.utterance_status import STATUS_MEANINGS, Status, badness
from dtc.audio import to_int16
from dtc.errors import InputError, plural
from dtc.speech import Listener, Speech, SpokenPhrase
from dtc.synthesis_config import SynthesisConfig
from dtc.voice import Voice
from stages.tables import print_table

LINE_END = re.compile(r"\r\n|\r|\n")  # Unicode has other ends of a line, such as \x85
NUMBERED = re.compile(r"(\d+)-.*\.(wav|json)$", re.ASCII)
STANDARD_INPUT = Path("-")
LONGEST_NAME = 40
LONGEST_SHOWN = 80
PHONEMES = "a word may be written in phonemes, as in {HH AH L OW}"
REMEDY = "try another {}, shorter sentences or other words; a voice that often fails so needs more training"


@dataclass(frozen=True)
class Text:
    """A text to speak, and its place for messages: `text 2` of the command line, or `file:line`."""

    raw_text: str
    where: str


@dataclass(frozen=True)
class Request:
    """Texts to speak, the voice, the settings, and what listens to the speech and signs it, if anything does."""

    texts: Sequence[Text]
    config: SynthesisConfig
    voice: Voice
    seed: int
    listener: Listener | None = None
    sign: Callable[[bytes], bytes] | None = None  # adds content credentials to a WAV file

    def spoken_words(self, console: Console) -> list[str]:
        """Return the spoken words of each text. Prints a hint where a lexicon lacks some.

        Raises InputError for a text that the voice cannot read.
        """
        spoken = [self.voice.read(text.raw_text, text.where) for text in self.texts]
        if unknown := list(dict.fromkeys(word for words in spoken for word in self.voice.words_in_letters(words))):
            console.print(
                f"say: no phonemes that the voice knows for {', '.join(unknown)}, which are read as letters; {PHONEMES}"
            )
        return spoken


def save(request: Request, out: Path, console: Console) -> None:
    """Speak every text, and write a WAV file for each into `out`, beside those that are there.

    Raises InputError, before anything is spoken or written, for a text that the voice cannot read.
    """
    texts, spoken = request.texts, request.spoken_words(console)
    started = time.monotonic()
    raw_texts = [text.raw_text for text in texts]
    speeches = request.voice.speak_words(raw_texts, spoken, request.seed, request.config, request.listener)
    seconds = time.monotonic() - started
    out.mkdir(parents=True, exist_ok=True)
    file, words = (Column(name, overflow="fold") for name in ("file", "spoken"))
    table = Table(file, words, "seconds", "status", "attempts")
    doubtful = []
    for text, speech in zip(texts, speeches, strict=True):
        path = write_speech(speech, out, _next_number(out), request.sign)
        status, attempts = readable(speech.status), str(speech.attempts)
        table.add_row(str(path), _shortened(speech.spoken_text), f"{speech.duration_s:.2f}", status, attempts)
        doubtful += [f"{line} in {path}" for phrase in speech.phrases for line in _doubts(text, phrase)]
    print_table(table, console)
    for line in doubtful:
        console.print(line)
    if doubtful:
        another = "--seed" if request.voice.acoustic.attends else "synthesis.pace"
        console.print(f"say: listen to these first; {REMEDY.format(another)}")
    if request.listener:
        console.print(f"say: {_summary([phrase for speech in speeches for phrase in speech.phrases])}")
    total_s = sum(speech.duration_s for speech in speeches)
    of_check = " with the check" if request.listener else ""
    console.print(f"say: {total_s:.1f} s of speech in {seconds:.1f} s{of_check}, voice {request.voice.fingerprint}")


def stream(request: Request, out: BinaryIO, console: Console) -> None:
    """Write 16-bit samples to `out`, phrase by phrase, as soon as each is spoken. `console` must be another stream."""
    voice = request.voice
    player = f"aplay -t raw -f S16_LE -c 1 -r {voice.audio.sampling_rate}"
    if out.isatty():
        remedy = f"try `dtc say --stream … | {player}`"
        raise InputError("--stream", "standard output is a terminal", "a pipe or a file: these are samples", remedy)
    spoken = request.spoken_words(console)
    started, first_s, samples = time.monotonic(), 0.0, 0
    try:
        for text, words in zip(request.texts, spoken, strict=True):
            for phrase in voice.stream_words(words, request.seed, request.config):
                wave = phrase.wave_after_pause
                out.write(to_int16(wave).astype("<i2").tobytes())
                out.flush()
                first_s, samples = first_s or time.monotonic() - started, samples + len(wave)
                for line in _doubts(text, phrase):
                    console.print(line)
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


def _doubts(text: Text, phrase: SpokenPhrase) -> list[str]:
    """Return a line for each way in which a phrase went wrong at every attempt."""
    after, lines = f"after {plural(phrase.attempts, 'attempt')}", []
    if badness(phrase.status):
        went_wrong = f"{readable(phrase.status)} {after} ({STATUS_MEANINGS[phrase.status]})"
        lines = [f"say: {text.where}: {went_wrong}: {_shortened(phrase.words)!r}"]
    if phrase.heard and phrase.heard.word_errors:
        heard = f"{_shortened(phrase.heard.words)!r}" if phrase.heard.words else "nothing"
        lines += [f"say: {text.where}: heard {heard} {after}: {_shortened(phrase.words)!r}"]
    return lines


def _summary(phrases: Sequence[SpokenPhrase]) -> str:
    """Return what was checked, and what came of it."""
    heard = [phrase for phrase in phrases if phrase.heard]
    again = sum(phrase.attempts > 1 for phrase in heard)
    wrong = sum(bool(phrase.heard and phrase.heard.word_errors) for phrase in heard)
    unchecked = f", {len(phrases) - len(heard)} with phonemes in braces not" if len(heard) < len(phrases) else ""
    return f"checked {plural(len(heard), 'phrase')}{unchecked}: {again} said again, {wrong} still misheard"


def readable(status: Status) -> str:
    """Return a status as it is printed, such as "cut off"."""
    return status.replace("_", " ")


def _shortened(text: str) -> str:
    return textwrap.shorten(text, LONGEST_SHOWN, placeholder=" …")


def write_speech(speech: Speech, out: Path, number: int, sign: Callable[[bytes], bytes] | None = None) -> Path:
    """Write the WAV file and the sidecar of a spoken text, named by its number and its words; return the WAV's path."""
    words = re.sub(r"[^a-z0-9]+", "-", speech.raw_text.lower()).strip("-")[:LONGEST_NAME].rstrip("-")
    path = out / f"{number:03d}-{words}.wav"
    speech.save(path, sign)
    return path


def is_speech(path: PurePosixPath) -> bool:
    """Return whether a file, by its name, is one that `write_speech` wrote.

    >>> [is_speech(PurePosixPath(name)) for name in ("001-call-2.wav", "1000-.json", "notes.txt", "me/001-call.wav")]
    [True, True, False, False]
    """
    return re.fullmatch(r"\d{3,}-[a-z0-9-]*\.(wav|json)", path.as_posix()) is not None


def _next_number(out: Path) -> int:
    """Return the number after the highest of the spoken files in a folder; 1 where there are none."""
    matches = [NUMBERED.match(path.name) for path in out.iterdir()]
    return 1 + max((int(match[1]) for match in matches if match), default=0)


def read_texts(texts: Sequence[str], file: Path | None) -> list[Text]:
    """Return the texts of the command line and then those of the file, one in each line, without the empty ones.

    Raises InputError where there are none, and where the file or a text cannot be read.
    """
    found = [_argument(text, f"text {number}") for number, text in enumerate(texts, start=1)]
    found += [] if file is None else _lines_of(file)
    found = [text for text in found if text.raw_text]
    if not found:
        raise InputError("say", "nothing to say", "a text or --file", 'try `dtc say "call 90210 at 7:45"`')
    return found


def _argument(text: str, where: str) -> Text:
    """Return a text of the command line; one that Python could not decode by the locale is decoded as UTF-8."""
    undecoded = any("\ud800" <= character <= "\udfff" for character in text)
    try:
        return Text((os.fsencode(text).decode("utf-8") if undecoded else text).strip(), where)
    except UnicodeError:
        raise InputError(where, "is not UTF-8", "text in UTF-8") from None


def _lines_of(file: Path) -> list[Text]:
    """Return the lines of a file, or of standard input for `-`. Only line feeds and carriage returns end a line."""
    where = "standard input" if file == STANDARD_INPUT else file
    try:
        content = sys.stdin.buffer.read() if file == STANDARD_INPUT else file.read_bytes()
        lines = LINE_END.split(content.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        line = len(LINE_END.split(error.object[: error.start].decode("utf-8", "replace")))
        found = f"byte {error.object[error.start]:#04x} is not UTF-8"
        raise InputError(f"{where}:{line}", found, "text in UTF-8") from None
    except OSError as error:
        found = "no such file" if isinstance(error, FileNotFoundError) else f"cannot be read ({error.strerror})"
        raise InputError(where, found, "a file with one text in each line") from None
    return [Text(line.strip(), f"{where}:{number}") for number, line in enumerate(lines, start=1)]
