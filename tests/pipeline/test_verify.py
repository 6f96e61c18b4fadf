"""Test that verify_corpus names every fault of a row by its line, and lists only clips without fault."""

import tarfile
from dataclasses import replace
from pathlib import Path

import pytest

from dtc.audio_config import AudioConfig
from dtc.errors import InputError
from dtc.provenance import md5_of
from pipeline.archives import pack_folder
from pipeline.verify import verify_corpus
from tests.pipeline.verifying import LJSPEECH_SAMPLE, MakeSound, lines, settings, verified


def test_a_whole_corpus(corpus: Path, audio: AudioConfig) -> None:
    found = verified(corpus, audio)
    assert found.faults == []
    assert [(row.id, row.raw_text, row.spoken_text) for row in found.rows] == [
        ("a", "ONE", "one"),
        ("b", "TWO", "two"),
        ("c", "THREE", "three"),
    ]
    assert [row.samples for row in found.rows] == [4000, 5120, 4160]
    packed = (corpus.parent / "voice.tar").read_bytes()
    for row in found.rows:
        content = (corpus / f"wavs/{row.id}.wav").read_bytes()
        assert row.member == f"voice/wavs/{row.id}.wav"
        assert row.md5 == md5_of(corpus / f"wavs/{row.id}.wav")
        assert (row.size_bytes, row.source_sampling_rate, row.source_channels) == (len(content), 16000, 1)
        assert row.first_byte is not None
        assert packed[row.first_byte : row.first_byte + row.size_bytes] == content
    assert found.characters.tolist() == [3, 3, 5]
    assert found.kept.tolist() == [True] * 3


def test_the_rows_are_in_the_archives_order(corpus: Path, audio: AudioConfig) -> None:
    """And have no place in a compressed archive."""
    archive = corpus.parent / "mixed.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        for name in ("wavs/c.wav", "metadata.csv", "wavs/a.wav", "wavs/b.wav"):
            tar.add(corpus / name, f"voice/{name}")
    found = verified(archive, audio)
    assert [(row.id, row.first_byte) for row in found.rows] == [("c", None), ("a", None), ("b", None)]


def test_a_folder_is_verified_as_the_archive_that_it_becomes(corpus: Path, audio: AudioConfig) -> None:
    (corpus / "wavs/.hidden.wav").write_bytes(b"an editor's")
    (corpus / ".git").mkdir()
    (corpus / ".git/x.wav").write_bytes(b"a version control's")
    (corpus / "wavs/b.wav").write_bytes(b"no sound")
    packed = verified(corpus, audio)
    found = verify_corpus(corpus, settings(audio), lambda clip: None)
    assert found.rows == [replace(row, first_byte=None) for row in packed.rows]
    assert [str(fault.error) for fault in found.faults] == [
        line.replace("voice.tar:", "voice:") for _, line in lines(packed)
    ]


@pytest.mark.parametrize(
    ("metadata", "kind", "fault"),
    [
        (
            "a|A|a\nb|B|b\n",
            "stray",
            "voice.tar:voice/wavs/c.wav: no row c in metadata.csv, expected one row a clip; add the row or remove the clip",
        ),
        (
            "a|A|a\nb|B|b\nc|C|c\nd|D|d\n",
            "missing",
            "voice.tar:voice/metadata.csv:4: no clip wavs/d.*, expected one clip a row; add the clip or remove the row",
        ),
        (
            "a|A|a\nb|B|\nc|C|c\n",
            "listing",
            "voice.tar:voice/metadata.csv:2: empty text of b, expected words; "
            "write what is said, or remove the row and its clip",
        ),
        (
            "a|A|a\nb|B|b\nc|C|c don&#39;t &amp; stop\n",
            "text",
            "voice.tar:voice/metadata.csv:3: the HTML entities &#39; &amp;, expected the characters; "
            "write the character itself",
        ),
        ("a|A|a\nb|B|b\nc|C|c under_score\n", "text", "voice.tar:voice/metadata.csv:3: '_' not in the alphabet"),
        (
            "a|A|a\nb|B\nc|C|c\n",
            "listing",
            "voice.tar:voice/metadata.csv:2: 2 fields, expected 3: id|raw text|spoken text",
        ),
        (
            "a|A|a\nb|B|b\nc|C|c\na|A|again\n",
            "listing",
            "voice.tar:voice/metadata.csv:4: id a again, first on line 1; remove one of the rows",
        ),
        (
            f"a|A|a\nb|B|b\nc|C|{'c' * 53}\n",
            "characters_per_s",
            "voice.tar:voice/metadata.csv:3: 53 characters in 0.26 s, 203.8 a second, "
            "expected at most 200 (verify.max_characters_per_s 200); check that the text belongs to the clip",
        ),
    ],
)
def test_a_bad_row_is_named(corpus: Path, audio: AudioConfig, metadata: str, kind: str, fault: str) -> None:
    (corpus / "metadata.csv").write_text(metadata, encoding="utf-8")
    ((found_kind, found),) = lines(verified(corpus, audio))
    assert found_kind == kind
    assert found.startswith(fault)


def test_a_clip_that_is_long_for_its_text_is_named(corpus: Path, audio: AudioConfig) -> None:
    (found,) = verified(corpus, audio, min_characters_per_s=10.0).faults
    assert (found.kind, found.id) == ("characters_per_s", "b")
    assert str(found.error) == (
        "voice.tar:voice/metadata.csv:2: 3 characters in 0.32 s, 9.4 a second, "
        "expected at least 10 (verify.min_characters_per_s 10); check that the text belongs to the clip"
    )


def test_a_text_that_the_corpus_does_not_spell_out_is_normalised(corpus: Path, audio: AudioConfig) -> None:
    (corpus / "metadata.csv").write_text("a|21 days\nb|two\nc|three\n")
    assert [(row.raw_text, row.spoken_text) for row in verified(corpus, audio).rows] == [
        ("21 days", "twenty-one days"),
        ("two", "two"),
        ("three", "three"),
    ]


def test_two_clips_with_one_id_are_named(corpus: Path, audio: AudioConfig, make_sound: MakeSound) -> None:
    (corpus / "wavs/a.flac").write_bytes(make_sound(format="FLAC"))
    found = verified(corpus, audio)
    assert lines(found) == [
        (
            "stray",
            "voice.tar:voice/wavs/a.wav: a second clip a, beside voice/wavs/a.flac, expected one clip an id"
            "; remove one of them",
        )
    ]


def test_all_faults_are_listed_in_the_archives_order(corpus: Path, audio: AudioConfig, make_sound: MakeSound) -> None:
    (corpus / "metadata.csv").write_text("a|A|\nb|B|b\nd|D|d\n")
    (corpus / "wavs/b.wav").write_bytes(make_sound(channels=2))
    found = verified(corpus, audio)
    assert [line.split(",")[0].removeprefix("voice.tar:voice/") for _, line in lines(found)] == [
        "wavs/b.wav: 2 channels",
        "metadata.csv:1: empty text of a",
        "metadata.csv:3: no clip wavs/d.*",
        "wavs/c.wav: no row c in metadata.csv",
    ]
    assert (found.left_out, found.rows) == (3, [])


def test_a_second_metadata_file_is_a_fault_of_the_corpus(corpus: Path, audio: AudioConfig) -> None:
    archive = corpus.parent / "voice.tar"
    pack_folder(corpus, archive)
    with tarfile.open(archive, "a") as tar:
        tar.add(corpus / "metadata.csv", "metadata.csv")
    assert lines(verified(archive, audio)) == [
        (
            "corpus",
            "voice.tar:metadata.csv: a second metadata.csv, beside voice.tar:voice/metadata.csv, expected one"
            "; remove one of them",
        )
    ]


def test_a_listing_that_is_no_utf_8_concerns_every_clip(corpus: Path, audio: AudioConfig) -> None:
    (corpus / "metadata.csv").write_bytes("a|A|a\nb|B|café\nc|C|c\n".encode("latin-1"))
    ((kind, line),) = lines(verified(corpus, audio))
    assert kind == "corpus"
    assert line.startswith("voice.tar:voice/metadata.csv:2: byte 13 is not UTF-8")


def test_a_corpus_without_a_listing_or_rows_is_refused(corpus: Path, audio: AudioConfig) -> None:
    (corpus / "metadata.csv").write_text("")
    for clip in (corpus / "wavs").iterdir():
        clip.unlink()
    (corpus / "README").write_text("a voice")
    found = verified(corpus, audio)
    assert lines(found) == [("corpus", "voice.tar:voice/metadata.csv: no rows, expected one row a clip")]
    assert (found.rows, found.names, len(found.facts)) == ([], [], 0)
    (corpus / "metadata.csv").unlink()
    with pytest.raises(InputError, match=r"voice\.tar: none of metadata\.csv, "):
        verified(corpus, audio)


@pytest.mark.skipif(not LJSPEECH_SAMPLE.is_file(), reason="../shared is not there: real clips of LJSpeech")
def test_real_clips_have_no_faults(audio: AudioConfig) -> None:
    at_22050_hz = audio.model_copy(update={"sampling_rate": 22050})
    found = verified(LJSPEECH_SAMPLE, at_22050_hz, min_duration_s=0.3, max_characters_per_s=35.0)
    assert found.faults == []
    assert [row.id for row in found.rows] == [f"LJ001-{n:04d}" for n in range(1, 21)]
    assert sum(row.samples for row in found.rows) / 22050 == pytest.approx(135.0, abs=5.0)
    assert {row.source_sampling_rate for row in found.rows} == {22050}


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"min_duration_s": 20.0}, "min_duration_s 20, max_duration_s 20, expected min_duration_s < max_duration_s"),
        (
            {"min_characters_per_s": 300.0},
            "min_characters_per_s 300, max_characters_per_s 200, expected min_characters",
        ),
    ],
)
def test_bounds_the_wrong_way_round_are_refused(audio: AudioConfig, changes: dict[str, float], line: str) -> None:
    with pytest.raises(ValueError, match=line):
        settings(audio, **changes)
