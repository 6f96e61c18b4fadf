"""`dtc evaluate`: measure the voice on clips that no model was trained on; write metrics, WAVs and the report."""

from __future__ import annotations

import csv
import io
import json
import re
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import PurePosixPath

import torch
from jaxtyping import Float
from rich.console import Console
from rich.table import Table
from torch import Tensor

from dtc.audio_config import require_same_audio
from dtc.batch import Clip
from dtc.errors import InputError
from dtc.evaluation import NO_RECOGNISER, EvaluateConfig
from dtc.evaluation.metrics import attention_diagonality, attention_focus, mel_cepstral_distortion_db, real_time_factor
from dtc.evaluation.quality import mean_quality, measure_quality, opinion_scores
from dtc.evaluation.quality_inputs import not_measured
from dtc.evaluation.recognisers import transcribe_all
from dtc.evaluation.word_errors import word_errors
from dtc.files import locked, remove_folder, write_whole
from dtc.report.page import write_report
from dtc.speech import Speech
from dtc.synthesis_config import SynthesisConfig
from dtc.text.symbols import words_of
from dtc.vocoder.configs import GriffinLimConfig
from dtc.vocoder.griffin_lim import GriffinLim
from dtc.voice import Voice
from pipeline.batching import Batching
from pipeline.corpora import find_grammar
from pipeline.loader import ShardLoader
from pipeline.shards import ShardIndex, read_index
from stages import paths
from stages.evaluation_report import make_report, readable
from stages.say import write_speech

# How the waveforms of a clip are made.
RECORDING, COPY, FITTED_COPY, SYNTHESIS = "recording", "copy_synthesis", "fitted_copy", "synthesis"
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
# Word error rate of the recordings above which the recogniser is too weak to judge the voice.
MOST_ERRORS_IN_RECORDINGS = 0.02

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
    recognised: dict[str, list[str]]  # the recognised words of every trial, by the waveform's name; {}: no recogniser
    word_error_rates: dict[str, float]  # of every waveform's name; {}: no recogniser
    metrics: dict[str, float]  # of the voice, the word error rates among them
    copies: dict[str, dict[str, float]]  # of the copies, by name
    timing: dict[str, float]  # seconds of computing per second of audio, by name


def evaluate(evaluate: EvaluateConfig, synthesis: SynthesisConfig, device: torch.device, console: Console) -> None:
    """Synthesise the held-out texts, recognise the speech, compare it with the recordings, and write the results."""
    with locked(paths.EVALUATION):
        index = read_index(paths.FEATURES)
        voice = Voice.load(paths.ACOUSTIC.parent, device)
        _require_same_training_data(index, voice)
        found = _evaluate(voice, evaluate, synthesis, console)
        _write_results(found)
        settings = {"synthesis": synthesis, "evaluate": evaluate}
        write_report(make_report(found, voice, index, settings, MEANINGS), paths.REPORT / "index.html")
    _print_summary(found, console)


def _evaluate(voice: Voice, evaluate: EvaluateConfig, synthesis: SynthesisConfig, console: Console) -> Evaluation:
    loader = ShardLoader(paths.FEATURES, "test", Batching(1))
    clips = [loader.read(entry) for entry in islice(loader.entries, evaluate.max_clips)]
    console.print(f"evaluate: synthesising {len(clips)} held-out texts")
    started = time.monotonic()
    texts = [clip.raw_text for clip in clips]
    speeches = voice.speak_words(texts, [clip.spoken_text for clip in clips], evaluate.seed, synthesis)
    synthesis_seconds = time.monotonic() - started
    trials = _make_trials(voice, clips, speeches, evaluate)
    recognised = _recognise(trials, voice, evaluate, console) if evaluate.ear != NO_RECOGNISER else {}
    console.print(f"evaluate: measuring {len(trials)} × {len(COPIES)} copies")
    expected = [words_of(clip.spoken_text) for clip in clips]
    rates = {name: word_errors(expected, words).rate for name, words in recognised.items()}
    return Evaluation(
        trials=trials,
        recognised=recognised,
        word_error_rates=rates,
        metrics={rate_name(name): rate for name, rate in rates.items()} | _metrics(trials, voice),
        copies={name: _quality(name, trials, voice) for name in COPIES},
        timing=_timing(trials, voice, synthesis_seconds),
    )


def _require_same_training_data(index: ShardIndex, voice: Voice) -> None:
    """Raise InputError where a model was not trained on these shards: their test clips may be its training clips."""
    require_same_audio(index.audio, "features", voice.audio, "voice")
    for card in (voice.acoustic_card, voice.vocoder_card):
        if card.features != index.fingerprint:
            found = f"trained on features {card.features}"
            remedy = "train it again; which clips an imported model was trained on is unknown"
            raise InputError(f"{card.kind} model", found, f"{index.fingerprint}, of {paths.FEATURES}", remedy)
    if voice.mismatch:
        expected = f"{voice.acoustic_card.fingerprint}, of {paths.ACOUSTIC}"
        raise InputError(paths.VOCODER, voice.mismatch, expected, "run `dtc align`, then train it again")


def _make_trials(
    voice: Voice, clips: Sequence[Clip], speeches: Sequence[Speech], evaluate: EvaluateConfig
) -> list[Trial]:
    iterations, momentum = evaluate.griffin_lim_iterations, evaluate.griffin_lim_momentum
    config = GriffinLimConfig(model="griffin_lim", train_on="recorded", iterations=iterations, momentum=momentum)
    griffin_lim = GriffinLim(config, voice.audio)
    copiers: dict[str, Callable[[Tensor], Tensor]] = {
        COPY: lambda mel: voice.copy(mel, fit_iterations=0),
        FITTED_COPY: lambda mel: voice.copy(mel, evaluate.fit_iterations),
        GRIFFIN_LIM_COPY: lambda mel: griffin_lim(mel[None])[0],
    }
    trials = []
    for clip, speech in zip(clips, speeches, strict=True):
        griffin_lim_synthesis = griffin_lim(speech.mel[None])[0]
        waves = {RECORDING: clip.wave, SYNTHESIS: speech.wave, GRIFFIN_LIM_SYNTHESIS: griffin_lim_synthesis}
        copy_seconds = {}
        for name, copy in copiers.items():
            started = time.perf_counter()
            waves[name] = copy(clip.mel)
            copy_seconds[name] = time.perf_counter() - started
        trials.append(Trial(clip, speech, waves, copy_seconds))
    return trials


def _recognise(
    trials: Sequence[Trial], voice: Voice, evaluate: EvaluateConfig, console: Console
) -> dict[str, list[str]]:
    """Return the recognised words of every waveform of every trial."""
    console.print(f"evaluate: recognising the words of {len(trials)} × {len(MEANINGS)} waveforms")
    waves = [trial.waves[name].numpy() for name in MEANINGS for trial in trials]
    grammar = str(find_grammar(evaluate.grammar)) if evaluate.grammar else None
    words = transcribe_all(evaluate.model_copy(update={"grammar": grammar}), waves, voice.audio.sampling_rate)
    return {name: words[n * len(trials) : (n + 1) * len(trials)] for n, name in enumerate(MEANINGS)}


def _quality(name: str, trials: Sequence[Trial], voice: Voice) -> dict[str, float]:
    """Return the mean quality of copies against the recordings; the recordings are copies of themselves too."""
    pairs = [(trial.clip.wave.numpy(), trial.waves[name].numpy()) for trial in trials]
    return mean_quality([measure_quality(recorded, copied, voice.audio) for recorded, copied in pairs])


def _timing(trials: Sequence[Trial], voice: Voice, synthesis_seconds: float) -> dict[str, float]:
    """Return the seconds of computing per second of audio of the synthesis and of each copy."""
    seconds = {name: sum(trial.copy_seconds[name] for trial in trials) for name in trials[0].copy_seconds}
    samples = {name: sum(len(trial.waves[name]) for trial in trials) for name in MEANINGS}
    return {
        name: real_time_factor(spent, samples[name] / voice.audio.sampling_rate)
        for name, spent in {SYNTHESIS: synthesis_seconds, **seconds}.items()
    }


def _metrics(trials: Sequence[Trial], voice: Voice) -> dict[str, float]:
    """Return the means over the trials of what needs no recogniser."""
    sampling_rate = voice.audio.sampling_rate
    phrases = [phrase for trial in trials for phrase in trial.speech.phrases]
    alignments = [phrase.alignment.numpy() for phrase in phrases]
    of_attention = {"attention_focus": attention_focus, "attention_diagonality": attention_diagonality}
    measures = of_attention if voice.acoustic.attends else {}
    spoken_s = sum(len(trial.speech.wave) for trial in trials) / sampling_rate
    recorded_s = sum(len(trial.clip.wave) for trial in trials) / sampling_rate
    return {
        **mean_quality([opinion_scores(trial.speech.wave.numpy(), sampling_rate) for trial in trials]),
        "mel_cepstral_distortion_db": statistics.fmean(
            mel_cepstral_distortion_db(trial.clip.mel.numpy(), trial.speech.mel.numpy()) for trial in trials
        ),
        "duration_ratio": spoken_s / recorded_s,
        **{name: statistics.fmean(map(measure, alignments)) for name, measure in measures.items()},
        "ended_share": statistics.fmean(trial.speech.status == "ended" for trial in trials),
        "attempts_per_phrase": statistics.fmean(phrase.attempts for phrase in phrases),
        "clips": len(trials),
        "words": sum(len(words_of(trial.clip.spoken_text).split()) for trial in trials),
    }


def rate_name(name: str) -> str:
    """Return the metric's name of the word error rate of the waveforms with this name."""
    return "word_error_rate" if name == SYNTHESIS else f"{name}_word_error_rate"


def _write_results(found: Evaluation) -> None:
    """Write metrics, timings, one row for each utterance, and the synthesised WAVs with their sidecars."""
    tree = _rounded(found.metrics) | {"copies": {name: _rounded(values) for name, values in found.copies.items()}}
    write_whole(paths.EVALUATION, json.dumps(tree, indent=2) + "\n")
    write_whole(paths.TIMING, json.dumps({"real_time_factor": _rounded(found.timing)}, indent=2) + "\n")
    remove_folder(paths.WAVS, _is_speech, "move the other files away")
    paths.WAVS.mkdir(parents=True)
    for number, trial in enumerate(found.trials, start=1):
        write_speech(trial.speech, paths.WAVS, number)
    write_whole(paths.UTTERANCES, _utterance_table(found))


def _is_speech(path: PurePosixPath) -> bool:
    """Return whether a file of results/wavs is one that this stage wrote."""
    return re.fullmatch(r"\d{3}-[a-z0-9-]*\.(wav|json)", path.as_posix()) is not None


def _utterance_table(found: Evaluation) -> str:
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    recognised = found.recognised
    writer.writerow(["id", "text", "spoken_text", "status", "attempts", *(f"heard_in_{name}" for name in recognised)])
    for number, trial in enumerate(found.trials):
        clip, speech = trial.clip, trial.speech
        row = [clip.id, clip.raw_text, clip.spoken_text, speech.status, speech.attempts]
        writer.writerow([*row, *(words[number] for words in recognised.values())])
    return table.getvalue()


def _rounded(metrics: Mapping[str, float]) -> dict[str, float]:
    return {name: round(value, 5) for name, value in metrics.items()}


def _print_summary(found: Evaluation, console: Console) -> None:
    table = Table("metric", "value")
    for name, value in found.metrics.items():
        table.add_row(name, f"{value:.2%}" if name.endswith("_rate") else f"{value:.4g}")
    table.add_row("real_time_factor", f"{found.timing[SYNTHESIS]:.4g}")
    console.print(table)
    table = Table("true mels through", *map(readable, found.copies))
    names = dict.fromkeys(name for values in found.copies.values() for name in values)
    rows = {name: [values.get(name) for values in found.copies.values()] for name in names}
    rows["real_time_factor"] = [found.timing.get(name) for name in found.copies]
    for name, values in rows.items():
        table.add_row(name, *("–" if value is None else f"{value:.4g}" for value in values))
    console.print(table)
    if missing := not_measured():
        console.print(f"evaluate: {missing}")
    if found.word_error_rates.get(RECORDING, 0.0) > MOST_ERRORS_IN_RECORDINGS:
        most = f"more than {MOST_ERRORS_IN_RECORDINGS:.0%} word errors in the recordings"
        console.print(f"evaluate: {most}: the recogniser is too weak to judge the voice")
    console.print(f"evaluate: report {paths.REPORT / 'index.html'}, WAVs {paths.WAVS}")
    if not found.recognised:
        console.print("evaluate: evaluate.ear is none: no figure tells whether the voice can be understood")
