"""Import and export of NVIDIA's WaveGlow checkpoints, which hold the tensors of our WaveGlow under other names.

Their weight normalisation has torch's old or new names, or is multiplied out; the conditioning of a flow's layers is
one tensor (NVIDIA/waveglow) or one for each layer (DeepLearningExamples). Sizes are read from the shapes. Everything
else is read from the config that goes with the file, or is the value that NVIDIA published.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor

from dtc.audio import MelStatistics
from dtc.audio_config import AudioConfig
from dtc.compat.checkpoint_files import require_agreement, require_tensors
from dtc.compat.formats import Format, Imported, write_checkpoint
from dtc.compat.nvidia import ALPHABET, AUDIO, TEXT
from dtc.config import parse_section
from dtc.errors import InputError
from dtc.model_card import ModelCard
from dtc.vocoder import VOCODERS
from dtc.vocoder.configs import VocoderSection, WaveGlowConfig
from dtc.vocoder.waveglow import FRAMES_UPSAMPLED, WaveGlow
from dtc.vocoder.wavenet import row_norms

HOP_LENGTH = 256  # built into NVIDIA's code
# Their names → published values (config.json of NVIDIA/waveglow).
PUBLISHED: dict[str, int | float] = AUDIO | {
    "n_flows": 12,
    "n_group": 8,
    "n_early_every": 4,
    "n_early_size": 2,
    "n_layers": 8,
    "n_channels": 256,
    "kernel_size": 3,
    "segment_length": 16000,
    "sigma": 1.0,
}
# Arguments of their inference.py, not of the model; the values of its examples.
SYNTHESIS = {"infer_sigma": 0.6, "denoiser_strength": 0.0}
# Their hyper-parameter → the tensor and the axis that have its size.
SHOWN_BY = {
    "n_mel_channels": (r"upsample\.weight", 0),
    "n_group": (r"convinv\.0\.conv\.weight", 0),
    "n_channels": (r"WN\.0\.end\.weight", 1),
    "kernel_size": (r"WN\.0\.in_layers\.0\.(weight|weight_v|parametrizations\.weight\.original1)", 2),
}
# Their hyper-parameter → names whose different numbers are counted. If a tensor in the middle is missing, it is then
# reported as missing, and not the last one as too many.
COUNTED_BY = {"n_flows": r"(?:convinv|WN)\.(\d+)\..*", "n_layers": r"WN\.\d+\.(?:in_layers|res_skip_layers)\.(\d+)\..*"}
OUR_PARTS = {"conditioning": "cond_layer", "dilated": "in_layers", "residual_skip": "res_skip_layers"}
# Our names of a normalised layer's norm and direction → theirs; if they are multiplied out, there is only the product.
NORM_NAMES: dict[str, dict[str, str | None]] = {
    "old": {"weight_g": "weight_g", "weight_v": "weight_v"},
    "new": {"weight_g": "parametrizations.weight.original0", "weight_v": "parametrizations.weight.original1"},
    "none": {"weight_g": None, "weight_v": "weight"},
}


@dataclass(frozen=True)
class Layout:
    """The naming of the tensors in a state_dict: of weight normalisation, and of the layers' conditioning."""

    norm: Literal["old", "new", "none"]
    conditioning: Literal["fused", "by layer"]


def import_waveglow(
    state_dict: Mapping[str, Tensor], config: Mapping[str, Any], where: object
) -> Imported[WaveGlowConfig]:
    """Return their state_dict as our model, with copies of the weights in the same dtypes.

    Args:
        state_dict: NVIDIA's tensors.
        config: their hyper-parameters by their names, as far as they are known; flat, or a whole config.json.
        where: the name of the file, for messages.

    Raises InputError for tensors that are missing, unknown, of other shapes or in contradiction to `config`, and for
    sizes that no WaveGlow has.
    """
    hparams, sizes = _flat(config), sizes_of(state_dict)
    require_agreement(sizes, hparams, where)
    facts = {**PUBLISHED, **hparams, **sizes}
    audio = parse_section({name: facts[name] for name in AUDIO}, AudioConfig, str(where))
    ours = parse_section(_config_tree(facts, audio), WaveGlowConfig, str(where))
    ours.check(audio, where)
    with torch.device("meta"):  # names and shapes without values
        model = WaveGlow(ours, audio, MelStatistics.neutral(audio.n_mel_channels))
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
        {name: value for name, value in PUBLISHED.items() if name not in hparams and name not in sizes} | SYNTHESIS,
    )


def sizes_of(state_dict: Mapping[str, Tensor]) -> dict[str, int]:
    """Return the hyper-parameters that the shapes have, by their names; those of missing tensors are left out."""
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
    """Return when channels leave the chain early, and how many: by the first flow that has fewer than the first."""
    mixing = {name: len(value) for name, value in state_dict.items() if name.startswith("convinv.") and value.dim()}
    sizes = [mixing.get(f"convinv.{number}.conv.weight") for number in range(len(mixing))]
    for number, size in enumerate(sizes):
        if sizes[0] and size and size != sizes[0]:
            return {"n_early_every": number, "n_early_size": sizes[0] - size}
    return {}


def layout_of(state_dict: Mapping[str, Tensor]) -> Layout:
    """Return the layout of a state_dict; if several are mixed, one of them: `require_tensors` names the rest."""
    norm: Literal["old", "new", "none"] = "none"
    if any(".parametrizations." in name for name in state_dict):
        norm = "new"
    elif any(name.endswith(".weight_g") for name in state_dict):
        norm = "old"
    return Layout(norm, "by layer" if any(".cond_layers." in name for name in state_dict) else "fused")


def their_names(name: str, layout: Layout, layers: int) -> list[str]:
    """Return NVIDIA's names of the tensors that, concatenated, are one of ours; none if the norm is multiplied out.

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
    config: VocoderSection, card: ModelCard, weights: Mapping[str, Tensor], where: object
) -> tuple[dict[str, Any], list[str]]:
    """Return our model as {iteration, config, state_dict}, and a line on each part that the checkpoint lacks.

    The state_dict is that of NVIDIA/waveglow: one tensor for the conditioning of a flow, and torch's old names of
    weight normalisation. `config` is its config.json, so `config["waveglow_config"]` has the arguments of its WaveGlow.
    Raises InputError, naming `where`, for another vocoder, for another hop_length or conditioning than theirs, and for
    pre-emphasis.
    """
    if not isinstance(config, WaveGlowConfig):
        raise InputError(where, f"a model {config.model}", "waveglow", "train one, or name its folder with --model")
    if (hop := card.audio.hop_length) != HOP_LENGTH:
        raise InputError(where, f"hop_length {hop}", f"{HOP_LENGTH}, which is built into NVIDIA's code")
    if config.conditioning != "upsampled":
        raise InputError(where, f"conditioning {config.conditioning}", "upsampled, as in NVIDIA's code")
    if config.pre_emphasis:
        raise InputError(where, f"pre_emphasis {config.pre_emphasis:g}", "0, as NVIDIA's code has none")
    layout = Layout("old", "fused")
    state_dict = {their_names(name, layout, config.wavenet.num_layers)[0]: value for name, value in weights.items()}
    arguments = f"--sigma {config.infer_sigma:g} --denoiser_strength {config.denoiser_strength:g}"
    notes = [f"not in the file, but arguments of NVIDIA's inference.py: {arguments}"]
    return {"iteration": card.steps, "config": _their_config(config, card.audio), "state_dict": state_dict}, notes


def _their_config(config: WaveGlowConfig, audio: AudioConfig) -> dict[str, Any]:
    """Return the config.json of NVIDIA/waveglow for a model of ours."""
    sizes = {name: value for name, value in audio.model_dump(mode="json").items() if name != "n_mel_channels"}
    net = config.wavenet
    return {
        "train_config": {"sigma": config.sigma},
        "data_config": {"segment_length": config.segment_frames * audio.hop_length} | sizes,
        "waveglow_config": {
            "n_mel_channels": audio.n_mel_channels,
            "n_flows": config.num_flows,
            "n_group": config.group_size,
            "n_early_every": config.early_every,
            "n_early_size": config.early_size,
            "WN_config": {"n_layers": net.num_layers, "n_channels": net.num_channels, "kernel_size": net.kernel_size},
        },
    }


def _flat(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return their config without its sections; no name is in two of them."""
    flat: dict[str, Any] = {}
    for name, value in config.items():
        flat |= _flat(value) if isinstance(value, Mapping) and name.endswith("_config") else {name: value}
    return flat


def _config_tree(facts: Mapping[str, Any], audio: AudioConfig) -> dict[str, Any]:
    """Return our section of params.yaml for their hyper-parameters."""
    length = facts["segment_length"]
    wavenet = {name: facts[theirs] for name, theirs in (("num_layers", "n_layers"), ("num_channels", "n_channels"))}
    return {
        "model": "waveglow",
        "num_flows": facts["n_flows"],
        "group_size": facts["n_group"],
        "early_every": facts["n_early_every"],
        "early_size": facts["n_early_size"],
        "conditioning": "upsampled",
        "pre_emphasis": 0.0,
        "wavenet": wavenet | {"kernel_size": facts["kernel_size"]},
        "train_on": "recorded",
        "attenuation_db": 0.0,
        # As many samples or a few more: theirs need not be whole frames.
        "segment_frames": -(-length // audio.hop_length) if isinstance(length, int) else length,
        "sigma": facts["sigma"],
        **SYNTHESIS,
    }


def _normed(weights: Mapping[str, Tensor], norms: list[str]) -> dict[str, Tensor]:
    """Return the norms with the given names, and their directions, of weights that are multiplied out."""
    normed = {}
    for norm in norms:
        direction = norm.removesuffix("weight_g") + "weight_v"
        normed[norm] = row_norms(weights[direction])
        # A row of zeros has norm 0 and any direction; with its own values as direction it would be 0 / 0.
        normed[direction] = weights[direction].masked_fill(normed[norm] == 0.0, 1.0)
    return normed


FORMAT = Format(
    kind="vocoder",
    suffixes=(".pt", ".pth"),
    read=import_waveglow,
    write=partial(write_checkpoint, "vocoder", VOCODERS, export_waveglow),
    text=TEXT,
    alphabet=ALPHABET,
)
