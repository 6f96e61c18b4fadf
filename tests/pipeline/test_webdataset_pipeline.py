"""pipeline.webdataset_pipeline with webdataset's own methods and torch's DataLoader, from a folder and over HTTP."""

import pickle
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import numpy as np
import pytest
import webdataset
from tiny_features import tiny_clip, write_features
from torch.utils.data import DataLoader

from dtc.errors import InputError
from pipeline.webdataset_pipeline import webdataset_pipeline

CLIPS = 8  # in three shards


@pytest.fixture
def features(tmp_path: Path) -> Path:
    write_features(tmp_path / "features", CLIPS, validation=2)
    return tmp_path / "features"


def assert_is_clip(number: int, text: dict[str, object], wave: np.ndarray, mel: np.ndarray) -> None:
    expected = tiny_clip(number)
    assert text == expected.text.model_dump()
    np.testing.assert_array_equal(wave, expected.wave)
    np.testing.assert_array_equal(mel, expected.mel)
    assert (wave.dtype, mel.dtype) == (np.int16, np.float32)


def test_it_gives_what_webdataset_reads_in_the_shards_itself(features: Path) -> None:
    samples = list(webdataset_pipeline(features, "train"))
    shards = sorted(map(str, features.glob("train-*.tar")))
    others = list(webdataset.WebDataset(shards, shardshuffle=False).decode())
    assert [sample["__key__"] for sample in samples] == [other["__key__"] for other in others]
    assert [sample["json"] for sample in samples] == [other["json"] for other in others]
    for number, sample in enumerate(samples):
        assert_is_clip(number, sample["json"], sample["wave.npy"], sample["mel.npy"])


@pytest.mark.parametrize("workers", [0, 2])
def test_a_data_loader_gives_every_clip_once(features: Path, workers: int) -> None:
    clips = webdataset_pipeline(features, "train").shuffle(4).to_tuple("json", "wave.npy", "mel.npy")
    clips = pickle.loads(pickle.dumps(clips))  # as worker processes get it that are not forked
    found = list(DataLoader(clips, batch_size=None, num_workers=workers))
    by_number = {int(text["raw_text"].removeprefix("N ")): (text, wave, mel) for text, wave, mel in found}
    assert len(found) == CLIPS
    assert sorted(by_number) == list(range(CLIPS))
    for number, (text, wave, mel) in by_number.items():
        assert_is_clip(number, text, np.asarray(wave), np.asarray(mel))


def test_from_a_server_with_worker_processes(features: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    handler = partial(QuietHandler, directory=str(features))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            clips = webdataset_pipeline(f"http://127.0.0.1:{server.server_port}", "train").to_tuple(
                "__key__", "mel.npy"
            )
            found = dict(DataLoader(clips, batch_size=None, num_workers=2))
        finally:
            server.shutdown()
            thread.join()
    assert sorted(found) == [f"clip-{number:03d}" for number in range(CLIPS)]
    for name, mel in found.items():
        np.testing.assert_array_equal(np.asarray(mel), tiny_clip(int(name.removeprefix("clip-"))).mel)
    assert len(list(tmp_path.glob("cache/dtc/features/*/train-*.tar"))) == 3


class QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


def test_a_split_without_clips_is_refused(features: Path) -> None:
    with pytest.raises(InputError, match="no clips in split test, expected at least one; change the split section"):
        webdataset_pipeline(features, "test")


def test_an_unknown_split_is_refused(features: Path) -> None:
    with pytest.raises(InputError, match="split: 'dev', expected train or validation or test; pass one of these names"):
        webdataset_pipeline(features, "dev")


def test_a_changed_shard_is_refused_when_it_is_opened(features: Path) -> None:
    shard = features / "train-00001.tar"
    shard.write_bytes(shard.read_bytes()[:-1] + b"?")
    clips = iter(webdataset_pipeline(features, "train"))
    assert [next(clips)["__key__"] for _ in range(3)] == ["clip-000", "clip-001", "clip-002"]
    with pytest.raises(InputError, match=r"train-00001\.tar: MD5 "):
        next(clips)
