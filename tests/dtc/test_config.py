"""dtc.config: one fault, one line, with the dotted path, what was found, what is allowed and the nearest name."""

from pathlib import Path
from typing import Annotated, Literal

import pytest
from pydantic import Field, PositiveFloat, PositiveInt, ValidationError

from dtc.config import Name, Section, parse_section
from dtc.errors import InputError
from stages.params_file import read_yaml


class Small(Section):
    model: Literal["small"]
    dim: PositiveInt


class Large(Section):
    model: Literal["large"]
    width: PositiveInt
    loss: Small


class Optimizer(Section):
    learning_rate: PositiveFloat
    betas: tuple[float, float]


class Schema(Section):
    name: str
    optimizer: Optimizer
    vocoder: Annotated[Small | Large, Field(discriminator="model")]
    grammar: str | None
    stft: bool


GOOD = """\
name: a
optimizer: {learning_rate: 1.0e-3, betas: [0.9, 0.999]}
vocoder: {model: small, dim: 3}
grammar: null
stft: false
"""


def read(tmp_path: Path, text: str | bytes) -> Schema:
    path = tmp_path / "params.yaml"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return parse_section(read_yaml(path), Schema, str(path))


def line_of(tmp_path: Path, text: str | bytes) -> str:
    with pytest.raises(InputError) as error:
        read(tmp_path, text)
    assert "\n" not in str(error.value)
    assert str(error.value).startswith(f"{tmp_path}/params.yaml")
    return str(error.value).removeprefix(f"{tmp_path}/")


def test_good_params(tmp_path: Path) -> None:
    assert read(tmp_path, GOOD) == Schema(
        name="a",
        optimizer=Optimizer(learning_rate=0.001, betas=(0.9, 0.999)),
        vocoder=Small(model="small", dim=3),
        grammar=None,
        stft=False,
    )


@pytest.mark.parametrize("written", ["1e-3", "1E-3", "0.001", "1.0e-3", ".001"])
def test_numbers_that_yaml_1_1_takes_for_text(tmp_path: Path, written: str) -> None:
    assert read(tmp_path, GOOD.replace("1.0e-3", written)).optimizer.learning_rate == 0.001


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        (
            "stft: false",
            "stft: false\nstfft: true",
            "stfft: unknown key; did you mean stft?",
        ),
        (
            "learning_rate",
            "learning_rat",
            "optimizer.learning_rat: unknown key; did you mean learning_rate?",
        ),
        ("dim: 3", "dim: 3, zzz: 1", "vocoder.zzz: unknown key, expected one of model, dim; remove it"),
        (
            "dim: 3",
            "dimm: 3",
            "vocoder.dimm: unknown key; did you mean dim?",
        ),
        (
            "{model: small, dim: 3}",
            "{model: large, width: 3, loss: {model: small, dime: 3}}",
            "vocoder.loss.dime: unknown key; did you mean dim?",
        ),
        ("name: a\n", "", "name: missing; add it as in the params.yaml of `dtc init example --preset voice`"),
        (", dim: 3", "", "vocoder.dim: missing; add it as in the params.yaml of `dtc init example --preset voice`"),
        ("dim: 3", "dim: wide", "vocoder.dim: found 'wide', expected an integer"),
        ("dim: 3", "dim: 0", "vocoder.dim: found 0, expected greater than 0"),
        ("dim: 3", "dim: 1.5", "vocoder.dim: found 1.5, expected an integer"),
        ("dim: 3", "dim: [3]", "vocoder.dim: found a list, expected an integer"),
        ("name: a", "name: 12", "name: found 12, expected a text"),
        ("1.0e-3", ".nan", "optimizer.learning_rate: found nan, expected a finite number"),
        ("1.0e-3", ".inf", "optimizer.learning_rate: found inf, expected a finite number"),
        ("1.0e-3", "-1e-3", "optimizer.learning_rate: found -0.001, expected greater than 0"),
        ("0.9, 0.999", "0.9", "optimizer.betas.1: missing"),
        ("0.9, 0.999", "0.9, x", "optimizer.betas.1: found 'x', expected a number"),
        (
            "model: small",
            "model: smal",
            "vocoder.model: found 'smal', expected one of 'small', 'large'; did you mean small?",
        ),
        ("{model: small, dim: 3}", "7", "vocoder: found 7, expected "),
        ("grammar: null", "grammar: [a]", "grammar: found a list, expected a text"),
        ("dim: 3", "dim: '3'", "vocoder.dim: found '3', expected an integer; remove the quotes"),
        ("1.0e-3", "'1e-3'", "optimizer.learning_rate: found '1e-3', expected a number; remove the quotes"),
        ("stft: false", "stft: 'false'", "stft: found 'false', expected true or false; remove the quotes"),
        ("0.9, 0.999", "0.9, 0.99, 1", "optimizer.betas: found a list, expected at most 2 values"),
        ("stft: false", "stft: maybe", "stft: found 'maybe', expected true or false"),
    ],
)
def test_a_wrong_key_is_one_line(tmp_path: Path, old: str, new: str, line: str) -> None:
    assert GOOD.count(old) == 1
    assert line_of(tmp_path, GOOD.replace(old, new)).startswith(f"params.yaml: {line}")


def test_a_missing_member_name_is_one_line(tmp_path: Path) -> None:
    line = line_of(tmp_path, GOOD.replace("model: small, ", ""))
    assert (
        line == "params.yaml: vocoder.model: missing; add it as in the params.yaml of `dtc init example --preset voice`"
    )


def test_a_second_fault_is_named_too(tmp_path: Path) -> None:
    line = line_of(tmp_path, GOOD.replace("dim: 3", "dim: 0").replace("1.0e-3", "0"))
    assert (
        line
        == "params.yaml: optimizer.learning_rate: found 0, expected greater than 0 (also vocoder.dim: found 0, expected greater than 0)"
    )


@pytest.mark.parametrize("wrong", ["", "my corpus", "a\n", "é", "../a"])
def test_a_pattern_is_told_in_words(wrong: str) -> None:
    class Named(Section):
        name: Name

    assert parse_section({"name": "my-corpus_1"}, Named, "a").name == "my-corpus_1"
    with pytest.raises(InputError) as error:
        parse_section({"name": wrong}, Named, "a")
    assert error.value.found == f"found {wrong!r}, expected letters without accents, digits, - and _"


def test_a_truth_value_is_no_number(tmp_path: Path) -> None:
    """YAML 1.1 reads `on` and `yes` as true, which pydantic takes for 1."""
    assert line_of(tmp_path, GOOD.replace("dim: 3", "dim: yes")).startswith(
        "params.yaml: vocoder.dim: found true, expe"
    )


def test_three_faults_are_named_and_the_others_counted(tmp_path: Path) -> None:
    text = GOOD.replace("dim: 3", "dim: 0, zzz: 1").replace("0.9, 0.999", "x, y").replace("false", "maybe")
    assert line_of(tmp_path, text) == (
        "params.yaml: vocoder.zzz: unknown key, expected one of model, dim; remove it "
        "(also optimizer.betas.0: found 'x', expected a number; optimizer.betas.1: found 'y', expected a number; "
        "and 2 more)"
    )


def test_a_whole_section_is_not_printed(tmp_path: Path) -> None:
    assert line_of(tmp_path, GOOD.replace("optimizer:", "optimiser:")) == (
        "params.yaml: optimiser: unknown key; did you mean optimizer?"
    )


def test_the_types_of_a_union_are_no_keys() -> None:
    class Scheduled(Section):
        frames: PositiveInt | tuple[tuple[int, int], ...]

    for wrong, line in (
        ([[0, "a"]], "p: frames: found a list, expected an integer (also frames.0.1: found 'a', expected an integer)"),
        (0, "p: frames: found 0, expected greater than 0 (also frames: found 0, expected a list)"),
    ):
        with pytest.raises(InputError) as error:
            parse_section({"frames": wrong}, Scheduled, "p")
        assert str(error.value) == line


def test_sections_are_frozen() -> None:
    section = Small(model="small", dim=3)
    with pytest.raises(ValidationError, match="frozen"):
        section.dim = 4  # type: ignore[misc]


def test_parse_section_names_its_source() -> None:
    with pytest.raises(InputError, match=r"^config\.json: dim: found -1, expected greater than 0$"):
        parse_section({"model": "small", "dim": -1}, Small, "config.json")
