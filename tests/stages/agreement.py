"""Make sure that `dtc corpus check` of a source and `dtc verify` of it, downloaded, say the same."""

from pathlib import Path

from typer.testing import CliRunner

from pipeline.manifest import read_manifest
from stages import paths
from stages.cli import app
from tests.conftest import Project

IDS = [f"clip-{number:03d}" for number in range(12)]


def verdict(*arguments: str) -> tuple[int, list[str], str]:
    """Exit code of a command, its lines on standard output, and its line on standard error without `dtc: `."""
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code in (0, 2), f"{result.output}{result.exception!r}"
    assert result.stderr.count("\n") == (result.exit_code == 2), "one line where it fails"
    return result.exit_code, result.stdout.splitlines(), result.stderr.removeprefix("dtc: ").strip()


def faults(lines: list[str]) -> list[str]:
    """What stands in a list of faults, without the places, which differ between a folder and its archive."""
    return [line.partition(": ")[2] for line in lines if line.startswith("  ") and ": " in line]


def agreed(project: Project, source: Path | None = None) -> tuple[int, list[str], str]:
    """What check says of a source, after making sure that download and verify come to the same verdict."""
    source = source or project.corpus
    project.write_params({"corpus.source": str(source)})
    checked = verdict("corpus", "check", str(source))
    downloaded = verdict("download")
    verified = verdict("verify") if downloaded[0] == 0 else downloaded
    assert checked[0] == verified[0]
    if checked[0] == 0:
        assert faults(checked[1]) == []
    elif ": not ready" not in checked[2]:
        assert checked[2].partition(": ")[2] == verified[2].partition(": ")[2]
    else:
        one = verified[2].partition(": ")[2]
        assert faults(checked[1]) == (faults(verified[1]) or [one])
    return checked


def ids_kept() -> list[str]:
    return [row.id for row in read_manifest(paths.MANIFEST)]
