"""pipeline.shard_job: every clip in one shard of its split, finished shards left alone, and a changed archive found out."""

import io
import zlib
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from dtc.audio_config import AudioConfig
from dtc.errors import InputError
from pipeline.archives import pack_folder, read_members
from pipeline.config import DistributedConfig, FeaturesConfig, RecordingConfig
from pipeline.engine import run
from pipeline.feature_recipe import FeatureRecipe
from pipeline.manifest import ManifestRow
from pipeline.shard_folder import Unfinished
from pipeline.shard_job import ShardMaker, contents_of, plan_jobs, shard_files, store_shard, without_content
from pipeline.split import SPLITS

AS_IT_IS = RecordingConfig(resample=False, channels="mono", trim_silence_db=None, loudness_lufs=None)


def row(
    number: int, member: str = "x.wav", crc32: int = 0, first_byte: int | None = None, size: int = 0
) -> ManifestRow:
    return ManifestRow(
        id=f"clip-{number:03d}",
        raw_text="1",
        spoken_text="one",
        member=member,
        md5="0" * 32,
        samples=4000,
        first_byte=first_byte,
        size_bytes=size,
        source_sampling_rate=16000,
        source_channels=1,
        crc32=crc32,
    )


@given(st.lists(st.sampled_from(SPLITS), max_size=30), st.integers(1, 7), st.data())
def test_every_clip_is_in_one_shard_of_its_split(splits: list[str], clips_per_shard: int, data: st.DataObject) -> None:
    rows = [row(number) for number in range(len(splits))]
    files = shard_files(splits, clips_per_shard)
    finished = frozenset(data.draw(st.sets(st.sampled_from(files)))) if files else frozenset()
    whole = {job.file: job for job in plan_jobs(((row, b"") for row in rows), splits, clips_per_shard, frozenset())}
    assert sorted(whole) == sorted(files)
    assert sorted(clip.id for job in whole.values() for clip, _ in job.clips) == [clip.id for clip in rows]
    for job in whole.values():
        assert job.split == job.file.split("-")[0]
        assert {splits[int(clip.id[-3:])] for clip, _ in job.clips} == {job.split}
        assert len(job.clips) <= clips_per_shard
    rest = list(plan_jobs(((row, b"") for row in rows), splits, clips_per_shard, finished))
    assert {job.file: job for job in rest} == {file: job for file, job in whole.items() if file not in finished}


def test_a_job_comes_as_soon_as_its_last_clip() -> None:
    seen = 0

    def clips():
        nonlocal seen
        for number in range(6):
            seen += 1
            yield row(number), b""

    jobs = plan_jobs(clips(), ["train", "test", "train", "train", "test", "train"], 2, frozenset())
    assert [(job.file, seen) for job in jobs] == [("train-00000.tar", 3), ("test-00000.tar", 5), ("train-00001.tar", 6)]


@pytest.fixture
def archive(tmp_path: Path, make_corpus: Callable[..., Path]) -> Path:
    pack_folder(make_corpus(tmp_path / "voice", clips=7), tmp_path / "voice.tar")
    return tmp_path / "voice.tar"


@pytest.fixture
def rows(archive: Path) -> list[ManifestRow]:
    members = [member for member in read_members(archive) if member.name.endswith(".wav")]
    rows = [
        row(number, member.name, zlib.crc32(member.content), member.first_byte, len(member.content))
        for number, member in enumerate(members)
    ]
    return [
        replace(row, samples=soundfile.info(io.BytesIO(member.content)).frames)
        for row, member in zip(rows, members, strict=True)
    ]


@pytest.mark.parametrize("workers", [0, 1, 2])
@pytest.mark.parametrize("streamed", [False, True])
def test_equal_bytes_whoever_computes_and_however_it_is_read(
    archive: Path, rows: list[ManifestRow], audio: AudioConfig, tmp_path: Path, workers: int, streamed: bool
) -> None:
    maker = ShardMaker(archive, FeatureRecipe(AS_IT_IS, audio, FeaturesConfig(stft=True, clips_per_shard=3)))
    splits = ["train"] * len(rows)
    expected = [maker.build(job).content for job in plan_jobs(without_content(rows), splits, 3, frozenset())]
    clips = contents_of(archive, rows) if streamed else without_content(rows)
    files = shard_files(splits, 3)
    unfinished = Unfinished(tmp_path / "shards", files, "these clips")
    config = DistributedConfig(engine="local", workers=workers, ray_address=None)
    stored = list(run(partial(store_shard, maker, unfinished), plan_jobs(clips, splits, 3, frozenset()), config))
    assert stored == [3, 3, 1]
    assert [(unfinished.shards / file).read_bytes() for file in files] == expected
    assert unfinished.finished() == {*files}


def test_an_archive_changed_since_verify_is_refused(archive: Path, rows: list[ManifestRow], audio: AudioConfig) -> None:
    assert len(list(contents_of(archive, rows))) == 7
    assert [clip.id for clip, _ in contents_of(archive, rows[2:4])] == ["clip-002", "clip-003"]
    with pytest.raises(InputError, match=r"voice\.tar: lacks gone\.wav, expected the clips of the manifest; run `dtc"):
        list(contents_of(archive, [*rows, replace(rows[0], member="gone.wav")]))
    maker = ShardMaker(archive, FeatureRecipe(AS_IT_IS, audio, FeaturesConfig(stft=False, clips_per_shard=3)))
    moved = [replace(row, first_byte=row.first_byte + 512) for row in rows]
    [job, *_] = plan_jobs(without_content(moved), ["train"] * 7, 3, frozenset())
    with pytest.raises(InputError, match=r"^voice/wavs/clip-000\.wav: CRC-32 [0-9a-f]{8}, expected "):
        maker.build(job)
