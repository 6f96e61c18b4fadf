"""Read and check the tensors and hyper-parameters of other projects' checkpoints, without running code in a file."""

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

STARTS = (b"PK", b"\x80")  # of files of torch.save: a zip, or a pickle of versions before 1.6


@dataclass(frozen=True)
class Checkpoint:
    """The content of a checkpoint."""

    state_dict: dict[str, Tensor]  # without the `module.` of a model that was trained on several GPUs
    hparams: dict[str, Any]  # its key `config`
    iteration: int  # 0 if the file has none


def read_checkpoint(file: Path) -> Checkpoint:
    """Return the checkpoint in a file: safetensors if that is its suffix, or else a file of torch.save.

    The file holds a mapping with a `state_dict`, or a state_dict alone. Raises InputError if it is missing, damaged, no
    checkpoint, or a pickle that would run code, and for tensors with NaN or infinity.
    """
    safe = file.suffix == ".safetensors"
    with _errors_of_reading(file):
        with file.open("rb") as opened:
            start = opened.read(2)
        if not safe and not start.startswith(STARTS):
            raise InputError(file, "no file of torch.save", "a checkpoint, or a file with the suffix .safetensors")
        tree: Any = load_file(file) if safe else torch.load(file, map_location="cpu", weights_only=True)
    facts = tree if isinstance(tree, Mapping) and "state_dict" in tree else {"state_dict": tree}
    state_dict, hparams, iteration = facts["state_dict"], facts.get("config"), facts.get("iteration")
    if not _is_state_dict(state_dict):
        holds = named([str(key) for key in tree]) if isinstance(tree, Mapping) else f"a {type(tree).__name__}"
        expected = "a checkpoint with a state_dict of tensors, or a state_dict alone"
        raise InputError(file, f"holds {holds or 'nothing'}", expected, "save the model's state_dict()")
    if broken := [name for name, value in state_dict.items() if not value.isfinite().all()]:
        raise InputError(file, f"NaN or infinity in {named(broken)}", "finite numbers", "use an earlier checkpoint")
    if all(name.startswith("module.") for name in state_dict):
        state_dict = {name.removeprefix("module."): value for name, value in state_dict.items()}
    return Checkpoint(
        dict(state_dict),
        dict(hparams) if isinstance(hparams, Mapping) else {},
        iteration if isinstance(iteration, int) and iteration > 0 else 0,
    )


def read_hparams(file: Path) -> dict[str, Any]:
    """Return the hyper-parameters in a JSON file, by the other project's names. Raises InputError for other content."""
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
    """Raise InputError, naming `where`, if a hyper-parameter differs from the size that the tensors' shapes have."""
    differing = [name for name in sizes if name in hparams and hparams[name] != sizes[name]]
    if differing:
        found = named([f"{name} {hparams[name]!r}" for name in differing])
        expected = named([str(sizes[name]) for name in differing]) + ", the sizes of the tensors"
        raise InputError(where, f"hyper-parameters {found}", expected, "use the hyper-parameters of this model")


def require_tensors(found: Mapping[str, Tensor], expected: Mapping[str, Tensor], model: str, where: object) -> None:
    """Raise InputError, naming `where`, for tensors that are missing, unknown, or of another shape or number type."""
    missing, extra = [name for name in expected if name not in found], [name for name in found if name not in expected]
    faults = [f"lacks {named(missing)}"] if missing else []
    faults += [f"has the unknown {named(extra)}"] if extra else []
    if faults:
        raise InputError(where, ", and ".join(faults), f"the {len(expected)} tensors of {model}")
    misshapen = [name for name, value in found.items() if _form(value) != _form(expected[name])]
    if misshapen:
        shapes = named([f"{name} {_form(found[name])}" for name in misshapen])
        fitting = named([_form(expected[name]) for name in misshapen])
        raise InputError(where, shapes, f"{fitting}, which fits the other tensors")


def _form(value: Tensor) -> str:
    shape = f"({', '.join(map(str, value.shape))})"
    return shape if value.is_floating_point() else f"{shape} of integers"


@contextmanager
def _errors_of_reading(file: Path) -> Iterator[None]:
    """Turn the errors of reading a file, which may be of any class, into an InputError."""
    try:
        yield
    except FileNotFoundError:
        raise InputError(file, "no such file", "a checkpoint") from None
    except IsADirectoryError:
        raise InputError(file, "is a folder", "a checkpoint, which is a file") from None
    except (InputError, PermissionError):
        raise
    except pickle.UnpicklingError as error:
        remedy = 'if you trust it, load it with the code of its project, write torch.save({"state_dict": '
        remedy += "model.state_dict()}, FILE), and import that file"
        raise InputError(file, refused_pickle(error), "tensors, texts and numbers alone", remedy) from None
    except Exception as error:
        kind = "safetensors" if file.suffix == ".safetensors" else "a torch file"
        raise InputError(file, f"does not read as {kind} ({reason_of(error)})", remedy="download it again") from None


def _is_state_dict(tree: object) -> bool:
    if not isinstance(tree, Mapping) or not tree:
        return False
    return all(isinstance(name, str) and isinstance(value, Tensor) for name, value in tree.items())
