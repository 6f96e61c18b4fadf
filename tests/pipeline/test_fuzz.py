"""Test that damaged input of every kind gives a right result or a named error, and no traceback or stray file.

Hypothesis draws the damage, the same in each run: bytes that are changed, cut out, doubled or inserted, and extreme
values.
"""

import contextlib
import io
import random
import shutil
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tiny_features import tiny_clip, write_features

from dtc.audio_config import AudioConfig
from dtc.errors import InputError
from pipeline.archives import read_members
from pipeline.batching import Batching
from pipeline.config import RecordingConfig
from pipeline.corpora.listing import read_rows
from pipeline.decoding import decode
from pipeline.loader import ShardLoader
from pipeline.manifest import ManifestRow, read_manifest, write_manifest
from pipeline.recording import read_recording
from stages.params import load_params
from tests.conftest import default_params, sound_bytes
from tests.pipeline.sounds import id3_tag, without_first_frame

AUDIO = AudioConfig.model_validate(default_params()["audio"])
TREATED = RecordingConfig(resample=True, channels="mean", trim_silence_db=-40.0, loudness_lufs=-23.0)
AS_IT_IS = RecordingConfig(resample=False, channels="mono", trim_silence_db=None, loudness_lufs=None)


SLOW_IS_FINE = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.function_scoped_fixture]
EACH_TIME_THE_SAME = settings(derandomize=True, deadline=None, database=None, suppress_health_check=SLOW_IS_FINE)


def cases(number: int) -> settings:
    return settings(EACH_TIME_THE_SAME, max_examples=number)


def damage(content: bytes, seed: int, strokes: int) -> bytes:
    """`content` with a few strokes of damage, drawn from a seed; nearer to the start, where headers are, more often."""
    generator, damaged = random.Random(seed), bytearray(content)
    for _ in range(strokes):
        size = len(damaged)
        place = min(int(size * generator.random() ** generator.choice([1, 6])), max(size - 1, 0))
        stroke = generator.choice(["flip", "edge", "cut", "double", "insert", "end"])
        if stroke == "flip" and size:
            damaged[place] ^= 1 << generator.randrange(8)
        elif stroke == "edge":
            damaged[place : place + 4] = generator.choice([b"\0" * 4, b"\xff" * 4, b"\x7f\xff\xff\xff", b"-999"])
        elif stroke == "cut":
            del damaged[place : place + generator.randrange(1, 64)]
        elif stroke == "double":
            damaged[place:place] = damaged[place : place + generator.randrange(1, 600)]
        elif stroke == "insert":
            damaged[place:place] = generator.randbytes(generator.randrange(1, 16))
        else:
            del damaged[place:]
    return bytes(damaged)


SEEDS, STROKES = st.integers(0, 2**32), st.integers(1, 3)


@pytest.fixture(autouse=True)
def no_write_outside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Whatever a test opens for writing lies in its own folder."""
    monkeypatch.chdir(tmp_path)
    written: list[str] = []
    watching = True

    def watch(event: str, arguments: tuple) -> None:
        if watching and event == "open" and isinstance(arguments[1], str) and set(arguments[1]) & set("wax+"):
            written.append(str(arguments[0]))

    sys.addaudithook(watch)
    yield
    watching = False
    stray = [path for path in written if not Path(path).resolve().is_relative_to(tmp_path.resolve())]
    assert [path for path in stray if path != "/dev/null" and ".hypothesis" not in path] == []


# ── listings ────────────────────────────────────────────────────────────────────────────────────────────────────────

LISTINGS = {
    "metadata.csv": 'a-1|No. 1|number one\na-2|$2|two dollars\né3|Three, "3"|three\n'.encode(),
    "train.txt": b"DUMMY/a-1.wav|number one\nwavs/a-2.wav|two dollars\nwavs/\xc3\xa93.wav|three\n",
    "voice.jsonl": b'{"audio_filepath": "wavs/a-1.wav", "text": "one"}\n{"path": "a-2.wav", "text": "2", "id": "a-2"}\n',
}
CLIPS = ["voice/wavs/a-1.wav", "voice/wavs/a-2.wav", "voice/wavs/é3.wav"]


@cases(250)
@given(st.sampled_from(sorted(LISTINGS)), st.sampled_from(["auto", "ljspeech", "filelist", "jsonl"]), SEEDS, STROKES)
def test_listings(name: str, format: str, seed: int, strokes: int) -> None:
    """A row that is read names a clip that is there, and no clip twice; whatever else stands there is a fault."""
    damaged = damage(LISTINGS[name], seed, strokes)
    try:
        listing = read_rows("voice.tar", {f"voice/{name}": damaged}, CLIPS, format)
    except InputError:
        return
    assert {row.member for row in listing.rows} <= set(CLIPS)
    assert len({row.id for row in listing.rows}) == len({row.member for row in listing.rows}) == len(listing.rows)
    assert listing.faults or len(listing.rows) == len(CLIPS)
    for row in listing.rows:
        assert not {"/", "."} & set(row.id)
        assert all(text in damaged.decode("utf-8-sig") or "\\" in damaged.decode() for text in (row.raw_text,))


@cases(150)
@given(st.binary(max_size=300), st.sampled_from(sorted(LISTINGS)))
def test_listings_of_anything(content: bytes, name: str) -> None:
    with contextlib.suppress(InputError):
        read_rows("voice.tar", {f"voice/{name}": content}, CLIPS, "auto")


# ── recordings ──────────────────────────────────────────────────────────────────────────────────────────────────────

SOUNDS = {
    "wav": sound_bytes(0.2),
    "tagged wav": id3_tag(40) + sound_bytes(0.2),
    "float": sound_bytes(0.2, subtype="FLOAT"),
    "8 bits": sound_bytes(0.2, subtype="PCM_U8"),
    "a-law": sound_bytes(0.2, subtype="ALAW"),
    "flac": sound_bytes(0.2, format="FLAC"),
    "24-bit flac": sound_bytes(0.2, format="FLAC", subtype="PCM_24"),
    "vorbis": sound_bytes(0.2, format="OGG", subtype="VORBIS"),
    "opus": sound_bytes(0.2, format="OGG", subtype="OPUS"),
    "mp3": sound_bytes(0.2, format="MP3"),
    "mp3 without its Xing frame": without_first_frame(sound_bytes(0.2, format="MP3")),
}
WITH_CHECKSUMS = ("flac", "24-bit flac", "vorbis", "opus")


@cases(300)
@given(st.sampled_from(sorted(SOUNDS)), st.sampled_from([AS_IT_IS, TREATED]), SEEDS, STROKES)
def test_recordings(kind: str, recording: RecordingConfig, seed: int, strokes: int) -> None:
    try:
        found = read_recording(damage(SOUNDS[kind], seed, strokes), "a.wav", recording, AUDIO)
    except InputError as error:
        assert str(error).startswith("a.wav: ")
        return
    assert found.dtype == np.int16
    assert AUDIO.filter_length // 2 < len(found) < 100 * AUDIO.sampling_rate


@cases(150)
@given(st.sampled_from(WITH_CHECKSUMS), SEEDS, STROKES)
def test_damage_to_a_file_with_checksums_never_changes_its_samples(kind: str, seed: int, strokes: int) -> None:
    """The sampling rate of a FLAC has no checksum."""
    with contextlib.suppress(InputError):
        found = decode(damage(SOUNDS[kind], seed, strokes), "a.wav")
        assert np.array_equal(found.samples, decode(SOUNDS[kind], "a.wav").samples)


@cases(200)
@given(st.sampled_from([kind for kind in SOUNDS if not kind.startswith("mp3 ")]), st.floats(0.0, 0.9999))
def test_a_file_that_ends_early_is_never_read_as_whole(kind: str, part: float) -> None:
    """An MP3 without a Xing frame that ends between two frames is whole, as far as it tells."""
    with pytest.raises(InputError, match=r"^a\.wav: "):
        decode(SOUNDS[kind][: int(part * len(SOUNDS[kind]))], "a.wav")


# ── archives ────────────────────────────────────────────────────────────────────────────────────────────────────────

FILES = {f"voice/wavs/{n}.wav": bytes([n]) * (700 + n) for n in range(4)} | {"voice/metadata.csv": b"1|a|a\n" * 90}


def packed(mode: str) -> bytes:
    stream = io.BytesIO()
    if mode == "zip":
        with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in FILES.items():
                archive.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)
    else:
        with tarfile.open(fileobj=stream, mode=f"w:{mode}") as archive:
            for name, content in FILES.items():
                member = tarfile.TarInfo(name)
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
    return stream.getvalue()


PACKED = {mode: packed(mode) for mode in ("", "gz", "bz2", "xz", "zip")}


@cases(350)
@given(st.sampled_from(sorted(PACKED)), SEEDS, STROKES)
def test_archives(mode: str, seed: int, strokes: int) -> None:
    """Members are the packed ones or the archive is refused. A plain tar has no checksum of contents: the manifest has."""
    path = Path("voice.archive")
    path.write_bytes(damage(PACKED[mode], seed, strokes))
    try:
        members = list(read_members(path))
    except InputError as error:
        assert "voice.archive" in str(error)
        return
    assert len({member.name for member in members}) == len(members)
    for member in members:
        assert not member.name.startswith("/")
        assert ".." not in Path(member.name).parts
        if mode:
            assert member.content in FILES.values()
        if member.first_byte is not None:
            there = path.read_bytes()[member.first_byte : member.first_byte + len(member.content)]
            assert there == member.content


# ── manifest, shards and their index ────────────────────────────────────────────────────────────────────────────────


@cases(100)
@given(SEEDS, STROKES)
def test_manifests(seed: int, strokes: int) -> None:
    path = Path("manifest.jsonl")
    rows = [ManifestRow(f"clip-{n}", f"N {n}", "n", "x", "0" * 32, 4 * n, None, 0, 16000, 1, 0) for n in range(4)]
    write_manifest(rows, path)
    path.write_bytes(damage(path.read_bytes(), seed, strokes))
    try:
        rows = list(read_manifest(path))
    except InputError as error:
        assert str(error).startswith("manifest.jsonl")
        return
    assert all(isinstance(row, ManifestRow) and isinstance(row.samples, int) for row in rows)


@pytest.fixture(scope="module")
def features(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("features")
    write_features(folder, 10)
    return folder


@cases(250)
@given(st.sampled_from(["index.json", "clips.jsonl", "train-00001.tar"]), SEEDS, STROKES)
def test_shards(features: Path, name: str, seed: int, strokes: int) -> None:
    """What is read is what was stored, clip for clip, or nothing is."""
    shutil.copytree(features, "features", dirs_exist_ok=True)
    Path("features", name).write_bytes(damage((features / name).read_bytes(), seed, strokes))
    try:
        loader = ShardLoader("features", "train", Batching(4, seed=1))
        clips = {entry.id: loader.read(entry) for entry in loader.entries}
    except InputError as error:
        assert "features" in str(error)
        return
    assert sorted(clips) == [f"clip-{number:03d}" for number in range(10)]
    for number in range(10):
        stored, read = tiny_clip(number), clips[f"clip-{number:03d}"]
        np.testing.assert_array_equal(read.mel.numpy(), stored.mel)
        np.testing.assert_array_equal(np.round(read.wave.numpy() * 32768), stored.wave)
        assert (read.raw_text, read.spoken_text) == (stored.text.raw_text, stored.text.spoken_text)


# ── params ──────────────────────────────────────────────────────────────────────────────────────────────────────────

PARAMS = yaml.safe_dump(default_params(), sort_keys=False).encode()


@cases(150)
@given(SEEDS, STROKES)
def test_params(seed: int, strokes: int) -> None:
    path = Path("params.yaml")
    path.write_bytes(damage(PARAMS, seed, strokes))
    try:
        load_params(path)
    except InputError as error:
        assert str(error).startswith("params.yaml")
        assert "\n" not in str(error)


VALUES = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.lists(st.integers(), max_size=2)
)


@pytest.mark.slow
@cases(150)
@given(st.data(), VALUES)
def test_params_of_any_value(data: st.DataObject, value: object) -> None:
    tree = default_params()
    sections = sorted(name for name, content in tree.items() if isinstance(content, dict) and content)
    section = tree[data.draw(st.sampled_from(sections))]
    key = data.draw(st.sampled_from(sorted(section)))
    section[key] = value
    Path("params.yaml").write_text(yaml.safe_dump(tree), encoding="utf-8")
    try:
        load_params(Path("params.yaml"))
    except InputError as error:
        assert str(error).startswith("params.yaml")
