"""A voice for programs that make symbol ids of a text by themselves, one text at a time."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from dtc.compat.onnx_voice import OnnxVoice
from dtc.text.symbols import ID_OF, PADDING, SYMBOLS

SPACE = ID_OF[" "]
CLOSING_MARKS = ",;:.!?"
IS_CLOSING_MARK = torch.tensor([symbol in CLOSING_MARKS for symbol in SYMBOLS])
EXAMPLE_IDS = torch.full((1, 5), ID_OF["a"])


class OneText(nn.Module):
    """The network of a voice that removes padding and needless spaces from the ids before it reads them."""

    def __init__(self, voice: OnnxVoice) -> None:
        super().__init__()
        self.voice = voice

    def forward(self, symbol_ids: Int[Tensor, " symbols"], pace: Float[Tensor, ""]) -> Float[Tensor, " samples"]:
        """Return the waveform of one text."""
        tidy = with_single_spaces(symbol_ids[symbol_ids != ID_OF[PADDING]])
        length = torch.ones_like(tidy).sum()  # its shape would be a number, which an exporter takes for a constant
        waves, _ = self.voice(tidy[None], length[None], pace)
        return waves[0]


def with_single_spaces(symbol_ids: Int[Tensor, " symbols"]) -> Int[Tensor, " fewer"]:
    """Return symbol ids with one space between words, and none before the first word and after the last."""
    longer = F.pad(symbol_ids, (1, 1), value=SPACE)
    before, symbols = longer[:-1], longer[1:]
    return symbols[(symbols != SPACE) | (before != SPACE)][:-1]


def with_marks_at_words(symbol_ids: Int[Tensor, " symbols"]) -> Int[Tensor, " symbols"]:
    """Return symbol ids in which a space and a closing mark after it have changed places: "one ,two" → "one, two"."""
    following = F.pad(symbol_ids[1:], (0, 1))
    is_early = (symbol_ids == SPACE) & IS_CLOSING_MARK[following]
    follows_early = F.pad(is_early.long(), (1, 0))[:-1] > 0
    return torch.where(is_early, following, torch.where(follows_early, SPACE, symbol_ids))
