"""text.phonemes: lexicon, from the check of a corpus to a spoken word that is in no lexicon."""

import json
import re
from pathlib import Path

import pytest

from dtc.voice import Voice
from pipeline.shards import read_index
from stages import paths
from tests.conftest import Project, write_corpus
from tests.dtc.tiny_parallel import config

WORDS = "# Names\nqwfp\tK W AH F P\n"
LEXICON = {"text.phonemes": "lexicon", "text.letters_share": 0.3}
TINY = {
    "verify.max_characters_per_s": 200,
    "acoustic": config(aligner_steps=2).model_dump(mode="json"),
    "training.acoustic.batch_size": 4,
    "training.acoustic.epochs": 2,
    "vocoder.train_on": "gta",
    "evaluate.ear": "none",
}


@pytest.fixture
def words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project with twelve clips, whose texts have a word of its own lexicon, and one of none."""
    monkeypatch.chdir(tmp_path)
    texts = {f"clip-{number:03d}": ("Qwfp's Plvr", "Call one-two")[number % 2] for number in range(12)}
    made = Project(tmp_path, write_corpus(tmp_path / "recordings", texts))
    made.write_params(LEXICON | TINY)
    Path("lexicon.txt").write_text(WORDS)
    return made


def test_from_the_texts_to_a_voice(words: Project) -> None:
    for command in ("download", "verify", "preprocess"):
        words.run(command)
    index = read_index(paths.FEATURES)
    assert index.lexicon.words == {"qwfp": "K W AH F P"}
    assert {"@K", "@AH", "q", "p", "'", "-"} <= set(index.alphabet)
    assert not any(symbol[-1].isdigit() for symbol in index.alphabet)
    for command in (("train", "acoustic"), ("align",), ("train", "vocoder"), ("evaluate",)):
        words.run(*command, "--device", "cpu")
    assert json.loads(paths.EVALUATION.read_text())["ended_share"] == 1
    paths.FEATURES.rename("elsewhere")
    Path("lexicon.txt").unlink()
    printed = words.run("say", "Qwfp: call plvr, call tvo", "two", "--device", "cpu")
    hint = "say: no phonemes that the voice knows for plvr, tvo, which are read as letters; a word may be written in"
    assert " ".join(printed.split()).count(hint) == 1
    assert json.loads(Path("spoken/001-qwfp-call-plvr-call-tvo.json").read_text())["spoken_text"].startswith(
        "Qwfp call plvr"
    )
    Path("texts.txt").write_text("call {T UW1}, {k ao0 l}\n")
    assert "in no lexicon" not in words.run("say", "--file", "texts.txt", "--out", "file", "--device", "cpu")
    assert json.loads(Path("file/001-call-t-uw1-k-ao0-l.json").read_text())["status"] == "ended"
    line = words.run("say", "call {ZH UW1}", "--device", "cpu", code=2)
    assert re.fullmatch("text 1: 'ZH' in braces, expected only [A-Z ]* K [A-Z ]*; write the word in letters", line)
    voice = Voice.load("models")
    assert voice.pronounce("Qwfp's two {K AO1 L} call") == "{K W AH F P S} {T UW} {K AO L} {K AO L}"
    # The training has no V, so that the word is spoken by its letters.
    assert voice.pronounce("one vee") == "{W AH N} vee"


def test_the_words_in_no_lexicon_are_listed_before_a_training(words: Project) -> None:
    printed = " ".join(words.run("corpus", "check", "recordings").split())
    assert "1 word in no lexicon, learned by letters; add it to lexicon.txt: plvr" in printed
    words.write_params(TINY)
    assert "in no lexicon" not in words.run("corpus", "check", "recordings")


def test_a_wrong_line_is_refused_by_every_command_that_reads_texts(words: Project) -> None:
    words.run("download")
    words.run("verify")
    Path("lexicon.txt").write_text(WORDS + "tvo\tT QU\n")
    line = "params.yaml: lexicon.txt:3: 'QU', expected phonemes of ARPAbet, as in HH AH L OW; mend the line"
    for command in (("corpus", "check", "recordings"), ("verify",), ("preprocess",)):
        assert words.run(*command, code=2) == line
    words.write_params(TINY)
    words.run("verify")  # which does not read it where phonemes is none


def test_other_words_are_other_features(words: Project) -> None:
    for command in ("download", "verify", "preprocess"):
        words.run(command)
    first = read_index(paths.FEATURES)
    Path("lexicon.txt").write_text(WORDS + "plvr\tP L AH V ER\n")
    words.run("preprocess")
    second = read_index(paths.FEATURES)
    assert first.shards == second.shards
    assert first.fingerprint != second.fingerprint
    assert {"@V", "@ER"} == set(second.alphabet) - set(first.alphabet)
