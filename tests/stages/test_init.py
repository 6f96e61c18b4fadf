"""`dtc init`: what it writes, what it keeps, what it asks, and what an upgrade of dtc changes."""

import os
import pty
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from stages.dvc_dependencies import STAGES, TEMPLATE, of_project
from stages.init import PRESETS, TEMPLATES
from stages.params import load_params
from tests.conftest import REPOSITORY, Project, write_corpus

OLD_CODE = '"0000000000000000"'


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A folder with recordings, and no project in it."""
    monkeypatch.chdir(tmp_path)
    return Project(tmp_path, write_corpus(tmp_path / "recordings"))


def test_the_templates_are_the_repository_s_own_files() -> None:
    assert TEMPLATE.read_text() == of_project((REPOSITORY / "dvc.yaml").read_text()), (
        "run `python -m stages.dvc_dependencies`"
    )
    for name in ("lexicon.txt", "splits/README.md"):
        assert (TEMPLATES / name).read_text() == (REPOSITORY / name).read_text(), name


def test_a_project_of_own_recordings(elsewhere: Project) -> None:
    said = elsewhere.run("init", "My voice!", "--recordings", "recordings", "--device", "cuda:1")
    folder = elsewhere.root / "My voice!"
    assert "ready to train" in said
    assert said.splitlines()[-4:] == [
        "    cd 'My voice!'",
        "    dtc doctor",
        "    dvc repro",
        '    dtc say "Whatever you like."',
    ]
    params = load_params(folder / "params.yaml", "corpus")
    assert (params.corpus.name, params.corpus.source) == ("My-voice", str(elsewhere.corpus))
    text = (folder / "params.yaml").read_text()
    assert "mirrors: []  # further URLs of the same file" in text, "comments are kept"
    commands = {
        name: stage["cmd"] for name, stage in yaml.safe_load((folder / "dvc.yaml").read_text())["stages"].items()
    }
    assert commands == {
        "download": "dtc download",
        "verify": "dtc verify",
        "preprocess": "dtc preprocess",
        "train_acoustic": "dtc train acoustic --device cuda:1",
        "align": "dtc align --device cuda:1",
        "train_vocoder": "dtc train vocoder --device cuda:1",
        "evaluate": "dtc evaluate --device cuda:1",
        "judge": "dtc judge",
        "report": "dtc report",
    }
    assert (folder / ".git").is_dir()
    assert (folder / ".dvc/config").is_file()
    ignored = subprocess.run(
        ["git", "status", "--short", "--untracked-files=all"], cwd=folder, capture_output=True, text=True
    )
    assert {line[3:] for line in ignored.stdout.splitlines() if not line.startswith("A  .dvc")} == {
        ".gitignore",
        "README.md",
        "code.yaml",
        "dvc.yaml",
        "lexicon.txt",
        "params.yaml",
        "splits/README.md",
    }
    readme = (folder / "README.md").read_text()
    assert "$" not in readme
    assert f"dtc corpus check {elsewhere.corpus}" in readme


def test_nothing_of_the_user_s_is_replaced(elsewhere: Project) -> None:
    subprocess.run(["git", "init", "--quiet"], check=True)
    folder = elsewhere.root / "voice"
    folder.mkdir()
    for name in ("README.md", ".gitignore", "params.yaml"):
        (folder / name).write_text("mine\n")
    assert elsewhere.run("init", "voice", code=2) == (
        "voice: has params.yaml already, expected a folder without a project; "
        "name another folder; --update notes the code of an upgraded dtc in a project"
    )
    assert sorted(path.name for path in folder.iterdir()) == [".gitignore", "README.md", "params.yaml"]
    (folder / "params.yaml").unlink()
    said = elsewhere.run("init", "voice", "--preset", "numbers")
    for name in ("README.md", ".gitignore"):
        assert f"init: {name} is kept as it is; dtc would write " in said
        assert (folder / name).read_text() == "mine\n"
    assert not (folder / ".git").exists(), "it is in a repository already"
    assert (folder / "params.yaml").read_text() == (PRESETS / "numbers.yaml").read_text()
    assert elsewhere.run("init", "voice", "--preset", "numbers") == said, "as after an interruption"


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["voice", "--preset", "voce"], r"--preset: found 'voce', expected one of .*numbers.*; did you mean voice\?"),
        (
            ["voice", "--recordings", "nowhere"],
            "--recordings: nowhere: no such file or folder, expected a folder of .*",
        ),
        (["voice", "--device", "gpu"], "--device: found 'gpu', expected auto, cpu, cuda or cuda:N"),
        (["--update", "."], "code.yaml: no such file, expected the folder of a project that `dtc init` has made"),
        (["voice", "--update", "--device", "cpu"], "--update: given together with what it keeps; .*"),
        (["voice", "--update", "--preset", "numbers"], "--update: given together with what it keeps; .*"),
    ],
)
def test_wrong_options_are_refused_before_anything_is_written(
    elsewhere: Project, arguments: list[str], line: str
) -> None:
    said = elsewhere.run("init", *arguments, code=2)
    assert re.fullmatch(line, said), said
    assert not (elsewhere.root / "voice").exists()


def test_recordings_that_are_not_ready_are_named_and_the_project_is_made(elsewhere: Project) -> None:
    shutil.rmtree(elsewhere.corpus / "wavs")
    said = elsewhere.run("init", "voice", "--recordings", "recordings")
    assert f"init: {elsewhere.corpus}: " in said
    assert f"    dtc corpus check {elsewhere.corpus}" in said
    assert (elsewhere.root / "voice/params.yaml").is_file()


def test_git_that_fails_is_named_with_the_command_to_repeat(elsewhere: Project) -> None:
    folder = elsewhere.root / "voice"
    folder.mkdir()
    (folder / ".git").write_text("broken")
    said = elsewhere.run("init", "voice", "--recordings", "recordings", code=2)
    assert re.fullmatch(
        r"git init: fatal: .*; the project's files are written; mend this, and run `git init` in .*", said
    )
    (folder / ".git").unlink()
    assert "is a project of the preset" in elsewhere.run("init", "voice", "--recordings", "recordings"), (
        "or the same again"
    )


def test_on_a_terminal_it_asks_for_what_no_option_gives(elsewhere: Project) -> None:
    ours, theirs = pty.openpty()
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY), "DVC_NO_ANALYTICS": "1"}
    command = [sys.executable, "-P", "-m", "stages", "init", "voice"]
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment) as process:
        os.close(theirs)
        os.write(ours, b"recordings\ncc-by-4.0\n\n\n")
        said = b""
        try:
            while part := os.read(ours, 4096):
                said += part
        except OSError:  # the other end is closed
            pass
        assert process.wait(timeout=60) == 0, said
    os.close(ours)
    assert b"Folder or archive of the recordings [later]: " in said
    assert b"Device to train on: auto, cpu, cuda or cuda:N [auto]: " in said
    assert b"ready to train" in said
    corpus = load_params(elsewhere.root / "voice/params.yaml", "corpus").corpus
    assert (corpus.source, corpus.licence, corpus.consent) == (str(elsewhere.corpus), "cc-by-4.0", None)


def test_an_update_says_which_stages_will_run_again(elsewhere: Project) -> None:
    elsewhere.run("init", "voice", "--preset", "smoke", "--device", "cpu")
    code, pipeline = Path("voice/code.yaml"), Path("voice/dvc.yaml")
    now, text = code.read_text(), pipeline.read_text()
    assert elsewhere.run("init", "--update", "voice").endswith(": as it was\n")
    known = yaml.safe_load(now)
    assert known.keys() == {"dtc", "dvc.yaml", *STAGES}
    code.write_text(
        now.replace(f'evaluate: "{known["evaluate"]}"', f"evaluate: {OLD_CODE}").replace("dtc: ", "dtc: 0.")
    )
    said = elsewhere.run("init", "--update", "voice")
    assert "`dvc repro` will run evaluate again, and what depends on them" in said
    assert (code.read_text(), pipeline.read_text()) == (now, text)
    pipeline.write_text(text + "# mine\n")
    assert "dvc.yaml was changed by hand and is kept; dtc would write " in elsewhere.run("init", "--update", "voice")
    assert pipeline.read_text() == text + "# mine\n"


def test_dvc_runs_only_the_code_that_is_noted(elsewhere: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere.run("init", ".", "--preset", "smoke")
    code = Path("code.yaml")
    known = yaml.safe_load(code.read_text())
    code.write_text(code.read_text().replace(known["download"], OLD_CODE[1:-1]))
    monkeypatch.setenv("DVC_STAGE", "download")
    line = elsewhere.run("download", code=2)
    assert line.startswith("code.yaml: notes the code of download of dtc ")
    assert line.endswith("run `dtc init --update .`, which says what will run again; or install that version again")
    monkeypatch.setenv("DVC_STAGE", "verify")
    assert "data/archive" in elsewhere.run("verify", code=2), "its code is the noted one"
    for damaged in ("- a list\n", "<<<<<<< HEAD\ndtc: 0.1.0\n=======\n"):
        code.write_text(damaged)
        assert "; run `dtc init --update .`, which says" in elsewhere.run("download", code=2)
    monkeypatch.delenv("DVC_STAGE")
    assert f"`dvc repro` will run {', '.join(STAGES)} again" in elsewhere.run("init", "--update", ".")
    assert yaml.safe_load(code.read_text()) == known
