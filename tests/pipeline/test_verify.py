"""pipeline.verify: every fault of a corpus, named by file and line; a manifest only of what is whole."""

import hashlib
import tarfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from dtc.audio import AudioConfig
from dtc.config import parse_section
from dtc.errors import InputError
from dtc.provenance import md5_of
from dtc.text.symbols import TextConfig
from pipeline.archives import pack_folder
from pipeline.config import RecordingConfig, VerifyConfig
from pipeline.corpora import CorpusConfig
from pipeline.limits import KINDS
from pipeline.manifest import ManifestRow, read_manifest, write_manifest
from pipeline.verify import CorpusFindings, CorpusSettings, verify_corpus
from tests.conftest import REPOSITORY, default_params

CLIPS = {"a": "one", "b": "two", "c": "three"}
LJSPEECH_SAMPLE = REPOSITORY.parent / "shared/data/ljspeech-sample.tar.bz2"
MakeSound = Callable[..., bytes]


def settings(audio: AudioConfig, **changes: Any) -> CorpusSettings:
    """The sections of params.yaml; clips may be short and their texts quick, as the clips of the tests are.

    `changes` are of the sections recording, verify and corpus.
    """
    tree = default_params()
    for section, values in (
        ("verify", {"min_duration_s": 0.1, "max_characters_per_s": 200.0}),
        ("recording", {}),
        ("corpus", {}),
    ):
        tree[section] |= values | {key: value for key, value in changes.items() if key in tree[section]}
    return CorpusSettings(
        parse_section(tree["corpus"], CorpusConfig, "corpus"),
        parse_section(tree["recording"], RecordingConfig, "recording"),
        parse_section(tree["verify"], VerifyConfig, "verify"),
        audio,
        parse_section(tree["text"], TextConfig, "text"),
    )


def audited(source: Path, audio: AudioConfig, **changes: Any) -> CorpusFindings:
    """The findings of a folder, packed, or of an archive."""
    archive = source
    if source.is_dir():
        archive = source.parent / f"{source.name}.tar"
        pack_folder(source, archive)
    seen: list[str] = []
    found = verify_corpus(archive, settings(audio, **changes), seen.append)
    assert len(seen) == len(set(seen)) == len(found.names), "every clip is told, once"
    assert {fault.kind for fault in found.faults} <= KINDS.keys()
    assert {row.id for row in found.rows}.isdisjoint(fault.id for fault in found.faults)
    return found


def lines(found: CorpusFindings) -> list[tuple[str, str]]:
    return [(fault.kind, str(fault.error)) for fault in found.faults]


@pytest.fixture
def corpus(tmp_path: Path, make_corpus: Callable[..., Path]) -> Path:
    return make_corpus(tmp_path / "voice", CLIPS)


def test_a_whole_corpus(corpus: Path, audio: AudioConfig) -> None:
    found = audited(corpus, audio)
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
    found = audited(archive, audio)
    assert [(row.id, row.first_byte) for row in found.rows] == [("c", None), ("a", None), ("b", None)]


def test_a_folder_is_audited_as_the_archive_that_it_becomes(corpus: Path, audio: AudioConfig) -> None:
    (corpus / "wavs/.hidden.wav").write_bytes(b"an editor's")
    (corpus / ".git").mkdir()
    (corpus / ".git/x.wav").write_bytes(b"a version control's")
    (corpus / "wavs/b.wav").write_bytes(b"no sound")
    packed = audited(corpus, audio)
    found = verify_corpus(corpus, settings(audio), lambda clip: None)
    assert found.rows == [replace(row, first_byte=None) for row in packed.rows]
    assert [str(fault.error) for fault in found.faults] == [
        line.replace("voice.tar:", "voice:") for _, line in lines(packed)
    ]


@pytest.mark.parametrize("format", ["FLAC", "OGG", "MP3"])
def test_other_codecs_are_clips_too(
    tmp_path: Path, make_corpus: Callable[..., Path], audio: AudioConfig, format: str
) -> None:
    found = audited(make_corpus(tmp_path / "voice", CLIPS, format=format), audio)
    assert found.faults == []
    assert [row.samples for row in found.rows] == [4000, 5120, 4160]


def cut(content: bytes) -> bytes:
    return content[: len(content) // 2]


def overwritten(content: bytes) -> bytes:
    middle = len(content) // 2
    return content[:middle] + bytes(40) + content[middle + 40 :]


def loud(content: bytes) -> bytes:
    """A 16-bit WAV, eight times as loud, and cut off at full scale."""
    samples = np.frombuffer(content[44:], "<i2").astype(np.int32) * 8
    return content[:44] + samples.clip(-32768, 32767).astype("<i2").tobytes()


def blanked(content: bytes, share: float) -> bytes:
    """A 16-bit WAV whose first share is zeros."""
    zeros = round(share * (len(content) - 44) / 2) * 2
    return content[:44] + bytes(zeros) + content[44 + zeros :]


DOES_NOT_DECODE = "does not decode (Format not recognised.), expected a WAV, FLAC, Ogg Vorbis, Opus or MP3 file"
REPLACED: dict[str, tuple[Callable[[MakeSound], bytes], str, str]] = {
    "garbage": (lambda make: b"this is no sound\n" * 99, "decode", DOES_NOT_DECODE),
    "nothing": (lambda make: b"", "decode", "an empty file, expected a WAV, FLAC, Ogg Vorbis, Opus or MP3 file; copy it"),
    "cut in the header": (lambda make: make()[:30], "decode", "does not decode ("),
    "cut WAV": (lambda make: cut(make()), "decode", "ends after 2389 samples, expected 4800; copy it again"),
    "WAV without its last byte": (
        lambda make: make()[:-1], "decode", "ends after 4799 samples, expected 4800; copy it again",
    ),
    "cut FLAC": (lambda make: cut(make(format="FLAC")), "decode", "does not decode (Error : flac decoder lost sync.)"),
    "damaged FLAC": (lambda make: overwritten(make(format="FLAC")), "decode", "does not decode (Error : flac"),
    "cut Ogg": (lambda make: cut(make(format="OGG")), "decode", ""),
    "no samples": (lambda make: make(seconds=0), "decode", "no samples, expected speech; remove its row or record it"),
    "cut 24-bit WAV": (lambda make: cut(make(subtype="PCM_24")), "decode", "ends after "),
    "cut float WAV": (lambda make: cut(make(subtype="FLOAT")), "decode", "ends after "),
    "22050 Hz": (
        lambda make: make(sampling_rate=22050), "sampling_rate",
        "22050 Hz, expected 16000 Hz; set audio.sampling_rate to 22050 or recording.resample to true",
    ),
    "stereo": (
        lambda make: make(channels=2), "channels",
        "2 channels, expected 1 (mono); set recording.channels to left, right or mean",
    ),
    "too short for a frame": (
        lambda make: make(seconds=512 / 16000), "duration", "512 samples, expected more than 512; remove the clip",
    ),
    "too short": (
        lambda make: make(seconds=0.09), "duration",
        "0.09 s, expected at least 0.1 s (verify.min_duration_s 0.1); remove the clip or lower the bound",
    ),
    "too long": (
        lambda make: make(seconds=20.1), "duration",
        "20.10 s, expected at most 20 s (verify.max_duration_s 20); cut it into utterances or raise the bound",
    ),
    "clipped": (lambda make: loud(make()), "clipping", ""),
    "mostly silent": (
        lambda make: blanked(make(seconds=1.0), 0.8), "silence",
        "80% of the clip is below -60 dB (verify.silence_db), expected at most 70% (verify.max_silent_share 0.7); "
        "set recording.trim_silence_db, record it louder or raise the bound",
    ),
    "digital silence": (
        lambda make: blanked(make(), 1.0), "silence",
        "digital silence: all samples are the same, expected speech; record it again or remove it",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REPLACED)
def test_a_bad_clip_is_named(corpus: Path, audio: AudioConfig, make_sound: MakeSound, name: str) -> None:
    content, kind, line = REPLACED[name]
    (corpus / "wavs/b.wav").write_bytes(content(make_sound))
    found = audited(corpus, audio, min_characters_per_s=0.0)
    assert [(fault.kind, fault.id, fault.member) for fault in found.faults] == [(kind, "b", "voice/wavs/b.wav")]
    assert str(found.faults[0].error).startswith(f"voice.tar:voice/wavs/b.wav: {line}")
    assert [row.id for row in found.rows] == ["a", "c"]
    assert found.kept.tolist() == [True, False, True]
    assert found.left_out == 1


def test_clipping_is_counted(corpus: Path, audio: AudioConfig, make_sound: MakeSound) -> None:
    content = loud(make_sound())
    (corpus / "wavs/b.wav").write_bytes(content)
    samples = np.frombuffer(content[44:], "<i2")
    full = "".join("x" if abs(int(sample)) >= 32767 else " " for sample in samples)
    runs = [run for run in full.split() if len(run) > 1]
    (fault,) = audited(corpus, audio).faults
    assert fault.error.found == (
        f"{sum(map(len, runs)) / len(samples):.2%} of the samples clipped, in {len(runs)} runs at full scale"
    )
    assert fault.error.expected == "at most 0.10% (verify.max_clipped_share 0.001)"


def test_the_same_audio_twice(corpus: Path, audio: AudioConfig, make_sound: MakeSound) -> None:
    """In other files, by other codecs: the samples tell. The first is kept."""
    for clip, format in (("a", "WAV"), ("b", "FLAC"), ("c", "WAV")):
        samples = np.frombuffer(make_sound()[44:], "<i2")
        soundfile.write(corpus / f"wavs/{clip}.wav", samples, 16000, format=format, subtype="PCM_16")
    found = audited(corpus, audio)
    assert [row.id for row in found.rows] == ["a"]
    said = "the same samples as voice/wavs/a.wav, expected another recording; remove one of the two"
    assert lines(found) == [
        ("duplicate", f"voice.tar:voice/wavs/b.wav: {said}"),
        ("duplicate", f"voice.tar:voice/wavs/c.wav: {said}"),
    ]


def test_several_groups_of_the_same_audio(
    tmp_path: Path, make_corpus: Callable[..., Path], audio: AudioConfig, make_sound: MakeSound
) -> None:
    corpus = make_corpus(tmp_path / "voice", {name: "one" for name in "abcdefgh"})
    pitches = dict(zip("abcdefgh", (220.0, 330.0, 220.0, 440.0, 330.0, 220.0, 550.0, 330.0), strict=True))
    for clip, pitch in pitches.items():
        (corpus / f"wavs/{clip}.wav").write_bytes(make_sound(pitch_hz=pitch))
    found = audited(corpus, audio)
    assert [row.id for row in found.rows] == ["a", "b", "d", "g"]
    assert {fault.id: fault.error.found.split()[-1][-5] for fault in found.faults} == {
        "c": "a", "e": "b", "f": "a", "h": "b",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("metadata", "kind", "fault"),
    [
        (
            "a|A|a\nb|B|b\n", "stray",
            "voice.tar:voice/wavs/c.wav: no row c in metadata.csv, expected one row a clip; add the row or remove the clip",
        ),
        (
            "a|A|a\nb|B|b\nc|C|c\nd|D|d\n", "listing",
            "voice.tar:voice/metadata.csv:4: no clip wavs/d.*, expected one clip a row; add the clip or remove the row",
        ),
        (
            "a|A|a\nb|B|\nc|C|c\n", "listing",
            "voice.tar:voice/metadata.csv:2: empty text of b, expected words; "
            "write what is said, or remove the row and its clip",
        ),
        ("a|A|a\nb|B|b\nc|C|c under_score\n", "text", "voice.tar:voice/metadata.csv:3: '_' not in the alphabet"),
        (
            "a|A|a\nb|B\nc|C|c\n", "listing",
            "voice.tar:voice/metadata.csv:2: 2 fields, expected 3: id|raw text|spoken text",
        ),
        (
            "a|A|a\nb|B|b\nc|C|c\na|A|again\n", "listing",
            "voice.tar:voice/metadata.csv:4: id a again, first on line 1; remove one of the rows",
        ),
        (
            f"a|A|a\nb|B|b\nc|C|{'c' * 53}\n", "characters_per_s",
            "voice.tar:voice/metadata.csv:3: 53 characters in 0.26 s, 203.8 a second, "
            "expected at most 200 (verify.max_characters_per_s 200); listen whether this is its clip",
        ),
    ],
)  # fmt: skip
def test_a_bad_row_is_named(corpus: Path, audio: AudioConfig, metadata: str, kind: str, fault: str) -> None:
    (corpus / "metadata.csv").write_text(metadata, encoding="utf-8")
    ((found_kind, found),) = lines(audited(corpus, audio))
    assert found_kind == kind
    assert found.startswith(fault)


def test_a_clip_that_says_more_than_its_text(corpus: Path, audio: AudioConfig) -> None:
    (found,) = audited(corpus, audio, min_characters_per_s=10.0).faults
    assert (found.kind, found.id) == ("characters_per_s", "b")
    assert str(found.error) == (
        "voice.tar:voice/metadata.csv:2: 3 characters in 0.32 s, 9.4 a second, "
        "expected at least 10 (verify.min_characters_per_s 10); listen whether this is its clip"
    )


def test_a_text_that_the_corpus_does_not_spell_out_is_normalised(corpus: Path, audio: AudioConfig) -> None:
    (corpus / "metadata.csv").write_text("a|21 days\nb|two\nc|three\n")
    assert [(row.raw_text, row.spoken_text) for row in audited(corpus, audio).rows] == [
        ("21 days", "twenty-one days"),
        ("two", "two"),
        ("three", "three"),
    ]


def test_two_clips_of_one_id(corpus: Path, audio: AudioConfig, make_sound: MakeSound) -> None:
    (corpus / "wavs/a.flac").write_bytes(make_sound(format="FLAC"))
    found = audited(corpus, audio)
    assert lines(found) == [
        (
            "stray",
            "voice.tar:voice/wavs/a.wav: a second clip a, beside voice/wavs/a.flac, expected one clip an id"
            "; remove one of them",
        )
    ]


def test_a_clip_with_several_faults_has_them_all(corpus: Path, audio: AudioConfig, make_sound: MakeSound) -> None:
    stereo = loud(make_sound(seconds=21.0, sampling_rate=44100, channels=2))
    (corpus / "wavs/b.wav").write_bytes(stereo)
    (corpus / "metadata.csv").write_text("a|A|a\nb|B|b\nc|C|c\n")
    found = audited(corpus, audio)
    assert [fault.kind for fault in found.faults] == ["channels", "sampling_rate", "duration", "clipping", "characters_per_s"]  # fmt: skip
    assert {(fault.id, fault.member) for fault in found.faults} == {("b", "voice/wavs/b.wav")}
    assert found.left_out == 1


def test_all_faults_are_told_in_the_archives_order(corpus: Path, audio: AudioConfig, make_sound: MakeSound) -> None:
    (corpus / "metadata.csv").write_text("a|A|\nb|B|b\nd|D|d\n")
    (corpus / "wavs/b.wav").write_bytes(make_sound(channels=2))
    found = audited(corpus, audio)
    assert [line.split(",")[0].removeprefix("voice.tar:voice/") for _, line in lines(found)] == [
        "wavs/b.wav: 2 channels",
        "metadata.csv:1: empty text of a",
        "metadata.csv:3: no clip wavs/d.*",
        "wavs/c.wav: no row c in metadata.csv",
    ]
    assert (found.left_out, found.rows) == (3, [])


def test_treatment_mends(corpus: Path, audio: AudioConfig, make_sound: MakeSound) -> None:
    """What the section recording allows is no fault, and what is measured is what is left of it."""
    content = make_sound(seconds=1.0, sampling_rate=32000, channels=2)
    (corpus / "wavs/b.wav").write_bytes(content[:44] + bytes(128000 - 32000) + content[44 + 96000 :])
    assert [fault.kind for fault in audited(corpus, audio).faults] == ["channels", "sampling_rate", "silence"]
    found = audited(corpus, audio, resample=True, channels="left", trim_silence_db=-40.0)
    assert found.faults == []
    assert [row.samples for row in found.rows] == [4000, 4800, 4160]  # a quarter, and 0.05 s before it
    assert (found.rows[1].source_sampling_rate, found.rows[1].source_channels) == (32000, 2)
    assert found.facts["leading_s"].tolist() == pytest.approx([0.0, 0.05, 0.0], abs=0.011)


def test_the_channel_that_is_used_is_the_one_that_may_clip(
    corpus: Path, audio: AudioConfig, make_sound: MakeSound
) -> None:
    samples = np.stack([np.frombuffer(make_sound()[44:], "<i2"), np.frombuffer(loud(make_sound())[44:], "<i2")], axis=1)
    stereo = make_sound(channels=2)
    (corpus / "wavs/b.wav").write_bytes(stereo[:44] + samples.tobytes())
    assert audited(corpus, audio, channels="left").faults == []
    for channels in ("right", "mean"):
        assert [fault.kind for fault in audited(corpus, audio, channels=channels).faults] == ["clipping"]


def test_two_metadata_files(corpus: Path, audio: AudioConfig) -> None:
    archive = corpus.parent / "voice.tar"
    pack_folder(corpus, archive)
    with tarfile.open(archive, "a") as tar:
        tar.add(corpus / "metadata.csv", "metadata.csv")
    assert lines(audited(archive, audio)) == [
        (
            "corpus",
            "voice.tar:metadata.csv: a second metadata.csv, beside voice.tar:voice/metadata.csv, expected one"
            "; remove one of them",
        )
    ]


def test_a_listing_that_is_no_utf_8_concerns_every_clip(corpus: Path, audio: AudioConfig) -> None:
    (corpus / "metadata.csv").write_bytes("a|A|a\nb|B|café\nc|C|c\n".encode("latin-1"))
    ((kind, line),) = lines(audited(corpus, audio))
    assert kind == "corpus"
    assert line.startswith("voice.tar:voice/metadata.csv:2: byte 13 is not UTF-8")


def test_no_listing_and_no_rows(corpus: Path, audio: AudioConfig) -> None:
    (corpus / "metadata.csv").write_text("")
    for clip in (corpus / "wavs").iterdir():
        clip.unlink()
    (corpus / "README").write_text("a voice")
    found = audited(corpus, audio)
    assert lines(found) == [("corpus", "voice.tar:voice/metadata.csv: no rows, expected one row a clip")]
    assert (found.rows, found.names, len(found.facts)) == ([], [], 0)
    (corpus / "metadata.csv").unlink()
    with pytest.raises(InputError, match=r"voice\.tar: none of metadata\.csv, "):
        audited(corpus, audio)


@pytest.mark.skipif(not LJSPEECH_SAMPLE.is_file(), reason="../shared is not there: real clips of LJSpeech")
def test_real_clips_have_no_faults(audio: AudioConfig) -> None:
    at_22050_hz = audio.model_copy(update={"sampling_rate": 22050})
    found = audited(LJSPEECH_SAMPLE, at_22050_hz, min_duration_s=0.3, max_characters_per_s=35.0)
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


ROW = ManifestRow("a", "é|\u2028", "e", "wavs/a.wav", "0" * 32, 4800, 512, 9644, 16000, 1, 7)


def test_manifest_round_trip(tmp_path: Path) -> None:
    rows = [ROW, replace(ROW, id="b", first_byte=None)]
    path = tmp_path / "data/manifest.jsonl"
    write_manifest(iter(rows), path)
    assert list(read_manifest(path)) == rows
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["manifest.jsonl"]
    digest = hashlib.md5(path.read_bytes()).hexdigest()
    write_manifest(rows, path)
    assert hashlib.md5(path.read_bytes()).hexdigest() == digest


def test_a_manifest_is_there_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "manifest.jsonl"
    write_manifest([ROW], path)
    before = path.read_bytes()
    with pytest.raises(TypeError):
        write_manifest([ROW, None], path)  # type: ignore[list-item]  # breaks off half-way
    assert path.read_bytes() == before


@pytest.mark.parametrize("last", ['{"id": "b", "raw_te', '{"id": "b"}', "[]"])
def test_a_damaged_manifest_is_refused(tmp_path: Path, last: str) -> None:
    path = tmp_path / "manifest.jsonl"
    write_manifest([ROW], path)
    path.write_text(path.read_text() + last)
    with pytest.raises(InputError) as error:
        list(read_manifest(path))
    assert str(error.value).startswith(f"{path}:2: not a row of a manifest (")
    assert str(error.value).endswith("; run `dtc verify` again")


def test_no_manifest(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file, expected the manifest of the corpus; run `dtc verify` first"):
        list(read_manifest(tmp_path / "manifest.jsonl"))
