"""The folders of runs/, from which a training is resumed: one for each identity, all that decides the weights.

A run's folder has

    run.json            kind, model and identity
    checkpoints/        the states to continue an unfinished training from; progress.json has the step of the last one
    model/              of a finished one: the model, so that the same identity restores it at once
    history.csv         the curve: losses, metrics, norms of gradients and learning rates
    progress.jsonl      one event a line, with its time and the speed, the waiting and the memory
    metrics.json        the final figures
    tensorboard/
    offending-batch.pt  of a training that went wrong, for `dtc debug-batch`
    profile.json.gz     of `dtc train --profile`
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from dtc.evaluation import RECOGNISERS, EarConfig
from dtc.files import holder_of, write_whole
from dtc.provenance import fingerprint, sha256_of
from dtc.training.run_files import CHECKPOINTS, PROGRESS
from dtc.training.stopping import deciding_cadence
from stages import paths
from stages.code_identity import chosen_modules, code_digests, modules_of
from stages.ears import own_ear_of

if TYPE_CHECKING:
    from dtc.training.config import RunConfig
    from stages.training_recipe import Recipe

IDENTITY, MODEL = "run.json", "model"
NAME = re.compile(r"(acoustic|vocoder)-[0-9a-f]{16}")
WRITTEN = re.compile(
    r"(run\.json|checkpoints/\d{8}\.pt|progress\.jsonl?|history\.csv|metrics\.json|offending-batch\.pt)(\.part)?"
    r"|(resume\.pt|curve\.csv)(\.part)?"  # of older versions
    r"|\.model\.(lock|holder)|(model(\.part)?|\.model\.old)/(model\.safetensors|config\.json)(\.part)?"
    r"|profile\.json\.gz|tensorboard/events\.out\.tfevents\.[^/]*"
)
# Which code decides the weights, beside that of the chosen parts.
ENTRIES = ("dtc.training.loop", "stages.training_recipe")
LISTENING = "stages.listening"  # and this, where metrics of the model's speech decide something


@dataclass(frozen=True)
class Identity:
    """What decides the weights of a run: sections, data, and the code as module → digest of its syntax tree."""

    kind: str
    model: str
    tree: Mapping[str, Any]

    @property
    def folder(self) -> Path:
        """Return the run's folder."""
        return paths.RUNS / f"{self.kind}-{fingerprint(self.tree)}"

    def write(self) -> None:
        """Write run.json to the folder, which is made if it is not there."""
        content = {"kind": self.kind, "model": self.model, "identity": self.tree}
        write_whole(self.folder / IDENTITY, json.dumps(content, indent=1, sort_keys=True) + "\n")


def identity_of(recipe: Recipe, how: RunConfig) -> Identity:
    """Return the identity of the run that a recipe describes, by the code as it is.

    How often the model is validated belongs to it only where the metrics decide something.
    """
    name = getattr(recipe.config, recipe.kind.parts.field)
    chosen = chosen_modules(recipe.config) | chosen_modules(recipe.training) | recipe.kind.parts.modules(name)
    ear = recipe.ear
    entries = [*ENTRIES, *chosen, *([LISTENING, *RECOGNISERS.modules(ear.ear)] if ear else [])]
    described = {**recipe.described(), **deciding_cadence(recipe.training, how), **(_described(ear) if ear else {})}
    return Identity(recipe.kind.name, name, {**described, "code": code_digests(modules_of(entries))})


def _described(ear: EarConfig) -> Mapping[str, Any]:
    """Return what decides the words that a recogniser finds in a sound, with the grammar by its content."""
    grammar = own_ear_of(ear).grammar
    content = grammar and sha256_of(Path(grammar))
    return {"evaluate": {"ear": ear.ear, "grammar": content, "whisper_model": ear.whisper_model}}


@dataclass(frozen=True)
class Run:
    """A run, as its folder describes it."""

    folder: Path
    kind: str
    model: str
    step: int
    total_steps: int
    finished: bool
    tree: Mapping[str, Any]  # its identity; empty for a run of an older version

    @property
    def name(self) -> str:
        """Return the name of its folder."""
        return self.folder.name

    @property
    def unfinished(self) -> bool:
        """Return whether there is a state to continue from."""
        return not self.finished and any((self.folder / CHECKPOINTS).glob("*.pt"))

    @property
    def holder(self) -> str:
        """Return a description of the process that trains it now, or ""."""
        return holder_of(self.folder)

    @property
    def state(self) -> str:
        """Return its state in words."""
        if self.holder:
            return "in training"
        return "finished" if self.finished else "unfinished" if self.unfinished else "without a checkpoint"

    def files(self) -> list[Path]:
        """Return all files in the folder."""
        return [path for path in self.folder.rglob("*") if path.is_file()]

    @property
    def size_bytes(self) -> int:
        """Return the size of all its files."""
        return sum(path.stat().st_size for path in self.files())

    @property
    def changed(self) -> datetime:
        """Return when a file of it was last written."""
        return datetime.fromtimestamp(max((path.stat().st_mtime for path in self.files()), default=0.0))

    @property
    def progress(self) -> str:
        """Return the last saved step and the number of steps: 500/1496."""
        return f"{self.step}/{self.total_steps}" if self.total_steps else "unknown"


def runs() -> Iterator[Run]:
    """Yield all runs, ordered by name. Other files and folders in runs/ are passed over."""
    for folder in sorted(paths.RUNS.glob("*")):
        if NAME.fullmatch(folder.name) and folder.is_dir() and not folder.is_symlink():
            yield read_run(folder)


def read_run(folder: Path) -> Run:
    """Return the run in a folder. A value that its files do not hold is empty or 0."""
    known, progress = _json(folder / IDENTITY), _json(folder / PROGRESS)
    card = _json(folder / MODEL / "config.json")
    kind = str(known.get("kind", folder.name.partition("-")[0]))
    step, total = (int(progress.get(name, card.get("steps", 0))) for name in ("step", "total_steps"))
    return Run(folder, kind, str(known.get("model", "–")), step, total, bool(card), known.get("identity", {}))


def is_of_a_run(path: PurePosixPath) -> bool:
    """Return whether a training writes a file with this path inside its run's folder."""
    return WRITTEN.fullmatch(str(path)) is not None


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """Return what differs between two identities, as "training.acoustic.seed 1 → 2" and "code of dtc.acoustic.loss"."""
    before, after = dict(leaves(old)), dict(leaves(new))
    changed = [key for key in {**before, **after} if before.get(key) != after.get(key)]
    keys, modules = ([key for key in changed if key.startswith("code.") == of_code] for of_code in (False, True))
    values = [f"{key} {_shown(before.get(key))} → {_shown(after.get(key))}" for key in keys]
    return values + [f"code of {module.removeprefix('code.')}" for module in modules]


def leaves(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield (dotted key, value) of all that is no mapping."""
    for key, value in tree.items():
        if isinstance(value, Mapping):
            yield from leaves(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value


def _shown(value: object) -> str:
    return "nothing" if value in (None, "") else str(value)


def _json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
