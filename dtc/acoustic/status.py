"""Whether an utterance can be trusted, by its gate and by where it looked."""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

Status = Literal["stopped", "attention_stuck", "skipped_text", "hit_cap"]  # from good to bad

LONGEST_SYMBOL_S = 1.0  # no sound of LJ Speech is held longer; the end of a text may be, over its last silence
MOST_SYMBOLS_SKIPPED = 6  # a word's worth: attention steps over a mute letter or two, not over a word
UNREAD_SYMBOLS_AT_END = 3  # a mark and a silent letter


def status_of(
    alignment: Float[Tensor, "steps symbols"], stopped: bool, frames_per_step: int, frames_per_s: float
) -> Status:
    """`hit_cap` where the gate never ended it; else whether the attention stood still or left text out."""
    if not stopped:
        return "hit_cap"
    symbols = alignment.shape[1]
    looked_at = alignment.argmax(dim=1).cpu()  # (T,)
    furthest = torch.cummax(looked_at, dim=0).values
    jumps = torch.diff(furthest, prepend=furthest.new_tensor([0]))
    unread = symbols - 1 - int(furthest[-1])
    if int(jumps.max()) > MOST_SYMBOLS_SKIPPED or unread > UNREAD_SYMBOLS_AT_END:
        return "skipped_text"
    most_steps = LONGEST_SYMBOL_S * frames_per_s / frames_per_step
    dwelt = torch.bincount(furthest, minlength=symbols)[: max(1, symbols - UNREAD_SYMBOLS_AT_END)]
    return "attention_stuck" if int(dwelt.max()) > most_steps else "stopped"
