"""The first vectors of symbols, for models that learn from little speech."""

from __future__ import annotations

import torch
from torch import nn

from dtc.text.phonetics import phonetic_features
from dtc.text.symbols import SYMBOLS

# Of the first values of a phoneme's vector: the part that is random, and the part by each phonetic feature.
OWN_DEVIATION, SHARED_DEVIATION = 0.3, 0.5


def symbol_embedding(dim: int) -> nn.Embedding:
    """Return random vectors of the symbols, in which phonemes that are made alike in the mouth start alike.

    So what is learned of one phoneme helps with others in neighbourhoods that a small corpus does not have.
    """
    embedding, features = nn.Embedding(len(SYMBOLS), dim), phonetic_features()
    is_phoneme = features.any(dim=1)
    with torch.no_grad():
        alike = features[is_phoneme] @ torch.randn(features.shape[1], dim) * SHARED_DEVIATION
        embedding.weight[is_phoneme] = OWN_DEVIATION * embedding.weight[is_phoneme] + alike
    return embedding
