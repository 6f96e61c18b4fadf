"""The number formats in which a model is trained: float32 (fp32), bfloat16 (bf16) and float16 (fp16).

bfloat16 has the range of float32 and three digits, float16 more digits and a range so small that the loss is
scaled. Autocast computes the matrix products in it; weights, their updates, softmax, normalisation, sums over time and
losses stay in float32.
"""

from __future__ import annotations

import torch

from dtc.training.config import Precision


def autocast(precision: Precision, device: torch.device) -> torch.autocast:
    """Return the context of a forward pass; the backward pass uses the same number formats without it."""
    found = resolved(precision, device)
    return torch.autocast(device.type, torch.float16 if found == "fp16" else torch.bfloat16, enabled=found != "fp32")


def resolved(precision: Precision, device: torch.device) -> Precision:
    """Return the number format that a device computes in: of auto, the faster one."""
    if precision != "auto":
        return precision
    return "bf16" if has_bfloat16(device) else "fp32"


def has_bfloat16(device: torch.device) -> bool:
    """Return whether the hardware multiplies in bfloat16; emulated, it is many times slower than float32."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    capabilities = torch.cpu.get_capabilities()
    return any(capabilities.get(name) for name in ("avx512_bf16", "amx_bf16", "bf16"))
