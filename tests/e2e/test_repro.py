"""The whole line by real DVC: preset `smoke` from a clean clone, then nothing to do, then only what a change concerns."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.e2e.clone import ROOT, clone_into, repro

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A stranger's clone with preset smoke as its params."""
    folder = clone_into(tmp_path_factory.mktemp("clone") / "dtc")
    shutil.copyfile(ROOT / "stages/presets/smoke.yaml", folder / "params.yaml")
    return folder


STAGES = ["download", "verify", "preprocess", "train_acoustic", "align", "train_vocoder", "evaluate"]


def test_the_line_runs_once_and_then_only_what_changed(clone: Path) -> None:
    # The committed dvc.lock is of other params: everything runs.
    assert sorted(repro(clone)[0]) == sorted(STAGES)

    metrics = json.loads((clone / "results/metrics/evaluate.json").read_text())
    assert {
        "word_error_rate",
        "copy_synthesis_word_error_rate",
        "recording_word_error_rate",
        "griffin_lim_word_error_rate",
        "mel_cepstral_distortion_db",
        "attention_focus",
        "duration_ratio",
    } <= metrics.keys()
    assert metrics["recording_word_error_rate"] <= 0.1  # three clips, a dozen words
    page = (clone / "results/report/index.html").read_text()
    assert "<audio" in page
    sidecar = json.loads(next((clone / "results/wavs").glob("001-*.json")).read_text())
    index = json.loads((clone / "data/features/index.json").read_text())
    assert sidecar["corpus_md5"] == index["corpus_md5"]

    assert repro(clone)[0] == []

    _edit(clone, lambda params: params["vocoder"].update(train_on="gta"))
    assert repro(clone)[0] == ["align", "train_vocoder", "evaluate"]
    # A vocoder that learns from predicted mels waits for the model that predicts them, and no other one does.
    assert _would_run(clone, _another_acoustic_model, "train_vocoder") == ["train_acoustic"]
    assert _would_run(clone, _another_acoustic_model_and_recorded_mels, "train_vocoder") == ["train_vocoder"]
    # A dry run knows no further than the first stage that would run; those before it would not.
    assert _would_run(clone, lambda params: params["evaluate"].update(griffin_lim_iterations=9)) == ["evaluate"]
    assert _would_run(clone, lambda params: params["training"]["vocoder"].update(seed=2)) == ["train_vocoder"]
    assert _would_run(clone, lambda params: params["split"].update(seed=2)) == ["preprocess"]


def _another_acoustic_model(params: dict[str, Any]) -> None:
    params["training"]["acoustic"].update(seed=2)


def _another_acoustic_model_and_recorded_mels(params: dict[str, Any]) -> None:
    _another_acoustic_model(params)
    params["vocoder"].update(train_on="recorded")


def _edit(clone: Path, change: object) -> None:
    path = clone / "params.yaml"
    params = yaml.safe_load(path.read_text())
    change(params)  # type: ignore[operator]
    path.write_text(yaml.safe_dump(params))


def _would_run(clone: Path, change: object, *targets: str) -> list[str]:
    """Stages that `dvc repro --dry` names after a change, without the cost of running them; it is taken back."""
    before = (clone / "params.yaml").read_text()
    _edit(clone, change)
    dry = subprocess.run(
        [str(Path(sys.executable).parent / "dvc"), "repro", "--dry", *targets],
        cwd=clone,
        capture_output=True,
        text=True,
        check=True,
    )
    (clone / "params.yaml").write_text(before)
    return [line.split("'")[1] for line in dry.stdout.splitlines() if line.startswith("Running stage")]
