"""What the page of the report shows of the results of `dtc evaluate`, for `dtc report` to draw."""

from __future__ import annotations

import platform
import shlex
from collections.abc import Mapping

import numpy as np
import torch
import yaml

from dtc import __version__
from dtc.acoustic.utterance_status import STATUS_MEANINGS
from dtc.config import Section
from dtc.report.content import (
    ALIGNMENT,
    PREDICTED_MEL,
    RECORDED_MEL,
    ComparisonRow,
    Rendition,
    Report,
    ReportClip,
)
from dtc.speech import Speech
from dtc.text.symbols import symbols_of, words_of
from dtc.voice import Voice
from pipeline.shards import ShardIndex
from stages import paths
from stages.evaluation_results import (
    COPY,
    NOTES,
    OTHER_TEXTS,
    RECORDING,
    SYNTHESIS,
    Evaluation,
    Sounds,
    Trial,
    rate_name,
    readable,
)


def make_report(
    found: Evaluation, sounds: Sounds, voice: Voice, index: ShardIndex, settings: Mapping[str, Section]
) -> Report:
    """Return the report of an evaluation.

    Args:
        found: the evaluation.
        sounds: its WAV files.
        voice: the voice that was evaluated.
        index: the index of the features that its test clips are from.
        settings: the params sections of synthesis and evaluation, by name.
    """
    return Report(
        title=f"The voice of {index.corpus}",
        summary=f"{len(found.trials)} texts of clips that were not used in training, compared with their recordings.",
        warnings=found.warnings,
        sampling_rate=voice.audio.sampling_rate,
        hop_length=voice.audio.hop_length,
        metrics={name: value for name, value in found.metrics.items() if name not in ("clips", "words")},
        comparison=[_comparison_row(name, _word_errors(found, name)) for name in found.word_error_rates],
        copies=[_comparison_row(name, values) for name, values in found.copies.items()],
        clips=[_report_clip(number, trial, found, sounds, voice) for number, trial in enumerate(found.trials)],
        other_texts=[_other_text(number, speech, found, sounds) for number, speech in enumerate(found.other_texts)],
        curves={"acoustic model": paths.ACOUSTIC_CURVE, "vocoder": paths.VOCODER_CURVE},
        kept={"acoustic model": voice.acoustic_card.kept, "vocoder": voice.vocoder_card.kept},
        provenance=_provenance(voice, index),
        origin=voice.origin,
        made_with=_made_with(),
        params_yaml=_params_in_force(voice, settings),
        commands=_commands(found.trials[0].clip.raw_text),
    )


def _comparison_row(name: str, metrics: Mapping[str, float]) -> ComparisonRow:
    return ComparisonRow(readable(name), metrics, NOTES[name])


def _provenance(voice: Voice, index: ShardIndex) -> dict[str, str]:
    """Return the fingerprints of everything from the corpus to the voice, in the order in which it was made."""
    return {
        "corpus (MD5 of the archive)": index.corpus_md5,
        "manifest (MD5)": index.manifest_md5 or "unknown",
        "definition of the mel": voice.audio.fingerprint,
        "features": index.fingerprint,
        "acoustic model": voice.acoustic_card.fingerprint,
        "vocoder": voice.vocoder_card.fingerprint,
        "voice": voice.fingerprint,
    }


def _made_with() -> dict[str, str]:
    python = ".".join(platform.python_version_tuple()[:2])
    return {"dtc": __version__, "torch": torch.__version__, "Python": python}


def _commands(text: str) -> dict[str, str]:
    """Return commands for copying, by what they are for. `text`: one that the voice can speak."""
    return {
        "Train it again": "dvc repro",
        "Speak a text": say_command(text),
        "Let a machine judge, and people": "dtc judge\ndtc duel",
        "See what changed since the last commit": "dtc report --compare HEAD --open",
    }


def _word_errors(found: Evaluation, name: str) -> dict[str, float]:
    """Return the word error rate of a kind of waveform, and its interval where the metrics have it."""
    rates = {f"word_error_rate{end}": found.metrics.get(f"{rate_name(name)}{end}") for end in ("", "_low", "_high")}
    return {key: rate for key, rate in rates.items() if rate is not None}


def _other_text(number: int, speech: Speech, found: Evaluation, sounds: Sounds) -> ReportClip:
    return ReportClip(
        id=f"text {number + 1}",
        raw_text=speech.raw_text,
        spoken_text=words_of(speech.spoken_text),
        synthesis=Rendition(sounds.other_texts[number], found.recognised[OTHER_TEXTS][number]),
        status=STATUS_MEANINGS[speech.status],
        ended=speech.status == "ended",
    )


def say_command(text: str) -> str:
    r"""Return the shell command that speaks a text, with the text quoted for the shell.

    >>> say_command('for $12.50 he said "ten"')
    'dtc say \'for $12.50 he said "ten"\''
    >>> say_command("-5 degrees")
    "dtc say -- '-5 degrees'"
    """
    return f"dtc say {'-- ' if text.startswith('-') else ''}{shlex.quote(text)}"


def _params_in_force(voice: Voice, settings: Mapping[str, Section]) -> str:
    """Return the params that made this voice and its figures, from the models themselves and not from params.yaml."""
    tree = {
        "audio": voice.audio.model_dump(mode="json"),
        "acoustic": voice.acoustic_card.config,
        "vocoder": voice.vocoder_card.config,
        "training": {"acoustic": voice.acoustic_card.training, "vocoder": voice.vocoder_card.training},
        **{name: section.model_dump(mode="json") for name, section in settings.items()},
    }
    return yaml.safe_dump(tree, sort_keys=False)


def _report_clip(number: int, trial: Trial, found: Evaluation, sounds: Sounds, voice: Voice) -> ReportClip:
    def rendition(name: str) -> Rendition:
        recognised = found.recognised[name][number] if found.recognised else None
        return Rendition(sounds.held_out[trial.clip.id][name], recognised)

    speech = trial.speech
    repeated = f", at attempt {speech.attempts}" if speech.attempts > 1 else ""
    return ReportClip(
        id=trial.clip.id,
        raw_text=trial.clip.raw_text,
        spoken_text=words_of(trial.clip.spoken_text),
        synthesis=rendition(SYNTHESIS),
        recording=rendition(RECORDING),
        copy_synthesis=rendition(COPY),
        status=STATUS_MEANINGS[speech.status] + repeated,
        ended=speech.status == "ended",
        symbols=symbols_of(voice.pronounce(speech.spoken_text)),
        seconds_per_step=speech.seconds_per_step,
    )


def pictures_of(found: Evaluation) -> dict[str, np.ndarray]:
    """Return the arrays that the page draws, by `ID/NAME`."""
    return {
        f"{trial.clip.id}/{name}": tensor.numpy()
        for trial in found.trials
        for name, tensor in (
            (RECORDED_MEL, trial.clip.mel),
            (PREDICTED_MEL, trial.speech.mel),
            (ALIGNMENT, trial.speech.alignment),
        )
    }
