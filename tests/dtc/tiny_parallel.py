"""A parallel model of tiny sizes."""

import torch

from dtc.acoustic import ACOUSTIC_MODELS
from dtc.acoustic.configs import ParallelConfig
from dtc.acoustic.parallel import Parallel
from dtc.audio import MelStatistics
from dtc.seeding import seed_all
from tests.dtc.tiny_acoustic import AUDIO, MELS


def blocks(num_layers: int, kernel_size: int, dim: int = 16, dropout_rate: float = 0.1) -> dict[str, float]:
    sizes = {"dim": dim, "intermediate_dim": 24, "kernel_size": kernel_size, "dropout_rate": dropout_rate}
    return {"num_layers": num_layers} | sizes


def config(aligner_steps: int = 4, dropout_rate: float = 0.1) -> ParallelConfig:
    return ParallelConfig.model_validate(
        {
            "model": "parallel",
            "aligner": {
                "steps": aligner_steps,
                "embedding_dim": 8,
                "hidden_dim": 12,
                "kernel_size": 3,
                "temper": 0.2,
            },
            "encoder": blocks(2, 5, dropout_rate=dropout_rate),
            "duration": blocks(1, 3, dim=8, dropout_rate=dropout_rate),
            "decoder": blocks(2, 7, dropout_rate=dropout_rate),
            "duration_weight": 0.15,
        }
    )


def model(aligner_steps: int = 4, dropout_rate: float = 0.1) -> Parallel:
    seed_all("weights")
    built = ACOUSTIC_MODELS.build(
        config(aligner_steps, dropout_rate), AUDIO, MelStatistics(torch.full((MELS,), 0.5), torch.full((MELS,), 2.0))
    )
    assert isinstance(built, Parallel)
    return built
