"""Read params.yaml into typed, frozen sections. A wrong key is refused with its dotted path and the nearest known name.

No field has a default: what is not in params.yaml does not change a result.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Protocol, TypeVar, runtime_checkable

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from pydantic.fields import FieldInfo

from dtc.errors import InputError

KEY_TAGS = {"tag:yaml.org,2002:str", "tag:yaml.org,2002:merge"}
LARGEST_FILE = 10_000  # values in a params file, each use of an alias counted: dtc's own files have 150
MISSING_REMEDY = "add it; stages/presets/ has whole sets"


class Section(BaseModel):
    """Base of every section of params.yaml, and of the configs inside checkpoints."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, protected_namespaces=())


@runtime_checkable
class Choice(Protocol):
    """A choice among several sections by a name, such as `dtc.registry.Registry`."""

    def configs(self) -> dict[str, type[Section]]:
        """Return name → class of the section."""


class _Loader(yaml.SafeLoader):
    """A YAML 1.1 loader with four differences, each of which prevents a mistake.

    1e-3 is a number, without the dot that YAML 1.1 requires. A date remains a text. A key that is no text, and a key
    that is given twice, are refused.
    """

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode) or key.tag not in KEY_TAGS:
                shown = repr(key.value) if isinstance(key, yaml.ScalarNode) else "a list or a mapping"
                problem = f"found {shown} as a key, expected a name; put a text with braces or brackets in quotes"
                raise yaml.constructor.ConstructorError(None, None, problem, key.start_mark)
            if key.value in seen:
                raise yaml.constructor.ConstructorError(None, None, f"{key.value} is given twice", key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep)


# A copy without dates: in params.yaml, 2024-01-31 can only be a name.
_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?\d+(\.\d*)?[eE][-+]?\d+$"), list("-+0123456789")
)


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


def read_yaml(path: Path) -> object:
    """Return the contents of a params file: mappings, lists, texts, numbers, booleans and None.

    Raises InputError, with the number of the line where there is one, for a missing file and for what is not YAML.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        expected, remedy = "the params file of a project", "run it in a project's folder, or pass --params FILE"
        raise InputError(path, "no such file", expected, remedy) from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(path, f"cannot be read ({error})", "a YAML file in UTF-8") from None
    try:
        tree = yaml.load(text, Loader=_Loader)
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise InputError(f"{path}:{line}", f"not YAML ({error.reason})") from None
    except yaml.MarkedYAMLError as error:
        line_number = f":{error.problem_mark.line + 1}" if error.problem_mark else ""
        raise InputError(f"{path}{line_number}", f"not YAML ({error.problem or error})") from None
    except RecursionError:
        raise InputError(path, "lists and mappings nested too deeply", "a params file of dtc") from None
    except (ValueError, LookupError) as error:  # a number of thousands of digits; `!!bool maybe`
        raise InputError(path, f"a value that cannot be read ({error})", "a params file of dtc") from None
    _require_small(tree, path)
    return tree


def _require_small(tree: object, path: Path) -> None:
    """Raise InputError where aliases expand a short file to endless or very many values."""
    waiting, values = [tree], 0
    while waiting:
        value, values = waiting.pop(), values + 1
        waiting += list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else []
        if values + len(waiting) > LARGEST_FILE:
            raise InputError(path, f"more than {LARGEST_FILE:,} values", "fewer", "write out what its aliases repeat")


def parse_section(tree: object, schema: type[AnySection], where: str) -> AnySection:
    """Return `tree`, the content of a YAML or JSON file, as a section of class `schema`.

    Raises InputError for the first fault; the error's line has the number of the others.
    """
    try:
        # Strict JSON accepts a list as a tuple, but not true as 1 or "16" as 16.
        return schema.model_validate_json(json.dumps(tree, default=str), strict=True)
    except ValidationError as error:
        # A misspelt key is two faults, unknown and missing; the first gives more information.
        faults = sorted(error.errors(), key=lambda fault: fault["type"] != "extra_forbidden")
        dotted, message, remedy = _describe(faults[0], schema)
        more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
        if not remedy:
            message, more = message + more, ""
        raise InputError(f"{where}: {dotted}", message, remedy=remedy + more) from None


def _describe(fault: Mapping[str, Any], schema: type[BaseModel]) -> tuple[str, str, str]:
    """Return the dotted path, what was found and expected, and a hint, of one pydantic fault."""
    if fault["type"] == "json_invalid":
        return "(the whole file)", f"text that is not Unicode ({fault['ctx']['error']})", ""
    keys, siblings = _walk(fault["loc"], schema)
    dotted = ".".join(keys) or "(the whole file)"
    found = fault["input"]
    if fault["type"] == "extra_forbidden":
        nearest = difflib.get_close_matches(keys[-1], siblings, n=1)
        hint = f"did you mean {nearest[0]}?" if nearest else "remove it"
        return dotted, f"unknown key (found {found!r}), expected one of {', '.join(siblings)}", hint
    if fault["type"] == "missing":
        return dotted, "missing", MISSING_REMEDY
    if fault["type"] == "union_tag_invalid":
        tag, allowed = fault["ctx"]["tag"], fault["ctx"]["expected_tags"]
        field = str(fault["ctx"]["discriminator"]).strip("'")
        return f"{dotted}.{field}", f"found {tag!r}, expected one of {allowed}", _nearest(tag, allowed.split(", "))
    if fault["type"] == "union_tag_not_found":
        field = str(fault["ctx"]["discriminator"]).strip("'")
        return f"{dotted}.{field}", "missing", MISSING_REMEDY
    if fault["type"] == "value_error":  # of several fields together: the message shows their values
        return dotted, fault["msg"].removeprefix("Value error, "), ""
    allowed = "keys and values" if fault["type"] == "model_type" else fault["msg"].removeprefix("Input should be ")
    hint = _nearest(str(found), fault["ctx"]["expected"].split(" or ")) if fault["type"] == "literal_error" else ""
    shown = repr(found) if isinstance(found, str | int | float | bool | None) else type(found).__name__
    return dotted, f"found {shown}, expected {allowed}", hint


def _nearest(found: str, allowed: Sequence[str]) -> str:
    nearest = difflib.get_close_matches(found, [name.strip("'") for name in allowed], n=1)
    return f"did you mean {nearest[0]}?" if nearest else ""


def _walk(location: Sequence[str | int], schema: type[BaseModel]) -> tuple[list[str], list[str]]:
    """Return the keys of a fault's location as the user wrote them, and the known names beside the last one.

    pydantic puts the chosen member of a union (`vocos`) into the location; the file has no such key, so it is left out.
    """
    keys: list[str] = []
    models: list[type[BaseModel]] = [schema]
    siblings: list[str] = list(schema.model_fields)
    for part in location:
        chosen = [model for model in models if part in _tags(model)]
        if chosen:
            models, siblings = chosen, list(chosen[0].model_fields)
            continue
        keys.append(str(part))
        siblings = [name for model in models for name in model.model_fields]
        fields = [model.model_fields[str(part)] for model in models if part in model.model_fields]
        models = [inner for field in fields for inner in _models_of(field)]
    return keys, list(dict.fromkeys(siblings))


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
