"""Sections of params.yaml for the vocoders and their losses. Reading them does not import torch."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt, model_validator

from dtc.audio_config import AudioConfig
from dtc.config import ModelSection, Odd, Section
from dtc.errors import InputError

TrainOn = Literal["recorded", "gta", "both"]
Even = Annotated[int, Field(ge=2, multiple_of=2)]


class VocoderSection(ModelSection):
    """Base of the section of every vocoder."""

    # Mels to train on: of the recordings, predicted for them by the acoustic model (`dtc align`), or both in turn.
    train_on: TrainOn

    def check(self, audio: AudioConfig, where: object = "vocoder") -> None:
        """Raise InputError, naming `where`, if the section does not fit the audio section."""


class SegmentSection(VocoderSection):
    """Base of the section of every trainable vocoder, which is trained on random segments of clips."""

    segment_frames: PositiveInt  # length of a training segment
    attenuation_db: NonNegativeFloat  # largest random attenuation of a training segment; 0: none


class GriffinLimConfig(VocoderSection):
    """Number of iterations and momentum of the fast Griffin-Lim algorithm."""

    model: Literal["griffin_lim"]
    train_on: Literal["recorded"]  # it has no weights and is not trained
    iterations: PositiveInt
    momentum: float = Field(ge=0.0, lt=1.0)


class SpectralLossConfig(Section):
    """FFT sizes and weights of the multi-resolution STFT loss; the weight 0 switches a term off.

    The hop is a quarter of the FFT size, and the Hann window is as long as the FFT.
    """

    fft_sizes: tuple[Annotated[int, Field(ge=16)], ...] = Field(min_length=1)
    convergence_weight: NonNegativeFloat
    log_magnitude_weight: NonNegativeFloat
    mel_weight: NonNegativeFloat


class DiscriminatorsConfig(Section):
    """Sizes of the discriminators: one for each period, and one for each FFT size."""

    periods: tuple[Annotated[int, Field(ge=2)], ...] = Field(min_length=1)
    period_channels: tuple[PositiveInt, ...] = Field(min_length=1)  # output channels of each layer
    fft_sizes: tuple[Annotated[int, Field(ge=16)], ...] = Field(min_length=1)
    spectrum_channels: PositiveInt


class AdversarialConfig(Section):
    """Start of the adversarial training, weights of its losses, and the discriminators."""

    start_step: NonNegativeInt  # training step from which on the discriminators are trained and used
    adversarial_weight: NonNegativeFloat
    feature_matching_weight: NonNegativeFloat
    discriminators: DiscriminatorsConfig


class VocosConfig(SegmentSection):
    """Width, depth and losses of Vocos. The STFT of its head is that of the audio section."""

    model: Literal["vocos"]
    dim: PositiveInt
    intermediate_dim: PositiveInt
    num_layers: PositiveInt
    kernel_size: Odd
    mel_blur: float = Field(ge=0.0, le=1.0)  # largest random share of a 3 × 3 mean in a training mel; 0: none
    loss: SpectralLossConfig
    adversarial: AdversarialConfig | None  # null: no discriminators

    def check(self, audio: AudioConfig, where: object = "vocoder") -> None:
        """Raise InputError, naming `where`, if a training segment is too short for the largest FFT."""
        samples = self.segment_frames * audio.hop_length
        largest = max(*self.loss.fft_sizes, audio.filter_length)
        if samples <= largest // 2:
            found = f"segment_frames {self.segment_frames} are {samples} samples"
            raise InputError(where, found, f"more than half of the largest FFT ({largest})")


class WaveNetConfig(Section):
    """Sizes of the network in each flow of WaveGlow; layer i has dilation 2**i."""

    num_layers: PositiveInt
    num_channels: Even
    kernel_size: Odd


class WaveGlowConfig(SegmentSection):
    """Flows, networks and noise of WaveGlow."""

    model: Literal["waveglow"]
    num_flows: PositiveInt
    group_size: Even  # samples that form the channels of one position
    early_every: PositiveInt  # after this many flows,
    early_size: Even  # this many channels leave the chain and are part of z
    # How the networks receive the mel. upsampled: by a transposed convolution to the sampling rate, as in NVIDIA's
    # WaveGlow. interpolated: weighted at the rate of frames and interpolated to positions, which takes two fifths fewer
    # operations at full size.
    conditioning: Literal["upsampled", "interpolated"]
    # Coefficient of the pre-emphasis of the training waveform, undone in synthesis. A whitened spectrum is closer to
    # noise. 0, as in NVIDIA's WaveGlow: none.
    pre_emphasis: float = Field(ge=0.0, le=0.99)
    wavenet: WaveNetConfig
    sigma: PositiveFloat  # standard deviation of z in training
    infer_sigma: NonNegativeFloat  # standard deviation of z in synthesis
    denoiser_strength: NonNegativeFloat  # 0: no denoiser

    @model_validator(mode="after")
    def _check_channels(self) -> WaveGlowConfig:
        if (left := self.channels[-1]) < 2:
            raise ValueError(f"early_every and early_size leave the last flow {left} channels, expected 2 or more")
        return self

    @property
    def channels(self) -> tuple[int, ...]:
        """Return the number of channels of each flow."""
        return tuple(self.group_size - number // self.early_every * self.early_size for number in range(self.num_flows))

    def check(self, audio: AudioConfig, where: object = "vocoder") -> None:
        """Raise InputError, naming `where`, unless a frame is a whole number of groups of samples."""
        if audio.hop_length % self.group_size:
            raise InputError(where, f"group_size {self.group_size}", f"a divisor of hop_length {audio.hop_length}")
