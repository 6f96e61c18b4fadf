"""Test that a manifest is written whole or not at all, and is read strictly."""

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest

from dtc.errors import InputError
from pipeline.manifest import ManifestRow, read_manifest, write_manifest

ROW = ManifestRow("a", "é|\u2028", "e", "wavs/a.wav", "0" * 32, 4800, 512, 9644, 16000, 1, 7)


def test_manifest_round_trip(tmp_path: Path) -> None:
    rows = [ROW, replace(ROW, id="b", first_byte=None)]
    path = tmp_path / "data/manifest.jsonl"
    write_manifest(iter(rows), path)
    assert list(read_manifest(path)) == rows
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["manifest.jsonl"]
    digest = hashlib.md5(path.read_bytes()).hexdigest()
    write_manifest(rows, path)
    assert hashlib.md5(path.read_bytes()).hexdigest() == digest


def test_an_interrupted_write_leaves_the_old_manifest(tmp_path: Path) -> None:
    path = tmp_path / "manifest.jsonl"
    write_manifest([ROW], path)
    before = path.read_bytes()
    with pytest.raises(TypeError):
        write_manifest([ROW, None], path)  # type: ignore[list-item]  # breaks off half-way
    assert path.read_bytes() == before


@pytest.mark.parametrize("last", ['{"id": "b", "raw_te', '{"id": "b"}', "[]"])
def test_a_damaged_manifest_is_refused(tmp_path: Path, last: str) -> None:
    path = tmp_path / "manifest.jsonl"
    write_manifest([ROW], path)
    path.write_text(path.read_text() + last)
    with pytest.raises(InputError) as error:
        list(read_manifest(path))
    assert str(error.value).startswith(f"{path}:2: not a row of a manifest (")
    assert str(error.value).endswith("; run `dtc verify` again")


def test_a_missing_manifest_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file, expected the manifest of the corpus; run `dtc verify` first"):
        list(read_manifest(tmp_path / "manifest.jsonl"))
