"""stages.params_file: what is no params file is one line, with the line and the column, in plain words."""

from pathlib import Path

import pytest

from dtc.errors import InputError
from stages.params_file import read_yaml
from tests.dtc.test_config import GOOD, line_of, read


def test_a_key_given_twice_is_refused(tmp_path: Path) -> None:
    """PyYAML keeps the last one: the first would be ignored without a word."""
    assert line_of(tmp_path, GOOD + "name: b\n").startswith("params.yaml, line 6, column 1: ")


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ("", "params.yaml: (the whole file): found null, expected keys and values"),
        ("# nothing\n", "params.yaml: (the whole file): found null, expected keys and values"),
        ("- a\n- b\n", "params.yaml: (the whole file): found a list, expected keys and values"),
        ("words", "params.yaml: (the whole file): found 'words', expected keys and values"),
        ("a: [1,\nb: 2\n", "params.yaml, line 1, column 4: not YAML (a bracket that is not closed, or a comma"),
        ("a: {b: 1\n", "params.yaml, line 1, column 4: not YAML (a bracket that is not closed, or a comma"),
        ('a: b\nc: "d\n', "params.yaml, line 2, column 4: not YAML (a quotation mark that is not closed)"),
        ("a:\n  b\n  c: 1\n", "params.yaml, line 3, column 4: not YAML (a colon that does not fit here: a text with a"),
        ("a:\n  b: 1\nc\n", "params.yaml, line 3, column 1: not YAML (a line without a colon and a space after it)"),
        (
            "a:\n  b: 1\n c: 2\n",
            "params.yaml, line 3, column 2: not YAML (indented in another way than the lines above",
        ),
        ("a: @b\n", "params.yaml, line 1, column 4: not YAML (a value that begins with this character needs quotes)"),
        ("a: *b\n", "params.yaml, line 1, column 4: not YAML (a value that begins with * needs quotes)"),
        ("a: b: c\n", "params.yaml, line 1, column 5: not YAML (a colon that does not fit here: a text with a colon"),
        ("a:\n\t- b\n", "params.yaml, line 2, column 1: not YAML (a tab; indent with spaces)"),
        (
            "a: !!python/object:os.system x\n",
            "params.yaml, line 1, column 4: not YAML (a value that begins with ! needs quotes)",
        ),
        (b"name: \xff\n", "params.yaml: cannot be read ("),
        (b"\x00\x01", "params.yaml, line 1: a character that cannot be printed, expected text"),
        ("a: b\nc: \x07\n", "params.yaml, line 2: a character that cannot be printed, expected text"),
        (
            "a: b\nname: {{ corpus }}\n",
            "params.yaml, line 2, column 8: not YAML (found a list or a mapping as a key, expected a name; put",
        ),
        ("1: a\n", "params.yaml, line 1, column 1: not YAML (found '1' as a key, expected a name"),
        ("a: b\nyes: c\n", "params.yaml, line 2, column 1: not YAML (found 'yes' as a key, expected a name"),
        ("null: a\n", "params.yaml, line 1, column 1: not YAML (found 'null' as a key, expected a name"),
        ("--- a\n--- b\n", "params.yaml, line 2, column 1: not YAML (a second document, which begins with ---)"),
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
    with pytest.raises(InputError, match=r"cannot be read \(Is a directory\), expected a YAML file"):
        read_yaml(tmp_path)
