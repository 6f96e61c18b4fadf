"""The file of the user's own words: what it may hold, and how a line that is wrong is named."""

from pathlib import Path

import pytest

from dtc.errors import InputError
from pipeline.lexicon_file import read_words


def test_a_file_of_words(tmp_path: Path) -> None:
    path = tmp_path / "lexicon.txt"
    path.write_text("\ufeff# Names\n\nTacotron\tt ae1 k ah0 t r aa2 n \r\no'brien-x\tOW\n", "utf-8")
    assert read_words(path) == {"tacotron": "T AE K AH T R AA N", "o'brien-x": "OW"}
    path.write_text("")
    assert read_words(path) == {}


EXAMPLE = "expected a word, a tab and its phonemes, as in tacotron\\tT AE K AH T R AA N"
WORD = "expected one word of English letters, apostrophes and hyphens"
PHONEMES = "expected phonemes of ARPAbet, as in HH AH L OW"


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["zyx Z IH K S"], f":1: no tab in 'zyx Z IH K S', {EXAMPLE}; mend the line"),
        (["a\tAH", "zyx\tZ QQ K 7"], f":2: 'QQ' '7', {PHONEMES}; mend the line"),
        (["zyx\t"], f":1: no phonemes after the tab, {PHONEMES}; mend the line"),
        (["\tZ"], f":1: '' before the tab, {WORD}; mend the line"),
        (["new york\tN UW"], f":1: 'new york' before the tab, {WORD}; mend the line"),
        (["zyx\tZ", "# no", "Zyx\tZ"], ":3: 'zyx' for the second time, expected each word once; remove one"),
        (["x7\tZ", "b", "", "c"], f":1: 'x7' before the tab, {WORD}; mend it, and 2 more lines"),
    ],
)
def test_a_wrong_line_is_named(tmp_path: Path, lines: list[str], message: str) -> None:
    path = tmp_path / "lexicon.txt"
    path.write_text("\n".join(lines))
    with pytest.raises(InputError) as error:
        read_words(path)
    assert str(error.value) == f"{path}{message}"


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file, expected your own words"):
        read_words(tmp_path / "lexicon.txt")
    (tmp_path / "latin").write_bytes("na\xefve\tN".encode("latin-1"))
    with pytest.raises(InputError, match="latin: cannot be read"):
        read_words(tmp_path / "latin")
