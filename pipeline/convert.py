"""Write clips in the formats of `dtc convert`: tensors, arrays, or a folder of WAVs. Equal clips give equal bytes.

Clips are written one by one, as all together may be larger than the memory.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import torch
from torch import Tensor

from dtc.audio_config import AudioConfig
from dtc.errors import InputError
from dtc.provenance import md5_of
from pipeline.features import Features
from pipeline.shard_writer import to_npy
from pipeline.tensor_mel_files import CLIPS_JSON, SetClip, SetFacts, members_of, parse_facts

WAVS, METADATA = "wavs", "metadata.csv"

Sums = dict[str, str]  # file name → MD5
Writer = Callable[[Iterable[Features], SetFacts, Path], Sums]  # writes one split into a folder


def write_tensors(clips: Iterable[Features], facts: SetFacts, folder: Path) -> Sums:
    """Write the .pt of a split."""
    file = folder / f"{facts.split}.pt"
    mel, wave = _Flat(folder / "mel.part", torch.float32), _Flat(folder / "wave.part", torch.int16)
    rows = []
    for features in clips:
        rows.append(_clip_facts(features))
        mel.append(features.mel)
        wave.append(features.wave)
    tree = {
        **facts.model_dump(mode="json"),
        "clips": rows,
        "mel_first": torch.tensor(mel.first),
        "wave_first": torch.tensor(wave.first),
        "mel": mel.mapped(),
        "wave": wave.mapped(),
    }
    with file.open("wb") as stream:  # given a path instead, torch would write its last part into the file
        torch.save(_share_texts(tree, {}), stream)
    mel.path.unlink()
    wave.path.unlink()
    return {file.name: md5_of(file)}


class _Flat:
    """The values of many clips, one after the other, in a file that is mapped into memory."""

    def __init__(self, path: Path, dtype: torch.dtype) -> None:
        self.path, self.dtype, self.first = path, dtype, [0]
        self._file = path.open("wb")

    def append(self, values: np.ndarray) -> None:
        """Append the values of an array, in C order."""
        self._file.write(values.tobytes())
        self.first.append(self.first[-1] + values.size)

    def mapped(self) -> Tensor:
        """Return all values; no more can be appended."""
        self._file.close()
        return torch.from_file(str(self.path), shared=False, size=self.first[-1], dtype=self.dtype)


def _share_texts(tree: Any, known: dict[str, str]) -> Any:
    """Return the same tree, in which equal texts are one object.

    A pickle writes a text again where it is another object, so that the bytes would depend on the objects' identity.
    """
    if isinstance(tree, str):
        return known.setdefault(tree, tree)
    if isinstance(tree, dict):
        return {_share_texts(key, known): _share_texts(value, known) for key, value in tree.items()}
    return [_share_texts(value, known) for value in tree] if isinstance(tree, list) else tree


def write_arrays(clips: Iterable[Features], facts: SetFacts, folder: Path) -> Sums:
    """Write the .npz of a split."""
    file, rows = folder / f"{facts.split}.npz", []
    with zipfile.ZipFile(file, "w") as archive:
        for features in clips:
            rows.append(_clip_facts(features))
            mel, wave = members_of(features.id)
            archive.writestr(_plain_member(mel), to_npy(features.mel))
            archive.writestr(_plain_member(wave), to_npy(features.wave))
        tree = {**facts.model_dump(mode="json"), "clips": rows}
        archive.writestr(_plain_member(CLIPS_JSON), json.dumps(tree))
    return {file.name: md5_of(file)}


def _plain_member(name: str) -> zipfile.ZipInfo:
    """Return the header of an uncompressed member, without the time and the system."""
    member = zipfile.ZipInfo(name)  # the constructor's date is 1980-01-01
    member.create_system, member.external_attr = 3, 0o644 << 16
    return member


def _clip_facts(features: Features) -> dict[str, Any]:
    text = features.text
    tree = {
        "id": features.id,
        "raw_text": text.raw_text,
        "spoken_text": text.spoken_text,
        "source_md5": text.source_md5,
        "frames": features.mel.shape[1],
        "samples": len(features.wave),
    }
    return parse_facts(tree, SetClip, features.id).model_dump(mode="json")


def write_wavs(clips: Iterable[Features], facts: SetFacts, folder: Path) -> Sums:
    """Write the WAVs of a split and the list of its ids, and append to metadata.csv, as in a folder of LJ Speech."""
    (folder / WAVS).mkdir(exist_ok=True)
    sums, ids = Sums(), list[str]()
    with (folder / METADATA).open("a", encoding="utf-8", newline="\n") as metadata:
        for features in clips:
            clip = _clip_facts(features)
            metadata.write("|".join(_field(clip[key], features.id) for key in ("id", "raw_text", "spoken_text")) + "\n")
            name, content = f"{WAVS}/{_file_name(features.id)}.wav", _wav_bytes(features, facts.audio)
            with (folder / name).open("xb") as file:  # x: fails where the file system takes two ids for the same name
                file.write(content)
            sums[name] = hashlib.md5(content, usedforsecurity=False).hexdigest()
            ids.append(features.id)
    (folder / f"{facts.split}.txt").write_text("".join(f"{id}\n" for id in ids), encoding="utf-8", newline="\n")
    return {name: md5_of(folder / name) for name in (METADATA, f"{facts.split}.txt")} | sums


def _field(text: str, where: str) -> str:
    """Return a text for metadata.csv. Raises InputError where it would break the row, as there are no quotes."""
    if "|" in text or "\n" in text or text.endswith("\r"):
        remedy = "convert to torch or numpy, or change it in the corpus"
        raise InputError(where, f"{text!r}", f"no | and no end of line in {METADATA}", remedy)
    return text


def _file_name(clip_id: str) -> str:
    if "\\" in clip_id:  # a folder on some systems, and an escape in a list of checksums
        raise InputError(clip_id, "a backslash in the name of a file", remedy="convert to torch or numpy, or rename it")
    return clip_id


def _wav_bytes(features: Features, audio: AudioConfig) -> bytes:
    stream = io.BytesIO()
    soundfile.write(stream, features.wave, audio.sampling_rate, subtype="PCM_16", format="WAV")
    return stream.getvalue()


WRITERS: dict[str, Writer] = {"torch": write_tensors, "numpy": write_arrays, "wav": write_wavs}
