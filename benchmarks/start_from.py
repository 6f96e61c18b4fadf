"""How many steps a voice needs that starts from another one: another speaker reads three minutes of numbers.

    pip install py-nanotts                  # which speaks the recordings of the new voice
    python benchmarks/start_from.py         # a second call measures only what is not measured yet

The base is the voice of the demo, Pico's en-US, as `dvc repro` leaves it in `models`. The new voice is Pico's en-GB,
with other texts of the same grammar. Whole trainings of several lengths start with random weights, and with those of
the base. Then held-out texts, whose numbers the base was not trained on either, are spoken through the vocoder of the
base, and recognised. As that would be easier with the base's own accent, the mels are compared with the recordings too.
Recordings and models stay in runs/start-from: remove it after a change of the code.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path
from statistics import mean
from typing import Any, NamedTuple

# As the command line does, see stages/cli.py.
os.environ.setdefault("GOMP_SPINCOUNT", "10000")

import numpy as np
import soundfile
import torch
import yaml
from comparison import merged
from machine import write_results
from rich.console import Console
from rich.table import Table

from dtc.acoustic.base import load_acoustic
from dtc.batch import collate
from dtc.evaluation.recognisers.grammar import GrammarRecogniser
from dtc.evaluation.word_errors import word_errors
from dtc.files import write_whole
from dtc.synthesis_config import DEFAULT_SYNTHESIS
from dtc.training.devices import Devices
from dtc.vocoder.base import load_vocoder
from dtc.voice import Voice
from pipeline.batching import Batching
from pipeline.corpora import find_grammar
from pipeline.corpora.numbers import make_numbers
from pipeline.corpora.numbers.make_numbers import SAMPLING_RATE_HZ, speak, trim
from pipeline.corpora.numbers.phrases import compose, raw, spoken
from pipeline.loader import ShardLoader
from pipeline.split import LISTS as SPLITS
from pipeline.verify import CorpusSettings
from stages import paths
from stages.download import download
from stages.params import Params, load_params
from stages.preprocess import preprocess
from stages.train import train
from stages.verify import verify

ROOT = Path(__file__).parents[1]
RECORDINGS, LISTS, MEASURED = Path("recordings"), "held-out", Path("measured.json")
NEW_VOICE = "en-GB"
SEED = 2  # of the texts
TRAINING_S = 180.0
CLIPS = 250  # are composed; those at the end that are not needed are left out
VALIDATION, TEST = 16, 40  # clips
BATCH_SIZE = 8
RANDOM, BASE = "random weights", "the base"
STEPS = {RANDOM: (300,), BASE: (75, 150)}  # of whole trainings
ALIGNER_SHARE = 0.4  # of the steps with random weights, as in the demo


class Trial(NamedTuple):
    """One training."""

    start: str
    steps: int
    seed: int

    @property
    def name(self) -> str:
        """Return a key for it."""
        return f"{self.start}, {self.steps} steps, seed {self.seed}"


def main() -> None:
    """Train, measure, print a table, and write results/benchmarks/start_from.json."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--base", type=Path, default=paths.MODELS, help="a folder with an acoustic model and a vocoder")
    parser.add_argument("--seeds", type=int, default=3)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    project = Project(arguments.base.resolve(), ROOT / paths.RUNS / "start-from")
    seeds = range(1, arguments.seeds + 1)
    for seed, (start, lengths) in product(seeds, STEPS.items()):
        for steps in lengths:
            project.measure(Trial(start, steps, seed))
    report(project.measured, seeds)


class Project:
    """The folder of a project, which becomes the working directory, with the features of the new voice.

    Args:
        base: a folder with the models of the base.
        folder: that of the project.
    """

    def __init__(self, base: Path, folder: Path) -> None:
        self.base = base
        folder.mkdir(parents=True, exist_ok=True)
        os.chdir(folder)
        if not RECORDINGS.exists():
            part = Path(f"{RECORDINGS}.part")
            make_corpus(part)
            part.rename(RECORDINGS)
        params, console = self.params({}), Console()
        download(params.corpus, console)
        verify(CorpusSettings.of(params), console)
        preprocess(params, console)
        loader = ShardLoader(paths.FEATURES, "test", Batching(1))
        self.clips = [loader.read(entry) for entry in loader.entries]
        self.recogniser = GrammarRecogniser(find_grammar("numbers"))
        self.measured: dict[str, dict[str, float]] = json.loads(MEASURED.read_text()) if MEASURED.is_file() else {}
        if not self.measured:
            waves = [clip.wave.numpy() for clip in self.clips]
            self.note("recordings", {"word_error_rate": self.word_error_rate(waves)})
            self.note(BASE, self.figures(base / "acoustic"))

    def params(self, changes: Mapping[str, Any]) -> Params:
        """Return the demo's params with the new voice's corpus and with changes."""
        corpus = {"name": "start-from", "source": str(RECORDINGS), "md5": None, "sha256": None}
        tree = yaml.safe_load((ROOT / paths.PARAMS).read_text(encoding="utf-8"))
        tree |= {"corpus": tree["corpus"] | corpus, "split": {"method": "lists", "lists": LISTS}}
        paths.PARAMS.write_text(yaml.safe_dump(merged(tree, changes), sort_keys=False), encoding="utf-8")
        return load_params(paths.PARAMS)

    def measure(self, trial: Trial) -> None:
        """Train an acoustic model, and note its figures, if they are not noted yet."""
        training: dict[str, Any] = {"seed": trial.seed, "max_steps": trial.steps, "batch_size": BATCH_SIZE}
        changes: dict[str, Any] = {"training": {"acoustic": training}}
        if trial.start == BASE:
            training["start_from"] = {"folder": str(self.base / "acoustic"), "take": ["*"]}
        else:
            changes["acoustic"] = {"aligner": {"steps": round(ALIGNER_SHARE * trial.steps)}}
        if trial.name not in self.measured:
            train("acoustic", self.params(changes), Devices(), Console())
            self.note(trial.name, self.figures(paths.ACOUSTIC))

    def note(self, name: str, figures: dict[str, float]) -> None:
        """Note and print figures."""
        self.measured[name] = figures
        write_whole(MEASURED, json.dumps(self.measured, indent=1))
        print(name, *(f"{key} {value:.3f}" for key, value in figures.items()), sep=", ", flush=True)

    def figures(self, acoustic: Path) -> dict[str, float]:
        """Return the word errors of the voice with an acoustic model, and how far its mels are from the recordings."""
        cpu = torch.device("cpu")
        voice = Voice(*load_acoustic(acoustic, cpu), *load_vocoder(self.base / "vocoder", cpu))
        texts = [clip.raw_text for clip in self.clips], [clip.spoken_text for clip in self.clips]
        speeches = voice.speak_words(*texts, 1, DEFAULT_SYNTHESIS)
        errors = self.word_error_rate([speech.wave.numpy() for speech in speeches])
        return {"word_error_rate": errors, "log_mel_l1": self.mel_error(voice)}

    def word_error_rate(self, waves: Sequence[np.ndarray]) -> float:
        """Return the recogniser's word errors in one waveform of each held-out text."""
        heard = [self.recogniser.transcribe(wave, SAMPLING_RATE_HZ) for wave in waves]
        return word_errors([clip.spoken_text for clip in self.clips], heard).rate

    @torch.inference_mode()
    def mel_error(self, voice: Voice) -> float:
        """Return the mean difference of natural-log mels from those of the recordings, with their durations."""
        total = values = 0.0
        for clip in self.clips:
            predicted = voice.acoustic.predict_recorded(collate([clip]), voice.acoustic_card.steps)
            total += float((predicted[0] - clip.mel).abs().sum())
            values += clip.mel.numel()
        return total / values


def make_corpus(folder: Path) -> None:
    """Write the recordings in LJSpeech's layout, and the lists of the clips to hold out.

    The training clips last three minutes. The others have no number that the base was trained on.
    """
    known = {part.number for phrase in compose(make_numbers.CLIPS, make_numbers.SEED) for part in phrase}
    (folder / "wavs").mkdir(parents=True, exist_ok=True)
    rows, held_out, left_s = list[str](), list[str](), TRAINING_S
    for number, phrase in enumerate(compose(CLIPS, SEED), start=1):
        is_held_out = len(held_out) < VALIDATION + TEST and known.isdisjoint(part.number for part in phrase)
        if left_s <= 0.0 and not is_held_out:
            continue
        clip_id, wave = f"gb-{number:04}", trim(speak(spoken(phrase), NEW_VOICE))
        soundfile.write(folder / f"wavs/{clip_id}.wav", wave, SAMPLING_RATE_HZ)
        rows.append(f"{clip_id}|{raw(phrase)}|{spoken(phrase)}\n")
        if is_held_out:
            held_out.append(f"{clip_id}\n")
        else:
            left_s -= len(wave) / SAMPLING_RATE_HZ
    (folder / "metadata.csv").write_text("".join(rows), encoding="utf-8")
    lists = {"validation": held_out[:VALIDATION], "test": held_out[VALIDATION:]}
    for name, ids in lists.items():
        (SPLITS / LISTS).mkdir(parents=True, exist_ok=True)
        (SPLITS / LISTS / f"{name}.txt").write_text("".join(ids), encoding="utf-8")


def report(measured: Mapping[str, Mapping[str, float]], seeds: Sequence[int]) -> None:
    """Print a table of all trainings, and write results/benchmarks/start_from.json."""
    table = Table("starts with", "steps", *(f"seed {seed}" for seed in seeds), "word errors", "difference of log-mels")
    for start, lengths in STEPS.items():
        for steps in lengths:
            found = [measured[Trial(start, steps, seed).name] for seed in seeds]
            errors = [each["word_error_rate"] for each in found]
            means = f"{mean(errors):.1%}", f"{mean(each['log_mel_l1'] for each in found):.3f}"
            table.add_row(start, str(steps), *(f"{each:.1%}" for each in errors), *means)
    Console().print(table)
    print(write_results("start_from", measured))


if __name__ == "__main__":
    main()
