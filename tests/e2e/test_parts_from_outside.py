"""Parts from outside the package, added through the registries alone, used by every command of a project."""

import csv
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import soundfile
import yaml

from dtc.acoustic import ACOUSTIC_MODELS
from dtc.evaluation.recognisers import RECOGNISERS
from dtc.registry import Part
from dtc.vocoder import VOCODERS
from pipeline.corpora import FORMATS
from stages import paths
from tests.conftest import WORDS, Project
from tests.e2e import outside


@pytest.fixture
def parts_from_outside() -> Iterator[None]:
    parts = [
        (VOCODERS, "tone", Part(outside.Tone, outside.ToneConfig)),
        (ACOUSTIC_MODELS, "table", Part(outside.Table, outside.TableConfig)),
        (FORMATS, "labels", Part(outside.LABELS)),
        (RECOGNISERS, "fixed", Part(outside.build_fixed)),
    ]
    for registry, name, part in parts:
        registry.add(name, part)
    yield
    for registry, name, _ in parts:
        registry.remove(name)


def test_parts_from_outside_from_corpus_to_report(project: Project, parts_from_outside: None) -> None:
    (project.corpus / "metadata.csv").unlink()
    lines = [f"clip-{number:03d}.wav call {WORDS[number % 10]}\n" for number in range(12)]
    (project.corpus / "all.lab").write_text("".join(lines))
    project.write_params(
        {
            "corpus.format": "labels",
            "acoustic": {"model": "table"},
            "vocoder": {"model": "tone", "train_on": "recorded", "pitch_hz": 200.0},
            "training.acoustic.batch_size": 3,
            "training.vocoder.batch_size": 3,
            "evaluate.ear": "fixed",
            "evaluate.griffin_lim_iterations": 2,
        }
    )
    in_force = yaml.safe_load(project.run("params"))
    assert in_force["vocoder"] == {"model": "tone", "train_on": "recorded", "pitch_hz": 200.0}
    for command in ("download", "verify", "preprocess"):
        project.run(command)
    for kind in ("acoustic", "vocoder"):
        project.run("train", kind, "--device", "cpu")
        card = json.loads((Path("models") / kind / "config.json").read_text())
        assert card["steps"] >= 2
        assert card["config"]["model"] == {"acoustic": "table", "vocoder": "tone"}[kind]
    project.run("align", "--device", "cpu")
    project.run("say", "call one", "--device", "cpu")
    spoken = soundfile.info(next(paths.SPOKEN.glob("*.wav")))
    assert spoken.frames == len("call one") * outside.FRAMES_PER_SYMBOL * 256
    project.run("evaluate", "--device", "cpu")
    metrics = json.loads(paths.EVALUATION.read_text())
    assert 0 < metrics["word_error_rate"] <= 1
    assert {row["heard_in_synthesis"] for row in csv.DictReader(paths.UTTERANCES.open())} == {"one"}
    assert "table" in Path("results/report/index.html").read_text()
    for arguments, line in (
        (["onnx", "voice.onnx"], "vocoder: tone has no network for ONNX, expected vocos or waveglow"),
        (["nvidia-waveglow", "voice.pt"], "models/vocoder: a model tone, expected waveglow"),
        (["nvidia-tacotron2", "voice.pt"], "models/acoustic: a model table, expected tacotron2 or dtc"),
    ):
        assert project.run("export", *arguments, code=2).startswith(line)


def test_the_section_of_a_part_from_outside_is_checked(project: Project, parts_from_outside: None) -> None:
    tone = {"model": "tone", "train_on": "recorded", "pitch_hz": 200.0}
    for edits, line in (
        ({"vocoder": tone | {"model": "tome"}}, "vocoder.model: found 'tome', .*; did you mean tone?"),
        ({"vocoder": tone | {"pich_hz": 1.0}}, "vocoder.pich_hz: unknown key .*; did you mean pitch_hz?"),
        ({"vocoder": tone | {"pitch_hz": 9000.0}}, "vocoder: pitch_hz 9000, expected at most 8000"),
        ({"acoustic": {"model": "tabel"}}, "acoustic.model: found 'tabel', .*; did you mean table?"),
    ):
        project.write_params(edits)
        assert re.fullmatch(f"params.yaml: {line}".replace("?", r"\?"), project.run("params", code=2))
