"""The first vectors of symbols, for models that learn from little speech or go on from another model."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from dtc.text.phonetics import phonetic_features
from dtc.text.symbols import ID_OF, SYMBOLS

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


def symbol_tables(model: nn.Module) -> list[tuple[str, nn.Embedding]]:
    """Return the layers of a model that have a vector for each symbol, with their names."""
    tables = [(name, layer) for name, layer in model.named_modules() if isinstance(layer, nn.Embedding)]
    return [(name, layer) for name, layer in tables if layer.num_embeddings == len(SYMBOLS)]


@torch.no_grad()
def grow_symbols(
    tables: Sequence[Float[Tensor, "symbols _"]], trained: Collection[str], alphabet: Iterable[str]
) -> dict[str, str]:
    """Write vectors of the symbols of an alphabet that a trained model does not know into its tables.

    A symbol gets the vector of the trained one that sounds most alike, or else the mean of the trained symbols of its
    sort: of letters, phonemes or marks. Return new symbol → the one it is like, "" for a mean. Nothing is done without
    tables, or without trained symbols.
    """
    known = [symbol for symbol in SYMBOLS if symbol in {*trained, " "}]  # the parallel model adds spaces to all texts
    new = [symbol for symbol in alphabet if symbol not in known] if tables and trained else []
    like = {symbol: _nearest(symbol, known) for symbol in new}
    for symbol in new:
        of_its_sort = [each for each in known if _sort_of(each) == _sort_of(symbol)]
        rows = [ID_OF[each] for each in ([like[symbol]] if like[symbol] else of_its_sort or known)]
        for table in tables:
            table[ID_OF[symbol]] = table[rows].mean(dim=0)
    return like


def _sort_of(symbol: str) -> str:
    return "phoneme" if len(symbol) > 1 else "letter" if symbol.isalpha() else "mark"


def _nearest(symbol: str, known: Iterable[str]) -> str:
    """Return the known letter of the other case, or the known vowel or consonant with the nearest features, or ""."""
    if len(symbol) == 1:
        return symbol.swapcase() if symbol != symbol.swapcase() and symbol.swapcase() in known else ""
    features = phonetic_features()
    own = features[ID_OF[symbol]]
    alike = [each for each in known if len(each) > 1 and features[ID_OF[each]][0] == own[0]]  # both vowels, or neither
    return min(alike, key=lambda each: float(torch.dist(features[ID_OF[each]], own)), default="")
