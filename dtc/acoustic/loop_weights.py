"""Products of a few rows with a large weight at every step of a loop, on a CPU.

Such a product first copies the weight into the layout of its kernel, and that copy takes most of the time. Here the
weight is brought into a better layout once for all steps.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from dtc import bfloat16

CHUNK_COLUMNS = 256  # columns of one block of a large weight, see `_in_chunks`
LARGE_WEIGHT = 1 << 20  # elements from which a weight gets another layout

Product = Callable[[Float[Tensor, "decoders rows into"]], Float[Tensor, "decoders rows out"]]


def fast_product(weight: Float[Tensor, "decoders into out"]) -> Product:
    """Return the function inputs → inputs @ weight for inputs of the weight's dtype."""
    _, into, out = weight.shape
    if into * out >= LARGE_WEIGHT and weight.dtype == torch.bfloat16 and bfloat16.is_supported(weight.device):
        return _packed(weight)
    if into * out >= LARGE_WEIGHT and weight.device.type == "cpu" and out % CHUNK_COLUMNS == 0 and out > CHUNK_COLUMNS:
        return _in_chunks(weight)
    return lambda inputs: torch.bmm(inputs, weight)


def _packed(weight: Float[Tensor, "decoders into out"]) -> Product:
    """Return a product by oneDNN in bfloat16, which takes half the time of `_in_chunks` (measured)."""
    layers = [bfloat16.PackedLinear(each) for each in weight]

    def multiply(inputs: Tensor) -> Tensor:
        parts = [layer(rows) for layer, rows in zip(layers, inputs, strict=True)]
        return parts[0][None] if len(parts) == 1 else torch.stack(parts)

    return multiply


def _in_chunks(weight: Float[Tensor, "decoders into out"]) -> Product:
    """Return a product with the weight as blocks of columns, each contiguous, which fit the cache.

    Blocks that two threads take one by one need two thirds of the time (measured).
    """
    chunks = weight.shape[2] // CHUNK_COLUMNS
    blocks = weight.unflatten(2, (chunks, CHUNK_COLUMNS)).transpose(1, 2).contiguous()

    def multiply(inputs: Tensor) -> Tensor:
        pairs = zip(inputs, blocks, strict=True)
        parts = [torch.bmm(rows.expand(chunks, *rows.shape), each) for rows, each in pairs]
        return torch.stack(parts).transpose(1, 2).flatten(2)  # (D, C, R, columns) → (D, R, out)

    return multiply
