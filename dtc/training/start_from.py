"""Copy the weights of a trained model into a new one, as far as they fit: `start_from` in the section of a training.

Tensors are taken by their names. A linear layer with another number of outputs takes those that there are, or repeats
them; a tensor of any other shape stays as it was drawn. Symbols that the trained model has not seen get the vectors of
the nearest symbols that it has seen.

The layers of the trained model compute with its normalised mels. So the statistics of the mels, which are buffers of a
model, are taken together with those layers, and in natural-log mels the new model computes exactly the same as the
trained one. A model that is imported from NVIDIA has mean 0 and deviation 1, so the new one has raw log-mels too. To
rescale the layers for the statistics of the new corpus instead would not be exact: the prenet of Tacotron 2 has no bias
that could take the mean; the first input frame and the padding of convolutions are 0, which is another log-mel with
other statistics; and the cepstra of the aligner mix the bands.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Literal, cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

from dtc.acoustic.symbol_embedding import grow_symbols, symbol_tables
from dtc.errors import InputError, named
from dtc.model_card import ModelCard
from dtc.model_folder import read_model
from dtc.training.start_config import StartConfig

Fate = Literal["taken", "reshaped", "new", "dropped"]
Weights = Mapping[str, Tensor]
# The buffers with the statistics of the mels, by all names that models have for them.
STATISTICS = ("mel_mean", "mel_deviation", "normalise.mean", "normalise.deviation")


@dataclass(frozen=True)
class Started:
    """A tensor of the new model or of the trained one, and what became of it."""

    name: str
    fate: Fate  # new: it stays as it was drawn; dropped: the new model has no such tensor
    shapes: str = ""  # where they differ

    @property
    def part(self) -> str:
        """Return the name of the part of the model that it belongs to."""
        return "statistics" if self.name in STATISTICS else self.name.partition(".")[0]

    @property
    def inside(self) -> str:
        """Return its name in this part and its shapes, where they differ; else the name of its layer."""
        name = self.name.removeprefix(f"{self.part}.")
        return f"{name} {self.shapes}" if self.shapes else name.partition(".")[0]


@dataclass(frozen=True)
class Start:
    """What a new model has taken from a trained one."""

    folder: str  # of the trained model
    source: ModelCard  # its card
    tensors: tuple[Started, ...]
    symbols: Mapping[str, str]  # new symbol → the known one whose vector it has; "" for the mean of several

    @property
    def keeps_statistics(self) -> bool:
        """Return whether the new model normalises mels as the trained one does."""
        return any(each.name in STATISTICS and each.fate == "taken" for each in self.tensors)

    def rows(self) -> list[tuple[str, str, str, str]]:
        """Return the cells of a table: part of the model, fate, number of tensors, and their layers or names."""
        groups: dict[tuple[str, Fate], list[str]] = {}
        for each in self.tensors:
            groups.setdefault((each.part, each.fate), []).append(each.inside)
        return [
            (part, fate, str(len(names)), named(list(dict.fromkeys(names)))) for (part, fate), names in groups.items()
        ]

    def remarks(self) -> list[str]:
        """Return what else there is to know: where the vectors of new symbols are from, and the statistics."""
        remarks = []
        if alike := [f"{new} as {old}" for new, old in self.symbols.items() if old]:
            remarks.append(f"symbols that it did not know: {named(alike)}")
        if others := [new for new, old in self.symbols.items() if not old]:
            remarks.append(f"symbols that start as the mean of those it knew: {named(others)}")
        if self.keeps_statistics:
            remarks.append("mels are normalised by its statistics, not by those of data/features")
        return remarks


def start_from(model: nn.Module, start: StartConfig, source: ModelCard, alphabet: Iterable[str]) -> Start:
    """Copy weights of a trained model into a new one, in place, and return what was copied.

    Args:
        model: a new model of the same family.
        start: the folder of the trained model, and which of its tensors to take.
        source: the card of the trained model, as `read_source` has returned it.
        alphabet: the symbols of the texts that the new model will be trained on.

    Raises InputError where the trained model was changed, a glob matches none of its tensors, or no weight fits.
    """
    section = f"training.{source.kind}.start_from"
    _, theirs = read_model(start.path, source.kind)
    _require_known(start.take, theirs, f"{section}.take")
    fitting, ours = _fitting(model, theirs, start.take), model.state_dict()
    if not fitting.keys() & dict(model.named_parameters()).keys():
        found = f"no weight of {start.folder} fits into the new model"
        raise InputError(section, found, "at least one", "take other tensors, or give the new model its sizes")
    with torch.no_grad():
        for name, value in fitting.items():
            ours[name].copy_(value)
    tables = [table.weight for name, table in symbol_tables(model) if f"{name}.weight" in fitting]
    return Start(start.folder, source, _fates(ours, theirs, fitting), grow_symbols(tables, source.alphabet, alphabet))


def _require_known(globs: Iterable[str], theirs: Weights, key: str) -> None:
    for glob in globs:
        if not any(fnmatchcase(name, glob) for name in theirs):
            parts = ", ".join(dict.fromkeys(name.partition(".")[0] for name in theirs))
            expected = f"a glob of names as {next(iter(theirs))}"
            raise InputError(key, f"no tensor of the model matches {glob}", expected, f"its parts are {parts}")


def _fitting(model: nn.Module, theirs: Weights, globs: Iterable[str]) -> dict[str, Tensor]:
    """Return the tensors to take, by name, in the shapes of the new model."""
    ours, fitting = model.state_dict(), dict[str, Tensor]()
    linear = [name for name, layer in model.named_modules() if isinstance(layer, nn.Linear)]
    for name, value in theirs.items():
        if name not in ours or name in STATISTICS or not any(fnmatchcase(name, glob) for glob in globs):
            continue
        fitted = _with_rows(value, len(ours[name])) if name.rpartition(".")[0] in linear else value
        if fitted.shape == ours[name].shape:
            fitting[name] = fitted
    mel_layers = cast(Iterable[str], getattr(model, "mel_layers", ("*",)))
    if any(fnmatchcase(name, glob) for name in fitting for glob in mel_layers):
        fitting |= {name: theirs[name] for name in STATISTICS if name in ours and name in theirs}
    return fitting


def _with_rows(value: Float[Tensor, "rows ..."], rows: int) -> Float[Tensor, "wanted ..."]:
    """Return the first rows of a tensor, or all of them repeated, where one number is a multiple of the other.

    The first outputs of a decoder of several frames are those of its first frame, and frames are alike.
    """
    if len(value) % rows == 0:
        return value[:rows]
    return torch.cat([value] * (rows // len(value))) if rows % len(value) == 0 else value


def _fates(ours: Weights, theirs: Weights, fitting: Collection[str]) -> tuple[Started, ...]:
    def fate_of(name: str) -> Started:
        other = name in theirs and theirs[name].shape != ours[name].shape
        shapes = f"{_shape(ours[name])} (there {_shape(theirs[name])})" if other else ""
        if name not in fitting:
            return Started(name, "new", shapes)
        return Started(name, "reshaped" if other else "taken", shapes)

    dropped = [Started(name, "dropped") for name in theirs if name not in ours]
    return (*map(fate_of, ours), *dropped)


def _shape(value: Tensor) -> str:
    return " × ".join(map(str, value.shape))
