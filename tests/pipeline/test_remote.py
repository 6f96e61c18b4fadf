"""pipeline.remote against a real HTTP server on 127.0.0.1 and fsspec's memory; what is refused before it is opened."""

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

import fsspec
import pytest
from tiny_features import write_features

from dtc.errors import InputError
from pipeline.batching import Batching
from pipeline.loader import ShardLoader
from pipeline.remote import RemoteFeatures, default_cache, open_features
from pipeline.shard_reader import ShardReader
from pipeline.shards import CLIPS, INDEX, ShardIndex
from pipeline.split import Split
from tests.conftest import REPOSITORY

TRAIN = ("train-00000.tar", "train-00001.tar", "train-00002.tar")


class Server(ThreadingHTTPServer):
    """Serves the files of `folder` at /my voice/features."""

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.folder = folder
        self.asked: list[str] = []  # files
        self.drop_after: dict[str, list[int]] = {}  # file → bytes of the next answers, which then break off

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/my%20voice/features"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        path = Path(unquote(urlsplit(self.path).path))
        self.server.asked.append(path.name)
        file = self.server.folder / path.name
        if path.parent != Path("/my voice/features") or not file.is_file():
            self.send_error(404)
            return
        content = file.read_bytes()
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        drops = self.server.drop_after.get(path.name)
        self.wfile.write(content[: drops.pop(0)] if drops else content)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    write_features(tmp_path / "served", 8, validation=2)
    with Server(tmp_path / "served") as made:
        thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield made
        made.shutdown()
        thread.join()


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def assert_whole(folder: Path, server: Server, shards: tuple[str, ...] = TRAIN) -> None:
    assert names(folder) == sorted((CLIPS, *shards))
    assert all((folder / name).read_bytes() == (server.folder / name).read_bytes() for name in names(folder))


def edit_index(server: Server, old: str, new: str) -> None:
    path = server.folder / INDEX
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def fetch(url: str, cache: Path, split: Split = "train") -> Path:
    """Fetch all shards of a split; return the folder of the copies."""
    features = RemoteFeatures(url, cache)
    for shard in features.index.of_split(split):
        assert features.shard(shard.file) == features.folder / shard.file
    return features.folder


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.remote.WAITS_S", (0.0,))


def test_a_split_is_copied_under_the_features_fingerprint(server: Server, tmp_path: Path) -> None:
    folder = fetch(server.url, tmp_path / "cache")
    index = ShardIndex.model_validate_json((server.folder / INDEX).read_text())
    assert folder == tmp_path / "cache" / index.fingerprint
    assert_whole(folder, server)
    assert server.asked == [INDEX, CLIPS, *TRAIN]
    assert names(folder.parent) == [index.fingerprint, f"{index.fingerprint}.lock"]


def test_a_shard_is_fetched_when_it_is_first_read(server: Server, tmp_path: Path) -> None:
    features = RemoteFeatures(server.url, tmp_path)
    assert server.asked == [INDEX, CLIPS]
    with ShardReader(features) as reader:
        place = list(features.entries("train"))[4]
        assert reader.read(place).id == "clip-004"
    assert server.asked == [INDEX, CLIPS, TRAIN[1]]


def test_what_is_there_is_not_fetched_again(server: Server, tmp_path: Path) -> None:
    folder = fetch(server.url, tmp_path)
    server.asked.clear()
    assert fetch(server.url + "/", tmp_path) == folder
    assert server.asked == [INDEX]
    fetch(server.url, tmp_path, "validation")
    assert_whole(folder, server, (*TRAIN, "validation-00000.tar"))
    assert server.asked == [INDEX, INDEX, "validation-00000.tar"]


def test_a_damaged_shard_is_fetched_again(server: Server, tmp_path: Path) -> None:
    folder = fetch(server.url, tmp_path)
    (folder / TRAIN[1]).write_bytes(b"damaged")
    server.asked.clear()
    fetch(server.url, tmp_path)
    assert_whole(folder, server)
    assert server.asked == [INDEX, TRAIN[1]]


def test_a_dropped_connection_is_tried_again(server: Server, tmp_path: Path) -> None:
    server.drop_after = {INDEX: [10], TRAIN[1]: [1000]}
    assert_whole(fetch(server.url, tmp_path / "cache"), server)
    assert server.asked == [INDEX, INDEX, CLIPS, TRAIN[0], TRAIN[1], TRAIN[1], TRAIN[2]]


def test_a_connection_that_always_drops_is_given_up(server: Server, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    server.drop_after[TRAIN[1]] = [1000, 1000]
    with pytest.raises(InputError) as error:
        fetch(server.url, cache)
    assert str(error.value).startswith(f"{server.url}/{TRAIN[1]}: ")
    assert str(error.value).endswith(
        " (2 attempts), expected the file; check the address, the network and the free space of the disk, and run it again"
    )
    server.asked.clear()
    assert_whole(fetch(server.url, cache), server)
    assert server.asked == [INDEX, TRAIN[1], TRAIN[2]], "what was whole is kept"


def test_several_threads_may_ask_at_once(server: Server, tmp_path: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        folders = set(pool.map(lambda _: fetch(server.url, tmp_path), range(4)))
    assert_whole(folders.pop(), server)
    assert not folders
    assert [server.asked.count(name) for name in (CLIPS, *TRAIN)] == [1, 1, 1, 1]


FETCH = """
import sys
from pathlib import Path
from pipeline.remote import RemoteFeatures
features = RemoteFeatures(sys.argv[1], Path(sys.argv[2]))
for shard in features.index.of_split("train"):
    features.shard(shard.file)
"""


def test_several_processes_may_ask_at_once(server: Server, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    processes = [subprocess.Popen([sys.executable, "-c", FETCH, server.url, cache], cwd=REPOSITORY) for _ in range(2)]
    assert [process.wait(timeout=120) for process in processes] == [0, 0]
    (folder,) = (path for path in cache.iterdir() if path.is_dir())
    assert names(folder) == sorted((CLIPS, *TRAIN))
    assert [server.asked.count(name) for name in (CLIPS, *TRAIN)] == [1, 1, 1, 1]


def test_a_loader_reads_from_a_url(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert default_cache() == tmp_path / "cache/dtc/features"
    places = (server.url, server.folder)
    remote, local = (ShardLoader(place, "train", Batching(3, seed=1), workers=2) for place in places)
    assert [batch.ids for batch in remote.epoch(0)] == [batch.ids for batch in local.epoch(0)]


def test_a_loader_reads_from_another_file_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    write_features(tmp_path / "features", 8)
    store = fsspec.filesystem("memory")
    request.addfinalizer(lambda: store.rm("/bucket", recursive=True))
    store.put(str(tmp_path / "features"), "/bucket/features", recursive=True)
    places = ("memory://bucket/features", tmp_path / "features")
    remote, local = (ShardLoader(place, "train", Batching(3, seed=1)) for place in places)
    assert [batch.ids for batch in remote.epoch(0)] == [batch.ids for batch in local.epoch(0)]


def test_a_shard_that_is_not_the_index_s_is_refused(server: Server, tmp_path: Path) -> None:
    content = (server.folder / TRAIN[2]).read_bytes()
    (server.folder / TRAIN[2]).write_bytes(content[:-1] + b"?")
    with pytest.raises(InputError, match=rf"{TRAIN[2]}: MD5 \w+, expected \w+; check the address"):
        fetch(server.url, tmp_path / "cache")
    assert not list(tmp_path.glob(f"cache/*/{TRAIN[2]}*"))


@pytest.mark.parametrize(
    "name", ["../outside.tar", "/outside.tar", "a\\\\..\\\\train-00000.tar", "index.json", "..", "a b"]
)
def test_a_shard_s_name_is_no_path(server: Server, tmp_path: Path, name: str) -> None:
    edit_index(server, f'"{TRAIN[0]}"', f'"{name}"')
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(InputError, match=r"shards\.0\.file: found .*, expected"):
        fetch(server.url, tmp_path / "cache")
    assert sorted(tmp_path.rglob("*")) == before
    assert server.asked == [INDEX]


def test_places_of_other_features_are_refused(server: Server, tmp_path: Path) -> None:
    content = (server.folder / CLIPS).read_bytes()
    (server.folder / CLIPS).write_bytes(content[:-2] + b" }")
    with pytest.raises(InputError, match=rf"{server.url}/clips\.jsonl: MD5 \w+, expected \w+; check the address"):
        fetch(server.url, tmp_path)
    (server.folder / CLIPS).write_bytes(content)
    assert_whole(fetch(server.url, tmp_path), server)


def test_an_index_that_is_none(server: Server, tmp_path: Path) -> None:
    (server.folder / INDEX).write_text("<html>")
    with pytest.raises(
        InputError, match=rf"{server.url}/index\.json: not JSON .*; publish features of this version of dtc there"
    ):
        fetch(server.url, tmp_path)
    (server.folder / INDEX).write_text(json.dumps({"format": 99}))
    with pytest.raises(InputError, match=rf"{server.url}/index\.json: format: found 99"):
        fetch(server.url, tmp_path)
    with pytest.raises(
        InputError, match=r"/my%20voice/index\.json: no such file, expected a file of features; check the ad"
    ):
        fetch(server.url.removesuffix("/features"), tmp_path)
    assert names(tmp_path) == ["served"]


def test_a_checksum_that_is_none(server: Server, tmp_path: Path) -> None:
    md5 = json.loads((server.folder / INDEX).read_text())["shards"][0]["md5"]
    edit_index(server, md5, "unknown")
    with pytest.raises(InputError, match="md5: found 'unknown'"):
        fetch(server.url, tmp_path)


def test_an_address_keeps_its_query(server: Server, tmp_path: Path) -> None:
    assert_whole(fetch(f"{server.url}?token=a/b", tmp_path), server)


@pytest.mark.parametrize(
    "location",
    [
        "pipe:touch opened",
        "pipe: touch opened",
        "PIPE:touch opened",
        "file:touch opened |",
        "file:///data/features",
        "ftp://host/features",
        "hdfs:features",
        "data:features",
        "ssh://host/features",
        "git+https://host/features",
        "javascript:opened",
        "ais:bucket",
        "simplecache::pipe:touch opened",
        "simplecache::http://host/features",
        "filecache::s3://bucket",
        "blockcache::memory://features",
        "git://.",
        "dvc://.",
        "sftp://host/x",
        "local:x",
    ],
)
def test_no_other_scheme_is_opened(location: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for given in (location, Path(location)):
        with pytest.raises(InputError) as error:
            ShardLoader(given, "train", Batching(8))
        scheme = location.split(":")[0]
        assert str(error.value) == (
            f"{given}: addresses of {scheme}: are not opened, expected a folder, or an address that starts with one of "
            "http, https, s3, gs, gcs, az, abfs, memory; write a folder whose name has a colon as ./NAME"
        )
    assert not names(tmp_path)


@pytest.mark.parametrize("location", ["http::pipe:touch opened", "s3://bucket::pipe:touch opened", "memory://a::b"])
def test_no_chain_of_schemes_is_opened(location: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="are not opened, expected a folder, or an address that starts with one of "):
        ShardLoader(location, "train", Batching(8))
    assert not names(tmp_path)


def test_a_file_store_whose_package_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "s3fs", None)
    with pytest.raises(InputError) as error:
        open_features("s3://bucket/features")
    assert str(error.value) == (
        "s3://bucket/features/index.json: fsspec cannot open it (Install s3fs to access S3); "
        "install the package in the environment of dtc"
    )


def test_a_folder_with_a_colon_in_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_features(tmp_path / "gs:features", 2)
    assert open_features("./gs:features").folder == Path("gs:features")
    assert len(ShardLoader("./gs:features", "train", Batching(2)).entries) == 2


def test_a_folder_without_features(tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"index\.json: no such file, expected the index of the features; run `dtc pre"
    ):
        open_features(tmp_path)
