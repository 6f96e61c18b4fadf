"""What the tests of downloads share: where an archive goes, and a server that has it."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.pipeline.fetching import BODY, Target
from tests.pipeline.unreliable_server import Server, serving


@pytest.fixture
def target(tmp_path: Path) -> Target:
    return Target(tmp_path)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with serving(BODY) as made:
        yield made


@pytest.fixture
def write(tmp_path: Path) -> Callable[[bytes], Path]:
    """`write(content)` writes a file without a suffix: an archive is recognised by its content."""

    def write(content: bytes) -> Path:
        (tmp_path / "voice").write_bytes(content)
        return tmp_path / "voice"

    return write


@pytest.fixture
def corpus(tmp_path: Path, make_corpus: Callable[..., Path]) -> Path:
    """A folder of three clips of other durations and pitches."""
    return make_corpus(tmp_path / "voice", {"a": "one", "b": "two", "c": "three"})
