"""Registries: one for each kind of part that params.yaml can name (a vocoder, an attention, an optimizer, ...).

A new part is one file with its class, and one line in the registry of its kind. A part from outside the package is
added with `Registry.add` before params.yaml is read:

    from dtc.vocoder import VOCODERS
    VOCODERS.add("mine", Part(config=MyConfig, build=MyVocoder))
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Generic, TypeVar, cast

from pydantic import AfterValidator, GetCoreSchemaHandler
from pydantic_core import CoreSchema, SchemaValidator, core_schema

from dtc.config import Section, did_you_mean, parse_section
from dtc.errors import InputError

Built = TypeVar("Built")


@dataclass(frozen=True)
class Part:
    """One part of a registry: its class, function or object, and the class of its params section.

    Either may be given as "module:name". It is then imported at its first use, so that reading params.yaml does not
    import torch, and a model does not import the other models.
    """

    build: Callable[..., Any] | object | str
    config: type[Section] | str | None = None  # None: the part has no settings


class Registry(Generic[Built]):
    """The parts of one kind, by the name that params.yaml uses.

    As an annotation, `Annotated[BaseSection, registry]` is a params section whose class is chosen by its key `field`.

    Args:
        key: the dotted key of params.yaml that names the part, for messages.
        parts: name → part.
        field: the key inside the section that holds the name.
    """

    def __init__(self, key: str, parts: Mapping[str, Part], field: str = "model") -> None:
        self.key, self.field = key, field
        self._parts = dict(parts)

    def add(self, name: str, part: Part) -> None:
        """Add a part. Raises ValueError where another part has the name."""
        if self._parts.get(name, part) != part:
            raise ValueError(f"{self.key}: {name!r} is registered already")
        self._parts[name] = part

    def names(self) -> tuple[str, ...]:
        """Return the names of all parts, the built-in ones first."""
        return tuple(self._parts)

    def __contains__(self, name: object) -> bool:
        return name in self._parts

    def get(self, name: str) -> Built:
        """Return the part's class, function or object. Raises InputError, with the nearest name, if there is none."""
        return cast(Built, imported(self._part(name).build))

    def build(self, section: Section, *arguments: object) -> Any:
        """Return what the part that a section names builds from the section and the arguments after it."""
        return cast(Callable[..., Any], self.get(getattr(section, self.field)))(section, *arguments)

    def modules(self, name: str) -> set[str]:
        """Return the names of the modules that define the part. Raises InputError as `get` does."""
        part = self._part(name)
        return {_module_of(value) for value in (part.build, part.config) if value is not None}

    def config(self, name: str) -> type[Section]:
        """Return the class of the part's params section. Raises InputError as `get` does."""
        return cast(type[Section], imported(self._part(name).config))

    def configs(self) -> dict[str, type[Section]]:
        """Return name → class of the params section, of all parts."""
        return {name: self.config(name) for name in self._parts}

    def name_or(self, other: str) -> AfterValidator:
        """Return a validator of a params field that holds the name of a part, or `other`."""

        def check(name: str) -> str:
            if name != other and name not in self:
                hint = did_you_mean(name, (other, *self._parts))
                shown = f"found {name!r}, expected one of {', '.join((other, *self._parts))}"
                raise ValueError(f"{shown}; {hint}" if hint else shown)
            return name

        return AfterValidator(check)

    def parse(self, tree: Mapping[str, Any], where: str) -> Section:
        """Return the section that a mapping holds. Raises InputError where it is not that of a known part."""
        return parse_section(dict(tree), self.config(str(tree.get(self.field))), where)

    def _part(self, name: str) -> Part:
        if name not in self._parts:
            raise InputError(
                self.key, f"found {name!r}", f"one of {', '.join(self._parts)}", did_you_mean(name, self._parts)
            )
        return self._parts[name]

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        # The union is looked up at each validation: parts may be added after the annotated class was defined.
        return core_schema.json_or_python_schema(
            # The JSON is parsed here already; strict JSON takes a list as a tuple, as in `parse_section`.
            core_schema.no_info_plain_validator_function(
                lambda tree: self._union().validate_json(json.dumps(tree), strict=True)
            ),
            core_schema.no_info_plain_validator_function(lambda tree: self._union().validate_python(tree)),
        )

    def _union(self) -> SchemaValidator:
        """Return the validator of a section of any part; its key `field` says which."""
        choices = {name: config.__pydantic_core_schema__ for name, config in self.configs().items()}
        return SchemaValidator(core_schema.tagged_union_schema(choices, discriminator=self.field))


def imported(value: object) -> object:
    """Return an object as it is, or import the one that a text "module:name" names."""
    if not isinstance(value, str):
        return value
    module, _, name = value.partition(":")
    return getattr(import_module(module), name)


def _module_of(value: object) -> str:
    """Return the name of the module that defines an object, or that "module:name" names."""
    if isinstance(value, str):
        return value.partition(":")[0]
    return str(getattr(value, "__module__", type(value).__module__))
