"""The documentation: generated pages are complete, the navigation has every page, the notebook is that of its script."""

import re
from collections.abc import Iterator
from typing import Any

import first_voice
import pytest
import yaml
from build_site import GENERATED, with_mathml
from reference_commands import commands_page, every_command
from reference_params import params_page

from tests.conftest import REPOSITORY

PRESETS = sorted((REPOSITORY / "stages/presets").glob("*.yaml"))


def test_the_page_of_commands_has_every_command_and_every_option() -> None:
    page = commands_page()
    assert {"dtc", "dtc say", "dtc train acoustic", "dtc corpus check"} < {name for name, _ in every_command()}
    for name, command in every_command():
        section = page.partition(f"\n## {name}\n")[2].partition("\n## ")[0]
        assert section.strip(), name
        for parameter in command.params:
            assert parameter.param_type_name == "argument" or f"`{', '.join(parameter.opts)}`" in section, name


@pytest.fixture(scope="module")
def described_keys() -> dict[str, str]:
    """Return dotted key → row, of the page of all keys. Keys of both models are those of `acoustic`."""
    rows, path = {}, ""
    for line in params_page().splitlines():
        if line.startswith("## "):
            path = re.split(", | and ", line.removeprefix("## ").replace("Named parts", ""))[0]
        elif found := re.match(r"\| `(.*?)` \|", line):
            rows[f"{path}.{found[1]}".removeprefix(".")] = line
    return rows


@pytest.mark.parametrize("preset", PRESETS, ids=lambda path: path.stem)
def test_the_page_of_keys_has_every_key_of_the_presets(preset: Any, described_keys: dict[str, str]) -> None:
    keys = list(_keys(yaml.safe_load(preset.read_text(encoding="utf-8")), described_keys))
    assert len(keys) > 100
    assert [key for key in keys if key not in described_keys] == []


def test_a_key_has_its_type_its_values_and_its_comment(described_keys: dict[str, str]) -> None:
    assert (
        described_keys["audio.sampling_rate"] == "| `sampling_rate` | Hz | integer > 0 | `16000`; ljspeech: `22050` |"
    )
    assert described_keys["training.acoustic.keep_best"].endswith("the last one is | text, or null | `null` |")
    assert "| [number ≥ 0, < 1, number ≥ 0, < 1] |" in described_keys["training.acoustic.optimizer.betas"]


def _keys(tree: dict[str, Any], described: dict[str, str], path: str = "") -> Iterator[str]:
    """Yield the keys of a preset that hold a value; what chooses a part stands in the part's heading."""
    for name, value in tree.items():
        dotted = re.sub(r"^(training|run)\.vocoder", r"\1.acoustic", f"{path}.{name}".removeprefix("."))
        if isinstance(value, dict) and value and " keys and values " not in described.get(dotted, ""):
            yield from _keys(value, described, dotted)
        elif name not in ("model", "type", "method") or dotted == "strategy.type":
            yield dotted


def test_the_navigation_has_every_page() -> None:
    nav = yaml.safe_load((REPOSITORY / "mkdocs.yml").read_text(encoding="utf-8"))["nav"]
    listed = [page for group in nav for pages in group.values() for entry in pages for page in entry.values()]
    assert sorted(listed) == sorted([*(path.name for path in (REPOSITORY / "docs").glob("*.md")), *GENERATED])


def test_equations_become_mathml_and_code_stays() -> None:
    assert with_mathml("`$x$` and\n```\n$y$\n```\nfor $12.50") == "`$x$` and\n```\n$y$\n```\nfor $12.50"
    assert "<mi>x</mi>" in with_mathml("where $x$ is")
    assert 'display="block"' in with_mathml("$$\nx^2\n$$")


def test_the_notebook_is_that_of_its_script() -> None:
    """`make notebook` builds it."""
    assert first_voice.NOTEBOOK.read_text(encoding="utf-8") == first_voice.notebook_text()
