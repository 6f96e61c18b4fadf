"""stages.say.read_texts: what the command line and a file give `dtc say` to speak."""

from pathlib import Path

import pytest

from dtc.errors import InputError
from stages.say import read_texts


@pytest.mark.parametrize(
    ("texts", "content", "expected"),
    [
        (["call 7"], None, ["call 7"]),
        (["  call 7\t", "", "call 8"], None, ["call 7", "call 8"]),
        ([], "one\n\n  two \r\n", ["one", "two"]),
        (["first"], "then\nthese\n", ["first", "then", "these"]),
    ],
)
def test_read_texts(tmp_path: Path, texts: list[str], content: str | None, expected: list[str]) -> None:
    file = tmp_path / "texts.txt"
    if content is not None:
        file.write_bytes(content.encode())
    found = read_texts(texts, None if content is None else file)
    assert [text.raw_text for text in found] == expected


def test_every_text_knows_where_it_stands(tmp_path: Path) -> None:
    file = tmp_path / "texts.txt"
    file.write_text("\nthree\n")
    assert [text.where for text in read_texts(["one", "", "two"], file)] == ["text 1", "text 3", f"{file}:2"]


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (None, "{}: no such file, expected one text a line"),
        (b"caf\xe9\n", "{}: cannot be read ("),
        (b"\n \n", 'say: nothing to say, expected a text or --file; try `dtc say "call 90210 at 7:45"`'),
    ],
)
def test_a_file_that_says_nothing(tmp_path: Path, content: bytes | None, line: str) -> None:
    file = tmp_path / "texts.txt"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(InputError) as error:
        read_texts([], file)
    assert str(error.value).startswith(line.format(file))


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        read_texts([], tmp_path)
