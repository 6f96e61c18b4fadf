"""Write the page of all keys of params.yaml from the classes of its sections, their comments, and the presets."""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from field_comments import class_comments, yaml_comments
from field_types import kind_of, section_in, variants_of
from pydantic.fields import FieldInfo

from dtc.config import Section
from stages.named_parts import NamedParts
from stages.params import Params
from stages.tune_space import TuneConfig

PRESETS = Path(__file__).parents[2] / "stages/presets"
SHOWN = ("numbers", "voice", "ljspeech")  # the presets whose values the page shows, where they have the key
INTRODUCTION = """\
# Every key of params.yaml

This page is generated from the classes that read `params.yaml`, from their comments, and from the presets. No key has a
default: `stages/presets/` has whole files, and `dtc params` checks one. The column *value* has the value of the preset
`numbers`, which is the `params.yaml` of the repository, and those of the presets `voice` and `ljspeech` where they
differ. [Training](training.md) explains how the keys work together.
"""
LONGEST = 40  # characters of a value; a table is read beside other tables
Presets = Mapping[str, Any]  # name → the content of its file


def params_page() -> str:
    """Return the page in Markdown."""
    return INTRODUCTION + "\n".join(_Page().lines) + "\n"


class _Page:
    """The lines of the page. A part that several keys choose, such as an optimizer, is described once."""

    def __init__(self) -> None:
        names = [*SHOWN, *sorted({path.stem for path in PRESETS.glob("*.yaml")} - set(SHOWN))]
        texts = [(PRESETS / f"{name}.yaml").read_text(encoding="utf-8") for name in names]
        self.presets = {name: yaml.safe_load(text) for name, text in zip(names, texts, strict=True)}
        self.comments = {name: yaml_comments(text) for name, text in zip(names, texts, strict=True)}
        self.lines: list[str] = []
        self.described: set[tuple[str, ...]] = set()
        for name, field in Params.model_fields.items():
            self.add_section(name, field)
        self.add_table("Named parts", NamedParts, "", self.presets)
        self.add_table("tune", TuneConfig, "tune", self.presets)

    def add_section(self, path: str, field: FieldInfo) -> None:
        """Add the table of a section of params.yaml, or a table for each part that it can be."""
        if variants := variants_of(field):
            self.add_variants(path, variants)
            return
        section = section_in(field.annotation)
        assert section is not None
        if {"acoustic", "vocoder"} <= section.model_fields.keys():  # those of both models have the same class
            for key in section.model_fields:
                if key != "vocoder":
                    self.add_section(f"{path}.{key}", section.model_fields[key])
        else:
            both = f" and {path.replace('acoustic', 'vocoder')}" if path.endswith(".acoustic") else ""
            self.add_table(path + both, section, path, self.presets)

    def add_variants(self, path: str, variants: Mapping[str, type[Section]]) -> None:
        """Add a table for each section that a name chooses at a key."""
        for name, section in variants.items():
            choice = next(key for key in ("model", "type", "method") if key in section.model_fields)
            presets = {each: tree for each, tree in self.presets.items() if _find(tree, f"{path}.{choice}") == name}
            self.add_table(f"{path}, {choice}: {name}", section, path, presets, without=choice)

    def add_table(self, title: str, section: type[Section], path: str, presets: Presets, without: str = "") -> None:
        """Add the table of a section's keys but `without`, and after it the parts that some of the keys choose."""
        self.lines += ["", f"## {title}", "", inspect.cleandoc(section.__doc__ or ""), ""]
        self.lines += ["| key | meaning | type | value |", "|---|---|---|---|"]
        later = []
        for key, field, owner in _keys(section):
            if key == without:
                continue
            dotted, name = f"{path}.{key}".removeprefix("."), key.rpartition(".")[2]
            inner, variants = section_in(field.annotation), variants_of(field)
            if variants and tuple(variants) not in self.described:
                self.described.add(tuple(variants))
                later.append((dotted, variants))
            value = "" if inner else _values(dotted, presets)
            meaning = class_comments(owner).get(name, "")
            if variants:
                meaning = f"one of {', '.join(variants)}, see its own table"
            elif inner:
                meaning = f"{inspect.cleandoc(inner.__doc__ or '').partition(chr(10) * 2)[0]} {meaning}"
            meaning = meaning or self.preset_comment(dotted, presets)
            cells = (f"`{key}`", meaning.strip().rstrip(","), kind_of(field), value)
            self.lines.append("| " + " | ".join(cell.replace("\n", " ").replace("|", "\\|") for cell in cells) + " |")
        for dotted, variants in later:
            self.add_variants(dotted, variants)

    def preset_comment(self, dotted: str, presets: Presets) -> str:
        """Return the comment of a key in the first preset that has one."""
        return next((self.comments[name][dotted] for name in presets if dotted in self.comments[name]), "")


def _keys(section: type[Section], prefix: str = "") -> Iterator[tuple[str, FieldInfo, type[Section]]]:
    """Yield the keys of a section and, dotted, those of the sections inside it."""
    for name, field in section.model_fields.items():
        yield prefix + name, field, section
        inner = section_in(field.annotation)
        if inner and not variants_of(field):
            yield from _keys(inner, f"{prefix}{name}.")


def _values(dotted: str, presets: Presets) -> str:
    """Return the values of a key in the presets that are shown, or else in the first one that has it."""
    found = {name: value for name, tree in presets.items() if (value := _find(tree, dotted, missing=...)) is not ...}
    shown = [name for name in SHOWN if name in found] or list(found)[:1]
    texts = []
    for name in shown:
        if name == shown[0] or found[name] != found[shown[0]]:
            text = f"`{_shortened(json.dumps(found[name], ensure_ascii=False))}`"
            texts.append(text if name == SHOWN[0] else f"{name}: {text}")
    return "; ".join(texts)


def _find(tree: Any, dotted: str, missing: object = None) -> Any:
    """Return the value at a dotted key."""
    for key in dotted.split("."):
        if not isinstance(tree, dict) or key not in tree:
            return missing
        tree = tree[key]
    return tree


def _shortened(value: str) -> str:
    return value if len(value) <= LONGEST else f"{value[:LONGEST]}…"
