"""Open a folder of features on this disk, or at an address that fsspec opens; keep verified copies of remote files.

Only addresses of file stores are opened. Readers of tars often accept `pipe:COMMAND` as a location, with which whoever
writes a params file or an index would run programs on the reader's machine; fsspec has schemes that do so, and chains
of schemes (`simplecache::pipe:`). All of them are refused before fsspec is called.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote, urlsplit

from filelock import FileLock

from dtc.errors import InputError, reason_of
from dtc.provenance import md5_of
from pipeline.shard_reader import FeatureFolder
from pipeline.shards import CLIPS, INDEX, ShardIndex, parse_json, read_index, verify_file

SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):")  # two letters or more: C:\ is a drive
OPENED = ("http", "https", "s3", "gs", "gcs", "az", "abfs", "memory")
WAITS_S = (1.0, 2.0, 4.0, 8.0)  # between the attempts to read a file
TIMEOUT_S = 30.0  # of a connection, and of a server that sends nothing
REMEDY = "check the address, the network and the free space of the disk, and run it again"

Result = TypeVar("Result")


def open_features(location: str | Path) -> FeatureFolder:
    """Open a folder of features: a path, or an address such as https://host/features or s3://bucket/features.

    Raises InputError where there is no index, or the address is of a kind that is not opened.
    """
    scheme = SCHEME.match(str(location))
    if scheme is None:
        return FeatureFolder(Path(location), read_index(Path(location)))
    if scheme[1].lower() not in OPENED or "::" in str(location):
        expected = f"a folder, or an address that starts with one of {', '.join(OPENED)}"
        remedy = "write a folder whose name has a colon as ./NAME"
        raise InputError(location, f"addresses of {scheme[1]}: are not opened", expected, remedy)
    return RemoteFeatures(str(location), default_cache())


def default_cache() -> Path:
    """Return the folder in which copies of remote features are kept, for all projects of a user."""
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "dtc/features"


class RemoteFeatures(FeatureFolder):
    """A remote folder of features. Each file is fetched whole when it is first asked for, and kept if its MD5 is right.

    The copies are in `cache`, in a folder named by the fingerprint of the features. Several processes may use it at
    once: one fetches a file, the others wait for it.
    """

    def __init__(self, url: str, cache: Path) -> None:
        self._url = url
        where = _address(url, INDEX)
        content: bytes = _attempted(where, lambda store, path: store.cat_file(path))
        index = parse_json(content, ShardIndex, where, "publish features of this version of dtc there")
        super().__init__(cache / index.fingerprint, index)
        self._fetch(CLIPS, index.clips_md5)

    def shard(self, file: str) -> Path:
        """Return the path of a copy of the shard, fetched if there is none, or its MD5 is not that of the index."""
        return self._fetch(file, self._shards[file].md5)

    def _fetch(self, name: str, md5: str) -> Path:
        path, url = self.folder / name, _address(self._url, name)
        part = path.with_name(f"{name}.part")
        self.folder.mkdir(parents=True, exist_ok=True)
        with FileLock(self.folder.with_name(f"{self.folder.name}.lock")):
            try:
                verify_file(path, md5, "", "")
            except InputError:
                _attempted(url, lambda store, remote: store.get_file(remote, str(part)))
                if (found := md5_of(part)) != md5:
                    part.unlink()
                    raise InputError(url, f"MD5 {found}", md5, REMEDY) from None
                part.replace(path)
        return path


def _address(url: str, name: str) -> str:
    """Return the address of a file in the folder at `url`, which may have a query."""
    parts = urlsplit(url)
    return parts._replace(path=f"{parts.path.rstrip('/')}/{quote(name)}").geturl()


def _attempted(url: str, read: Callable[[Any, str], Result]) -> Result:
    """Return what `read` returns for the file store of an address and the path in it; try again where it fails."""
    store, path = _open_store(url)
    for wait_s in (*WAITS_S, None):
        try:
            return read(store, path)
        except FileNotFoundError:
            raise InputError(url, "no such file", "a file of features", REMEDY) from None
        except PermissionError as error:
            raise InputError(url, f"may not be read ({reason_of(error)})", remedy=REMEDY) from None
        except Exception as error:  # each of fsspec's file stores has errors of its own
            if wait_s is None:
                attempts = len(WAITS_S) + 1
                raise InputError(url, f"{reason_of(error)} ({attempts} attempts)", "the file", REMEDY) from None
            time.sleep(wait_s)
    raise AssertionError("the last attempt returns or raises")


def _open_store(url: str) -> tuple[Any, str]:
    import fsspec

    options: dict[str, Any] = {}
    if urlsplit(url).scheme in ("http", "https"):
        import aiohttp

        # By default aiohttp gives up after five minutes, however much has come, and ignores the system's proxies.
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=TIMEOUT_S, sock_read=TIMEOUT_S)
        options["client_kwargs"] = {"timeout": timeout, "trust_env": True}
    try:
        return fsspec.core.url_to_fs(url, **options)
    except ImportError as error:  # as "Install s3fs to access S3"
        found = f"fsspec cannot open it ({error})"
        raise InputError(url, found, remedy="install the package in the environment of dtc") from None
