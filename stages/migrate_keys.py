"""Define where each key of the original system's config.yaml is in params.yaml, or why it has no counterpart."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dtc.config import UNKNOWN, did_you_mean
from dtc.errors import InputError


@dataclass(frozen=True)
class Key:
    """One key of the original system's file.

    Args:
        original: its dotted name, in which * stands for any name.
        ours: its dotted name in params.yaml, in which * stands for acoustic and vocoder; "" where it has none.
        note: the reason why it has none; or what differs, "" where nothing does.
    """

    original: str
    ours: str = ""
    note: str = ""


def _same(original: str, ours: str, *names: str) -> Iterable[Key]:
    """Yield keys whose name and value stay the same inside another section."""
    return (Key(f"{original}.{name}", f"{ours}.{name}") for name in names)


def _without(note: str, *names: str) -> Iterable[Key]:
    """Yield keys that have no counterpart, for one reason."""
    return (Key(name, note=note) for name in names)


PARTS = ("encoder", "decoder", "attention", "attention_location", "post_net")
LAYER, VOCODER = "models.*.spectrogram_layer", "models.*.vocoder"
DATASET, SETTING, RAY = "datasets.*", "settings.*", "ray"
OPTIMIZER, SCHEDULE = "optimizers.*", "lr_schedulers.*"

ONE_GRAPH = "a layer's inputs and outputs are fixed"
CONTENT = "the content of a file tells its kind"
ALWAYS_READS = "`dtc download` takes a folder with all its subfolders"
LISTS = {"training_meta": "train", "validation_meta": "validation", "test_meta": "test"}  # key of a dataset → split
COPIED = "the published lists of LJ Speech are there; others are to be copied to splits/"
OWN_CHECKSUM = "the checksums of what `dtc convert` writes, which replaces the original's .pt files"
RENAMED_SCHEDULE = "ReduceLROnPlateau is reduce_lr_on_plateau"

GLOBALS = (
    *_without("a command of its own: `dtc train`; `dvc repro` runs all", "train"),
    Key("use_dataset", "corpus.name", "the dataset becomes the section corpus"),
    Key("use_model", "use_model"),
    *_without("run.*.predict says how often pictures are drawn", "draw_prediction"),
    Key("load_model", "run.*.load_model"),
    Key("load_epoch", "run.*.load_epoch", "null: checkpoints of the original are not read"),
    *_without("a training always saves its model", "save_model"),
    *_without("each command replaces what it wrote before", "regenerate"),
    Key("active_setting", "active_setting", "null where there is no such setting"),
    *_without("a command of its own: `dtc evaluate`; `dvc repro` runs all", "evaluate"),
    *_without("the folder in which the command runs", "root_dir"),
    *_without("always runs/", "log_dir"),
    *_without("always runs/evaluate/timing.json", "nil_dir"),
    *_without("always results/curves/", "graph_dir"),
    *_without("always results/", "results_dir"),
    *_without("always results/report/", "figures_dir"),
    *_without("always results/wavs/", "prediction_dir"),
    *_without("always models/", "model_save_dir"),
    *_without("always results/metrics/", "metrics_dir"),
    *_without("`dtc say --out`, by default spoken/", "generated_dir"),
)
DATASETS = (
    Key(f"{DATASET}.format", "corpus.format", "raw is ljspeech or filelist, by meta; tensor_mel stays"),
    *_without(CONTENT, f"{DATASET}.ds_type", f"{DATASET}.file_type"),
    Key(f"{DATASET}.dir", "corpus.source"),
    *(Key(f"{DATASET}.{name}", "split.lists", COPIED) for name in LISTS),
    Key(f"{DATASET}.meta", "corpus.format", "metadata.csv is the format ljspeech"),
    *_without(ALWAYS_READS, f"{DATASET}.recursive"),
    Key(f"{DATASET}.dataset_files", "corpus.checksums", "by split: train.pt, validation.pt, test.pt"),
    Key(f"{DATASET}.checksums", "corpus.checksums", OWN_CHECKSUM),
)
SETTINGS = (
    *_same(SETTING, "training.*", "epochs", "batch_size", "grad_clipping", "grad_max_norm", "seed"),
    Key(
        f"{SETTING}.early_stopping", "training.*.early_stopping", "True: by the loss, with a patience of 5; False: null"
    ),
    Key(f"{SETTING}.fp16", "training.*.precision", "True: fp16; False: fp32"),
    *_same(SETTING, "run.*", "console_log_rate", "tensorboard_update"),
    Key(f"{SETTING}.start_test", "run.*.start_test", "epochs, as test_per_iteration becomes false"),
    Key(f"{SETTING}.epochs_test", "run.*.epochs_test", "epochs, as test_per_iteration becomes false"),
    *_same(SETTING, "run.*", "predict", "predict_per_iteration", "epochs_save", "save_per_iteration"),
    *_without("console_log_rate says how often lines are printed", f"{SETTING}.epochs_log"),
    *_without("epochs_save says how often it is saved", f"{SETTING}.iters_per_checkpoint"),
    *(
        Key(f"{SETTING}.dataloader.{kind}.{name}", f"{section}.*.dataloader.{kind}.{name}")
        for kind in ("train_set", "validation_set")
        for section, name in (
            ("run", "num_workers"),
            ("training", "drop_last"),
            ("run", "pin_memory"),
            ("training", "shuffle"),
        )
    ),
)
# The keys of run.devices, by their names in the settings.
DEVICES = (
    Key(f"{SETTING}.distributed", "run.devices.processes", "True: auto; False: 1"),
    *_same(SETTING, "run.devices", "backend", "master_address", "master_port"),
    Key(f"{SETTING}.url", "run.devices.url", "left out where master_address and master_port are there"),
    *_same(SETTING, "run.devices", "cudnn_enabled", "cudnn_benchmark"),
    Key(
        f"{SETTING}.workers",
        "run.devices.num_nodes",
        "the master and these, each with its own node_rank; not distributed: 1",
    ),
)
OPTIMIZERS = (
    Key(f"{OPTIMIZER}.name", "optimizers.name"),
    Key(f"{OPTIMIZER}.type", "optimizers.type", "adam, adamw, sgd, rmsprop; another is left out"),
    Key(f"{OPTIMIZER}.learning_rate", "optimizers.learning_rate", "without it, that of torch"),
    Key(f"{OPTIMIZER}.lr", "optimizers.learning_rate"),
    *_same(OPTIMIZER, "optimizers", "betas", "eps", "weight_decay", "momentum", "nesterov", "alpha"),
    *_without("False is what adam does; an optimizer with True is left out", f"{OPTIMIZER}.amsgrad"),
)
SCHEDULES = (
    Key(f"{SCHEDULE}.name", "lr_schedulers.name"),
    Key(f"{SCHEDULE}.type", "lr_schedulers.type", RENAMED_SCHEDULE),
    Key(f"{SCHEDULE}.milestones", "lr_schedulers.milestones", "epochs, as per_iteration becomes false"),
    Key(f"{SCHEDULE}.gamma", "lr_schedulers.gamma", "without it, torch's: 0.1"),
    Key(f"{SCHEDULE}.factor", "lr_schedulers.factor", "without it, torch's: 0.1"),
    Key(f"{SCHEDULE}.patience", "lr_schedulers.patience"),
    *_without("the metric is the loss, and a smaller one is better", f"{SCHEDULE}.mode"),
)
STRATEGY = (
    Key("strategy.*.type", "strategy.type", "that of use_model"),
    Key("strategy.*.order", "strategy.order", "spectrogram_layer is acoustic, wav2vec is vocoder"),
)
MODELS = (
    Key(f"{LAYER}.model", "acoustic.model", "tacotron25 is tacotron2; dtc and tacotron3 are dtc"),
    Key(f"{LAYER}.optimizer", "training.acoustic.optimizer", "where optimizers has it"),
    Key(f"{LAYER}.lr_scheduler", "training.acoustic.lr_scheduler", "where lr_schedulers has it"),
    Key(f"{LAYER}.reverse_decoder", "acoustic.reverse_decoder", "of dtc; tacotron2 has one decoder"),
    Key(f"{LAYER}.enable_stft_loss", "acoustic.loss.stft_weight", "True: 1; False: 0"),
    *_without(ONE_GRAPH, f"{LAYER}.has_input", f"{LAYER}.has_output"),
    *_without("samples are read as numbers from -1 to 1", f"{LAYER}.max_wav_value"),
    *_same(LAYER, "audio", "sampling_rate", "filter_length", "win_length", "hop_length"),
    *_same(LAYER, "audio", "n_mel_channels", "mel_fmin", "mel_fmax"),
    *_same(LAYER, "acoustic", "frames_per_step", "symbols_embedding_dim"),
    *_without("a description", *(f"{LAYER}.{part}.desc" for part in PARTS)),
    *_same(f"{LAYER}.encoder", "acoustic.encoder", "dropout_rate", "num_convolutions", "embedding_dim", "kernel_size"),
    *_without("frames_per_step says the same", f"{LAYER}.decoder.fps"),
    *_same(f"{LAYER}.decoder", "acoustic.decoder", "max_decoder_steps", "gate_threshold", "attention_dropout"),
    *_same(f"{LAYER}.decoder", "acoustic.decoder", "decoder_dropout", "rnn_dim", "pre_net_dim"),
    *_same(f"{LAYER}.attention", "acoustic.attention", "rnn_dim", "attention_dim"),
    *_same(f"{LAYER}.attention_location", "acoustic.attention", "num_filters", "kernel_size"),
    *_same(f"{LAYER}.post_net", "acoustic.post_net", "embedding_dim", "kernel_size", "num_convolutions"),
    Key(f"{VOCODER}.model", "vocoder.model", "waveglow and vocos; another is left out"),
    Key(f"{VOCODER}.optimizer", "training.vocoder.optimizer", "where optimizers has it"),
    Key(f"{VOCODER}.lr_scheduler", "training.vocoder.lr_scheduler", "where lr_schedulers has it"),
    *_without("strategy.order says whether `dtc train all` trains it", f"{VOCODER}.state"),
    *_without("its model is its name", f"{VOCODER}.name"),
    *_without("audio.n_mel_channels is its size", f"{VOCODER}.input_size"),
)
SEARCH = (
    *_same(RAY, "tune", "batch_size", "lr_min", "lr_max", "num_samples"),
    *_without("run.*.epochs_save says how often a trial is saved", f"{RAY}.checkpoint_freq"),
    *_same(RAY, "tune", "resources.cpu", "resources.gpu", "attention_location_filters", "attention_kernel_size"),
    *_same(RAY, "tune", "grad_clip.min", "grad_clip.max"),
)
KEYS = (*GLOBALS, *DATASETS, *SETTINGS, *DEVICES, *OPTIMIZERS, *SCHEDULES, *STRATEGY, *MODELS, *SEARCH)
_PATTERNS = {tuple(key.original.split(".")): key for key in KEYS}


@dataclass(frozen=True)
class Leaf:
    """One value of an original file: the names that lead to it, what is known of its key, and the value."""

    path: tuple[str, ...]
    key: Key
    value: Any

    @property
    def dotted(self) -> str:
        """Return its dotted name in the file."""
        return ".".join(self.path)


class Original:
    """A file of the original system, all of whose keys are known.

    Args:
        tree: its content.
        where: its name, for messages.

    Raises InputError for a key that the original system does not have, and for a value in place of a section.
    """

    def __init__(self, tree: Mapping[str, Any], where: str) -> None:
        self.tree, self.where = tree, where
        self.leaves = tuple(self._leaves(tree, ()))
        self.left_out = {leaf.key.original: leaf.key.note for leaf in self.leaves if not leaf.key.ours}

    def names(self, section: str) -> list[str]:
        """Return the names of what a section defines, in their order; of a list, its numbers."""
        return list(dict.fromkeys(leaf.path[1] for leaf in self.leaves if leaf.path[0] == section))

    def under(self, *names: str) -> list[Leaf]:
        """Return the values inside a section that have a counterpart."""
        return [leaf for leaf in self.leaves if leaf.path[: len(names)] == names and leaf.key.ours]

    def get(self, *path: str, default: Any = None) -> Any:
        """Return the value at a path, `default` where there is none."""
        return next((leaf.value for leaf in self.leaves if leaf.path == path), default)

    def require_known(self, key: str, found: object, known: Collection[str]) -> str:
        """Return a value if it is among the known ones. Raises InputError, with the nearest one, if it is not."""
        if isinstance(found, str) and found in known:
            return found
        shown = "missing" if found is None else f"found {found!r}"
        expected = f"one of {', '.join(known)}" if known else "a name that the file defines"
        raise InputError(f"{self.where}: {key}", shown, expected, did_you_mean(str(found), known))

    def require_list(self, key: str, found: object) -> list[Any]:
        """Return a value if it is a list, and an empty list for null. Raises InputError where it is another value."""
        if found is not None and not isinstance(found, list):
            raise InputError(f"{self.where}: {key}", f"found {found!r}", "a list")
        return found or []

    def _leaves(self, tree: object, path: tuple[str, ...]) -> Iterator[Leaf]:
        """Yield the values inside a section; the elements of a list are named by their numbers."""
        if not isinstance(tree, dict | list):
            raise InputError(f"{self.where}: {'.'.join(path)}", f"found {tree!r}", "keys and values")
        for name, value in tree.items() if isinstance(tree, dict) else enumerate(tree):
            inner = (*path, str(name))
            key = next((key for pattern, key in _PATTERNS.items() if _fits(inner, pattern)), None)
            if key is not None:
                yield Leaf(inner, key, value)
            elif not _known_after(inner):
                hint = did_you_mean(str(name), _known_after(path)) or "remove it"
                raise InputError(f"{self.where}: {'.'.join(inner)}", UNKNOWN, remedy=hint)
            elif value is not None:
                yield from self._leaves(value, inner)


def _known_after(path: Sequence[str]) -> set[str]:
    """Return the names of the keys that the section at a path may have."""
    count = len(path)
    return {pattern[count] for pattern in _PATTERNS if count < len(pattern) and _fits(path, pattern[:count])}


def _fits(path: Sequence[str], pattern: Sequence[str]) -> bool:
    """Return whether names match a pattern of the same length, in which * stands for any name."""
    return len(path) == len(pattern) and all(other in ("*", name) for name, other in zip(path, pattern, strict=True))
