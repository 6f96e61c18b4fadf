"""The params sections of the acoustic models, chosen by `acoustic.model`. This file imports no torch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, cast

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt, field_validator

from dtc.acoustic.attention import AttentionConfig
from dtc.config import ModelSection, Odd, Section, Share

WeightFormat = Literal["float32", "float16", "int8"]  # of a decoder's recurrent weights at inference
Schedule = tuple[tuple[NonNegativeInt, PositiveInt], ...]  # (from this training step, frames per decoder step)
STARTED_SHARE = 0.1  # of the aligner's steps, where it is trained already


class AcousticSection(ModelSection):
    """Base of the params section of every acoustic model."""

    @property
    def loss_schedule(self) -> str | None:
        """Return the key of a schedule that makes the loss jump during training, or None where there is none."""
        return None


class EncoderConfig(Section):
    """Sizes and dropout of the encoder: convolutions over the symbols, then a bidirectional LSTM of the same width."""

    num_convolutions: PositiveInt
    embedding_dim: PositiveInt
    kernel_size: Odd
    dropout_rate: Share


class DecoderConfig(Section):
    """Sizes and dropout of the decoder, and the limits of an utterance."""

    rnn_dim: PositiveInt
    pre_net_dim: PositiveInt
    pre_net_dropout: Share  # also at inference, where it depends on the seed
    max_decoder_steps: PositiveInt
    max_frames_per_symbol: PositiveFloat  # limits an utterance by the length of its text
    gate_threshold: float = Field(gt=0.0, lt=1.0)
    attention_dropout: Share
    decoder_dropout: Share
    frame_dropout: Share  # share of the previous frames that training replaces by the mean
    gradient_checkpointing: bool  # recompute the attention's steps in the backward pass: less memory, slower


class PostNetConfig(Section):
    """Sizes and dropout of the post-net: convolutions that predict a correction of the decoder's mel."""

    num_convolutions: int = Field(ge=2)
    embedding_dim: PositiveInt
    kernel_size: Odd
    dropout_rate: Share


class AcousticLossConfig(Section):
    """Weights of the loss's terms; 0 switches a term off. The mel terms (before and after the post-net) weigh 1."""

    gate_weight: NonNegativeFloat
    gate_positive_weight: PositiveFloat  # weight of the one last step against each step before it
    guided_attention_weight: NonNegativeFloat
    guided_attention_sigma: PositiveFloat  # tolerated distance from the diagonal, as a share of the text
    guided_attention_half_life: PositiveInt | None  # steps in which the weight is halved; null: it is constant
    mel_difference_weight: NonNegativeFloat  # weight of the error of the change from frame to frame
    stft_weight: NonNegativeFloat  # weight of the error of the linear-frequency magnitudes of the mel


class TacotronSection(AcousticSection):
    """Settings that Tacotron 2 and DTC share; names as in NVIDIA/tacotron2 and the original system."""

    symbols_embedding_dim: PositiveInt
    frames_per_step: PositiveInt | Schedule  # predicted at once; or [[from this training step, frames], …]
    mask_convolutions: bool  # false: padding reaches the convolutions, as in NVIDIA/tacotron2
    encoder: EncoderConfig
    attention: AttentionConfig
    decoder: DecoderConfig
    post_net: PostNetConfig
    loss: AcousticLossConfig

    @property
    def family(self) -> str:
        """Return the family of Tacotron 2 and DTC, which differ in the backward decoder alone."""
        return "tacotron2"

    @field_validator("frames_per_step")
    @classmethod
    def _check_schedule(cls, value: int | Schedule) -> int | Schedule:
        if isinstance(value, int):
            return value
        steps = [step for step, _ in value]
        if steps[:1] != [0] or steps != sorted(set(steps)):
            raise ValueError(f"found steps {steps}, expected [[step, frames], …] from step 0 on, the steps rising")
        return value

    @property
    def loss_schedule(self) -> str | None:
        """Return the key of `frames_per_step` where it is a schedule."""
        return None if isinstance(self.frames_per_step, int) else "acoustic.frames_per_step"

    def frames_per_step_at(self, step: int) -> int:
        """Return the frames of a decoder step after `step` steps of training."""
        if isinstance(self.frames_per_step, int):
            return self.frames_per_step
        return next(frames for first, frames in reversed(self.frames_per_step) if first <= step)

    @property
    def most_frames_per_step(self) -> int:
        """Return the most frames that a decoder step ever has."""
        if isinstance(self.frames_per_step, int):
            return self.frames_per_step
        return max(frames for _, frames in self.frames_per_step)


class Tacotron2Config(TacotronSection):
    """The section of Tacotron 2, which has 28,193,153 parameters with the sizes of its paper."""

    model: Literal["tacotron2"]


class DuelConfig(Section):
    """Weights of the backward decoder's terms and of the agreement of both decoders of DTC; 0 switches a term off."""

    backward_weight: NonNegativeFloat  # weight of the backward decoder's own terms
    mel_agreement_weight: NonNegativeFloat
    attention_agreement_weight: NonNegativeFloat
    fade_steps: PositiveInt | None  # training steps in which these weights fall to 0; null: they are constant

    def share_at(self, step: int) -> float:
        """Return the share of the weights that is left at a step of the training."""
        return max(0.0, 1.0 - step / self.fade_steps) if self.fade_steps else 1.0


class DTCConfig(TacotronSection):
    """The section of DTC: Tacotron 2 with a second decoder, backwards in time, during training."""

    model: Literal["dtc"]
    reverse_decoder: bool  # false: the forward decoder alone, as Tacotron 2
    duel: DuelConfig


class AlignerConfig(Section):
    """Sizes of the aligner, which is trained alone in the first steps and not changed afterwards."""

    features: Literal["cepstra", "bands"]  # of a frame; bands, as in the first models, finds boundaries less exactly
    steps: PositiveInt  # of training
    embedding_dim: PositiveInt
    hidden_dim: PositiveInt
    kernel_size: Odd  # symbols of which the sound of a symbol depends
    # Factor of the log-likelihood of a frame. Features and successive frames are correlated: taken as independent, they
    # would make alignments certain from the first step.
    temper: PositiveFloat


class ConvNeXtConfig(Section):
    """Blocks of a depthwise convolution over time and a two-layer perceptron."""

    num_layers: PositiveInt
    dim: PositiveInt
    intermediate_dim: PositiveInt
    kernel_size: Odd
    dropout_rate: Share


class ParallelConfig(AcousticSection):
    """A model that predicts the duration of each symbol, and then all frames at once."""

    model: Literal["parallel"]
    aligner: AlignerConfig
    encoder: ConvNeXtConfig
    duration: ConvNeXtConfig
    decoder: ConvNeXtConfig
    duration_weight: NonNegativeFloat  # of the loss of the durations; that of the mel weighs 1

    def started(self, theirs: ModelSection, takes: Callable[[str], bool]) -> ParallelConfig:
        """Return the section with few of the aligner's steps, where a trained aligner of the same sizes is taken."""
        few = {"steps": max(1, round(STARTED_SHARE * self.aligner.steps))}
        trained = cast(ParallelConfig, theirs).aligner.model_copy(update=few)
        shorter = self.aligner.model_copy(update=few)
        return self.model_copy(update={"aligner": shorter}) if takes("aligner") and trained == shorter else self
