"""`dtc report`: the page of what is there, and the comparison with a revision of git, in a real repository."""

import hashlib
import json
import subprocess
from pathlib import Path

import pytest
import torch
import yaml

from dtc.audio import wav_bytes
from dtc.errors import InputError
from dtc.report.content import ComparisonRow, Rendition, Report, ReportClip, save_report
from dtc.seal import check_seal
from stages import paths
from stages.cli_base import console
from stages.report import report
from tests.conftest import Project

PAGE = Path("results/report/index.html")
SINCE = Path("runs/report/index.html")
CONTEST = {
    "name": "vocoder",
    "blames": "the vocoder",
    "first": "recording",
    "second": "copy_synthesis",
    "told_apart": True,
    "telling_hz": [3000, 7000],
    "auc": 0.93,
    "auc_low": 0.88,
    "auc_high": 0.97,
    "equal_error_rate": 0.12,
    "equal_error_rate_low": 0.05,
    "equal_error_rate_high": 0.2,
    "pairs_right": 0.95,
    "pairs_right_low": 0.9,
    "pairs_right_high": 1.0,
    "p": 0.002,
    "pairs": [["a", "a"]],
    "scores": {"network": [[0.1, 0.2]]},
    "surest": [],
}
STRESS = dict.fromkeys(("texts", "texts_with_word_errors", "refused", "not_ended", "words", "word_errors"), 1)
STRESS |= dict.fromkeys(("skipped", "repeated", "run_on"), 0)
DUEL = {"votes": 12, "listeners": 3, "texts": 4, "voice": {"ab_votes": 5, "verdict": "undecided", "more_votes": 40}}


def git(*arguments: str) -> None:
    identity = ("-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "commit.gpgsign=false")
    subprocess.run(["git", *identity, *arguments], check=True, capture_output=True)


def evaluated(distortion: float, *, epochs: int = 1) -> None:
    """Write what an evaluation of six utterances leaves, and a dvc.lock."""
    paths.UTTERANCES.parent.mkdir(exist_ok=True)
    rows = [f"{n},two,two,ended,1,two,{distortion + n / 100}" for n in range(6)]
    header = "id,text,spoken_text,status,attempts,heard_in_synthesis,mel_cepstral_distortion_db"
    paths.UTTERANCES.write_text("\n".join([header, *rows, ""]))
    paths.EVALUATION.parent.mkdir(exist_ok=True)
    paths.EVALUATION.write_text(json.dumps({"mel_cepstral_distortion_db": distortion, "clips": 4}))
    md5 = hashlib.md5(paths.UTTERANCES.read_bytes()).hexdigest()
    evaluate = {
        "cmd": "dtc evaluate",
        "deps": [{"path": "dtc/audio.py", "md5": f"{epochs}"}, {"path": "data/features", "md5": "1.dir"}],
        "params": {"params.yaml": {"training": {"epochs": epochs}, "seed": 1}},
        "outs": [{"path": "results/utterances.csv", "md5": md5}, {"path": "models/VOICE.md", "md5": "3"}],
    }
    Path("dvc.lock").write_text(yaml.safe_dump({"schema": "2.0", "stages": {"evaluate": evaluate}}))
    sound = Path("sound.wav")
    sound.write_bytes(wav_bytes(torch.tensor([0.0, 0.5, -0.5]), 16000))
    clips = [ReportClip(str(n), "two", "two", Rendition(sound, "two")) for n in range(6)]
    save_report(Report("tones", "Six.", 16000, 256, {}, clips=clips, origin={"voice": "0123"}), {}, paths.EVALUATED)


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


def test_the_same_texts_are_compared_with_those_of_a_revision(repository: Project) -> None:
    lines = repository.run("report", "--compare", "v1").splitlines()
    assert lines[0].startswith(f"report: {SINCE}, 0.")
    assert lines[1:] == [
        "report: Word errors since v1: no difference seen, 0 (0 to 0) in 6 texts",
        "report: Attempts since v1: no difference seen, 0 (0 to 0) in 6 texts",
        "report: Mel-cepstral distortion since v1: better, -0.5 (-0.5 to -0.5) in 6 texts",
    ]
    page = " ".join(SINCE.read_text().split())
    for shown in (
        "training.epochs",
        "evaluate.mel_cepstral_distortion_db",
        "dtc/audio.py",
        "By dvc.lock, 1 of 2 outputs are equal",
    ):
        assert shown in page
    assert "<code>seed</code>" not in page
    assert "data/features" not in page, "the data are no code"
    assert not PAGE.exists(), "what depends on the history of git is no output of a stage"


def test_a_project_in_a_folder_of_a_repository_is_compared_with_its_own_files(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    git("init", "--quiet")
    Path("voice").mkdir()
    monkeypatch.chdir("voice")
    evaluated(2.0)
    git("add", "--all")
    git("commit", "--quiet", "--message", "first")
    assert "no difference seen" in project.run("report", "--compare", "HEAD")
    assert "Nothing: settings, code and all 2 outputs" in " ".join(SINCE.read_text().split())


@pytest.mark.parametrize(
    ("revision", "line"),
    [
        (
            "v2",
            "--compare: git knows no revision v2, expected a commit, a branch or a tag of the project whose dvc.lock",
        ),
        (
            "empty",
            "--compare: no dvc.lock at empty, expected a commit, a branch or a tag of the project whose dvc.lock",
        ),
        ("--help", "--compare: git knows no revision --help, expected a commit"),
        ("broken", "dvc.lock at "),
    ],
)
def test_a_revision_without_results_is_refused_and_the_remedy_names_some(
    repository: Project, revision: str, line: str
) -> None:
    git("checkout", "--quiet", "--orphan", "empty")
    git("rm", "--quiet", "--cached", "--force", "dvc.lock")
    git("commit", "--quiet", "--message", "empty")
    locked = Path("dvc.lock").read_text()
    Path("dvc.lock").write_text("<<<<<<< HEAD\n")
    git("add", "dvc.lock")
    git("commit", "--quiet", "--message", "broken")
    git("tag", "broken")
    Path("dvc.lock").write_text(locked)
    if revision == "empty":
        git("reset", "--quiet", "--soft", "HEAD~1")
    refusal = repository.run("report", "--compare", revision, code=2)
    assert refusal.startswith(line)
    assert refusal.endswith("; `git log --oneline -- dvc.lock` lists some")


def test_without_a_repository_or_without_git_the_refusal_says_so(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    evaluated(2.0)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(Path.cwd().parent))
    assert project.run("report", "--compare", "HEAD", code=2).startswith("--compare: not a git repository")
    monkeypatch.setenv("PATH", "")
    assert project.run("report", "--compare", "HEAD", code=2).startswith("--compare: git is not installed")
    project.run("report", "--open")
    assert "Changes since" not in SINCE.read_text()


def test_a_revision_whose_evaluation_is_not_committed_has_no_text_to_compare(repository: Project) -> None:
    git("rm", "--quiet", "--cached", str(paths.UTTERANCES))
    git("commit", "--quiet", "--message", "older")
    lines = repository.run("report", "--compare", "HEAD").splitlines()
    assert lines[1:] == [
        "report: no text is in both tables of utterances (results/utterances.csv), so none is compared"
    ]


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


def test_the_page_is_opened_with_the_changes_since_the_last_commit(
    repository: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser = Path("browser").resolve()
    browser.write_text('#!/bin/sh\necho "$1" > opened\n')
    browser.chmod(0o755)
    monkeypatch.setenv("BROWSER", f"{browser} %s")
    monkeypatch.setattr("webbrowser._tryorder", None)  # it reads BROWSER once in a process
    assert len(repository.run("report", "--open").splitlines()) == 1
    assert Path("opened").read_text().strip() == SINCE.resolve().as_uri()
    assert "Changes since HEAD (" in SINCE.read_text()
    Path("dvc.lock").unlink()
    repository.run("report", "--open")
    assert "Changes since" not in SINCE.read_text(), "there is nothing to compare"


def test_the_page_shows_what_judge_and_duel_left_and_equal_results_give_equal_pages(repository: Project) -> None:
    repository.run("report")
    bare = PAGE.read_bytes()
    paths.JUDGE.mkdir()
    (paths.JUDGE / "contests.json").write_text(json.dumps([CONTEST]))
    paths.DUEL.write_text(json.dumps(DUEL))
    paths.STRESS_METRICS.write_text(json.dumps(STRESS | {"kinds": {"one word": STRESS}}))
    paths.STRESS.write_text("kind,text,status,heard,word_errors\none word,two,refused,,\none word,one,ended,nine,1\n")
    repository.run("report")
    page = PAGE.read_bytes()
    assert page.index(b"one</bdi><small>one word; ended</small>") < page.index(
        b"two</bdi><small>one word; refused</small>"
    )
    assert b"mostly by 3000" in page
    assert b"12 votes of 3 listeners" in page
    assert b"mostly by 3000" not in bare
    assert check_seal(page) == "intact"
    repository.run("report")
    assert PAGE.read_bytes() == page
    assert b"Changes since" not in page


def test_dvc_gets_curves_word_errors_and_headline_figures(repository: Project) -> None:
    curve = Path("results/curves/vocoder.csv")
    curve.parent.mkdir()
    curve.write_text("step,split,loss,mel\n10,train,2.5,1\n20,train,2,1\n20,validation,3,1\n")
    rates = [ComparisonRow("recording", {"word_error_rate": 0.01732}), ComparisonRow("synthesis", {})]
    metrics = {"word_error_rate": 0.5, "word_error_rate_low": 0.4, "words": 7}
    save_report(
        Report("tones", "Six.", 16000, 256, metrics, comparison=rates, curves={"vocoder": curve}), {}, paths.EVALUATED
    )
    paths.JUDGE.mkdir()
    (paths.JUDGE / "contests.json").write_text(json.dumps([CONTEST]))
    voice = DUEL["voice"] | {"fooling_rate": 0.7, "fooling_rate_low": 0.6, "fooling_rate_high": 0.8}
    paths.DUEL.write_text(json.dumps(DUEL | {"voice": voice}))
    repository.run("report")
    files = {str(path.relative_to(paths.PLOTS)): path.read_text() for path in sorted(paths.PLOTS.rglob("*.csv"))}
    assert files == {
        "vocoder/train.csv": "step,loss\n10,2.5\n20,2.0\n",
        "vocoder/validation.csv": "step,loss\n20,3.0\n",
        "word_errors.csv": "speech,word errors in percent\nrecording,1.732\n",
    }
    expected = {"word_error_rate": 0.5, "judge_vocoder_auc": 0.93, "fooling_rate": {"voice": 0.7}}
    assert json.loads(paths.HEADLINE.read_text()) == expected
    (paths.PLOTS / "mine.csv").write_text("a\n")
    assert repository.run("report", code=2).startswith("results/plots: holds what dtc did not write (mine.csv)")


def test_results_of_another_version_are_named(repository: Project) -> None:
    paths.DUEL.write_text(json.dumps(DUEL | {"voice": {}}))
    line = "results/metrics/duel.json: cannot be read (KeyError: 'ab_votes'), expected what `dtc duel --count` of this "
    assert repository.run("report", code=2).startswith(line)
    paths.DUEL.unlink()
    (paths.EVALUATED / "report.json").unlink()
    assert repository.run("report", code=2).startswith("results/evaluation: holds no evaluation, expected report.json ")
