"""`dtc reproduce`: a clone's outputs against what was locked, and how values are compared."""

import io
import json
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest
import yaml
from safetensors.numpy import save

from dtc.provenance import md5_of
from stages.compare_outputs import Compared, Outputs, compare, compare_values, values_of
from tests.conftest import REPOSITORY, Project

MAKE = """
import os
from pathlib import Path
import numpy as np
from safetensors.numpy import save_file
noise = float(os.environ.get("NOISE", 0))
Path("out").mkdir()
save_file({"a": np.arange(4, dtype=np.float32), "b": np.float32([2, 4 + noise])}, "out/model.safetensors")
Path("same.txt").write_text("equal")
Path("figures.json").write_text(f'{{"loss": {0.5 + noise}}}')
"""
PIPELINE = {
    "stages": {
        "make": {
            "cmd": "python make.py",
            "deps": ["make.py"],
            "outs": ["out", "same.txt"],
            "metrics": [{"figures.json": {"cache": False}}],
        }
    }
}


def run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)


@pytest.fixture(scope="module")
def committed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project of one quick stage that was run and committed."""
    root = tmp_path_factory.mktemp("committed")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        patch.setenv("PATH", f"{Path(sys.executable).parent}:/usr/bin:/bin")
        Path("make.py").write_text(MAKE)
        Path("dvc.yaml").write_text(yaml.safe_dump(PIPELINE))
        shutil.copy(REPOSITORY / "stages/presets/smoke.yaml", "params.yaml")
        run("git", "init", "--quiet")
        run("git", "config", "user.name", "Ann")
        run("git", "config", "user.email", "ann@localhost")
        run(sys.executable, "-m", "dvc", "init", "--quiet")
        run(sys.executable, "-m", "dvc", "repro", "--quiet")
        Path(".gitignore").write_text("/out\n/same.txt\n")
        run("git", "add", "--all")
        run("git", "commit", "--quiet", "--message", "Lock")
    return root


@pytest.fixture
def project(committed: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.chdir(committed)
    return Project(committed, committed)


def verdicts(printed: str) -> dict[str, tuple[str, str]]:
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in printed.splitlines() if line.startswith("│")]
    return {path: (verdict, largest) for path, verdict, largest in rows}


def test_equal_outputs_are_identical(project: Project) -> None:
    printed = project.run("reproduce", "--preset", "smoke")
    assert verdicts(printed) == dict.fromkeys(("out", "same.txt", "figures.json"), ("identical", ""))
    assert "compared with dvc.lock of" in printed, "the preset is what was locked"
    assert printed.splitlines()[-1] == "reproduce: 3 identical"


def test_the_largest_difference_is_named(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOISE", "0.002")
    monkeypatch.setenv("COLUMNS", "120")  # of a terminal in which no cell is wrapped
    kept = project.root / "kept"
    printed = project.run("reproduce", "--require", "tolerance", "--tolerance", "0.01", "--keep", str(kept))
    assert verdicts(printed) == {
        "out/model.safetensors": ("within tolerance", "b by 0.0005 of its largest value"),
        "same.txt": ("identical", ""),
        "figures.json": ("within tolerance", "line 1 by 0.004 of its largest value"),
    }
    assert (kept / "first/out/model.safetensors").is_file()
    assert "kept is there already" in project.run("reproduce", "--keep", str(kept), code=2)
    shutil.rmtree(kept)


def test_what_cannot_be_reproduced_is_one_line(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "--require: found 'equal'" in project.run("reproduce", "--require", "equal", code=2)
    assert "--rev: no commit nowhere, expected a project whose" in project.run("reproduce", "--rev", "nowhere", code=2)
    assert "one of ljspeech-dtc, " in project.run("reproduce", "--preset", "smoky", code=2)
    monkeypatch.chdir(tmp_path)
    assert "reproduce: fatal: not a git repository" in project.run("reproduce", code=2)


def outputs(folder: Path, files: dict[str, bytes], listed: bool = True) -> Outputs:
    """Outputs of a run: a folder `out` in DVC's cache."""
    cache, listing = folder / "cache", []
    for name, content in files.items():
        listing.append({"relpath": name, "md5": _cached(cache, content)})
    md5 = _cached(cache, json.dumps(listing).encode(), ".dir") if listed else "0" * 32 + ".dir"
    lock = {"stages": {"make": {"outs": [{"path": "out", "md5": md5}]}}}
    (folder / "dvc.lock").write_text(yaml.safe_dump(lock))
    return Outputs(folder / "dvc.lock", cache, folder)


def _cached(cache: Path, content: bytes, suffix: str = "") -> str:
    cache.mkdir(parents=True, exist_ok=True)
    (cache / "new").write_bytes(content)
    md5 = md5_of(cache / "new") + suffix
    path = cache / "files/md5" / md5[:2] / md5[2:]
    path.parent.mkdir(parents=True, exist_ok=True)
    (cache / "new").replace(path)
    return md5


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
    return tmp_path / "first", tmp_path / "second"


def test_each_file_of_a_folder_is_compared(folders: tuple[Path, Path]) -> None:
    both = {"same.bin": b"\xff", "damaged.safetensors": b"1", "lost.txt": b"1", "text.md": b"a 1.0"}
    first = outputs(folders[0], both)
    files = {"same.bin": b"\xff", "damaged.safetensors": b"2", "new.txt": b"2", "text.md": b"b 1.0"}
    damaged, *others = compare(first, outputs(folders[1], files), 0.1)
    assert (damaged.path, damaged.verdict) == ("out/damaged.safetensors", "different")
    assert damaged.largest.startswith("cannot be read (")
    assert others == [
        Compared("out/lost.txt", "different", "in one of the runs only"),
        Compared("out/new.txt", "different", "in one of the runs only"),
        Compared("out/text.md", "different", "text of line 1"),
    ]
    assert list(compare(first, first, 0.0)) == [Compared("out", "identical")]


def test_expected_files_that_are_not_here_cannot_be_compared(folders: tuple[Path, Path]) -> None:
    second = outputs(folders[1], {"a.txt": b"1"})
    (result,) = compare(outputs(folders[0], {}, listed=False), second, 0.1)
    assert (result.verdict, result.largest) == ("different", "the expected files are not here: `dvc pull` brings them")


def shard(mel: np.ndarray) -> bytes:
    stream, array = io.BytesIO(), io.BytesIO()
    np.save(array, mel)
    with tarfile.open(fileobj=stream, mode="w") as tar:
        member = tarfile.TarInfo("a.mel.npy")
        member.size = len(array.getvalue())
        tar.addfile(member, io.BytesIO(array.getvalue()))
    return stream.getvalue()


ONE = np.float32([[1, 2], [3, -4]])


@pytest.mark.parametrize(
    ("path", "first", "second", "verdict", "largest"),
    [
        ("m.safetensors", save({"w": ONE}), save({"w": ONE * 1.001}), "within tolerance", "w by 0.001 of"),
        ("m.safetensors", save({"w": ONE}), save({"w": ONE * np.nan}), "different", "w by inf of"),
        ("m.safetensors", save({"w": ONE}), save({"w": ONE[:1]}), "different", "w of shape (2, 2) and (1, 2)"),
        ("m.safetensors", save({"w": ONE}), save({"v": ONE}), "different", "w"),
        ("s.tar", shard(ONE), shard(ONE + 0.02), "within tolerance", "a.mel.npy values by 0.005 of"),
        ("s.tar", shard(ONE), shard(-ONE), "different", "a.mel.npy values by 2 of"),
        ("c.csv", b"step,loss\n1,2.0\n", b"step,loss\n1,2.01\n", "within tolerance", "line 2 by 0.005 of"),
        (
            "c.json",
            b'{"weights": "0123456789abcdef"}',
            b'{"weights": "fedcba9876543210"}',
            "within tolerance",
            "fingerp",
        ),
        ("p.html", b'<img src="data:a,b">', b'<img src="data:c,d">', "within tolerance", "fingerprints only"),
        ("u.csv", b"heard one", b"heard two", "different", "text of line 1"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_values_are_compared_by_their_kind(path: str, first: bytes, second: bytes, verdict: str, largest: str) -> None:
    found = compare_values(path, values_of(path, first), values_of(path, second), 0.01)
    assert (found.verdict, found.largest[: len(largest)]) == (verdict, largest)
