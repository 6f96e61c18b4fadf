"""`dtc doctor`: outside a project, in one without features, in one with features, and where something is missing."""

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from stages import doctor_install, doctor_project, doctor_training
from stages.cli import app
from stages.dvc_dependencies import STAGES
from stages.params import load_params
from tests.conftest import Project, edited


def doctor(*arguments: str) -> tuple[int, dict[str, str], str]:
    """Run `dtc doctor`: exit code, name → fact, and all that was printed. A fault's fact begins with `!!`."""
    done = CliRunner().invoke(app, ["doctor", *arguments])
    found = re.findall(r"(?m)^(!!|  ) (.{16}) (.*)$", done.stdout)
    facts = {name.strip(): f"{mark} {fact}".strip() for mark, name, fact in found}
    return done.exit_code, facts, done.output


def test_outside_a_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    code, facts, _ = doctor()
    assert code == 0
    assert {"Python", "dtc", "PyTorch", "[train]", "processor", "disk"} <= facts.keys()
    assert facts["project"] == f"none in {tmp_path}; `dtc init` makes one"
    assert list(tmp_path.iterdir()) == []


def test_a_device_that_cannot_be_is_refused() -> None:
    code, _, said = doctor("--quick", "--device", "nonsense")
    assert (code, said.strip()) == (2, "dtc: --device: found 'nonsense', expected auto, cpu, cuda or cuda:N")


def test_in_a_new_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert CliRunner().invoke(app, ["init", "--preset", "smoke"]).exit_code == 0
    monkeypatch.setattr(doctor_project, "programs", lambda: ())  # which depend on how the tests are started
    code, facts, said = doctor()
    assert code == 0, said
    assert facts["training"] == "cannot be timed before data/features is there; run `dvc repro preprocess`"
    assert facts["code"] == "as code.yaml notes it"
    assert {name: facts[f"· {name}"] for name in STAGES} == dict.fromkeys(STAGES, "never run")
    text = Path("code.yaml").read_text()
    Path("code.yaml").write_text(re.sub('evaluate: ".*"', 'evaluate: "0000"', text))
    Path("params.yaml").write_text(Path("params.yaml").read_text().replace("embedded:numbers-1.0", "nowhere"))
    code, facts, said = doctor("--quick")
    assert code == 2
    assert said.endswith("dtc: dtc doctor: 2 faults; mend what is marked !!\n")
    assert facts["code"] == "!! code.yaml notes other code of evaluate; run `dtc init --update .`"
    assert facts["recordings"] == "!! nowhere is not there; put the recordings there, or correct corpus.source"
    assert "training" not in facts


def test_wrong_settings_are_a_fault(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor_project, "programs", lambda: ())
    Path("params.yaml").write_text("corpus: 1\n")
    code, facts, _ = doctor("--quick")
    assert code == 2
    assert facts["settings"].startswith("!! params.yaml: ")


def test_a_trained_voice_is_not_timed(voice: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(voice)
    params = load_params(Path("params.yaml"))
    found = [finding.text for finding in doctor_training.training(params, "cpu")]
    assert [re.sub(r"\d+", "N", text) for text in found] == [
        "tacotronN is trained: N steps",
        "vocos is trained: N steps",
    ]
    disk = doctor_project._disk(params)
    assert re.fullmatch(r"about \S+ kB for the data, of which \S+ kB are there \(archive .*, features .*\)", disk.text)


def test_steps_are_timed_where_there_are_features_and_nothing_is_written(
    voice: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(voice)
    monkeypatch.setattr(doctor_training, "STEPS", 3)
    monkeypatch.setattr(doctor_training, "LONGEST_S", float("inf"))  # on a busy machine, fewer steps would be timed
    before = {path: path.stat().st_mtime_ns for path in voice.rglob("*")}
    params = load_params(Path("params.yaml"))
    longer = {
        f"{kind}.{key}": value
        for kind in ("acoustic", "vocoder")
        for key, value in {"epochs": None, "max_steps": 9000}.items()
    }
    tree = edited(params.training.model_dump(mode="json"), longer)
    params = params.model_copy(update={"training": type(params.training).model_validate(tree)})
    acoustic, to_see, vocoder, _ = (finding.text for finding in doctor_training.training(params, "cpu"))
    for text, model in ((acoustic, "tacotron2"), (vocoder, "vocos")):
        assert re.fullmatch(
            rf"{model}: 9,000 steps in about \S+ (min|h) \(\S+ s each in 3 steps timed on cpu\), \d\.\d GB of memory, 0\.0 GB of disk",
            text,
        ), text
    assert to_see == f"to be seen: {doctor_training.TO_SEE['tacotron2']}"
    assert {path: path.stat().st_mtime_ns for path in voice.rglob("*")} == before


def test_what_is_missing_is_named_with_the_command_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor_install, "_is_installed", lambda name: name != "faster-whisper")
    assert {extra for extra, missing in doctor_install.missing_of_extras().items() if missing} == {"ear"}

    def refuse(name: str) -> None:
        raise OSError("Could not load this library: torchaudio.so\nmore")

    monkeypatch.setattr(doctor_install, "import_module", refuse)
    facts = {finding.name: finding for finding in doctor_install.installation()}
    assert facts["[ear]"].text.endswith("missing faster-whisper: pip install 'dueling-turing-classifier[ear]'")
    assert "which do not match (Could not load this library: torchaudio.so)" in facts["PyTorch"].text
    assert re.fullmatch(r"pip install torch==\S+ torchaudio==\S+", facts["PyTorch"].remedy)


def test_programs_are_those_of_this_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = tmp_path / "dtc"  # as the device tree compiler, which has this name
    other.write_text("#!/bin/sh\n")
    other.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    facts = {finding.name: finding.line for finding in doctor_install.programs()}
    assert facts["git"] == "!! git              not found; install it"
    assert f"`dtc` is {other}, another program than this one; put " in facts["dtc"]


def test_params_come_before_data_and_the_code_is_counted() -> None:
    code = {"dtc/batch.py": "modified", "pipeline/loader.py": "modified", "stages/paths.py": "modified"}
    changed = [
        {"changed deps": code | {"data/features": "modified"}},
        {"changed deps": {"params.yaml": {"training.acoustic.seed": "modified", "acoustic": "modified"}}},
        {"changed outs": {"data/features": "deleted"}},
        "changed command",
    ]
    assert doctor_project._reasons(changed) == [
        "training.acoustic.seed",
        "acoustic",
        "data/features",
        "command",
        "3 files of code",
    ]
    assert doctor_project._reasons([{"changed deps": {"code.yaml": {"align": "modified"}}}]) == ["the code of dtc"]
