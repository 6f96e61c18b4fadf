"""Import and export of NVIDIA's Tacotron 2 checkpoints; the tensors keep every byte.

NVIDIA/tacotron2 writes {iteration, state_dict, …}, DeepLearningExamples {epoch, config, state_dict, …}. The tensors are
those of our Tacotron 2 under other names, so the sizes are read from their shapes. What shapes do not show is read from
the hyper-parameters that come with the file, and is NVIDIA's published value where there are none.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping
from functools import partial, reduce
from typing import Any

import torch
from torch import Tensor

from dtc.acoustic import ACOUSTIC_MODELS
from dtc.acoustic.configs import AcousticSection, Tacotron2Config, TacotronSection
from dtc.acoustic.tacotron2 import Tacotron2
from dtc.audio import MelStatistics
from dtc.audio_config import AudioConfig
from dtc.compat.checkpoint_files import require_agreement, require_tensors
from dtc.compat.formats import Format, Imported, write_checkpoint
from dtc.compat.nvidia import ALPHABET, AUDIO, TEXT
from dtc.config import parse_section
from dtc.errors import InputError
from dtc.model_card import ModelCard
from dtc.text.symbols import SYMBOLS

# NVIDIA's hyper-parameter → the key of our config, and the published value (hparams.py of NVIDIA/tacotron2).
HPARAMS: dict[str, tuple[str, int | float]] = {
    "symbols_embedding_dim": ("symbols_embedding_dim", 512),
    "n_frames_per_step": ("frames_per_step", 1),
    "encoder_n_convolutions": ("encoder.num_convolutions", 3),
    "encoder_embedding_dim": ("encoder.embedding_dim", 512),
    "encoder_kernel_size": ("encoder.kernel_size", 5),
    "attention_rnn_dim": ("attention.rnn_dim", 1024),
    "attention_dim": ("attention.attention_dim", 128),
    "attention_location_n_filters": ("attention.num_filters", 32),
    "attention_location_kernel_size": ("attention.kernel_size", 31),
    "decoder_rnn_dim": ("decoder.rnn_dim", 1024),
    "prenet_dim": ("decoder.pre_net_dim", 256),
    "max_decoder_steps": ("decoder.max_decoder_steps", 1000),
    "gate_threshold": ("decoder.gate_threshold", 0.5),
    "p_attention_dropout": ("decoder.attention_dropout", 0.1),
    "p_decoder_dropout": ("decoder.decoder_dropout", 0.1),
    "postnet_n_convolutions": ("post_net.num_convolutions", 5),
    "postnet_embedding_dim": ("post_net.embedding_dim", 512),
    "postnet_kernel_size": ("post_net.kernel_size", 5),
}
# Values that are fixed in NVIDIA's code, and keys that only our config has, with values that switch their features off.
BUILT_IN: dict[str, Any] = {
    "model": "tacotron2",
    "mask_convolutions": True,
    "encoder": {"dropout_rate": 0.5},
    "attention": {"model": "location_sensitive"},
    "decoder": {"pre_net_dropout": 0.5, "frame_dropout": 0.0, "gradient_checkpointing": False},
    "post_net": {"dropout_rate": 0.5},
    "loss": {
        "gate_weight": 1.0,
        "gate_positive_weight": 1.0,
        "guided_attention_weight": 0.0,
        "guided_attention_sigma": 0.4,
        "guided_attention_half_life": None,
        "mel_difference_weight": 0.0,
        "stft_weight": 0.0,
    },
}
# NVIDIA's hyper-parameter → the tensor and the axis whose size is its value.
SHOWN_BY = {
    "n_symbols": ("embedding.weight", 0),
    "symbols_embedding_dim": ("embedding.weight", 1),
    "encoder_embedding_dim": ("encoder.convolutions.0.0.conv.weight", 0),
    "encoder_kernel_size": ("encoder.convolutions.0.0.conv.weight", 2),
    "attention_rnn_dim": ("decoder.attention_layer.query_layer.linear_layer.weight", 1),
    "attention_dim": ("decoder.attention_layer.query_layer.linear_layer.weight", 0),
    "attention_location_n_filters": ("decoder.attention_layer.location_layer.location_conv.conv.weight", 0),
    "attention_location_kernel_size": ("decoder.attention_layer.location_layer.location_conv.conv.weight", 2),
    "decoder_rnn_dim": ("decoder.decoder_rnn.weight_hh", 1),
    "prenet_dim": ("decoder.prenet.layers.0.linear_layer.weight", 0),
    "n_mel_channels": ("postnet.convolutions.0.0.conv.weight", 1),
    "postnet_embedding_dim": ("postnet.convolutions.0.0.conv.weight", 0),
    "postnet_kernel_size": ("postnet.convolutions.0.0.conv.weight", 2),
}
PROJECTION = "decoder.linear_projection.linear_layer.weight"
# Part of our tensor's name → part of NVIDIA's; no two of them apply to the same part of a name.
THEIR_NAMES = {
    ".convolution.": ".0.conv.",
    ".normalisation.": ".1.",
    "post_net.": "postnet.",
    "prenet.layers.0.": "prenet.layers.0.linear_layer.",
    "prenet.layers.1.": "prenet.layers.1.linear_layer.",
    "attention.query_layer.": "attention_layer.query_layer.linear_layer.",
    "attention.memory_layer.": "attention_layer.memory_layer.linear_layer.",
    "attention.v.": "attention_layer.v.linear_layer.",
    "attention.location_conv.": "attention_layer.location_layer.location_conv.conv.",
    "attention.location_dense.": "attention_layer.location_layer.location_dense.linear_layer.",
    "decoder.projection.": "decoder.linear_projection.linear_layer.",
    "decoder.gate.": "decoder.gate_layer.linear_layer.",
    **{f"decoder_rnn.{part}_l0": f"decoder_rnn.{part}" for part in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")},
}
STATISTICS = ("mel_mean", "mel_deviation")  # tensors that NVIDIA's model does not have


def import_tacotron2(
    state_dict: Mapping[str, Tensor], hparams: Mapping[str, Any], where: object
) -> Imported[Tacotron2Config]:
    """Return NVIDIA's state_dict as the config and the weights of our model.

    Every text may take `max_decoder_steps`, as in NVIDIA's code. `mask_convolutions` is on: a single text gives the
    same mel as there, and a text in a batch does not depend on the padding. The weights are copies of the same dtypes.

    Args:
        state_dict: tensors by NVIDIA's names.
        hparams: hyper-parameters by NVIDIA's names, as far as they are known.
        where: the source, for messages.

    Raises InputError for tensors that are missing, unknown, of other shapes or in contradiction to `hparams`, and for a
    model that ours cannot represent: other symbols, or several frames in a decoder step.
    """
    sizes = sizes_of(state_dict)
    require_agreement(sizes, hparams, where)
    _require_importable(sizes, where)
    published = {name: value for name, (_, value) in HPARAMS.items()} | AUDIO
    facts = {**published, **hparams, **sizes}
    config = parse_section(_config_tree(facts), Tacotron2Config, str(where))
    audio = parse_section({name: facts[name] for name in AUDIO}, AudioConfig, str(where))
    statistics = MelStatistics.neutral(audio.n_mel_channels)
    with torch.device("meta"):  # names and shapes without values
        model = Tacotron2(config, audio, statistics)
    names = {their_name(name): name for name in model.state_dict() if name not in STATISTICS}
    expected = {name: model.state_dict()[ours] for name, ours in names.items()}
    require_tensors(state_dict, expected, "NVIDIA's Tacotron 2", where)
    # Copies: the LSTM of a model trained on a GPU is saved as views of one buffer, which safetensors does not write.
    weights = {ours: state_dict[name].detach().clone().contiguous() for name, ours in names.items()}
    return Imported(
        config,
        audio,
        weights | dict(zip(STATISTICS, statistics, strict=True)),  # NVIDIA's mels are not normalised
        sum(parameter.numel() for parameter in model.parameters()),
        {name: value for name, value in published.items() if name not in hparams and name not in sizes},
    )


def sizes_of(state_dict: Mapping[str, Tensor]) -> dict[str, int]:
    """Return the hyper-parameters that the shapes show, by NVIDIA's names, except those whose tensor is missing."""
    shapes = {name: tuple(value.shape) for name, value in state_dict.items()}
    sizes = {
        name: shapes[tensor][axis] for name, (tensor, axis) in SHOWN_BY.items() if len(shapes.get(tensor, ())) > axis
    }
    for part in ("encoder", "postnet"):
        convolution = re.compile(rf"{part}\.convolutions\.\d+\.0\.conv\.weight")
        if number := sum(convolution.fullmatch(name) is not None for name in shapes):
            sizes[f"{part}_n_convolutions"] = number
    if sizes.get("n_mel_channels") and shapes.get(PROJECTION):
        sizes["n_frames_per_step"] = max(1, shapes[PROJECTION][0] // sizes["n_mel_channels"])
    return sizes


def their_name(name: str) -> str:
    """Return NVIDIA's name of one of our tensors.

    >>> their_name("decoder.attention.location_conv.weight")
    'decoder.attention_layer.location_layer.location_conv.conv.weight'
    """
    return reduce(lambda text, part: text.replace(*part), THEIR_NAMES.items(), name)


def export_tacotron2(
    config: AcousticSection, card: ModelCard, weights: Mapping[str, Tensor], where: object
) -> tuple[dict[str, Any], list[str]]:
    """Return our model as {iteration, config, state_dict}, and a line on each part that the checkpoint lacks.

    `config` is as in DeepLearningExamples; NVIDIA/tacotron2 does not read it. Raises InputError, naming `where`, for a
    model that NVIDIA's format cannot hold: normalised mels, another attention, several frames in a decoder step.
    """
    if not isinstance(config, TacotronSection):
        raise InputError(where, f"a model {config.model}", "tacotron2 or dtc, the only ones in NVIDIA's format")
    _require_exportable(config, card, where)
    ours = config.model_dump(mode="json") | {"frames_per_step": 1}
    hparams = {name: reduce(lambda tree, key: tree[key], path.split("."), ours) for name, (path, _) in HPARAMS.items()}
    hparams |= {"n_symbols": len(SYMBOLS)} | card.audio.model_dump(mode="json")
    kept = {name: value for name, value in weights.items() if not name.startswith("backward_decoder.")}
    state_dict = {their_name(name): value for name, value in kept.items() if name not in STATISTICS}
    notes = []
    if backward := len(weights) - len(kept):
        notes.append(f"left out: the backward decoder ({backward} tensors), which only training uses")
    if (dropout := config.decoder.pre_net_dropout) != BUILT_IN["decoder"]["pre_net_dropout"]:
        notes.append(
            f"decoder.pre_net_dropout is {dropout:g}; NVIDIA's code always uses 0.5, so it sounds different there"
        )
    return {"iteration": card.steps, "config": hparams, "state_dict": state_dict}, notes


def _config_tree(facts: Mapping[str, Any]) -> dict[str, Any]:
    tree = copy.deepcopy(BUILT_IN)
    for name, (path, _) in HPARAMS.items():
        *parents, last = path.split(".")
        section = reduce(lambda tree, key: tree.setdefault(key, {}), parents, tree)
        section[last] = facts[name]
    tree["decoder"]["max_frames_per_symbol"] = facts["max_decoder_steps"]
    return tree


def _require_importable(sizes: Mapping[str, int], where: object) -> None:
    if (symbols := sizes.get("n_symbols", len(SYMBOLS))) != len(SYMBOLS):
        remedy = "a model of other symbols cannot read our texts"
        raise InputError(where, f"{symbols} symbols", f"the {len(SYMBOLS)} of NVIDIA/tacotron2", remedy)
    if (frames := sizes.get("n_frames_per_step", 1)) != 1:
        remedy = (
            "NVIDIA's prenet has all frames of a step as input and ours the last one, so the weights cannot be used"
        )
        raise InputError(where, f"n_frames_per_step {frames}", "1", remedy)


def _require_exportable(config: TacotronSection, card: ModelCard, where: object) -> None:
    """Raise InputError with all that NVIDIA's format cannot hold, the hardest to change first."""
    differing = []
    if any(card.mel_mean) or any(deviation != 1.0 for deviation in card.mel_deviation):
        # The weights cannot absorb it: NVIDIA's prenet has no bias for the mean, and the first input frame and the
        # padding of the post-net are a log-mel of 0 there and the mean here.
        differing.append(("normalised mels, as all models trained by dtc have", "mels that are not normalised"))
    if config.attention.model != "location_sensitive":
        differing.append((f"attention {config.attention.model}", "attention location_sensitive"))
    if config.most_frames_per_step != 1:  # NVIDIA's prenet has all frames of a step as input, ours the last one
        differing.append((f"frames_per_step {config.most_frames_per_step}", "frames_per_step 1"))
    if differing:
        found, expected = (", ".join(facts) for facts in zip(*differing, strict=True))
        raise InputError(where, found, expected, "NVIDIA's format cannot express it: export an imported model")


FORMAT = Format(
    kind="acoustic",
    suffixes=(".pt", ".pth"),
    read=import_tacotron2,
    write=partial(write_checkpoint, "acoustic", ACOUSTIC_MODELS, export_tacotron2),
    text=TEXT,
    alphabet=ALPHABET,
)
