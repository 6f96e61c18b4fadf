"""What the tests of stages share: the data stages in a row, a trained voice, and a repository."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.conftest import Project, write_corpus
from tests.stages.evaluated import evaluated, git


def prepare(project: Project) -> None:
    """Recordings → features."""
    for command in ("download", "verify", "preprocess"):
        project.run(command)


@contextmanager
def prepared_project(root: Path, edits: Mapping[str, object] = {}) -> Iterator[Project]:
    """A project with features in a folder, in which the test is as long as this context is open."""
    project = Project(root, write_corpus(root / "recordings"))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        project.write_params(edits)
        prepare(project)
        yield project


@pytest.fixture(scope="session")
def voice(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with both models trained for one epoch: noise, but a voice."""
    root = tmp_path_factory.mktemp("voice")
    with prepared_project(root) as project:
        project.run("train", "acoustic", "--device", "cpu")
        project.run("train", "vocoder", "--device", "cpu")
    return root


@pytest.fixture
def repository(project: Project) -> Project:
    """A project whose first evaluation is committed, and which has a second one with less distortion."""
    git("init", "--quiet")
    Path(".gitignore").write_text("/runs/\n/results/report/\n")
    evaluated(2.0)
    git("add", "--all")
    git("commit", "--quiet", "--message", "first")
    git("tag", "v1")
    evaluated(1.5, epochs=2)
    return project
