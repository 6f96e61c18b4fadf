"""Read params.yaml as one typed tree. Each command reads the sections that it needs; `dtc params` reads all."""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any, cast, get_type_hints

from pydantic import create_model

from dtc.acoustic import AcousticConfig
from dtc.audio_config import AudioConfig
from dtc.config import Section, parse_section
from dtc.errors import InputError
from dtc.evaluation import NO_RECOGNISER, EarConfig, EvaluateConfig
from dtc.judge import JudgeConfig
from dtc.model_card import ModelKind
from dtc.synthesis_config import DEFAULT_SYNTHESIS, SynthesisConfig
from dtc.training.config import RunConfig, TrainingConfig
from dtc.training.devices_config import DevicesConfig
from dtc.vocoder import VocoderConfig
from pipeline.config import DistributedConfig, FeaturesConfig, RecordingConfig, VerifyConfig
from pipeline.corpora import CorpusConfig, find_grammar, find_texts
from pipeline.lexicon_file import TextSection
from pipeline.split import SplitConfig
from stages import paths
from stages.named_parts import StrategyConfig, read_named_parts, resolved
from stages.params_file import read_yaml


class TrainingSections(Section):
    """Define how each of the two models is trained."""

    acoustic: TrainingConfig
    vocoder: TrainingConfig


class RunSections(Section):
    """How the training of each of the two models is run, and on which devices."""

    acoustic: RunConfig
    vocoder: RunConfig
    devices: DevicesConfig


class Params(Section):
    """The sections of params.yaml, by the names that they have there."""

    corpus: CorpusConfig
    recording: RecordingConfig
    verify: VerifyConfig
    audio: AudioConfig
    text: TextSection
    features: FeaturesConfig
    distributed: DistributedConfig
    split: SplitConfig
    acoustic: AcousticConfig
    vocoder: VocoderConfig
    training: TrainingSections
    run: RunSections
    synthesis: SynthesisConfig
    evaluate: EvaluateConfig
    judge: JudgeConfig


def _vocoder_fits_audio(params: Params) -> None:
    params.vocoder.check(params.audio)


def _spikes_fit_schedule(params: Params) -> None:
    if params.training.acoustic.loss_spikes and (schedule := params.acoustic.loss_schedule):
        found = f"training.acoustic.loss_spikes with a schedule in {schedule}"
        raise ValueError(f"{found}, expected null, as a schedule moves the loss")


def _files_of_evaluation_are_there(params: Params) -> None:
    evaluate = params.evaluate
    if evaluate.ear == NO_RECOGNISER:
        return
    for key in ("grammar", "texts_grammar"):
        if (grammar := getattr(evaluate, key)) is not None:
            find_grammar(grammar, f"evaluate.{key}")
    if evaluate.texts is not None:
        find_texts(evaluate.texts)


def _lexicon_is_right(params: Params) -> None:
    params.text.read_lexicon()


# The recogniser where params.yaml names none.
DEFAULT_EAR = EarConfig(ear="whisper", grammar=None, whisper_model="tiny.en", texts_grammar=None)

# Keys of older versions → their names now, in the sections of both models.
CADENCES = {
    "log_every": "tensorboard_update",
    "checkpoint_every": "epochs_save, with save_per_iteration: true",
    "validate_every": "epochs_test, with test_per_iteration: true",
}
RENAMED = {
    "training.{}.weight_average_decay": "training.{}.weight_average",
    "training.{}.loss_spike_deviations": "training.{}.loss_spikes",
} | {f"{section}.{{}}.{old}": f"run.{{}}.{new}" for section in ("training", "run") for old, new in CADENCES.items()}
MOVED = {"audit": "verify"} | {
    old.format(kind): new.format(kind) for kind in ("acoustic", "vocoder") for old, new in RENAMED.items()
}
# Sections → a check of them together, which is made where all of these sections are read.
CHECKS: tuple[tuple[frozenset[str], Callable[[Params], None]], ...] = (
    (frozenset({"vocoder", "audio"}), _vocoder_fits_audio),
    (frozenset({"acoustic", "training.acoustic"}), _spikes_fit_schedule),
    (frozenset({"text"}), _lexicon_is_right),
    (frozenset({"evaluate"}), _files_of_evaluation_are_there),
)


def load_params(path: Path, *sections: str) -> Params:
    """Return some sections of a params file, given as dotted names; without names, all of it.

    Of the other sections only the names are checked, and the result does not have them.
    Raises InputError for a section that is wrong or missing, for an unknown section, and for sections that do not fit
    one another.
    """
    return params_of(read_yaml(path), path, *sections)


def params_of(tree: object, path: Path, *sections: str) -> Params:
    """Return some sections of the content of a params file, as `load_params` does; errors name the file."""
    schema = _schema_of(Params, sections or Params.model_fields)
    parsed = _parse(resolved(tree, path), schema, path)
    read = {name.partition(".")[0] for name in sections or Params.model_fields}
    params = Params.model_construct(**{name: getattr(parsed, name) for name in Params.model_fields if name in read})
    for needed, check in CHECKS:
        if not sections or all(_is_read(name, sections) for name in needed):
            try:
                check(params)
            except ValueError as error:  # or an InputError, which does not know the file
                raise InputError(path, str(error)) from None
    return params


def load_training(path: Path, kind: ModelKind) -> Params:
    """Return the sections of a params file that the training of one model needs; `evaluate` only where it speaks."""
    return training_of(read_yaml(path), path, kind)


def training_of(tree: object, path: Path, kind: ModelKind) -> Params:
    """Return the sections that `load_training` returns, of the content of a params file; errors name the file."""
    sections = ("audio", kind, f"training.{kind}", f"run.{kind}", "run.devices")
    params = params_of(tree, path, *sections)
    return params_of(tree, path, *sections, "evaluate") if getattr(params.run, kind).speak_every else params


def load_strategy(path: Path) -> StrategyConfig:
    """Return the strategy of a params file, whatever else it holds. Raises InputError where it is wrong."""
    return read_named_parts(read_yaml(path), path).strategy


def _parse(tree: object, schema: type[Section], path: Path) -> Section:
    try:
        return parse_section(tree, schema, str(path))
    except InputError as error:
        old = error.where.removeprefix(f"{path}: ")
        if old not in MOVED:
            raise
        raise InputError(error.where, "a key of an older version", remedy=f"move it to {MOVED[old]}") from None


def load_synthesis(path: Path | None) -> SynthesisConfig:
    """Return the section `synthesis` of a params file, whatever else the file holds.

    Without a path, return that of params.yaml in the working folder or, where there is none, the default. Raises
    InputError where the file that `path` names is missing, or the section is wrong.
    """
    found = _section_alone(path, "synthesis", required=path is not None)
    return cast(SynthesisConfig, found) if found else DEFAULT_SYNTHESIS


def load_ear(path: Path | None) -> EarConfig:
    """Return the recogniser of the section `evaluate` of a params file, whatever else the file holds.

    It is Whisper where that section is missing, and where its `ear` is none. `path` is that of `load_synthesis`.
    """
    found = cast(EarConfig | None, _section_alone(path, "evaluate", required=False)) or DEFAULT_EAR
    return found if found.ear != NO_RECOGNISER else found.model_copy(update={"ear": DEFAULT_EAR.ear})


def _section_alone(path: Path | None, name: str, required: bool) -> Section | None:
    """Return one section of a params file; None where it, or params.yaml, is missing and not required."""
    chosen = path or paths.PARAMS
    tree = read_yaml(chosen) if path or chosen.is_file() else {}
    found = {name: tree[name]} if isinstance(tree, dict) and name in tree else {}
    if not found and not required:
        return None
    return cast(Section, getattr(parse_section(found, _schema_of(Params, [name]), str(chosen)), name))


def _is_read(name: str, sections: Collection[str]) -> bool:
    return name in sections or name.partition(".")[0] in sections


def _schema_of(schema: type[Section], names: Collection[str]) -> type[Section]:
    """Return `schema` with the checks of some of its keys, which may be dotted; of the others anything is taken."""
    fields: dict[str, Any] = {}
    for key, annotation in get_type_hints(schema, include_extras=True).items():
        if key == "model_config":
            continue
        inner = [rest for name in names for first, _, rest in [name.partition(".")] if first == key and rest]
        if key in names:
            fields[key] = (annotation, ...)
        elif inner:
            fields[key] = (_schema_of(annotation, inner), ...)
        else:
            fields[key] = (Any, None)
    return create_model(schema.__name__, __base__=Section, **fields)
