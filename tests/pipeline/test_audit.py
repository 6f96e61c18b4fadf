"""pipeline.audit: every fault of a corpus, named by file and line; a manifest only of what is whole."""

from collections.abc import Callable
from pathlib import Path

import pytest

from dtc.audio import AudioConfig
from dtc.errors import InputError
from dtc.provenance import md5_of
from pipeline.archive import pack_folder
from pipeline.audit import ManifestRow, audit, read_manifest, write_manifest

CLIPS = {"a": "one", "b": "two", "c": "three"}
MakeSound = Callable[..., bytes]


@pytest.fixture
def corpus(tmp_path: Path, make_corpus: Callable[..., Path]) -> Path:
    return make_corpus(tmp_path / "voice", CLIPS)


def audited(corpus: Path, audio: AudioConfig) -> tuple[list[ManifestRow], list[str]]:
    archive = corpus.parent / "voice.tar"
    pack_folder(corpus, archive)
    seen: list[str] = []
    manifest, faults = audit(archive, audio, seen.append)
    assert sorted(set(seen)) == sorted({path.stem for path in (corpus / "wavs").iterdir()})
    return manifest, [str(fault) for fault in faults]


def test_a_whole_corpus(corpus: Path, audio: AudioConfig) -> None:
    manifest, faults = audited(corpus, audio)
    assert faults == []
    assert [(row.id, row.raw_text, row.spoken_text) for row in manifest] == [
        ("a", "ONE", "one"),
        ("b", "TWO", "two"),
        ("c", "THREE", "three"),
    ]
    assert [row.samples for row in manifest] == [4000, 5120, 4160]
    for row in manifest:
        assert row.member == f"voice/wavs/{row.id}.wav"
        assert row.md5 == md5_of(corpus / f"wavs/{row.id}.wav")


def test_flac_and_ogg_are_clips_too(tmp_path: Path, make_corpus: Callable[..., Path], audio: AudioConfig) -> None:
    for format in ("FLAC", "OGG"):
        manifest, faults = audited(make_corpus(tmp_path / format, CLIPS, format=format), audio)
        assert faults == []
        assert [row.samples for row in manifest] == [4000, 5120, 4160]


def cut(content: bytes) -> bytes:
    return content[: len(content) // 2]


def overwritten(content: bytes) -> bytes:
    middle = len(content) // 2
    return content[:middle] + bytes(40) + content[middle + 40 :]


REPLACED = {
    "garbage": (lambda make: b"this is no sound\n" * 99, "does not decode (Format not recognised.), expected a WAV"),
    "nothing": (lambda make: b"", "does not decode (Format not recognised.), expected a WAV"),
    "cut in the header": (lambda make: make()[:30], "does not decode ("),
    "cut WAV": (lambda make: cut(make()), "ends after 2389 samples, expected 4800; copy it again"),
    "WAV without its last byte": (lambda make: make()[:-1], "ends after 4799 samples, expected 4800; copy it again"),
    "cut FLAC": (lambda make: cut(make(format="FLAC")), "does not decode (Error : flac decoder lost sync.)"),
    "damaged FLAC": (lambda make: overwritten(make(format="FLAC")), "does not decode (Error : flac"),
    "cut Ogg": (lambda make: cut(make(format="OGG")), "does not decode ("),
    "22050 Hz": (
        lambda make: make(sampling_rate=22050),
        "22050 Hz, expected 16000 Hz; resample the clip or set audio.sampling_rate to 22050",
    ),
    "stereo": (lambda make: make(channels=2), "2 channels, expected 1 (mono); fold the clip to mono"),
    "no samples": (lambda make: make(seconds=0), "no samples, expected speech"),
    "too short": (lambda make: make(seconds=512 / 16000), "512 samples, expected more than 512; remove the clip"),
    "cut 24-bit WAV": (lambda make: cut(make(subtype="PCM_24")), "ends after "),
    "cut float WAV": (lambda make: cut(make(subtype="FLOAT")), "ends after "),
}


@pytest.mark.parametrize("kind", REPLACED)
def test_a_bad_clip_is_named(corpus: Path, audio: AudioConfig, make_sound: MakeSound, kind: str) -> None:
    content, fault = REPLACED[kind]
    (corpus / "wavs/b.wav").write_bytes(content(make_sound))
    _, faults = audited(corpus, audio)
    assert len(faults) == 1
    assert faults[0].startswith(f"voice.tar:voice/wavs/b.wav: {fault}")


@pytest.mark.parametrize(
    ("metadata", "fault"),
    [
        (
            "a|A|a\nb|B|b\n",
            "voice.tar:voice/wavs/c.wav: no row c in metadata.csv, expected one row a clip; add the row or remove the clip",
        ),
        (
            "a|A|a\nb|B|b\nc|C|c\nd|D|d\n",
            "voice.tar:voice/metadata.csv:4: no clip wavs/d.*, expected one clip a row; add the clip or remove the row",
        ),
        (
            "a|A|a\nb|B|\nc|C|c\n",
            "voice.tar:voice/metadata.csv:2: empty text of b, expected words; "
            "write what is said, or remove the row and its clip",
        ),
        (
            "a|A|a\nb|B|b\nc|C|caf\u00e9 \u00e9 5\n",
            "voice.tar:voice/metadata.csv:3: '\u00e9' '5' not in the alphabet; spell it out in words",
        ),
        ("a|A|a\nb|B|under_score\nc|C|c\n", "voice.tar:voice/metadata.csv:2: '_' not in the alphabet"),
        ("a|A|a\nb|B\nc|C|c\n", "voice.tar:voice/metadata.csv:2: 2 fields, expected 3: id|raw text|spoken text"),
        (
            "a|A|a\nb|B|b\nc|C|c\na|A|again\n",
            "voice.tar:voice/metadata.csv:4: id a again, first on line 1; remove one of the rows",
        ),
    ],
)
def test_a_bad_row_is_named(corpus: Path, audio: AudioConfig, metadata: str, fault: str) -> None:
    (corpus / "metadata.csv").write_text(metadata, encoding="utf-8")
    _, faults = audited(corpus, audio)
    assert len(faults) == 1
    assert faults[0].startswith(fault)


def test_two_clips_of_one_id(corpus: Path, audio: AudioConfig, make_sound: MakeSound) -> None:
    (corpus / "wavs/a.flac").write_bytes(make_sound(format="FLAC"))
    _, faults = audited(corpus, audio)
    assert faults == [
        "voice.tar:voice/wavs/a.wav: a second clip a, beside voice/wavs/a.flac, expected one clip an id"
        "; remove one of them"
    ]


def test_two_metadata_files(corpus: Path, audio: AudioConfig) -> None:
    """A tar may hold one name twice: `tar --append`."""
    import tarfile

    archive = corpus.parent / "voice.tar"
    pack_folder(corpus, archive)
    with tarfile.open(archive, "a") as tar:
        tar.add(corpus / "metadata.csv", "metadata.csv")
    _, faults = audit(archive, audio, lambda clip: None)
    assert [str(fault) for fault in faults] == [
        "voice.tar:metadata.csv: a second metadata.csv, beside voice.tar:voice/metadata.csv, expected one"
        "; remove one of them"
    ]


def test_all_faults_are_told_and_none_reaches_the_manifest_alone(
    corpus: Path, audio: AudioConfig, make_sound: MakeSound
) -> None:
    (corpus / "metadata.csv").write_text("a|A|\nb|B|b\nd|D|d\n")
    (corpus / "wavs/b.wav").write_bytes(make_sound(channels=2))
    _, faults = audited(corpus, audio)
    assert [fault.split(",")[0].removeprefix("voice.tar:voice/") for fault in faults] == [
        "wavs/b.wav: 2 channels",
        "metadata.csv:1: empty text of a",
        "wavs/c.wav: no row c in metadata.csv",
        "metadata.csv:3: no clip wavs/d.*",
    ]


def test_no_metadata_and_no_rows(corpus: Path, audio: AudioConfig) -> None:
    (corpus / "metadata.csv").write_text("")
    for clip in (corpus / "wavs").iterdir():
        clip.unlink()
    (corpus / "README").write_text("a voice")
    _, faults = audited(corpus, audio)
    assert faults == ["voice.tar:voice/metadata.csv: no rows, expected one row a clip"]
    (corpus / "metadata.csv").unlink()
    with pytest.raises(InputError, match=r"voice\.tar: no metadata\.csv inside, expected LJSpeech's layout"):
        audited(corpus, audio)


def test_manifest_round_trip(tmp_path: Path) -> None:
    rows = [ManifestRow("a", "é|\u2028", "e", "wavs/a.wav", "0" * 32, 4800), ManifestRow("b", "", "b", "b", "1", 1)]
    write_manifest(rows, tmp_path / "data/manifest.jsonl")
    assert read_manifest(tmp_path / "data/manifest.jsonl") == rows
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["manifest.jsonl"]


@pytest.mark.parametrize("last", ['{"id": "b", "raw_te', '{"id": "b"}', "[]"])
def test_a_damaged_manifest_is_refused(tmp_path: Path, last: str) -> None:
    path = tmp_path / "manifest.jsonl"
    write_manifest([ManifestRow("a", "A", "a", "wavs/a.wav", "0" * 32, 4800)], path)
    path.write_text(path.read_text() + last)
    with pytest.raises(InputError) as error:
        read_manifest(path)
    assert str(error.value).startswith(f"{path}:2: no row of a manifest (")
    assert str(error.value).endswith("; run `dtc verify` again")


def test_no_manifest(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file, expected the audited corpus; run `dtc verify` first"):
        read_manifest(tmp_path / "manifest.jsonl")
