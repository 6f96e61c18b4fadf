"""Speech recognisers: the words in a waveform, for word error rates. A new one is a file and a line in RECOGNISERS."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures.process import BrokenProcessPool
from functools import cache
from multiprocessing import get_context
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import numpy as np

from dtc.errors import InputError
from dtc.evaluation import RECOGNISERS, EarConfig
from dtc.processes import process_pool

if TYPE_CHECKING:
    from jaxtyping import Float

SHORTEST_S = 0.05  # no word is shorter, and PocketSphinx cannot compute its features
QUIETEST = 0.5 / 32767  # what 16 bits round to zero


@runtime_checkable
class Recogniser(Protocol):
    """A loaded recogniser, whose result depends on the waveform alone."""

    def transcribe(self, wave: Float[np.ndarray, " samples"], sampling_rate: int) -> str:
        """Return the words in a waveform in [-1, 1], in any spelling, with single spaces; "" where there are none.

        What `is_silent` is true of has no words. `word_errors` compares the words in one spelling.
        """


def is_silent(wave: Float[np.ndarray, " samples"], sampling_rate: int) -> bool:
    """Return whether a waveform is shorter than 50 ms, is silent in 16 bits, or has samples that are not finite."""
    if len(wave) < SHORTEST_S * sampling_rate:
        return True
    return not np.all(np.isfinite(wave)) or bool(np.max(np.abs(wave)) < QUIETEST)


def transcribe_all(
    requests: Sequence[tuple[EarConfig, Float[np.ndarray, " _"]]], sampling_rate: int, processes: int | None = None
) -> list[str]:
    """Return the words in each waveform, recognised as its config says in `processes` processes (None: one a core).

    The number of processes does not change the results. Raises InputError as the recogniser that `evaluate.ear` names
    does when it is loaded, and where a process was killed, as the system does when there is no memory left.
    """
    configs = list(dict.fromkeys(config for config, _ in requests))
    if not configs:
        return []
    build = {config: RECOGNISERS.get(config.ear) for config in configs}  # here: a worker has the built-in parts only
    for config in configs:
        build[config](config)  # so that a fault is raised here, once
    first = (build[configs[0]], configs[0])
    with process_pool(processes, get_context("spawn"), _recogniser, first) as submit:
        try:
            transcripts = [submit(_transcribe, build[config], config, wave, sampling_rate) for config, wave in requests]
            return [transcript.result() for transcript in transcripts]
        except BrokenProcessPool:
            remedy = "run it again where more memory is free"
            raise InputError("a process of the recogniser", "died (killed, or out of memory)", remedy=remedy) from None


@cache
def _recogniser(build: Callable[[EarConfig], Recogniser], config: EarConfig) -> Recogniser:
    """Return the recogniser of a worker process, which takes as long to load as it takes to transcribe a clip."""
    return build(config)


def _transcribe(
    build: Callable[[EarConfig], Recogniser],
    config: EarConfig,
    wave: Float[np.ndarray, " samples"],
    sampling_rate: int,
) -> str:
    return _recogniser(build, config).transcribe(wave, sampling_rate)
