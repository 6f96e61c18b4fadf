"""`dtc init`: make a project in a folder without replacing a file of it, and update one after an upgrade of dtc."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from string import Template
from typing import Any

from rich.console import Console

from dtc import __version__
from dtc.config import did_you_mean
from dtc.errors import InputError, install_hint, named
from dtc.files import local_path, write_whole
from dtc.provenance import fingerprint
from pipeline.corpora import EMBEDDED
from stages import paths
from stages.cli_base import device_named
from stages.dvc_dependencies import TEMPLATE
from stages.params import load_params
from stages.params_file import edited, read_yaml
from stages.project_code import CODE, DVC_YAML, PIPELINE, VERSION, changed_stages, read_code, write_code

Ask = Callable[[str, str], str]  # (question, default) → answer
PRESETS, TEMPLATES = Path(__file__).parent / "presets", TEMPLATE.parent
# Files that a folder may have already, as of a new repository; then they are kept.
KEPT = {"README.md": "README.md", ".gitignore": "gitignore", "lexicon.txt": "lexicon.txt"}
KEPT |= {"splits/README.md": "splits/README.md"}
ON_DEVICE = re.compile(r"(?m)^(    cmd: dtc (?:train \w+|align|evaluate))(?: --device (\S+))?$")
NUMBERS_TEXT, ANY_TEXT = "call 90210 at 7:45", "Whatever you like."
LATER, UNKNOWN = "later", "unknown"


@dataclass(frozen=True)
class Wanted:
    """What a new project is to be.

    Args:
        folder: the project's folder, which may be new.
        preset: the preset that params.yaml is made of.
        recordings: a folder, an archive or a URL; None: what the preset names.
        device: what `--device` names; None: auto.
        licence: that of the recordings; None: what the preset says, or unknown for other recordings.
        consent: the speaker's permission to make a voice, likewise.
    """

    folder: Path
    preset: str
    recordings: str | None = None
    device: str | None = None
    licence: str | None = None
    consent: str | None = None

    @property
    def needs_recordings(self) -> bool:
        """Return whether the preset has no corpus of its own."""
        return own_recordings(_source_in(preset_file(self.preset))) is not None

    def completed(self, ask: Ask) -> Wanted:
        """Return this with answers in place of what is not given."""
        recordings, device = self.recordings, self.device
        if recordings is None and self.needs_recordings:
            answer = ask("Folder or archive of the recordings", LATER)
            recordings = None if answer == LATER else answer
        licence, consent = self.licence, self.consent
        if licence is None and recordings is not None:
            licence = ask("Licence of the recordings, such as cc-by-4.0", UNKNOWN)
        if consent is None and recordings is not None:
            consent = ask("The speaker's permission to make a voice, in a sentence", UNKNOWN)
        if device is None:
            device = ask("Device to train on: auto, cpu, cuda or cuda:N", "auto")
        return replace(self, recordings=recordings, device=device, licence=licence, consent=consent)

    def values(self) -> Mapping[str, Any]:
        """Return the values of params.yaml, by dotted key, that differ from the preset's.

        Raises InputError where there are no such recordings. Their path is relative to the project's folder where they
        are inside it.
        """
        given = {"corpus.licence": self.licence, "corpus.consent": self.consent}
        rights = {key: None if value == UNKNOWN else value for key, value in given.items()}
        if self.recordings is None:
            return {key: value for key, value in rights.items() if value is not None}
        source, folder = self.recordings, Path.cwd() / self.folder
        if (path := own_recordings(source)) is not None:
            if not path.exists():
                expected = "a folder of recordings, or an archive of one"
                raise InputError("--recordings", f"{source}: no such file or folder", expected)
            path, folder = path.resolve(), folder.resolve()
            source = str(path.relative_to(folder) if path.is_relative_to(folder) else path)
        name = re.sub(r"[^A-Za-z0-9_-]+", "-", folder.name).strip("-") or "my-voice"
        unknown: Mapping[str, Any] = {"mirrors": [], "md5": None, "sha256": None, "format": "auto", "checksums": {}}
        own = {f"corpus.{key}": value for key, value in {"name": name, "source": source, **unknown}.items()}
        return {**own, **rights}


def preset_file(name: str, folder: Path = PRESETS) -> Path:
    """Return the file of a preset. Raises InputError where the folder has no such preset."""
    known = {path.stem: path for path in sorted(folder.glob("*.yaml"))}
    if name not in known:
        raise InputError("--preset", f"found {name!r}", f"one of {', '.join(known)}", did_you_mean(name, known))
    return known[name]


def own_recordings(source: str) -> Path | None:
    """Return the path of recordings of the user's own; None for a URL, and for a corpus that ships with dtc."""
    return None if source.startswith(EMBEDDED) else local_path(source)


def init(wanted: Wanted, console: Console) -> None:
    """Make a project: write its files, initialise git and DVC where they are missing, and check the recordings.

    Raises InputError, before a file is written, where preset or recordings do not exist, where the folder has a project
    already, and where DVC is not installed.
    """
    if find_spec("dvc") is None:
        raise InputError("dtc init", "dvc is not installed", remedy=f"run {install_hint('train')}")
    values = wanted.values()
    params, pipeline = edited(preset_file(wanted.preset), values), _pipeline(wanted.device or "auto")
    wanted.folder.mkdir(parents=True, exist_ok=True)
    with contextlib.chdir(wanted.folder):
        _require_free({paths.PARAMS: params, DVC_YAML: pipeline}, wanted.folder)
        if source := values.get("corpus.source"):
            paths.require_apart(source)
        write_whole(paths.PARAMS, params)
        write_whole(DVC_YAML, pipeline)
        _write_if_missing(wanted, console)
        write_code(pipeline)
        _init_git_and_dvc(console)
        console.print(f"init: {Path.cwd()} is a project of the preset {wanted.preset}", soft_wrap=True)
        is_ready = _check(console)
        commands = _next_commands(is_ready)
    if not Path.cwd().samefile(wanted.folder):
        commands.insert(0, f"cd {shlex.quote(str(wanted.folder))}")
    for line in ["Next:", *(f"    {command}" for command in commands)]:
        console.print(line, soft_wrap=True)


def _require_free(files: Mapping[Path, str], folder: Path) -> None:
    """Raise InputError where files of a project are there, other than those of an interrupted `dtc init`."""
    others = [str(path) for path, text in files.items() if os.path.lexists(path) and not _is_file_of(path, text)]
    if others:
        remedy = "name another folder; --update notes the code of an upgraded dtc in a project"
        raise InputError(folder, f"has {named(others)} already", "a folder without a project", remedy)


def _is_file_of(path: Path, text: str) -> bool:
    return path.is_file() and path.read_bytes() == text.encode("utf-8")


def _write_if_missing(wanted: Wanted, console: Console) -> None:
    """Write the files that are kept where they are there already."""
    source = _source_in(paths.PARAMS)
    filled = {
        "name": Path.cwd().name,
        "recordings": f"`{source}`",
        "version": __version__,
        "preset": wanted.preset,
        "first": _next_commands(is_ready=own_recordings(source) is None)[0],
        "text": _text_to_say(source),
    }
    for name, template in KEPT.items():
        text = (TEMPLATES / template).read_text(encoding="utf-8")
        text = Template(text).substitute(filled) if name == "README.md" else text
        if not os.path.lexists(name):
            write_whole(Path(name), text)
        elif not _is_file_of(Path(name), text):
            console.print(f"init: {name} is kept as it is; dtc would write {TEMPLATES / template}", soft_wrap=True)


def _init_git_and_dvc(console: Console) -> None:
    """Make a git repository where the working folder is in none, and a DVC project where it is none."""
    has_git = shutil.which("git") is not None
    if has_git and subprocess.run(["git", "rev-parse", "--git-dir"], capture_output=True, check=False).returncode:
        _complete("git", "init")
    if not has_git:
        console.print("init: git is not installed, so nothing keeps your settings and results; DVC works without it")
    if not Path(".dvc").exists():
        scm = ["--no-scm"] if not has_git else [] if Path(".git").exists() else ["--subdir"]
        _complete("dvc", "init", *scm)


def _complete(*command: str) -> None:
    """Run a command of git or DVC. Raises InputError with the first line that it prints where it fails."""
    program = [sys.executable, "-m", "dvc"] if command[0] == "dvc" else [command[0]]
    done = subprocess.run([*program, *command[1:], "--quiet"], capture_output=True, text=True, check=False)
    if done.returncode:
        name, reason = " ".join(command), (done.stderr.split("\n")[0] or f"exit code {done.returncode}").strip()
        remedy = f"the project's files are written; mend this, and run `{name}` in {Path.cwd()}"
        raise InputError(name, reason, remedy=remedy)


def _check(console: Console) -> bool:
    """Check the recordings where they are there; return whether they are ready to train on."""
    from stages.corpus_check import check

    recordings = own_recordings(_source_in(paths.PARAMS))
    if recordings is None:
        return True
    if not recordings.exists():
        console.print(f"init: put your recordings into {Path.cwd() / recordings}, or set corpus.source in params.yaml")
        return False
    try:
        check(recordings, paths.PARAMS, console)
    except InputError as error:
        console.print(f"init: {error}", soft_wrap=True)
        return False
    return True


def _next_commands(is_ready: bool) -> list[str]:
    """Return the commands that come after `dtc init`, in the project's folder."""
    source = _source_in(paths.PARAMS)
    first = "dtc doctor" if is_ready else f"dtc corpus check {shlex.quote(str(own_recordings(source)))}"
    return [first, "dvc repro", f'dtc say "{_text_to_say(source)}"']


def _text_to_say(source: str) -> str:
    return NUMBERS_TEXT if source.startswith(EMBEDDED) else ANY_TEXT


def _source_in(file: Path) -> str:
    """Return corpus.source of a params file."""
    return str(read_yaml(file)["corpus"]["source"])  # type: ignore[index]


def _pipeline(device: str) -> str:
    """Return the text of dvc.yaml, in which the commands that compute on a device name it, unless it is auto."""
    option = "" if device == "auto" else f" --device {device_named(device)}"
    return ON_DEVICE.sub(rf"\g<1>{option}", TEMPLATE.read_text(encoding="utf-8"))


def update(folder: Path, console: Console) -> None:
    """Note the code that runs in code.yaml of a project, and say which stages `dvc repro` will run again.

    dvc.yaml is written anew, unless it was changed by hand. Raises InputError where the folder has no code.yaml, and
    where params.yaml lacks what this version of dtc needs.
    """
    with contextlib.chdir(folder):
        known, text = read_code(), DVC_YAML.read_text(encoding="utf-8")
        device = next((found[2] for found in ON_DEVICE.finditer(text) if found[2]), "auto")
        changed, pipeline = changed_stages(known), _pipeline(device)
        if fingerprint(text) == known.get(PIPELINE):
            write_whole(DVC_YAML, pipeline)
        elif text != pipeline:
            console.print(
                f"init: {DVC_YAML} was changed by hand and is kept; dtc would write {TEMPLATE}", soft_wrap=True
            )
        write_code(pipeline)
        versions = " → ".join(dict.fromkeys((f"dtc {known[VERSION]}", f"dtc {__version__}")))
        again = f"`dvc repro` will run {', '.join(changed)} again, and what depends on them" if changed else "as it was"
        console.print(f"init: {CODE}, {versions}: {again}", soft_wrap=True)
        load_params(paths.PARAMS)
