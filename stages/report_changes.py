"""What changed since a revision of git: what dvc.lock names, the figures, and the same texts by both voices."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from dtc.errors import InputError, named
from dtc.provenance import md5_of
from dtc.report.changes import Changed, Changes, Row, compare_utterances, not_compared
from stages import paths
from stages.code_identity import PACKAGES
from stages.report_inputs import parse_metrics, parse_table
from stages.run_folders import leaves

OPTION = "--compare"
LOCK = Path("dvc.lock")
EXPECTED = "a commit, a branch or a tag of the project whose dvc.lock is committed"
REMEDY = "`git log --oneline -- dvc.lock` lists some"


def changes_since(revision: str) -> Changes:
    """Return what differs between a revision of the project and its folder.

    Raises InputError where the folder is in no repository, where git does not have the revision, and where one of both
    has no dvc.lock that can be read.
    """
    _require_repository()
    commit = (_git("rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}") or "").strip()
    if not commit and _git("rev-parse", "--verify", "--quiet", "HEAD") is None:
        raise InputError(OPTION, "no commit yet", EXPECTED, "commit the project after `dvc repro`")
    if not commit:
        raise InputError(OPTION, f"git knows no revision {revision}", EXPECTED, REMEDY)
    old, new = Revision(commit), Revision("")
    if old.text(LOCK) is None:
        raise InputError(OPTION, f"no {LOCK} at {revision}", EXPECTED, REMEDY)
    if new.text(LOCK) is None:
        raise InputError(OPTION, f"no {LOCK} here", "that of the results to compare", "`dvc repro` writes it")
    before, after = old.locked(), new.locked()
    was_spoken, is_spoken = old.utterances(), new.utterances()
    changed = {name: _differing(before[name], after[name]) for name in before}
    return Changes(
        since=commit[:12] if commit.startswith(revision) else f"{revision} ({commit[:12]})",
        compared=compare_utterances(was_spoken, is_spoken),
        figures=_changed(old.figures(), new.figures()),
        settings=_changed(before["settings"], after["settings"]),
        code=changed["code"],
        outputs=changed["outputs"],
        n_equal=len({**before["outputs"], **after["outputs"]}) - len(changed["outputs"]),
        notes=[*_newer_than_lock(after["outputs"]), *not_compared(was_spoken, is_spoken)],
    )


class Revision:
    """The files of a project that git has at a commit; those in the working folder for the commit ""."""

    def __init__(self, commit: str) -> None:
        self.commit = commit

    def text(self, path: Path) -> str | None:
        """Return the content of a file; None where it is not there."""
        if self.commit:
            return _git("show", f"{self.commit}:./{path.as_posix()}")
        return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else None

    def locked(self) -> dict[str, dict[str, Any]]:
        """Return what dvc.lock names: settings, key → value; code and outputs, path → MD5."""
        found: dict[str, dict[str, Any]] = {"settings": {}, "code": {}, "outputs": {}}
        for stage in self._stages():
            for file, tree in stage.get("params", {}).items():
                prefix = "" if file == str(paths.PARAMS) else f"{file} "
                found["settings"] |= {f"{prefix}{key}": value for key, value in leaves(tree)}
            deps = {dep["path"]: dep.get("md5") for dep in stage.get("deps", ())}
            found["code"] |= {path: md5 for path, md5 in deps.items() if path.partition("/")[0] in PACKAGES}
            found["outputs"] |= {out["path"]: out.get("md5") for out in stage.get("outs", ())}
        return found

    def _stages(self) -> list[dict[str, Any]]:
        try:
            return list(yaml.safe_load(self.text(LOCK) or "")["stages"].values())
        except (yaml.YAMLError, TypeError, KeyError, AttributeError):
            place = f"{LOCK} at {self.commit[:12]}" if self.commit else LOCK
            raise InputError(place, "is no file of DVC's stages", EXPECTED, REMEDY) from None

    def utterances(self) -> list[Row]:
        """Return the rows of results/utterances.csv."""
        text = self.text(paths.UTTERANCES)
        return [] if text is None else parse_table(paths.UTTERANCES, text, ("id", "spoken_text"), self.commit)

    def figures(self) -> dict[str, Any]:
        """Return file and key → value of all metrics, without the ends of intervals."""
        folder = paths.EVALUATION.parent
        names = [path.name for path in folder.glob("*.json")]
        if self.commit:
            names = (
                _git("ls-tree", "--full-tree", "--name-only", f"{self.commit}:./{folder.as_posix()}") or ""
            ).splitlines()
        files = [folder / name for name in sorted(names) if name.endswith(".json")]
        trees = {path.stem: parse_metrics(path, self.text(path) or "", self.commit) for path in files}
        return {key: value for key, value in leaves(trees) if not key.endswith(("_low", "_high"))}


def _newer_than_lock(outputs: Mapping[str, str | None]) -> list[str]:
    """Return a sentence where small files of results/ are not those that dvc.lock names, as after `dtc evaluate`."""
    files = {Path(path): md5 for path, md5 in outputs.items() if md5 and not md5.endswith(".dir")}
    results = {path: md5 for path, md5 in files.items() if paths.RESULTS in path.parents}
    other = [str(path) for path, md5 in results.items() if not path.is_file() or md5_of(path) != md5]
    compared = f"settings, code and outputs are compared by {LOCK}"
    return [f"outputs here are not those of {LOCK} ({named(other)}); run `dvc repro`, as {compared}"] if other else []


def _differing(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    return [key for key in {**before, **after} if before.get(key) != after.get(key)]


def _changed(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Changed]:
    return [Changed(key, _shown(before.get(key)), _shown(after.get(key))) for key in _differing(before, after)]


def _shown(value: object) -> str:
    return "–" if value is None else f"{value:.5g}" if isinstance(value, float) else str(value)


def _require_repository() -> None:
    """Raise InputError, with what git says of it, where the folder is in no repository that git can read."""
    try:
        done = _run("rev-parse", "--git-dir")
    except FileNotFoundError:
        raise InputError(OPTION, "git is not installed", "the history of the project", "install git") from None
    if done.returncode:
        said = (done.stderr.splitlines() or ["git failed"])[0].removeprefix("fatal: ")
        raise InputError(OPTION, said, "the folder of a project whose dvc.lock is committed to git")


def _git(*arguments: str) -> str | None:
    """Return what a git command prints; None where it fails."""
    done = _run(*arguments)
    return done.stdout if done.returncode == 0 else None


def _run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["git", *arguments], capture_output=True, encoding="utf-8", errors="replace", check=False)
