"""dvc.yaml tells DVC the truth: every module that shapes a stage's output is among its dependencies."""

from pathlib import Path

import grimp
import pytest
import yaml

from dtc.acoustic.attention import ATTENTIONS
from stages.align import CODE
from stages.train import code_of

ROOT = Path(__file__).parents[2]
PIPELINE = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
PARAMS = yaml.safe_load((ROOT / "params.yaml").read_text())

# Module of each stage's function, and what it imports that cannot change its result.
MODULES = {
    "download": "stages.download",
    "verify": "stages.verify",
    "preprocess": "stages.preprocess",
    "train_acoustic": "stages.train",
    "align": "stages.align",
    "train_vocoder": "stages.train",
    "evaluate": "stages.evaluate",
}
# Errors, parsing and fingerprints: they decide whether a stage runs, not what it makes.
HARMLESS = {"dtc", "dtc.config", "dtc.registry", "dtc.audio_config", "dtc.synthesis_config", "dtc.vocoder.configs", "dtc.vocoder.base", "dtc.vocoder.onnx_graph", "pipeline.config", "dtc.errors", "dtc.files", "dtc.provenance", "dtc.text", "dtc.evaluation", "stages", "stages.paths", "stages.progress", "pipeline"}  # fmt: skip
# What makes the spoken texts of written ones, judges the clips, and computes their features, where that is done before.
SPOKEN = {"dtc.text.abbreviations", "dtc.text.characters", "dtc.text.english", "dtc.text.numbers_in_words"}
VERIFY = {"pipeline.archives", "pipeline.verify", "pipeline.limits", "pipeline.archive_members",
         "pipeline.corpora", *(f"pipeline.corpora.{name}" for name in ("base", "filelist", "jsonl", "listing", "ljspeech", "tensor_mel")), "pipeline.manifest"}  # fmt: skip
DECODING = {"dtc.silence", "pipeline.decoding", "pipeline.compressed", "pipeline.wave_chunks"}
FEATURES = SPOKEN | DECODING | {"dtc.audio", "pipeline.recording", "dtc.text.symbols", "pipeline.features"}
SPEAKING = {"dtc.acoustic.cuda_graph", "dtc.acoustic.packed_linear", "dtc.acoustic.inference"}
# Shards that lie elsewhere come by their checksums.
REMOTE = {"pipeline.remote", "pipeline.download", "pipeline.resumable"}
ALSO_HARMLESS = {
    # it copies the files of a converted set; these read what is in them
    "download": VERIFY | FEATURES | {"pipeline.shard_job", "pipeline.npy", "pipeline.shards", "pipeline.split", "pipeline.tensor_mel_files"},
    # of a converted set it takes the clips; these make them of recordings
    "verify": {"pipeline.features", "pipeline.shard_job", "pipeline.shards", "pipeline.split"},
    # the manifest carries what these decide
    "preprocess": VERIFY | SPOKEN,
    # pictures in TensorBoard; how an utterance is spoken and judged
    "train_acoustic": {"dtc.report", "dtc.report.plots", "dtc.vocoder", "dtc.acoustic", "dtc.acoustic.utterance_status", *SPEAKING},
    # the model and the shards carry what made them
    "align": (VERIFY - {"pipeline.archives", "pipeline.manifest"} | {"pipeline.manifest"}) | SPOKEN | DECODING | {"pipeline.recording", "dtc.report", "dtc.report.plots", "pipeline.split",
              "dtc.vocoder", "dtc.vocoder.training_segments", "dtc.training", "dtc.training.checkpoints", "dtc.training.logbook", "dtc.training.optim"},
    "train_vocoder": {"dtc.report", "dtc.report.plots", "dtc.vocoder", "dtc.acoustic", "dtc.vocoder.wavenet_on_cpu"},
    # what the models and shards were made by, and made for: they carry it
    "evaluate": VERIFY | FEATURES | REMOTE | {"dtc.training", "dtc.training.checkpoints", "dtc.training.logbook", "dtc.training.loop", "dtc.training.optim", "stages.train",
                 "pipeline.split"},
}  # fmt: skip


def upstream(stage: str) -> set[str]:
    graph = grimp.build_graph("dtc", "pipeline", "stages", cache_dir=None)
    return graph.find_upstream_modules(MODULES[stage]) | {MODULES[stage]}


def filled_in(dependency: str) -> Path:
    """A dependency with the models and the attention that params.yaml names."""
    dependency = dependency.replace("${acoustic.attention.model}", PARAMS["acoustic"]["attention"]["model"])
    dependency = dependency.replace("${acoustic.model}", PARAMS["acoustic"]["model"])
    dependency = dependency.replace("${vocoder.train_on}", PARAMS["vocoder"]["train_on"])
    return ROOT / dependency.replace("${vocoder.model}", PARAMS["vocoder"]["model"])


def declared(stage: str) -> set[str]:
    """Modules among a stage's dependencies; a folder stands for all that is in it."""
    modules = set()
    for path in map(filled_in, PIPELINE[stage]["deps"]):
        files = [path] if path.suffix == ".py" else path.rglob("*.py") if path.is_dir() else []
        for file in files:
            modules.add(".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"))
    return modules


def other_models(stage: str) -> set[str]:
    """Modules of the models that the stage does not train, and of what comes before the shards."""
    if not stage.startswith("train"):
        return set()
    kind = stage.removeprefix("train_")
    rooms = {"acoustic": "dtc.vocoder.", "vocoder": "dtc.acoustic."}
    models = {"acoustic": ("tacotron2", "dtc", *ATTENTIONS.names()), "vocoder": ("griffin_lim", "vocos", "waveglow")}
    used = {PARAMS[kind]["model"], PARAMS["acoustic"]["attention"]["model"]}
    unused = {f"dtc.{kind}.{room}{name}" for name in models[kind] if name not in used for room in ("", "attention.")}
    before_the_shards = VERIFY | FEATURES | SPOKEN | {"pipeline.split"}
    return (
        unused | before_the_shards | REMOTE | {module for module in upstream(stage) if module.startswith(rooms[kind])}
    )


@pytest.mark.parametrize("stage", MODULES)
def test_every_module_that_shapes_a_stage_is_declared(stage: str) -> None:
    missing = upstream(stage) - declared(stage) - HARMLESS - ALSO_HARMLESS.get(stage, set()) - other_models(stage)
    assert not missing


@pytest.mark.parametrize("stage", MODULES)
def test_every_declared_file_is_there(stage: str) -> None:
    made = {next(iter(out)) if isinstance(out, dict) else out for other in PIPELINE.values() for out in other["outs"]}
    code = [filled_in(dep) for dep in PIPELINE[stage]["deps"]]
    assert all(path.exists() for path in code if path.relative_to(ROOT).as_posix() not in made)


def test_half_done_mels_are_worthless_for_the_same_files_as_the_stage() -> None:
    files = {path for pattern in CODE for path in ROOT.glob(pattern)}
    modules = {".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__") for path in files}
    assert modules == declared("align")


@pytest.mark.parametrize("kind", ["acoustic", "vocoder"])
def test_a_run_starts_anew_for_the_same_files_as_a_stage(kind: str) -> None:
    code = {path for pattern in code_of(kind, PARAMS[kind]) for path in ROOT.glob(pattern)}
    modules = {".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__") for path in code}
    assert modules == declared(f"train_{kind}")
