"""The folder results/scp: recordings, copies and synthesis of the same texts, as suites for evaluating speech read it.

    text        a line `ID spoken text` for each text
    gt.scp      a line `ID path` for each recording
    copy.scp    the same for the recording's mel through the voice's vocoder
    pred.scp    the same for the text through both models
    recording/ID.wav  copy_synthesis/ID.wav  synthesis/ID.wav    16 bit, mono, at the voice's sampling rate

The paths are relative to the project's folder, from which such a suite has to run. All but the recordings are marked
as synthetic. Whitespace, percent signs and slashes in an ID are written as in a URL, and so are colons, brackets and
bars, which readers of such lists take for a place in an archive, a range of it or a command.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import quote, unquote

import numpy as np
import soundfile
from jaxtyping import Float
from torch import Tensor

from dtc.audio import wav_bytes
from dtc.errors import InputError
from dtc.files import remove_folder, write_whole
from dtc.wav_mark import marked

TEXTS = "text"
RECORDING, COPY, SYNTHESIS = "recording", "copy_synthesis", "synthesis"
LISTS = {RECORDING: "gt.scp", COPY: "copy.scp", SYNTHESIS: "pred.scp"}  # kind of waveform → its list of paths
AGAIN = "run `dtc evaluate` again"
SEPARATORS = re.compile(r"[\s%/\\:|\[\]]")


@dataclass(frozen=True)
class SpokenText:
    """A text and the WAV files in which it is spoken, by kind of waveform: the keys of `LISTS`."""

    id: str
    text: str  # spoken words
    paths: Mapping[str, Path]


@dataclass(frozen=True)
class SpokenWaves:
    """A text and the waveforms in which it is spoken, by kind of waveform: at least the keys of `LISTS`."""

    id: str
    text: str  # spoken words
    waves: Mapping[str, Float[Tensor, " samples"]]


def write_speech_folder(
    folder: Path, texts: Iterable[SpokenWaves], sampling_rate: int, origin: Mapping[str, str]
) -> None:
    """Write the folder anew. The list of texts is written last, so that the folder is read only where it is whole.

    Args:
        folder: as a path relative to the project's folder, since its lists have such paths.
        texts: with their waveforms.
        sampling_rate: of the waveforms, in Hz.
        origin: name → fingerprint of what the synthetic ones were made from, for their mark.

    Raises InputError where the folder holds files of others; they are kept.
    """
    remove_folder(folder, _is_ours, "move the other files away")
    lines: dict[str, list[str]] = {name: [] for name in (*LISTS.values(), TEXTS)}
    for text in texts:
        id = _written(text.id)
        for kind, list_name in LISTS.items():
            path = folder / kind / f"{id}.wav"
            wav = wav_bytes(text.waves[kind], sampling_rate)
            write_whole(path, wav if kind == RECORDING else marked(wav, origin))
            lines[list_name].append(f"{id} {path.as_posix()}")
        lines[TEXTS].append(f"{id} {' '.join(text.text.split())}")
    for name, each in lines.items():
        write_whole(folder / name, "".join(f"{line}\n" for line in each))


def read_speech_folder(folder: Path) -> list[SpokenText]:
    """Return the texts of the folder, in its order, with the paths of their WAV files, which are in the folder.

    Its lists have paths relative to its own project's folder, which may be another one than the working folder.

    Raises InputError, which says to run `dtc evaluate`, where a list is missing, the lists differ in their IDs, or a
    WAV file is not there.
    """
    texts = _read_list(folder / TEXTS)
    listed = {kind: _read_list(folder / name) for kind, name in LISTS.items()}
    for kind, paths in listed.items():
        if paths.keys() != texts.keys():
            raise _unusable(folder / LISTS[kind], f"other IDs than in {TEXTS}")
    found = [
        SpokenText(id, text, {kind: folder / kind / PurePosixPath(listed[kind][id]).name for kind in LISTS})
        for id, text in texts.items()
    ]
    for path in (path for each in found for path in each.paths.values()):
        if not path.is_file():
            raise _unusable(path, "no such file")
    return found


def read_speech(path: Path) -> tuple[Float[np.ndarray, " samples"], int]:
    """Return the samples of a WAV file of the folder, in [-1, 1), and their sampling rate in Hz.

    Nothing else that the file has is returned. Raises InputError where it cannot be read, or is not mono.
    """
    try:
        wave, sampling_rate = soundfile.read(path, dtype="float64")
    except soundfile.LibsndfileError as error:
        raise InputError(path, f"cannot be read ({error.error_string})", remedy=AGAIN) from None
    if wave.ndim != 1:
        raise InputError(path, f"{wave.shape[1]} channels", "1", AGAIN)
    return wave, sampling_rate


def _read_list(path: Path) -> dict[str, str]:
    """Return ID → the rest of its line. Raises InputError where the file is missing or empty."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        raise _unusable(path, "no such file") from None
    if not lines:
        raise _unusable(path, "is empty")
    parted = (line.partition(" ") for line in lines)
    return {unquote(id): rest for id, _, rest in parted}


def _unusable(path: Path, found: str) -> InputError:
    return InputError(path, found, remedy="run `dtc evaluate` first")


def _written(id: str) -> str:
    """Return an ID as a part of a line and of a path, without what has another meaning there."""
    return SEPARATORS.sub(lambda match: quote(match[0], safe=""), id)


def _is_ours(path: PurePosixPath) -> bool:
    """Return whether a file in the folder, at this relative path, is one that `write_speech_folder` writes."""
    in_kind = len(path.parts) == 2 and path.parts[0] in LISTS and path.suffix == ".wav"
    return in_kind or path.as_posix() in {TEXTS, *LISTS.values()}
