"""Parts from outside the package, added through the registries alone, used by every command of a project."""

import csv
import json
import re
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
import soundfile
import yaml
from rich.console import Console

from dtc.acoustic import ACOUSTIC_MODELS
from dtc.acoustic.attention import ATTENTIONS
from dtc.acoustic.base import InferenceOptions
from dtc.audio import MelStatistics
from dtc.batch import Batch
from dtc.evaluation import RECOGNISERS
from dtc.registry import Part
from dtc.training.curve import read_curve
from dtc.training.logbook import Logbook
from dtc.training.loop import train
from dtc.training.optim import OPTIMIZERS
from dtc.training.run_files import CURVE
from dtc.training.schedule import SCHEDULES
from dtc.training.task import Task
from dtc.vocoder import VOCODERS
from pipeline.corpora import FORMATS
from stages import paths
from stages.params import load_params
from tests.conftest import WORDS, Project, add_part
from tests.dtc.tiny_acoustic import AUDIO, MELS, batch, clip
from tests.e2e import outside
from tests.training_params import run_config


@pytest.fixture
def parts_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    add_part(monkeypatch, VOCODERS, "tone", Part(outside.Tone, outside.ToneConfig))
    add_part(monkeypatch, ACOUSTIC_MODELS, "table", Part(outside.Table, outside.TableConfig))
    add_part(monkeypatch, ATTENTIONS, "stride", Part(outside.Stride, outside.StrideConfig))
    add_part(monkeypatch, OPTIMIZERS, "descent", Part(outside.build_descent, outside.DescentConfig))
    add_part(monkeypatch, SCHEDULES, "halved", Part(outside.halved_share, outside.HalvedConfig))
    add_part(monkeypatch, FORMATS, "labels", Part(outside.LABELS))
    add_part(monkeypatch, RECOGNISERS, "fixed", Part(outside.build_fixed))


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
    project.run("report")
    assert "table" in Path("results/report/index.html").read_text()
    for arguments, line in (
        (["onnx", "voice.onnx"], "vocoder: tone has no network for ONNX, expected vocos or waveglow"),
        (["nvidia-waveglow", "voice.pt"], "models/vocoder: a model tone, expected waveglow"),
        (["nvidia-tacotron2", "voice.pt"], "models/acoustic: a model table, expected tacotron2 or dtc"),
    ):
        assert project.run("export", *arguments, code=2).startswith(line)


def test_an_attention_an_optimizer_and_a_schedule_from_outside(project: Project, parts_from_outside: None) -> None:
    stride = {"model": "stride", "rnn_dim": 8, "attention_dim": 8, "steps_per_symbol": 2}
    descent, halved = (
        {"type": "descent", "learning_rate": 0.01, "weight_decay": 0.0, "decays": "all"},
        {"type": "halved", "every_steps": 2},
    )
    project.write_params(
        {
            "acoustic.attention": stride,
            "acoustic.decoder.gate_threshold": 0.999999,  # no untrained gate ends an utterance
            "training.acoustic.optimizer": descent,
            "training.acoustic.lr_scheduler": halved,
        }
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        in_force = yaml.safe_load(project.run("params"))
    assert in_force["acoustic"]["attention"] == stride
    assert in_force["training"]["acoustic"]["optimizer"] == descent
    assert in_force["training"]["acoustic"]["lr_scheduler"] == halved

    class Data:
        batches_per_epoch = 3

        def epoch(self, number: int, first: int = 0) -> Iterator[Batch]:
            return iter([batch((5, 20), (7, 31))] * (self.batches_per_epoch - first))

    params = load_params(paths.PARAMS)
    model = ACOUSTIC_MODELS.build(params.acoustic, AUDIO, MelStatistics.neutral(MELS))
    how = run_config(epochs_save=3, epochs_test=3)
    logbook = Logbook(project.root, "acoustic", Console(quiet=True))
    train(Task(model, Data(), Data(), lambda *_: None), params.training.acoustic, how, project.root, logbook)
    rates = [float(row["lr"]) for row in read_curve(project.root / CURVE) if row["split"] == "train"]
    assert rates == [0.01, 0.01, 0.005]
    utterance = model.eval().infer([clip("a", 6, 1).symbol_ids], seed=1, options=InferenceOptions(3))[0]
    assert utterance.alignment.argmax(dim=1).tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, *[5] * 10]


def test_the_section_of_a_part_from_outside_is_checked(project: Project, parts_from_outside: None) -> None:
    tone = {"model": "tone", "train_on": "recorded", "pitch_hz": 200.0}
    stride = {"model": "stride", "rnn_dim": 8, "attention_dim": 8, "steps_per_symbol": 2}
    for edits, line in (
        ({"vocoder": tone | {"model": "tome"}}, "vocoder.model: found 'tome', .*; did you mean tone?"),
        ({"vocoder": tone | {"pich_hz": 1.0}}, "vocoder.pich_hz: unknown key; did you mean pitch_hz?"),
        ({"vocoder": tone | {"pitch_hz": 9000.0}}, "vocoder: pitch_hz 9000, expected at most 8000"),
        ({"acoustic": {"model": "tabel"}}, "acoustic.model: found 'tabel', .*; did you mean table?"),
        ({"acoustic.attention.model": "strid"}, "acoustic.attention.model: found 'strid', .*; did you mean stride?"),
        ({"acoustic.attention": stride | {"steps": 1}}, "acoustic.attention.steps: unknown key, .*"),
    ):
        project.write_params(edits)
        assert re.fullmatch(f"params.yaml: {line}".replace("?", r"\?"), project.run("params", code=2))
