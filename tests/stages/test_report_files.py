"""`dtc report` where files are damaged or missing, or not those that a comparison needs."""

import json
from pathlib import Path

import pytest

from dtc.errors import InputError
from stages import paths
from stages.cli_base import console
from stages.report import report
from tests.conftest import Project
from tests.stages.evaluated import STRESS, evaluated, git

SINCE = Path("runs/report/index.html")


@pytest.mark.parametrize(
    ("path", "content", "fault"),
    [
        (paths.JUDGE_METRICS, '{"vocoder": {', "run `dtc judge` again"),
        (paths.DUEL, "<<<<<<< HEAD\n{}", "run `dtc duel --count` again"),
        (paths.STRESS_METRICS, "[1]", "run `dtc evaluate --stress` again"),
        (paths.VOCODER_METRICS, "", "run `dtc train vocoder` again"),
    ],
)
def test_damaged_metrics_are_named_with_the_command_that_writes_them(
    repository: Project, path: Path, content: str, fault: str
) -> None:
    path.write_text(content)
    for command in (["report"], ["report", "--compare", "HEAD"]):
        refusal = repository.run(*command, code=2)
        assert refusal.startswith(f"{path}: cannot be read (")
        assert refusal.endswith(fault)
    git("add", "--force", str(path))
    git("commit", "--quiet", "--message", "damaged")
    path.unlink()
    refusal = repository.run("report", "--compare", "HEAD", code=2)
    assert refusal.startswith(f"{path} at ")
    assert refusal.endswith("; compare with another revision")


@pytest.mark.parametrize(
    ("kept", "fault"),
    [
        (12, "no column spoken_text"),
        (-3, "row 6 has not as many cells as the header"),
    ],
)
def test_a_truncated_table_of_utterances_is_named(repository: Project, kept: int, fault: str) -> None:
    content = paths.UTTERANCES.read_text()
    paths.UTTERANCES.write_text(content[:kept] if kept > 0 else content[: content.rindex(",")])
    line = f"results/utterances.csv: cannot be read ({fault}), expected what `dtc evaluate` of this version writes; run"
    assert repository.run("report", "--compare", "HEAD", code=2).startswith(line)
    assert repository.run("report", "--open").startswith("report: without changes since HEAD: results/utterances.csv: ")


def test_what_is_not_compared_is_said_in_the_terminal_and_on_the_page(repository: Project) -> None:
    lines = paths.UTTERANCES.read_text().splitlines()
    lines = [f"{line},{'new' if number == 0 else number}" for number, line in enumerate(lines[:-2])]
    paths.UTTERANCES.write_text("\n".join([*lines, ""]))
    said = repository.run("report", "--compare", "v1").splitlines()
    page = " ".join(SINCE.read_text().split())
    assert len([line for line in said if "no difference seen" in line]) == 3, "five texts are too few"
    for note in (
        "outputs here are not those of dvc.lock (results/utterances.csv); run `dvc repro`, as settings, code and ",
        "4 texts are compared, of 6 before and 4 now",
        "not compared, since there is no such measure before: new",
    ):
        assert any(line.startswith(f"report: {note}") for line in said), note
        assert f"{note[0].upper()}{note[1:]}" in page


def test_a_missing_file_is_named_with_the_command_that_writes_it(repository: Project) -> None:
    paths.STRESS_METRICS.write_text(json.dumps(STRESS | {"kinds": {}}))
    assert repository.run("report", code=2) == "results/stress.csv: no such file; run `dtc evaluate --stress`"
    paths.STRESS.write_text("kind,text\n")
    assert repository.run("report", code=2).startswith("results/stress.csv: cannot be read (no column status)")
    paths.STRESS_METRICS.unlink()
    Path("sound.wav").unlink()
    assert repository.run("report", code=2) == "sound.wav: no such file; run `dtc evaluate`"


def test_outside_a_project_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(
        InputError, match=r"holds no evaluation; no params\.yaml is here: go to the folder of a project"
    ):
        report(console())
    assert not list(tmp_path.iterdir())


def test_before_the_first_commit_the_refusal_says_so(project: Project) -> None:
    git("init", "--quiet")
    evaluated(2.0)
    line = project.run("report", "--compare", "HEAD", code=2)
    assert line.startswith("--compare: no commit yet, ")
