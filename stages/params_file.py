"""Read a params file, which is YAML, into mappings, lists and values; a fault is named with its line and column.

`edited` changes values of a params file and keeps all else as it is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from dtc.errors import InputError

KEY_TAGS = {"tag:yaml.org,2002:str", "tag:yaml.org,2002:merge"}
NAMED_ELEMENTS = {"optimizer": "optimizers", "lr_scheduler": "lr_schedulers"}  # key → the list that a name refers to
LARGEST_FILE = 10_000  # values in a params file, each use of an alias counted: dtc's own files have 150
# Part of PyYAML's message → the fault in plain words, and whether it begins where PyYAML says that the context does.
FAULTS = (
    (r"found character '\\t'", "a tab; indent with spaces", False),
    (r"that cannot start any token", "a value that begins with this character needs quotes", False),
    (
        r"mapping values are not allowed",
        "a colon that does not fit here: a text with a colon needs quotes, and `name: value` needs a space after the "
        "colon, here and in the line above",
        False,
    ),
    (r"could not find expected ':'", "a line without a colon and a space after it", True),
    (r"block end|block mapping", "indented in another way than the lines above", False),
    (r"quoted scalar", "a quotation mark that is not closed", True),
    (r"while parsing a flow", "a bracket that is not closed, or a comma that is missing", True),
    (r"undefined alias", "a value that begins with * needs quotes", False),
    (r"could not determine a constructor", "a value that begins with ! needs quotes", False),
    (r"another document", "a second document, which begins with ---", False),
)


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
        reason = getattr(error, "strerror", None) or error
        raise InputError(path, f"cannot be read ({reason})", "a YAML file in UTF-8") from None
    try:
        tree = yaml.load(text, Loader=_Loader)
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise InputError(f"{path}, line {line}", "a character that cannot be printed", "text") from None
    except yaml.MarkedYAMLError as error:
        raise _in_plain_words(error, path) from None
    except RecursionError:
        raise InputError(path, "lists and mappings nested too deeply", "a params file of dtc") from None
    except (ValueError, LookupError) as error:  # a number of thousands of digits; `!!bool maybe`
        raise InputError(path, f"a value that cannot be read ({error})", "a params file of dtc") from None
    _require_small(tree, path)
    return tree


def _in_plain_words(error: yaml.MarkedYAMLError, path: Path) -> InputError:
    """Return the error of a file that is not YAML, with the line and column where the fault begins."""
    message = f"{error.context}: {error.problem}"
    found, begins_before = next(
        ((words, before) for pattern, words, before in FAULTS if re.search(pattern, message)), (error.problem, False)
    )
    mark = error.context_mark if begins_before and error.context_mark else error.problem_mark
    place = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
    return InputError(f"{path}{place}", f"not YAML ({found})")


def _require_small(tree: object, path: Path) -> None:
    """Raise InputError where aliases expand a short file to endless or very many values."""
    waiting, values = [tree], 0
    while waiting:
        value, values = waiting.pop(), values + 1
        waiting += list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else []
        if values + len(waiting) > LARGEST_FILE:
            raise InputError(path, f"more than {LARGEST_FILE:,} values", "fewer", "write out what its aliases repeat")


def edited(path: Path, values: Mapping[str, Any]) -> str:
    """Return the text of a params file with other values at dotted keys; comments and all else stay as they are.

    Keys that the file does not have are passed over. One inside an optimizer or a schedule that is given by its name is
    changed in the list that defines it.
    """
    text = path.read_text(encoding="utf-8")
    root = yaml.compose(text, Loader=_Loader)
    places = {node: value for key, value in values.items() if (node := _node_at(root, key)) is not None}
    for node in sorted(places, key=lambda node: node.start_mark.index, reverse=True):
        shown = yaml.safe_dump(places[node], default_flow_style=True, sort_keys=False, width=10**6)
        new = shown.removesuffix("\n").removesuffix("\n...")
        text = text[: node.start_mark.index] + new + text[_end_of(node) :]
    return text


def _node_at(root: yaml.Node | None, key: str) -> yaml.Node | None:
    """Return the node of a dotted key's value; None where there is none."""
    node = root
    for name in key.split("."):
        node = _value_of(node, name)
        if isinstance(node, yaml.ScalarNode) and name in NAMED_ELEMENTS and not key.endswith(f".{name}"):
            elements = getattr(_value_of(root, NAMED_ELEMENTS[name]), "value", [])
            node = next((each for each in elements if _is_named(each, node.value)), None)
    return node


def _value_of(node: yaml.Node | None, name: str) -> yaml.Node | None:
    """Return the value of a key of a mapping; None where there is none."""
    pairs = node.value if isinstance(node, yaml.MappingNode) else []
    return next((value for key, value in pairs if key.value == name), None)


def _is_named(element: yaml.Node, name: str) -> bool:
    return getattr(_value_of(element, "name"), "value", None) == name


def _end_of(node: yaml.Node) -> int:
    """Return where the text of a node ends. A block's end mark lies behind the comments and blank lines after it."""
    if isinstance(node, yaml.CollectionNode) and not node.flow_style and node.value:
        last = node.value[-1]
        return _end_of(last[1] if isinstance(last, tuple) else last)
    return node.end_mark.index
