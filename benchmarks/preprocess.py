"""`dtc preprocess` beside loops of librosa and of torchaudio that do the same work, on the same clips, in one run.

    python benchmarks/preprocess.py [--clips 2000] [--sample ../shared/data/ljspeech-sample.tar.bz2]

The clips are real ones of LJ Speech, repeated; one sample of each copy is changed so that no two are equal. Every
contestant decodes each clip and writes its 16-bit samples and its log-mel (and its STFT magnitudes as float16) into a
tar. Our own figures include everything else that the stage does: checksums of every clip and shard, statistics, index.
The start of Python and of the worker processes is timed apart: it is the same for ten clips and for a million.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import soundfile
import yaml
from machine import machine_facts, write_results
from rich.console import Console
from rich.table import Table

from dtc.provenance import md5_of

ROOT = Path(__file__).parents[1]
SAMPLE = ROOT / "../shared/data/ljspeech-sample.tar.bz2"
DTC = [str(Path(sys.executable).with_name("dtc"))]
USED_BYTES = 2 << 30
START_CLIPS = 20  # a run of so few is nearly all start


def main() -> None:
    """Time every contestant and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clips", type=int, default=2000)
    parser.add_argument("--sample", type=Path, default=SAMPLE)
    parser.add_argument("--memory-clips", type=int, nargs="*", default=[500, 5000])
    arguments = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        sample = read_sample(arguments.sample)
        wavs = write_wavs(sample, arguments.clips, Path(folder, "voice/wavs"))
        seconds = sum(soundfile.info(wav).duration for wav in wavs)
        for stft in (False, True):
            for workers in (1, 2):
                rows.append(time_dtc(sample, arguments.clips, workers, stft, Path(folder)))
            rows.append(time_loop("librosa loop", librosa_features, wavs, stft, Path(folder)))
            rows += [
                time_loop(
                    f"torchaudio loop, {threads} thread{'s' * (threads > 1)}",
                    partial(torchaudio_features, threads),
                    wavs,
                    stft,
                    Path(folder),
                )
                for threads in (1, 2)
            ]
        memory = {clips: measure_memory(sample, clips, Path(folder)) for clips in arguments.memory_clips}
    report([row for row in rows if row], seconds / arguments.clips, memory)


def use_memory(folder: Path) -> None:
    """Write and remove a file, before each contestant writes its own.

    A virtual machine may get its memory from the host page by page, when it is first used, and give it back when it is
    not: here that makes writing ten times slower for whoever finds it given back.
    """
    path, chunk = folder / "memory", bytes(1 << 24)
    with path.open("wb") as file:
        for _ in range(USED_BYTES >> 24):
            file.write(chunk)
    path.unlink()


def read_sample(archive: Path) -> dict[str, tuple[np.ndarray, str]]:
    """Id → samples and text of the real clips."""
    if not archive.is_file():
        layout = "a tar of LJ Speech's layout (metadata.csv and wavs/, 22,050 Hz)"
        raise SystemExit(f"{archive}: no such file; pass --sample FILE, {layout}; librosa comes with the extra `bench`")
    with tarfile.open(archive) as tar:
        files = {Path(member.name).name: tar.extractfile(member).read() for member in tar if member.isfile()}
    texts = dict(line.split("|")[::2] for line in files["metadata.csv"].decode().splitlines())
    return {
        clip: (soundfile.read(io.BytesIO(files[f"{clip}.wav"]), dtype="int16")[0], text) for clip, text in texts.items()
    }


def copies(sample: dict[str, tuple[np.ndarray, str]], clips: int) -> Iterator[tuple[str, np.ndarray, str]]:
    """`clips` clips: id, samples, text; no two with the same samples."""
    ids = sorted(sample)
    for number in range(clips):
        samples, text = sample[ids[number % len(ids)]]
        samples = samples.copy()
        samples[len(samples) // 2] = number // len(ids) % 2**15
        yield f"{ids[number % len(ids)]}-{number:06d}", samples, text


def write_wavs(sample: dict[str, tuple[np.ndarray, str]], clips: int, folder: Path) -> list[Path]:
    """The clips as files, for the loops."""
    folder.mkdir(parents=True, exist_ok=True)
    for clip, samples, _ in copies(sample, clips):
        soundfile.write(folder / f"{clip}.wav", samples, 22050)
    return sorted(folder.iterdir())


def make_project(sample: dict[str, tuple[np.ndarray, str]], clips: int, workers: int, stft: bool, folder: Path) -> Path:
    """A project whose corpus is downloaded and verified: a plain tar of the clips, and its manifest."""
    project = folder / f"project-{clips}"
    params = yaml.safe_load((ROOT / "stages/presets/ljspeech-tacotron2.yaml").read_text(encoding="utf-8"))
    params["corpus"] |= {"source": "voice.tar", "mirrors": [], "md5": None, "sha256": None}
    if (archive := project / "data/archive/voice.tar").exists():
        params["corpus"]["md5"] = md5_of(archive)
    params["split"] = {"method": "ratio", "validation_share": 0.05, "test_share": 0.05, "seed": 1}
    params["features"]["stft"] = stft
    params["distributed"]["workers"] = workers
    project.mkdir(exist_ok=True)
    (project / "params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")
    if not (project / "data/manifest.jsonl").exists():
        with tarfile.open(project / "voice.tar", "w") as tar:
            metadata = "".join(f"{clip}|{text}|{text}\n" for clip, _, text in copies(sample, clips))
            append(tar, "voice/metadata.csv", metadata.encode())
            for clip, samples, _ in copies(sample, clips):
                stream = io.BytesIO()
                soundfile.write(stream, samples, 22050, format="WAV")
                append(tar, f"voice/wavs/{clip}.wav", stream.getvalue())
        for command in ("download", "verify"):
            subprocess.run([*DTC, command], cwd=project, check=True, env=environment(), stdout=subprocess.DEVNULL)
        (project / "voice.tar").unlink()
    for made in ("data/features", "runs"):
        shutil.rmtree(project / made, ignore_errors=True)
    return project


def environment() -> dict[str, str]:
    """Of a `dtc` that runs from this checkout in another folder."""
    return {**os.environ, "PYTHONPATH": str(ROOT)}


def time_dtc(sample: dict[str, tuple[np.ndarray, str]], clips: int, workers: int, stft: bool, folder: Path) -> dict:
    """The stage as a command. A run of few clips beside it tells what the start takes."""
    start_s = run_stage(make_project(sample, START_CLIPS, workers, stft, folder))
    project = make_project(sample, clips, workers, stft, folder)
    use_memory(folder)
    whole_s = run_stage(project)
    rate = (clips - START_CLIPS) / (whole_s - start_s)
    name = f"dtc, {workers} worker{'s' * (workers > 1)}"
    return {"name": name, "stft": stft, "clips_per_s": rate, "start_s": start_s, "whole_s": whole_s}


def run_stage(project: Path, watch: Callable[[int], None] = lambda pid: None) -> float:
    """Seconds that `dtc preprocess` takes; `watch` is called with its process's number now and then."""
    started = time.perf_counter()
    process = subprocess.Popen([*DTC, "preprocess"], cwd=project, env=environment(), stdout=subprocess.PIPE, text=True)
    while process.poll() is None:
        watch(process.pid)
        time.sleep(0.05)
    seconds = time.perf_counter() - started
    if process.returncode or "clips computed in" not in process.communicate()[0]:
        raise SystemExit("dtc preprocess failed")
    return seconds


def tree(pid: int) -> list[int]:
    """A process and all below it."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return []
    return [pid, *(below for child in children for below in tree(int(child)))]


def proportional_bytes(pid: int) -> int:
    """Memory of a process, what it shares with others counted by its share."""
    try:
        found = re.search(r"^Pss:\s+(\d+) kB", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.MULTILINE)
    except OSError:
        return 0
    return int(found[1]) * 1024 if found else 0


def measure_memory(sample: dict[str, tuple[np.ndarray, str]], clips: int, folder: Path) -> int:
    """Peak bytes of the stage with two workers, all its processes together. Looking costs time: not timed."""
    seen = [0]
    project = make_project(sample, clips, 2, False, folder)
    run_stage(project, lambda pid: seen.append(sum(map(proportional_bytes, tree(pid)))))
    return max(seen)


def librosa_features() -> Callable[[Path, bool], tuple[np.ndarray, ...]]:
    """Mel and magnitudes as librosa computes them."""
    import librosa

    filters = librosa.filters.mel(sr=22050, n_fft=1024, n_mels=80, fmin=0.0, fmax=8000.0)

    def compute(path: Path, stft: bool) -> tuple[np.ndarray, ...]:
        wave, _ = librosa.load(path, sr=None)
        magnitude = np.abs(librosa.stft(wave, n_fft=1024, hop_length=256, win_length=1024, pad_mode="reflect"))
        mel = np.log(np.maximum(filters @ magnitude, 1e-5))
        return (wave * 32768).astype(np.int16), mel, *((magnitude.astype(np.float16),) if stft else ())

    return compute


def torchaudio_features(threads: int) -> Callable[[Path, bool], tuple[np.ndarray, ...]]:
    """Mel and magnitudes as torchaudio's transforms compute them."""
    import torch
    import torchaudio

    torch.set_num_threads(threads)

    spectrogram = torchaudio.transforms.Spectrogram(n_fft=1024, hop_length=256, power=1.0)
    to_mel = torchaudio.transforms.MelScale(80, 22050, 0.0, 8000.0, 513, norm="slaney", mel_scale="slaney")

    def compute(path: Path, stft: bool) -> tuple[np.ndarray, ...]:
        samples, _ = soundfile.read(path, dtype="int16")  # torchaudio.load wants a package that it does not install
        with torch.inference_mode():
            magnitude = spectrogram(torch.from_numpy(samples.astype(np.float32) / 32768))
            mel = to_mel(magnitude).clamp(min=1e-5).log().numpy()
            return samples, mel, *((magnitude.half().numpy(),) if stft else ())

    return compute


def time_loop(name: str, prepare: Callable, wavs: list[Path], stft: bool, folder: Path) -> dict | None:
    """A plain loop over the files, after three clips that are not counted."""
    try:
        compute = prepare()
    except ModuleNotFoundError:
        print(f"{name} is not installed: no row of it")
        return None
    for wav in wavs[:3]:
        compute(wav, stft)
    use_memory(folder)
    started = time.perf_counter()
    with tarfile.open(folder / "loop.tar", "w") as tar:
        for wav in wavs:
            for kind, array in zip(("wave", "mel", "stft"), compute(wav, stft), strict=False):
                stream = io.BytesIO()
                np.save(stream, array)
                append(tar, f"{wav.stem}.{kind}.npy", stream.getvalue())
    seconds = time.perf_counter() - started
    return {"name": name, "stft": stft, "clips_per_s": len(wavs) / seconds, "whole_s": seconds}


def append(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    """A file of a tar."""
    header = tarfile.TarInfo(name)
    header.size = len(content)
    tar.addfile(header, io.BytesIO(content))


def report(rows: list[dict], clip_s: float, memory: dict[int, int]) -> None:
    """The table, and the same as JSON."""
    table = Table("features", "who", "clips/s", "× real time", "start, s", "× librosa", "× torchaudio, 1 thread")
    for row in rows:
        rates = {other["name"]: other["clips_per_s"] for other in rows if other["stft"] == row["stft"]}
        ratios = [
            row["clips_per_s"] / rates[name] if name in rates else float("nan")
            for name in ("librosa loop", "torchaudio loop, 1 thread")
        ]
        row["times_real_time"] = row["clips_per_s"] * clip_s
        row["times_librosa"], row["times_torchaudio"] = ratios
        start = row.get("start_s")
        table.add_row(
            "wave + mel + STFT" if row["stft"] else "wave + mel",
            row["name"],
            f"{row['clips_per_s']:.0f}",
            f"{row['times_real_time']:.0f}",
            f"{start:.1f}" if start else "",
            *(f"{ratio:.2f}" for ratio in ratios),
        )
    Console(width=120).print(table)
    peaks = {str(clips): round(peak / 1e6) for clips, peak in memory.items()}
    print("peak memory of preprocess with 2 workers, MB by clips:", json.dumps(peaks))
    print("machine:", json.dumps(machine_facts()))
    write_results("preprocess", {"rows": rows, "peak_mb_by_clips": peaks})


if __name__ == "__main__":
    main()
