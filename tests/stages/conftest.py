"""What the tests of stages share: the data stages in a row, and a trained voice."""

from pathlib import Path

import pytest

from tests.conftest import Project, write_corpus


def prepare(project: Project) -> None:
    """Recordings → features."""
    for command in ("download", "verify", "preprocess"):
        project.run(command)


@pytest.fixture(scope="session")
def voice(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with both models trained for one epoch: noise, but a voice."""
    root = tmp_path_factory.mktemp("voice")
    project = Project(root, write_corpus(root / "recordings"))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        project.write_params()
        prepare(project)
        project.run("train", "acoustic", "--device", "cpu")
        project.run("train", "vocoder", "--device", "cpu")
    return root
