"""Speech recognisers: the words in a waveform, for word error rates. A new one is a file and a line in RECOGNISERS."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from multiprocessing import get_context
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from dtc.evaluation import RECOGNISERS, EvaluateConfig
from dtc.processes import process_pool

if TYPE_CHECKING:
    import numpy as np
    from jaxtyping import Float


@runtime_checkable
class Recogniser(Protocol):
    """A loaded recogniser, whose result depends on the waveform alone."""

    def transcribe(self, wave: Float[np.ndarray, " samples"], sampling_rate: int) -> str:
        """Return the words in a waveform in [-1, 1]: lower case, single spaces, "" where there are none.

        Silence, very short waveforms and samples that are not finite have no words.
        """


def transcribe_all(
    config: EvaluateConfig, waves: Sequence[Float[np.ndarray, " _"]], sampling_rate: int, processes: int | None = None
) -> list[str]:
    """Return the words in each waveform, recognised in `processes` processes (None: one for each core).

    The number of processes does not change the results. Raises InputError as the recogniser that `evaluate.ear` names
    does when it is loaded.
    """
    recogniser = RECOGNISERS.get(config.ear)
    recogniser(config)  # so that a fault is raised here, once
    with process_pool(processes, get_context("spawn"), _load, (recogniser, config, sampling_rate)) as submit:
        transcripts = [submit(_transcribe, wave) for wave in waves]
        return [transcript.result() for transcript in transcripts]


# The recogniser of a worker process: loading one takes as long as transcribing a clip.
_loaded: tuple[Recogniser, int]


def _load(recogniser: Callable[[EvaluateConfig], Recogniser], config: EvaluateConfig, sampling_rate: int) -> None:
    global _loaded
    _loaded = recogniser(config), sampling_rate


def _transcribe(wave: Float[np.ndarray, " samples"]) -> str:
    recogniser, sampling_rate = _loaded
    return recogniser.transcribe(wave, sampling_rate)
