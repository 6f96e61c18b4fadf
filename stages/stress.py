"""`dtc evaluate --stress`: speak texts that are hard to read, and count what a recogniser misses in them."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from itertools import islice

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from dtc.errors import InputError
from dtc.evaluation import NO_RECOGNISER, EarConfig, EvaluateConfig
from dtc.evaluation.intervals import rate_interval
from dtc.evaluation.reading_faults import ReadingFaults, reading_faults
from dtc.evaluation.recognisers import transcribe_all
from dtc.evaluation.stress_texts import StressText, stress_texts
from dtc.evaluation.word_errors import word_errors
from dtc.files import locked, remove_folder, write_whole
from dtc.speech import Speech
from dtc.synthesis_config import SynthesisConfig
from dtc.text.cmudict import cmudict
from dtc.text.symbols import words_of
from dtc.voice import Voice
from pipeline.batching import Batching
from pipeline.loader import ShardLoader
from stages import paths
from stages.ears import own_ear_of
from stages.evaluate import training_texts
from stages.say import is_speech, write_speech
from stages.tables import print_table

SEED = 1  # of the texts and of the intervals
REFUSED = "refused"  # the status of a text that the voice does not read
GRAMMAR = "#JSGF V1.0;\ngrammar words;\npublic <text> = ({})+;\n"
COUNTED = ("word_errors", "skipped", "repeated", "run_on")
# Figure → how the table of 80 columns names it.
SHOWN = {
    "texts": "texts",
    REFUSED: "re-\nfused",
    "not_ended": "not\nended",
    "words": "words",
    "new_words": "new\nwords",
}
SHOWN |= {"word_errors": "word\nerrors", "skipped": "skipped", "repeated": "re-\npeated", "run_on": "run\non"}


@dataclass(frozen=True)
class Reading:
    """A text of the list and how it was read."""

    text: StressText
    speech: Speech | None  # None: the voice refused the text
    heard: str
    faults: ReadingFaults
    new_words: int  # that no training text has

    @property
    def status(self) -> str:
        """Return the status of the utterance."""
        return self.speech.status if self.speech else REFUSED


def stress(evaluate: EvaluateConfig, synthesis: SynthesisConfig, device: torch.device, console: Console) -> None:
    """Speak the stress list, recognise it, and write results/stress.csv, the metrics and the WAV files.

    Raises InputError where evaluate.ear is none.
    """
    if evaluate.ear == NO_RECOGNISER:
        raise InputError("evaluate.ear", "none", "a recogniser, which hears the stress list", "set it to whisper")
    with locked(paths.STRESS):
        voice = Voice.load(paths.ACOUSTIC.parent, device)
        corpus = training_texts()
        read = cache(lambda text: _read(voice, text))
        texts = stress_texts([words_of(text).split() for text in corpus], lambda text: read(text) is not None, SEED)
        console.print(f"stress: speaking {len(texts)} texts")
        spoken = {each.text: words for each in texts if (words := read(each.text)) is not None}
        said = voice.speak_words(list(spoken), list(spoken.values()), evaluate.seed, synthesis)
        speeches = dict(zip(spoken, said, strict=True))
        hear = _hearing(_ear_for_any_order(evaluate, [*corpus, *spoken.values()]), voice.audio.sampling_rate)
        console.print(f"stress: recognising the words of {len(speeches)} texts and of recordings")
        heard = dict(zip(spoken, hear([speech.wave.numpy() for speech in said]), strict=True))
        known = {word for text in corpus for word in words_of(text).split()}
        readings = [_reading(each, speeches.get(each.text), heard.get(each.text, ""), known) for each in texts]
        _write(readings, _figures(readings) | _of_recordings(hear, evaluate.max_clips), console)


def _read(voice: Voice, text: str) -> str | None:
    """Return the spoken words of a text; None where the voice refuses it."""
    try:
        return voice.read(text)
    except InputError:
        return None


def _ear_for_any_order(evaluate: EvaluateConfig, texts: Sequence[str]) -> EarConfig:
    """Return the ear of the section; for the ear `grammar`, with a grammar of all words of these texts in any order."""
    ear = own_ear_of(evaluate)
    if ear.ear != "grammar":
        return ear
    words = sorted({word for text in texts for word in words_of(text).split()} & cmudict().keys())
    write_whole(paths.STRESS_GRAMMAR, GRAMMAR.format(" | ".join(words)))
    return ear.model_copy(update={"grammar": str(paths.STRESS_GRAMMAR)})


def _hearing(ear: EarConfig, sampling_rate: int) -> Callable[[Sequence[np.ndarray]], list[str]]:
    return lambda waves: transcribe_all([(ear, wave) for wave in waves], sampling_rate)


def _reading(text: StressText, speech: Speech | None, heard: str, known: Container[str]) -> Reading:
    """Return how a text was read. `known`: the words of the training texts."""
    spoken = speech.spoken_text if speech else ""
    new_words = sum(word not in known for word in words_of(spoken).split())
    return Reading(text, speech, heard, reading_faults(spoken, heard), new_words)


def _of_recordings(hear: Callable[[Sequence[np.ndarray]], list[str]], max_clips: int) -> dict[str, float]:
    """Return the word error rate of the test clips' recordings, which is what this ear itself gets wrong."""
    loader = ShardLoader(paths.FEATURES, "test", Batching(1))
    clips = [loader.read(entry) for entry in islice(loader.entries, max_clips)]
    errors = word_errors([clip.spoken_text for clip in clips], hear([clip.wave.numpy() for clip in clips]))
    return {"recording_word_error_rate": errors.rate}


def _figures(readings: Sequence[Reading]) -> dict[str, float]:
    """Return the sums over the texts, and the word error rate with its interval where there are words."""
    faults = [each.faults for each in readings]
    counts = np.array([(each.word_errors, each.words) for each in faults], dtype=np.float64)
    rate = rate_interval(counts, seed=SEED).named("word_error_rate")
    return {
        "texts": len(readings),
        REFUSED: sum(each.speech is None for each in readings),
        "not_ended": sum(each.status not in ("ended", REFUSED) for each in readings),
        "texts_with_word_errors": sum(each.word_errors > 0 for each in faults),
        "words": sum(each.words for each in faults),
        "new_words": sum(each.new_words for each in readings),
        **{name: sum(getattr(each, name) for each in faults) for name in COUNTED},
        **{name: value for name, value in rate.items() if math.isfinite(value)},
    }


def _write(readings: Sequence[Reading], figures: Mapping[str, float], console: Console) -> None:
    kinds = {each.text.kind: [other for other in readings if other.text.kind == each.text.kind] for each in readings}
    tree = {name: round(value, 5) for name, value in figures.items()}
    of_kinds = {kind: {name: round(value, 5) for name, value in _figures(of).items()} for kind, of in kinds.items()}
    write_whole(paths.STRESS_METRICS, json.dumps(tree | {"kinds": of_kinds}, indent=2) + "\n")
    remove_folder(paths.STRESS_WAVS, is_speech, "move the other files away")
    paths.STRESS_WAVS.mkdir(parents=True)
    for number, each in enumerate(readings, start=1):
        if each.speech:
            write_speech(each.speech, paths.STRESS_WAVS, number)
    write_whole(paths.STRESS, _table_of_texts(readings))
    _print(of_kinds | {"all": tree}, console)


def _table_of_texts(readings: Sequence[Reading]) -> str:
    table = io.StringIO()
    counts = ("words", *COUNTED)
    columns = ("id", "kind", "text", "spoken_text", "status", "attempts", "duration_s", *counts, "heard")
    writer = csv.DictWriter(table, columns, lineterminator="\n")
    writer.writeheader()
    for number, each in enumerate(readings, start=1):
        row = {"id": number, "kind": each.text.kind, "text": each.text.text, "status": each.status, "heard": each.heard}
        if speech := each.speech:
            row |= {"spoken_text": speech.spoken_text, "attempts": speech.attempts}
            row |= {"duration_s": f"{speech.duration_s:.2f}"} | {name: asdict(each.faults)[name] for name in counts}
        writer.writerow(row)
    return table.getvalue()


def _print(figures: Mapping[str, Mapping[str, float]], console: Console) -> None:
    table = Table("kind", *SHOWN.values(), box=None, padding=(0, 1, 0, 0), header_style="bold")
    for kind, of in figures.items():
        table.add_row(kind, *(str(of[name]) for name in SHOWN))
    print_table(table, console)
    own = f"this ear gets {figures['all']['recording_word_error_rate']:.1%} of the words of the recordings wrong"
    console.print(f"stress: {figures['all']['word_error_rate']:.1%} word errors; {own}")
    console.print(f"stress: texts {paths.STRESS}, WAVs {paths.STRESS_WAVS}")
