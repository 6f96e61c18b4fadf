"""Typed, frozen sections of params.yaml. A wrong key is refused with its dotted path and the nearest known name.

No field has a default: what is not in params.yaml does not change a result.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import NoneType, UnionType
from typing import Annotated, Any, Protocol, TypeVar, Union, get_args, get_origin, runtime_checkable

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from pydantic.fields import FieldInfo

from dtc.errors import InputError

NAMED_FAULTS = 3  # that a message names; the others are counted
WHOLE_FILE, UNKNOWN, MISSING = "(the whole file)", "unknown key", "missing"
MISSING_REMEDY = "add it as in the params.yaml of `dtc init example --preset voice`"
# pydantic's type of a fault → the right value, in the words of a params file.
EXPECTED = {
    "int_type": "an integer",
    "int_from_float": "an integer",
    "float_type": "a number",
    "bool_type": "true or false",
    "string_type": "a text",
    "tuple_type": "a list",
    "too_long": "at most {max_length} values",
    "too_short": "at least {min_length} values",
    "dict_type": "keys and values",
    "model_type": "keys and values",
    "model_attributes_type": "keys and values",
}
UNQUOTED = {"int_type": (int,), "float_type": (int, float), "bool_type": (bool,)}


class Section(BaseModel):
    """Base of every section of params.yaml, and of the configs inside checkpoints."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, protected_namespaces=())


class ModelSection(Section):
    """Base of the sections of models, acoustic models and vocoders."""

    model: str  # its name in the registry; a subclass narrows it to a Literal

    @property
    def family(self) -> str:
        """Return a name that models share whose weights have the same names and meanings: by default, the model's."""
        return self.model

    def started(self, theirs: ModelSection, takes: Callable[[str], bool]) -> ModelSection:
        """Return the section for a training that starts with weights of a trained model: by default, it is the same.

        Args:
            theirs: the section of the trained model, of the same family, which knows all symbols of the new texts.
            takes: returns whether all weights of a part are taken, by its name, as `encoder`.
        """
        return self


@runtime_checkable
class Choice(Protocol):
    """A choice among several sections by a name, such as `dtc.registry.Registry`."""

    def configs(self) -> dict[str, type[Section]]:
        """Return name → class of the section."""


def _check_odd(size: int) -> int:
    if size < 1 or size % 2 == 0:
        raise ValueError(f"found {size}, expected an odd number: a kernel has a middle")
    return size


def matching(pattern: str, expected: str) -> AfterValidator:
    """Return a validator of texts that match the whole `pattern`, which `expected` describes in words."""

    def check(text: str) -> str:
        if not re.fullmatch(pattern, text):
            raise ValueError(f"found {text!r}, expected {expected}")
        return text

    return AfterValidator(check)


Share = Annotated[float, Field(ge=0.0, lt=1.0)]
Odd = Annotated[int, AfterValidator(_check_odd)]
Name = Annotated[str, matching(r"[A-Za-z0-9_-]+", "letters without accents, digits, - and _")]  # of files and folders
AnySection = TypeVar("AnySection", bound=Section)


def parse_section(tree: object, schema: type[AnySection], where: str) -> AnySection:
    """Return `tree`, the content of a YAML or JSON file, as a section of class `schema`.

    Raises InputError for the first fault, which also names the next ones and counts the others.
    """
    try:
        # Strict JSON accepts a list as a tuple, but not true as 1 or "16" as 16.
        return schema.model_validate_json(json.dumps(tree, default=str), strict=True)
    except ValidationError as error:
        first, *others = _without_consequences([_describe(fault, schema) for fault in error.errors()])
    also = [_briefly(fault) for fault in others[: NAMED_FAULTS - 1]]
    if more := len(others) - len(also):
        also.append(f"and {more} more")
    facts = [first.found, first.expected, first.remedy]
    facts[max(place for place, fact in enumerate(facts) if fact)] += f" (also {'; '.join(also)})" if also else ""
    raise InputError(f"{where}: {first.where}", *facts)


def _briefly(fault: InputError) -> str:
    return str(InputError(fault.where, fault.found, fault.expected if fault.found != UNKNOWN else ""))


def _without_consequences(faults: Sequence[InputError]) -> list[InputError]:
    """Return the faults, unknown keys first, without the missing keys that a misspelt key has caused."""
    meant = {fault.remedy for fault in faults}
    kept = [
        fault
        for fault in faults
        if fault.found != MISSING or f"did you mean {fault.where.rpartition('.')[2]}?" not in meant
    ]
    return sorted(kept, key=lambda fault: fault.found != UNKNOWN)


def _describe(fault: Mapping[str, Any], schema: type[BaseModel]) -> InputError:
    """Return one of pydantic's faults as an error at the dotted path of its key."""
    kind, found, facts = fault["type"], fault["input"], fault.get("ctx", {})
    if kind == "json_invalid":
        return InputError(WHOLE_FILE, f"text that is not Unicode ({facts['error']})")
    keys, siblings = _walk(fault["loc"], schema)
    dotted = ".".join(keys) or WHOLE_FILE
    if kind == "extra_forbidden":
        hint = did_you_mean(keys[-1], siblings)
        return InputError(dotted, UNKNOWN, "" if hint else f"one of {', '.join(siblings)}", hint or "remove it")
    if kind == "missing":
        return InputError(dotted, MISSING, remedy=MISSING_REMEDY)
    if kind in ("union_tag_invalid", "union_tag_not_found"):
        field = f"{dotted}.{facts['discriminator']}".replace("'", "")
        if kind == "union_tag_not_found":
            return InputError(field, MISSING, remedy=MISSING_REMEDY)
        hint = did_you_mean(facts["tag"], facts["expected_tags"].replace("'", "").split(", "))
        return InputError(field, f"found {facts['tag']!r}", f"one of {facts['expected_tags']}", hint)
    if kind == "value_error":  # of several fields together: the message shows their values
        return InputError(dotted, fault["msg"].removeprefix("Value error, "))
    expected = EXPECTED[kind].format(**facts) if kind in EXPECTED else fault["msg"].removeprefix("Input should be ")
    hint = did_you_mean(str(found), facts["expected"].replace("'", "").split(" or ")) if kind == "literal_error" else ""
    return InputError(dotted, f"found {_shown(found)}", expected, hint or _quotes_hint(found, kind))


def _shown(found: object) -> str:
    """Return a value as a params file has it; of a list or a section, only what it is."""
    if isinstance(found, list | dict):
        return "a list" if isinstance(found, list) else "keys and values"
    return repr(found) if isinstance(found, str | float) else json.dumps(found, default=str)


def _quotes_hint(found: object, kind: str) -> str:
    """Return a hint where a text would be right without its quotes."""
    try:
        inside = json.loads(found) if isinstance(found, str) else found
    except ValueError:
        return ""
    return "remove the quotes" if inside is not found and type(inside) in UNQUOTED.get(kind, ()) else ""


def did_you_mean(found: str, allowed: Iterable[str]) -> str:
    """Return a question with the allowed name nearest to the found one, or "" where none is near."""
    nearest = difflib.get_close_matches(found, list(allowed), n=1)
    return f"did you mean {nearest[0]}?" if nearest else ""


def _walk(location: Sequence[str | int], schema: type[BaseModel]) -> tuple[list[str], list[str]]:
    """Return the keys of a fault's location as the user wrote them, and the known names beside the last one.

    pydantic puts the chosen member of a union (`vocos`, or `int`) into the location; the file has no such key, so it is
    left out.
    """
    keys: list[str] = []
    models: list[type[BaseModel]] = [schema]
    in_union = False  # of values, not of sections
    siblings: list[str] = list(schema.model_fields)
    for part in location:
        chosen = [model for model in models if part in _tags(model)]
        if chosen:
            models, siblings = chosen, list(chosen[0].model_fields)
            continue
        if in_union:
            in_union = False
            continue
        keys.append(str(part))
        siblings = [name for model in models for name in model.model_fields]
        fields = [model.model_fields[str(part)] for model in models if part in model.model_fields]
        models = [inner for field in fields for inner in _models_of(field)]
        in_union = not models and any(_is_union(field.annotation) for field in fields)
    return keys, list(dict.fromkeys(siblings))


def _is_union(annotation: object) -> bool:
    """Return whether an annotation has several types beside None."""
    return get_origin(annotation) in (Union, UnionType) and len({*get_args(annotation)} - {NoneType}) > 1


def _tags(model: type[BaseModel]) -> tuple[object, ...]:
    """Return the values that choose this member of a union: those of its field `model`, `method` or `type`."""
    field = next((model.model_fields[name] for name in ("model", "method", "type") if name in model.model_fields), None)
    return getattr(field.annotation, "__args__", ()) if field else ()


def _models_of(field: FieldInfo) -> list[type[BaseModel]]:
    """Return the sections that a field may hold: those of its registry, where one chooses, or of its annotation."""
    registries = [extra for extra in field.metadata if isinstance(extra, Choice)]
    return list(registries[0].configs().values()) if registries else _models_in(field.annotation)


def _models_in(annotation: object) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for inner in getattr(annotation, "__args__", ()) for model in _models_in(inner)]
