"""Compare the quality of vocoders on the embedded corpus: copies of held-out recordings, and the voice with each.

    python benchmarks/vocoder_quality.py train NAME     # for each vocoder; a killed training is resumed
    python benchmarks/vocoder_quality.py report         # all trained vocoders: tables, JSON and docs/waveglow.png

It needs `data/features` and `models/acoustic` from `dvc repro`, and predicts the mels of the recordings if they are not
there. Each training uses one thread, so that several can run at the same time once the mels are predicted. After a
change of a vocoder, remove its run in runs/vocoder-quality. The voice is measured on three renderings of each held-out
text by the acoustic model, the same for every vocoder. Each vocoder is measured as it is, and fitted to the mel by
`evaluate.fit_iterations`.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

# As the command line does, see stages/cli.py.
os.environ.setdefault("GOMP_SPINCOUNT", "10000")

import torch
from comparison import merged
from machine import write_results
from matplotlib.figure import Figure
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn

from dtc.acoustic.base import InferenceOptions, load_acoustic
from dtc.batch import Clip
from dtc.evaluation.quality import mean_quality, measure_quality, opinion_scores
from dtc.evaluation.recognisers import transcribe_all
from dtc.evaluation.word_errors import word_errors
from dtc.files import write_whole
from dtc.report.metric_names import METRICS
from dtc.report.plots import AMBER, FAINT, GROUND, INK, TEAL, TEXT_PT, png_bytes
from dtc.text.symbols import text_to_ids, words_of
from dtc.training.curve import read_curve
from dtc.training.logbook import Logbook
from dtc.training.loop import train
from dtc.training.run_files import CURVE
from dtc.training.task import Task, shipped
from dtc.vocoder.configs import GriffinLimConfig
from dtc.vocoder.griffin_lim import GriffinLim
from dtc.vocoder.mel_fitting import fit_mel
from pipeline.batching import Batching
from pipeline.corpora import find_grammar
from pipeline.loader import ShardLoader
from pipeline.shards import INDEX
from stages import paths
from stages.align import align
from stages.kinds import KINDS
from stages.params import Params, load_params
from stages.training_recipe import read_recipe

ROOT = Path(__file__).parents[1]
RUNS = paths.RUNS / "vocoder-quality"
# Few: with three periods and two FFT sizes a step on a CPU takes eleven times as long as without.
DISCRIMINATORS = {
    "start_step": 952,
    "adversarial_weight": 1.0,
    "feature_matching_weight": 1.0,
    "discriminators": {
        "periods": [3],
        "period_channels": [8, 32, 64],
        "fft_sizes": [512],
        "spectrum_channels": 4,
    },
}
# Name → the params it starts from, and what differs.
VOCODERS: Mapping[str, tuple[str, Mapping]] = {
    "griffin_lim": ("params.yaml", {}),
    "vocos": ("params.yaml", {}),
    "vocos_gta": ("params.yaml", {"vocoder": {"train_on": "gta", "mel_blur": 0.0}}),
    "vocos_both": ("params.yaml", {"vocoder": {"train_on": "both"}}),
    "vocos_critics": ("params.yaml", {"vocoder": {"adversarial": DISCRIMINATORS}}),
    "waveglow": ("stages/presets/numbers-waveglow.yaml", {}),
}
Speak = Callable[[Tensor], Tensor]  # mels → waveforms
SEEDS = (1, 2, 3)  # of the voice's mels
TEXTS_AT_ONCE = 16
SHOWN = ("log_mel_l1", "multi_resolution_stft", "stoi", "f0_rmse_cents", "voicing_error", "distill_mos")


def main() -> None:
    """Train and measure one vocoder, or report on all."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("train").add_argument("name", choices=VOCODERS)
    commands.add_parser("report")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if arguments.command == "train":
        measure(arguments.name)
    else:
        report()


def read_project(name: str) -> Params:
    """Return the params of the experiment with a vocoder."""
    preset, changes = VOCODERS[name]
    tree = merged(load_params(ROOT / preset).model_dump(mode="json"), changes)
    return Params.model_validate_json(json.dumps(tree))


def measure(name: str) -> None:
    """Train and measure a vocoder; write the results to runs/vocoder-quality/NAME."""
    console, params, run = Console(), read_project(name), RUNS / name
    run.mkdir(parents=True, exist_ok=True)
    with counting_processor_time(run / "cpu_s.txt") as spent:
        griffin_lim = name == "griffin_lim"
        vocoder, steps = build_griffin_lim(params) if griffin_lim else trained_vocoder(params, run, name, console)
    facts = {
        "name": name,
        "vocoder": params.model_dump(mode="json")["vocoder"],
        "steps": steps,
        "training": params.model_dump(mode="json")["training"]["vocoder"],
        "cpu_minutes": float(spent.read_text()) / 60,
        "parameters": sum(value.numel() for value in vocoder.parameters()),
    }
    test = ShardLoader(paths.FEATURES, "test", Batching(1))
    clips = [test.read(entry) for entry in test.entries]
    facts["heard"] = [listen(vocoder, clips, params, iterations) for iterations in (0, params.evaluate.fit_iterations)]
    (run / "results.json").write_text(json.dumps(facts, indent=2) + "\n")
    console.print(f"{name}: {facts['heard']}", highlight=False)


def listen(vocoder: nn.Module, clips: list[Clip], params: Params, iterations: int) -> dict:
    """Return the measures of a vocoder's copies and of the voice with it, fitted to the mel."""

    def speak(mel: Tensor) -> Tensor:
        return fit_mel(vocoder(mel), mel, params.audio, iterations)

    return {
        "fit_iterations": iterations,
        "copies": copies_of(speak, clips, params),
        "voice": voice_of(speak, clips, params),
    }


@contextmanager
def counting_processor_time(file: Path) -> Iterator[Path]:
    """Add the processor time inside, in seconds, to the number in the file, as a training may be resumed."""
    before = float(file.read_text()) if file.is_file() else 0.0
    try:
        yield file
    finally:
        file.write_text(f"{before + time.process_time():.1f}\n")


def build_griffin_lim(params: Params) -> tuple[nn.Module, int]:
    """Return Griffin-Lim with the settings of `dtc evaluate`, and its number of steps, 0."""
    iterations, momentum = params.evaluate.griffin_lim_iterations, params.evaluate.griffin_lim_momentum
    config = GriffinLimConfig(model="griffin_lim", train_on="recorded", iterations=iterations, momentum=momentum)
    return GriffinLim(config, params.audio), 0


def trained_vocoder(params: Params, run: Path, name: str, console: Console) -> tuple[nn.Module, int]:
    """Return a vocoder, trained as by `dtc train vocoder`, and its number of steps."""
    if params.vocoder.train_on != "recorded" and not (paths.GTA / INDEX).is_file():
        align("gta", torch.device("cpu"), console)
    recipe = read_recipe(KINDS["vocoder"], params)
    taught = recipe.model()
    how, loaders = params.run.vocoder, params.run.vocoder.dataloader
    batches = recipe.batches("train", loaders.train_set), recipe.batches("validation", loaders.validation_set)
    done = train(Task(taught, *batches, lambda *_: None), recipe.training, how, run, Logbook(run, name, console))
    vocoder = shipped(taught)
    vocoder.load_state_dict(done.weights)
    return vocoder.eval(), done.steps


@torch.no_grad()
def copies_of(speak: Speak, clips: list[Clip], params: Params) -> dict[str, float]:
    """Return all installed measures, the word error rate and the time of the copies of held-out recordings."""
    started = time.process_time()
    waves = [speak(clip.mel[None])[0] for clip in clips]
    seconds = time.process_time() - started
    qualities = [
        measure_quality(clip.wave.numpy(), wave.numpy(), params.audio)
        | opinion_scores(wave.numpy(), params.audio.sampling_rate)
        for clip, wave in zip(clips, waves, strict=True)
    ]
    spoken_s = sum(len(wave) for wave in waves) / params.audio.sampling_rate
    heard = word_error_rate(waves, [clip.spoken_text for clip in clips], params)
    return {**mean_quality(qualities), "word_error_rate": heard, "real_time_factor": seconds / spoken_s}


@torch.no_grad()
def voice_of(speak: Speak, clips: list[Clip], params: Params) -> dict[str, float]:
    """Return the word error rate of all renderings of held-out texts, and opinion scores of the first of each text."""
    acoustic, card = load_acoustic(paths.ACOUSTIC, torch.device("cpu"))
    texts = sorted((clip.spoken_text for clip in clips), key=len)
    mels: list[Tensor] = []
    for seed in SEEDS:
        for first in range(0, len(texts), TEXTS_AT_ONCE):
            symbols = [torch.tensor(text_to_ids(text)) for text in texts[first : first + TEXTS_AT_ONCE]]
            mels += [utterance.mel for utterance in acoustic.infer(symbols, seed, InferenceOptions(card.steps))]
    waves = [speak(mel[None])[0] for mel in mels]
    scores = [opinion_scores(wave.numpy(), params.audio.sampling_rate) for wave in waves[: len(texts)]]
    heard = word_error_rate(waves, texts * len(SEEDS), params)
    return {"acoustic": card.fingerprint, **mean_quality(scores), "word_error_rate": heard}


def word_error_rate(waves: list[Tensor], texts: list[str], params: Params) -> float:
    """Return the word error rate of all texts together."""
    assert params.evaluate.grammar is not None
    evaluate = params.evaluate.model_copy(update={"grammar": str(find_grammar(params.evaluate.grammar))})
    heard = transcribe_all([(evaluate, wave.numpy()) for wave in waves], params.audio.sampling_rate)
    return word_errors([words_of(text) for text in texts], heard).rate


def report() -> None:
    """Print the tables; write results/benchmarks/vocoder_quality.json and docs/waveglow.png."""
    files = [RUNS / name / "results.json" for name in VOCODERS]
    trials = [json.loads(file.read_text()) for file in files if file.is_file()]
    write_results("vocoder_quality", trials)
    table = Table(
        "vocoder", "fitted", "steps", "CPU minutes", *SHOWN, "word errors", "s per s", "voice: opinion", "word errors"
    )
    for trial in trials:
        for heard in trial["heard"]:
            copies, voice = heard["copies"], heard["voice"]
            table.add_row(
                trial["name"],
                str(heard["fit_iterations"]),
                f"{trial['steps']:,}",
                f"{trial['cpu_minutes']:.1f}",
                *(f"{copies[name]:.3g}" if name in copies else "–" for name in SHOWN),
                f"{copies['word_error_rate']:.1%}",
                f"{copies['real_time_factor']:.3f}",
                f"{voice['distill_mos']:.3g}" if "distill_mos" in voice else "–",
                f"{voice['word_error_rate']:.1%}",
            )
    Console(width=180).print(table)
    for name in SHOWN:
        print(f"{name}: {METRICS[name].meaning}, {METRICS[name].unit}")
    write_whole(ROOT / "docs/waveglow.png", png_bytes(draw_curve(read_curve(RUNS / "waveglow" / CURVE))))


def draw_curve(rows: list[dict[str, str]]) -> Figure:
    """Draw WaveGlow's loss: the mean of training batches at every tenth step, and of the validation clips."""
    figure = Figure(figsize=(8.0, 3.4), facecolor=GROUND, layout="constrained")
    axes = figure.subplots()
    axes.set_facecolor(GROUND)
    for split, colour, width in (("train", TEAL, 0.8), ("validation", AMBER, 2.2)):
        points = [(int(row["step"]), float(row["loss"])) for row in rows if row["split"] == split]
        axes.plot(*zip(*points, strict=True), color=colour, lw=width, label=split)
    axes.set_title("WaveGlow on numbers: negative log-likelihood of a sample", color=INK, fontsize=TEXT_PT)
    axes.set_xlabel("training step", color=INK, fontsize=TEXT_PT)
    axes.tick_params(colors=INK, labelsize=TEXT_PT - 1)
    axes.grid(color=FAINT, lw=0.5)
    axes.legend(frameon=False, labelcolor=INK, fontsize=TEXT_PT)
    return figure


if __name__ == "__main__":
    main()
