"""`dtc say`: the texts that it reads, the models that it needs, and the files that it writes and keeps."""

import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from dtc.errors import InputError
from stages.cli import app
from stages.say import read_texts
from tests.conftest import Project


@pytest.mark.parametrize(
    ("texts", "content", "expected"),
    [
        (["call 7"], None, ["call 7"]),
        (["größe".encode().decode("ascii", "surrogateescape")], None, ["größe"]),
        (["  call 7\t", "", "call 8"], None, ["call 7", "call 8"]),
        ([], "one\n\n  two \r\n", ["one", "two"]),
        (["first"], "then\nthese\n", ["first", "then", "these"]),
        (
            [],
            "one\x85two three\nfour\u2028five\u2029six\x0bseven\x0ceight\x1cnine\n",
            ["one\x85two three", "four\u2028five\u2029six\x0bseven\x0ceight\x1cnine"],
        ),
        ([], "one\rtwo\r\nthree", ["one", "two", "three"]),
        ([], "\ufeffone\n", ["one"]),
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
        (None, "{}: no such file, expected a file with one text in each line"),
        (b"one\ncaf\xe9\n", "{}:2: byte 0xe9 is not UTF-8, expected text in UTF-8"),
        (b"\xef\xbb\xbfone\r\rtwo\xff", "{}:3: byte 0xff is not UTF-8"),
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


def test_odd_bytes_of_the_command_line_are_refused() -> None:
    with pytest.raises(InputError, match=r"^text 2: is not UTF-8"):
        read_texts(["one", b"caf\xe9".decode("utf-8", "surrogateescape")], None)


@pytest.fixture
def speaking(voice: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A folder with nothing in it but the two model folders, and not even by the name models."""
    shutil.copytree(voice / "models", tmp_path / "my-voice")
    monkeypatch.chdir(tmp_path)
    return Project(tmp_path, tmp_path)


SAY = ("say", "--models", "my-voice", "--device", "cpu")


def test_two_model_folders_are_enough(speaking: Project) -> None:
    speaking.run(*SAY, "call one", "call two")
    assert sorted(speaking.contents("spoken")) == [
        "spoken/001-call-one.json",
        "spoken/001-call-one.wav",
        "spoken/002-call-two.json",
        "spoken/002-call-two.wav",
    ]
    assert json.loads(Path("spoken/001-call-one.json").read_text())["synthesis"]["attempts"] == 3
    Path("params.yaml").write_text(
        "acoustic: nonsense\nsynthesis: {pace: 1, attempts: 1, fit_iterations: 0, decoder_weights: "
        "float32, cuda_graphs: false, longest_phrase: 160, sentence_pause_s: 0.4, clause_pause_s: 0.2}\n"
    )
    speaking.run(*SAY, "call one", "--out", "again")
    assert json.loads(Path("again/001-call-one.json").read_text())["synthesis"]["attempts"] == 1


FOLDER = "expected the folder that holds acoustic/ and vocoder/"
TRAIN = "name another, or run `dtc train acoustic` and `dtc train vocoder`"


@pytest.mark.parametrize(
    ("models", "line"),
    [
        ("nowhere", f"nowhere: no such folder, {FOLDER}; {TRAIN}"),
        ("empty", f"empty: no acoustic/ or vocoder/ inside, {FOLDER}; {TRAIN}"),
        ("my-voice/vocoder", f"my-voice/vocoder: one model, {FOLDER}; name the folder around it, my-voice"),
        ("half", f"half: no vocoder/ inside, {FOLDER}; run `dtc train vocoder`, or import or copy that model"),
    ],
)
def test_a_wrong_models_folder_is_named(speaking: Project, models: str, line: str) -> None:
    Path("empty").mkdir()
    shutil.copytree("my-voice/acoustic", "half/acoustic")
    assert speaking.run("say", "--models", models, "one", code=2) == line


def test_options_that_do_not_fit(speaking: Project) -> None:
    line = "--out: given together with --stream, which writes no file; leave out one of them"
    assert speaking.run(*SAY, "--stream", "--out", "wavs", "one", code=2) == line
    line = "invalid value for '--seed': expected greater than or equal to 0; see dtc say --help"
    assert speaking.run(*SAY, "--seed", "-1", "one", code=2) == line
    assert not Path("spoken").exists()


def test_texts_from_standard_input(speaking: Project) -> None:
    for content, wavs in ((b"one\ntwo\n", ["001-one.wav", "002-two.wav"]), ("four Ж".encode(), [])):
        result = CliRunner().invoke(app, [*SAY, "--file", "-", "--out", f"out-{len(wavs)}"], input=content)
        assert sorted(path.name for path in Path(f"out-{len(wavs)}").glob("*.wav")) == wavs
    assert result.stderr == (
        "dtc: standard input:1: 'ж' not in the alphabet, in 'four Ж'; write it in words or leave it out\n"
    )


def test_earlier_files_are_kept(speaking: Project) -> None:
    speaking.run(*SAY, "call one")
    Path("spoken/017-mine.wav").write_bytes(b"recorded by me")
    Path("spoken/notes.txt").write_bytes(b"written by me")
    before = speaking.contents("spoken")
    speaking.run(*SAY, "call one", "call two")
    after = speaking.contents("spoken")
    assert after.items() >= before.items()
    assert sorted(path for path in after.keys() - before.keys() if path.endswith(".wav")) == [
        "spoken/018-call-one.wav",
        "spoken/019-call-two.wav",
    ]
    assert after["spoken/018-call-one.wav"] == before["spoken/001-call-one.wav"]


def test_an_error_names_the_line_of_the_file(speaking: Project) -> None:
    Path("texts.txt").write_bytes("one\x85two three\nfour Ж five\n".encode())
    assert speaking.run(*SAY, "--file", "texts.txt", code=2).startswith("texts.txt:2: ")
    assert not Path("spoken").exists()


def test_a_very_long_text_without_a_space(speaking: Project) -> None:
    Path("texts.txt").write_text("one" * 2000)
    speaking.run(*SAY, "--file", "texts.txt")
    [wav] = Path("spoken").glob("*.wav")
    assert wav.stem == "001-" + ("one" * 14)[:40]
