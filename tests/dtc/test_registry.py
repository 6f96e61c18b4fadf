"""Registries: lazy parts, sections chosen by name, parts added from outside."""

import subprocess
import sys
import warnings
from typing import Annotated, Literal

import pytest

from dtc.config import Section, parse_section
from dtc.errors import InputError
from dtc.registry import Part, Registry


class SmallConfig(Section):
    """A section of a part."""

    model: Literal["small"]
    width: int


class LargeConfig(Section):
    """Another one."""

    model: Literal["large"]
    depth: int


@pytest.fixture
def sizes() -> Registry[type]:
    return Registry(
        "size.model", {"small": Part(dict, SmallConfig), "large": Part("collections:OrderedDict", LargeConfig)}
    )


def test_a_part_is_found_by_its_name_and_imported_when_it_is_needed(sizes: Registry[type]) -> None:
    assert sizes.names() == ("small", "large")
    assert sizes.get("small") is dict
    assert sizes.get("large").__name__ == "OrderedDict"
    assert sizes.config("large") is LargeConfig
    assert "small" in sizes
    assert "huge" not in sizes


def test_an_unknown_name_is_refused_with_the_nearest(sizes: Registry[type]) -> None:
    with pytest.raises(
        InputError, match=r"^size.model: found 'smal', expected one of small, large; did you mean small\?$"
    ):
        sizes.get("smal")


def test_a_section_is_chosen_by_its_name(sizes: Registry[type]) -> None:
    class Params(Section):
        size: Annotated[Section, sizes]

    assert parse_section({"size": {"model": "large", "depth": 3}}, Params, "p").size == LargeConfig(
        model="large", depth=3
    )
    for tree, message in (
        ({"model": "huge"}, "p: size.model: found 'huge', expected one of 'small', 'large'"),
        ({"depth": 3}, "p: size.model: missing"),
        ({"model": "small", "widht": 3, "width": 1}, "p: size.widht: unknown key; did you mean width?"),
        ({"model": "large", "depth": "3"}, "p: size.depth: found '3', expected an integer; remove the quotes"),
    ):
        with pytest.raises(InputError, match=message):
            parse_section({"size": tree}, Params, "p")


def test_a_part_from_outside_is_accepted_like_a_built_in_one(sizes: Registry[type]) -> None:
    class Params(Section):  # before the part is added
        size: Annotated[Section, sizes]

    class HugeConfig(Section):
        model: Literal["huge"]
        mass: float

    sizes.add("huge", Part(list, HugeConfig))
    sizes.add("huge", Part(list, HugeConfig))  # the same again changes nothing
    with pytest.raises(ValueError, match="'huge' is registered already"):
        sizes.add("huge", Part(set, HugeConfig))

    huge = HugeConfig(model="huge", mass=1.5)
    tree = {"size": {"model": "huge", "mass": 1.5}}
    params = parse_section(tree, Params, "p")
    assert params == Params(size=huge) == Params.model_validate(tree)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert params.model_dump(mode="json") == tree
    with pytest.raises(InputError, match=r"^p: size.mas: unknown key; did you mean mass\?"):
        parse_section({"size": {"model": "huge", "mas": 1.5}}, Params, "p")
    assert sizes.get("huge") is list
    assert sizes.parse({"model": "huge", "mass": 2.0}, "card") == HugeConfig(model="huge", mass=2.0)


def test_reading_a_registry_imports_no_torch() -> None:
    code = "import sys, dtc.registry, dtc.config; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
