"""The machine judge: a two-sample test of whether a small classifier can tell two kinds of waveforms of a voice apart.

It is no detector of synthetic speech: it is trained anew for each contest, on some texts, and asked about others. Both
sides say the same texts, and what is not speech (level, bandwidth, silence, bit depth, length) is made equal first. If
the classifier is right more often than by chance, the two kinds differ; if not, it found no difference.
Source: classifier two-sample tests, Lopez-Paz & Oquab 2017 (arXiv:1610.06545).
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, NonNegativeInt, PositiveInt

from dtc.config import Section


class JudgeConfig(Section):
    """Settings of the machine judge, section `judge` of params.yaml."""

    seed: NonNegativeInt
    folds: Annotated[int, Field(ge=2)]  # each text is judged by a network that was trained on the other folds
    steps: PositiveInt  # of the training of each network
    draws: PositiveInt  # permutations of the labels for p, at least 1 / (1 + draws), and draws of texts for intervals
