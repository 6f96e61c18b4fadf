"""Tacotron 2 of tiny sizes, and random clips for it."""

from dataclasses import replace

import torch
import torch.nn.functional as F

from dtc.acoustic import ACOUSTIC_MODELS
from dtc.acoustic.base import InferenceOptions
from dtc.acoustic.configs import Tacotron2Config
from dtc.acoustic.layers import MaskedBatchNorm
from dtc.acoustic.tacotron2 import Tacotron2
from dtc.audio import MelStatistics
from dtc.audio_config import AudioConfig
from dtc.batch import Batch, Clip, collate
from dtc.seeding import seed_all

MELS = 20
AUDIO = AudioConfig(
    sampling_rate=16000,
    filter_length=512,
    hop_length=128,
    win_length=512,
    n_mel_channels=MELS,
    mel_fmin=0.0,
    mel_fmax=8000.0,
)
OPTIONS = InferenceOptions(step=0)
NEVER = 0.999999  # a gate threshold that no untrained model reaches
PARITY_TOLERANCE = 1e-5  # float32, different order of summation


def config(frames_per_step: int = 1, **decoder: float) -> Tacotron2Config:
    return Tacotron2Config.model_validate(
        {
            "model": "tacotron2",
            "symbols_embedding_dim": 32,
            "frames_per_step": frames_per_step,
            "mask_convolutions": True,
            "encoder": {"num_convolutions": 3, "embedding_dim": 32, "kernel_size": 5, "dropout_rate": 0.5},
            "attention": {
                "model": "location_sensitive",
                "rnn_dim": 48,
                "attention_dim": 16,
                "num_filters": 8,
                "kernel_size": 31,
            },
            "decoder": {
                "rnn_dim": 40,
                "pre_net_dim": 24,
                "pre_net_dropout": 0.5,
                "max_decoder_steps": 50,
                "max_frames_per_symbol": 4.0,
                "gate_threshold": 0.5,
                "attention_dropout": 0.1,
                "decoder_dropout": 0.1,
                "frame_dropout": 0.0,
                "gradient_checkpointing": False,
                **decoder,
            },
            "post_net": {"num_convolutions": 5, "embedding_dim": 32, "kernel_size": 5, "dropout_rate": 0.5},
            "loss": {
                "gate_weight": 1.0,
                "gate_positive_weight": 5.0,
                "guided_attention_weight": 2.0,
                "guided_attention_sigma": 0.2,
                "guided_attention_half_life": None,
                "mel_difference_weight": 0.0,
                "stft_weight": 0.0,
            },
        }
    )


def model(frames_per_step: int = 1, **decoder: float) -> Tacotron2:
    seed_all("weights")
    built = ACOUSTIC_MODELS.build(config(frames_per_step, **decoder), AUDIO, MelStatistics.neutral(MELS))
    # Fresh statistics of 0 and 1 would hide a normalisation that is left out.
    for norm in built.modules():
        if isinstance(norm, MaskedBatchNorm):
            norm.running_mean.normal_(std=0.1)
            norm.running_var.uniform_(0.5, 2.0)
    return built


def clip(name: str, symbols: int, frames: int) -> Clip:
    generator = torch.Generator().manual_seed(symbols * 1000 + frames)
    return Clip(
        name,
        "",
        "",
        torch.randint(12, 60, (symbols,), generator=generator),
        torch.randn(MELS, frames, generator=generator),
        torch.zeros(frames * 4),
    )


def batch(*sizes: tuple[int, int]) -> Batch:
    return collate([clip(f"clip{n}", symbols, frames) for n, (symbols, frames) in enumerate(sizes)])


def padded_further(example: Batch) -> Batch:
    """The same clips, padded with other values than 0 to greater lengths."""
    symbol_ids, mel = F.pad(example.symbol_ids, (0, 6), value=40), F.pad(example.mel, (0, 12), value=3.0)
    return replace(example, symbol_ids=symbol_ids, mel=mel)


def attention_section(name: str) -> dict[str, object]:
    """An attention's section, with the sizes of `config`."""
    return {"model": name, "rnn_dim": 48, "attention_dim": 16} | (
        {"num_mixtures": 5} if name == "gmm" else {"num_filters": 8, "kernel_size": 31}
    )
