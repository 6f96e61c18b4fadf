"""`dtc reproduce`: run a project anew in a temporary clone, and compare every output with what was locked."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from dtc.errors import InputError, plural
from stages import paths
from stages.compare_outputs import Compared, Outputs, compare
from stages.init import PRESETS, own_recordings, preset_file
from stages.params import load_params
from stages.params_file import edited, read_yaml
from stages.project_code import DVC_LOCK

EXPECTED_FILES = "expected"


@dataclass(frozen=True)
class Reproduction:
    """What is run again, and how equal it must be.

    Args:
        revision: of git, whose code, params and dvc.lock count.
        preset: a preset to run instead of params.yaml; None: params.yaml.
        require_identical: whether all bytes must be equal; else values may differ by the tolerance.
        tolerance: the largest difference, relative to the largest value of a tensor.
        keep: a new folder for the clones; None: a temporary one.
    """

    revision: str = "HEAD"
    preset: str | None = None
    require_identical: bool = True
    tolerance: float = 1e-3
    keep: Path | None = None


def reproduce(wanted: Reproduction, console: Console) -> None:
    """Run the stages of the project around the working folder in a clone of it, and compare the outputs.

    They are compared with the revision's dvc.lock; a preset with other params than the revision's has none, and is run
    twice, in two clones. Raises InputError where there is no such revision, where the stages fail, and where the
    outputs differ by more than is wanted.
    """
    top, place = _git("rev-parse", "--show-toplevel"), _git("rev-parse", "--show-prefix")
    commit = _git("rev-parse", "--verify", "--quiet", f"{wanted.revision}^{{commit}}", of="--rev")
    if wanted.revision == "HEAD" and _git("status", "--porcelain"):
        console.print("reproduce: the working folder has changes that are not committed; HEAD is what is run")
    with _folder(wanted.keep) as folder:
        first, is_other = _prepare(top, commit, folder / "first", place, wanted.preset)
        against = "a second run" if is_other else f"{DVC_LOCK} of {commit[:12]}"
        expected = None if is_other else _locked(first)
        found = _run_stages(first, console)
        if expected is None:
            second, _ = _prepare(top, commit, folder / "second", place, wanted.preset)
            expected, found = found, _run_stages(second, console)
        results = list(compare(expected, found, wanted.tolerance))
    _report(results, against, wanted, console)


def _report(results: Sequence[Compared], against: str, wanted: Reproduction, console: Console) -> None:
    table = Table("output", "compared with " + against, "largest difference")
    for result in results:
        table.add_row(result.path, result.verdict, result.largest)
    console.print(table)
    counts = Counter(result.verdict for result in results)
    console.print(f"reproduce: {', '.join(f'{count} {verdict}' for verdict, count in counts.items())}")
    enough = ("identical",) if wanted.require_identical else ("identical", "within tolerance")
    if lacking := [result.path for result in results if result.verdict not in enough]:
        found = f"{plural(len(lacking), 'file')} not {enough[-1]}, the first is {lacking[0]}"
        remedy = "the page on provenance in dtc's documentation says what is equal on which machines"
        raise InputError("reproduce", found, remedy=remedy)


@contextmanager
def _folder(keep: Path | None) -> Iterator[Path]:
    """Yield a folder for the clones: a new one that is kept, or a temporary one."""
    if keep is None:
        with tempfile.TemporaryDirectory(prefix="dtc-reproduce-") as name:
            yield Path(name)
        return
    if keep.exists():
        raise InputError("--keep", f"{keep} is there already", "a new folder")
    keep.mkdir(parents=True)
    yield keep.resolve()


def _prepare(top: str, commit: str, folder: Path, place: str, preset: str | None) -> tuple[Path, bool]:
    """Clone a revision, and write a preset and the place of recordings that git does not have into its params.yaml.

    Returns the project in the clone, and whether the preset has other values than its params.yaml had.
    """
    _git("clone", "--quiet", "--no-checkout", top, str(folder))
    _git("-C", str(folder), "checkout", "--quiet", "--detach", commit)
    clone = folder / place
    path, other = clone / paths.PARAMS, False
    if preset is not None:
        presets = clone / "stages/presets"
        file = preset_file(preset, presets if presets.is_dir() else PRESETS)
        other = read_yaml(file) != read_yaml(path)
        shutil.copyfile(file, path)
    recordings = own_recordings(load_params(path, "corpus.source").corpus.source)
    if recordings and recordings.exists() and not (clone / recordings).exists():
        path.write_text(edited(path, {"corpus.source": str(recordings.resolve())}), encoding="utf-8")
    return clone, other


def _locked(clone: Path) -> Outputs:
    """Return the outputs that a clone's dvc.lock names. The stages write over those of git: these are copied."""
    locked, kept = Outputs(clone / DVC_LOCK, _cache_of(Path()), clone), clone.parent / EXPECTED_FILES
    for path in [str(DVC_LOCK), *(path for path in locked.md5s if (clone / path).is_file())]:
        (kept / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(clone / path, kept / path)
    return Outputs(kept / DVC_LOCK, locked.cache, kept)


def _cache_of(project: Path) -> Path:
    found = subprocess.run(_dvc("cache", "dir"), cwd=project, capture_output=True, text=True, check=False)
    return project / (found.stdout.strip() or ".dvc/cache")


def _run_stages(clone: Path, console: Console) -> Outputs:
    """Run `dvc repro` in a clone, all stages, with nothing from a cache that other projects share."""
    console.print(f"reproduce: runs all stages in {clone}", soft_wrap=True)
    sys.stdout.flush()  # before the lines of another process
    environment = os.environ | {
        "DVC_NO_ANALYTICS": "1",
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}",
    }
    environment.pop("PYTHONPATH", None)  # the stages run the clone's code
    done = subprocess.run(_dvc("repro", "--force", "--no-run-cache"), cwd=clone, env=environment, check=False)
    if done.returncode != 0:
        raise InputError("reproduce", f"`dvc repro` ended with exit code {done.returncode}", remedy="see its lines")
    return Outputs(clone / DVC_LOCK, _cache_of(clone), clone)


def _dvc(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "dvc", *arguments]


def _git(*arguments: str, of: str = "reproduce") -> str:
    """Return what a git command prints. Raises InputError where it fails, naming `of`."""
    done = subprocess.run(["git", *arguments], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        found = done.stderr.strip().splitlines()[:1] or [f"no commit {arguments[-1].partition('^')[0]}"]
        raise InputError(of, found[0], "a project whose dvc.yaml, params.yaml and dvc.lock are committed")
    return done.stdout.strip()
