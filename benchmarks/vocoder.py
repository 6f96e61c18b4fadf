"""Compare the speed of the vocoders: seconds of work for a second of audio, by size, batch, precision and threads.

    python benchmarks/vocoder.py [--device cuda] [--rounds 3]

Weights are random, as they do not change the work. Times are medians over the rounds; each round runs every vocoder
once, after a short warm-up. The floor of a call is the shortest possible time on this machine, the longer of two: for
the operations of its products and FFTs at the rate of one large product, and for reading the weights once at the memory
bandwidth. Griffin-Lim is limited by neither, but by moving spectra through memory. Processor time is that of all
threads; while other programs are running, it is more reliable than wall time.
"""

from __future__ import annotations

import argparse
import os
import time
from functools import partial
from math import log2, prod
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

# As the command line does, see stages/cli.py: OpenMP's waiting threads would take the core of any other program.
os.environ.setdefault("GOMP_SPINCOUNT", "10000")

import torch
import yaml
from machine import write_results
from rich.console import Console
from rich.table import Table
from timing import measure_rates, seconds_of
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from dtc.audio import MelStatistics
from dtc.audio_config import AudioConfig
from dtc.training.config import Precision
from dtc.training.operations import UNCOUNTED
from dtc.training.precision import autocast, has_bfloat16
from dtc.vocoder import VOCODERS
from dtc.vocoder.base import Vocoder
from dtc.vocoder.configs import GriffinLimConfig, VocosConfig, WaveGlowConfig

ROOT = Path(__file__).parents[1]
FULL_SIZE, SMALL = ROOT / "stages/presets/ljspeech-dtc.yaml", ROOT / "params.yaml"
BATCHES = (1, 8)
CHUNKS = (32, 128)  # frames of mel that arrive at once
WARM_UP_FRAMES = 16
NO_BFLOAT16 = "no bfloat16 in this hardware"  # emulated, it is many times slower: a figure of no use


class Contestant(NamedTuple):
    """A vocoder, and the length of the audio that it generates, which is shorter for slow vocoders."""

    name: str
    model: Vocoder
    audio_s: float

    def mel(self, clips: int) -> Tensor:
        """Return a random log-mel for a number of clips; its values do not change the work."""
        audio, generator = self.model.audio, torch.Generator().manual_seed(0)
        frames = round(self.audio_s * audio.frames_per_s)
        return 2.0 * torch.randn(clips, audio.n_mel_channels, frames, generator=generator) - 5.0


def main() -> None:
    """Measure, print and write results/benchmarks/vocoder.json (vocoder-cuda.json on a GPU)."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    device, is_cpu = torch.device(arguments.device), arguments.device == "cpu"
    vocoders, every_core = contestants(device), torch.get_num_threads()
    streaming = [vocoder for vocoder in vocoders if hasattr(vocoder.model, "stream")]
    results: dict[str, Any] = {
        "vocoders": [facts_of(vocoder, device) for vocoder in vocoders],
        "rates": {},
        "speaking": [],
        "streaming": [],
    }
    for threads in sorted({1, every_core}) if is_cpu else [every_core]:
        torch.set_num_threads(threads)
        rates = results["rates"][threads] = measure_rates(device)
        measured = time_speaking(vocoders, arguments.rounds, device)
        streamed = [time_stream(v, chunk, arguments.rounds, device) for v in streaming for chunk in CHUNKS]
        results["speaking"] += [{"threads": threads} | row | floor_of(row, results, rates) for row in measured]
        results["streaming"] += [{"threads": threads} | row for row in streamed]
    report(results)
    write_results("vocoder" if is_cpu else "vocoder-cuda", results)


def contestants(device: torch.device) -> list[Contestant]:
    """Return all vocoders with random weights. WaveGlow's full size is NVIDIA's."""
    full, small = (yaml.safe_load(path.read_text(encoding="utf-8")) for path in (FULL_SIZE, SMALL))
    steps = {name: full["evaluate"][f"griffin_lim_{name}"] for name in ("iterations", "momentum")}
    configs = {
        "Vocos, full size": (VocosConfig.model_validate(full["vocoder"]), full, 10.0),
        "Vocos, params.yaml": (VocosConfig.model_validate(small["vocoder"]), small, 10.0),
        "WaveGlow-256": (waveglow(256, "upsampled"), full, 1.0),
        "WaveGlow-256, interpolated": (waveglow(256, "interpolated"), full, 1.0),
        "WaveGlow-64": (waveglow(64, "upsampled"), full, 1.0),
        "Griffin-Lim": (GriffinLimConfig(model="griffin_lim", train_on="recorded", **steps), full, 5.0),
    }
    made = []
    for name, (config, params, audio_s) in configs.items():
        model = VOCODERS.build(config, AudioConfig.model_validate(params["audio"]), MelStatistics.neutral(80))
        made.append(Contestant(name, model.to(device).eval(), audio_s))
    return made


def waveglow(channels: int, conditioning: str) -> WaveGlowConfig:
    """Return NVIDIA's sizes with other channels and conditioning, without the denoiser."""
    return WaveGlowConfig.model_validate(
        {
            "model": "waveglow",
            "num_flows": 12,
            "group_size": 8,
            "early_every": 4,
            "early_size": 2,
            "conditioning": conditioning,
            "pre_emphasis": 0.0,
            "train_on": "recorded",
            "segment_frames": 62,
            "attenuation_db": 0.0,
            "wavenet": {"num_layers": 8, "num_channels": channels, "kernel_size": 3},
            "sigma": 1.0,
            "infer_sigma": 0.6,
            "denoiser_strength": 0.0,
        }
    )


@torch.inference_mode()
def facts_of(contestant: Contestant, device: torch.device) -> dict:
    """Return the size of a vocoder, and its operations for a second of audio."""
    model, mel = contestant.model, contestant.mel(1).to(device)
    with FlopCounterMode(display=False, custom_mapping=OPERATIONS) as counter:
        wave = model(mel)
    seconds = wave.shape[1] / model.audio.sampling_rate
    parameters = sum(parameter.numel() for parameter in model.parameters())
    return {
        "name": contestant.name,
        "sampling_rate": model.audio.sampling_rate,
        "parameters": parameters,
        "weights_mb": 4 * parameters / 1e6,
        "gflop_per_s": counter.get_total_flops() / 1e9 / seconds,
    }


def _fft_operations(transforms: int, size: int) -> int:
    """Return the operations of real transforms: 5/2 n log2 n each, the usual count."""
    return int(2.5 * size * log2(size) * transforms)


# PyTorch's counter knows products only.
OPERATIONS = UNCOUNTED | {
    torch.ops.aten._fft_r2c: lambda shape, dims, *rest, **options: _fft_operations(
        prod(shape) // shape[dims[-1]], shape[dims[-1]]
    ),
    torch.ops.aten._fft_c2r: lambda shape, dims, normalization, size, **options: _fft_operations(
        prod(shape) // shape[dims[-1]], size
    ),
}


def time_speaking(vocoders: list[Contestant], rounds: int, device: torch.device) -> list[dict]:
    """Return wall and processor seconds for a second of audio, of all vocoders in turn."""
    rows, works = [], []
    for vocoder in vocoders:
        precisions: list[Precision] = ["fp32", "bf16"] if any(True for _ in vocoder.model.parameters()) else ["fp32"]
        for precision in precisions:
            if precision == "bf16" and not has_bfloat16(device):
                rows.append({"name": vocoder.name, "precision": precision, "note": NO_BFLOAT16})
                continue
            for clips in BATCHES:
                mel = vocoder.mel(clips).to(device)
                speak(vocoder.model, mel[..., :WARM_UP_FRAMES], precision)
                works.append(partial(speak, vocoder.model, mel, precision))
                seconds = clips * mel.shape[2] / vocoder.model.audio.frames_per_s
                rows.append({"name": vocoder.name, "precision": precision, "clips": clips, "audio_s": seconds})
    wall: list[list[float]] = [[] for _ in works]
    processor: list[list[float]] = [[] for _ in works]
    for _ in range(rounds):
        for number, work in enumerate(works):
            started = time.process_time()
            wall[number].append(seconds_of(work, device))
            processor[number].append(time.process_time() - started)
    measured = [row for row in rows if "note" not in row]
    for row, walls, processors in zip(measured, wall, processor, strict=True):
        row["real_time_factor"], row["processor_s"] = (median(each) / row["audio_s"] for each in (walls, processors))
        row["times_real_time"] = 1.0 / row["real_time_factor"]
    return rows


@torch.inference_mode()
def speak(model: Vocoder, mel: Tensor, precision: Precision) -> Tensor:
    """Return the waveforms of a mel."""
    with autocast(precision, mel.device):
        return model(mel)


def floor_of(row: dict, results: dict, rates: dict[str, float]) -> dict[str, float]:
    """Return the shortest possible seconds for a second of audio, of the operations and of reading the weights."""
    if "note" in row:
        return {}
    facts = next(facts for facts in results["vocoders"] if facts["name"] == row["name"])
    operations_s = facts["gflop_per_s"] / rates[f"{row['precision']}_gflop_per_s"]
    weights_s = facts["weights_mb"] / 1e3 / rates["gb_per_s"] / row["audio_s"]  # read once for all clips of a batch
    share = max(operations_s, weights_s) / row["real_time_factor"]
    return {"operations_floor_s": operations_s, "weights_floor_s": weights_s, "share_of_floor": share}


def time_stream(contestant: Contestant, chunk: int, rounds: int, device: torch.device) -> dict:
    """Return the times until the first samples and for all samples, if the whole mel is there from the start."""
    model, mel = contestant.model, contestant.mel(1)[0].to(device)
    frame_ms = 1e3 / model.audio.frames_per_s
    firsts, wholes = [], []
    for _ in range(rounds + 1):
        waves = model.stream(mel.split(chunk, dim=1))
        first = seconds_of(partial(next, waves), device)
        firsts.append(first)
        wholes.append(first + seconds_of(partial(list, waves), device))
    factor = median(wholes[1:]) / (mel.shape[1] * frame_ms / 1e3)
    return {
        "name": contestant.name,
        "chunk_frames": chunk,
        "chunk_ms": chunk * frame_ms,
        "look_ahead_ms": model.look_ahead_frames * frame_ms,
        "first_samples_ms": 1e3 * median(firsts[1:]),
        "real_time_factor": factor,
        "times_real_time": 1.0 / factor,
    }


def report(results: dict) -> None:
    """Print three tables."""
    console = Console(width=120)
    table = Table("vocoder", "Hz", "parameters, M", "weights, MB", "GFLOP a second of audio", title="vocoders")
    for row in results["vocoders"]:
        table.add_row(
            row["name"],
            str(row["sampling_rate"]),
            f"{row['parameters'] / 1e6:.2f}",
            f"{row['weights_mb']:.1f}",
            f"{row['gflop_per_s']:.2f}",
        )
    console.print(table)
    table = Table(
        "vocoder",
        "precision",
        "threads",
        "clips",
        "s for a second",
        "× real time",
        "processor, s",
        "floor, s",
        "of the floor",
        title="speaking",
    )
    for row in results["speaking"]:
        head = [row["name"], row["precision"], str(row["threads"])]
        if "note" in row:
            table.add_row(*head, "", row["note"])
            continue
        floor = max(row["operations_floor_s"], row["weights_floor_s"])
        table.add_row(
            *head,
            str(row["clips"]),
            *(f"{row[name]:.3g}" for name in ("real_time_factor", "times_real_time", "processor_s")),
            f"{floor:.3g}",
            f"{row['share_of_floor']:.2f}",
        )
    console.print(table)
    table = Table(
        "vocoder",
        "threads",
        "chunk, ms",
        "looks ahead, ms",
        "first samples after, ms",
        "s for a second",
        "× real time",
        title="streaming",
    )
    for row in results["streaming"]:
        table.add_row(
            row["name"],
            str(row["threads"]),
            f"{row['chunk_ms']:.0f}",
            f"{row['look_ahead_ms']:.0f}",
            f"{row['first_samples_ms']:.1f}",
            f"{row['real_time_factor']:.3g}",
            f"{row['times_real_time']:.3g}",
        )
    console.print(table)
    for threads, rates in results["rates"].items():
        console.print(f"rates, {threads} threads:", {name: round(rate, 1) for name, rate in rates.items()})


if __name__ == "__main__":
    main()
