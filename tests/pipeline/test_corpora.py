"""pipeline.corpora: metadata rows, which members are clips, and what ships with the toolkit."""

from pathlib import Path

import pytest
from conftest import default_params
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from dtc.errors import InputError
from dtc.provenance import md5_of
from pipeline.archive import read_members
from pipeline.corpora import CorpusConfig, embedded_archive, find_grammar
from pipeline.corpora.ljspeech import Row, clip_id, is_metadata, parse_metadata


def test_rows_hold_quotation_marks_commas_and_every_newline() -> None:
    content = '\ufeffa|"He said, "12"|he said, twelve\r\nb|x|y'.encode()
    metadata = parse_metadata(content, "metadata.csv")
    assert metadata.rows == [Row("a", '"He said, "12"', "he said, twelve", 1), Row("b", "x", "y", 2)]
    assert metadata.faults == []


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("b|only two", "2 fields, expected 3: id|raw text|spoken text"),
        ("b|one|two|three", "4 fields, expected 3: id|raw text|spoken text"),
        ("", "1 fields, expected 3: id|raw text|spoken text"),
        ("b|B|  ", "empty text of b, expected words; write what is said, or remove the row and its clip"),
        ("|B|b", "id '', expected a name without dots and slashes"),
        ("b.wav|B|b", "id 'b.wav', expected a name without dots and slashes"),
        ("../b|B|b", "id '../b', expected a name without dots and slashes"),
        (f"{'b' * 81}|B|b", f"id '{'b' * 81}', expected a name without dots and slashes, of at most 80 bytes"),
        (f"{'é' * 41}|B|b", f"id '{'é' * 41}', expected a name without dots and slashes, of at most 80 bytes"),
        ("a|B|b", "id a again, first on line 1; remove one of the rows"),
    ],
)
def test_a_bad_row_is_named_and_the_others_are_kept(line: str, fault: str) -> None:
    metadata = parse_metadata(f"a|A|a\n{line}\nc|C|c\n".encode(), "voice.tar:metadata.csv")
    assert [row.id for row in metadata.rows] == ["a", "c"]
    [found] = metadata.faults
    assert str(found).startswith(f"voice.tar:metadata.csv:2: {fault}")


def test_other_encodings_are_refused_with_the_place() -> None:
    metadata = parse_metadata("a|é|b\n".encode("latin-1"), "metadata.csv")
    assert [str(fault) for fault in metadata.faults] == [
        "metadata.csv: byte 2 is no UTF-8, expected text in UTF-8; save it as UTF-8"
    ]


field = st.text(st.characters(exclude_characters="|\n\r", exclude_categories=["Cs"]))


@given(st.lists(st.tuples(field, field, field)))
def test_every_line_is_a_row_or_a_fault(rows: list[tuple[str, str, str]]) -> None:
    metadata = parse_metadata("".join("|".join(row) + "\n" for row in rows).encode(), "metadata.csv")
    assert len(metadata.rows) + len(metadata.faults) == len(rows)
    for row in metadata.rows:
        assert (row.id, row.raw_text, row.spoken_text) == rows[row.line - 1]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("LJSpeech-1.1/wavs/LJ001-0001.wav", "LJ001-0001"),
        ("wavs/a.flac", "a"),
        ("wavs/a", "a"),
        ("wavs/.a.wav", None),
        ("LJSpeech-1.1/README", None),
        ("wavs/deeper/a.wav", None),
    ],
)
def test_clip_id(name: str, expected: str | None) -> None:
    assert clip_id(name) == expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [("metadata.csv", True), ("voice/metadata.csv", True), ("a/b/metadata.csv", False), ("voice/metadata.txt", False)],
)
def test_is_metadata(name: str, expected: bool) -> None:
    assert is_metadata(name) is expected


def test_the_embedded_corpus_is_the_one_that_the_default_params_name(default_corpus: CorpusConfig) -> None:
    archive = embedded_archive("numbers-1.0")
    assert md5_of(archive) == default_corpus.md5
    assert archive.stat().st_size <= 8_000_000
    ids = {clip_id(name) for name, _ in read_members(archive)} - {None}
    metadata = next(parse_metadata(content, name) for name, content in read_members(archive) if is_metadata(name))
    assert metadata.faults == []
    assert {row.id for row in metadata.rows} == ids


@pytest.fixture
def default_corpus() -> CorpusConfig:
    return CorpusConfig.model_validate(default_params()["corpus"])


@pytest.mark.parametrize(
    ("find", "name", "line"),
    [
        (embedded_archive, "letters", "letters.tar: does not ship with dtc, expected one of numbers-1.0"),
        (find_grammar, "letters", "letters.jsgf: does not ship with dtc, expected one of numbers"),
    ],
)
def test_what_does_not_ship_is_refused(find, name: str, line: str) -> None:
    with pytest.raises(InputError) as error:
        find(name)
    assert str(error.value) == line


def test_a_grammar_is_a_name_or_a_path(tmp_path: Path) -> None:
    assert find_grammar("numbers").is_file()
    own = tmp_path / "own.jsgf"
    with pytest.raises(InputError, match=r"own\.jsgf: no such file, expected a JSGF grammar"):
        find_grammar(str(own))
    own.write_text("#JSGF V1.0;")
    assert find_grammar(str(own)) == own


@pytest.mark.parametrize(
    "wrong", [{"name": "a b"}, {"name": "../a"}, {"name": ""}, {"md5": "ABC"}, {"md5": "5DB5" * 8}, {"source": 3}]
)
def test_corpus_section_is_strict(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        CorpusConfig.model_validate({"name": "a", "source": "b", "md5": None} | wrong)
