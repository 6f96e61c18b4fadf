"""Tacotron 2 and DTC beside torchaudio's Tacotron 2: the same sizes, weights and batch, in turn in one process.

    python benchmarks/acoustic.py [--device cuda] [--frames 300] [--rounds 5]

A training step is a forward and a backward pass at the sizes of the paper (28.2 M parameters). Times are medians over
the rounds, each of which runs every contestant once; ratios are of those medians. The floor of a step is its number of
operations at the rate that this machine reaches in one large product; the floor of inference, the bytes of the
decoder's weights at the bandwidth that it reaches reading them. Peak memory is that of a fresh process.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import get_args

# As the command line does, see stages/cli.py: OpenMP's waiting threads would take the core of any other program.
os.environ.setdefault("GOMP_SPINCOUNT", "10000")

import torch
import torch.nn.functional as F
import torchaudio
import yaml
from machine import write_results
from rich.console import Console
from rich.table import Table
from timing import measure_rates, seconds_of, time_in_turn
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from dtc.acoustic import ACOUSTIC_MODELS
from dtc.acoustic.base import AcousticModel, InferenceOptions
from dtc.acoustic.configs import DTCConfig, Tacotron2Config, WeightFormat
from dtc.acoustic.decoder import Decoder
from dtc.acoustic.inference import DecoderInference
from dtc.audio import MelStatistics
from dtc.audio_config import AudioConfig
from dtc.batch import Batch
from dtc.compat.nvidia_tacotron2 import their_name
from dtc.training.config import Precision
from dtc.training.operations import UNCOUNTED
from dtc.training.precision import autocast, has_bfloat16

ROOT = Path(__file__).parents[1]
FULL_SIZE = ROOT / "stages/presets/ljspeech-tacotron2.yaml"
DUEL = {"backward_weight": 0.3, "mel_agreement_weight": 0.1, "attention_agreement_weight": 0.01, "fade_steps": None}
CLIPS, SYMBOLS = 16, 80  # of a training batch
SPOKEN_SYMBOLS, SPOKEN_FRAMES = 100, 400
NEVER = 0.999999999  # a gate threshold that no untrained model reaches
DECODER_LSTM_NUMBERS = (256 + 512 + 1024) * 4096 + (1024 + 512 + 1024) * 4096  # read for every frame


def main() -> None:
    """Measure, print and write results/benchmarks/acoustic.json (acoustic-cuda.json on a GPU)."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--clips", type=int, default=CLIPS)
    parser.add_argument("--frames", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--peak-of", help="only run one step of this contestant, and print the process's peak in MB")
    arguments = parser.parse_args()
    device = torch.device(arguments.device)
    batch = random_batch(arguments.clips, arguments.frames).to(device)
    if arguments.peak_of:
        print(peak_mb(training_steps(batch, device)[arguments.peak_of], device))
        return
    rates = measure_rates(device)
    results = {
        "batch": {"clips": arguments.clips, "symbols": SYMBOLS, "frames": arguments.frames},
        "rates": rates,
        "training": time_training(batch, arguments.rounds, device, rates),
        "inference": time_inference(arguments.rounds, device, rates),
    }
    report(results)
    write_results("acoustic" if device.type == "cpu" else "acoustic-cuda", results)


def random_batch(clips: int, frames: int) -> Batch:
    """Clips of one length; what is in them does not change the work."""
    generator = torch.Generator().manual_seed(0)
    symbols = torch.randint(11, 60, (clips, SYMBOLS), generator=generator)
    mel, wave = torch.randn(clips, 80, frames, generator=generator), torch.zeros(clips, 256 * frames)
    lengths = [torch.full((clips,), size) for size in (SYMBOLS, frames, 256 * frames)]
    return Batch(tuple(map(str, range(clips))), symbols, lengths[0], mel, lengths[1], wave, lengths[2])


def build(model: str, **decoder: float) -> AcousticModel:
    """A model at the sizes of the paper, with random weights."""
    params = yaml.safe_load(FULL_SIZE.read_text(encoding="utf-8"))
    section = params["acoustic"] | {"model": model}
    section["decoder"] |= decoder
    config = (
        Tacotron2Config.model_validate(section)
        if model == "tacotron2"
        else DTCConfig.model_validate(section | {"reverse_decoder": True, "duel": DUEL})
    )
    return ACOUSTIC_MODELS.build(config, AudioConfig.model_validate(params["audio"]), MelStatistics.neutral(80))


def torchaudio_twin(ours: AcousticModel, **options: float) -> torchaudio.models.Tacotron2:
    """Our weights in torchaudio's model."""
    theirs = torchaudio.models.Tacotron2(**options)
    # Its names are NVIDIA's without the layers that those wrap theirs in.
    weights = {
        their_name(name).replace(".linear_layer.", ".").replace(".conv.", "."): value
        for name, value in ours.state_dict().items()
        if not name.startswith("mel_")
    }
    theirs.load_state_dict(weights)
    return theirs


def training_steps(batch: Batch, device: torch.device) -> dict[str, Callable[[], None]]:
    """A step of each contestant, by name."""

    def step_of(model: nn.Module, loss_of: Callable[[], Tensor], precision: Precision) -> Callable[[], None]:
        def step() -> None:
            model.zero_grad(set_to_none=True)
            with autocast(precision, device):
                loss = loss_of()
            loss.backward()

        return step

    tacotron2, dtc = build("tacotron2").to(device).train(), build("dtc").to(device).train()
    theirs = torchaudio_twin(tacotron2).to(device).train()
    contestants = {
        "torchaudio": (theirs, lambda: loss_of_torchaudio(theirs, batch)),
        "tacotron2": (tacotron2, lambda: tacotron2.training_loss(batch, 0)["loss"]),
        "dtc": (dtc, lambda: dtc.training_loss(batch, 0)["loss"]),
    }
    precisions: list[Precision] = ["fp32", "bf16"] if has_bfloat16(device) else ["fp32"]
    return {
        f"{name}, {precision}": step_of(model, loss_of, precision)
        for precision in precisions
        for name, (model, loss_of) in contestants.items()
    }


def loss_of_torchaudio(model: torchaudio.models.Tacotron2, batch: Batch) -> Tensor:
    """The usual loss, as cheap as ours."""
    mel, mel_postnet, gate, _ = model(batch.symbol_ids, batch.symbol_lengths, batch.mel, batch.mel_lengths)
    ends = torch.zeros_like(gate)
    ends[:, -1] = 1.0
    return (
        F.l1_loss(mel, batch.mel) + F.l1_loss(mel_postnet, batch.mel) + F.binary_cross_entropy_with_logits(gate, ends)
    )


def time_training(batch: Batch, rounds: int, device: torch.device, rates: dict[str, float]) -> list[dict]:
    """Seconds of a step, its floor, and the peak of a process that makes one."""
    steps = training_steps(batch, device)
    seconds = time_in_turn(steps, rounds, device)
    rows = []
    for name, step in steps.items():
        with FlopCounterMode(display=False, custom_mapping=UNCOUNTED) as counter:
            step()
        precision = name.split(", ")[1]
        operations, rate = counter.get_total_flops(), rates[f"{precision}_gflop_per_s"]
        rows.append(
            {
                "name": name,
                "seconds": seconds[name],
                "times_torchaudio": seconds[f"torchaudio, {precision}"] / seconds[name],
                "times_torchaudio_fp32": seconds["torchaudio, fp32"] / seconds[name],
                "frames_per_s": int(batch.mel_lengths.sum()) / seconds[name],
                "gflop": operations / 1e9,
                "floor_s": operations / 1e9 / rate,
                "peak_mb": peak_of(name, batch, device),
            }
        )
    return rows


def time_inference(rounds: int, device: torch.device, rates: dict[str, float]) -> list[dict]:
    """Milliseconds a frame, alone and eight at once, and the error of the mel against float32.

    Each precision has a model of its own: as in `dtc say`, its weights are packed once, before the first text.
    """
    first = build("tacotron2", max_decoder_steps=SPOKEN_FRAMES, gate_threshold=NEVER).to(device).eval()
    ours = {weight_format: deepcopy(first) for weight_format in get_args(WeightFormat)}
    theirs = torchaudio_twin(first, decoder_max_step=SPOKEN_FRAMES, gate_threshold=1.0).to(device).eval()
    texts = [torch.randint(11, 60, (SPOKEN_SYMBOLS,), generator=torch.Generator().manual_seed(n)) for n in range(8)]
    rows = []

    def speak(weight_format: str, count: int) -> Tensor:
        options = InferenceOptions(step=0, weight_format=weight_format)
        return ours[weight_format].infer(texts[:count], 1, options)[0].mel

    for count in (1, 8):
        ids, lengths = torch.stack(texts[:count]).to(device), torch.full((count,), SPOKEN_SYMBOLS, device=device)
        contestants: dict[str, Callable[[], object]] = {
            "torchaudio, float32": torch.inference_mode()(lambda ids=ids, lengths=lengths: theirs.infer(ids, lengths))
        }
        for precision in ours:
            contestants[f"tacotron2, {precision}"] = lambda precision=precision, count=count: speak(precision, count)
        seconds, exact = time_in_turn(contestants, rounds, device), speak("float32", 1)
        for name in contestants:
            precision = name.split(", ")[1]
            n_bytes = DECODER_LSTM_NUMBERS * {"float32": 4, "float16": 2, "int8": 1}[precision]
            is_ours = name.startswith("tacotron2")
            rows.append(
                {
                    "name": name,
                    "texts": count,
                    "ms_per_frame": 1e3 * seconds[name] / SPOKEN_FRAMES,
                    "share_of_torchaudio": seconds[name] / seconds["torchaudio, float32"],
                    "floor_ms": n_bytes / 1e6 / rates["gb_per_s"],
                    "packing_s": packing_seconds(ours[precision].decoder, precision, device) if is_ours else None,
                    "mel_error": float((speak(precision, 1) - exact).abs().max()) if is_ours else None,
                }
            )
    return rows


def packing_seconds(decoder: Decoder, weight_format: WeightFormat, device: torch.device) -> float:
    """Return the seconds that packing the weights takes, once for a voice."""
    return seconds_of(lambda: DecoderInference(decoder, weight_format, cuda_graphs=False), device)


def peak_of(name: str, batch: Batch, device: torch.device) -> float:
    """Peak of a fresh process that makes one step."""
    clips, _, frames = batch.mel.shape
    command = [sys.executable, __file__, "--peak-of", name, "--device", str(device), "--clips", str(clips)]
    done = subprocess.run([*command, "--frames", str(frames)], check=True, capture_output=True, text=True)
    return float(done.stdout)


def peak_mb(step: Callable[[], None], device: torch.device) -> float:
    """Of this process on a CPU; of what torch has allocated on a GPU."""
    step()
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated() / 1e6
    return int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) / 1024


def report(results: dict) -> None:
    """Two tables."""
    console = Console(width=120)
    batch = results["batch"]
    table = Table(
        "training step",
        "s",
        "× torchaudio",
        "frames/s",
        "GFLOP",
        "floor, s",
        "peak, MB",
        title="{clips} × {symbols} symbols × {frames} frames".format(**batch),
    )
    for row in results["training"]:
        table.add_row(
            row["name"],
            f"{row['seconds']:.2f}",
            f"{row['times_torchaudio_fp32']:.2f}",
            f"{row['frames_per_s']:.0f}",
            f"{row['gflop']:.0f}",
            f"{row['floor_s']:.2f}",
            f"{row['peak_mb']:.0f}",
        )
    console.print(table)
    table = Table(
        "inference",
        "texts",
        "ms a frame",
        "of torchaudio",
        "floor, ms",
        "largest mel error",
        title=f"{SPOKEN_SYMBOLS} symbols, {SPOKEN_FRAMES} frames",
    )
    for row in results["inference"]:
        error = "" if row["mel_error"] is None else f"{row['mel_error']:.1e}"
        table.add_row(
            row["name"],
            str(row["texts"]),
            f"{row['ms_per_frame']:.2f}",
            f"{row['share_of_torchaudio']:.2f}",
            f"{row['floor_ms']:.2f}",
            error,
        )
    console.print(table)
    console.print("rates:", {name: round(rate, 1) for name, rate in results["rates"].items()})


if __name__ == "__main__":
    main()
