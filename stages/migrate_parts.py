"""Turn the sections of an original config.yaml into values of params.yaml, and note what is left out or changed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

from dtc.errors import InputError, named
from stages.migrate_keys import LISTS, Leaf, Original
from stages.params_file import read_yaml

Values = dict[str, Any]
PRESETS = Path(__file__).parent / "presets"
# Model → the preset that has all its settings.
PRESET_OF = {
    "tacotron2": "ljspeech-tacotron2",
    "dtc": "ljspeech-dtc",
    "waveglow": "ljspeech-tacotron2",
    "vocos": "ljspeech-dtc",
}
ACOUSTIC_MODELS = {"tacotron2": "tacotron2", "tacotron25": "tacotron2", "tacotron3": "dtc", "dtc": "dtc"}
VOCODERS = ("waveglow", "vocos")
LAYERS = {"spectrogram_layer": "acoustic", "wav2vec": "vocoder", "vocoder": "vocoder"}  # of a strategy
NVIDIA_LISTS = {
    "training_meta": "ljs_audio_text_train_filelist.txt",
    "validation_meta": "ljs_audio_text_val_filelist.txt",
    "test_meta": "ljs_audio_text_test_filelist.txt",
}
RATIO = {"method": "ratio", "validation_share": 0.05, "test_share": 0.05, "seed": 1}  # where there are no lists
# Name of a value that is true or false → what params.yaml has for true, and for false.
FLAGS: Mapping[str, tuple[Any, Any]] = {
    "fp16": ("fp16", "fp32"),
    "early_stopping": ({"metric": "loss", "patience": 5, "min_delta": 0.0}, None),
    "distributed": ("auto", 1),
    "enable_stft_loss": (1.0, 0.0),
}
# Keys of a setting → the key that says whether they count steps; in the original system they count epochs by default.
COUNTED_BY = {
    "start_test": "test_per_iteration",
    "epochs_test": "test_per_iteration",
    "predict": "predict_per_iteration",
    "epochs_save": "save_per_iteration",
}
# Type → what torch takes where a file does not say it.
DECAY = {"weight_decay": 0.0, "decays": "all"}
ADAM = {"learning_rate": 1e-3, "betas": [0.9, 0.999], "eps": 1e-8, **DECAY}
OPTIMIZERS: Mapping[str, Values] = {
    "adam": ADAM,
    "adamw": ADAM | {"weight_decay": 0.01},
    "sgd": {"learning_rate": 1e-3, "momentum": 0.0, "nesterov": False, **DECAY},
    "rmsprop": {"learning_rate": 1e-2, "alpha": 0.99, "eps": 1e-8, "momentum": 0.0, **DECAY},
}
MULTISTEP = {"type": "multistep", "gamma": 0.1, "per_iteration": False}
PLATEAU = {"type": "reduce_lr_on_plateau", "metric": "loss", "factor": 0.1, "patience": 10}
EXPONENTIAL = {"type": "exponential", "per_iteration": False}
SCHEDULES: Mapping[str, Values] = {
    "exponential": EXPONENTIAL,
    "exponentiallr": EXPONENTIAL,
    "multistep": MULTISTEP,
    "multisteplr": MULTISTEP,
    "reducelronplateau": PLATEAU | {"min_delta": 1e-4, "min_share": 0.0},
}


def corpus_values(original: Original) -> Values:
    """Return corpus and split of the dataset that `use_dataset` names; nothing where a file has no datasets."""
    names = original.names("datasets")
    if not names:
        return {}
    used = original.require_known("use_dataset", original.get("use_dataset"), names)
    for other in names:
        if other != used:
            original.left_out[f"datasets.{other}"] = f"params.yaml has one corpus: that of use_dataset, {used}"
    own = {leaf.path[-1]: leaf.value for leaf in original.under("datasets", used)}
    format = original.require_known(f"datasets.{used}.format", own.get("format", "raw"), ("raw", "tensor_mel"))
    name = re.sub(r"[^A-Za-z0-9_-]", "_", used)
    corpus = {"name": name, "source": own.get("dir", "."), "mirrors": []}
    corpus |= dict.fromkeys(("md5", "sha256", "licence", "consent"))
    if format == "tensor_mel":
        reason = "the original's .pt files are not read; `dtc convert` writes files that are, and prints their MD5s"
        original.left_out[f"datasets.{used}.checksums"] = reason
        sums = original.require_list(f"datasets.{used}.checksums", own.get("checksums"))
        files = dict(zip(("train.pt", "validation.pt", "test.pt"), sums, strict=False))
        return {f"corpus.{key}": value for key, value in {**corpus, "format": format, "checksums": files}.items()}
    meta = own.get("meta")
    corpus["format"] = "filelist" if meta is None else "ljspeech" if meta == "metadata.csv" else "auto"
    return {f"corpus.{key}": value for key, value in corpus.items()} | {"split": _split(original, used, name, own)}


def _split(original: Original, used: str, name: str, own: Values) -> Values:
    """Return the split by the lists of a dataset, which are to be copied unless they are the published ones."""
    lists = {key: own[key] for key in LISTS if key in own}
    if lists == NVIDIA_LISTS:
        return {"method": "lists", "lists": "nvidia-ljspeech"}
    if len(lists) < len(LISTS):
        return RATIO
    for key, file in lists.items():
        original.left_out[f"datasets.{used}.{key}"] = f"copy {file} to splits/{name}/{LISTS[key]}.txt"
    return {"method": "lists", "lists": name}


def setting_values(original: Original) -> Values:
    """Return the named settings and the active one, and whether a training goes on from its last checkpoint."""
    settings = {name: _setting(original, name) for name in original.names("settings")}
    active = original.get("active_setting")
    if active is not None and active not in list(settings):
        original.left_out["active_setting"] = f"no {active} in settings ({named(list(settings))}), so null is written"
        active = None
    if (epoch := original.get("load_epoch")) is not None:
        original.left_out["load_epoch"] = f"the original's checkpoint {epoch} is not read, so null is written"
    load = original.get("load_model", default=True)
    values = {"settings": settings, "active_setting": active}
    return values | {f"run.{kind}.load_model": load for kind in ("acoustic", "vocoder")}


def _setting(original: Original, name: str) -> Values:
    """Return a setting: keys of `training` and `run`, which apply to both models, and the section run.devices."""
    setting: Values = {}
    for leaf in original.under("settings", name):
        put(setting, leaf.key.ours.rpartition(".*.")[2], converted(original, leaf))
    _check_devices(original, name, setting.get("run", {}).get("devices", {}))
    for key, switch in COUNTED_BY.items():
        if key in setting:
            setting.setdefault(switch, False)
    return setting


def _check_devices(original: Original, name: str, devices: Values) -> None:
    """Remove from the devices of a setting what params.yaml takes for a contradiction."""
    if devices.get("num_nodes", 1) > 1 and devices.get("processes", 1) == 1:
        devices["num_nodes"] = 1
        original.left_out[f"settings.{name}.workers"] = "distributed is not True, so num_nodes is 1"
    if "master_address" in devices and devices.pop("url", None) is not None:
        original.left_out[f"settings.{name}.url"] = "master_address and master_port are used"


def converted(original: Original, leaf: Leaf) -> Any:
    """Return the value that params.yaml has for a value of the original file. Raises InputError where it is wrong."""
    name, value = leaf.path[-1], leaf.value
    if name in FLAGS:
        if not isinstance(value, bool):
            raise InputError(f"{original.where}: {leaf.dotted}", f"found {value!r}", "true or false")
        return deepcopy(FLAGS[name][not value])  # otherwise the file would have an alias for each repetition
    return 1 + len(original.require_list(leaf.dotted, value)) if name == "workers" else value


def put(tree: Values, dotted: str, value: Any) -> None:
    """Put a value into a tree at a dotted key; sections that are missing are made."""
    *parents, last = dotted.split(".")
    for parent in parents:
        tree = tree.setdefault(parent, {})
    tree[last] = value


def named_values(original: Original) -> Values:
    """Return the named optimizers and schedules, with all their keys."""
    optimizers = [_optimizer(original, place) for place in original.names("optimizers")]
    schedules = [_schedule(original, place) for place in original.names("lr_schedulers")]
    return {"optimizers": [*filter(None, optimizers)], "lr_schedulers": [*filter(None, schedules)]}


def _optimizer(original: Original, place: str) -> Values | None:
    """Return an optimizer; None where dtc has none of its type."""
    own = {leaf.key.ours.rpartition(".")[2]: leaf.value for leaf in original.under("optimizers", place)}
    kind = str(own.get("type")).lower()
    amsgrad = original.get("optimizers", place, "amsgrad")
    if kind not in OPTIMIZERS or amsgrad:
        shown = f"{own.get('type')}{' with amsgrad' if amsgrad else ''}"
        reason = f"{shown} is none of {', '.join(OPTIMIZERS)}; see type: torch in docs/training.md"
        original.left_out[f"optimizers.{place}"] = reason
        return None
    return {"name": _name(original, "optimizers", place), "type": kind} | OPTIMIZERS[kind] | own | {"type": kind}


def _schedule(original: Original, place: str) -> Values | None:
    """Return a schedule; None where dtc has none of its type."""
    own = {leaf.path[-1]: leaf.value for leaf in original.under("lr_schedulers", place)}
    found = own.pop("type", None)
    kind = str(found).lower()
    if kind not in SCHEDULES:
        reason = f"{found} is none of multistep, exponential, ReduceLROnPlateau; see docs/training.md"
        original.left_out[f"lr_schedulers.{place}"] = reason
        return None
    return {"name": _name(original, "lr_schedulers", place)} | SCHEDULES[kind] | own


def _name(original: Original, section: str, place: str) -> str:
    """Return the name of an element of a list, or that of a key. Raises InputError where there is none."""
    name = original.get(section, place, "name", default=None if isinstance(original.tree[section], list) else place)
    if not isinstance(name, str):
        raise InputError(f"{original.where}: {section}.{place}.name", f"found {name!r}", "the name that models use")
    return name


def model_values(original: Original) -> Values:
    """Return the named models and the chosen one, whose values also become those of `acoustic` and `audio`."""
    names = original.names("models")
    used = original.require_known("use_model", original.get("use_model"), names)
    layers = {name: _layer(original, name) for name in names}
    own = {key: value for key, value in layers[used].items() if not key.startswith("training.")}
    models = {name: _model(original, name, layers[name], own["acoustic.model"]) for name in names}
    for name, layer in layers.items():
        if differing := [key for key, value in layer.items() if key.startswith("audio.") and own.get(key) != value]:
            reason = f"{named(differing)} as in {used}: params.yaml has one section audio"
            original.left_out[f"models.{name}.spectrogram_layer"] = reason
    return {"models": models, "use_model": used, **own}


def _layer(original: Original, name: str) -> Values:
    """Return the dotted keys of a model's spectrogram layer in params.yaml, without what dtc does not have."""
    path = ("models", name, "spectrogram_layer")
    found = original.require_known(".".join((*path, "model")), original.get(*path, "model"), ACOUSTIC_MODELS)
    layer = {leaf.key.ours: converted(original, leaf) for leaf in original.under(*path)}
    layer["acoustic.model"] = ACOUSTIC_MODELS[found]
    if ACOUSTIC_MODELS[found] != "dtc" and layer.pop("acoustic.reverse_decoder", None) is not None:
        original.left_out[".".join((*path, "reverse_decoder"))] = "tacotron2 has one decoder"
    _drop_undefined(original, layer, ".".join(path))
    return layer


def _drop_undefined(original: Original, layer: Values, where: str) -> None:
    """Remove the names of optimizers and schedules that the file does not define."""
    for section, elements in named_values(original).items():
        for key in [key for key in layer if f"{key.rpartition('.')[2]}s" == section]:
            if layer[key] not in [element["name"] for element in elements]:
                reason = f"no {layer.pop(key)} in {section}, so that of the preset is used"
                original.left_out[f"{where}.{key.rpartition('.')[2]}"] = reason


def _model(original: Original, name: str, layer: Values, base: str) -> Values:
    """Return the layers of a model. One of another kind than `base` has all its keys, as it replaces that section."""
    kind = layer["acoustic.model"]
    spectrogram_layer = preset_section(kind, "acoustic") if kind != base else {}
    for key, value in layer.items():
        if not key.startswith("audio."):
            put(spectrogram_layer, key.removeprefix("training.").removeprefix("acoustic."), value)
    return {"spectrogram_layer": spectrogram_layer} | _vocoder(original, name)


def _vocoder(original: Original, name: str) -> Values:
    """Return the vocoder of a model; nothing where dtc does not have it."""
    own = {leaf.key.ours: leaf.value for leaf in original.under("models", name, "vocoder")}
    kind = vocoder_of(original, name)
    if kind is None:
        if own:
            reason = f"{own.get('vocoder.model')} is none of {', '.join(VOCODERS)}, so that of the preset is used"
            original.left_out[f"models.{name}.vocoder"] = reason
        return {}
    _drop_undefined(original, own, f"models.{name}.vocoder")
    parts = {key.rpartition(".")[2]: value for key, value in own.items()}
    return {"vocoder": preset_section(kind, "vocoder") | parts | {"model": kind}}


def vocoder_of(original: Original, name: str) -> str | None:
    """Return the vocoder of a model, None where it has none, or one that dtc does not have."""
    found = str(original.get("models", name, "vocoder", "model")).lower()
    return found if found in VOCODERS else None


def preset_section(model: str, section: str) -> Values:
    """Return a section of the preset that has all settings of a model."""
    tree: Any = read_yaml(PRESETS / f"{PRESET_OF[model]}.yaml")
    return dict(tree[section])


def strategy_values(original: Original) -> Values:
    """Return the strategy of the model that `use_model` names."""
    used = original.get("use_model")
    for other in original.names("strategy"):
        if other != used:
            original.left_out[f"strategy.{other}"] = f"params.yaml has one strategy: that of use_model, {used}"
    own = {leaf.key.ours: leaf.value for leaf in original.under("strategy", used)}
    if "strategy.order" in own:
        key = f"strategy.{used}.order"
        layers = original.require_list(key, own["strategy.order"])
        own["strategy.order"] = [LAYERS[original.require_known(key, layer, LAYERS)] for layer in layers]
    return own


def search_values(original: Original) -> Values:
    """Return the settings of the search, which keep their names."""
    tree: Values = {}
    for leaf in original.under("ray"):
        put(tree, leaf.key.ours, leaf.value)
    return tree
