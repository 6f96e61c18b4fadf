"""The whole line by real DVC, outside the checkout: a fresh environment with the wheel, a project by `dtc init`.

Preset `smoke` runs on recordings in a folder; then there is nothing to do, then only what a change concerns. Last, another
folder gets the voice from a remote.
"""

import json
import re
import subprocess
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest
import yaml

from dtc import __version__
from pipeline.corpora import embedded_archive
from tests.conftest import edited
from tests.e2e.clone import ROOT
from tests.e2e.installed import Installed, install

pytestmark = pytest.mark.slow
STAGES = ["download", "verify", "preprocess", "train_acoustic", "align", "train_vocoder", "evaluate", "judge", "report"]
# One process for several dry runs: each start of DVC takes a second.
DRY_RUNS = """
import json, pathlib, sys
from dvc.cli import main
for target, params in json.loads(sys.argv[1]):
    pathlib.Path("params.yaml").write_text(params)
    print("next", flush=True)
    assert main(["repro", "--dry", target]) == 0
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    return install(tmp_path_factory.mktemp("wheel"))


def test_the_wheel_has_all_files_of_its_packages(installed: Installed) -> None:
    listed = subprocess.run(["git", "ls-files", "dtc", "pipeline", "stages"], cwd=ROOT, capture_output=True, text=True)
    with zipfile.ZipFile(installed.wheel) as wheel:
        names = set(wheel.namelist())
        [metadata] = [wheel.read(name).decode() for name in names if name.endswith(".dist-info/METADATA")]
    assert set(listed.stdout.split()) - names == set()
    assert {"dtc/py.typed", "pipeline/py.typed", "stages/py.typed"} <= names
    assert [name for name in names if name.endswith("/LICENSE")] == [
        f"dueling_turing_classifier-{__version__}.dist-info/licenses/LICENSE"
    ]
    assert f"\nVersion: {__version__}\n" in metadata
    assert "version" not in tomllib.loads((ROOT / "pyproject.toml").read_text())["project"], "it is in one place"


@pytest.mark.timeout(600)  # all stages twice
def test_the_line_runs_once_and_then_only_what_changed(installed: Installed, tmp_path: Path) -> None:
    _write_recordings(tmp_path)
    said = installed.run(tmp_path, "dtc", "init", "my-voice", "--preset", "smoke", "--recordings", "numbers-1.0")
    assert "ready to train" in said
    project = Project(installed, tmp_path / "my-voice")
    project.edit({"vocoder.train_on": "gta", "evaluate.max_clips": 2})
    assert sorted(project.repro()) == sorted(STAGES)

    folder = project.folder
    metrics = json.loads((folder / "results/metrics/evaluate.json").read_text())
    assert {
        "word_error_rate",
        "copy_synthesis_word_error_rate",
        "recording_word_error_rate",
        "griffin_lim_word_error_rate",
        "mel_cepstral_distortion_db",
        "attention_focus",
        "duration_ratio",
    } <= metrics.keys()
    assert metrics["recording_word_error_rate"] <= 0.1  # two clips, some words
    page = (folder / "results/report/index.html").read_text()
    assert "<audio" in page
    sidecar = json.loads(next((folder / "results/wavs").glob("001-*.json")).read_text())
    index = json.loads((folder / "data/features/index.json").read_text())
    assert sidecar["corpus_md5"] == index["corpus_md5"]

    assert project.repro() == []
    _every_origin_is_verified_and_a_second_run_is_equal(project)
    _dvc_compares_with_the_first_run(project)

    # A vocoder that learns from predicted mels waits for the model that predicts them, and no other one does. A dry run
    # knows no further than the first stage that would run; those before it would not.
    assert project.would_run(
        ("train_vocoder", {"training.acoustic.seed": 2}),
        ("train_vocoder", {"training.acoustic.seed": 2, "vocoder.train_on": "recorded"}),
        ("align", {"vocoder.train_on": "recorded"}),
        ("report", {"evaluate.griffin_lim_iterations": 9}),
        ("report", {"training.vocoder.seed": 2}),
        ("report", {"split.seed": 2}),
    ) == [["train_acoustic"], ["train_vocoder"], ["align"], ["evaluate"], ["train_vocoder"], ["preprocess"]]
    _an_upgrade_says_what_runs_again(project)
    _another_folder_gets_the_voice(project, tmp_path)


def _write_recordings(folder: Path) -> None:
    """Write every fourth clip of the embedded corpus."""
    with tarfile.open(embedded_archive("numbers-1.0")) as corpus:
        _, listing, *clips = corpus.getmembers()
        corpus.extractall(folder, [listing, *clips[::4]])
    rows = (folder / listing.name).read_text().splitlines(keepends=True)
    (folder / listing.name).write_text("".join(rows[::4]))


def _every_origin_is_verified_and_a_second_run_is_equal(project: "Project") -> None:
    wavs = [str(path.relative_to(project.folder)) for path in sorted((project.folder / "results/wavs").glob("*.wav"))]
    verified = project.run("dtc", "provenance", "models", "results/report/index.html", *wavs)
    rows_of_models_card_and_page = 4 + 6 + 7 + 7
    assert verified.count("│ verified │") == rows_of_models_card_and_page + 7 * len(wavs)
    project.commit("The first run")
    locked = yaml.safe_load((project.folder / "dvc.lock").read_text())["stages"]
    outs = {out["path"] for stage in locked.values() for out in stage["outs"]}
    assert {"data/archive", "data/features", "models/acoustic", "models/VOICE.md", "results/wavs"} < outs
    assert f"\nreproduce: {len(outs)} identical\n" in project.run("dtc", "reproduce")


def _dvc_compares_with_the_first_run(project: "Project") -> None:
    """Figures and curves differ from those of the commit, as another vocoder's would."""
    files = [project.folder / "results/metrics/evaluate.json", *(project.folder / "results/plots").rglob("*.csv")]
    before = {file: file.read_text() for file in files}
    for file, text in before.items():
        file.write_text(re.sub(r"\d+\.\d+", lambda number: f"{0.5 * float(number[0]):.6f}", text))
    rows = [line.split() for line in project.run("dvc", "metrics", "diff").splitlines()]
    changed = {(path, name) for path, name, *_ in rows}
    assert ("results/metrics/evaluate.json", "copies.copy_synthesis.log_mel_l1") in changed
    project.run("dvc", "plots", "diff")
    shown = (project.folder / "dvc_plots/index.html").read_text()
    for title in ("loss of the acoustic model", "loss of the vocoder", "word errors"):
        assert f'"text": "{title}"' in shown
    assert '"filename": "validation.csv"' in shown
    assert '"rev": "HEAD"' in shown
    assert "Word errors since HEAD: " in project.run("dtc", "report", "--compare", "HEAD")
    for file, text in before.items():
        file.write_text(text)


def _an_upgrade_says_what_runs_again(project: "Project") -> None:
    with (project.installed.packages / "stages/evaluate.py").open("a") as code:
        code.write("\nEDITED = True\n")
    assert "`dvc repro` will run evaluate again" in project.run("dtc", "init", "--update", ".")
    assert project.would_run(("report", {})) == [["evaluate"]]


def _another_folder_gets_the_voice(project: "Project", tmp_path: Path) -> None:
    project.run("dvc", "remote", "add", "--default", "storage", str(tmp_path / "storage"))
    project.run("dvc", "push", "models/acoustic", "models/vocoder")
    project.commit("The first voice")
    project.run("git", "clone", "--quiet", ".", str(tmp_path / "elsewhere"))
    other = Project(project.installed, tmp_path / "elsewhere")
    other.run("dvc", "pull", "models/acoustic", "models/vocoder")
    other.run("dtc", "say", "call 90210", "--device", "cpu")
    assert (other.folder / "spoken/001-call-90210.wav").is_file()
    assert not (other.folder / "data").exists()


class Project:
    """A project that `dtc init` has made, and commands in it."""

    def __init__(self, installed: Installed, folder: Path) -> None:
        self.installed, self.folder = installed, folder

    def run(self, *command: str, code: int = 0) -> str:
        return self.installed.run(self.folder, *command, code=code)

    def commit(self, message: str) -> None:
        self.run("git", "add", "--all")
        self.run("git", "-c", "user.name=a", "-c", "user.email=a@b.c", "commit", "--quiet", "--message", message)

    def repro(self) -> list[str]:
        """Run `dvc repro`: the stages that it ran."""
        return _running(self.run("dvc", "repro"))

    def edit(self, edits: dict[str, object]) -> None:
        path = self.folder / "params.yaml"
        path.write_text(yaml.safe_dump(edited(yaml.safe_load(path.read_text()), edits)))

    def would_run(self, *changes: tuple[str, dict[str, object]]) -> list[list[str]]:
        """Stages that `dvc repro --dry` names for a target after each change of params.yaml, which is taken back."""
        before = (self.folder / "params.yaml").read_text()
        cases = [(target, yaml.safe_dump(edited(yaml.safe_load(before), edits))) for target, edits in changes]
        said = self.run("python", "-c", DRY_RUNS, json.dumps(cases))
        (self.folder / "params.yaml").write_text(before)
        return [_running(each) for each in said.split("next\n")[1:]]


def _running(said: str) -> list[str]:
    return [line.split("'")[1] for line in said.splitlines() if line.startswith("Running stage")]
