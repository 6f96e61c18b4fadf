"""What the tests of downloads share: where an archive goes, and a server that has it."""

from collections.abc import Iterator
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
