"""What `dtc doctor` finds out about the project in the working folder: settings, disk, training and stages."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from dtc.errors import InputError, install_hint, named, plural
from stages import paths
from stages.cli_errors import OWN
from stages.doctor import Finding
from stages.doctor_install import missing_of_extras, programs
from stages.init import own_recordings
from stages.project_code import CODE, DVC_LOCK, DVC_YAML, changed_stages, read_code

if TYPE_CHECKING:
    from stages.params import Params

CACHE = Path(".dvc/cache")
UNITS = ((1e9, "GB"), (1e6, "MB"), (1e3, "kB"))


def project(device: str, times: bool) -> Iterator[Finding]:
    """Yield the facts about the project in the working folder."""
    from stages.params import load_params

    if not paths.PARAMS.is_file():
        yield Finding("project", f"none in {Path.cwd()}; `dtc init` makes one")
        return
    yield from programs()
    try:
        params = load_params(paths.PARAMS)
    except InputError as error:
        yield Finding("settings", f"{error.where}: {error.found}", error.remedy or "correct it; `dtc params` checks it")
        return
    yield Finding("settings", f"{paths.PARAMS}, corpus {params.corpus.name}, {params.corpus.source}")
    yield from _corpus(params)
    yield from _extras(params)
    yield _disk(params)
    if times:
        from stages.doctor_training import training

        yield from training(params, device)
    yield from _code()
    yield from _stages()


def _corpus(params: Params) -> Iterator[Finding]:
    """Yield a fault where the recordings are not there, and no copy of them is."""
    path = own_recordings(params.corpus.source)
    if path is not None and not path.exists() and not any(paths.ARCHIVE.glob("*")):
        remedy = "put the recordings there, or correct corpus.source"
        yield Finding("recordings", f"{path} is not there", remedy)


def _extras(params: Params) -> Iterator[Finding]:
    """Yield a fault for each extra that the settings need and whose packages are missing."""
    needs = {"train": True, "ear": params.evaluate.ear == "whisper", "ray": params.distributed.engine == "ray"}
    missing = missing_of_extras()
    for extra, is_needed in needs.items():
        if is_needed and missing.get(extra):
            yield Finding(f"[{extra}]", f"{paths.PARAMS} needs {named(missing[extra])}", install_hint(extra))


def _disk(params: Params) -> Finding:
    """Compare the free disk with what the stages write: twice, since DVC keeps a copy."""
    parts = {"archive": _archive_bytes(params), "features": _features_bytes(params)}
    if params.vocoder.train_on != "recorded":
        parts["predicted mels"] = parts["features"]
    if None in parts.values():
        unknown = named([name for name, size in parts.items() if size is None])
        return Finding("disk needed", f"not known before `dtc verify` has run ({unknown})")
    known = {name: size or 0 for name, size in parts.items()}
    total = 2 * sum(known.values())
    there = sum(map(_size_of, (Path("data"), CACHE)))
    free = shutil.disk_usage(Path.cwd()).free
    shown = ", ".join(f"{name} {_shown(size)}" for name, size in known.items())
    text = f"about {_shown(total)} for the data, of which {_shown(there)} are there ({shown}, and DVC's copies of them)"
    short = total - there > free
    return Finding("disk needed", text, f"make room: {_shown(free)} are free" if short else "")


def _archive_bytes(params: Params) -> int | None:
    """Return the size of the corpus's archive, or of the folder or the file that it will be made of."""
    if paths.ARCHIVE.is_dir():
        return _size_of(paths.ARCHIVE)
    path = own_recordings(params.corpus.source)
    return _size_of(path) if path is not None and path.exists() else None


def _features_bytes(params: Params) -> int | None:
    """Return the size of the features: of those that are there, or by the duration of the clips in the manifest."""
    from pipeline.manifest import read_manifest

    if paths.FEATURES.is_dir():
        return _size_of(paths.FEATURES)
    if not paths.MANIFEST.is_file():
        return None
    samples = sum(row.samples for row in read_manifest(paths.MANIFEST))
    bands = params.audio.n_mel_channels + params.features.stft * (params.audio.filter_length // 2 + 1)
    return 2 * samples + 4 * bands * samples // params.audio.hop_length


def _size_of(path: Path) -> int:
    files = [path] if path.is_file() else path.rglob("*")
    return sum(file.stat().st_size for file in files if file.is_file())


def _shown(size: float) -> str:
    unit, name = next((each for each in UNITS if size >= each[0]), UNITS[-1])
    return f"{size / unit:.1f} {name}"


def _code() -> Iterator[Finding]:
    """Yield whether code.yaml notes the code that runs, where the project has that file."""
    if not CODE.is_file():
        return
    if changed := changed_stages(read_code()):
        yield Finding("code", f"{CODE} notes other code of {', '.join(changed)}", "run `dtc init --update .`")
    else:
        yield Finding("code", f"as {CODE} notes it")


def _stages() -> Iterator[Finding]:
    """Yield the state of each stage, as `dvc status` knows it."""
    if not DVC_YAML.is_file() or find_spec("dvc") is None:
        return
    done = subprocess.run(
        [sys.executable, "-m", "dvc", "status", "--json"], capture_output=True, text=True, check=False
    )
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["no reason given"])[0]
        yield Finding("stages", f"`dvc status` fails: {reason}", "mend that")
        return
    changed: Mapping[str, list[Any]] = json.loads(done.stdout)
    stages = yaml.safe_load(DVC_YAML.read_text(encoding="utf-8"))["stages"]
    run = yaml.safe_load(DVC_LOCK.read_text(encoding="utf-8"))["stages"] if DVC_LOCK.is_file() else {}
    for name in stages:
        state = "up to date" if name not in changed else f"changed: {named(_reasons(changed[name]))}"
        yield Finding(f"· {name}", state if name in run else "never run")


def _reasons(entries: list[Any]) -> list[str]:
    """Return what has changed of a stage of `dvc status --json`: params, `command`, data, and how much of the code."""
    params, files, code = list[str](), list[str](), 0
    for entry in entries:
        if isinstance(entry, str):
            files.append(entry.removeprefix("changed "))
            continue
        for name, state in (each for changed in entry.values() for each in changed.items()):
            if isinstance(state, dict):
                params += list(state) if name != str(CODE) else ["the code of dtc"]
            elif name.startswith(tuple(f"{package}/" for package in OWN)):
                code += 1
            else:
                files.append(name)
    return [*params, *dict.fromkeys(files), *([plural(code, "file") + " of code"] if code else [])]
