"""The named parts of a params file: what `settings`, `models`, `optimizers` and `lr_schedulers` change in its sections.

active_setting   lays the keys of one of `settings` over `training` and `run` of both models
use_model        lays the layers of one of `models` over `acoustic` and `vocoder`
a name           in place of an optimizer or a schedule stands for an element of `optimizers` or `lr_schedulers`

`strategy` and `tune` change nothing in them: they are for `dtc train all` and `dtc tune`.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from dtc.config import Section, did_you_mean, parse_section
from dtc.errors import InputError
from dtc.model_card import ModelKind
from dtc.training.config import LoaderConfig, OrderConfig, RunConfig, TrainingConfig

Tree = dict[str, Any]
KINDS: tuple[ModelKind, ...] = ("acoustic", "vocoder")
LAYERS = {"spectrogram_layer": "acoustic", "vocoder": "vocoder"}  # as the original system names them
SETTING_SECTIONS = ("training", "run", *KINDS)  # that a setting may have beside flat keys
SECTION_OF: Mapping[str, tuple[type[Section], type[Section]]] = {
    "training": (TrainingConfig, OrderConfig),
    "run": (RunConfig, LoaderConfig),
}  # and that of a set's loader


class StrategyConfig(Section):
    """What `dtc train all` trains."""

    type: Literal["sequential"]
    order: tuple[ModelKind, ...] = Field(min_length=1)


class NamedParts(Section):
    """The named parts of a params file; all may be missing."""

    optimizers: tuple[dict[str, Any], ...] = ()
    lr_schedulers: tuple[dict[str, Any], ...] = ()
    models: dict[str, dict[str, dict[str, Any]]] = Field(default={})
    use_model: str | None = None
    settings: dict[str, dict[str, Any]] = Field(default={})
    active_setting: str | None = None
    strategy: StrategyConfig = StrategyConfig(type="sequential", order=KINDS)
    tune: Any = None  # of a search, which `dtc tune` alone reads


def read_named_parts(tree: object, where: Path) -> NamedParts:
    """Return the named parts of a params file's content. Raises InputError where one is wrong."""
    found = {key: tree[key] for key in NamedParts.model_fields if key in tree} if isinstance(tree, dict) else {}
    return parse_section(found, NamedParts, str(where))


def choices(tree: object, where: Path) -> list[str]:
    """Return a line for each choice that a params file offers: `active_setting: debug, of settings: debug, fast`."""
    parts, lines = read_named_parts(tree, where), []
    for key, known in (("active_setting", "settings"), ("use_model", "models")):
        if names := ", ".join(getattr(parts, known)):
            chosen = getattr(parts, key)
            lines.append(f"{key}: {'null' if chosen is None else chosen}, of {known}: {names}")
    return lines


def resolved(tree: object, where: Path) -> object:
    """Return the content of a params file without its named parts, and with what they stand for.

    Raises InputError for an unknown name, and for a key that a setting or a layer cannot have.
    """
    if not isinstance(tree, dict):
        return tree
    parts = read_named_parts(tree, where)
    rest = {key: copy.deepcopy(value) for key, value in tree.items() if key not in NamedParts.model_fields}
    if parts.use_model is not None:
        rest = _with_model(rest, _chosen(parts.use_model, parts.models, f"{where}: use_model"), where)
    if parts.active_setting is not None:
        setting = _chosen(parts.active_setting, parts.settings, f"{where}: active_setting")
        rest = _merged(rest, _spread_out(setting, f"{where}: settings.{parts.active_setting}"))
    training = rest.get("training")
    for kind, section in training.items() if isinstance(training, dict) else ():
        _put_named(section, parts, f"{where}: training.{kind}")
        if isinstance(section, dict):
            _put_named(section.get("adversary"), parts, f"{where}: training.{kind}.adversary")
    return rest


def _with_model(tree: Tree, layers: Mapping[str, Tree], where: Path) -> Tree:
    """Return a tree with the layers of a model laid over its sections, and their optimizers over the others."""
    for layer, content in layers.items():
        if layer not in LAYERS:
            raise InputError(f"{where}: models", f"unknown layer {layer}", f"one of {', '.join(LAYERS)}")
        kind, section = LAYERS[layer], dict(content)
        named = {key: section.pop(key) for key in ("optimizer", "lr_scheduler") if key in section}
        before = tree.get(kind)
        train_on = before.get("train_on") if isinstance(before, dict) else None
        if section.get("train_on", train_on) != train_on:
            remedy = "set vocoder.train_on itself, which DVC reads"
            raise InputError(f"{where}: models", f"a layer with train_on {section['train_on']}", f"{train_on}", remedy)
        tree = _merged(tree, {kind: section} | ({"training": {kind: named}} if named else {}))
    return tree


def _spread_out(setting: Tree, where: str) -> Tree:
    """Return a setting as sections: its flat keys are those of `training` and `run`, for both models."""
    sections: Tree = {key: value for key, value in setting.items() if key in SETTING_SECTIONS}
    for key, value in setting.items():
        if key in SETTING_SECTIONS:
            continue
        owners = [name for name, (section, _) in SECTION_OF.items() if key in section.model_fields]
        if not owners:
            known = [*TrainingConfig.model_fields, *RunConfig.model_fields, *SETTING_SECTIONS]
            raise InputError(f"{where}.{key}", "unknown key", remedy=did_you_mean(key, known) or "remove it")
        for owner in owners:
            own = _loaders_of(value, owner) if key == "dataloader" else value
            sections = _merged(sections, {owner: {kind: {key: own} for kind in KINDS}})
    return sections


def _loaders_of(loaders: Tree, owner: str) -> Tree:
    """Return the keys of each set's loader that belong to `training` or to `run`."""
    known = SECTION_OF[owner][1].model_fields
    others = {key for name in SECTION_OF for key in SECTION_OF[name][1].model_fields} - known.keys()
    return {
        name: {key: value for key, value in keys.items() if key not in others} if isinstance(keys, dict) else keys
        for name, keys in loaders.items()
    }


def _put_named(section: object, parts: NamedParts, where: str) -> None:
    """Put optimizer and schedule of a section in place of their names."""
    for key, elements in (("optimizer", parts.optimizers), ("lr_scheduler", parts.lr_schedulers)):
        if isinstance(section, dict) and isinstance(section.get(key), str):
            by_name = {str(element.get("name")): element for element in elements}
            found = _chosen(section[key], by_name, f"{where}.{key}")
            section[key] = {name: value for name, value in found.items() if name != "name"}


def _chosen(name: str, known: Mapping[str, Tree], where: str) -> Tree:
    if name not in known:
        expected = f"one of {', '.join(known)}" if known else "a name that the file defines"
        raise InputError(where, f"found {name!r}", expected, did_you_mean(name, known))
    return known[name]


def _merged(under: Tree, over: Tree) -> Tree:
    """Return two trees of mappings as one; where both have a value, that of `over`.

    A section that chooses a part, as `{type: sgd, ...}`, replaces one that chooses another part.
    """
    both = {key for key in over if isinstance(under.get(key), dict) and isinstance(over[key], dict)}
    return under | over | {key: _merged(under[key], over[key]) for key in both if not _differ(under[key], over[key])}


def _differ(under: Tree, over: Tree) -> bool:
    return any(key in over and under.get(key) != over[key] for key in ("type", "model"))
