"""What `dtc doctor` finds out about the installation: Python, PyTorch, the programs that DVC calls, and the extras."""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Iterator, Mapping
from importlib import import_module, metadata
from pathlib import Path

from dtc import __version__
from dtc.errors import DISTRIBUTION, install_hint, named
from stages.doctor import Finding

USES = {
    "train": "all commands but dtc say",
    "ear": "the recogniser Whisper: dtc say --check, evaluate.ear: whisper",
    "quality": "pitch and DNSMOS in dtc evaluate",
    "pesq": "PESQ in dtc evaluate",
    "onnx": "dtc export",
    "c2pa": "dtc say --credentials",
    "duel": "dtc duel",
    "ray": "distributed.engine: ray, dtc tune",
}


def installation() -> Iterator[Finding]:
    """Yield the facts about the installation."""
    yield Finding("Python", f"{sys.version.split()[0]}, {sys.executable}")
    yield Finding("dtc", f"{__version__}, {Path(__file__).parents[1]}")
    yield _torch()
    for extra, missing in missing_of_extras().items():
        if extra in USES:
            has = f"missing {named(missing)}: {install_hint(extra)}" if missing else "installed"
            yield Finding(f"[{extra}]", f"{USES[extra]}: {has}")


def missing_of_extras() -> Mapping[str, list[str]]:
    """Return extra → its packages that are not installed, of all extras."""
    found: dict[str, list[str]] = {}
    for requirement in metadata.requires(DISTRIBUTION) or []:
        name, extra = re.match(r"[\w.-]+", requirement), re.search(r"extra == ['\"]([\w-]+)", requirement)
        if name and extra:
            missing = found.setdefault(extra[1], [])
            if not _is_installed(name[0]):
                missing.append(name[0])
    return found


def _is_installed(distribution: str) -> bool:
    try:
        metadata.distribution(distribution)
    except metadata.PackageNotFoundError:
        return False
    return True


def _torch() -> Finding:
    """Return the versions of torch and torchaudio, which must be built against one another."""
    versions = [metadata.version(name) for name in ("torch", "torchaudio")]
    text = f"{versions[0]}, torchaudio {versions[1]}"
    try:
        import_module("torchaudio")
    except (OSError, RuntimeError, ImportError) as error:
        pins = [pin for pin in metadata.requires(DISTRIBUTION) or [] if re.match(r"torch(audio)?==", pin)]
        reason = str(error).splitlines()[0]
        return Finding("PyTorch", f"{text}, which do not match ({reason})", f"pip install {' '.join(pins)}")
    return Finding("PyTorch", text)


def programs() -> Iterator[Finding]:
    """Yield where the programs are that `dvc repro` and its stages call."""
    folder = Path(sys.executable).parent
    for name in ("git", "dvc", "dtc"):
        found = shutil.which(name)
        if found is None:
            remedy = {"git": "install it", "dvc": install_hint("train")}.get(name, _activate(folder))
            yield Finding(name, "not found", remedy)
        elif name == "dtc" and Path(found).parent.resolve() != folder.resolve():
            yield Finding(name, f"`dtc` is {found}, another program than this one", _activate(folder))


def _activate(folder: Path) -> str:
    return f"put {folder} first into PATH, as `. {folder / 'activate'}` does"
