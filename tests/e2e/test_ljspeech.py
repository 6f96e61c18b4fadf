"""Twenty real clips of LJ Speech from a web server that breaks off, through real DVC to shards."""

import io
import tarfile
from pathlib import Path

import numpy as np
import pytest
import soundfile
import yaml
from safetensors.numpy import load_file

from dtc.provenance import md5_of, sha256_of
from pipeline.shards import read_index
from tests.conftest import edited
from tests.e2e.clone import clone_into, repro
from tests.pipeline.unreliable_server import Answer, serving

pytestmark = pytest.mark.slow

SHARED = Path(__file__).parents[2] / "../shared"
SAMPLE, GOLDEN = SHARED / "data/ljspeech-sample.tar.bz2", SHARED / "golden/nvidia_mel.safetensors"
GOLDEN_TOLERANCE = 2e-3  # of a natural log, as in tests/dtc/test_audio.py
# The published lists put all twenty into one split; this hash leaves no split empty.
SPLIT = {"method": "hash", "validation_share": 0.2, "test_share": 0.2, "seed": 2}


@pytest.mark.skipif(not SAMPLE.is_file(), reason="../shared is not there: a sample of LJ Speech")
def test_from_a_web_server_to_shards(tmp_path: Path) -> None:
    clone = clone_into(tmp_path / "dtc")
    with serving(SAMPLE.read_bytes()) as server:
        server.answers = [Answer(drop_after=3_000_000)]
        edits = {
            "corpus.source": server.url.replace("voice.tar", "LJSpeech-1.1.tar.bz2"),
            "corpus.md5": md5_of(SAMPLE),
            "corpus.sha256": sha256_of(SAMPLE),
            "split": SPLIT,
        }
        params = yaml.safe_load((clone / "stages/presets/ljspeech-tacotron2.yaml").read_text())
        (clone / "params.yaml").write_text(yaml.safe_dump(edited(params, edits), sort_keys=False))

        ran, said = repro(clone, "preprocess")
        assert ran == ["download", "verify", "preprocess"]
        assert f"{SAMPLE.stat().st_size:,} bytes, MD5 {md5_of(SAMPLE)}, SHA-256 {sha256_of(SAMPLE)}, from http" in said
        assert server.ranges == [None, "bytes=3000000-"]
        assert md5_of(clone / "data/archive/LJSpeech-1.1.tar.bz2") == md5_of(SAMPLE)
        assert [path.name for path in (clone / "data").iterdir() if path.name.endswith(".part")] == []

        assert repro(clone, "preprocess")[0] == []
        assert len(server.requests) == 2, "nothing is fetched again"
    assert_the_shards_hold_the_clips(clone / "data/features")


def assert_the_shards_hold_the_clips(features: Path) -> None:
    """Every clip of the sample once, sample for sample, in three splits; and NVIDIA's mels of two."""
    index = read_index(features)
    assert index.corpus_md5 == md5_of(SAMPLE)
    assert {shard.split for shard in index.shards} == {"train", "validation", "test"}
    assert sum(shard.clips for shard in index.shards) == 20
    waves, mels = {}, {}
    for shard in index.shards:
        for name, content in members(features / shard.file).items():
            clip, kind = name.split(".", 1)
            if kind in ("wave.npy", "mel.npy"):
                {"wave.npy": waves, "mel.npy": mels}[kind][clip] = np.load(io.BytesIO(content))
    recordings = {
        Path(name).stem: soundfile.read(io.BytesIO(content), dtype="int16")[0]
        for name, content in members(SAMPLE).items()
        if name.endswith(".wav")
    }
    assert waves.keys() == mels.keys() == recordings.keys()
    for clip, recording in recordings.items():
        np.testing.assert_array_equal(waves[clip], recording)
    golden = load_file(GOLDEN)
    assert len(golden) == 2
    for clip, mel in golden.items():
        np.testing.assert_allclose(mels[clip], mel, atol=GOLDEN_TOLERANCE, rtol=0)


def members(path: Path) -> dict[str, bytes]:
    """Files of a tar by name."""
    with tarfile.open(path) as tar:
        return {member.name: tar.extractfile(member).read() for member in tar if member.isfile()}  # type: ignore[union-attr]
