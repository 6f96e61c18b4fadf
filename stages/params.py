"""params.yaml as one typed tree. Every stage reads the sections in its signature, no more."""

from __future__ import annotations

from pathlib import Path

from pydantic import model_validator

from dtc.acoustic import AcousticConfig
from dtc.audio_config import AudioConfig
from dtc.config import Section, read_params
from dtc.evaluation import NO_RECOGNISER, EvaluateConfig
from dtc.text.symbols import TextConfig
from dtc.training.config import RunConfig, TrainingConfig
from dtc.vocoder import VocoderConfig
from dtc.voice import SynthesisConfig
from pipeline.config import DistributedConfig, FeaturesConfig, RecordingConfig, VerifyConfig
from pipeline.corpora import CorpusConfig, find_grammar
from pipeline.split import SplitConfig


class TrainingSections(Section):
    """How each of the two models is trained."""

    acoustic: TrainingConfig
    vocoder: TrainingConfig


class RunSections(Section):
    """How the training of each of the two models is run."""

    acoustic: RunConfig
    vocoder: RunConfig


class Params(Section):
    """The experiment, whole."""

    corpus: CorpusConfig
    recording: RecordingConfig
    verify: VerifyConfig
    audio: AudioConfig
    text: TextConfig
    features: FeaturesConfig
    distributed: DistributedConfig
    split: SplitConfig
    acoustic: AcousticConfig
    vocoder: VocoderConfig
    training: TrainingSections
    run: RunSections
    synthesis: SynthesisConfig
    evaluate: EvaluateConfig

    @model_validator(mode="after")
    def _check(self) -> Params:
        self.vocoder.check(self.audio)
        if self.training.acoustic.loss_spike_deviations and (schedule := self.acoustic.loss_schedule):
            found = f"training.acoustic.loss_spike_deviations with a schedule in {schedule}"
            raise ValueError(f"{found}, expected null, as a schedule moves the loss")
        return self


def load_params(path: Path) -> Params:
    """The params file of the project. A grammar that is not there is refused now, not after hours of training."""
    params = read_params(path, Params)
    if params.evaluate.ear != NO_RECOGNISER and params.evaluate.grammar is not None:
        find_grammar(params.evaluate.grammar)
    return params
