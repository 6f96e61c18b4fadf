"""`dtc import` and `dtc export`: a file of another project → a model folder, and a model folder → such a file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

from rich.console import Console
from rich.table import Table

from dtc.audio_config import AudioConfig
from dtc.compat import FORMATS
from dtc.compat.checkpoint_files import Checkpoint, read_checkpoint, read_hparams
from dtc.compat.formats import Format, Imported
from dtc.config import Section
from dtc.errors import InputError
from dtc.files import locked, remove_folder, replace_folder, require_only_ours, settle_replacement, write_whole
from dtc.model_card import ModelCard, ModelKind
from dtc.model_folder import is_model_folder, require_replaceable, save_model
from dtc.provenance import sha256_of
from stages import paths

SUFFIXES = {".pt", ".pth", ".safetensors", ".onnx"}  # of files whose format is known by the name


class Target(NamedTuple):
    """The path that a command writes, and whether it may replace a file or folder there."""

    path: Path
    overwrite: bool


def import_model(name: str, file: Path, hparams_file: Path | None, target: Target, console: Console) -> None:
    """Write the model folder of a checkpoint in the format `name`. Nothing is written if it is refused.

    Raises InputError if the format cannot be imported, if the checkpoint or its hyper-parameters are not usable, and if
    something is in the way that may not be replaced.
    """
    format = FORMATS.get(name)
    if format.read is None:
        raise InputError(f"dtc import {name}", "this format can only be written", "another one")
    _require_free(target, file)
    if is_model_folder(file if file.is_dir() else file.parent):
        remedy = "dtc uses it as it is; `dtc say` reads the folder that holds acoustic/ and vocoder/"
        raise InputError(file, "a model of dtc", "a file of another project", remedy)
    checkpoint = read_checkpoint(file)
    hparams = checkpoint.hparams | (read_hparams(hparams_file) if hparams_file else {})
    imported = format.read(checkpoint.state_dict, hparams, file)
    assert format.kind
    card = save_model(target.path.absolute(), imported.weights, _card(name, format, file, checkpoint, imported))
    table = Table("model", "parameters", "steps", "folder", "fingerprint")
    steps = str(card.steps or "unknown")
    table.add_row(str(card.config["model"]), f"{imported.parameters:,}", steps, str(target.path), card.fingerprint)
    console.print(table)
    if imported.assumed:
        assumed = ", ".join(f"{key} {value:g}" for key, value in imported.assumed.items())
        console.print(f"import: not in {file}, so taken from NVIDIA's published model: {assumed}")
    console.print(f"import: {_next(format.kind, imported.audio)}")


def export_model(name: str, folder: Path, target: Target, console: Console) -> None:
    """Write the model, or the voice, of a folder as a file or a folder in the format `name`.

    Raises InputError if the folder holds nothing that the format can express, and if something is in the way that may
    not be replaced.
    """
    format = FORMATS.get(name)
    _require_new(target, format, folder)
    exported = format.write(folder)
    table = Table("model", "steps", *exported.facts, "file", "MB", "SHA-256")
    model, steps = str(exported.card.config["model"]), str(exported.card.steps)
    for file in _written(target.path, exported.content, format):
        size, sha256 = f"{file.stat().st_size / 1e6:.1f}", sha256_of(file)[:16]
        table.add_row(model, steps, *exported.facts.values(), str(file), size, sha256)
    console.print(table)
    for note in exported.notes:
        console.print(f"export: {note.replace('FILE', json.dumps(str(target.path)))}")


def _written(path: Path, content: bytes | dict[str, bytes], format: Format) -> list[Path]:
    """Write a file, or a folder in the place of one with the same kind of files. Return the paths of the files."""
    if isinstance(content, bytes):
        write_whole(path, content)
        return [path]
    with locked(path):
        settle_replacement(path)
        require_only_ours(path, lambda file: str(file) in format.files, "name another folder")
        part = path.with_name(path.name + ".part")
        remove_folder(part, lambda file: str(file).removesuffix(".part") in format.files, f"move {part} away")
        for name, each in content.items():
            write_whole(part / name, each)
        replace_folder(part, path)
    return [path / name for name in content]


def _require_free(target: Target, source: Path) -> None:
    """Raise InputError if the target is there, unless it is a model that may be replaced and does not hold `source`."""
    out = target.path
    if not out.exists() and not out.is_symlink():
        return
    another = "name another with --out"
    if not target.overwrite:
        raise InputError(out, "is there already", "a new folder", f"replace it with --overwrite, or {another}")
    if out.resolve() in source.resolve().parents:
        raise InputError(out, f"holds {source}, which is read", "a folder that may be replaced", another)
    require_replaceable(out)


def _require_new(target: Target, format: Format, folder: Path) -> None:
    """Raise InputError if something is there that may not be replaced, or the suffix is that of another format."""
    path, suffix = target.path, target.path.suffix
    kind = "file" if format.suffixes else "folder"
    if suffix in SUFFIXES - set(format.suffixes):
        expected = f"a name that ends in {format.suffixes[0]}" if format.suffixes else "the name of a folder"
        raise InputError(path, f"a name of another format, {suffix}", expected)
    if folder.resolve() in (path.resolve(), *path.resolve().parents):
        raise InputError(path, f"is in {folder}, which is read", f"a {kind} elsewhere", "name another")
    is_other = path.exists() and path.is_dir() == bool(format.suffixes)  # a folder in the place of a file, or a file
    if path.exists() and (is_other or not target.overwrite):
        remedy = "name another" if is_other else "replace it with --overwrite, or name another"
        raise InputError(path, "is there already", f"a new {kind}", remedy)


def _card(name: str, format: Format, file: Path, checkpoint: Checkpoint, imported: Imported[Section]) -> ModelCard:
    sha256, bands = sha256_of(file), imported.audio.n_mel_channels
    assert format.kind
    assert format.text
    return ModelCard(
        kind=format.kind,
        config=imported.config.model_dump(mode="json"),
        training={"imported_as": name, "file": file.name, "sha256": sha256},
        audio=imported.audio,
        text=format.text,
        alphabet=format.alphabet,
        mel_mean=(0.0,) * bands,  # NVIDIA's mels are not normalised
        mel_deviation=(1.0,) * bands,
        corpus=f"unknown: {name}",
        features=f"unknown: {name}, SHA-256 {sha256}",  # never those of data/features
        steps=checkpoint.iteration,
    )


def _next(kind: ModelKind, audio: AudioConfig) -> str:
    mel = f"{audio.sampling_rate} Hz, hop {audio.hop_length}, {audio.n_mel_channels} bands"
    here, there = (paths.ACOUSTIC, paths.VOCODER) if kind == "acoustic" else (paths.VOCODER, paths.ACOUSTIC)
    other = "a vocoder" if kind == "acoustic" else "an acoustic model"
    return f'next, `dtc say "…"`, with {here} and {other} of the same mel ({mel}) in {there}'
