"""dtc.config: one fault, one line, with the dotted path, what was found, what is allowed and the nearest name."""

from pathlib import Path
from typing import Annotated, Literal

import pytest
from pydantic import Field, PositiveFloat, PositiveInt, ValidationError

from dtc.config import Name, Section, parse_section, read_yaml
from dtc.errors import InputError


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
        name="a", optimizer=Optimizer(learning_rate=0.001, betas=(0.9, 0.999)), vocoder=Small(model="small", dim=3),
        grammar=None, stft=False,
    )  # fmt: skip


@pytest.mark.parametrize("written", ["1e-3", "1E-3", "0.001", "1.0e-3", ".001"])
def test_numbers_that_yaml_1_1_takes_for_text(tmp_path: Path, written: str) -> None:
    assert read(tmp_path, GOOD.replace("1.0e-3", written)).optimizer.learning_rate == 0.001


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        (
            "stft: false",
            "stft: false\nstfft: true",
            "stfft: unknown key (found True), expected one of name, optimizer, vocoder, grammar, stft; "
            "did you mean stft?",
        ),
        (
            "learning_rate",
            "learning_rat",
            "optimizer.learning_rat: unknown key (found 0.001), expected one of learning_rate, betas; "
            "did you mean learning_rate? (and 1 more)",
        ),
        ("dim: 3", "dim: 3, zzz: 1", "vocoder.zzz: unknown key (found 1), expected one of model, dim; remove it"),
        (
            "dim: 3",
            "dimm: 3",
            "vocoder.dimm: unknown key (found 3), expected one of model, dim; did you mean dim? (and 1 more)",
        ),
        (
            "{model: small, dim: 3}",
            "{model: large, width: 3, loss: {model: small, dime: 3}}",
            "vocoder.loss.dime: unknown key (found 3), expected one of model, dim; did you mean dim? (and 1 more)",
        ),
        ("name: a\n", "", "name: missing; add it; stages/presets/ has whole sets"),
        (", dim: 3", "", "vocoder.dim: missing; add it; stages/presets/ has whole sets"),
        ("dim: 3", "dim: wide", "vocoder.dim: found 'wide', expected a valid integer"),
        ("dim: 3", "dim: 0", "vocoder.dim: found 0, expected greater than 0"),
        ("dim: 3", "dim: 1.5", "vocoder.dim: found 1.5, expected a valid integer"),
        ("dim: 3", "dim: [3]", "vocoder.dim: found list, expected a valid integer"),
        ("name: a", "name: 12", "name: found 12, expected a valid string"),
        ("1.0e-3", ".nan", "optimizer.learning_rate: found nan, expected a finite number"),
        ("1.0e-3", ".inf", "optimizer.learning_rate: found inf, expected a finite number"),
        ("1.0e-3", "-1e-3", "optimizer.learning_rate: found -0.001, expected greater than 0"),
        ("0.9, 0.999", "0.9", "optimizer.betas.1: missing"),
        ("0.9, 0.999", "0.9, x", "optimizer.betas.1: found 'x', expected a valid number"),
        (
            "model: small",
            "model: smal",
            "vocoder.model: found 'smal', expected one of 'small', 'large'; did you mean small?",
        ),
        ("{model: small, dim: 3}", "7", "vocoder: found 7, expected "),
        ("grammar: null", "grammar: [a]", "grammar: found list, expected a valid string"),
        ("stft: false", "stft: maybe", "stft: found 'maybe', expected a valid boolean"),
    ],
)
def test_a_wrong_key_is_one_line(tmp_path: Path, old: str, new: str, line: str) -> None:
    assert GOOD.count(old) == 1
    assert line_of(tmp_path, GOOD.replace(old, new)).startswith(f"params.yaml: {line}")


def test_a_missing_member_name_is_one_line(tmp_path: Path) -> None:
    line = line_of(tmp_path, GOOD.replace("model: small, ", ""))
    assert line == "params.yaml: vocoder.model: missing; add it; stages/presets/ has whole sets"


def test_what_has_no_remedy_is_counted_without_a_semicolon(tmp_path: Path) -> None:
    line = line_of(tmp_path, GOOD.replace("dim: 3", "dim: 0").replace("1.0e-3", "0"))
    assert line == "params.yaml: optimizer.learning_rate: found 0, expected greater than 0 (and 1 more)"


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
        "params.yaml: vocoder.dim: found True, expe"
    )


def test_a_key_given_twice_is_refused(tmp_path: Path) -> None:
    """PyYAML keeps the last one: the first would be ignored without a word."""
    assert line_of(tmp_path, GOOD + "name: b\n").startswith("params.yaml:6: ")


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ("", "params.yaml: (the whole file): found None, expected keys and values"),
        ("# nothing\n", "params.yaml: (the whole file): found None, expected keys and values"),
        ("- a\n- b\n", "params.yaml: (the whole file): found list, expected keys and values"),
        ("words", "params.yaml: (the whole file): found 'words', expected keys and values"),
        ("a: [1,\nb: 2\n", "params.yaml:3: not YAML (expected ',' or ']'"),
        ("a: b: c\n", "params.yaml:1: not YAML (mapping values are not allowed here)"),
        ("a:\n\t- b\n", "params.yaml:2: not YAML ("),
        ("a: !!python/object:os.system x\n", "params.yaml:1: not YAML ("),
        (b"name: \xff\n", "params.yaml: cannot be read ("),
        (b"\x00\x01", "params.yaml:1: not YAML (special characters are not allowed)"),
        ("a: b\nc: \x07\n", "params.yaml:2: not YAML (special characters are not allowed)"),
        (
            "a: b\nname: {{ corpus }}\n",
            "params.yaml:2: not YAML (found a list or a mapping as a key, expected a name; put",
        ),
        ("1: a\n", "params.yaml:1: not YAML (found '1' as a key, expected a name"),
        ("a: b\nyes: c\n", "params.yaml:2: not YAML (found 'yes' as a key, expected a name"),
        ("null: a\n", "params.yaml:1: not YAML (found 'null' as a key, expected a name"),
        ("--- a\n--- b\n", "params.yaml:2: not YAML ("),
        ("[" * 5000, "params.yaml: lists and mappings nested too deeply"),
        (f"a: {'9' * 6000}\n", "params.yaml: a value that cannot be read ("),
        ("a: !!bool maybe\n", "params.yaml: a value that cannot be read ("),
        ('a: "\\ud800"\n', "params.yaml: (the whole file): text that is not Unicode ("),
        ("a: &a [*a]\n", "params.yaml: more than 10,000 values, expected fewer; write out what its aliases repeat"),
        (
            "".join(
                f"{name}: &{name} [{f'*{before}, ' * 9}1]\n"
                for before, name in zip("abcdefgh", "bcdefghi", strict=True)
            ).replace("*a", "1"),
            "params.yaml: more than 10,000 values",
        ),
    ],
)
def test_what_is_no_params_file(tmp_path: Path, content: str | bytes, line: str) -> None:
    assert line_of(tmp_path, content).startswith(line)


def test_a_date_is_the_text_that_was_written(tmp_path: Path) -> None:
    assert read(tmp_path, GOOD.replace("name: a", "name: 2024-01-31")).name == "2024-01-31"


def test_a_byte_order_mark_is_left_out(tmp_path: Path) -> None:
    assert read(tmp_path, "\ufeff" + GOOD).name == "a"


def test_a_missing_file_and_a_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError) as error:
        read_yaml(tmp_path / "none.yaml")
    assert str(error.value) == (
        f"{tmp_path}/none.yaml: no such file, expected the params file of a project; "
        "run it in a project's folder, or pass --params FILE"
    )
    with pytest.raises(InputError, match="cannot be read"):
        read_yaml(tmp_path)


def test_sections_are_frozen() -> None:
    section = Small(model="small", dim=3)
    with pytest.raises(ValidationError, match="frozen"):
        section.dim = 4  # type: ignore[misc]


def test_parse_section_names_its_source() -> None:
    with pytest.raises(InputError, match=r"^config\.json: dim: found -1, expected greater than 0$"):
        parse_section({"model": "small", "dim": -1}, Small, "config.json")
