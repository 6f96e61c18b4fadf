"""The figures of `dtc evaluate`: measures of each utterance, and their means over the texts with 95 % intervals."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float

from dtc.audio import log_mel
from dtc.evaluation.distributions import envelope_distances
from dtc.evaluation.intervals import bootstrap_interval, mean_intervals, rate_interval, ratio_of_sums, share_interval
from dtc.evaluation.metrics import real_time_factor
from dtc.evaluation.quality import in_threads, measure_quality, opinion_scores
from dtc.evaluation.utterances import measure_utterance
from dtc.evaluation.word_errors import WordErrors, character_errors, comparable_words, word_errors
from dtc.speech import Speech
from dtc.threads import one_thread
from dtc.voice import Voice
from stages.evaluation_results import (
    COPIES,
    COPY,
    MEANINGS,
    OTHER_TEXTS,
    RECORDING,
    SYNTHESIS,
    Trial,
    rate_name,
)

SEED = 1  # of the draws of the intervals
RATIO = "duration_ratio"
WITH_OPINIONS = (RECORDING, COPY)  # of the copies: opinion scores take most of the time of an evaluation


def count_errors(
    trials: Sequence[Trial], other_texts: Sequence[Speech], recognised: Mapping[str, Sequence[str]]
) -> dict[str, list[WordErrors]]:
    """Return the word errors in each text of every kind of waveform that a recogniser has transcribed."""
    held_out = [trial.clip.spoken_text for trial in trials]
    expected = {OTHER_TEXTS: [speech.spoken_text for speech in other_texts]}
    return {
        name: [word_errors([text], [heard]) for text, heard in zip(expected.get(name, held_out), words, strict=True)]
        for name, words in recognised.items()
    }


def error_rates(
    trials: Sequence[Trial], counted: Mapping[str, Sequence[WordErrors]], recognised: Mapping[str, Sequence[str]]
) -> dict[str, float]:
    """Return the word error rates by kind of waveform, and character error rates, with the ends of their intervals."""
    counts = {rate_name(name): [(each.errors, each.words) for each in errors] for name, errors in counted.items()}
    for name, metric in ((SYNTHESIS, "character_error_rate"), (RECORDING, "recording_character_error_rate")):
        if name in recognised:
            counts[metric] = [
                character_errors(trial.clip.spoken_text, heard)
                for trial, heard in zip(trials, recognised[name], strict=True)
            ]
    found: dict[str, float] = {}
    for name, pairs in counts.items():
        found |= rate_interval(np.array(pairs, dtype=np.float64), seed=SEED).named(name)
    return {name: value for name, value in found.items() if math.isfinite(value)}  # JSON has no others


def errors_of_utterances(trials: Sequence[Trial], recognised: Mapping[str, Sequence[str]]) -> list[dict[str, float]]:
    """Return the word and character errors of each utterance of the voice; nothing where there is no recogniser."""
    if SYNTHESIS not in recognised:
        return [{} for _ in trials]
    pairs = [(trial.clip.spoken_text, heard) for trial, heard in zip(trials, recognised[SYNTHESIS], strict=True)]
    return [
        {"word_errors": word_errors([text], [heard]).errors, "character_errors": character_errors(text, heard)[0]}
        for text, heard in pairs
    ]


def measure_utterances(trials: Sequence[Trial], voice: Voice) -> list[dict[str, float]]:
    """Return the measures of each utterance that need no recogniser; NaN where one is not defined."""

    def measured(trial: Trial) -> dict[str, float]:
        opinions = opinion_scores(trial.waves[SYNTHESIS].numpy(), voice.audio.sampling_rate)
        return opinions | measure_utterance(trial.clip, trial.speech, voice.audio, voice.acoustic.attends)

    return in_threads(measured, trials)


def voice_figures(trials: Sequence[Trial], utterances: Sequence[Mapping[str, float]], voice: Voice) -> dict[str, float]:
    """Return the figures of the voice that need no recogniser, with the ends of the means' intervals.

    The duration ratio is that of all utterances together. The distances of distributions are no means and have none.
    """
    ended = np.array([each["ended_share"] for each in utterances])
    means = mean_intervals(utterances, seed=SEED) | share_interval(ended, seed=SEED).named("ended_share")
    seconds = np.array([(len(trial.speech.wave), len(trial.clip.wave)) for trial in trials], dtype=np.float64)
    ratio = bootstrap_interval(seconds, ratio_of_sums, seed=SEED).named(RATIO)
    words = sum(len(comparable_words(trial.clip.spoken_text)) for trial in trials)
    return means | ratio | _distances(SYNTHESIS, trials, voice) | {"clips": len(trials), "words": words}


def copy_figures(trials: Sequence[Trial], voice: Voice) -> dict[str, dict[str, float]]:
    """Return the mean quality of each kind of copy against the recordings, which are copies of themselves too."""
    return {
        name: mean_intervals(_qualities(name, trials, voice), seed=SEED) | _distances(name, trials, voice)
        for name in COPIES
    }


def _qualities(name: str, trials: Sequence[Trial], voice: Voice) -> list[dict[str, float]]:
    def measured(trial: Trial) -> dict[str, float]:
        copy = trial.waves[name].numpy()
        opinions = opinion_scores(copy, voice.audio.sampling_rate) if name in WITH_OPINIONS else {}
        return measure_quality(trial.clip.wave.numpy(), copy, voice.audio) | opinions

    return in_threads(measured, trials)


@one_thread()
def _distances(name: str, trials: Sequence[Trial], voice: Voice) -> dict[str, float]:
    """Return the distances of the waveforms from the recordings as distributions, without undefined ones."""
    found = envelope_distances(_mels(RECORDING, trials, voice), _mels(name, trials, voice))
    return {measure: value for measure, value in found.items() if math.isfinite(value)}


def _mels(name: str, trials: Sequence[Trial], voice: Voice) -> list[Float[np.ndarray, "mels _"]]:
    """Return the mels of the waveforms, without those that are too short for one frame."""
    waves = [trial.waves[name] for trial in trials]
    longer = [wave for wave in waves if len(wave) > voice.audio.filter_length // 2]
    return [log_mel(wave[None], voice.audio)[0].numpy() for wave in longer]


def timing(trials: Sequence[Trial], voice: Voice, synthesis_seconds: float) -> dict[str, float]:
    """Return the seconds of computing per second of audio of the synthesis and of each copy."""
    seconds = {name: sum(trial.copy_seconds[name] for trial in trials) for name in trials[0].copy_seconds}
    samples = {name: sum(len(trial.waves[name]) for trial in trials) for name in MEANINGS}
    return {
        name: real_time_factor(spent, samples[name] / voice.audio.sampling_rate)
        for name, spent in {SYNTHESIS: synthesis_seconds, **seconds}.items()
    }
