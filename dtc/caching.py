"""A cache of what a module computes from its weights for inference."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import torch
from torch import nn

Computed = TypeVar("Computed")


class CachingModule(nn.Module):
    """A module that caches what it computes from its weights, until they change or it is trained again."""

    _cache: tuple[object, Any] | None = None

    def train(self, mode: bool = True) -> CachingModule:
        """Change the mode and drop the cache: a fused optimizer does not increase the versions of the weights."""
        self._cache = None
        return super().train(mode)

    def cached(self, compute: Callable[[], Computed], *options: object) -> Computed:
        """Return `compute()`, from the cache if no gradient is needed; another of the `options` computes it anew."""
        if torch.onnx.is_in_onnx_export() and self._cache:
            return cast(Computed, self._cache[1])  # a constant, instead of an inverse, which ONNX does not have
        if self.training or torch.is_grad_enabled():
            return compute()
        key = (options, *((value.data_ptr(), value._version) for value in self.parameters()))
        if self._cache is None or self._cache[0] != key:
            self._cache = key, compute()
        return cast(Computed, self._cache[1])
