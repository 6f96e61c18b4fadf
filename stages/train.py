"""`dtc train acoustic` and `dtc train vocoder`: shards → a model folder and its curve."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal, cast

import torch
from rich.console import Console
from rich.table import Table
from torch import nn

from dtc.acoustic import AcousticConfig
from dtc.acoustic.base import AcousticModel, build_acoustic
from dtc.acoustic.look import attention_warning, look
from dtc.audio import AudioConfig, log_mel, require_same_audio
from dtc.batch import Batch
from dtc.config import Section
from dtc.errors import InputError
from dtc.files import write_whole
from dtc.model_card import ModelCard, read_model, save_model
from dtc.provenance import fingerprint, fingerprint_files
from dtc.report.plots import rgb_array, spectrogram_figure
from dtc.seeding import seed_all
from dtc.training.config import RunConfig, TrainingConfig
from dtc.training.logbook import CURVE, Logbook, read_curve
from dtc.training.loop import RESUME, Batches, Illustrate, train, trained
from dtc.training.precision import has_bfloat16
from dtc.vocoder import VocoderConfig
from dtc.vocoder.base import build_vocoder
from dtc.vocoder.configs import TrainOn
from pipeline.batching import Batching
from pipeline.loader import InTurn, ShardLoader
from pipeline.shards import INDEX, PredictedBy, ShardIndex, read_index
from stages import paths

# What shapes a trained model, as in dvc.yaml: an edit here starts a run anew instead of going on with the old state.
CODE = (
    "dtc/audio.py", "dtc/batch.py", "dtc/migrations.py", "dtc/model_card.py", "dtc/seeding.py", "dtc/text/symbols.py",
    "dtc/training/*.py", "pipeline/loader.py",
    "pipeline/batching.py", "pipeline/places.py", "pipeline/shard_reader.py", "pipeline/shards.py", "stages/train.py",
)  # fmt: skip
CODE_OF_KIND = {
    "acoustic": tuple(
        f"dtc/acoustic/{name}.py"
        for name in (
            "attention/__init__",
            "attention/base",
            "attention/configs",
            "base",
            "configs",
            "decoder",
            "deferred_gradients",
            "layers",
            "loss",
        )
    ),
    "vocoder": tuple(
        f"dtc/vocoder/{name}.py"
        for name in ("adversarial", "discriminators", "flows", "loss", "training_segments", "wavenet")
    ),
}
# vocoder.train_on → where the shards are.
FOLDERS: Mapping[TrainOn, tuple[Path, ...]] = {
    "recorded": (paths.FEATURES,), "gta": (paths.GTA,), "both": (paths.FEATURES, paths.GTA),
}  # fmt: skip
ROOT = Path(__file__).parent.parent


Kind = Literal["acoustic", "vocoder"]


def code_of(kind: Kind, config: Mapping[str, Any]) -> tuple[str, ...]:
    """Patterns of the source files that shape a trained model."""
    chosen = [config["model"]] + ([f"attention/{config['attention']['model']}"] if "attention" in config else [])
    return (*CODE, *CODE_OF_KIND[kind], *(f"dtc/{kind}/{name}.py" for name in chosen))


def train_acoustic(
    acoustic: AcousticConfig,
    training: TrainingConfig,
    how: RunConfig,
    audio: AudioConfig,
    device: torch.device,
    console: Console,
) -> None:
    """Train the model that `acoustic.model` names on data/features."""
    index = _read_index(audio)
    seed_all(training.seed, "weights")
    card = _card("acoustic", acoustic, training, index)
    model = build_acoustic(acoustic, index.audio, *card.statistics())
    illustrate = _illustrate_acoustic
    _train(
        model, card, [paths.FEATURES], training, how, paths.ACOUSTIC, paths.ACOUSTIC_CURVE, device, console, illustrate
    )


def train_vocoder(
    vocoder: VocoderConfig,
    training: TrainingConfig,
    how: RunConfig,
    audio: AudioConfig,
    device: torch.device,
    console: Console,
) -> None:
    """Train the vocoder that `vocoder.model` names on `vocoder.train_on`'s mels. Griffin-Lim has nothing to learn."""
    index = _read_index(audio)
    seed_all(training.seed, "weights")
    card = _card("vocoder", vocoder, training, index)
    folders = FOLDERS[vocoder.train_on]
    if paths.GTA in folders:
        aligned, acoustic = _read_aligned(index)
        card = card.model_copy(update={"aligned": aligned.fingerprint, "aligned_by": acoustic})
    model = build_vocoder(vocoder, index.audio, *card.statistics()).for_training()
    illustrate = partial(_illustrate_vocoder, index.audio)
    _train(model, card, folders, training, how, paths.VOCODER, paths.VOCODER_CURVE, device, console, illustrate)


def _train(
    model: nn.Module,
    card: ModelCard,
    folders: Sequence[Path],
    training: TrainingConfig,
    how: RunConfig,
    folder: Path,
    curve: Path,
    device: torch.device,
    console: Console,
    illustrate: Illustrate,
) -> None:
    code = fingerprint_files(ROOT, code_of(card.kind, card.config))
    run = paths.RUNS / f"{card.kind}-{fingerprint(card, code)}"
    weights, steps = trained(model).state_dict(), 0
    run.mkdir(parents=True, exist_ok=True)
    if training.precision == "bfloat16" and not has_bfloat16(device):
        console.print(f"{card.kind}: this {device.type} has no arithmetic in bfloat16; float32 is faster here")
    if any(True for _ in model.parameters()):
        shuffled, validation = (batches_of(folders, split, training) for split in ("train", "validation"))
        weights, steps = train(
            model.to(device), shuffled, validation, training, how, run, card.kind, console, illustrate
        )
    card = save_model(folder, weights, card.model_copy(update={"steps": steps}))
    _copy_curve(run / CURVE, curve)
    (run / RESUME).unlink(missing_ok=True)  # the model is in place: a forced run starts over
    table = Table("model", "parameters", "steps", "validation loss", "folder", "fingerprint")
    parameters = sum(value.numel() for value in trained(model).parameters())
    losses = [row["loss"] for row in read_curve(curve) if row["split"] == "validation"]
    table.add_row(
        str(card.config["model"]), f"{parameters:,}", str(steps), losses[-1] if losses else "–", str(folder),
        card.fingerprint,
    )  # fmt: skip
    console.print(table)


def batches_of(folders: Sequence[Path], split: Literal["train", "validation"], training: TrainingConfig) -> Batches:
    """Of one folder; or of several in turn, whose orders differ: with one, each batch would come twice running."""
    size = (training.batch_size, training.batch_frames)
    seeds = [training.seed + place if split == "train" else None for place in range(len(folders))]
    loaders = [
        ShardLoader(folder, split, Batching(*size, seed=seed)) for folder, seed in zip(folders, seeds, strict=True)
    ]
    return loaders[0] if len(loaders) == 1 else InTurn(loaders)


def _read_aligned(features: ShardIndex) -> tuple[ShardIndex, str]:
    """Of the predicted mels, and the model's fingerprint, where they are models/acoustic's of data/features by now."""
    if not (paths.GTA / INDEX).is_file():
        raise InputError(paths.GTA, "no predicted mels", "some, as vocoder.train_on says", "run `dtc align` first")
    index = read_index(paths.GTA)
    acoustic = read_model(paths.ACOUSTIC, "acoustic")[0].fingerprint
    expected = PredictedBy(acoustic=acoustic, features=features.fingerprint)
    if index.predicted != expected:
        by, of = (index.predicted.acoustic, index.predicted.features) if index.predicted else ("none", "none")
        found = f"mels predicted by model {by} of features {of}"
        raise InputError(paths.GTA, found, f"by {acoustic} of {features.fingerprint}", index.remedy)
    return index, acoustic


def _read_index(audio: AudioConfig) -> ShardIndex:
    """Of data/features, where they are what params.yaml says by now."""
    index = read_index(paths.FEATURES)
    require_same_audio(index.audio, str(paths.FEATURES), audio, "params.yaml", "run `dtc preprocess` again")
    return index


def _card(kind: Kind, config: Section, training: TrainingConfig, index: ShardIndex) -> ModelCard:
    return ModelCard(
        kind=kind,
        config=config.model_dump(mode="json"),
        training=training.model_dump(mode="json"),
        audio=index.audio,
        text=index.text,
        alphabet=index.alphabet,
        mel_mean=index.mel_mean,
        mel_deviation=index.mel_deviation,
        corpus=index.corpus_md5,
        features=index.fingerprint,
        steps=0,
    )


def _illustrate_acoustic(model: nn.Module, batch: Batch, logbook: Logbook, step: int) -> None:
    """Log pictures of what the model speaks, and print a warning where its attention does not follow the text."""
    score = {name: float(value) for name, value in logbook.rows[-1].items() if name == "diagonal_score"}
    if warning := attention_warning(score, step / logbook.total_steps):
        logbook.console.print(f"{logbook.title}: step {step}, {warning}", highlight=False)
    look(cast(AcousticModel, model), batch, logbook, step)


@torch.no_grad()
def _illustrate_vocoder(audio: AudioConfig, model: nn.Module, batch: Batch, logbook: Logbook, step: int) -> None:
    """The first validation clip from its mel, beside the recording."""
    length = int(batch.wave_lengths[0])
    wave = model(batch.mel[:1, :, : batch.mel_lengths[0]])[0, :length]
    for name, sound in (("recording", batch.wave[0, :length]), ("copy", wave)):
        logbook.audio(step, name, sound.cpu().numpy(), audio.sampling_rate)
        picture = spectrogram_figure(
            log_mel(sound[None], audio)[0].cpu().numpy(), audio.sampling_rate, audio.hop_length
        )
        logbook.image(step, f"mel/{name}", rgb_array(picture))


def _copy_curve(source: Path, target: Path) -> None:
    write_whole(target, source.read_bytes() if source.is_file() else "step,split,loss\n")
