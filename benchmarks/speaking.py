"""How fast a trained voice speaks with one thread: a share of real time, the first sound, and the whole command.

    python benchmarks/speaking.py [--models models] [--rounds 15]

Each figure is the least of the rounds, as other programs only ever add to it; the medians are written beside them.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from machine import write_results

from dtc.acoustic.base import InferenceOptions
from dtc.synthesis_config import DEFAULT_SYNTHESIS
from dtc.text.symbols import text_to_ids
from dtc.voice import Voice

TEXT = "call seven hundred and ninety two at seven forty five on the twenty first"
LONG = " ".join([TEXT] * 5)
# The goals, which are for two cores with nothing else to do.
GOALS = {"acoustic_ms_per_s": 5, "long_acoustic_ms_per_s": 5, "real_time": 100, "first_sound_s": 0.1, "command_s": 3}


def main() -> None:
    """Measure, print and write results/benchmarks/speaking.json."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", type=Path, default=Path("models"))
    parser.add_argument("--rounds", type=int, default=15)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    rows = {}
    for name, (least, median) in measure(arguments.models, arguments.rounds).items():
        rows[name] = {"best": least, "median": median, "goal": GOALS[name]}
        print(f"{name:24} {least:8.3f}   median {median:8.3f}   goal {GOALS[name]}")
    write_results("speaking", rows)


def measure(models: Path, rounds: int) -> dict[str, tuple[float, float]]:
    """Return figure → the best and the median of the rounds."""
    voice = Voice.load(models)
    words, found = voice.read(TEXT), dict[str, tuple[float, float]]()
    for prefix, text in (("", words), ("long_", voice.read(LONG))):
        ids, options = [torch.tensor(text_to_ids(voice.pronounce(text)))], InferenceOptions(voice.acoustic_card.steps)
        [said] = voice.acoustic.infer(ids, 1, options)
        spoken_s = said.mel.shape[1] / voice.audio.frames_per_s
        seconds = seconds_of(lambda ids=ids, options=options: voice.acoustic.infer(ids, 1, options), rounds)
        found[f"{prefix}acoustic_ms_per_s"] = (1e3 * seconds[0] / spoken_s, 1e3 * seconds[1] / spoken_s)
    speech_s = voice.speak(TEXT).duration_s
    seconds = seconds_of(lambda: voice.speak(TEXT).wave, rounds)
    found["real_time"] = (speech_s / seconds[0], speech_s / seconds[1])
    found["first_sound_s"] = seconds_of(lambda: next(voice.stream_words(words, 1, DEFAULT_SYNTHESIS)), rounds)
    with tempfile.TemporaryDirectory() as out:
        command = [sys.executable, "-m", "stages", "say", TEXT, "--models", str(models.resolve()), "--out", out]
        found["command_s"] = seconds_of(lambda: subprocess.run(command, check=True, capture_output=True), rounds)
    return found


def seconds_of(work: Callable[[], object], rounds: int) -> tuple[float, float]:
    """Return the least and the median of the rounds, after one that is not counted."""
    work()
    seconds = []
    for _ in range(rounds):
        started = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - started)
    return min(seconds), statistics.median(seconds)


if __name__ == "__main__":
    main()
