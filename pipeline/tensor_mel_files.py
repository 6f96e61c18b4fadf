"""Read the files that `dtc convert` writes for each split, of tensors (.pt) or of arrays (.npz).

Both hold the same description (`SetFacts`, and a `SetClip` for each clip). A .pt holds the log-mels of all its clips in
one flat tensor, their samples in another, and the places in them where each clip begins and the last one ends. An .npz
holds two arrays for each clip. Both are read clip by clip, as a set may be larger than the memory.

Nothing in a file is trusted: no pickle that needs code, no compressed member and no unlisted array is read.
"""

from __future__ import annotations

import json
import pickle
import zipfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import torch
from jaxtyping import Float32, Int16
from pydantic import AfterValidator, Field
from torch import Tensor

from dtc.audio_config import AudioConfig
from dtc.config import AnySection, Section, parse_section
from dtc.errors import InputError, reason_of, refused_pickle
from dtc.text.symbols import TextConfig
from pipeline.config import Md5, RecordingConfig
from pipeline.corpora.base import AN_ID, LONGEST_ID_BYTES, is_id
from pipeline.manifest import ManifestRow
from pipeline.shard_reader import MEL, WAVE, from_npy
from pipeline.shards import ShardIndex
from pipeline.split import Split

CLIPS_JSON = "clips.json"  # in an .npz
TENSORS = {"mel": torch.float32, "wave": torch.int16, "mel_first": torch.int64, "wave_first": torch.int64}  # in a .pt
CONVERT_AGAIN = "run `dtc convert` again in the project that it comes from"

Clips = tuple["SetClip", ...]
Arrays = tuple[Float32[np.ndarray, "mels frames"], Int16[np.ndarray, " samples"]]


def _check_id(name: str) -> str:
    if not is_id(name):
        raise ValueError(f"found {name[:LONGEST_ID_BYTES]!r}, expected {AN_ID}")
    return name


Count = Annotated[int, Field(ge=1, lt=1 << 40)]


class SetClip(Section):
    """One clip, as a file of a converted set lists it."""

    id: Annotated[str, AfterValidator(_check_id)]
    raw_text: str
    spoken_text: str
    source_md5: Md5  # of the recording's file
    frames: Count
    samples: Count


class SetFacts(Section):
    """What all clips of a file of a converted set share."""

    format: Literal["dtc tensor_mel"] = "dtc tensor_mel"
    version: Literal[1] = 1
    split: Split
    corpus: str  # name
    corpus_md5: Md5  # of the archive that the clips come from
    recording: RecordingConfig
    audio: AudioConfig
    text: TextConfig

    @classmethod
    def of(cls, index: ShardIndex, split: Split) -> SetFacts:
        """Return the description of a split of a folder of features."""
        shared = cls.model_fields.keys() & ShardIndex.model_fields.keys() - {"format"}
        return cls(split=split, **{name: getattr(index, name) for name in shared})


@dataclass(frozen=True)
class OpenSplit:
    """One file of a converted set, open for reading: its description, its clips, and a function for their arrays."""

    file: Path
    facts: SetFacts
    clips: Clips
    arrays: Callable[[int], Arrays]  # of the clip with this number

    def row(self, number: int) -> ManifestRow:
        """Return the manifest's row of a clip."""
        clip, audio = self.clips[number], self.facts.audio
        size_bytes = 4 * audio.n_mel_channels * clip.frames + 2 * clip.samples  # a clip has no file of its own
        return ManifestRow(
            id=clip.id,
            raw_text=clip.raw_text,
            spoken_text=clip.spoken_text,
            member=self.file.name,
            md5=clip.source_md5,
            samples=clip.samples,
            first_byte=None,
            size_bytes=size_bytes,
            source_sampling_rate=audio.sampling_rate,
            source_channels=1,
            crc32=0,
        )


def open_split(file: Path) -> OpenSplit:
    """Open a file of a set. Raises InputError where it is damaged, or its content does not match its name."""
    with in_one_line(file):
        split = _open_tensors(file) if file.suffix == ".pt" else _open_arrays(file)
    if (found := split.facts.split) != file.stem:
        raise InputError(file, f"holds the clips of split {found}", file.stem, "do not rename the files of a set")
    return split


@contextmanager
def in_one_line(file: Path) -> Iterator[None]:
    """Raise every error of reading a file as InputError: a parser that is given garbage may raise anything."""
    try:
        yield
    except InputError:
        raise
    except FileNotFoundError:
        raise InputError(file, "no such file", "a file of a converted set", "run `dtc download` first") from None
    except pickle.UnpicklingError as error:
        expected, remedy = "tensors, texts and numbers alone", "do not use this file"
        raise InputError(file, refused_pickle(error), expected, remedy) from None
    except Exception as error:
        kind = "a torch file" if file.suffix == ".pt" else "an npz file"
        raise InputError(file, f"does not read as {kind} ({reason_of(error)})", remedy=CONVERT_AGAIN) from None


def _open_tensors(file: Path) -> OpenSplit:
    with zipfile.ZipFile(file) as archive:
        _require_stored(archive, file)
    tree = torch.load(file, map_location="cpu", weights_only=True, mmap=True)
    facts, clips = _parse_all(tree, file, beside=TENSORS)
    mel, wave, mel_first, wave_first = (_require_flat(tree[name], dtype, file, name) for name, dtype in TENSORS.items())
    mels = facts.audio.n_mel_channels
    mel_places = _require_places(mel_first, (mels * clip.frames for clip in clips), mel, file, "mel")
    wave_places = _require_places(wave_first, (clip.samples for clip in clips), wave, file, "wave")

    def arrays(number: int) -> Arrays:
        values, samples = mel[mel_places[number]], wave[wave_places[number]]
        return values.view(mels, -1).numpy(), samples.numpy()

    return OpenSplit(file, facts, clips, arrays)


def _require_flat(value: object, dtype: torch.dtype, file: Path, name: str) -> Tensor:
    """Return a plain tensor with one axis that is within its storage: a view may claim more than there is."""
    where, expected = f"{file}: {name}", f"a plain tensor of {dtype} with one axis"
    if type(value) is not Tensor or value.layout is not torch.strided or value.device.type != "cpu":
        raise InputError(where, f"a {type(value).__name__}", expected, CONVERT_AGAIN)
    if value.dtype is not dtype or value.dim() != 1 or not value.is_contiguous():
        raise InputError(where, f"{value.dtype} of shape {tuple(value.shape)}", expected, CONVERT_AGAIN)
    if (value.storage_offset() + value.numel()) * value.itemsize > value.untyped_storage().nbytes():
        raise InputError(where, "is longer than its data", remedy=CONVERT_AGAIN)
    return value


def _require_places(first: Tensor, sizes: Iterable[int], flat: Tensor, file: Path, name: str) -> list[slice]:
    """Return the slice of `flat` of each clip: one behind the other, from the first value to the last."""
    bounds = list(accumulate(sizes, initial=0))
    if first.tolist() != bounds:
        found = "is not where the clips begin by their lengths"
        raise InputError(f"{file}: {name}_first", found, remedy=CONVERT_AGAIN)
    if len(flat) != bounds[-1]:
        raise InputError(f"{file}: {name}", f"{len(flat)} values", f"{bounds[-1]} by its clips", CONVERT_AGAIN)
    return [slice(*pair) for pair in pairwise(bounds)]


def _open_arrays(file: Path) -> OpenSplit:
    archive = zipfile.ZipFile(file)  # stays open while its clips are read: its directory takes a while to read
    _require_stored(archive, file)
    facts, clips = _parse_all(json.loads(archive.read(CLIPS_JSON)), file, beside=())
    expected = [*(name for clip in clips for name in members_of(clip.id)), CLIPS_JSON]
    if (found := archive.namelist()) != expected:
        differing = [repr(name) for name in sorted(set(found).symmetric_difference(expected))]
        fault = f"and its {CLIPS_JSON} differ in {', '.join(differing[:3]) or 'their order'}"
        raise InputError(file, fault, "two arrays a clip", CONVERT_AGAIN)
    mels = facts.audio.n_mel_channels

    def arrays(number: int) -> Arrays:
        clip = clips[number]
        mel, wave = members_of(clip.id)
        with in_one_line(file):
            return (
                from_npy(archive.read(mel), MEL, (mels, clip.frames), f"{file}:{mel}", CONVERT_AGAIN),
                from_npy(archive.read(wave), WAVE, (clip.samples,), f"{file}:{wave}", CONVERT_AGAIN),
            )

    return OpenSplit(file, facts, clips, arrays)


def members_of(clip_id: str) -> tuple[str, str]:
    """Return the names of a clip's arrays in an .npz: mel, wave."""
    return f"{clip_id}.mel.npy", f"{clip_id}.wave.npy"


def _require_stored(archive: zipfile.ZipFile, file: Path) -> None:
    """Raise InputError for a compressed member, which could fill the memory; `dtc convert` and torch compress none."""
    for member in archive.infolist():
        if member.compress_type != zipfile.ZIP_STORED or member.flag_bits & 1:
            raise InputError(f"{file}:{member.filename!r}", "is compressed or encrypted", "stored", CONVERT_AGAIN)


def _parse_all(tree: object, file: Path, beside: Iterable[str]) -> tuple[SetFacts, Clips]:
    """Return the description in a file that holds it, the keys of `beside`, and nothing else."""
    tree = dict(tree) if isinstance(tree, dict) else {}
    if lacking := [name for name in ("clips", *beside) if name not in tree]:
        raise InputError(file, f"no {lacking[0]}", "what `dtc convert` writes", CONVERT_AGAIN)
    clips = tree["clips"]
    if not isinstance(clips, list):
        raise InputError(f"{file}: clips", type(clips).__name__, "a list", CONVERT_AGAIN)
    others = {key: value for key, value in tree.items() if key not in ("clips", *beside)}
    facts = parse_facts(others, SetFacts, str(file))
    rows = tuple(parse_facts(clip, SetClip, f"{file}: clips.{number}") for number, clip in enumerate(clips))
    seen = set[str]()
    for number, row in enumerate(rows):
        if row.id in seen:
            raise InputError(f"{file}: clips.{number}", f"a second clip {row.id}", "one clip an id", CONVERT_AGAIN)
        seen.add(row.id)
    return facts, rows


def parse_facts(tree: object, schema: type[AnySection], where: str) -> AnySection:
    """Return a tree of texts and numbers as a section. Raises InputError where it holds anything else."""
    try:
        plain = json.loads(json.dumps(tree))
    except (TypeError, ValueError, RecursionError) as error:  # what a pickle can hold and JSON cannot
        raise InputError(where, f"holds what is no plain data ({error})", remedy=CONVERT_AGAIN) from None
    return parse_section(plain, schema, where)
