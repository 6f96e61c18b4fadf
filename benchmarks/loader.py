"""The loader alone, beside the rate at which the `smoke` preset's acoustic model consumes the same batches.

    python benchmarks/loader.py [FEATURES]

Without a folder of features, shards of LJ Speech's sizes are written into a temporary one. Files are read from the
page cache, as they are from an epoch's second time on. Peak memory is that of a fresh process over one epoch.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from machine import write_results
from rich.console import Console
from rich.table import Table

from dtc.acoustic import ACOUSTIC_MODELS
from dtc.audio import MelStatistics
from dtc.audio_config import AudioConfig
from dtc.batch import Batch
from dtc.training.optim import build_optimizer
from pipeline.batching import Batching
from pipeline.features import Features, StoredText
from pipeline.loader import ShardLoader
from pipeline.shard_writer import build_shard, write_entries
from pipeline.shards import ShardIndex, read_index, write_index
from stages.params import load_params

ROOT = Path(__file__).parents[1]
SMOKE = ROOT / "stages/presets/smoke.yaml"
# Not ru_maxrss, which a process inherits from the one that starts it.
EPOCH = """
import sys
from pipeline.batching import Batching
from pipeline.loader import ShardLoader
peak_mb = lambda: int(open("/proc/self/status").read().split("VmHWM:")[1].split()[0]) / 1024
print(peak_mb())
for _ in ShardLoader(sys.argv[1], "train", Batching(16, seed=1), workers=2).epoch(0):
    pass
print(peak_mb())
"""
SAMPLING_RATE, CLIPS_PER_SHARD, TRAINING_STEPS = 22050, 64, 10


def main() -> None:
    """Measure, print and write results/benchmarks/loader.json."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("features", nargs="?", type=Path, help="a folder of features; without, noise is written")
    parser.add_argument("--clips", type=int, default=2000)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        features = arguments.features or write_features(Path(folder, "speed"), arguments.clips)
        shards, size = read_index(features).shards, load_params(SMOKE).training.acoustic.batch_size
        budget = size * sum(shard.frames for shard in shards) // sum(shard.clips for shard in shards)
        rates = [*measure(features, size, None), *measure(features, None, budget)]  # equal batches, on average
        memory = [
            {"clips": clips, **peak_memory_mb(write_features(Path(folder, str(clips)), clips))} for clips in (500, 5000)
        ]
    report(rates, memory)


def measure(features: Path, batch_size: int | None, batch_frames: int | None) -> Iterator[dict[str, object]]:
    """A row for each number of workers."""
    loader = ShardLoader(features, "train", Batching(batch_size, batch_frames, seed=1))
    steps_per_s = training_rate(features, list(islice(loader.epoch(0), TRAINING_STEPS + 1)))
    for workers in (0, 1, 2):
        loader.workers = workers
        clips, frames, padded, started = 0, 0, 0, time.perf_counter()
        for batch in loader.epoch(1):
            clips, frames = clips + len(batch.ids), frames + int(batch.mel_lengths.sum())
            padded += batch.mel.shape[0] * batch.mel.shape[2]
        seconds = time.perf_counter() - started
        yield {
            "batches": f"{batch_size} clips" if batch_size else f"{batch_frames} frames",
            "workers": workers,
            "batches_per_s": loader.batches_per_epoch / seconds,
            "clips_per_s": clips / seconds,
            "padding_share": 1 - frames / padded,
            "training_steps_per_s": steps_per_s,
            "ratio": loader.batches_per_epoch / seconds / steps_per_s,
        }


def training_rate(features: Path, batches: list[Batch]) -> float:
    """Real steps a second of smoke's acoustic model on these batches; the first warms up."""
    smoke, index = load_params(SMOKE), read_index(features)
    model = ACOUSTIC_MODELS.build(
        smoke.acoustic, index.audio, MelStatistics(torch.tensor(index.mel_mean), torch.tensor(index.mel_deviation))
    )
    optimizer = build_optimizer(model.parameters(), smoke.training.acoustic.optimizer)
    for number, batch in enumerate(batches):
        if number == 1:
            started = time.perf_counter()
        optimizer.zero_grad(set_to_none=True)
        model.training_loss(batch, 0)["loss"].backward()
        optimizer.step()
    return (len(batches) - 1) / (time.perf_counter() - started)


def peak_memory_mb(features: Path) -> dict[str, float]:
    """Of a fresh process that imports the loader, and that reads an epoch with it."""
    output = subprocess.run(
        [sys.executable, "-c", EPOCH, str(features)], cwd=ROOT, capture_output=True, check=True, text=True
    ).stdout
    return dict(zip(("imports_mb", "peak_memory_mb"), map(float, output.split()), strict=True))


def write_features(folder: Path, clips: int) -> Path:
    """Noise of LJ Speech's lengths: 1.1 to 10.1 s, 6.6 s on average, 15 characters a second."""
    folder.mkdir(parents=True)
    smoke, generator = load_params(SMOKE), np.random.default_rng(0)
    audio = smoke.audio.model_copy(update={"sampling_rate": SAMPLING_RATE})
    seconds = np.clip(10.1 - generator.gamma(2.6, 1.36, clips), 1.1, 10.1)
    facts = []
    for first in range(0, clips, CLIPS_PER_SHARD):
        numbers = range(first, min(first + CLIPS_PER_SHARD, clips))
        noise = (noise_clip(number, seconds[number], audio, generator) for number in numbers)
        built = build_shard(f"train-{len(facts):05d}.tar", "train", noise, audio)
        (folder / built.facts.shard.file).write_bytes(built.content)
        facts.append(built.facts)
    index = ShardIndex(
        corpus="noise",
        corpus_md5="0" * 32,
        clips_md5=write_entries(folder, facts),
        recording=smoke.recording,
        audio=audio,
        text=smoke.text,
        alphabet=("a",),
        mel_mean=(0.0,) * 80,
        mel_deviation=(1.0,) * 80,
        shards=tuple(fact.shard for fact in facts),
    )
    write_index(folder, index)
    return folder


def noise_clip(number: int, duration_s: float, audio: AudioConfig, generator: np.random.Generator) -> Features:
    """A clip of noise."""
    samples, text = int(duration_s * SAMPLING_RATE), "a" * int(15 * duration_s)
    stored = StoredText(raw_text=text, spoken_text=text, n_samples=samples, source_md5="0" * 32)
    mel = generator.standard_normal((audio.n_mel_channels, 1 + samples // audio.hop_length), np.float32)
    return Features(f"LJ{number:06d}", stored, generator.integers(-9999, 9999, samples, np.int16), mel, None)


def report(rates: list[dict[str, object]], memory: list[dict[str, object]]) -> None:
    """Tables for people, JSON for the record."""
    for rows in (rates, memory):
        table = Table(*(name.replace("_", " ") for name in rows[0]))
        for row in rows:
            table.add_row(*(f"{value:,.3g}" if isinstance(value, float) else str(value) for value in row.values()))
        Console().print(table)
    print(write_results("loader", {"rates": rates, "memory": memory}))


if __name__ == "__main__":
    main()
