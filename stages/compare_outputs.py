"""Compare outputs of two runs of a project by what their dvc.lock lists: equal bytes, or values within a tolerance.

Files of numbers are compared value by value: tensors, arrays in shards, samples of WAV files, numbers in texts. Left
out are fingerprints and checksums, which differ wherever another file differs, and the pictures and sounds in a page.
"""

from __future__ import annotations

import io
import json
import re
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any, Literal

import numpy as np
import soundfile
import yaml
from safetensors import SafetensorError
from safetensors.numpy import load as load_tensors

from dtc.errors import InputError

Verdict = Literal["identical", "within tolerance", "different"]
NUMBER = re.compile(r"[-+]?(?:\d+\.\d*|\.?\d+)(?:[eE][-+]?\d+)?")
DIGEST = re.compile(r"\b(?:[0-9a-f]{64}|[0-9a-f]{40}|[0-9a-f]{32}|[0-9a-f]{16})\b|data:[^\"']*")
Values = Mapping[str, Any]  # name → array, or text with its numbers taken out
UNREADABLE = (ValueError, RuntimeError, OSError, tarfile.TarError, SafetensorError)


@dataclass(frozen=True)
class Compared:
    """One file of an output, or an output whose files are not there to compare."""

    path: str
    verdict: Verdict
    largest: str = ""  # the value with the largest difference, and that difference; or why values cannot be compared


class Outputs:
    """The outputs of one run: a dvc.lock, and the files that it lists, in DVC's cache or in a folder."""

    def __init__(self, lock: Path, cache: Path, folder: Path) -> None:
        self.lock, self.cache, self.folder = lock, cache, folder

    @cached_property
    def md5s(self) -> dict[str, str]:
        """Return path → MD5 of each output; that of a folder ends in .dir."""
        if not self.lock.is_file():
            raise InputError(self.lock, "no such file", "what `dvc repro` wrote", "commit it, or name a --preset")
        stages = yaml.safe_load(self.lock.read_text(encoding="utf-8")).get("stages", {})
        return {out["path"]: out["md5"] for stage in stages.values() for out in stage.get("outs", ())}

    def content(self, path: str, md5: str) -> bytes | None:
        """Return the content of a file, or of the list of files of a folder; None where it is not here."""
        for place in (self.cache / "files/md5" / md5[:2] / md5[2:], self.folder / path):
            if place.is_file():
                return place.read_bytes()
        return None

    def files(self, path: str, md5: str) -> dict[str, str] | None:
        """Return path → MD5 of an output's files: of itself, or those in the folder; None for an unknown folder."""
        if not md5.endswith(".dir"):
            return {path: md5}
        listed = self.content(path, md5)
        return None if listed is None else {f"{path}/{each['relpath']}": each["md5"] for each in json.loads(listed)}


def compare(expected: Outputs, found: Outputs, tolerance: float) -> Iterator[Compared]:
    """Yield a result for each output that either run has, or for each of its files where the output differs."""
    for path in {**expected.md5s, **found.md5s}:
        first, second = expected.md5s.get(path, ""), found.md5s.get(path, "")
        if first == second:
            yield Compared(path, "identical")
            continue
        ours, theirs = (run.files(path, md5) if md5 else {} for run, md5 in ((expected, first), (found, second)))
        if ours is None or theirs is None:
            yield Compared(path, "different", "the expected files are not here: `dvc pull` brings them")
            continue
        for name in sorted({*ours, *theirs}):
            if ours.get(name) != theirs.get(name):
                yield _compare_file(name, ours.get(name), theirs.get(name), (expected, found), tolerance)


def _compare_file(
    path: str, first: str | None, second: str | None, runs: tuple[Outputs, Outputs], tolerance: float
) -> Compared:
    if first is None or second is None:
        return Compared(path, "different", "in one of the runs only")
    contents = [run.content(path, md5) for run, md5 in zip(runs, (first, second), strict=True)]
    if contents[0] is None or contents[1] is None:
        return Compared(path, "different", "the expected file is not here: `dvc pull` brings it")
    try:
        ours, theirs = (values_of(path, content) for content in contents if content is not None)
    except UNREADABLE as error:
        return Compared(path, "different", f"cannot be read ({error})")
    return compare_values(path, ours, theirs, tolerance)


def compare_values(path: str, ours: Values, theirs: Values, tolerance: float) -> Compared:
    """Compare what `values_of` returns. A difference is relative to the largest value of the tensor."""
    largest, where = 0.0, ""
    for name in {**ours, **theirs}:
        first, second = ours.get(name), theirs.get(name)
        if not isinstance(first, np.ndarray) or not isinstance(second, np.ndarray):
            if type(first) is not type(second) or first != second:
                return Compared(path, "different", name)
        elif first.shape != second.shape:
            return Compared(path, "different", f"{name} of shape {first.shape} and {second.shape}")
        elif (difference := _relative_difference(first, second)) > largest:
            largest, where = difference, name
    verdict: Verdict = "within tolerance" if largest <= tolerance else "different"
    return Compared(path, verdict, f"{where} by {largest:.2g} of its largest value" if where else "fingerprints only")


def _relative_difference(first: np.ndarray, second: np.ndarray) -> float:
    first, second = first.astype(np.float64), second.astype(np.float64)
    if np.array_equal(first, second, equal_nan=True):
        return 0.0
    scale = max(float(np.abs(first).max()), float(np.abs(second).max()))
    difference = float(np.abs(first - second).max() / scale)
    return difference if np.isfinite(difference) else float("inf")


def values_of(path: str, content: bytes) -> dict[str, Any]:
    """Return arrays and texts in a file by name. Raises one of UNREADABLE for a damaged file."""
    suffix = PurePosixPath(path).suffix
    if suffix == ".safetensors":
        return dict(load_tensors(content))
    if suffix == ".npy":
        return {"values": np.load(io.BytesIO(content), allow_pickle=False)}
    if suffix == ".wav":
        return {"samples": soundfile.read(io.BytesIO(content), dtype="float64")[0]}
    if suffix == ".tar":
        with tarfile.open(fileobj=io.BytesIO(content)) as tar:
            inside = {each.name: tar.extractfile(each) for each in tar if each.isfile()}
            named = {name: values_of(name, file.read()) for name, file in inside.items() if file is not None}
        return {f"{name} {inner}": value for name, values in named.items() for inner, value in values.items()}
    try:
        return dict(_values_of_text(content.decode("utf-8")))
    except UnicodeDecodeError:
        return {"bytes": content}


def _values_of_text(text: str) -> Iterator[tuple[str, Any]]:
    """Yield the numbers of each line as an array, and each line without its numbers and digests."""
    for number, line in enumerate(text.splitlines(), start=1):
        plain = DIGEST.sub("digest", line)
        yield f"text of line {number}", NUMBER.sub("0", plain)
        if numbers := NUMBER.findall(plain):
            yield f"line {number}", np.array([float(each) for each in numbers])
