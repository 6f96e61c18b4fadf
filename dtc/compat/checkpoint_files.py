"""Reading checkpoints of other projects: tensors, hyper-parameters, and their checks. No code in a file is run."""

from __future__ import annotations

import json
import pickle
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from dtc.errors import InputError, named, reason_of, refused_pickle


@dataclass(frozen=True)
class Checkpoint:
    """The content of a checkpoint."""

    state_dict: dict[str, Tensor]  # without the `module.` of a model that was trained on several GPUs
    hparams: dict[str, Any]  # of its key `config`
    iteration: int  # 0 if it is not known


def read_checkpoint(file: Path) -> Checkpoint:
    """Return a checkpoint with a `state_dict`, or that alone; safetensors by its suffix, else as torch.save writes it.

    Raises InputError if the file is missing, damaged, not a checkpoint, or a pickle that would run code, and for
    tensors with NaN or infinity.
    """
    with _in_one_line(file):
        safe = file.suffix == ".safetensors"
        tree: Any = load_file(file) if safe else torch.load(file, map_location="cpu", weights_only=True)
    facts = tree if isinstance(tree, Mapping) and "state_dict" in tree else {"state_dict": tree}
    state_dict, hparams, iteration = facts["state_dict"], facts.get("config"), facts.get("iteration")
    if not _is_state_dict(state_dict):
        holds = named([str(key) for key in tree]) if isinstance(tree, Mapping) else f"a {type(tree).__name__}"
        expected = "a checkpoint with a state_dict of tensors, or a state_dict alone"
        raise InputError(file, f"holds {holds or 'nothing'}", expected, "save the model's state_dict()")
    if broken := [name for name, value in state_dict.items() if not value.isfinite().all()]:
        raise InputError(file, f"NaN or infinity in {named(broken)}", "numbers", "its training went wrong")
    if all(name.startswith("module.") for name in state_dict):
        state_dict = {name.removeprefix("module."): value for name, value in state_dict.items()}
    return Checkpoint(
        dict(state_dict),
        dict(hparams) if isinstance(hparams, Mapping) else {},
        iteration if isinstance(iteration, int) and iteration > 0 else 0,
    )


def read_hparams(file: Path) -> dict[str, Any]:
    """Return hyper-parameters by the other project's names from a JSON file. Raises InputError if it is not one."""
    try:
        tree = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(file, "no such file", "hyper-parameters as JSON") from None
    except ValueError as error:
        raise InputError(file, f"not JSON ({error})", "hyper-parameters as JSON") from None
    if not isinstance(tree, dict):
        raise InputError(file, f"a JSON {type(tree).__name__}", 'hyper-parameters, as in {"gate_threshold": 0.5}')
    return tree


def require_agreement(sizes: Mapping[str, int], hparams: Mapping[str, Any], where: object) -> None:
    """Raise InputError, naming `where`, unless the hyper-parameters are those of the tensors' shapes."""
    differing = [name for name in sizes if name in hparams and hparams[name] != sizes[name]]
    if differing:
        said = named([f"{name} {hparams[name]!r}" for name in differing])
        shown = named([str(sizes[name]) for name in differing])
        raise InputError(where, f"hyper-parameters {said}", f"{shown}, as the tensors show", "they are another model's")


def require_tensors(found: Mapping[str, Tensor], expected: Mapping[str, Tensor], model: str, where: object) -> None:
    """Raise InputError if names differ, or else shapes, or integers are floating-point numbers or the reverse."""
    missing, extra = [name for name in expected if name not in found], [name for name in found if name not in expected]
    faults = [f"lacks {named(missing)}"] if missing else []
    faults += [f"has {named(extra)} besides"] if extra else []
    if faults:
        raise InputError(where, ", and ".join(faults), f"the {len(expected)} tensors of {model}")
    misshapen = [name for name, value in found.items() if _form(value) != _form(expected[name])]
    if misshapen:
        shown = named([f"{name} {_form(found[name])}" for name in misshapen])
        should_be = named([_form(expected[name]) for name in misshapen])
        raise InputError(where, shown, f"{should_be}, as the other tensors show")


def _form(value: Tensor) -> str:
    shape = f"({', '.join(map(str, value.shape))})"
    return shape if value.is_floating_point() else f"{shape} of whole numbers"


@contextmanager
def _in_one_line(file: Path) -> Iterator[None]:
    """Raise InputError instead of what reading a foreign file raises, which may be any exception."""
    try:
        yield
    except FileNotFoundError:
        raise InputError(file, "no such file", "a checkpoint") from None
    except (IsADirectoryError, PermissionError):
        raise
    except pickle.UnpicklingError as error:
        remedy = 'where you trust it, load it with its own code, torch.save({"state_dict": model.state_dict()}, FILE), '
        remedy += "and import that"
        raise InputError(file, refused_pickle(error), "tensors, texts and numbers alone", remedy) from None
    except Exception as error:
        kind = "safetensors" if file.suffix == ".safetensors" else "a torch file"
        raise InputError(file, f"does not read as {kind} ({reason_of(error)})", remedy="fetch it again") from None


def _is_state_dict(tree: object) -> bool:
    if not isinstance(tree, Mapping) or not tree:
        return False
    return all(isinstance(name, str) and isinstance(value, Tensor) for name, value in tree.items())
