"""The section `tune` of params.yaml: what a search varies, and how it is run. `dtc tune` alone reads it.

    tune:
      num_samples: 10
      resources: {cpu: 1, gpu: 0}
      batch_size: [32, 64]
      training.acoustic.optimizer.weight_decay: {loguniform: [1.0e-6, 1.0e-2]}

A key is one of the original system's, or a dotted key of params.yaml with a range. The values of a trial are a function
of `seed`, the key and the trial's number, so a search that is continued, or gets a larger `num_samples`, draws the same
trials again.
"""

from __future__ import annotations

import copy
import math
import random
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, JsonValue, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt, model_validator

from dtc.config import WHOLE_FILE, AnySection, Section, did_you_mean, parse_section
from dtc.errors import InputError
from dtc.model_card import ModelKind

Values = Mapping[str, Any]  # dotted key of params.yaml → value
Tree = dict[str, Any]

EXAMPLE = "tune: {num_samples: 10, resources: {cpu: 1, gpu: 0}, batch_size: [16, 32], lr_min: 1.0e-4, lr_max: 1.0e-2}"
DRAWS_PER_TRIAL = 100  # after which a range is taken to have no further values
DIGITS = 4  # significant digits of a drawn number, so that params.yaml stays readable


class Range(Section):
    """The values from which those of the trials are drawn: one of the four kinds."""

    choice: Annotated[tuple[JsonValue, ...], Field(min_length=1)] | None = None
    uniform: tuple[float, float] | None = None  # numbers between both
    loguniform: tuple[PositiveFloat, PositiveFloat] | None = None  # whose logarithms are drawn uniformly
    randint: tuple[int, int] | None = None  # whole numbers, both included

    @model_validator(mode="after")
    def _check(self) -> Range:
        given = [value for value in (self.uniform, self.loguniform, self.randint) if value is not None]
        if len(given) + (self.choice is not None) != 1:
            raise ValueError("expected one of choice, uniform, loguniform and randint, with its values")
        if given and given[0][0] >= given[0][1]:
            raise ValueError(f"found {list(given[0])}, expected the smaller number first")
        return self

    @property
    def ends(self) -> tuple[Any, Any]:
        """Return the first and the last value."""
        values = self.choice or self.uniform or self.loguniform or self.randint
        assert values is not None
        return values[0], values[-1]

    def draw(self, chance: random.Random) -> Any:
        """Return a value."""
        if self.choice is not None:
            return chance.choice(self.choice)
        low, high = self.ends
        if self.randint is not None:
            return chance.randint(low, high)
        if self.loguniform is not None:
            drawn = math.exp(chance.uniform(math.log(low), math.log(high)))
        else:
            drawn = chance.uniform(low, high)
        return min(max(float(f"{drawn:.{DIGITS}g}"), low), high)


class Resources(Section):
    """The share of the machine that a trial has; as many trials run at once as fit."""

    cpu: PositiveInt = 1  # cores, and threads of a trial
    gpu: NonNegativeFloat = 0.0  # 0: trials are trained on the CPU; 0.5: two trials share a GPU


class Interval(Section):
    """Two numbers, as the original system writes them."""

    min: float
    max: float


class TuneConfig(Section):
    """The keys of the section `tune` that have no dot."""

    num_samples: PositiveInt  # trials
    resources: Resources = Resources()
    objective: str = "loss"  # a column of the validation rows of the curve
    mode: Literal["min", "max"] = "min"  # whether the objective should be small or large
    seed: NonNegativeInt = 1  # of the drawn values
    grace_share: float = Field(default=0.1, gt=0.0, le=1.0)  # of its training, before which a trial is not stopped
    reduction_factor: float = Field(default=4.0, gt=1.0)  # one in so many trials is continued at each comparison
    # The keys from here on have the original system's names.
    batch_size: tuple[PositiveInt, ...] = ()  # of the model that is trained
    lr_min: PositiveFloat | None = None  # the learning rate is drawn from here
    lr_max: PositiveFloat | None = None  # to here, uniformly by logarithm
    grad_clip: Interval | None = None  # of its grad_max_norm
    attention_location_filters: tuple[PositiveInt, ...] = ()  # of acoustic.attention.num_filters
    attention_kernel_size: tuple[PositiveInt, ...] = ()  # of acoustic.attention.kernel_size

    @model_validator(mode="after")
    def _check(self) -> TuneConfig:
        if (self.lr_min is None) != (self.lr_max is None):
            shown = f"lr_min {self.lr_min} and lr_max {self.lr_max}".replace("None", "missing")
            raise ValueError(f"{shown}, expected both or none")
        return self

    def named_ranges(self, kind: ModelKind) -> Iterator[tuple[str, str, object]]:
        """Yield (key, dotted key of params.yaml, range) of each given key of the original system."""
        training, attention = f"training.{kind}", "acoustic.attention"
        if self.batch_size:
            yield "batch_size", f"{training}.batch_size", {"choice": self.batch_size}
        if self.lr_min is not None:
            yield "lr_min", f"{training}.optimizer.learning_rate", {"loguniform": [self.lr_min, self.lr_max]}
        if self.grad_clip is not None:
            yield "grad_clip", f"{training}.grad_max_norm", {"uniform": [self.grad_clip.min, self.grad_clip.max]}
        if self.attention_location_filters:
            yield "attention_location_filters", f"{attention}.num_filters", {"choice": self.attention_location_filters}
        if self.attention_kernel_size:
            yield "attention_kernel_size", f"{attention}.kernel_size", {"choice": self.attention_kernel_size}


class Space:
    """The section `tune`, as far as it concerns one kind of model.

    Args:
        section: the section's content.
        kind: acoustic or vocoder; ranges of the other kind's keys are passed over.
        where: the params file, which errors name.

    Raises InputError where a key of the section or its value is wrong, or no range concerns the kind.
    """

    def __init__(self, section: object, kind: ModelKind, where: Path) -> None:
        if section is None:
            raise InputError(f"{where}: tune", "missing", "such a section", f"add for example `{EXAMPLE}`")
        entries = section.items() if isinstance(section, dict) else ()
        dotted = {key: value for key, value in entries if "." in key}
        plain = {key: _listed(key, value) for key, value in entries if "." not in key}
        self.kind, self.where, self.ranges = kind, f"{where}: tune", dict[str, Range]()
        self.config = _parsed(plain if isinstance(section, dict) else section, TuneConfig, self.where)
        for name, key, content in (*self.config.named_ranges(kind), *((key, key, dotted[key]) for key in dotted)):
            if key in self.ranges:
                raise InputError(f"{self.where}.{name}", f"a second range of {key}", remedy="remove one of them")
            self.ranges[key] = _parsed(content, Range, f"{self.where}.{name}")
        self.passed_over = [key for key in self.ranges if not self._concerns(key)]

    def _concerns(self, key: str) -> bool:
        return key.startswith((f"{self.kind}.", f"training.{self.kind}."))

    @property
    def searched(self) -> dict[str, Range]:
        """Return the ranges that concern the kind."""
        return {key: found for key, found in self.ranges.items() if self._concerns(key)}

    def require_known(self, known: list[str]) -> None:
        """Raise InputError unless each key is one of the known dotted keys, and one of them concerns the kind."""
        for key in self.ranges:
            if key.partition(".")[0] == "run":
                raise InputError(f"{self.where}.{key}", "a key that changes no weight", "one of training or of a model")
            if key not in known:
                hint = did_you_mean(key, known) or "see `dtc params`"
                raise InputError(f"{self.where}.{key}", "unknown key", "a key of training or of a model", hint)
        if not self.searched:
            found = f"no range of the {self.kind} model" if self.kind == "acoustic" else "no range of the vocoder"
            raise InputError(self.where, found, f"a key of {self.kind} or of training.{self.kind}")

    def end_values(self) -> Iterator[tuple[str, Any]]:
        """Yield each key with the first and the last value of its range."""
        for key, found in self.searched.items():
            for value in found.ends:
                yield key, value

    def draw(self) -> list[Values]:
        """Return the values of the trials, which all differ; fewer than `num_samples` where there are no others."""
        most = DRAWS_PER_TRIAL * self.config.num_samples
        distinct = {repr(values): values for values in map(self._values, range(most))}
        return list(distinct.values())[: self.config.num_samples]

    def _values(self, number: int) -> Values:
        seed = self.config.seed
        return {key: found.draw(random.Random(f"{seed} {number} {key}")) for key, found in self.searched.items()}


def _parsed(content: object, schema: type[AnySection], where: str) -> AnySection:
    """Return a section inside of `where`, which errors name together with the key."""
    try:
        return parse_section(content, schema, where)
    except InputError as error:
        key = error.where.removeprefix(f"{where}: ")
        place = where if key == WHOLE_FILE else f"{where}.{key}"
        raise InputError(place, error.found, error.expected, error.remedy) from None


def _listed(key: str, value: object) -> object:
    """Return the value of a key whose list may be a single number, as in the original system, as a list."""
    single = key in ("batch_size", "attention_location_filters", "attention_kernel_size")
    return [value] if single and not isinstance(value, list) else value


def dotted_keys(tree: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """Yield the dotted keys of all values and sections of a tree."""
    for key, value in tree.items():
        yield f"{prefix}{key}"
        if isinstance(value, Mapping):
            yield from dotted_keys(value, f"{prefix}{key}.")


def laid_over(tree: Tree, values: Values) -> Tree:
    """Return a copy of a tree with values at dotted keys, whose sections it has."""
    copied = copy.deepcopy(tree)
    for key, value in values.items():
        *parents, last = key.split(".")
        section = copied
        for parent in parents:
            section = section[parent]
        section[last] = copy.deepcopy(value)
    return copied


def value_at(tree: Mapping[str, Any], key: str) -> Any:
    """Return the value at a dotted key. Raises KeyError where there is none."""
    found: Any = tree
    for part in key.split("."):
        if not isinstance(found, Mapping):
            raise KeyError(key)
        found = found[part]
    return found
