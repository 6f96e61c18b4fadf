"""Features where they lie: a local folder, or one on a web server, of which a verified copy is kept.

Nothing else that looks like an address is opened. Tar readers of the field take `pipe:COMMAND` for a location, which
makes whoever writes a params file or an index run programs on the reader's machine; here every such scheme is refused.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import quote, urlsplit

from filelock import FileLock

from dtc.config import parse_section
from dtc.errors import InputError
from pipeline.corpora import CorpusConfig
from pipeline.download import PATIENCE, Advance, Patience, Tell, fetch
from pipeline.shards import CLIPS, INDEX, ShardIndex, read_index, verify_shards
from pipeline.split import Split

SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):")  # two letters or more: C:\ is a drive
REMEDY = "check the address, the network and the room on the disk, and run it again"


def open_features(location: str | Path, split: Split) -> tuple[Path, ShardIndex]:
    """The folder of features, mirrored where the location is a URL, and its index; the split's shards verified."""
    scheme = SCHEME.match(str(location))
    if scheme is None:
        folder = Path(location)
        index = read_index(folder)
        verify_shards(folder, index, split)
        return folder, index
    if scheme[1].lower() not in ("http", "https"):
        remedy = "a folder whose name has a colon is ./NAME"
        raise InputError(location, f"{scheme[1]}: is not opened", "a folder, or an http(s) address of one", remedy)
    folder = mirror_features(str(location), default_cache(), split)
    return folder, read_index(folder)


def default_cache() -> Path:
    """Where mirrors are kept, for all projects of a user."""
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "dtc/features"


def mirror_features(
    url: str, cache: Path, split: Split, advance: Advance = lambda done, total: None,
    tell: Tell = lambda message: None, patience: Patience = PATIENCE,
) -> Path:  # fmt: skip
    """Folder in `cache`, named by the features' fingerprint, with index, places and the split's shards of a URL.

    What is there and right is kept, what was interrupted is gone on with. Several processes may ask at once: one
    fetches. Raises InputError for what cannot be had, or is not what the index says.
    """

    def get(name: str, folder: Path, md5: str | None) -> None:
        _fetch_file(_address(url, name), folder / name, md5, advance, tell, patience)

    cache.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix="index-", dir=cache) as temporary:
        incoming = Path(temporary)
        get(INDEX, incoming, None)
        index = _read_fetched_index(incoming, url)
        folder = cache / index.fingerprint
        with FileLock(cache / f"{index.fingerprint}.lock"):
            get(CLIPS, folder, index.clips_md5)
            for shard in index.shards:
                if shard.split == split:
                    get(shard.file, folder, shard.md5)
            (incoming / INDEX).replace(folder / INDEX)  # last: a folder without an index is not read
    return folder


def _read_fetched_index(incoming: Path, url: str) -> ShardIndex:
    """The index, whose shards' names are names, not paths. A fault is the server's: it is named by its address."""
    try:
        return read_index(incoming)
    except InputError as error:
        where = error.where.replace(str(incoming / INDEX), _address(url, INDEX))
        raise InputError(where, error.found, error.expected, "publish features of this version of dtc there") from None


def _address(url: str, name: str) -> str:
    parts = urlsplit(url)
    return parts._replace(path=f"{parts.path.rstrip('/')}/{quote(name)}").geturl()


def _fetch_file(url: str, target: Path, md5: str | None, advance: Advance, tell: Tell, patience: Patience) -> None:
    """As a corpus's archive is fetched; but what is said of corpus.source would not help here."""
    tree = {"name": "features", "source": url, "mirrors": (), "md5": md5, "sha256": None, "format": "auto"}
    source = parse_section({**tree, "checksums": {}}, CorpusConfig, url)
    part = target.with_name(f"{target.name}.part")
    try:
        fetch(source, target, part, advance, tell, patience)
    except InputError as error:
        raise InputError(error.where, error.found, error.expected, REMEDY) from None
