"""Test the rows of LJSpeech's metadata, of filelists and of JSON manifests, and the faults of their lines."""

import json

import pytest

from pipeline.corpora.listing import read_rows
from tests.pipeline.listings import CLIPS, ID_RULE, read, summary


def test_rows_hold_quotation_marks_commas_and_every_newline() -> None:
    content = '\ufeffa|"He said, "12"|he said, twelve\r\nb|x|y\u2028\nc|x|z'
    assert summary(read({"voice/metadata.csv": content})) == (
        [
            ("a", '"He said, "12"', "he said, twelve", CLIPS[0], "v.tar:voice/metadata.csv:1"),
            ("b", "x", "y\u2028", CLIPS[1], "v.tar:voice/metadata.csv:2"),
            ("c", "x", "z", CLIPS[2], "v.tar:voice/metadata.csv:3"),
        ],
        [],
    )


def test_two_columns_give_no_spoken_text() -> None:
    rows, faults = read({"metadata.csv": "a|12\nb|13\nc|14\n"})
    assert faults == []
    assert [(row.raw_text, row.spoken_text) for row in rows] == [("12", None), ("13", None), ("14", None)]


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("b|only two", "2 fields, expected 3: id|raw text|spoken text"),
        ("b|one|two|three", "4 fields, expected 3: id|raw text|spoken text"),
        ("b|B|  ", "empty text of b, expected words; write what is said, or remove the row and its clip"),
    ],
)
def test_a_bad_row_is_named_once_and_the_others_are_kept(line: str, fault: str) -> None:
    """Once: its clip is not a stray."""
    rows, faults = read({"voice/metadata.csv": f"a|A|a\n{line}\nc|C|c\n"})
    assert [row.id for row in rows] == ["a", "c"]
    [found] = faults
    assert found.startswith(f"voice/metadata.csv:2: {fault}")


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("", "a blank line, expected one row a line; remove it"),
        (" \t", "a blank line, expected one row a line; remove it"),
        ("b", "1 field, expected 3: id|raw text|spoken text"),
        ("|B|b", f"id '', {ID_RULE}"),
        ("b.WAV|B|b", f"id 'b.WAV', {ID_RULE.replace('rename it and its clip', 'leave out .WAV')}"),
        ("../b|B|b", f"id '../b', {ID_RULE.replace('rename it and its clip', 'write b')}"),
        ("wavs/b.wav|B|b", f"id 'wavs/b.wav', {ID_RULE.replace('rename it and its clip', 'write b')}"),
        ("b.c|B|b", f"id 'b.c', {ID_RULE}"),
        ("b\0|B|b", f"id 'b\\x00', {ID_RULE}"),
        ("b\rb|B|b", f"id 'b\\rb', {ID_RULE}"),
        (f"{'b' * 81}|B|b", f"id '{'b' * 81}', {ID_RULE}"),
        (f"{'é' * 41}|B|b", f"id '{'é' * 41}', {ID_RULE}"),
        ("a|B|b", "id a again, first on line 1; remove one of the rows"),
        ("d|D|d", "no clip wavs/d.*, expected one clip a row; add the clip or remove the row"),
    ],
)
def test_a_row_of_no_clip_is_named(line: str, fault: str) -> None:
    rows, faults = read({"metadata.csv": f"a|A|a\n{line}\nc|C|c\n"}, (CLIPS[0], CLIPS[2]))
    assert [row.id for row in rows] == ["a", "c"]
    assert faults == [f"metadata.csv:2: {fault}"]


def test_most_lines_decide_between_two_and_three_columns() -> None:
    _, faults = read({"metadata.csv": "a|A\nb|B|b\nc|C\n"})
    assert faults == ["metadata.csv:2: 3 fields, expected 2: id|text"]
    _, faults = read({"metadata.csv": "a|A\nb|B|b\n"}, CLIPS[:2])
    assert faults == ["metadata.csv:1: 2 fields, expected 3: id|raw text|spoken text"]


def test_clips_without_rows_and_in_two_formats() -> None:
    clips = ["voice/wavs/a.flac", *CLIPS, "voice/extra/d.wav"]
    rows, faults = read({"voice/metadata.csv": "a|A|a\nb|B|b\nd|D|d\n"}, clips)
    assert [row.member for row in rows] == ["voice/wavs/a.flac", "voice/wavs/b.wav"]
    assert faults == [
        "voice/metadata.csv:3: no clip wavs/d.*, expected one clip a row; "
        "rename, move or convert voice/extra/d.wav if that is it",
        "voice/wavs/a.wav: a second clip a, beside voice/wavs/a.flac, expected one clip an id; remove one of them",
        "voice/wavs/c.wav: no row c in metadata.csv, expected one row a clip; add the row or remove the clip",
    ]


def test_a_second_metadata_is_not_read() -> None:
    rows, faults = read({"voice/metadata.csv": "a|A|a\nb|B|b\nc|C|c\n", "metadata.csv": "a|A|a\n"})
    assert len(rows) == 3
    assert faults == [
        "metadata.csv: a second metadata.csv, beside v.tar:voice/metadata.csv, expected one; remove one of them"
    ]


def test_a_listing_without_rows() -> None:
    assert read({"metadata.csv": ""}, ()) == ([], ["metadata.csv: no rows, expected one row a clip"])


SAID = [("a", "One, two"), ("b", "Three"), ("c", "It's four")]


@pytest.mark.parametrize(
    ("header", "line", "end"),
    [
        ("", "{0}|{1}", "\n"),
        ("", "{0}|{1}", "\r"),
        ("", "{0}|{1}", "\u2028"),
        ("", "{0}|{1}|", "\n"),
        ("", "{0}\t{1}", "\r\n"),
        ("", '"{0}"|"{1}"', "\n"),
        ("", '"{0}","{1}"', "\n"),
        ("", '{0};"{1}"', "\n"),
        ("id|text", "{0}|{1}", "\n"),
        ("# ID|Transcription", "{0}|{1}", "\n"),
        ("file_name,transcription", '{0}.wav,"{1}"', "\n"),
        ("file_name,transcription", 'wavs/{0}.wav,"{1}"', "\n"),
        ("Audio File\tText", "C:\\data\\{0}.wav\t{1}", "\n"),
        ("text;speaker;path", '"{1}";spk1;/data/{0}.wav', "\n"),
    ],
)
def test_tables_of_other_programs(header: str, line: str, end: str) -> None:
    """Only where they are unambiguous. A first row that names the columns is no clip's row."""
    content = end.join([header] * bool(header) + [line.format(*row) for row in SAID]) + end * 3
    rows, faults = read({"voice/metadata.csv": content})
    assert faults == []
    assert [(row.id, row.raw_text, row.spoken_text) for row in rows] == [(*row, None) for row in SAID]


def test_a_first_row_names_the_spoken_text_too() -> None:
    content = "id|raw text|normalized_text\na|1|one\nb|2|two\nc|3|three\n"
    rows, faults = read({"metadata.csv": content})
    assert [(row.raw_text, row.spoken_text) for row in rows] == [("1", "one"), ("2", "two"), ("3", "three")]
    assert read({"metadata.csv": content.replace("|two", "")})[1] == [
        "metadata.csv:3: 2 fields, expected 3: id|raw text|normalized_text"
    ]
    assert faults == []


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (
            "a,One, two\nb,Three\n",
            ":1: commas between the fields, and perhaps in the texts, expected id|text; write | b",
        ),
        (
            "a,A,a\nb,B,b\n",
            ":1: commas between the fields, and perhaps in the texts, expected id|text; write | between",
        ),
        (
            "a;A\nb;B; b\n",
            ":1: semicolons between the fields, and perhaps in the texts, expected id|text; write | betw",
        ),
        ("a One\nb Two\n", ":1: 1 field, expected id|text or id|raw text|spoken text"),
        ("a|A|a|me\nb|B|b|me\n", ":1: 4 fields, expected id|text or id|raw text|spoken text; lists of several"),
        (
            "id|speaker|text\na|me|A\nb|you|B\n",
            ":1: 2 speakers, expected one; lists of several speakers are not supported:",
        ),
        (
            "a|A|me\nb|B|me\nc|C|me\n",
            ":1: the third field is 'me' in every row, expected id|raw text|spoken text; remove this column if it is not",
        ),
        ("a|A\nb|B\n".encode("utf-16-le"), ": null bytes, as UTF-16 has them, expected text in UTF-8; save it as UTF"),
    ],
)
def test_a_listing_whose_columns_are_not_certain_is_named_once(content: str | bytes, fault: str) -> None:
    rows, faults = read({"metadata.csv": content})
    assert rows == []
    assert len(faults) == 1, faults
    assert faults[0].startswith(f"metadata.csv{fault}")


@pytest.mark.parametrize("content", ["a|One\nb|Two, three\n", 'id,text\na,"One"\nb,"Two, three"\n'])
def test_the_remedies_for_commas_work(content: str) -> None:
    assert read({"metadata.csv": content}, CLIPS[:2])[1] == []


@pytest.mark.parametrize(
    ("name", "row"),
    [
        ("wavs/A.wav", "a"),
        ("wavs/a.wav", "A"),
        ("wavs/a .wav", "a"),
        ("wavs/a.wav.wav", "a"),
        ("wavs/a.wav", "\u200ba"),
        ("wavs/part1/a.wav", "a"),
        ("wavs/a.m4a", "a"),
        ("wavs/a", "a"),
    ],
)
def test_a_row_without_a_clip_is_told_what_may_be_it(name: str, row: str) -> None:
    """The clip is then no fault of its own."""
    listing = {"metadata.csv": f"{row}|A\nb|B\n".encode()}
    clips, others = [name] * name.endswith(".wav"), [name] * (not name.endswith(".wav"))
    found = read_rows("v.tar", listing, [*clips, "wavs/b.wav"], "auto", others)
    hint = f"no clip wavs/{row}.*, expected one clip a row; rename, move or convert {name} if that is it"
    assert [(fault.kind, str(fault.error)) for fault in found.faults] == [("missing", f"v.tar:metadata.csv:1: {hint}")]


NVIDIA = {"filelists/train.txt": "DUMMY/a.wav|Hello, 12.\r\nDUMMY/b.wav|Bye.\n", "filelists/val.txt": "DUMMY/c.wav|So?"}


def test_filelists_as_published() -> None:
    assert summary(read({f"voice/{name}": text for name, text in NVIDIA.items()})) == (
        [
            ("a", "Hello, 12.", None, CLIPS[0], "v.tar:voice/filelists/train.txt:1"),
            ("b", "Bye.", None, CLIPS[1], "v.tar:voice/filelists/train.txt:2"),
            ("c", "So?", None, CLIPS[2], "v.tar:voice/filelists/val.txt:1"),
        ],
        [],
    )


@pytest.mark.parametrize(
    "path",
    [
        "voice/wavs/a.wav",
        "./voice/wavs/a.wav",
        "wavs/a.wav",
        "../wavs/a.wav",
        "voice\\wavs\\a.wav",
    ],
)
def test_a_path_in_the_archive_tells_two_clips_of_one_name_apart(path: str) -> None:
    """From its top, from its top folder, from the list's folder."""
    rows, faults = read({"voice/lists/all.txt": f"{path}|A\n"}, ("voice/wavs/a.wav", "voice/more/a.wav"))
    assert [row.member for row in rows] == ["voice/wavs/a.wav"]
    assert faults == [
        "voice/more/a.wav: a second clip a, beside voice/wavs/a.wav, expected one clip an id; remove one of them"
    ]


@pytest.mark.parametrize("path", ["/data/LJ/wavs/a.wav", "DUMMY/a.wav", "a.wav", "C:\\data\\a.wav"])
def test_a_path_of_another_machine_is_found_by_its_name(path: str) -> None:
    rows, faults = read({"all.txt": f"{path}|A\n"}, CLIPS[:1])
    assert [row.member for row in rows] == [CLIPS[0]]
    assert faults == []
    assert read({"all.txt": f"{path}|A\n"}, ("voice/1/a.wav", "voice/2/a.wav")) == (
        [],
        [
            "all.txt:1: 2 clips a.wav: voice/1/a.wav, voice/2/a.wav, expected one clip a row; give its path in the archive"
        ],
    )


@pytest.mark.parametrize(
    ("header", "line"),
    [
        ("path|text\n", "wavs/{0}.wav|{1}"),
        ("", "wavs/{0}.wav|{1}|"),
        ("", "/data/wavs/{0}.wav\t{1}"),
        ("", '"{0}.wav"|"{1}"'),
        ("", '{0}.wav,"{1}"'),
        ("text|audio_path|speaker\n", "{1}|wavs/{0}.wav|7"),
    ],
)
def test_filelists_of_other_programs(header: str, line: str) -> None:
    rows, faults = read({"voice/all.txt": header + "".join(line.format(*row) + "\n" for row in SAID)})
    assert faults == []
    assert [(row.id, row.raw_text) for row in rows] == SAID


def test_a_filelist_that_cannot_be_read_is_named_once() -> None:
    for content, fault in (
        (
            NVIDIA["filelists/train.txt"].encode("utf-16"),
            ": null bytes, as UTF-16 has them, expected text in UTF-8; save",
        ),
        ("a.wav|A|1\nb.wav|B|2\n", ":1: 3 fields, expected path|text; lists of several speakers are not supported: "),
    ):
        (line,) = read({"all.txt": content})[1]
        assert line.startswith(f"all.txt{fault}")


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        (
            "wavs/b.wav|B|7",
            "3 fields, expected 2: path|text; "
            "lists of several speakers are not supported: keep one speaker's lines and remove the column",
        ),
        ("wavs/b.wav", "1 field, expected 2: path|text"),
        ("wavs/b.wav| ", "empty text of b, expected words; write what is said, or remove the row and its clip"),
    ],
)
def test_a_bad_line_of_a_filelist_is_named_once(line: str, fault: str) -> None:
    assert read({"voice/all.txt": f"wavs/a.wav|A\n{line}\nwavs/c.wav|C\n"})[1] == [f"voice/all.txt:2: {fault}"]


def test_rows_that_contradict_one_another_and_missing_clips_are_named() -> None:
    rows, faults = read({"train.txt": "x/a.wav|A\nx/d.wav|D\n\nx/d.e.wav|D\n", "val.txt": "x/a.wav|A\nx/b.wav|B"})
    assert [row.id for row in rows] == ["a", "b"]
    assert faults == [
        "train.txt:2: no clip x/d.wav, expected one clip a row; add the clip or remove the row",
        "train.txt:3: a blank line, expected one row a line; remove it",
        f"train.txt:4: id 'd.e', {ID_RULE}",
        "val.txt:1: id a again, first at v.tar:train.txt:1; remove one of the rows",
        "voice/wavs/c.wav: no row c in 2 listings, expected one row a clip; add the row or remove the clip",
    ]


def test_manifests_as_nemo_writes_them() -> None:
    lines = [
        {"audio_filepath": "/data/a.wav", "duration": 1.5, "text": "12", "normalized_text": "twelve", "lang": "en"},
        {"audio": "wavs/b.wav", "text": "thirteen", "offset": 0, "id": None},
        {"path": "wavs/c.wav", "text": "14", "spoken_text": "fourteen", "id": "third"},
        {"file_name": "wavs/d.wav", "transcription": "five", "offset": "0", "duration": "1.5"},
    ]
    clips = [*CLIPS, "voice/wavs/d.wav"]
    rows, faults = read({"voice/train.jsonl": "\n".join(json.dumps(line) for line in lines)}, clips)
    assert faults == []
    assert [(row.id, row.raw_text, row.spoken_text, row.member) for row in rows] == [
        ("a", "12", "twelve", CLIPS[0]),
        ("b", "thirteen", None, CLIPS[1]),
        ("third", "14", "fourteen", CLIPS[2]),
        ("d", "five", None, clips[3]),
    ]
    assert rows[2].where == "v.tar:voice/train.jsonl:3"


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("", "a blank line, expected one row a line; remove it"),
        ("{'path': 1}", "not JSON (Expecting property name"),
        ("[" * 100_000, "not JSON (maximum recursion depth exceeded"),
        ("9" * 5000, "not JSON (Exceeds the limit"),
        ('{"text": "A", "text": "B"}', "not JSON (a key is given twice), expected one object a line"),
        ("[]", "list, expected an object, {…}"),
        ('{"text": "A"}', "no path of a clip, expected the key audio_filepath or audio or path"),
        ('{"audio": {"bytes": ""}, "text": "A"}', "audio {'bytes': ''}, expected a string"),
        ('{"audio": "", "text": "A"}', "no path of a clip"),
        ('{"audio": "a.wav"}', "no text, expected the key text"),
        ('{"audio": "a.wav", "text": 3}', "text 3, expected a string"),
        ('{"audio": "a.wav", "text": " "}', "empty text of a, expected words"),
        ('{"audio": "a.wav", "text": "3", "spoken_text": ""}', "empty text of a, expected words"),
        ('{"audio": "a.wav", "text": "A", "id": 3}', "id 3, expected a string"),
        ('{"audio": "a.wav", "text": "A", "id": ""}', f"id '', {ID_RULE}"),
        ('{"audio": "a.wav", "text": "\\ud83d"}', "half of a surrogate pair, expected whole characters"),
        ('{"audio": "\\ud83d.wav", "text": "A"}', "half of a surrogate pair, expected whole characters"),
        (
            '{"audio": "a.wav", "text": "A", "offset": 1.5, "duration": 2}',
            "offset 1.5: a part of a file, expected whole files; cut the recording into one file a clip",
        ),
        ('{"audio": "a.wav", "text": "A", "offset": "x"}', "offset 'x', expected a number of seconds"),
        ('{"audio": "a.wav", "text": "A", "duration": NaN}', "duration nan, expected a number of seconds"),
        ('{"audio": "a.wav", "text": "A", "duration": true}', "duration True, expected a number of seconds"),
        ('{"audio": "a.wav", "text": "A", "duration": 1%s}' % ("0" * 400), "duration 1000000000000000000000000000"),
        ('[{"audio": "a.wav", "text": "A"},', "a list of objects, expected one object a line; remove [ and ], and"),
        (
            '{"audio": "a.wav", "text": "A", "id": "x/../y"}',
            f"id 'x/../y', {ID_RULE.replace('rename it and its clip', 'write y')}",
        ),
        ('{"audio": "d.wav", "text": "A"}', "no clip d.wav, expected one clip a row; add the clip or remove the row"),
    ],
)
def test_a_bad_line_of_a_manifest_is_named(line: str, fault: str) -> None:
    _, faults = read({"m.jsonl": f'{line}\n{{"audio": "a.wav", "text": "A"}}\n'}, CLIPS[:1])
    assert faults[0].startswith(f"m.jsonl:1: {fault}")
    faults[0].encode()


def test_a_clip_of_a_bad_line_is_no_stray() -> None:
    assert read({"m.jsonl": '{"path": "a.wav"}\n'}, CLIPS[:1])[1] == ["m.jsonl:1: no text, expected the key text"]


def test_one_clip_under_two_ids() -> None:
    lines = '{"path": "a.wav", "text": "A"}\n{"path": "a.wav", "text": "A", "id": "b"}\n'
    assert read({"m.jsonl": lines}, CLIPS[:1])[1] == [
        "m.jsonl:2: clip voice/wavs/a.wav again, first on line 1, expected one row a clip; remove one of the rows"
    ]
