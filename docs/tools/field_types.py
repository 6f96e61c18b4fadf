"""Describe the types of the keys of params.yaml in words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import annotated_types
from pydantic.fields import FieldInfo

from dtc.config import Section
from dtc.registry import Registry

NAMES = {int: "integer", float: "number", bool: "true or false", str: "text"}


def variants_of(field: FieldInfo) -> dict[str, type[Section]]:
    """Return name → section, where a name inside the section chooses its class; else nothing."""
    for extra in field.metadata:
        if isinstance(extra, Registry):
            return dict(extra.configs())
    for inner in get_args(field.annotation):
        for extra in getattr(inner, "__metadata__", ()):
            if isinstance(extra, Registry):
                return dict(extra.configs())
    if field.discriminator:
        sections = [each for each in get_args(field.annotation) if issubclass(each, Section)]
        return {get_args(each.model_fields[str(field.discriminator)].annotation)[0]: each for each in sections}
    return {}


def section_in(annotation: Any) -> type[Section] | None:
    """Return the section that a key holds: itself, a list of it, or it or null. None where it holds none."""
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return annotation
    if get_origin(annotation) in (Union, UnionType, tuple, Annotated):
        found = [section for inner in get_args(annotation) if (section := section_in(inner))]
        return found[0] if found else None
    return None


def kind_of(field: FieldInfo) -> str:
    """Return the type of a key in words, such as "integer > 0, or null"."""
    return _kind(field.annotation, field.metadata)


def _kind(annotation: Any, extras: Iterable[Any] = ()) -> str:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _kind(arguments[0], [*annotation.__metadata__, *extras])
    if origin in (Union, UnionType):
        kinds = [_kind(each, extras) for each in arguments if each is not NoneType]
        return " or ".join(kinds) + (", or null" if NoneType in arguments else "")
    if origin is Literal:
        return ", ".join(f"`{value}`" for value in arguments)
    if origin is tuple:
        return _tuple(arguments)
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return "keys"
    if annotation is dict or (isinstance(origin, type) and issubclass(origin, Mapping)):
        return "keys and values"
    return NAMES.get(annotation, "any value") + _limits(extras)


def _tuple(arguments: tuple[Any, ...]) -> str:
    if arguments[-1] is Ellipsis:
        return f"list of: {_kind(arguments[0])}"
    kinds = [_kind(each) for each in arguments]
    return f"[{', '.join(kinds)}]"


def _limits(extras: Iterable[Any]) -> str:
    """Return the limits of a number, such as " > 0, ≤ 1"."""
    limits = []
    for extra in extras:
        for name, sign in (("gt", ">"), ("ge", "≥"), ("lt", "<"), ("le", "≤"), ("multiple_of", "a multiple of")):
            if isinstance(extra, annotated_types.BaseMetadata) and (limit := getattr(extra, name, None)) is not None:
                limits.append(f"{sign} {limit:g}")
            elif isinstance(extra, FieldInfo):
                limits.append(_limits(extra.metadata).strip())
                break
    return f" {', '.join(filter(None, limits))}" if any(limits) else ""
