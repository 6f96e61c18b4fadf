"""`dtc provenance`: print what files were made from, back to the corpus, and verify every link whose file is there."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from rich.console import Console
from rich.table import Column, Table

from dtc.errors import InputError, plural
from dtc.model_card import CARD, WEIGHTS
from pipeline.shards import CLIPS, INDEX
from stages import paths
from stages.artifacts import (
    ACOUSTIC,
    CORPUS,
    EXPECTED,
    FEATURES,
    MANIFEST,
    ORDER,
    PREDICTED,
    VOCODER,
    Artifact,
    is_model,
    models_of_voice,
    read_archive,
    read_features,
    read_manifest_file,
    read_model_folder,
    read_page,
    read_sidecar,
    read_voice_card,
    read_wav,
)
from stages.tables import print_table

# Where a project has what others are made from, the file by which it is there, and what reads it.
PLACES: Mapping[str, tuple[Path, str, Callable[[Path], Artifact]]] = {
    MANIFEST: (paths.MANIFEST, "", read_manifest_file),
    FEATURES: (paths.FEATURES, INDEX, read_features),
    PREDICTED: (paths.GTA, INDEX, read_features),
    ACOUSTIC: (paths.ACOUSTIC, CARD, read_model_folder),
    VOCODER: (paths.VOCODER, CARD, read_model_folder),
}
REMEDY = "put the files back as they were (`dvc checkout` restores what DVC knows), or make them again"


@dataclass(frozen=True)
class Link:
    """One row of the table: what a file was made from, and whether it is there as it was."""

    name: str
    fingerprint: str
    path: Path | None  # None: not here
    faults: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    comparable: bool = True  # False: there is nothing to compare it with

    @property
    def state(self) -> str:
        """Return the result in words."""
        if self.path is None:
            return "not here"
        return "CHANGED" if self.faults else "verified" if self.comparable else "nothing to compare with"


class Project:
    """The artifacts of a project's folder, each read once, when it is first asked for."""

    def __init__(self, root: Path | None) -> None:
        self.root = root
        self._read: dict[str, Artifact | None] = {}

    def get(self, name: str) -> Artifact | None:
        """Return the artifact of this name; None where the project does not have it."""
        if name not in self._read:
            self._read[name] = self._find(name)
        return self._read[name]

    def _find(self, name: str) -> Artifact | None:
        if self.root is None:
            return None
        if name == CORPUS:
            return read_archive(self.archive) if self.archive else None
        place, file, read = PLACES[name]
        return read(self.root / place) if (self.root / place / file).exists() else None

    @cached_property
    def archive(self) -> Path | None:
        """Return the one file in data/archive. A converted set has several, which are no archive."""
        folder = (self.root or Path()) / paths.ARCHIVE
        found = [path for path in folder.glob("*") if path.is_file()] if self.root else []
        return found[0] if len(found) == 1 else None


def provenance(files: Sequence[Path], root: Path | None, console: Console) -> None:
    """Print the origin of each file.

    Args:
        files: files and folders as EXPECTED says, or folders of a voice.
        root: the project in which to look for what they were made from; None: the one around each file.
        console: where the tables are printed.

    Raises InputError where a file cannot be read, and at the end where bytes are not as they were written.
    """
    if root is not None and not root.is_dir():
        raise InputError("--project", f"no folder {root}", "the folder of a project")
    projects: dict[Path | None, Project] = {}
    faults: list[str] = []
    for file in _expanded(files):
        target = read_artifact(file)
        folder = root or project_around(target.path)
        project = projects.setdefault(folder, Project(folder))
        links = trace(target, project)
        _print(target, links, project, console)
        faults += [fault for link in links for fault in link.faults if fault not in faults]
    if faults:
        raise InputError("provenance", f"{plural(len(faults), 'fault')}: {'; '.join(faults)}", remedy=REMEDY)


def _expanded(files: Iterable[Path]) -> list[Path]:
    """Return the files, with both models in place of the folder of a voice."""
    return [each for file in files for each in (models_of_voice(file) if not is_model(file) else []) or [file]]


def read_artifact(file: Path) -> Artifact:
    """Return the artifact that a file is, or is a part of. Raises InputError for any other file."""
    if not file.exists():
        raise InputError(file, "no such file", EXPECTED)
    folder = file if file.is_dir() else file.parent
    if is_model(file) or file.name in (CARD, WEIGHTS):
        return read_model_folder(folder)
    if (file / INDEX).is_file() or file.name in (INDEX, CLIPS):
        return read_features(folder)
    if file.is_dir():
        raise InputError(file, "is a folder of none of these", EXPECTED)
    if file.suffix == ".tar" and (folder / INDEX).is_file():
        return read_features(folder, file.name)
    if file.resolve().parent.match(f"*/{paths.ARCHIVE}"):
        return read_archive(file)
    if file.name == paths.MANIFEST.name:
        return read_manifest_file(file)
    readers = {".md": read_voice_card, ".wav": read_wav, ".json": read_sidecar, ".html": read_page}
    if file.suffix.lower() not in readers:
        raise InputError(file, "is no file of which dtc knows the origin", EXPECTED)
    return readers[file.suffix.lower()](file)


def project_around(path: Path) -> Path | None:
    """Return the nearest folder around a path that has a params.yaml, as a path relative to the working folder."""
    for folder in path.absolute().parents:
        if (folder / paths.PARAMS).is_file():
            here = Path.cwd()
            return folder.relative_to(here) if folder.is_relative_to(here) else folder
    return None


def trace(target: Artifact, project: Project) -> list[Link]:
    """Return what a file was made from, in order, and the file itself last; each with its faults."""
    links: dict[tuple[str, str], Link] = {}
    waiting, seen = [target], {target.path}
    while waiting:
        artifact = waiting.pop(0)
        for name, fingerprint in artifact.made_from.items():
            if fingerprint and (name, fingerprint) not in links:
                found = None if _is_foreign(artifact, project) else project.get(name)
                links[name, fingerprint] = _link(name, fingerprint, artifact, found)
                if found and found.path not in seen:
                    seen.add(found.path)
                    waiting.append(found)
    named = sorted(links.values(), key=lambda link: ORDER.index(link.name))
    return [*named, _link_of(target, project)]


def _link_of(target: Artifact, project: Project) -> Link:
    """Return the row of the file itself. Archive and manifest are compared with what the features say of them."""
    faults, expected = target.faults, ""
    if target.name in (CORPUS, MANIFEST):
        features, own = project.get(FEATURES), project.get(target.name)
        if features and own and own.path.resolve() == target.path.resolve():
            expected = features.made_from.get(target.name, "")
            faults += _mismatch(target, expected, features)
        if not expected:
            return Link(target.name, target.fingerprint, target.path, comparable=False)
    return Link(target.name, target.fingerprint, target.path, faults, target.notes)


def _mismatch(found: Artifact, expected: str, claimer: Artifact) -> tuple[str, ...]:
    if expected in ("", found.fingerprint):
        return ()
    return (f"{found.path} is {found.fingerprint}, but {claimer.path} was made from {expected}",)


def _is_foreign(artifact: Artifact, project: Project) -> bool:
    """Return whether a model was made from another corpus than the project's, as one that was copied into it."""
    features = project.get(FEATURES)
    corpus = artifact.made_from.get(CORPUS)
    return bool(features and corpus and corpus != features.made_from.get(CORPUS) and not features.faults)


def _link(name: str, fingerprint: str, claimer: Artifact, found: Artifact | None) -> Link:
    if found is None:
        return Link(name, fingerprint, None)
    readable = bool(found.fingerprint)
    faults = found.faults + (_mismatch(found, fingerprint, claimer) if readable else ())
    return Link(name, fingerprint, found.path, faults, found.notes)


def _print(target: Artifact, links: Sequence[Link], project: Project, console: Console) -> None:
    file = Column("file", overflow="fold")
    table = Table("made from", "fingerprint", file, "state", title=str(target.path), title_justify="left")
    for link in links:
        table.add_row(link.name, link.fingerprint, str(link.path or ""), link.state)
    print_table(table, console)
    for link in links:
        for note in link.notes:
            console.print(f"provenance: {link.name}: {note}")
    if project.root is None:
        console.print("provenance: in no project, so that only the file itself was verified; name one with --project")
