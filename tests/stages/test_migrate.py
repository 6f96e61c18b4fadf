"""`dtc migrate`: a file of the original system becomes a params.yaml, and every key of it is in docs/migrate.md."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from stages.migrate import migrated_from
from stages.migrate_keys import KEYS, Original
from stages.migrate_parts import setting_values
from stages.params import Params, load_params
from stages.params_file import read_yaml
from stages.tune_space import Space
from tests.conftest import REPOSITORY, Project, edited

ORIGINAL = Path(__file__).with_name("original-config.yaml")
DOCS = REPOSITORY / "docs/migrate.md"
Tree = dict[str, Any]


@pytest.fixture
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """An empty folder, in which the test runs."""
    monkeypatch.chdir(tmp_path)
    return Project(tmp_path, tmp_path)


def original() -> Tree:
    return yaml.safe_load(ORIGINAL.read_text())


def written(tree: Tree) -> str:
    return yaml.safe_dump(tree, sort_keys=False)


def migrated(project: Project, edits: Mapping[str, object] = {}, **sections: object) -> Tree:
    """The params file that an edited original becomes."""
    Path("config.yaml").write_text(written(edited(original(), edits) | sections))
    project.run("migrate", "config.yaml")
    return yaml.safe_load(Path("params.yaml").read_text())


def refused(project: Project, content: str) -> str:
    """The line of a file that is no original file, or has a fault."""
    Path("config.yaml").write_text(content)
    line = project.run("migrate", "config.yaml", code=2)
    assert not Path("params.yaml").exists()
    return line


def refused_edit(project: Project, edits: Mapping[str, object]) -> str:
    return refused(project, written(edited(original(), edits)))


def left_out(tree: Tree) -> Mapping[str, str]:
    """Key → reason, of what an original file has and params.yaml has not."""
    Path("config.yaml").write_text(written(tree))
    return migrated_from(Path("config.yaml")).left_out


def loaded(tree: Tree, **edits: object) -> Params:
    Path("edited.yaml").write_text(written(tree | edits))
    return load_params(Path("edited.yaml"))


def test_the_original_file_loads(empty: Project) -> None:
    empty.run("migrate", str(ORIGINAL), "--output", "new.yaml")
    printed = yaml.safe_load(empty.run("params", "--params", "new.yaml"))
    assert printed["acoustic"]["model"] == "dtc"
    assert printed["acoustic"]["reverse_decoder"] is False
    assert printed["acoustic"]["loss"]["stft_weight"] == 1.0
    assert printed["corpus"]["source"] == "~/Dropbox/Datasets/LJSpeech-1.1"
    assert printed["corpus"]["format"] == "ljspeech"
    assert printed["split"] == {"method": "lists", "lists": "nvidia-ljspeech"}


def test_comments_of_the_preset_are_kept(empty: Project) -> None:
    empty.run("migrate", str(ORIGINAL))
    text = Path("params.yaml").read_text()
    preset = (REPOSITORY / "stages/presets/ljspeech-dtc.yaml").read_text()
    comments = set(re.findall("# .*", preset)[2:])  # those of its first lines are replaced
    assert len(comments - set(re.findall("# .*", text))) == 0
    assert text.startswith("# Written by `dtc migrate` from ")
    assert "&" not in text.partition("models:")[2], "no aliases"


@pytest.mark.parametrize("setting", [None, "debug", "baseline"])
@pytest.mark.parametrize("model", ["tacotron25", "dtc"])
def test_every_setting_and_every_model_can_be_chosen(empty: Project, model: str, setting: str | None) -> None:
    tree = migrated(empty)
    params = loaded(tree, use_model=model, active_setting=setting)
    assert params.acoustic.model == {"tacotron25": "tacotron2", "dtc": "dtc"}[model]
    assert params.acoustic == loaded(migrated_to(empty, model)).acoustic


def migrated_to(project: Project, model: str) -> Tree:
    Path("params.yaml").unlink()
    return migrated(project, {"use_model": model})


def test_the_values_of_a_setting_are_in_force(empty: Project) -> None:
    params = loaded(migrated(empty, {"active_setting": "baseline"}))
    for kind in ("acoustic", "vocoder"):
        training, run = getattr(params.training, kind), getattr(params.run, kind)
        assert (training.epochs, training.max_steps, training.batch_size, training.seed) == (500, None, 32, 1234)
        assert (training.grad_clipping, training.grad_max_norm, training.precision) == (True, 1.0, "fp32")
        assert training.early_stopping.metric == "loss"
        assert training.dataloader.train_set.drop_last
        assert training.dataloader.train_set.shuffle
        assert not training.dataloader.validation_set.shuffle
        assert (run.console_log_rate, run.tensorboard_update, run.start_test) == (5, 100, 20)
        assert (run.test_per_iteration, run.predict, run.predict_per_iteration) == (False, 50, False)
        assert (run.epochs_save, run.save_per_iteration, run.load_model, run.load_epoch) == (2, False, True, None)
        assert run.dataloader.validation_set.num_workers == 1
        assert run.dataloader.validation_set.pin_memory


def test_the_devices_of_a_setting(empty: Project) -> None:
    changes = {"settings.baseline.distributed": True, "settings.baseline.fp16": True, "active_setting": "baseline"}
    params = loaded(migrated(empty, changes))
    assert params.training.acoustic.precision == "fp16"
    devices = params.run.devices
    assert (devices.processes, devices.backend, devices.num_nodes, devices.url) == ("auto", "nccl", 2, None)
    assert (devices.master_address, devices.master_port) == ("localhost", 54321)
    assert (devices.cudnn_enabled, devices.cudnn_benchmark) == (True, False)


def test_the_address_of_a_setting() -> None:
    tree = original()
    for key in ("master_address", "master_port"):
        del tree["settings"]["baseline"][key]
    found = Original(tree, "")
    assert setting_values(found)["settings"]["baseline"]["run"]["devices"]["url"] == "tcp://localhost:54321"
    assert found.left_out["settings.baseline.workers"] == "distributed is not True, so num_nodes is 1"


def test_named_optimizers_and_schedules_are_used(empty: Project) -> None:
    optimizers = {"dtc_optimizer": {"type": "Adam", "learning_rate": 1e-3, "eps": 1e-6, "amsgrad": False}}
    tree = original()
    tree["models"]["tacotron25"]["spectrogram_layer"]["lr_scheduler"] = "main_lr_scheduler"
    tree |= {"optimizers": optimizers, "use_model": "tacotron25"}
    training = loaded(migrated(empty, **tree)).training.acoustic
    assert training.optimizer.model_dump() == {
        "type": "adam",
        "learning_rate": 1e-3,
        "betas": (0.9, 0.999),
        "eps": 1e-6,
        "weight_decay": 0.0,
        "decays": "all",
    }
    schedule = {"type": "multistep", "milestones": (400, 1000), "gamma": 0.1, "per_iteration": False}
    assert training.lr_scheduler.model_dump() == schedule


def test_a_schedule_on_a_plateau(empty: Project) -> None:
    tree = original()
    tree["models"]["dtc"]["spectrogram_layer"]["lr_scheduler"] = "dtc_scheduler"
    found = loaded(migrated(empty, **tree)).training.acoustic.lr_scheduler
    assert (found.type, found.metric, found.patience, found.factor) == ("reduce_lr_on_plateau", "loss", 10, 0.1)


@pytest.mark.parametrize(
    ("section", "part", "reason"),
    [
        (
            "optimizers",
            {"name": "a", "type": "Adam", "amsgrad": True},
            "Adam with amsgrad is none of adam, adamw, sgd,",
        ),
        ("optimizers", {"name": "a", "type": "Adagrad"}, "Adagrad is none of adam, adamw, sgd, rmsprop"),
        ("lr_schedulers", {"name": "a", "type": "CyclicLR"}, "CyclicLR is none of multistep, exponential"),
    ],
)
def test_a_part_that_dtc_does_not_have_is_named(empty: Project, section: str, part: Tree, reason: str) -> None:
    tree = original() | {section: [part]}
    tree["models"]["dtc"]["spectrogram_layer"][section.removesuffix("s")] = "a"
    preset = load_params(REPOSITORY / "stages/presets/ljspeech-dtc.yaml")
    assert loaded(migrated(empty, **tree)).training == preset.training
    assert left_out(tree)[f"{section}.0"].startswith(reason)
    assert left_out(tree)[f"models.dtc.spectrogram_layer.{section.removesuffix('s')}"].startswith("no a in ")


def test_a_vocoder_that_dtc_has(empty: Project) -> None:
    tree = migrated(empty, {"models.dtc.vocoder.model": "WaveGlow"})
    assert loaded(tree).vocoder.model == "waveglow"
    assert tree["training"]["vocoder"]["epochs"] == 1113


def test_other_lists_are_to_be_copied(empty: Project) -> None:
    tree = original()
    tree["datasets"]["LJSpeech"]["training_meta"] = "short.txt"
    assert migrated(empty, **tree)["split"] == {"method": "lists", "lists": "LJSpeech"}
    assert left_out(tree)["datasets.LJSpeech.training_meta"] == "copy short.txt to splits/LJSpeech/train.txt"


def test_a_dataset_without_lists_is_split_by_shares(empty: Project) -> None:
    dataset = {"anna": {"dir": "recordings", "meta": "metadata.csv"}}
    tree = migrated(empty, {"use_dataset": "anna"}, datasets=dataset)
    assert (tree["corpus"]["name"], tree["corpus"]["source"], tree["split"]["method"]) == (
        "anna",
        "recordings",
        "ratio",
    )


def test_a_set_of_tensors(empty: Project) -> None:
    tree = migrated(empty, {"use_dataset": "lj_speech_full"})
    assert tree["corpus"]["format"] == "tensor_mel"
    assert tree["corpus"]["checksums"] == {
        "train.pt": "7bc0f1bac289cfd1ba8ea1c390bddf8f",
        "validation.pt": "5d3b94b131c08afcca993dfbec54c63a",
        "test.pt": "3291d802351928da7c5d0d9c917c2663",
    }
    reason = "the original's .pt files are not read; `dtc convert` writes files that are, and prints their MD5s"
    assert (
        left_out(edited(original(), {"use_dataset": "lj_speech_full"}))["datasets.lj_speech_full.checksums"] == reason
    )


def test_the_search_keeps_its_words(empty: Project) -> None:
    tune = migrated(empty)["tune"]
    assert tune == {key: value for key, value in original()["ray"].items() if key != "checkpoint_freq"} | {
        "lr_min": 1e-4,
        "lr_max": 1e-1,
    }
    assert set(Space(tune, "acoustic", Path("params.yaml")).searched) == {
        "training.acoustic.batch_size",
        "training.acoustic.optimizer.learning_rate",
        "training.acoustic.grad_max_norm",
        "acoustic.attention.num_filters",
        "acoustic.attention.kernel_size",
    }


def test_what_the_file_names_and_does_not_define(empty: Project) -> None:
    found = left_out(original())
    assert found["active_setting"] == "no small in settings (debug, baseline), so null is written"
    assert found["load_epoch"] == "the original's checkpoint 500 is not read, so null is written"
    assert found["models.dtc.spectrogram_layer.optimizer"].startswith("no dtc_optimizer in optimizers, so ")
    assert found["models.dtc.vocoder"].startswith("SomeModel is none of ")


def test_another_audio_section_is_named(empty: Project) -> None:
    tree = edited(original(), {"models.tacotron25.spectrogram_layer.sampling_rate": 16000})
    reason = "audio.sampling_rate as in dtc: params.yaml has one section audio"
    assert left_out(tree)["models.tacotron25.spectrogram_layer"] == reason


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ("", "config.yaml: an empty file, expected a config.yaml of the original system"),
        ("# nothing\n", "config.yaml: an empty file, expected a config.yaml of the original system"),
        ("- a\n", "config.yaml: a file without a section models, expected a config.yaml of the original system"),
        ("words", "config.yaml: a file without a section models, expected a config.yaml of the original system"),
        (
            "a: [1,\nb: 2\n",
            "config.yaml, line 1, column 4: not YAML (a bracket that is not closed, or a comma that is missing)",
        ),
        ("models: {}\n", "config.yaml: use_model: missing, expected a name that the file defines"),
        ("models: {a: {}}\nuse_model: a\n", "config.yaml: use_model: found 'a', expected a name that the file defines"),
        (
            "models: {a: {spectrogram_layer: {hop_length: 1}}}\nuse_model: a\n",
            "config.yaml: models.a.spectrogram_layer.model: missing, expected one of tacotron2, tacotron25, tacotron3, dtc",
        ),
        ("models: {a: 1}\n", "config.yaml: models.a: found 1, expected keys and values"),
    ],
)
def test_a_file_that_is_not_of_the_original_system(empty: Project, content: str, line: str) -> None:
    assert refused(empty, content) == line


def test_our_own_params_file_is_named_as_such(empty: Project) -> None:
    preset = (REPOSITORY / "stages/presets/numbers.yaml").read_text()
    line = "config.yaml: a params file of dtc, expected a config.yaml of the original system; use it as it is"
    assert refused(empty, preset) == line


def test_a_missing_file_and_a_folder(empty: Project) -> None:
    expected = "expected a config.yaml of the original system"
    assert empty.run("migrate", "none.yaml", code=2) == f"none.yaml: no such file, {expected}"
    assert empty.run("migrate", ".", code=2) == f".: a folder, {expected}"


@pytest.mark.parametrize(
    ("edits", "line"),
    [
        (
            {"use_model": "dts"},
            "config.yaml: use_model: found 'dts', expected one of tacotron25, dtc; did you mean dtc?",
        ),
        ({"use_dataset": "LJ"}, "config.yaml: use_dataset: found 'LJ', expected one of LJSpeech, lj_speech_full"),
        (
            {"datasets.LJSpeech.format": "mp3"},
            "config.yaml: datasets.LJSpeech.format: found 'mp3', expected one of raw, tensor_mel",
        ),
        (
            {"models.dtc.spectrogram_layer.model": "tacotron"},
            "config.yaml: models.dtc.spectrogram_layer.model: found 'tacotron', expected one of tacotron2, tacotron25, "
            "tacotron3, dtc; did you mean tacotron3?",
        ),
        ({"settings.baseline.fp16": "yes"}, "config.yaml: settings.baseline.fp16: found 'yes', expected true or false"),
        (
            {"strategy.dtc.order": ["x"]},
            "config.yaml: strategy.dtc.order: found 'x', expected one of spectrogram_layer, ",
        ),
        ({"strategy.dtc.order": 5}, "config.yaml: strategy.dtc.order: found 5, expected a list"),
        ({"settings.baseline.workers": 5}, "config.yaml: settings.baseline.workers: found 5, expected a list"),
        ({"use_model": ["dtc"]}, "config.yaml: use_model: found ['dtc'], expected one of tacotron25, dtc"),
        ({"settings": 5}, "config.yaml: settings: found 5, expected keys and values"),
        (
            {"models.dtc.spectrogram_layer.hop_length": "far"},
            "config.yaml, as params.yaml: audio.hop_length: found 'far', expected an integer",
        ),
    ],
)
def test_a_wrong_value(empty: Project, edits: Tree, line: str) -> None:
    assert refused_edit(empty, edits).startswith(line)


def test_unknown_keys(empty: Project) -> None:
    tree = original()
    tree["settings"]["baseline"]["batchsize"] = 1
    assert refused(empty, written(tree)) == (
        "config.yaml: settings.baseline.batchsize: unknown key; did you mean batch_size?"
    )
    assert refused(empty, "graph: 1\nmodels: {}\n") == "config.yaml: graph: unknown key; did you mean graph_dir?"
    assert refused(empty, "models: {a: {edge_model: {x: 1}}}\n").endswith("edge_model: unknown key; remove it")


def test_a_schedule_without_a_name(empty: Project) -> None:
    line = refused_edit(empty, {"lr_schedulers": [{"type": "multistep", "milestones": [1]}]})
    assert line == "config.yaml: lr_schedulers.0.name: found None, expected the name that models use"


def test_a_file_that_is_there_is_never_replaced(empty: Project) -> None:
    Path("params.yaml").write_text("mine")
    line = "params.yaml: is there already; move it away, or name another file with --output"
    assert empty.run("migrate", str(ORIGINAL), code=2) == line
    assert Path("params.yaml").read_text() == "mine"
    Path("link.yaml").symlink_to("nowhere.yaml")
    assert empty.run("migrate", str(ORIGINAL), "--output", "link.yaml", code=2).startswith("link.yaml: is there")


def documented() -> list[tuple[str, str, str]]:
    """The rows of the table in docs/migrate.md."""
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in DOCS.read_text().splitlines()
        if line.startswith("| `")
    ]
    return [(key.strip("`"), ours.strip("`").replace("–", ""), note) for key, ours, note in rows]


def test_the_documented_table_is_the_mapping() -> None:
    assert documented() == [(key.original, key.ours, key.note) for key in KEYS]


def test_every_key_of_the_original_file_is_documented() -> None:
    tree = read_yaml(ORIGINAL)
    assert isinstance(tree, dict)
    listed = {key for key, _, _ in documented()}
    assert {leaf.key.original for leaf in Original(tree, "").leaves} <= listed


def test_the_command_lists_what_is_documented_without_counterpart(empty: Project) -> None:
    shown = empty.run("migrate", str(ORIGINAL), "--output", "new.yaml")
    table = shown[: shown.index("migrate: ")]
    assert max(map(len, table.splitlines())) <= 80
    width = table.index("reason")
    keys = re.sub(r"\.\s+", ".", "\n".join(line[:width] for line in table.splitlines())).split()
    tree = original()
    without = {key: note for key, ours, note in documented() if not ours}
    met = {leaf.key.original for leaf in Original(tree, "").leaves} & without.keys()
    assert len(met) > 25
    found = left_out(tree)
    assert {key: found[key] for key in met} == {key: without[key] for key in met}
    assert keys[1:] == list(found)
