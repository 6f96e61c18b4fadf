"""Measure in a training how well a recogniser understands the model: the `listen` of a `dtc.training.task.Task`.

A fixed handful of validation clips is spoken by the acoustic model, or copied from their mels by the vocoder, and the
recogniser of the section `evaluate` transcribes it. The acoustic model speaks through Griffin-Lim, so that its metrics
depend on no other trained model.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple, cast

import numpy as np
import torch
from torch import nn

from dtc.acoustic.base import AcousticModel
from dtc.batch import Clip
from dtc.errors import InputError, install_hint, named
from dtc.evaluation import NO_RECOGNISER, RECOGNISERS, EarConfig
from dtc.evaluation.neural_quality import distill_mos
from dtc.evaluation.quality_inputs import Wave, is_installed, require_installed
from dtc.evaluation.recognisers import Recogniser
from dtc.evaluation.word_errors import WordErrors, comparable_words, word_errors
from dtc.model_card import ModelCard, ModelKind
from dtc.seeding import seed_of
from dtc.synthesis_config import DEFAULT_SYNTHESIS
from dtc.training.interrupts import StopRequest
from dtc.training.logbook import Logbook
from dtc.training.stopping import SPOKEN_METRICS, deciding_metrics
from dtc.training.task import device_of
from dtc.vocoder.configs import GriffinLimConfig
from dtc.vocoder.griffin_lim import GriffinLim
from dtc.voice import Voice
from pipeline.batching import Batching
from pipeline.loader import ShardLoader
from stages import paths
from stages.ears import own_ear_of
from stages.evaluation_verdict import not_judged

if TYPE_CHECKING:
    from dtc.training.config import RunConfig
    from stages.training_recipe import Recipe

MOST_CLIPS = 16  # of the handful
CLIPS_AT_ONCE = 4  # made between two looks at whether a stop is requested
SOUNDS = 3  # in TensorBoard, each time
LONGEST = 3.0  # times the recording; what is spoken after that is not recognised
SEED = 1
DEVIATIONS = 2.0  # standard deviations of the word errors that are taken for noise
# `dtc evaluate` has 60 iterations; the demo's voice has as many word errors with these, which take a third of the time.
GRIFFIN_LIM = GriffinLimConfig(model="griffin_lim", train_on="recorded", iterations=16, momentum=0.99)
SYNTHESIS = DEFAULT_SYNTHESIS.model_copy(update={"attempts": 1})


class Spoken(NamedTuple):
    """What a model has made of a clip."""

    wave: Wave
    ended: bool  # whether the whole text was spoken


Speak = Callable[[nn.Module, Sequence[Clip], int], list[Spoken]]  # the number is that of the training steps so far


def listening_of(recipe: Recipe, how: RunConfig, ear: EarConfig | None, logbook: Logbook) -> Listening | None:
    """Return what measures the speech of a model in training; None where `run` does not ask for it.

    Prints the recogniser's word errors in the recordings. Raises InputError where a metric of speech is to decide
    something and is not computed, and where the recogniser cannot be used.
    """
    kind = recipe.kind.name
    require_computed(kind, how, deciding_metrics(recipe.training))
    if how.speak_every is None or ear is None:
        return None
    card = recipe.card()
    speak: Speak = partial(speak_texts, card) if kind == "acoustic" else copy_mels
    listening = Listening(handful(), recogniser_of(ear, kind), speak, metrics_of(kind), card.audio.sampling_rate)
    recorded = listening.word_errors([clip.wave.numpy() for clip in listening.clips])
    facts = f"the recogniser gets {recorded.rate:.1%} of {recorded.words} words in validation recordings wrong"
    logbook.print(not_judged(recorded) or facts)
    return listening


def require_computed(kind: ModelKind, how: RunConfig, deciding: Mapping[str, str]) -> None:
    """Raise InputError where one of the metrics that decide something, by key, is one of speech and not computed."""
    for key, metric in deciding.items():
        if metric not in SPOKEN_METRICS:
            continue
        if how.speak_every is None and metric != "duration_ratio":  # which a loss may have too
            found = f"null, so nothing is spoken, and training.{kind}.{key} follows {metric}"
            raise InputError(f"run.{kind}.speak_every", found, "a number of steps", f"or set {key} to another metric")
        if how.speak_every is not None and metric not in (known := metrics_of(kind)):
            if metric == "opinion_score" and not is_installed("DistillMOS"):
                require_installed("DistillMOS")
            found = f"{metric}, which is not computed of the sounds of a {kind} model"
            raise InputError(f"training.{kind}.{key}", found, f"one of {named(known)}")


def metrics_of(kind: ModelKind) -> list[str]:
    """Return the metrics that are computed of the sounds of a model, by what is installed."""
    of_both = ["word_error_rate", *(["opinion_score"] if is_installed("DistillMOS") else [])]
    return of_both if kind == "vocoder" else [*of_both, "duration_ratio", "ended_share"]


def recogniser_of(ear: EarConfig, kind: ModelKind) -> Recogniser:
    """Return the recogniser that a section names. Raises InputError where there is none, or it cannot be used."""
    if ear.ear == NO_RECOGNISER:
        remedy = f"set one, or run.{kind}.speak_every to null"
        raise InputError("evaluate.ear", ear.ear, f"one of {named(RECOGNISERS.names())}", remedy)
    try:
        return RECOGNISERS.get(ear.ear)(own_ear_of(ear))
    except ModuleNotFoundError as error:
        remedy = f"install it with `{install_hint('train', 'ear')}`, or set run.{kind}.speak_every to null"
        found = f"{ear.ear} needs {error.name}, which is not installed"
        raise InputError("evaluate.ear", found, remedy=remedy) from None


def handful() -> list[Clip]:
    """Return the validation clips to speak: the first ones with words, in the order of a hash of their ids."""
    loader = ShardLoader(paths.FEATURES, "validation", Batching(1))
    entries = sorted(loader.entries, key=lambda entry: seed_of(repr(("spoken", entry.id))))
    clips = (clip for clip in map(loader.read, entries) if comparable_words(clip.spoken_text))
    found = list(islice(clips, MOST_CLIPS))
    if not found:
        raise InputError(paths.FEATURES, "no validation clip has words", "one to speak", "set speak_every to null")
    return found


class Listening:
    """Lets a model in training speak a handful of clips, and computes metrics of the sounds.

    Args:
        clips: the handful.
        recogniser: transcribes the sounds.
        speak: makes them.
        metrics: the names of those to compute.
        sampling_rate: of the clips, in Hz.
    """

    def __init__(
        self, clips: Sequence[Clip], recogniser: Recogniser, speak: Speak, metrics: Sequence[str], sampling_rate: int
    ) -> None:
        self.clips, self.recogniser, self.speak = clips, recogniser, speak
        self.metrics, self.sampling_rate = metrics, sampling_rate

    def __call__(self, model: nn.Module, logbook: Logbook, step: int, stop: StopRequest) -> dict[str, float] | None:
        """Return the metrics, and log them and some sounds; None where a stop is requested before all are computed."""
        spoken, heard, scores = list[Spoken](), list[str](), list[float]()
        for first in range(0, len(self.clips), CLIPS_AT_ONCE):
            if stop.requested:
                return None
            spoken += self.speak(model, self.clips[first : first + CLIPS_AT_ONCE], step)
        for clip, each in zip(self.clips, spoken, strict=True):
            if stop.requested:
                return None
            wave = each.wave[: int(LONGEST * len(clip.wave))]
            heard.append(self.recogniser.transcribe(wave, self.sampling_rate))
            scores += [distill_mos(wave, self.sampling_rate)] if "opinion_score" in self.metrics else []
        values = self._values(spoken, heard, scores)
        self._log(logbook, step, spoken, values)
        return values

    def word_errors(self, waves: Sequence[Wave]) -> WordErrors:
        """Return the word errors that the recogniser makes in one waveform of each clip."""
        return self._errors([self.recogniser.transcribe(wave, self.sampling_rate) for wave in waves])

    def _errors(self, heard: Sequence[str]) -> WordErrors:
        return word_errors([clip.spoken_text for clip in self.clips], heard)

    def _values(self, spoken: Sequence[Spoken], heard: Sequence[str], scores: Sequence[float]) -> dict[str, float]:
        seconds = [sum(map(len, waves)) for waves in ([each.wave for each in spoken], [c.wave for c in self.clips])]
        defined = [score for score in scores if not math.isnan(score)]
        errors = self._errors(heard)
        values = {
            "word_error_rate": errors.rate,
            "duration_ratio": seconds[0] / seconds[1],
            "ended_share": statistics.fmean(each.ended for each in spoken),
        } | ({"opinion_score": statistics.fmean(defined)} if defined else {})
        # Errors are counted, and a count of n has a standard deviation of about √n.
        noise = {"word_error_rate_noise": DEVIATIONS * math.sqrt(max(errors.errors, 1)) / errors.words}
        return {name: value for name, value in values.items() if name in self.metrics} | noise

    def _log(self, logbook: Logbook, step: int, spoken: Sequence[Spoken], values: Mapping[str, float]) -> None:
        for number, each in enumerate(spoken[:SOUNDS], 1):
            if len(each.wave):
                logbook.audio(step, f"spoken/{number}", np.clip(each.wave, -1.0, 1.0), self.sampling_rate)
        shown = ", ".join(f"{name.replace('_', ' ')} {values[name]:.3g}" for name in self.metrics if name in values)
        logbook.print(f"step {step}, spoken: {shown}")


def speak_texts(card: ModelCard, model: nn.Module, clips: Sequence[Clip], step: int) -> list[Spoken]:
    """Return the texts of clips as an acoustic model speaks them through Griffin-Lim.

    Nothing is spoken by a model that predicts no plausible durations, or NaN: it may do so early in its training.
    """
    acoustic_card = card.model_copy(update={"steps": step})
    vocoder_card = card.model_copy(update={"kind": "vocoder", "config": GRIFFIN_LIM.model_dump(mode="json")})
    voice = Voice(cast(AcousticModel, model), acoustic_card, GriffinLim(GRIFFIN_LIM, card.audio), vocoder_card)
    texts = [clip.raw_text for clip in clips], [clip.spoken_text for clip in clips]
    try:
        speeches = voice.speak_words(*texts, SEED, SYNTHESIS)
    except InputError:
        return [Spoken(np.zeros(0, np.float32), False)] * len(clips)
    return [Spoken(speech.wave.numpy(), speech.status == "ended") for speech in speeches]


@torch.inference_mode()
def copy_mels(model: nn.Module, clips: Sequence[Clip], step: int) -> list[Spoken]:
    """Return the copies that a vocoder makes of clips from their recorded mels."""
    device = device_of(model)
    return [Spoken(model(clip.mel[None].to(device))[0].cpu().numpy(), True) for clip in clips]
