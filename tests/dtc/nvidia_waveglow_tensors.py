"""Random weights in every layout of NVIDIA's WaveGlow, for several files of tests."""

import re
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from dtc.compat.formats import Imported
from dtc.model_card import ModelCard
from dtc.text.symbols import TextConfig
from dtc.vocoder.waveglow import WaveGlow

PUBLISHED = {
    "n_mel_channels": 80,
    "n_flows": 12,
    "n_group": 8,
    "n_early_every": 4,
    "n_early_size": 2,
    "WN_config": {"n_layers": 8, "n_channels": 256, "kernel_size": 3},
}
SMALL: dict[str, Any] = {
    "n_mel_channels": 5,
    "n_flows": 4,
    "n_group": 6,
    "n_early_every": 3,
    "n_early_size": 2,
    "WN_config": {"n_layers": 2, "n_channels": 4, "kernel_size": 5},
}
HOP = {"hop_length": 24, "filter_length": 96, "win_length": 96}  # a small upsampling
NORMED = re.compile(r"(WN\.\d+\.(?:start|cond_layer|in_layers\.\d+|res_skip_layers\.\d+))\.weight")


def shapes_of(sizes: dict[str, Any], hop: int) -> dict[str, tuple[int, ...]]:
    """Names and shapes of a state_dict of NVIDIA/waveglow whose weight normalisation is removed."""
    mels, net = sizes["n_mel_channels"], sizes["WN_config"]
    layers, width = net["n_layers"], net["n_channels"]
    shapes: dict[str, tuple[int, ...]] = {"upsample.weight": (mels, mels, 4 * hop), "upsample.bias": (mels,)}
    for flow in range(sizes["n_flows"]):
        channels = sizes["n_group"] - flow // sizes["n_early_every"] * sizes["n_early_size"]
        shapes[f"convinv.{flow}.conv.weight"] = (channels, channels, 1)
        convolutions = {
            "start": (width, channels // 2, 1),
            "end": (channels, width, 1),
            "cond_layer": (2 * width * layers, mels * sizes["n_group"], 1),
        }
        for layer in range(layers):
            convolutions[f"in_layers.{layer}"] = (2 * width, width, net["kernel_size"])
            convolutions[f"res_skip_layers.{layer}"] = (width if layer == layers - 1 else 2 * width, width, 1)
        for name, shape in convolutions.items():
            shapes |= {f"WN.{flow}.{name}.weight": shape, f"WN.{flow}.{name}.bias": shape[:1]}
    return shapes


def fused(norm: str = "old") -> dict[str, Tensor]:
    """Random numbers in NVIDIA's layout, with torch's old or new names of weight normalisation, or without ("none")."""
    generator, state_dict = torch.Generator().manual_seed(1), {}
    sizes = {
        "old": ("weight_g", "weight_v"),
        "new": ("parametrizations.weight.original0", "parametrizations.weight.original1"),
    }
    for name, shape in shapes_of(SMALL, HOP["hop_length"]).items():
        value = 0.4 * torch.randn(shape, generator=generator)
        if (normed := NORMED.fullmatch(name)) is None:
            state_dict[name] = torch.eye(shape[0])[..., None] + value if name.startswith("convinv") else value
            continue
        size, norms = 0.5 + torch.rand(shape[0], 1, 1, generator=generator), value.norm(dim=(1, 2), keepdim=True)
        if norm == "none":
            state_dict[name] = size * value / norms
        else:
            state_dict |= {f"{normed[1]}.{part}": of for part, of in zip(sizes[norm], (size, value), strict=True)}
    return state_dict


def by_layer(state_dict: dict[str, Tensor]) -> dict[str, Tensor]:
    """The same in the layout of DeepLearningExamples."""
    layers, split = SMALL["WN_config"]["n_layers"], {}
    for name, value in state_dict.items():
        parts = value.chunk(layers) if ".cond_layer." in name else ()
        split |= {name.replace("cond_layer", f"cond_layers.{number}"): part for number, part in enumerate(parts)}
        split |= {} if parts else {name: value}
    return split


LAYOUTS: dict[str, Callable[[], dict[str, Tensor]]] = {
    f"{norm}, {conditioning}": (lambda norm=norm, arrange=arrange: arrange(fused(norm)))
    for norm in ("old", "new", "none")
    for conditioning, arrange in (("fused", dict), ("by layer", by_layer))
}


def card_of(imported: Imported, **facts: Any) -> ModelCard:
    bands = imported.audio.n_mel_channels
    return ModelCard(
        **{
            "kind": "vocoder",
            "config": imported.config.model_dump(mode="json"),
            "training": {},
            "audio": imported.audio,
            "text": TextConfig(symbols="nvidia", normaliser="english"),
            "alphabet": (),
            "mel_mean": (0.0,) * bands,
            "mel_deviation": (1.0,) * bands,
            "corpus": "",
            "features": "",
            "steps": 7,
            **facts,
        }
    )


def spoken(model: WaveGlow) -> Tensor:
    mel = torch.randn(1, 5, 6, generator=torch.Generator().manual_seed(2))
    return model.infer(mel, sigma=0.5, seed=3)
