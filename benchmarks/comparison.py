"""Tacotron 2 beside DTC, and the three attentions, on the corpus that ships with dtc.

    python benchmarks/comparison.py train MODEL SEED     # for each model and seed; a killed one continues
    python benchmarks/comparison.py report               # of all that are trained: the tables, the plot and the JSON

It wants `data/features` and a trained vocoder, as `dvc repro` leaves them. All models have the sizes, losses and
training of the preset numbers-tacotron2. Every 200 steps the held-out texts are spoken as a user would hear them, but
once only, without a second attempt, and recognised. At the end each model reads texts more than five times as long as
the longest of the training, in one go; `dtc say` would cut them.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from statistics import mean

# As the command line does, see stages/cli.py.
os.environ.setdefault("GOMP_SPINCOUNT", "10000")

import torch
from machine import write_results
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn

from dtc.acoustic import ACOUSTIC_MODELS
from dtc.acoustic.base import AcousticModel, InferenceOptions, Utterance
from dtc.audio import MelStatistics
from dtc.batch import Batch, Clip
from dtc.evaluation.recognisers.grammar import GrammarRecogniser
from dtc.evaluation.word_errors import WordErrors, word_errors
from dtc.files import write_whole
from dtc.report.plots import AMBER, FAINT, GROUND, INK, TEAL, TEXT_PT, png_bytes
from dtc.seeding import seed_all
from dtc.text.symbols import text_to_ids, words_of
from dtc.training.curve import read_curve
from dtc.training.logbook import Logbook
from dtc.training.loop import train
from dtc.training.run_files import CURVE
from dtc.training.task import Task
from dtc.vocoder.base import Vocoder, load_vocoder
from pipeline.batching import Batching
from pipeline.corpora import find_grammar
from pipeline.loader import ShardLoader
from pipeline.shards import read_index
from stages import paths
from stages.params import Params, load_params

ROOT = Path(__file__).parents[1]
RUNS = paths.RUNS / "comparison"
DUEL = {"backward_weight": 0.3, "mel_agreement_weight": 0.1, "attention_agreement_weight": 0.01, "fade_steps": 800}
# What differs from that preset.
MODELS = {
    "tacotron2": {"model": "tacotron2"},
    "dtc": {"model": "dtc", "reverse_decoder": True, "duel": DUEL},
    "tacotron2_unguided": {"model": "tacotron2", "loss": {"guided_attention_weight": 0.0}},
    "dtc_unguided": {"model": "dtc", "reverse_decoder": True, "duel": DUEL, "loss": {"guided_attention_weight": 0.0}},
    "gmm": {"model": "tacotron2", "attention": {"model": "gmm"}},
    "dynamic_convolution": {
        "model": "tacotron2",
        "attention": {"model": "dynamic_convolution", "num_filters": 8, "kernel_size": 21},
    },
}
FINAL_SEEDS = range(1, 6)  # of the synthesis, at the end of a training
LISTEN_EVERY = 200  # steps
LONG_TEXTS, TIMES_LONGER = 10, 5
CURVES = {
    "diagonal_score": "diagonal score, validation",
    "mel_postnet": "error of the mel, validation",
    "word_error_rate": "word error rate, held-out texts",
}
# Of a line, and its style.
LINES = {
    "tacotron2": (AMBER, "-"),
    "dtc": (TEAL, "-"),
    "tacotron2_unguided": (AMBER, "--"),
    "dtc_unguided": (TEAL, "--"),
    "gmm": ("#d985a8", "-"),
    "dynamic_convolution": ("#7d8fd6", "-"),
}
STATUSES = ("ended", "attention_stuck", "skipped_text", "cut_off")


def main() -> None:
    """Train and measure one model, or report on all."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    one = commands.add_parser("train")
    one.add_argument("model", choices=MODELS)
    one.add_argument("seed", type=int)
    commands.add_parser("report")
    arguments = parser.parse_args()
    if arguments.command == "train":
        measure(arguments.model, arguments.seed)
    else:
        report()


@dataclass(frozen=True)
class Listener:
    """Held-out texts, the vocoder that speaks their mels, and the recogniser."""

    clips: Sequence[Clip]
    vocoder: Vocoder
    grammar: Path
    sampling_rate: int

    def speak(
        self, model: AcousticModel, step: int, texts: Sequence[str], seed: int
    ) -> tuple[list[Utterance], list[Tensor]]:
        """Each text in one go."""
        said: list[Utterance] = []
        for first in range(0, len(texts), 16):
            ids = [torch.tensor(text_to_ids(text)) for text in texts[first : first + 16]]
            said += model.infer(ids, seed, InferenceOptions(step))
        with torch.inference_mode():
            return said, [self.vocoder(utterance.mel[None])[0] for utterance in said]

    def hear(self, texts: Sequence[str], waves: Sequence[Tensor], grammar: Path) -> list[WordErrors]:
        """What was misheard of each text."""
        recogniser = GrammarRecogniser(grammar)
        heard = [recogniser.transcribe(wave.numpy(), self.sampling_rate) for wave in waves]
        return [word_errors([words_of(text)], [words]) for text, words in zip(texts, heard, strict=True)]

    def held_out(self, model: AcousticModel, step: int, seeds: Sequence[int]) -> dict[str, float]:
        """Word errors and shares of bad utterances over the held-out texts."""
        texts = sorted((clip.spoken_text for clip in self.clips), key=len)
        errors, statuses = [], []
        for seed in seeds:
            said, waves = self.speak(model, step, texts, seed)
            errors += self.hear(texts, waves, self.grammar)
            statuses += [utterance.status for utterance in said]
        return {"word_error_rate": rate(errors), "ended_share": statuses.count("ended") / len(statuses)}

    def long_texts(self, model: AcousticModel, step: int, longest: int) -> list[dict[str, object]]:
        """Texts of many phrases, each at least so many symbols, read in one go."""
        decoder = model.config.decoder.model_copy(update={"max_decoder_steps": 1_000_000})
        model.config = model.config.model_copy(update={"decoder": decoder})
        rows: list[dict[str, object]] = []
        with tempfile.TemporaryDirectory() as folder:
            grammar = Path(folder) / "phrases.jsgf"
            one = self.grammar.read_text(encoding="utf-8")
            grammar.write_text(one.replace("public <phrase>", "public <phrases> = <phrase>+;\n<phrase>"))
            for seed, text in zip(count(1), self._long(longest), strict=False):
                (said,), waves = self.speak(model, step, [text], seed)
                (errors,) = self.hear([text], waves, grammar)
                rows.append(
                    {
                        "symbols": len(text),
                        "status": said.status,
                        "errors": errors.errors,
                        "words": errors.words,
                        "seconds": len(waves[0]) / self.sampling_rate,
                    }
                )
        return rows

    def _long(self, symbols: int) -> list[str]:
        texts, at = [], 0
        for _ in range(LONG_TEXTS):
            text = ""
            while len(text) < symbols:
                text = f"{text} {self.clips[at % len(self.clips)].spoken_text}".strip()
                at += 1
            texts.append(text)
        return texts


def rate(errors: Sequence[WordErrors]) -> float:
    """Of all texts together."""
    return sum(each.errors for each in errors) / sum(each.words for each in errors)


def read_project(name: str, seed: int) -> Params:
    """The preset with what a contestant changes."""
    params = load_params(ROOT / "stages/presets/numbers-tacotron2.yaml")
    tree = merged(
        params.model_dump(mode="json"),
        {
            "acoustic": MODELS[name],
            "training": {"acoustic": {"seed": seed}},
            "run": {"acoustic": {"epochs_test": LISTEN_EVERY, "predict": LISTEN_EVERY}},
        },
    )
    return Params.model_validate_json(json.dumps(tree))


def merged(tree: dict, changes: Mapping) -> dict:
    """A tree with some leaves replaced."""
    return tree | {
        name: merged(tree.get(name) or {}, value) if isinstance(value, Mapping) else value
        for name, value in changes.items()
    }


def measure(name: str, seed: int) -> None:
    """Train one model and listen to it; its figures are in runs/comparison/NAME-SEED."""
    console, params, run = Console(), read_project(name, seed), RUNS / f"{name}-{seed}"
    index, training = read_index(paths.FEATURES), params.training.acoustic
    vocoder, vocoder_card = load_vocoder(paths.VOCODER, torch.device("cpu"))
    size = (training.batch_size, training.batch_frames)
    shuffled = ShardLoader(paths.FEATURES, "train", Batching(*size, seed=training.seed))
    validation = ShardLoader(paths.FEATURES, "validation", Batching(*size))
    test = ShardLoader(paths.FEATURES, "test", Batching(1))
    clips = [test.read(entry) for entry in test.entries]
    listener = Listener(clips, vocoder, find_grammar("numbers"), index.audio.sampling_rate)
    seed_all(training.seed, "weights")
    statistics = MelStatistics(torch.tensor(index.mel_mean), torch.tensor(index.mel_deviation))
    model = ACOUSTIC_MODELS.build(params.acoustic, index.audio, statistics)

    def listen(model: nn.Module, batch: Batch, logbook: Logbook, step: int) -> None:
        assert isinstance(model, AcousticModel)
        was_training = model.training
        logbook.scalars(step, "spoken", listener.held_out(model.eval(), step, [1]))
        model.train(was_training)

    task = Task(model, shuffled, validation, listen)
    done = train(task, training, params.run.acoustic, run, Logbook(run, f"{name} {seed}", console))
    steps = done.steps
    model.load_state_dict(done.weights)
    model.eval()
    longest = TIMES_LONGER * max(int(batch.symbol_lengths.max()) for batch in shuffled.epoch(0))
    results = {
        "model": name,
        "seed": seed,
        "steps": steps,
        "vocoder": vocoder_card.weights[:16],
        "parameters": sum(value.numel() for value in model.parameters()),
        "held_out": listener.held_out(model, steps, FINAL_SEEDS),
        "long": listener.long_texts(model, steps, longest),
    }
    (run / "results.json").write_text(json.dumps(results, indent=2) + "\n")
    console.print(f"{name} {seed}: {results['held_out']}", highlight=False)


def report() -> None:
    """Tables, results/benchmarks/comparison.json and docs/comparison.png."""
    trials = [json.loads(file.read_text(encoding="utf-8")) for file in sorted(RUNS.glob("*/results.json"))]
    for trial in trials:
        trial["curve"] = curve_of(RUNS / f"{trial['model']}-{trial['seed']}" / CURVE)
    write_results("comparison", trials)
    by_model = {name: of_model for name in MODELS if (of_model := [each for each in trials if each["model"] == name])}
    console = Console(width=120)
    steps = sorted({row["step"] for trial in trials for row in trial["curve"]})
    table = Table("word errors at step", *map(str, steps), "at the end, 5 × the texts", title="held-out texts")
    for name, of_model in by_model.items():
        rates = [
            mean(row["word_error_rate"] for trial in of_model for row in trial["curve"] if row["step"] == step)
            for step in steps
        ]
        final = [trial["held_out"]["word_error_rate"] for trial in of_model]
        table.add_row(name, *(f"{each:.1%}" for each in rates), f"{mean(final):.2%} ({spread(final)})")
    console.print(table)
    table = Table("model", "texts", "symbols", "word errors", *STATUSES, title="long texts, in one go")
    for name, of_model in by_model.items():
        rows = [row for trial in of_model for row in trial["long"]]
        statuses = [row["status"] for row in rows]
        errors, words = (sum(row[key] for row in rows) for key in ("errors", "words"))
        table.add_row(
            name,
            str(len(rows)),
            f"{min(row['symbols'] for row in rows)}–{max(row['symbols'] for row in rows)}",
            f"{errors / words:.1%}",
            *(str(statuses.count(status)) for status in STATUSES),
        )
    console.print(table)
    write_whole(ROOT / "docs/comparison.png", png_bytes(draw(by_model)))


def curve_of(file: Path) -> list[dict[str, float]]:
    """A row for each step at which a model was listened to."""
    by_step: dict[int, dict[str, float]] = {}
    for row in read_curve(file):
        if row["split"] in ("validation", "spoken"):
            kept = {name: float(row[name]) for name in CURVES if row[name]}
            by_step.setdefault(int(row["step"]), {"step": int(row["step"])}).update(kept)
    return list(by_step.values())


def spread(values: Sequence[float]) -> str:
    """The least and the most of the seeds."""
    return f"{min(values):.1%} to {max(values):.1%}"


def draw(by_model: Mapping[str, Sequence[dict]]) -> Figure:
    """A panel for each curve; a thin line for each seed, a thick one for their mean."""
    figure = Figure(figsize=(11.0, 3.6), facecolor=GROUND, layout="constrained")
    for axes, (name, title) in zip(figure.subplots(1, len(CURVES)), CURVES.items(), strict=True):
        axes.set_facecolor(GROUND)
        axes.set_title(title, color=INK, fontsize=TEXT_PT)
        axes.set_xlabel("training step", color=INK, fontsize=TEXT_PT)
        axes.tick_params(colors=INK, labelsize=TEXT_PT - 1)
        axes.grid(color=FAINT, lw=0.5)
        for model, trials in by_model.items():
            colour, style = LINES[model]
            steps = [row["step"] for row in trials[0]["curve"]]
            seeds = [[row[name] for row in trial["curve"]] for trial in trials]
            for values in seeds:
                axes.plot(steps, values, style, color=colour, lw=0.6, alpha=0.6)
            axes.plot(
                steps, [mean(each) for each in zip(*seeds, strict=True)], style, color=colour, lw=2.2, label=model
            )
    axes.set_yscale("log")  # the last one's: word errors
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(
        handles,
        labels,
        loc="outside lower center",
        ncols=len(by_model),
        frameon=False,
        labelcolor=INK,
        fontsize=TEXT_PT,
    )
    return figure


if __name__ == "__main__":
    main()
