"""pipeline.shards and shard_writer: equal bytes for equal clips, the format as webdataset reads it, damage refused."""

import io
import json
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import webdataset

from dtc.audio_config import AudioConfig
from dtc.errors import InputError
from dtc.seal import check_seal
from dtc.text.symbols import TextConfig
from pipeline.config import RecordingConfig
from pipeline.features import Features, StoredText
from pipeline.shard_reader import FeatureFolder
from pipeline.shard_writer import build_shard, facts_path, is_finished, read_facts, write_entries
from pipeline.shards import ShardIndex, read_entries, read_index, write_index

CLIPS = 5
RECORDING = RecordingConfig(resample=False, channels="mono", trim_silence_db=None, loudness_lufs=None)
TEXT = TextConfig(symbols="nvidia", normaliser="english")


def clip(number: int, stft: bool) -> Features:
    generator = np.random.default_rng(number)
    frames = 2 + number
    text = StoredText(
        raw_text=f"{number} | é",
        spoken_text=f"number {number}",
        n_samples=256 * frames,
        source_md5=f"{number:032x}",
    )
    return Features(
        f"é-{number}",
        text,
        generator.integers(-(2**15), 2**15, 256 * frames, dtype=np.int16),
        generator.normal(size=(80, frames)).astype(np.float32),
        generator.random((513, frames)).astype(np.float16) if stft else None,
    )


def write(folder: Path, audio: AudioConfig, stft: bool = False, clips_per_shard: int = 2) -> ShardIndex:
    """Five clips of `train` in shards of two."""
    folder.mkdir()
    built = []
    for number, first in enumerate(range(0, CLIPS, clips_per_shard)):
        clips = [clip(n, stft) for n in range(first, min(first + clips_per_shard, CLIPS))]
        built.append(build_shard(f"train-{number:05d}.tar", "train", clips, audio))
    for shard in built:
        (folder / shard.facts.shard.file).write_bytes(shard.content)
    clips_md5 = write_entries(folder, (shard.facts for shard in built))
    index = ShardIndex(
        corpus="voice",
        corpus_md5="0" * 32,
        clips_md5=clips_md5,
        recording=RECORDING,
        audio=audio,
        text=TEXT,
        alphabet=(" ", "a"),
        mel_mean=(0.0,) * 80,
        mel_deviation=(1.0,) * 80,
        shards=tuple(shard.facts.shard for shard in built),
    )
    write_index(folder, index)
    return index


def test_the_folder_and_its_index(tmp_path: Path, audio: AudioConfig) -> None:
    index = write(tmp_path / "shards", audio)
    assert sorted(path.name for path in (tmp_path / "shards").iterdir()) == [
        "clips.jsonl",
        "index.json",
        "train-00000.tar",
        "train-00001.tar",
        "train-00002.tar",
    ]
    assert [(shard.file, shard.clips, shard.frames) for shard in index.shards] == [
        ("train-00000.tar", 2, 5),
        ("train-00001.tar", 2, 9),
        ("train-00002.tar", 1, 6),
    ]
    assert check_seal((tmp_path / "shards/index.json").read_bytes()) == "intact"
    assert read_index(tmp_path / "shards").model_copy(update={"seal": ""}) == index
    assert read_index(tmp_path / "shards").fingerprint == index.fingerprint


@pytest.mark.parametrize("clips_per_shard", [1, 5, 100])
def test_no_shard_is_empty(tmp_path: Path, audio: AudioConfig, clips_per_shard: int) -> None:
    index = write(tmp_path / "shards", audio, clips_per_shard=clips_per_shard)
    assert [shard.clips for shard in index.shards] == ([1] * 5 if clips_per_shard == 1 else [5])


def test_equal_input_gives_equal_bytes(tmp_path: Path, audio: AudioConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "first", audio, stft=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1")
    write(Path("second"), audio, stft=True)
    for path in (tmp_path / "first").iterdir():
        assert path.read_bytes() == (tmp_path / "second" / path.name).read_bytes(), path.name


@pytest.mark.parametrize("stft", [False, True])
def test_webdataset_reads_every_sample(tmp_path: Path, audio: AudioConfig, stft: bool) -> None:
    index = write(tmp_path / "shards", audio, stft)
    shards = [str(tmp_path / "shards" / shard.file) for shard in index.shards]
    samples = list(webdataset.WebDataset(shards, shardshuffle=False).decode())
    assert [sample["__key__"] for sample in samples] == [f"é-{number}" for number in range(CLIPS)]
    for number, sample in enumerate(samples):
        expected = clip(number, stft)
        assert sample["json"] == {
            "raw_text": f"{number} | é",
            "spoken_text": f"number {number}",
            "n_samples": 256 * (2 + number),
            "source_md5": f"{number:032x}",
        }
        assert (sample["wave.npy"].dtype, sample["mel.npy"].dtype) == (np.int16, np.float32)
        np.testing.assert_array_equal(sample["wave.npy"], expected.wave)
        np.testing.assert_array_equal(sample["mel.npy"], expected.mel)
        assert ("stft.npy" in sample) is stft
        if stft:
            assert sample["stft.npy"].dtype == np.float16
            np.testing.assert_array_equal(sample["stft.npy"], expected.stft)


def test_places_point_at_the_members(tmp_path: Path, audio: AudioConfig) -> None:
    index = write(tmp_path / "shards", audio, stft=True)
    places = list(read_entries(tmp_path / "shards", index, "train"))
    assert [(place.id, place.frames) for place in places] == [(f"é-{number}", 2 + number) for number in range(CLIPS)]
    for place in places:
        shard = tmp_path / "shards" / place.shard
        with tarfile.open(shard) as tar:
            assert sorted(place.members) == ["json", "mel.npy", "stft.npy", "wave.npy"]
            for name, (first_byte, n_bytes) in place.members.items():
                member = tar.extractfile(f"{place.id}.{name}")
                assert member is not None
                assert shard.read_bytes()[first_byte : first_byte + n_bytes] == member.read()


def test_headers_say_nothing_of_time_and_owner_and_no_array_needs_a_pickle(tmp_path: Path, audio: AudioConfig) -> None:
    index = write(tmp_path / "shards", audio, stft=True)
    for shard in index.shards:
        with tarfile.open(tmp_path / "shards" / shard.file) as tar:
            for member in tar:
                assert (member.mtime, member.uid, member.gid, member.uname, member.mode) == (0, 0, 0, "", 0o644)
                content = tar.extractfile(member).read()
                if member.name.endswith(".npy"):
                    assert not zipfile.is_zipfile(io.BytesIO(content))
                    np.load(io.BytesIO(content), allow_pickle=False)


def test_another_audio_section_is_another_fingerprint(tmp_path: Path, audio: AudioConfig) -> None:
    index = write(tmp_path / "shards", audio)
    changes = [
        {"audio": audio.model_copy(update={"mel_fmin": 1.0})},
        {"alphabet": (" ", "b")},
        {"shards": index.shards[1:]},
    ]
    assert len({index.fingerprint, *(index.model_copy(update=change).fingerprint for change in changes)}) == 4


def flip_a_byte(folder: Path) -> None:
    content = bytearray((folder / "train-00001.tar").read_bytes())
    content[2000] ^= 1
    (folder / "train-00001.tar").write_bytes(content)


def truncate(name: str, size: int) -> Callable[[Path], None]:
    return lambda folder: (folder / name).write_bytes((folder / name).read_bytes()[:size]) and None


def drop_last_line(folder: Path) -> None:
    lines = (folder / "clips.jsonl").read_text().splitlines(keepends=True)
    (folder / "clips.jsonl").write_text("".join(lines[:-1]))


def edit_index(**changes: object) -> Callable[[Path], None]:
    def edit(folder: Path) -> None:
        tree = json.loads((folder / "index.json").read_text())
        (folder / "index.json").write_text(json.dumps(tree | changes))

    return edit


@pytest.mark.parametrize(
    ("damage", "fault"),
    [
        (flip_a_byte, "train-00001.tar: MD5 "),
        (truncate("train-00002.tar", 512), "train-00002.tar: MD5 "),
        (lambda folder: (folder / "train-00000.tar").unlink(), "train-00000.tar: no such file, expected a shard of"),
        (lambda folder: (folder / "index.json").unlink(), "index.json: no such file, expected the index of the featu"),
        (truncate("index.json", 300), "index.json: not JSON ("),
        (edit_index(format=1), "index.json: format: found 1, expected 3"),
        (edit_index(extra=2), "index.json: extra: unknown key"),
        (lambda folder: (folder / "clips.jsonl").unlink(), "clips.jsonl: no such file"),
        (truncate("clips.jsonl", 300), "clips.jsonl: MD5 "),
        (drop_last_line, "clips.jsonl: MD5 "),
    ],
)
def test_a_damaged_folder_is_refused(
    tmp_path: Path, audio: AudioConfig, damage: Callable[[Path], None], fault: str
) -> None:
    folder = tmp_path / "shards"
    write(folder, audio)
    read_all(folder)
    damage(folder)
    with pytest.raises(InputError) as error:
        read_all(folder)
    assert str(error.value).startswith(f"{folder}/{fault}")


def read_all(folder: Path) -> None:
    index = read_index(folder)
    for shard in index.shards:
        FeatureFolder(folder, index).shard(shard.file)
    list(read_entries(folder, index, "train"))


def test_a_shard_has_the_bytes_that_it_always_had(audio: AudioConfig) -> None:
    """By tarfile, header by header: a shard that was written before WebDataset's writer is equal to a new one."""
    clips, stream = [clip(0, True), clip(1, False), clip(16, True)], io.BytesIO()
    built = build_shard("train-00000.tar", "train", clips, audio)
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for features in clips:
            text, arrays = features.text, {"wave": features.wave, "mel": features.mel, "stft": features.stft}
            facts = {
                "n_samples": text.n_samples,
                "raw_text": text.raw_text,
                "source_md5": text.source_md5,
                "spoken_text": text.spoken_text,
            }
            members = {"json": json.dumps(facts).encode()}
            members |= {f"{name}.npy": npy(array) for name, array in arrays.items() if array is not None}
            for name, content in members.items():
                header = tarfile.TarInfo(f"{features.id}.{name}")
                header.size, header.mode = len(content), 0o644
                tar.addfile(header, io.BytesIO(content))
    assert stream.getvalue() == built.content


def npy(array: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def test_facts_say_what_the_clips_are(audio: AudioConfig) -> None:
    clips = [clip(number, False) for number in range(3)]
    facts = build_shard("train-00000.tar", "train", clips, audio).facts
    mels = np.concatenate([features.mel for features in clips], axis=1).astype(np.float64)
    assert facts.mel_frames == mels.shape[1] == facts.shard.frames == 2 + 3 + 4
    np.testing.assert_allclose(facts.mel_sums, mels.sum(axis=1))
    np.testing.assert_allclose(facts.mel_squares, np.square(mels).sum(axis=1))


def test_a_shard_is_finished_when_it_is_there_as_it_was_stored(tmp_path: Path, audio: AudioConfig) -> None:
    file, shards, facts = "train-00001.tar", tmp_path / "new", tmp_path
    shard = build_shard(file, "train", [clip(0, False)], audio)
    shards.mkdir()
    assert not is_finished(shards, facts, file)
    shard.store(shards, facts)
    assert is_finished(shards, facts, file)
    assert read_facts(facts, file) == shard.facts
    assert sorted(path.name for path in tmp_path.rglob("*.*")) == [file, f"{file}.facts.json"], "no sibling is left"
    flip_a_byte(shards)
    assert not is_finished(shards, facts, file)
    shard.store(shards, facts)
    facts_path(facts, file).write_text("{")
    assert not is_finished(shards, facts, file)
    shard.store(shards, facts)
    (shards / file).unlink()
    assert not is_finished(shards, facts, file)


@pytest.mark.parametrize(
    "name", ["../train-00000.tar", "/etc/passwd", "pipe:rm -rf", "train-00000.tar|sh", "train.tar"]
)
def test_an_index_names_shards_of_its_own_folder_only(tmp_path: Path, audio: AudioConfig, name: str) -> None:
    index = write(tmp_path / "shards", audio)
    edit_index(shards=[index.shards[0].model_dump() | {"file": name}])(tmp_path / "shards")
    with pytest.raises(InputError, match=r"index\.json: shards\.0\.file: found "):
        read_index(tmp_path / "shards")
