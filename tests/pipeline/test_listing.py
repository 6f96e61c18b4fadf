"""Test that listings of every format are recognised and decoded, and that each line gives a row or a fault."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.corpora.base import is_audio
from pipeline.corpora.listing import is_listing
from tests.pipeline.listings import CLIPS, FORMATS, read, refusal


@pytest.mark.parametrize(("format", "name", "text"), FORMATS)
def test_a_format_is_recognised_or_asked_for(format: str, name: str, text: str) -> None:
    others = {other: line for _, other, line in FORMATS if other != name}
    assert read({name: text}, CLIPS[:1]) == read({name: text, **others}, CLIPS[:1], format)
    assert read({name: text}, CLIPS[:1])[1] == []


@pytest.mark.parametrize(("format", "name", "text"), FORMATS)
def test_other_encodings_are_refused_with_the_place(format: str, name: str, text: str) -> None:
    """And nothing is said of the clips, which may all be in there."""
    place = len(text.encode()) + text.index("é")
    assert read({name: text.encode() + text.encode("latin-1")}, CLIPS)[1] == [
        f"{name}:2: byte {place} is not UTF-8, expected text in UTF-8; save it as UTF-8"
    ]


def test_several_formats_or_none_or_another() -> None:
    assert refusal({"metadata.csv": "a|b|c", "x/all.txt": "a.wav|b", "m.jsonl": ""}) == (
        "v.tar: listings of several formats: metadata.csv (ljspeech), m.jsonl (jsonl), x/all.txt (filelist), "
        "expected one; set corpus.format to the one meant"
    )
    assert refusal({"notes.txt": "a|b"}).startswith(
        "v.tar: none of metadata.csv, *.jsonl, *.txt of path|text inside, expected LJSpeech's layout: NAME/metadata.csv"
    )
    assert refusal({"all.txt": "a.wav|b"}, "ljspeech") == (
        "v.tar: no metadata.csv inside, expected LJSpeech's layout: NAME/metadata.csv and NAME/wavs/*.wav; "
        "move or rename all.txt if it is the listing"
    )
    assert refusal({"wavs/a.txt": "what a says"}).endswith("; write metadata.csv, a row a clip")
    assert refusal({}, "jsonl").startswith("v.tar: no *.jsonl inside, expected manifests: *.jsonl with lines")
    assert refusal({}, "tensor_mel") == ("corpus.format: tensor_mel, expected auto or one of ljspeech, jsonl, filelist")


def test_other_texts_are_not_taken_for_filelists() -> None:
    others = {
        "voice/wavs/a.txt": "what a says",
        "mels.txt": "mels/a.pt|A\n",
        "notes.txt": "a.wav|A\nb.wav|B\nare\nsuch\nrows\n",
    }
    others["files.txt"] = "wavs/a.wav\n"
    assert read({"voice/metadata.csv": "a|A|a\n", **others}, CLIPS[:1])[1] == []


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("metadata.csv", True),
        ("voice/metadata.csv", True),
        ("a/b/metadata.csv", False),
        ("voice/metadata.txt", True),
        ("voice/filelists/train.TXT", True),
        ("README.txt", False),
        ("voice/LICENSE.txt", False),
        ("voice/licence-en.txt", False),
        ("voice/.hidden.txt", False),
        ("__MACOSX/voice/._train.txt", False),
        ("voice/m.jsonl", True),
        (".git/m.jsonl", False),
        ("voice/m.json", False),
        ("voice/wavs/a.wav", False),
    ],
)
def test_is_listing(name: str, expected: bool) -> None:
    assert is_listing(name) is expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("LJSpeech-1.1/wavs/LJ001-0001.wav", True),
        ("a.FLAC", True),
        ("a.ogg", True),
        ("a.opus", True),
        ("a.mp3", True),
        ("wavs/a", False),
        ("wavs/.a.wav", False),
        (".git/a.wav", False),
        ("LJSpeech-1.1/README", False),
        ("wav", False),
    ],
)
def test_is_audio(name: str, expected: bool) -> None:
    assert is_audio(name) is expected


fields = st.text(st.characters(exclude_characters="\n", exclude_categories=["Cs"]))


json_lines = st.dictionaries(
    st.sampled_from(["audio_filepath", "audio", "path", "text", "id", "spoken_text", "normalized_text", "offset"]),
    st.one_of(st.text(), st.sampled_from(["a.wav", "wavs/b.wav"]), st.none(), st.floats(), st.lists(st.text())),
).map(json.dumps)


some_fields = st.lists(st.one_of(fields, st.sampled_from(["a", "b", "wavs/a.wav", "x/b.wav"])), max_size=4)


lines = st.one_of(fields, some_fields.map("|".join), json_lines, json_lines.map(lambda line: line[:-1]))


@given(st.lists(lines, max_size=8), st.sampled_from(FORMATS))
def test_every_line_is_a_row_or_a_fault(texts: list[str], format: tuple[str, str, str]) -> None:
    """And every clip is a row's, a faulty line's or a fault's."""
    layout, name, row = format
    texts += [row.strip()] * (len(texts) + 1)  # most lines are good: a filelist must look like one
    rows, faults = read({name: "\n".join(texts)}, CLIPS, layout)
    of_clips = [fault for fault in faults if not fault.startswith(f"{name}:")]
    assert len(rows) + len(faults) - len(of_clips) == len(texts)
    assert len({row.id for row in rows}) == len({row.member for row in rows}) == len(rows)
    assert len(rows) + len(of_clips) <= len(CLIPS)
    for row in rows:
        assert row.member in CLIPS
        assert layout == "jsonl" or row.raw_text in texts[int(row.where.rpartition(":")[2]) - 1]
    for fault in faults:
        fault.encode()  # can be shown
