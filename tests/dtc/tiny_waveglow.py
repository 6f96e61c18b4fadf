"""A small WaveGlow, its mels and its batches, for several files of tests."""

from typing import Any

import torch
from torch import Tensor, nn

from dtc.audio import MelStatistics, log_mel
from dtc.audio_config import AudioConfig
from dtc.batch import Batch, Clip, collate
from dtc.compat.nvidia_waveglow import import_waveglow
from dtc.config import parse_section
from dtc.seeding import seed_all
from dtc.vocoder import VOCODERS
from dtc.vocoder.configs import WaveGlowConfig
from dtc.vocoder.waveglow import WaveGlow

AUDIO = AudioConfig(
    sampling_rate=16000, filter_length=64, hop_length=16, win_length=64, n_mel_channels=5, mel_fmin=0, mel_fmax=8000
)
CONFIG: dict[str, Any] = {
    "model": "waveglow",
    "num_flows": 4,
    "group_size": 8,
    "early_every": 2,
    "early_size": 2,
    "conditioning": "upsampled",
    "pre_emphasis": 0.0,
    "wavenet": {"num_layers": 2, "num_channels": 8, "kernel_size": 3},
    "train_on": "recorded",
    "attenuation_db": 0.0,
    "segment_frames": 12,
    "sigma": 0.7,
    "infer_sigma": 0.6,
    "denoiser_strength": 0.0,
}
PUBLISHED = CONFIG | {
    "num_flows": 12,
    "early_every": 4,
    "wavenet": {"num_layers": 8, "num_channels": 256, "kernel_size": 3},
}


def waveglow_from_state_dict(state_dict: dict[str, Tensor], config: dict[str, Any]) -> WaveGlow:
    """NVIDIA's weights in our model, in evaluation mode."""
    imported = import_waveglow(state_dict, config, "state_dict")
    bands = imported.audio.n_mel_channels
    model = WaveGlow(imported.config, imported.audio, MelStatistics.neutral(bands))
    model.load_state_dict(imported.weights)
    return model.eval()


def waveglow(**edits: Any) -> WaveGlow:
    """A small model in evaluation mode, whose last layers are not zero as they are before training."""
    seed_all("weights")
    config = parse_section(CONFIG | edits, WaveGlowConfig, "vocoder")
    model = VOCODERS.build(config, AUDIO, MelStatistics.neutral(5))
    assert isinstance(model, WaveGlow)
    for name, parameter in model.named_parameters():
        if ".end." in name:
            nn.init.normal_(parameter, std=0.1)
    return model.eval()


def mel_of(frames: int, clips: int = 1) -> Tensor:
    return torch.randn(clips, 5, frames, generator=torch.Generator().manual_seed(frames)) - 5.0


def batch_of(*waves: Tensor) -> Batch:
    return collate(
        [Clip(f"{n}", "", "", torch.tensor([1]), log_mel(w[None], AUDIO)[0], w) for n, w in enumerate(waves)]
    )


def noise(samples: int) -> Tensor:
    return 0.1 * torch.randn(samples, generator=torch.Generator().manual_seed(samples))
