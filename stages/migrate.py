"""Write a params.yaml from a config.yaml of the original system. stages/migrate_keys.py says where each key goes."""

from __future__ import annotations

import io
import os
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from rich.console import Console
from rich.table import Column, Table
from ruamel.yaml import YAML

from dtc.errors import InputError, plural
from dtc.files import write_whole
from stages.migrate_keys import Original
from stages.migrate_parts import (
    PRESET_OF,
    PRESETS,
    Values,
    corpus_values,
    model_values,
    named_values,
    search_values,
    setting_values,
    strategy_values,
    vocoder_of,
)
from stages.params import load_params
from stages.params_file import read_yaml

CONVERTERS = (corpus_values, model_values, named_values, setting_values, strategy_values, search_values)
NARROW, LONGEST_KEY = 80, 36  # the most characters of a line of the table, and of a key in one line
EXPECTED = "a config.yaml of the original system"


class Migrated(NamedTuple):
    """What an original file becomes.

    Attributes:
        text: a params.yaml.
        left_out: key of the original file → the reason why it, or its value, is not in the text.
    """

    text: str
    left_out: Mapping[str, str]


def migrate(config: Path, output: Path, console: Console) -> None:
    """Write `output` from an original file, and print which keys have no counterpart.

    Raises InputError where `output` is there already, and where `config` is not an original file, or has a fault.
    """
    if os.path.lexists(output):
        raise InputError(output, "is there already", remedy="move it away, or name another file with --output")
    migrated = migrated_from(config)
    write_whole(output, migrated.text)
    if migrated.left_out:
        console.print(_table(migrated.left_out), width=min(NARROW, console.width), soft_wrap=False)
    left = plural(len(migrated.left_out), "key")
    written = f"migrate: {output} is written; {left} of {config} left out or changed"
    console.print(f"{written}; dtc's documentation has all keys")


def migrated_from(config: Path) -> Migrated:
    """Return what an original file becomes. Raises InputError as `migrate` does."""
    original = Original(_read(config), str(config))
    values: Values = {}
    for convert in CONVERTERS:
        values |= convert(original)
    text = _text(values, original)
    _require_right(text, config)
    return Migrated(text, original.left_out)


def _read(config: Path) -> Mapping[str, Any]:
    """Return the content of an original file. Raises InputError where the file is another one."""
    if not config.is_file():
        raise InputError(config, "no such file" if not config.exists() else "a folder", EXPECTED)
    tree = read_yaml(config)
    if isinstance(tree, dict) and "corpus" in tree and "training" in tree:
        raise InputError(config, "a params file of dtc", EXPECTED, "use it as it is")
    if not isinstance(tree, dict) or not isinstance(tree.get("models"), dict):
        found = "an empty file" if tree is None else "a file without a section models"
        raise InputError(config, found, EXPECTED)
    return tree


def _text(values: Values, original: Original) -> str:
    """Return a preset with the values in it. Its comments are kept."""
    yaml = YAML()
    yaml.width = 120
    yaml.indent(mapping=2, sequence=4, offset=2)
    yaml.representer.add_representer(
        type(None), lambda dumper, _: dumper.represent_scalar("tag:yaml.org,2002:null", "null")
    )
    preset = PRESET_OF[values["acoustic.model"]]
    tree = yaml.load(PRESETS / f"{preset}.yaml")
    if vocoder := vocoder_of(original, values["use_model"]):
        other = yaml.load(PRESETS / f"{PRESET_OF[vocoder]}.yaml")
        tree["vocoder"], tree["training"]["vocoder"] = other["vocoder"], other["training"]["vocoder"]
    tree.yaml_set_start_comment(
        f"Written by `dtc migrate` from {original.where}. What that file does not say is from the preset {preset}.\n"
        f"The keys of models.{values['use_model']} come before those of acoustic: change them in both."
    )
    for dotted, value in values.items():
        *parents, last = dotted.split(".")
        section = tree
        for parent in parents:
            section = section[parent]
        if section.get(last) != value:  # otherwise its comments stay
            section[last] = value
    stream = io.StringIO()
    yaml.dump(tree, stream)
    return stream.getvalue()


def _require_right(text: str, config: Path) -> None:
    """Raise InputError where a value of the original file is wrong, with the key that it has in params.yaml."""
    with TemporaryDirectory() as folder:
        file = Path(folder) / "params.yaml"
        file.write_text(text, encoding="utf-8")
        try:
            load_params(file)
        except InputError as error:
            where = f"{config}, as params.yaml: {error.where.removeprefix(f'{file}').removeprefix(': ')}"
            raise InputError(where.removesuffix(": "), error.found, error.expected, error.remedy) from None


def _table(left_out: Mapping[str, str]) -> Table:
    """Return a table of keys and reasons. Long keys are in two lines, so that 80 columns hold it."""
    columns = Column("key", overflow="fold", max_width=LONGEST_KEY), "reason"
    table = Table(*columns, box=None, padding=(0, 2, 0, 0), header_style="bold")
    for key, reason in left_out.items():
        cut = key.rfind(".", 0, LONGEST_KEY) + 1 if len(key) > LONGEST_KEY else 0
        table.add_row(f"{key[:cut]}\n  {key[cut:]}" if cut else key, reason)
    return table
