"""Settings, models, optimizers and schedules by name: what stands for what, and which names are refused."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from dtc.errors import InputError
from stages.named_parts import resolved
from stages.params import load_params, load_strategy
from tests.conftest import REPOSITORY, Project, default_params

FILE = Path("params.yaml")
SLOW = {
    "name": "slow",
    "type": "sgd",
    "learning_rate": 0.1,
    "weight_decay": 0.0,
    "decays": "all",
    "momentum": 0.9,
    "nesterov": False,
}
STEPS = {
    "name": "main_lr_scheduler",
    "type": "multistep",
    "milestones": [400, 1000],
    "gamma": 0.1,
    "per_iteration": False,
}


def read(folder: Path, **changes: Any) -> Any:
    """Return the params of the tests with some top-level keys changed, as read from a file."""
    (folder / FILE).write_text(yaml.safe_dump(default_params() | changes))
    return load_params(folder / FILE)


def training(**changes: Any) -> dict[str, Any]:
    sections = default_params()["training"]
    return {kind: section | changes.get(kind, {}) for kind, section in sections.items()}


def test_names_stand_for_optimizers_and_schedules(tmp_path: Path) -> None:
    named = {"optimizer": "slow", "lr_scheduler": "main_lr_scheduler"}
    sections = training(acoustic=named, vocoder={"adversary": named})
    params = read(tmp_path, optimizers=[SLOW], lr_schedulers=[STEPS], training=sections)
    assert params.training.acoustic.optimizer.model_dump() == {
        key: value for key, value in SLOW.items() if key != "name"
    }
    assert params.training.acoustic.lr_scheduler.milestones == (400, 1000)
    assert params.training.vocoder.adversary.lr_scheduler == params.training.acoustic.lr_scheduler
    assert params.training.vocoder.optimizer.type == "adamw"


def test_a_class_of_torch_can_be_named(tmp_path: Path) -> None:
    nadam = {
        "type": "torch",
        "class_name": "NAdam",
        "arguments": {},
        "learning_rate": 0.1,
        "weight_decay": 0.0,
        "decays": "all",
    }
    params = read(tmp_path, optimizers=[nadam | {"name": "mine"}], training=training(acoustic={"optimizer": "mine"}))
    assert params.training.acoustic.optimizer.model_dump() == nadam


def test_a_setting_is_laid_over_both_models(tmp_path: Path) -> None:
    debug = {
        "epochs": 2,
        "batch_size": 3,
        "epochs_save": 10,
        "early_stopping": {"metric": "loss", "patience": 3, "min_delta": 0.0},
        "optimizer": "slow",
        "dataloader": {"train_set": {"num_workers": 1, "drop_last": True, "pin_memory": True, "shuffle": False}},
        "vocoder": {"segment_frames": 8},
        "run": {"acoustic": {"keep_last": 5}},
    }
    plain = read(tmp_path, settings={"debug": debug}, optimizers=[SLOW])
    found = read(tmp_path, settings={"debug": debug}, active_setting="debug", optimizers=[SLOW])
    for kind in ("acoustic", "vocoder"):
        before, section, run = (getattr(each, kind) for each in (plain.training, found.training, found.run))
        assert (section.epochs, section.batch_size, section.early_stopping.patience) == (2, 3, 3)
        assert section.optimizer.type == "sgd"
        assert (section.dataloader.train_set.drop_last, section.dataloader.train_set.shuffle) == (True, False)
        assert (run.dataloader.train_set.num_workers, run.dataloader.train_set.pin_memory) == (1, True)
        assert section.dataloader.validation_set == before.dataloader.validation_set
        assert (section.seed, run.epochs_save) == (before.seed, 10)
    assert found.vocoder.segment_frames == 8
    assert (found.run.acoustic.keep_last, found.run.vocoder.keep_last) == (5, plain.run.vocoder.keep_last)
    assert plain.training.acoustic.epochs != 2


def test_the_layers_of_a_model_are_laid_over_the_sections(tmp_path: Path) -> None:
    """Another model replaces the section whole; the same model changes the keys that the layer has."""
    parallel = yaml.safe_load((REPOSITORY / "stages/presets/numbers.yaml").read_text())["acoustic"]
    models = {
        "fast": {"spectrogram_layer": parallel | {"optimizer": "slow"}, "vocoder": {"num_layers": 2}},
        "wide": {"spectrogram_layer": {"symbols_embedding_dim": 512}},
    }
    fast = read(tmp_path, models=models, use_model="fast", optimizers=[SLOW])
    assert fast.acoustic.model_dump(mode="json") == parallel
    assert (fast.vocoder.num_layers, fast.vocoder.dim) == (2, default_params()["vocoder"]["dim"])
    assert (fast.training.acoustic.optimizer.type, fast.training.vocoder.optimizer.type) == ("sgd", "adamw")
    assert read(tmp_path, models=models, use_model="wide").acoustic.symbols_embedding_dim == 512
    assert read(tmp_path, models=models).acoustic.symbols_embedding_dim == 256


def test_a_file_without_named_parts_is_as_it_is() -> None:
    tree = {key: default_params()[key] for key in ("acoustic", "training")}
    assert resolved(tree, FILE) == tree
    assert resolved(None, FILE) is None


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"active_setting": "debag"}, "active_setting: found 'debag', expected one of debug; did you mean debug?"),
        ({"use_model": "dtc"}, "use_model: found 'dtc', expected a name that the file defines"),
        (
            {"training": training(vocoder={"optimizer": "slw"}), "optimizers": [SLOW]},
            "training.vocoder.optimizer: found 'slw', expected one of slow; did you mean slow?",
        ),
        (
            {"settings": {"debug": {"epoch": 2}}, "active_setting": "debug"},
            "settings.debug.epoch: unknown key; did you mean epochs?",
        ),
        (
            {"settings": {"debug": {"epochs": "two"}}, "active_setting": "debug"},
            "training.acoustic.epochs: found 'two', expected an integer",
        ),
        (
            {"models": {"a": {"wav2vec": {}}}, "use_model": "a"},
            "models: unknown layer wav2vec, expected one of spectrogram_layer, vocoder",
        ),
        (
            {"models": {"a": {"vocoder": {"train_on": "gta"}}}, "use_model": "a"},
            "models: a layer with train_on gta, expected recorded; set vocoder.train_on itself, which DVC reads",
        ),
        (
            {"strategy": {"type": "sequential", "order": ["wav2vec"]}},
            "strategy.order.0: found 'wav2vec', expected 'acoustic' or",
        ),
        ({"strategy": {"type": "sequential", "order": []}}, "strategy.order: found a list, expected at least 1 value"),
        ({"settings": [1]}, "settings: found a list, expected keys and values"),
    ],
)
def test_what_it_does_not_know_is_refused(tmp_path: Path, changes: dict[str, Any], line: str) -> None:
    with pytest.raises(InputError) as raised:
        read(tmp_path, **changes)
    assert str(raised.value).startswith(f"{tmp_path / FILE}: {line}")


def test_the_strategy_is_the_order_of_train_all(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text("strategy: {type: sequential, order: [vocoder]}\n")
    assert load_strategy(tmp_path / FILE).order == ("vocoder",)
    (tmp_path / FILE).write_text("corpus: {}\n")
    assert load_strategy(tmp_path / FILE).order == ("acoustic", "vocoder")


FIRST_LINE = r"(acoustic|vocoder): [\d,]+ parameters to train on cpu in (fp32|bf16); \d+ steps?, each of a batch of .+"


def test_train_all_trains_in_the_order_of_the_strategy(project: Project) -> None:
    for order in (["vocoder", "acoustic"], ["acoustic"]):
        project.write_params(
            {f"training.{kind}.epochs": 1 for kind in ("acoustic", "vocoder")} | {"strategy.order": order}
        )
        for command in ("download", "verify", "preprocess"):
            project.run(command)
        printed = project.run("train", "all", "--device", "cpu")
        lines = [line for line in printed.splitlines() if re.fullmatch(FIRST_LINE, line)]
        assert [line.partition(":")[0] for line in lines] == (order if len(order) == 2 else [])
        written = [Path(f"models/{kind}/config.json").stat().st_mtime_ns for kind in order]
        assert written == sorted(written)
        complete = [kind for kind in ("acoustic", "vocoder") if f"{kind}: is complete already" in printed]
        assert complete == ([] if len(order) == 2 else ["acoustic"])
