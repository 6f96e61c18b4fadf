"""Test the corpus and the grammar that ship with the toolkit, and the corpus section of params.yaml."""

import json
from pathlib import Path

import pytest
from pydantic import ValidationError

from dtc.errors import InputError
from dtc.provenance import md5_of
from pipeline.archives import read_members
from pipeline.corpora import CorpusConfig, embedded_archive, find_grammar, find_texts
from pipeline.corpora.base import is_audio
from pipeline.corpora.listing import is_listing, read_rows
from tests.conftest import default_params


def test_the_embedded_corpus_is_the_one_that_the_default_params_name(default_corpus: CorpusConfig) -> None:
    archive = embedded_archive("numbers-1.0")
    assert md5_of(archive) == default_corpus.md5
    assert archive.stat().st_size <= 8_000_000
    members = list(read_members(archive))
    listings = {member.name: member.content for member in members if is_listing(member.name)}
    clips = [member.name for member in members if is_audio(member.name)]
    listing = read_rows(archive.name, listings, clips, default_corpus.format)
    assert listing.faults == []
    assert sorted(row.member for row in listing.rows) == sorted(clips)
    assert len(clips) == 324


@pytest.fixture
def default_corpus() -> CorpusConfig:
    return CorpusConfig.model_validate_json(json.dumps(default_params()["corpus"]))


@pytest.mark.parametrize(
    ("find", "name", "line"),
    [
        (
            embedded_archive,
            "letters",
            "corpus.source: embedded:letters does not ship with dtc, expected embedded:numbers-1.0",
        ),
        (find_grammar, "letters", "evaluate.grammar: letters does not ship with dtc, expected bare-numbers, numbers"),
        (find_texts, "letters", "evaluate.texts: letters does not ship with dtc, expected bare-numbers, sentences"),
    ],
)
def test_the_name_of_a_corpus_that_does_not_ship_is_refused(find, name: str, line: str) -> None:
    with pytest.raises(InputError) as error:
        find(name)
    assert str(error.value) == line


def test_a_grammar_is_a_name_or_a_path(tmp_path: Path) -> None:
    assert find_grammar("numbers").is_file()
    own = tmp_path / "own.jsgf"
    with pytest.raises(InputError, match=r"^evaluate\.grammar: .*own\.jsgf: no such file, expected a JSGF grammar"):
        find_grammar(str(own))
    own.write_text("#JSGF V1.0;")
    assert find_grammar(str(own)) == own


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": "a b"},
        {"name": "../a"},
        {"name": ""},
        {"md5": "ABC"},
        {"md5": "5DB5" * 8},
        {"source": 3},
        {"sha256": "0" * 32},
        {"format": "csv"},
        {"mirrors": "http://a"},
        {"checksums": {"a": "b"}},
    ],
)
def test_corpus_section_is_strict(default_corpus: CorpusConfig, wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        CorpusConfig.model_validate(default_corpus.model_dump() | wrong)
