"""`dtc evaluate`: the voice on clips it never heard → metrics, WAVs and the report."""

from __future__ import annotations

import csv
import io
import json
import platform
import shutil
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
import yaml
from jaxtyping import Float
from rich.console import Console
from rich.table import Table
from torch import Tensor

from dtc import __version__
from dtc.acoustic.utterance_status import MEANINGS
from dtc.audio import require_same_audio
from dtc.batch import Clip
from dtc.errors import InputError
from dtc.evaluation import EvaluateConfig
from dtc.evaluation.metrics import attention_diagonality, attention_focus, mel_cepstral_distortion_db, real_time_factor
from dtc.evaluation.quality import mean_quality, measure_quality, not_measured, opinion_scores
from dtc.evaluation.recogniser import transcribe_all, word_errors
from dtc.files import write_whole
from dtc.report.page import ComparisonRow, Rendition, Report, ReportClip, write_report
from dtc.text.symbols import symbols_of, words_of
from dtc.vocoder.configs import GriffinLimConfig
from dtc.vocoder.griffin_lim import GriffinLim
from dtc.voice import Speech, SynthesisConfig, Voice, load_voice
from pipeline.corpora import find_grammar
from pipeline.loader import ShardLoader
from pipeline.shards import ShardIndex, read_index
from stages import paths
from stages.say import write_speech

# How each clip is made to sound; the recording is what no voice can beat.
RECORDING, COPY, FITTED_COPY, SYNTHESIS = "recording", "copy_synthesis", "fitted_copy", "synthesis"
GRIFFIN_LIM_COPY, GRIFFIN_LIM_SYNTHESIS = "griffin_lim", "griffin_lim_synthesis"
NOTES = {
    RECORDING: "what the corpus holds: the ceiling",
    COPY: "the recording's mel through the voice's vocoder",
    FITTED_COPY: "the same, brought nearer to that mel by evaluate.fit_iterations",
    GRIFFIN_LIM_COPY: "the recording's mel through Griffin-Lim",
    SYNTHESIS: "text through both models: the voice",
    GRIFFIN_LIM_SYNTHESIS: "text through the acoustic model and Griffin-Lim",
}
COPIES = (RECORDING, COPY, FITTED_COPY, GRIFFIN_LIM_COPY)
FAIR_EAR = 0.02  # word error rate of the recordings above which the recogniser says little about a voice

Wave = Float[Tensor, " samples"]


@dataclass(frozen=True)
class Trial:
    """One held-out clip and all its renderings."""

    clip: Clip
    speech: Speech
    waves: dict[str, Wave]
    copy_s: dict[str, float]  # of work that the copies took


def evaluate(evaluate: EvaluateConfig, synthesis: SynthesisConfig, device: torch.device, console: Console) -> None:
    """Speak the held-out texts, listen with the recogniser, compare with the recordings."""
    index = read_index(paths.FEATURES)
    voice = load_voice(paths.ACOUSTIC, paths.VOCODER, device)
    _require_one_making(index, voice)
    loader = ShardLoader(paths.FEATURES, "test", batch_size=1)
    clips = [loader.read(place) for place in loader.places[: evaluate.max_clips]]
    grammar = find_grammar(evaluate.grammar) if evaluate.grammar else None

    console.print(f"evaluate: speaking {len(clips)} held-out texts", highlight=False)
    started = time.monotonic()
    texts = [clip.raw_text for clip in clips]
    speeches = voice.speak_words(texts, [clip.spoken_text for clip in clips], evaluate.seed, synthesis)
    synthesis_s = time.monotonic() - started
    trials = _render(voice, clips, speeches, evaluate)
    heard = _listen(grammar, trials, voice.audio.sampling_rate, console) if grammar else {}
    console.print(f"evaluate: measuring {len(trials)} × {len(COPIES)} copies", highlight=False)
    copies = {name: _quality(name, trials, voice) for name in COPIES}

    metrics = _metrics(trials, heard, voice, synthesis_s)
    _write_results(metrics, copies, trials, heard, voice, evaluate.seed, synthesis)
    report = _report(metrics, copies, trials, heard, voice, index, evaluate, synthesis)
    write_report(report, paths.REPORT / "index.html")
    _summarise(metrics, copies, grammar is not None, console)


def _require_one_making(index: ShardIndex, voice: Voice) -> None:
    """Held-out clips are only those of the shards that both models were trained on, the vocoder for this one."""
    require_same_audio(index.audio, "features", voice.audio, "voice")
    for card in (voice.acoustic_card, voice.vocoder_card):
        if card.features != index.fingerprint:
            found = f"trained on features {card.features}"
            remedy = "train it again; an imported model speaks, but nobody knows which clips it has not heard"
            raise InputError(f"{card.kind} model", found, f"{index.fingerprint}, of {paths.FEATURES}", remedy)
    if voice.taught_by_another:
        expected = f"{voice.acoustic_card.fingerprint}, of {paths.ACOUSTIC}"
        raise InputError(paths.VOCODER, voice.taught_by_another, expected, "run `dtc align`, then train it again")


def _render(voice: Voice, clips: Sequence[Clip], speeches: Sequence[Speech], evaluate: EvaluateConfig) -> list[Trial]:
    iterations, momentum = evaluate.griffin_lim_iterations, evaluate.griffin_lim_momentum
    config = GriffinLimConfig(model="griffin_lim", train_on="recorded", iterations=iterations, momentum=momentum)
    griffin_lim = GriffinLim(config, voice.audio)
    makers: dict[str, Callable[[Tensor], Tensor]] = {
        COPY: lambda mel: voice.copy(mel, fit_iterations=0),
        FITTED_COPY: lambda mel: voice.copy(mel, evaluate.fit_iterations),
        GRIFFIN_LIM_COPY: lambda mel: griffin_lim(mel[None])[0],
    }
    trials = []
    for clip, speech in zip(clips, speeches, strict=True):
        waves = {
            RECORDING: clip.wave,
            SYNTHESIS: speech.wave,
            GRIFFIN_LIM_SYNTHESIS: griffin_lim(speech.mel[None])[0],
        }
        copy_s = {}
        for name, make in makers.items():
            started = time.perf_counter()
            waves[name] = make(clip.mel)
            copy_s[name] = time.perf_counter() - started
        trials.append(Trial(clip, speech, waves, copy_s))
    return trials


def _quality(name: str, trials: Sequence[Trial], voice: Voice) -> dict[str, float]:
    """How near the copies come to the recordings; the recordings to themselves, which is the ceiling."""
    pairs = [(trial.clip.wave.numpy(), trial.waves[name].numpy()) for trial in trials]
    measured = mean_quality([measure_quality(recorded, copied, voice.audio) for recorded, copied in pairs])
    if name == RECORDING:
        return measured
    audio_s = sum(len(copied) for _, copied in pairs) / voice.audio.sampling_rate
    return {**measured, "real_time_factor": real_time_factor(sum(trial.copy_s[name] for trial in trials), audio_s)}


def _listen(grammar: Path, trials: Sequence[Trial], sampling_rate: int, console: Console) -> dict[str, list[str]]:
    """What is heard in every rendering of every clip."""
    console.print(f"evaluate: listening to {len(trials)} × {len(NOTES)} renderings", highlight=False)
    waves = [trial.waves[name].numpy() for name in NOTES for trial in trials]
    heard = transcribe_all(grammar, waves, sampling_rate)
    return {name: heard[n * len(trials) : (n + 1) * len(trials)] for n, name in enumerate(NOTES)}


def _metrics(
    trials: Sequence[Trial], heard: dict[str, list[str]], voice: Voice, synthesis_s: float
) -> dict[str, float]:
    spoken = [words_of(trial.clip.spoken_text) for trial in trials]
    rates = {_rate_name(name): word_errors(spoken, words).rate for name, words in heard.items()}
    sampling_rate = voice.audio.sampling_rate
    phrases = [phrase for trial in trials for phrase in trial.speech.phrases]
    alignments = [phrase.alignment.numpy() for phrase in phrases]
    spoken_s = sum(len(trial.speech.wave) for trial in trials) / sampling_rate
    recorded_s = sum(len(trial.clip.wave) for trial in trials) / sampling_rate
    return {
        **rates,
        **mean_quality([opinion_scores(trial.speech.wave.numpy(), sampling_rate) for trial in trials]),
        "mel_cepstral_distortion_db": statistics.fmean(
            mel_cepstral_distortion_db(trial.clip.mel.numpy(), trial.speech.mel.numpy()) for trial in trials
        ),
        "duration_ratio": spoken_s / recorded_s,
        "attention_focus": statistics.fmean(map(attention_focus, alignments)),
        "attention_diagonality": statistics.fmean(map(attention_diagonality, alignments)),
        "stopped_share": statistics.fmean(trial.speech.status == "stopped" for trial in trials),
        "attempts_per_phrase": statistics.fmean(phrase.attempts for phrase in phrases),
        "real_time_factor": real_time_factor(synthesis_s, spoken_s),
        "clips": len(trials),
        "words": sum(len(text.split()) for text in spoken),
    }


def _write_results(
    metrics: dict[str, float], copies: dict[str, dict[str, float]], trials: Sequence[Trial],
    heard: dict[str, list[str]], voice: Voice, seed: int, synthesis: SynthesisConfig,
) -> None:  # fmt: skip
    """Metrics, a row an utterance, and the synthesised WAVs with their sidecars."""
    tree = _rounded(metrics) | {"copies": {name: _rounded(values) for name, values in copies.items()}}
    write_whole(paths.EVALUATION, json.dumps(tree, indent=2) + "\n")
    shutil.rmtree(paths.WAVS, ignore_errors=True)
    paths.WAVS.mkdir(parents=True)
    for number, trial in enumerate(trials, start=1):
        write_speech(trial.speech, voice, seed, synthesis, paths.WAVS, number)
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(["id", "text", "spoken_text", "status", "attempts", *(f"heard_in_{name}" for name in heard)])
    for number, trial in enumerate(trials):
        speech = trial.speech
        row = [trial.clip.id, trial.clip.raw_text, trial.clip.spoken_text, speech.status, speech.attempts]
        writer.writerow([*row, *(words[number] for words in heard.values())])
    write_whole(paths.UTTERANCES, table.getvalue())


def _rounded(metrics: dict[str, float]) -> dict[str, float]:
    return {name: round(value, 5) for name, value in metrics.items()}


def _report(
    metrics: dict[str, float], copies: dict[str, dict[str, float]], trials: Sequence[Trial],
    heard: dict[str, list[str]], voice: Voice, index: ShardIndex, evaluate: EvaluateConfig, synthesis: SynthesisConfig,
) -> Report:  # fmt: skip
    audio, acoustic = voice.audio, voice.acoustic_card
    rows = [
        ComparisonRow(
            _spelt(name),
            {"word_error_rate": metrics[key]} if (key := _rate_name(name)) in metrics else {},
            note,
        )
        for name, note in NOTES.items()
    ]
    return Report(
        title=f"The voice of {index.corpus}",
        summary=f"{len(trials)} texts that neither model ever saw, spoken and compared with their recordings.",
        sampling_rate=audio.sampling_rate,
        hop_length=audio.hop_length,
        metrics={name: value for name, value in metrics.items() if name not in ("clips", "words")},
        comparison=rows if heard else [],
        copies=[ComparisonRow(_spelt(name), values, NOTES[name]) for name, values in copies.items()],
        clips=[_report_clip(number, trial, heard, voice) for number, trial in enumerate(trials)],
        curves={"acoustic model": paths.ACOUSTIC_CURVE, "vocoder": paths.VOCODER_CURVE},
        provenance={
            "corpus (MD5 of the archive)": index.corpus_md5,
            "definition of the mel": audio.fingerprint,
            "features": index.fingerprint,
            "acoustic model": acoustic.fingerprint,
            "vocoder": voice.vocoder_card.fingerprint,
            "voice": voice.fingerprint,
        },
        made_with={"dtc": __version__, "torch": torch.__version__, "Python": platform.python_version()},
        params_yaml=_params_in_force(voice, evaluate, synthesis),
        commands={"make it again": "dvc repro", "say something else": f'dtc say "{trials[0].clip.raw_text}"'},
    )


def _params_in_force(voice: Voice, evaluate: EvaluateConfig, synthesis: SynthesisConfig) -> str:
    """What made this voice and its figures, by the models themselves and not by what params.yaml says by now."""
    tree = {
        "audio": voice.audio.model_dump(mode="json"),
        "acoustic": voice.acoustic_card.config,
        "vocoder": voice.vocoder_card.config,
        "training": {"acoustic": voice.acoustic_card.training, "vocoder": voice.vocoder_card.training},
        "synthesis": synthesis.model_dump(mode="json"),
        "evaluate": evaluate.model_dump(mode="json"),
    }
    return yaml.safe_dump(tree, sort_keys=False)


def _spelt(name: str) -> str:
    return name.replace("_", " ").replace("griffin lim", "Griffin-Lim")


def _rate_name(name: str) -> str:
    return "word_error_rate" if name == SYNTHESIS else f"{name}_word_error_rate"


def _report_clip(number: int, trial: Trial, heard: dict[str, list[str]], voice: Voice) -> ReportClip:
    def rendition(name: str) -> Rendition:
        return Rendition(trial.waves[name].numpy(), heard[name][number] if heard else None)

    speech = trial.speech
    repeated = f", at attempt {speech.attempts}" if speech.attempts > 1 else ""
    return ReportClip(
        id=trial.clip.id, raw_text=trial.clip.raw_text, spoken_text=words_of(trial.clip.spoken_text),
        synthesis=rendition(SYNTHESIS), recording=rendition(RECORDING), copy_synthesis=rendition(COPY),
        stop_status=MEANINGS[speech.status] + repeated, stopped=speech.status == "stopped",
        reference_log_mel=trial.clip.mel.numpy(), synthesised_log_mel=speech.mel.numpy(),
        alignment=speech.alignment.numpy(), symbols=symbols_of(speech.spoken_text),
        seconds_per_step=voice.acoustic.frames_per_step / voice.audio.frames_per_s,
    )  # fmt: skip


def _summarise(
    metrics: dict[str, float], copies: dict[str, dict[str, float]], listened: bool, console: Console
) -> None:
    table = Table("what", "value")
    for name, value in metrics.items():
        table.add_row(name, f"{value:.2%}" if name.endswith("_rate") else f"{value:.4g}")
    console.print(table)
    table = Table("true mels through", *map(_spelt, copies))
    for name in {name: None for values in copies.values() for name in values}:
        table.add_row(name, *(f"{values[name]:.4g}" if name in values else "–" for values in copies.values()))
    console.print(table)
    if missing := not_measured():
        console.print(f"evaluate: {missing}", highlight=False)
    if metrics.get("recording_word_error_rate", 0.0) > FAIR_EAR:
        console.print(f"evaluate: recordings score above {FAIR_EAR:.0%} too: the ear is not fair", highlight=False)
    if not listened:
        console.print("evaluate: evaluate.grammar is null, so nobody listened: no word error rates", highlight=False)
    console.print(f"evaluate: report {paths.REPORT / 'index.html'}, WAVs {paths.WAVS}", highlight=False)
