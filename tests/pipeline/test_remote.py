"""pipeline.remote against a real HTTP server on 127.0.0.1; and what is refused before anything is opened."""

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from tiny_features import write_features

from dtc.errors import InputError
from pipeline.download import Patience
from pipeline.loader import ShardLoader
from pipeline.remote import default_cache, mirror_features, open_features
from pipeline.shards import CLIPS, INDEX, ShardIndex

TRAIN = ("train-00000.tar", "train-00001.tar", "train-00002.tar")
HASTE = Patience(attempts=2, wait=lambda seconds: None)


class Server(ThreadingHTTPServer):
    """Serves the files of `folder` at /my voice/features."""

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.folder = folder
        self.asked: list[str] = []  # file, and the first byte where not all was asked for
        self.drop_after: dict[str, int] = {}  # file → bytes of the next answer, which then breaks off

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/my%20voice/features"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        path = Path(unquote(urlsplit(self.path).path))
        first = int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").removesuffix("-"))
        self.server.asked.append(f"{path.name} {first}" if first else path.name)
        file = self.server.folder / path.name
        if path.parent != Path("/my voice/features") or not file.is_file():
            self.send_error(404)
            return
        content = file.read_bytes()
        self.send_response(206 if first else 200)
        self.send_header("Content-Length", str(len(content) - first))
        if first:
            self.send_header("Content-Range", f"bytes {first}-{len(content) - 1}/{len(content)}")
        self.end_headers()
        self.wfile.write(content[first:][: self.server.drop_after.pop(path.name, None)])

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
    assert names(folder) == sorted((CLIPS, INDEX, *shards))
    assert all((folder / name).read_bytes() == (server.folder / name).read_bytes() for name in names(folder))


def edit_index(server: Server, old: str, new: str) -> None:
    path = server.folder / INDEX
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_a_split_is_mirrored_under_the_features_fingerprint(server: Server, tmp_path: Path) -> None:
    folder = mirror_features(server.url, tmp_path / "cache", "train")
    index = ShardIndex.model_validate_json((server.folder / INDEX).read_text())
    assert folder == tmp_path / "cache" / index.fingerprint
    assert_whole(folder, server)
    assert server.asked == [INDEX, CLIPS, *TRAIN]
    assert names(folder.parent) == [index.fingerprint, f"{index.fingerprint}.lock"]


def test_what_is_there_is_not_fetched_again(server: Server, tmp_path: Path) -> None:
    folder = mirror_features(server.url, tmp_path, "train")
    server.asked.clear()
    assert mirror_features(server.url + "/", tmp_path, "train") == folder
    assert server.asked == [INDEX]
    mirror_features(server.url, tmp_path, "validation")
    assert_whole(folder, server, (*TRAIN, "validation-00000.tar"))
    assert server.asked == [INDEX, INDEX, "validation-00000.tar"]


def test_a_damaged_shard_is_fetched_again(server: Server, tmp_path: Path) -> None:
    folder = mirror_features(server.url, tmp_path, "train")
    (folder / TRAIN[1]).write_bytes(b"damaged")
    server.asked.clear()
    mirror_features(server.url, tmp_path, "train")
    assert_whole(folder, server)
    assert server.asked == [INDEX, TRAIN[1]]


def test_a_dropped_shard_is_gone_on_with(server: Server, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    server.drop_after[TRAIN[1]] = 1000
    once = Patience(attempts=1, wait=lambda seconds: None)
    with pytest.raises(InputError) as error:
        mirror_features(server.url, cache, "train", patience=once)
    assert str(error.value).startswith(f"{server.url}/{TRAIN[1]}: ")
    assert str(error.value).endswith("; check the address, the network and the room on the disk, and run it again")
    (folder,) = (path for path in cache.iterdir() if path.is_dir())
    assert not (folder / INDEX).exists(), "half a mirror is never read"
    server.asked.clear()
    assert mirror_features(server.url, cache, "train", patience=once) == folder
    assert_whole(folder, server)
    assert server.asked == [INDEX, f"{TRAIN[1]} 1000", TRAIN[2]]


def test_several_processes_may_ask_at_once(server: Server, tmp_path: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        folders = set(pool.map(lambda _: mirror_features(server.url, tmp_path, "train"), range(4)))
    assert_whole(folders.pop(), server)
    assert not folders
    assert [server.asked.count(name) for name in (CLIPS, *TRAIN)] == [1, 1, 1, 1]


def test_a_loader_reads_from_a_url(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert default_cache() == tmp_path / "cache/dtc/features"
    remote, local = (ShardLoader(place, "train", 3, seed=1, workers=1) for place in (server.url, server.folder))
    assert [batch.ids for batch in remote] == [batch.ids for batch in local]
    assert remote.state_dict() == local.state_dict(), "a run may go on elsewhere"


def test_a_shard_that_is_not_the_index_s_is_refused(server: Server, tmp_path: Path) -> None:
    content = (server.folder / TRAIN[2]).read_bytes()
    (server.folder / TRAIN[2]).write_bytes(content[:-1] + b"?")
    with pytest.raises(InputError, match=rf"{TRAIN[2]}: MD5 \w+, expected \w+; check the address"):
        mirror_features(server.url, tmp_path / "cache", "train", patience=HASTE)
    assert not list(tmp_path.glob(f"cache/*/{TRAIN[2]}*"))


@pytest.mark.parametrize(
    "name", ["../outside.tar", "/outside.tar", "a\\\\..\\\\train-00000.tar", "index.json", "..", "a b"]
)
def test_a_shard_s_name_is_no_path(server: Server, tmp_path: Path, name: str) -> None:
    edit_index(server, f'"{TRAIN[0]}"', f'"{name}"')
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(InputError, match=r"shards\.0\.file: found .*, expected"):
        mirror_features(server.url, tmp_path / "cache", "train")
    assert sorted(tmp_path.rglob("*")) == sorted([*before, tmp_path / "cache"])
    assert server.asked == [INDEX]


def test_places_of_other_features_are_refused(server: Server, tmp_path: Path) -> None:
    content = (server.folder / CLIPS).read_bytes()
    (server.folder / CLIPS).write_bytes(content[:-2] + b" }")
    with pytest.raises(InputError, match=rf"{server.url}/clips\.jsonl: MD5 \w+, expected \w+; check the address"):
        mirror_features(server.url, tmp_path, "train")
    (server.folder / CLIPS).write_bytes(content)
    assert_whole(mirror_features(server.url, tmp_path, "train"), server)


def test_an_index_that_is_none(server: Server, tmp_path: Path) -> None:
    (server.folder / INDEX).write_text("<html>")
    with pytest.raises(
        InputError, match=rf"{server.url}/index\.json: not JSON .*; publish features of this version of dtc there"
    ):
        mirror_features(server.url, tmp_path, "train")
    (server.folder / INDEX).write_text(json.dumps({"format": 99}))
    with pytest.raises(InputError, match=rf"{server.url}/index\.json: format: found 99"):
        mirror_features(server.url, tmp_path, "train")
    with pytest.raises(InputError, match=r"/my%20voice/index\.json: HTTP 404 Not Found, expected 200; check the addr"):
        mirror_features(server.url.removesuffix("/features"), tmp_path, "train")
    assert names(tmp_path) == ["served"]


def test_a_checksum_that_is_none(server: Server, tmp_path: Path) -> None:
    md5 = json.loads((server.folder / INDEX).read_text())["shards"][0]["md5"]
    edit_index(server, md5, "unknown")
    with pytest.raises(InputError, match="md5: found 'unknown'"):
        mirror_features(server.url, tmp_path, "train")


def test_an_address_keeps_its_query(server: Server, tmp_path: Path) -> None:
    assert_whole(mirror_features(f"{server.url}?token=a/b", tmp_path, "train"), server)


@pytest.mark.parametrize(
    "location",
    [
        "pipe:touch opened", "pipe: touch opened", "PIPE:touch opened", "file:touch opened |", "file:///data/features",
        "gs://bucket/features", "s3://bucket/features", "ftp://host/features", "hdfs:features", "data:features",
        "ssh://host/features", "git+https://host/features", "javascript:opened", "ais:bucket",
    ],
)  # fmt: skip
def test_no_other_scheme_is_opened(location: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for given in (location, Path(location)):
        with pytest.raises(InputError) as error:
            ShardLoader(given, "train", 8)
        scheme = location.split(":")[0]
        assert str(error.value) == (
            f"{given}: {scheme}: is not opened, expected a folder, or an http(s) address of one; "
            "a folder whose name has a colon is ./NAME"
        )
    assert not names(tmp_path)


def test_a_folder_with_a_colon_in_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_features(tmp_path / "gs:features", 2)
    assert open_features("./gs:features", "train")[0] == Path("gs:features")
    assert len(ShardLoader("./gs:features", "train", 2).places) == 2


def test_a_folder_without_features(tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"index\.json: no such file, expected the index of the features; run `dtc pre"
    ):
        open_features(tmp_path, "train")
