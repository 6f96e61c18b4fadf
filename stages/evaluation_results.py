"""The results of `dtc evaluate`: what they are, how they are written to files, and how they are printed."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from jaxtyping import Float
from rich.console import Console
from rich.table import Table
from torch import Tensor

from dtc.batch import Clip
from dtc.evaluation import speech_folder
from dtc.evaluation.quality_inputs import not_measured
from dtc.evaluation.speech_folder import SpokenWaves, read_speech_folder, write_speech_folder
from dtc.files import remove_folder, write_whole
from dtc.speech import Speech
from stages import paths
from stages.say import is_speech, write_speech
from stages.tables import print_table

# How the waveforms of a clip are made.
RECORDING, COPY, SYNTHESIS = speech_folder.RECORDING, speech_folder.COPY, speech_folder.SYNTHESIS
FITTED_COPY = "fitted_copy"
GRIFFIN_LIM_COPY, GRIFFIN_LIM_SYNTHESIS = "griffin_lim", "griffin_lim_synthesis"
MEANINGS = {
    RECORDING: "the recordings of the corpus, unchanged",
    COPY: "the recording's mel, through the voice's vocoder",
    FITTED_COPY: "the same, then corrected to fit that mel (evaluate.fit_iterations)",
    GRIFFIN_LIM_COPY: "the recording's mel, through Griffin-Lim, which is not trained",
    SYNTHESIS: "the text, through both models: the voice",
    GRIFFIN_LIM_SYNTHESIS: "the text, through the acoustic model and Griffin-Lim",
}
COPIES = (RECORDING, COPY, FITTED_COPY, GRIFFIN_LIM_COPY)
OTHER_TEXTS = "other_texts"
NOTES = MEANINGS | {OTHER_TEXTS: "texts that the corpus does not have (evaluate.texts), through both models"}

ENDS = ("_low", "_high")  # of the names of the ends of an interval
IN_OTHER_COLUMNS = ("ended_share", "attempts_per_phrase")  # as status and attempts

Wave = Float[Tensor, " samples"]


@dataclass(frozen=True)
class Trial:
    """One held-out clip, the speech that the voice made of its text, and all waveforms by the names in `MEANINGS`."""

    clip: Clip
    speech: Speech
    waves: dict[str, Wave]
    copy_seconds: dict[str, float]  # seconds of computing that the copies took


@dataclass(frozen=True)
class Evaluation:
    """Everything that was measured of a voice."""

    trials: list[Trial]
    other_texts: list[Speech]  # that the corpus does not have; []: none were given, or there is no recogniser
    # The recognised words of every trial, by the waveform's name, and of `other_texts`; {}: no recogniser.
    recognised: dict[str, list[str]]
    word_error_rates: dict[str, float]  # by the same names
    utterances: list[dict[str, float]]  # measures of each trial's speech; NaN where one is not defined
    # Of the voice, the word error rates among them. A mean over the texts NAME has NAME_low and NAME_high beside it.
    metrics: dict[str, float]
    copies: dict[str, dict[str, float]]  # the same of the copies, by name
    timing: dict[str, float]  # seconds of computing per second of audio, by name
    warnings: list[str]  # sentences that the figures must not be read without


@dataclass(frozen=True)
class Sounds:
    """The WAV files of an evaluation."""

    held_out: Mapping[str, Mapping[str, Path]]  # of each clip's ID, by kind of waveform
    other_texts: Sequence[Path]


def rate_name(name: str) -> str:
    """Return the metric's name of the word error rate of the waveforms with this name."""
    return "word_error_rate" if name == SYNTHESIS else f"{name}_word_error_rate"


def readable(name: str) -> str:
    """Return the name of a kind of waveform as the page and the console show it."""
    return name.replace("_", " ").replace("griffin lim", "Griffin-Lim")


def write_results(found: Evaluation) -> Sounds:
    """Write metrics, timings, one row for each utterance, the synthesised WAVs with their sidecars, and results/scp."""
    tree = _rounded(found.metrics) | {"copies": {name: _rounded(values) for name, values in found.copies.items()}}
    write_whole(paths.EVALUATION, json.dumps(tree, indent=2) + "\n")
    write_whole(paths.TIMING, json.dumps({"real_time_factor": _rounded(found.timing)}, indent=2) + "\n")
    remove_folder(paths.WAVS, is_speech, "move the other files away")
    paths.WAVS.mkdir(parents=True)
    speeches = [*(trial.speech for trial in found.trials), *found.other_texts]
    wavs = [write_speech(speech, paths.WAVS, number) for number, speech in enumerate(speeches, start=1)]
    _write_speech_folder(found.trials)
    write_whole(paths.UTTERANCES, _utterance_table(found))
    held_out = {text.id: text.paths for text in read_speech_folder(paths.SCP)}
    return Sounds(held_out, wavs[len(found.trials) :])


def _write_speech_folder(trials: Sequence[Trial]) -> None:
    spoken = (SpokenWaves(trial.clip.id, trial.clip.spoken_text, trial.waves) for trial in trials)
    first = trials[0].speech
    write_speech_folder(paths.SCP, spoken, first.sampling_rate, first.origin)


def _utterance_table(found: Evaluation) -> str:
    table = io.StringIO()
    names = [name for name in MEANINGS if name in found.recognised]
    measures = [name for name in dict.fromkeys(chain(*found.utterances)) if name not in IN_OTHER_COLUMNS]
    columns = ["id", "text", "spoken_text", "status", "attempts", *measures, *(f"heard_in_{name}" for name in names)]
    writer = csv.DictWriter(table, columns, lineterminator="\n")
    writer.writeheader()
    for number, trial in enumerate(found.trials):
        heard = {f"heard_in_{name}": found.recognised[name][number] for name in names}
        values = {name: _cell(found.utterances[number].get(name, math.nan)) for name in measures}
        writer.writerow(_row(trial.clip.id, trial.clip.spoken_text, trial.speech) | values | heard)
    for number, speech in enumerate(found.other_texts):
        heard = {f"heard_in_{SYNTHESIS}": found.recognised[OTHER_TEXTS][number]}
        writer.writerow(_row(f"text {number + 1}", speech.spoken_text, speech) | heard)
    return table.getvalue()


def _row(id: str, spoken_text: str, speech: Speech) -> dict[str, object]:
    described = {"id": id, "text": speech.raw_text, "spoken_text": spoken_text}
    return described | {"status": speech.status, "attempts": speech.attempts}


def _cell(value: float) -> str:
    """Return a measure as a cell of the table, empty where it is not defined."""
    return f"{value:.5g}" if math.isfinite(value) else ""


def _rounded(metrics: Mapping[str, float]) -> dict[str, float]:
    return {name: round(value, 5) for name, value in metrics.items()}


def print_summary(found: Evaluation, console: Console) -> None:
    """Print the metrics, the measures of the copies, where the files are, and at the end the warnings."""
    table = Table("metric", "value", "95 % interval")
    for name, value in found.metrics.items():
        if not name.endswith(ENDS):
            ends = [_shown(name, found.metrics[f"{name}{end}"]) for end in ENDS if f"{name}{end}" in found.metrics]
            table.add_row(name, _shown(name, value), " to ".join(ends))
    table.add_row("real_time_factor", f"{found.timing[SYNTHESIS]:.4g}", "")
    print_table(table, console)
    columns = ("true mels through", *map(readable, found.copies))
    table = Table(*columns, box=None, padding=(0, 1, 0, 0), header_style="bold")
    names = dict.fromkeys(name for values in found.copies.values() for name in values if not name.endswith(ENDS))
    rows = {name: [values.get(name) for values in found.copies.values()] for name in names}
    rows["real_time_factor"] = [found.timing.get(name) for name in found.copies]
    for name, values in rows.items():
        table.add_row(name, *("–" if value is None else f"{value:.4g}" for value in values))
    print_table(table, console)
    if missing := not_measured():
        console.print(f"evaluate: {missing}")
    console.print(f"evaluate: WAVs {paths.WAVS}; `dtc report` makes {paths.REPORT / 'index.html'}")
    for warning in found.warnings:
        console.print(f"evaluate: {warning}")


def _shown(name: str, value: float) -> str:
    return f"{value:.2%}" if name.endswith("_rate") else f"{value:.4g}"
