"""params.yaml as one typed tree. Every stage reads the sections in its signature, no more."""

from __future__ import annotations

from pathlib import Path

from pydantic import model_validator

from dtc.acoustic import AcousticConfig
from dtc.audio_config import AudioConfig
from dtc.config import Section, read_params
from dtc.evaluation import EvaluateConfig
from dtc.text.symbols import TextConfig
from dtc.training.loop import TrainingConfig
from dtc.vocoder import VocoderConfig
from dtc.vocoder.vocos import VocosConfig
from dtc.vocoder.waveglow import WaveGlowConfig
from dtc.voice import SynthesisConfig
from pipeline.config import DistributedConfig, FeaturesConfig, RecordingConfig, VerifyConfig
from pipeline.corpora import CorpusConfig, find_grammar
from pipeline.split import SplitConfig


class TrainingSections(Section):
    """How each of the two models is trained."""

    acoustic: TrainingConfig
    vocoder: TrainingConfig


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
    synthesis: SynthesisConfig
    evaluate: EvaluateConfig

    @model_validator(mode="after")
    def _check(self) -> Params:
        if isinstance(self.vocoder, VocosConfig):
            segment = self.vocoder.segment_frames * self.audio.hop_length
            largest = max(*self.vocoder.loss.fft_sizes, self.audio.filter_length)
            if segment <= largest // 2:
                found = f"vocoder.segment_frames {self.vocoder.segment_frames} are {segment} samples"
                raise ValueError(f"{found}, expected more than half of the largest FFT ({largest})")
        if self.training.acoustic.loss_spike_deviations and not isinstance(self.acoustic.frames_per_step, int):
            found = "training.acoustic.loss_spike_deviations with a schedule in acoustic.frames_per_step"
            raise ValueError(f"{found}, expected null, as a schedule moves the loss")
        if isinstance(self.vocoder, WaveGlowConfig) and self.audio.hop_length % self.vocoder.group_size:
            found = f"vocoder.group_size {self.vocoder.group_size}"
            raise ValueError(f"{found}, expected a divisor of audio.hop_length {self.audio.hop_length}")
        return self


def load_params(path: Path) -> Params:
    """The params file of the project. A grammar that is not there is refused now, not after hours of training."""
    params = read_params(path, Params)
    if params.evaluate.grammar is not None:
        find_grammar(params.evaluate.grammar)
    return params
