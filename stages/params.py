"""params.yaml as one typed tree. Every stage reads the sections in its signature, no more."""

from __future__ import annotations

from pathlib import Path

from dtc.acoustic import AcousticConfig
from dtc.audio import AudioConfig
from dtc.config import Section, read_params
from dtc.evaluation import EvaluateConfig
from dtc.text.symbols import TextConfig
from dtc.training.loop import TrainingConfig
from dtc.vocoder import VocoderConfig
from pipeline.corpora import CorpusConfig
from pipeline.features import FeaturesConfig
from pipeline.split import SplitConfig


class TrainingSections(Section):
    """How each of the two models is trained."""

    acoustic: TrainingConfig
    vocoder: TrainingConfig


class Params(Section):
    """The experiment, whole."""

    corpus: CorpusConfig
    audio: AudioConfig
    text: TextConfig
    features: FeaturesConfig
    split: SplitConfig
    acoustic: AcousticConfig
    vocoder: VocoderConfig
    training: TrainingSections
    evaluate: EvaluateConfig


def load_params(path: Path) -> Params:
    """The params file of the project."""
    return read_params(path, Params)
