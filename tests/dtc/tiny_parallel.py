"""A parallel model of tiny sizes, and a voice that has one."""

import math
from collections.abc import Iterable
from pathlib import Path

import torch

from dtc.acoustic import ACOUSTIC_MODELS
from dtc.acoustic.configs import ParallelConfig
from dtc.acoustic.parallel import Parallel
from dtc.audio import MelStatistics
from dtc.model_folder import read_model, save_model, statistics_of
from dtc.seeding import seed_all
from dtc.text.lexicon import LexiconConfig
from tests.dtc.tiny_acoustic import AUDIO, MELS
from tests.dtc.tiny_voice import save_voice


def blocks(num_layers: int, kernel_size: int, dim: int = 16, dropout_rate: float = 0.1) -> dict[str, float]:
    sizes = {"dim": dim, "intermediate_dim": 24, "kernel_size": kernel_size, "dropout_rate": dropout_rate}
    return {"num_layers": num_layers} | sizes


def config(aligner_steps: int = 4, dropout_rate: float = 0.1) -> ParallelConfig:
    return ParallelConfig.model_validate(
        {
            "model": "parallel",
            "aligner": {
                "features": "cepstra",
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


def save_parallel_voice(folder: Path, alphabet: Iterable[str], lexicon: LexiconConfig | None = None) -> None:
    """The models of a voice with random weights, whose symbols last about three frames and sound unlike one another."""
    save_voice(folder)
    card, _ = read_model(folder / "acoustic", "acoustic")
    sizes, facts = config(), {"alphabet": tuple(alphabet), "lexicon": lexicon}
    seed_all("weights")
    built = Parallel(sizes, card.audio, statistics_of(card))
    with torch.no_grad():
        built.log_duration.bias.fill_(math.log(3.0))
        built.log_duration.weight.mul_(3.0)
        built.output.weight.mul_(3.0)
    card = card.model_copy(update={"config": sizes.model_dump(mode="json"), **facts})
    save_model(folder / "acoustic", built.state_dict(), card)
