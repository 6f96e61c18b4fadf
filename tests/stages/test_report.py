"""`dtc report`: the page of what is there, and the comparison with a revision of git, in a real repository."""

import json
from pathlib import Path

import pytest

from dtc.report.content import ComparisonRow, Report, save_report
from dtc.seal import check_seal
from stages import paths
from tests.conftest import Project
from tests.stages.evaluated import STRESS, evaluated, git

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
DUEL = {"votes": 12, "listeners": 3, "texts": 4, "voice": {"ab_votes": 5, "verdict": "undecided", "more_votes": 40}}


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
