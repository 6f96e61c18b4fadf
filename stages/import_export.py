"""`dtc import` and `dtc export`: another project's checkpoint ⇄ a model folder."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

import torch
from rich.console import Console
from rich.table import Table

from dtc.acoustic import AcousticConfig
from dtc.audio import AudioConfig
from dtc.compat import nvidia_tacotron2, nvidia_waveglow, onnx
from dtc.compat.checkpoint_files import Checkpoint, read_checkpoint, read_hparams
from dtc.config import Section, parse_section
from dtc.errors import InputError
from dtc.files import write_whole
from dtc.model_card import CARD, WEIGHTS, ModelCard, read_model, save_model
from dtc.provenance import sha256_of
from dtc.text.symbols import TextConfig
from dtc.vocoder import VocoderConfig
from dtc.vocoder.base import load_vocoder
from dtc.vocoder.configs import WaveGlowConfig
from stages import paths

NVIDIA_TACOTRON2, NVIDIA_WAVEGLOW = "nvidia-tacotron2", "nvidia-waveglow"

Kind = Literal["acoustic", "vocoder"]
Imported = nvidia_tacotron2.Imported | nvidia_waveglow.Imported


class _AcousticSection(Section):
    config: AcousticConfig


class _VocoderSection(Section):
    config: VocoderConfig


def import_nvidia_tacotron2(
    file: Path, hparams_file: Path | None, out: Path, overwrite: bool, console: Console
) -> None:
    """Write the model folder of a Tacotron 2 checkpoint of NVIDIA's. Nothing is written where it is refused."""
    _import(
        file, hparams_file, out, overwrite, console, "acoustic", NVIDIA_TACOTRON2, nvidia_tacotron2.import_tacotron2
    )


def import_nvidia_waveglow(file: Path, hparams_file: Path | None, out: Path, overwrite: bool, console: Console) -> None:
    """Write the model folder of a WaveGlow checkpoint of NVIDIA's. Nothing is written where it is refused."""
    _import(file, hparams_file, out, overwrite, console, "vocoder", NVIDIA_WAVEGLOW, nvidia_waveglow.import_waveglow)


def _import(
    file: Path, hparams_file: Path | None, out: Path, overwrite: bool, console: Console, kind: Kind, source: str,
    convert: Callable[[Mapping[str, Any], Mapping[str, Any], object], Imported],
) -> None:  # fmt: skip
    _require_free(out, overwrite)
    checkpoint = read_checkpoint(file)
    hparams = checkpoint.hparams | (read_hparams(hparams_file) if hparams_file else {})
    imported = convert(checkpoint.state_dict, hparams, file)
    folder = Path(os.path.abspath(out))  # noqa: PTH100  # resolve() would follow a link, which is refused above
    card = save_model(folder, imported.weights, _card(kind, source, file, checkpoint, imported))
    table = Table("model", "parameters", "steps", "folder", "fingerprint")
    steps = str(card.steps or "unknown")
    table.add_row(imported.config.model, f"{imported.parameters:,}", steps, str(out), card.fingerprint)
    console.print(table)
    if imported.assumed:
        assumed = ", ".join(f"{name} {value:g}" for name, value in imported.assumed.items())
        console.print(f"import: as NVIDIA published, since {file} does not say: {assumed}", highlight=False)
    console.print(f"import: {_next(kind, imported.audio)}", highlight=False)


def _require_free(out: Path, overwrite: bool) -> None:
    """Raise InputError where `out` is there, unless it is a model that may be replaced: it is deleted in the end."""
    if not out.exists() and not out.is_symlink():
        return
    another = "name another with --out"
    if not overwrite:
        raise InputError(out, "is there already", "a new folder", f"replace it with --overwrite, or {another}")
    if out.is_symlink() or not out.is_dir() or {path.name for path in out.iterdir()} - {CARD, WEIGHTS}:
        raise InputError(out, "is there, and holds more than a model", "a folder that may be replaced", another)


def _card(kind: Kind, source: str, file: Path, checkpoint: Checkpoint, imported: Imported) -> ModelCard:
    sha256, bands = sha256_of(file), imported.audio.n_mel_channels
    return ModelCard(
        kind=kind,
        config=imported.config.model_dump(mode="json"),
        training={"imported_as": source, "file": file.name, "sha256": sha256},
        audio=imported.audio,
        text=TextConfig(symbols="nvidia", normaliser="english"),
        alphabet=nvidia_tacotron2.ALPHABET,
        mel_mean=(0.0,) * bands,  # NVIDIA's mels are not normalised
        mel_deviation=(1.0,) * bands,
        corpus=f"unknown: {source}",
        features=f"unknown: {source}, SHA-256 {sha256}",  # never those of data/features
        steps=checkpoint.iteration,
    )


def _next(kind: Kind, audio: AudioConfig) -> str:
    mel = f"{audio.sampling_rate} Hz, hop {audio.hop_length}, {audio.n_mel_channels} bands"
    here, other, there = (
        (paths.ACOUSTIC, "a vocoder", paths.VOCODER)
        if kind == "acoustic"
        else (paths.VOCODER, "an acoustic model", paths.ACOUSTIC)
    )
    return f'next, `dtc say "…"`, with {here} and {other} of the same mel ({mel}) in {there}'


def export_nvidia_tacotron2(file: Path, folder: Path, overwrite: bool, console: Console) -> None:
    """Write a model folder as a checkpoint that NVIDIA's code reads: torch.save of {iteration, config, state_dict}."""
    _require_new_checkpoint(file, overwrite)
    card, weights = read_model(folder, "acoustic")
    config = parse_section({"config": card.config}, _AcousticSection, str(folder / CARD)).config
    _write(file, config.model, card, *nvidia_tacotron2.export_tacotron2(config, card, weights, folder), console)


def export_nvidia_waveglow(file: Path, folder: Path, overwrite: bool, console: Console) -> None:
    """Write a WaveGlow's folder as {iteration, config, state_dict}: a state_dict that NVIDIA's module loads."""
    _require_new_checkpoint(file, overwrite)
    card, weights = read_model(folder, "vocoder")
    config = parse_section({"config": card.config}, _VocoderSection, str(folder / CARD)).config
    if not isinstance(config, WaveGlowConfig):
        raise InputError(folder, f"a model {config.model}", "waveglow", "train one, or name its folder with --model")
    _write(file, config.model, card, *nvidia_waveglow.export_waveglow(config, card, weights, folder), console)


def export_onnx(file: Path, folder: Path, overwrite: bool, console: Console) -> None:
    """Write a vocoder as an ONNX model, which onnxruntime speaks with."""
    _require_new(file, overwrite)
    vocoder, card = load_vocoder(folder, torch.device("cpu"))
    shapes = onnx.export_onnx(vocoder, file)
    table = Table("model", "steps", "file", "MB", "SHA-256")
    size_mb = file.stat().st_size / 1e6
    table.add_row(str(card.config["model"]), str(card.steps), str(file), f"{size_mb:.1f}", sha256_of(file)[:16])
    console.print(table)
    for name, axes in shapes.items():
        console.print(f"export: {name} ({', '.join(axes)}), float32", highlight=False)


def _require_new_checkpoint(file: Path, overwrite: bool) -> None:
    """Raise InputError for a name that says it is no torch.save, too: whoever reads it would go by that."""
    if file.suffix in (".safetensors", ".onnx"):
        raise InputError(file, f"a name of another format, {file.suffix}", "one of a torch checkpoint", "name it .pt")
    _require_new(file, overwrite)


def _require_new(file: Path, overwrite: bool) -> None:
    if file.exists() and (file.is_dir() or not overwrite):
        remedy = "name another" if file.is_dir() else "replace it with --overwrite, or name another"
        raise InputError(file, "is there already", "a new file", remedy)


def _write(
    file: Path, model: str, card: ModelCard, checkpoint: dict[str, Any], notes: list[str], console: Console
) -> None:
    stream = io.BytesIO()  # in memory, so that the file's name is not in its bytes
    torch.save(checkpoint, stream)
    write_whole(file, stream.getvalue())
    table = Table("model", "tensors", "steps", "file", "SHA-256")
    table.add_row(model, str(len(checkpoint["state_dict"])), str(card.steps), str(file), sha256_of(file)[:16])
    console.print(table)
    for note in notes:
        console.print(f"export: {note}", highlight=False)
    console.print(f'export: reads with torch.load("{file}", weights_only=True)["state_dict"]', highlight=False)
