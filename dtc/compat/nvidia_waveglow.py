"""NVIDIA's WaveGlow checkpoints, in and out: the tensors of our WaveGlow under other names.

They come with weight normalisation in torch's old or new names, or with it multiplied out; and with the conditioning
of a flow's layers in one tensor (NVIDIA/waveglow) or in one each (DeepLearningExamples). Sizes are read off the shapes;
what shapes do not show is looked up in the config that goes with the file, and else is what NVIDIA published.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from dtc.audio import AudioConfig
from dtc.compat.checkpoint_files import require_agreement, require_tensors
from dtc.compat.nvidia_tacotron2 import AUDIO
from dtc.config import parse_section
from dtc.errors import InputError
from dtc.model_card import ModelCard
from dtc.vocoder.configs import WaveGlowConfig
from dtc.vocoder.waveglow import FRAMES_UPSAMPLED, WaveGlow
from dtc.vocoder.wavenet import row_norms

HOP_LENGTH = 256  # built into NVIDIA's code
# By their names, as published (config.json of NVIDIA/waveglow).
PUBLISHED: dict[str, int | float] = AUDIO | {
    "n_flows": 12, "n_group": 8, "n_early_every": 4, "n_early_size": 2, "n_layers": 8, "n_channels": 256,
    "kernel_size": 3, "segment_length": 16000, "sigma": 1.0,
}  # fmt: skip
# Given to their inference.py, not to the model; as its examples have them.
SPEAKING = {"infer_sigma": 0.6, "denoiser_strength": 0.0}
# Their hyper-parameter → the tensor and the axis that show it.
SHOWN_BY = {
    "n_mel_channels": (r"upsample\.weight", 0),
    "n_group": (r"convinv\.0\.conv\.weight", 0),
    "n_channels": (r"WN\.0\.end\.weight", 1),
    "kernel_size": (r"WN\.0\.in_layers\.0\.(weight|weight_v|parametrizations\.weight\.original1)", 2),
}
# By the different numbers in these names: one that is missing elsewhere is then missed, not the last one too many.
COUNTED_BY = {
    "n_flows": r"(?:convinv|WN)\.(\d+)\..*",
    "n_layers": r"WN\.\d+\.(?:in_layers|res_skip_layers)\.(\d+)\..*",
}
OUR_PARTS = {"conditioning": "cond_layer", "dilated": "in_layers", "residual_skip": "res_skip_layers"}
# Their tensor of a normalised layer's size and direction; multiplied out, there is only their product.
NORM_NAMES: dict[str, dict[str, str | None]] = {
    "old": {"weight_g": "weight_g", "weight_v": "weight_v"},
    "new": {"weight_g": "parametrizations.weight.original0", "weight_v": "parametrizations.weight.original1"},
    "none": {"weight_g": None, "weight_v": "weight"},
}


@dataclass(frozen=True)
class Layout:
    """How a state_dict names what is the same."""

    norm: Literal["old", "new", "none"]
    conditioning: Literal["fused", "by layer"]


@dataclass(frozen=True)
class Imported:
    """Our WaveGlow with their weights."""

    config: WaveGlowConfig
    audio: AudioConfig
    weights: dict[str, Tensor]
    parameters: int
    assumed: dict[str, int | float]  # published values of what neither the shapes nor the config say


def import_waveglow(state_dict: Mapping[str, Tensor], config: Mapping[str, Any], where: object) -> Imported:
    """Their state_dict as our model; `config` by their names, as far as it is known: flat, or a whole config.json.

    The weights are copies, of the same dtypes. Raises InputError, naming `where`, for tensors that are missing, too
    many, misshapen or at odds with `config`, and for sizes that are no WaveGlow's.
    """
    hparams, sizes = _flat(config), sizes_of(state_dict)
    require_agreement(sizes, hparams, where)
    facts = {**PUBLISHED, **hparams, **sizes}
    audio = parse_section({name: facts[name] for name in AUDIO}, AudioConfig, str(where))
    ours = parse_section(_config_tree(facts, audio), WaveGlowConfig, str(where))
    ours.check(audio, where)
    with torch.device("meta"):  # names and shapes, no numbers
        model = WaveGlow(ours, audio, *_no_statistics(audio))
    layout = layout_of(state_dict)
    names = {name: their_names(name, layout, ours.wavenet.num_layers) for name in model.state_dict()}
    expected = {
        theirs: part
        for name, value in model.state_dict().items()
        for theirs, part in zip(names[name], value.chunk(len(names[name])) if names[name] else (), strict=True)
    }
    require_tensors(state_dict, expected, "NVIDIA's WaveGlow", where)
    weights = {name: torch.cat([state_dict[part].detach() for part in parts]) for name, parts in names.items() if parts}
    if layout.norm == "none":
        weights |= _normed(weights, [name for name, parts in names.items() if not parts])
    return Imported(
        ours,
        audio,
        {name: weights[name] for name in names},
        sum(parameter.numel() for parameter in model.parameters()),
        {name: value for name, value in PUBLISHED.items() if name not in hparams and name not in sizes} | SPEAKING,
    )


def waveglow_from_state_dict(state_dict: Mapping[str, Tensor], config: Mapping[str, Any]) -> WaveGlow:
    """Their weights in our WaveGlow, in evaluation mode. Raises InputError as `import_waveglow` does."""
    imported = import_waveglow(state_dict, config, "state_dict")
    model = WaveGlow(imported.config, imported.audio, *_no_statistics(imported.audio))
    model.load_state_dict(imported.weights)
    return model.eval()


def _no_statistics(audio: AudioConfig) -> tuple[Tensor, Tensor]:
    """Return mean 0 and deviation 1 of each band: NVIDIA's mels are not normalised."""
    return torch.zeros(audio.n_mel_channels), torch.ones(audio.n_mel_channels)


def sizes_of(state_dict: Mapping[str, Tensor]) -> dict[str, int]:
    """Hyper-parameters that the shapes show, by their names; without those whose tensor is missing."""
    sizes = {}
    for name, value in state_dict.items():
        for size, (pattern, axis) in SHOWN_BY.items():
            if re.fullmatch(pattern, name) and value.dim() > axis:
                sizes[size] = value.shape[axis]
        if name == "upsample.weight" and value.dim() == 3:
            sizes["hop_length"] = value.shape[2] // FRAMES_UPSAMPLED
    for size, pattern in COUNTED_BY.items():
        if numbers := {found[1] for name in state_dict if (found := re.fullmatch(pattern, name))}:
            sizes[size] = len(numbers)
    return sizes | _early(state_dict)


def _early(state_dict: Mapping[str, Tensor]) -> dict[str, int]:
    """When channels leave early, and how many: by the first flow that has others than the first."""
    mixing = {name: len(value) for name, value in state_dict.items() if name.startswith("convinv.") and value.dim()}
    sizes = [mixing.get(f"convinv.{number}.conv.weight") for number in range(len(mixing))]
    for number, size in enumerate(sizes):
        if sizes[0] and size and size != sizes[0]:
            return {"n_early_every": number, "n_early_size": sizes[0] - size}
    return {}


def layout_of(state_dict: Mapping[str, Tensor]) -> Layout:
    """Which of the layouts it is; where they are mixed, one of them, and `require_tensors` names the others."""
    norm: Literal["old", "new", "none"] = "none"
    if any(".parametrizations." in name for name in state_dict):
        norm = "new"
    elif any(name.endswith(".weight_g") for name in state_dict):
        norm = "old"
    return Layout(norm, "by layer" if any(".cond_layers." in name for name in state_dict) else "fused")


def their_names(name: str, layout: Layout, layers: int) -> list[str]:
    """NVIDIA's names of one of our tensors, which is theirs one below the other; none where it is multiplied out.

    >>> their_names("flows.3.network.dilated.2.weight_g", Layout("old", "fused"), 8)
    ['WN.3.in_layers.2.weight_g']
    >>> their_names("flows.3.network.conditioning.bias", Layout("old", "by layer"), 2)
    ['WN.3.cond_layers.0.bias', 'WN.3.cond_layers.1.bias']
    """
    name = re.sub(r"^flows\.(\d+)\.mixing\.", r"convinv.\1.conv.", name)
    name = re.sub(r"^flows\.(\d+)\.network\.", r"WN.\1.", name)
    layer, tensor = name.rsplit(".", 1)
    layer = ".".join(OUR_PARTS.get(part, part) for part in layer.split("."))
    theirs = NORM_NAMES[layout.norm].get(tensor, tensor)
    if theirs is None:
        return []
    if layer.endswith(".cond_layer") and layout.conditioning == "by layer":
        return [f"{layer}s.{number}.{theirs}" for number in range(layers)]
    return [f"{layer}.{theirs}"]


def export_waveglow(
    config: WaveGlowConfig, card: ModelCard, weights: Mapping[str, Tensor], where: object
) -> tuple[dict[str, Any], list[str]]:
    """Our model as {iteration, config, state_dict}, and what of it is not there, a line each.

    The state_dict is NVIDIA/waveglow's: one tensor for the conditioning of a flow, torch's old names of weight
    normalisation. `config` is its config.json, so `config["waveglow_config"]` are its WaveGlow's arguments. Raises
    InputError, naming `where`, for another hop_length or conditioning than theirs, or pre-emphasis.
    """
    if (hop := card.audio.hop_length) != HOP_LENGTH:
        raise InputError(where, f"hop_length {hop}", f"{HOP_LENGTH}, which is built into NVIDIA's code")
    if config.conditioning != "upsampled":
        raise InputError(where, f"conditioning {config.conditioning}", "upsampled, as NVIDIA's code does it")
    if config.pre_emphasis:
        raise InputError(where, f"pre_emphasis {config.pre_emphasis:g}", "0, as NVIDIA's code has none")
    audio, net = card.audio.model_dump(mode="json"), config.wavenet
    theirs = {
        "train_config": {"sigma": config.sigma},
        "data_config": {"segment_length": config.segment_frames * hop}
        | {name: value for name, value in audio.items() if name != "n_mel_channels"},
        "waveglow_config": {
            "n_mel_channels": card.audio.n_mel_channels, "n_flows": config.num_flows, "n_group": config.group_size,
            "n_early_every": config.early_every, "n_early_size": config.early_size,
            "WN_config": {"n_layers": net.num_layers, "n_channels": net.num_channels, "kernel_size": net.kernel_size},
        },
    }  # fmt: skip
    layout = Layout("old", "fused")
    state_dict = {their_names(name, layout, net.num_layers)[0]: value for name, value in weights.items()}
    speaking = f"--sigma {config.infer_sigma:g} --denoiser_strength {config.denoiser_strength:g}"
    notes = [f"left out: how it speaks, which NVIDIA's inference.py is told: {speaking}"]
    return {"iteration": card.steps, "config": theirs, "state_dict": state_dict}, notes


def _flat(config: Mapping[str, Any]) -> dict[str, Any]:
    """Their sections as one; no name is in two of them."""
    flat: dict[str, Any] = {}
    for name, value in config.items():
        flat |= _flat(value) if isinstance(value, Mapping) and name.endswith("_config") else {name: value}
    return flat


def _config_tree(facts: Mapping[str, Any], audio: AudioConfig) -> dict[str, Any]:
    length = facts["segment_length"]
    return {
        "model": "waveglow",
        "num_flows": facts["n_flows"],
        "group_size": facts["n_group"],
        "early_every": facts["n_early_every"],
        "early_size": facts["n_early_size"],
        "conditioning": "upsampled",
        "pre_emphasis": 0.0,
        "wavenet": {
            "num_layers": facts["n_layers"], "num_channels": facts["n_channels"], "kernel_size": facts["kernel_size"],
        },
        "train_on": "recorded",
        "attenuation_db": 0.0,
        # As many samples or a few more: theirs need not be whole frames.
        "segment_frames": -(-length // audio.hop_length) if isinstance(length, int) else length,
        "sigma": facts["sigma"],
        **SPEAKING,
    }  # fmt: skip


def _normed(weights: Mapping[str, Tensor], sizes: list[str]) -> dict[str, Tensor]:
    """The tensors named in `sizes` and their directions, of weights that are multiplied out."""
    normed = {}
    for size in sizes:
        direction = size.removesuffix("weight_g") + "weight_v"
        normed[size] = row_norms(weights[direction])
        # A row of zeros is of size 0 in any direction; in that of its own it would be 0 / 0.
        normed[direction] = weights[direction].masked_fill(normed[size] == 0.0, 1.0)
    return normed
