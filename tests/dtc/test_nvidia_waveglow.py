"""NVIDIA's WaveGlow: numbers, layouts of the weights, imports, exports, and refusals of other models."""

import json
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file
from torch import Tensor

from dtc.audio import AudioConfig
from dtc.compat.checkpoint_files import read_checkpoint
from dtc.compat.formats import Imported
from dtc.compat.nvidia_waveglow import export_waveglow, import_waveglow
from dtc.errors import InputError
from dtc.model_card import ModelCard
from dtc.text.symbols import TextConfig
from dtc.vocoder.waveglow import WaveGlow
from tests.dtc.nvidia_tensors import assert_same_bytes
from tests.dtc.test_nvidia_tacotron2_refusals import put, without
from tests.dtc.tiny_waveglow import waveglow_from_state_dict
from tests.dtc.waveglow_oracle import analyse

GOLDEN = Path(__file__).parents[3] / "shared/golden/nvidia_waveglow_small.safetensors"
needs_golden = pytest.mark.skipif(not GOLDEN.is_file(), reason="../shared is not there: golden values of NVIDIA's code")
ORACLE_TOLERANCE = 1e-4  # float32 against float64, of values up to 10
INVERSE_TOLERANCE = 1e-3  # the inverse divides by scales, which enlarges rounding; 2e-4 is seen
PRODUCT_TOLERANCE = 1e-4  # of audio about as large as 1, where the normalisation was multiplied out and is found again

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


# Numbers


def test_noise_and_audio_equal_an_independent_oracle() -> None:
    """Random weights, without any file of NVIDIA's: analysis, its density, and synthesis as its inverse."""
    state_dict, generator = fused(), torch.Generator().manual_seed(4)
    model, frames, hop = waveglow_from_state_dict(state_dict, HOP), 7, HOP["hop_length"]
    mel, wave = torch.randn(2, 5, frames, generator=generator), torch.randn(2, frames * hop, generator=generator)
    oracle = [
        analyse(state_dict, SMALL, m.double().numpy(), w.double().numpy()) for m, w in zip(mel, wave, strict=True)
    ]
    with torch.no_grad():
        z, log_scales, log_dets = model.noise_of(mel, wave)
        audio = model.wave_of(mel, z.new_tensor(np.stack([clip.z for clip in oracle])))
    np.testing.assert_allclose(z.numpy(), np.stack([clip.z for clip in oracle]), atol=ORACLE_TOLERANCE)
    np.testing.assert_allclose(log_scales, np.sum([clip.log_scales for clip in oracle], axis=0), atol=1e-3)
    np.testing.assert_allclose(log_dets, np.sum([clip.log_dets for clip in oracle], axis=0), atol=1e-3)
    torch.testing.assert_close(audio, wave, atol=INVERSE_TOLERANCE, rtol=0)


@needs_golden
def test_the_oracle_equals_nvidias_code() -> None:
    tensors = load_file(GOLDEN)
    with safe_open(GOLDEN, "pt") as file:
        sizes = json.loads(file.metadata()["config"])
    state_dict = {name.removeprefix("state_dict."): value for name, value in tensors.items() if name[:5] == "state"}
    for mel, wave, z in zip(tensors["in.mel"], tensors["in.audio"], tensors["out.z"], strict=True):
        found = analyse(state_dict, sizes, mel.double().numpy(), wave.double().numpy())
        np.testing.assert_allclose(found.z, z.numpy(), atol=ORACLE_TOLERANCE)


# Layouts


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_gives_the_same_model(layout: str) -> None:
    reference, model = waveglow_from_state_dict(fused(), HOP), waveglow_from_state_dict(LAYOUTS[layout](), HOP)
    assert not model.training
    assert model.config == reference.config
    assert model.state_dict().keys() == reference.state_dict().keys()
    torch.testing.assert_close(spoken(model), spoken(reference), atol=PRODUCT_TOLERANCE, rtol=0)
    if "none" not in layout:
        assert_same_bytes(model.state_dict(), reference.state_dict())


@needs_golden
def test_the_golden_model_comes_back_byte_for_byte() -> None:
    with safe_open(GOLDEN, "pt") as file:
        config = json.loads(file.metadata()["config"])
    tensors = load_file(GOLDEN)
    theirs = {name.removeprefix("state_dict."): value for name, value in tensors.items() if name.startswith("state_")}
    imported = import_waveglow(theirs, config, "golden")
    exported, notes = export_waveglow(imported.config, card_of(imported), imported.weights, "here")
    assert_same_bytes(exported["state_dict"], theirs)
    assert exported["config"]["waveglow_config"] == config
    assert exported["iteration"] == 7
    assert notes == ["left out: how it speaks, which NVIDIA's inference.py is told: --sigma 0.6 --denoiser_strength 0"]
    again = import_waveglow(exported["state_dict"], exported["config"], "here")
    assert again.config == imported.config
    assert again.audio == imported.audio
    assert again.assumed == {"infer_sigma": 0.6, "denoiser_strength": 0.0}
    plain = {NORMED.sub(r"\1.weight_v", name): shape for name, shape in shapes_of(config, 256).items()}
    assert plain == {name: tuple(value.shape) for name, value in theirs.items() if not name.endswith("weight_g")}


def test_a_model_trained_here_is_exported_and_imported_again() -> None:
    imported = import_waveglow(fused(), HOP, "here")
    audio = imported.audio.model_copy(update={"hop_length": 256, "filter_length": 512, "win_length": 512})
    config = imported.config.model_copy(update={"group_size": 8, "sigma": 0.7, "segment_frames": 9})
    weights = WaveGlow(config, audio, torch.zeros(audio.n_mel_channels), torch.ones(audio.n_mel_channels)).state_dict()
    card = card_of(imported, config=config.model_dump(mode="json"), audio=audio)
    exported, _ = export_waveglow(config, card, weights, "here")
    plain = {NORMED.sub(r"\1.weight_v", name) for name in shapes_of(exported["config"]["waveglow_config"], 256)}
    assert plain == {name for name in exported["state_dict"] if not name.endswith("weight_g")}
    again = import_waveglow(exported["state_dict"], exported["config"], "here")
    assert (again.config, again.audio) == (config, audio)
    assert_same_bytes(again.weights, weights)


def test_half_precision_stays_half() -> None:
    for state_dict in (fused(), by_layer(fused("none"))):
        imported = import_waveglow({name: value.half() for name, value in state_dict.items()}, HOP, "here")
        assert {value.dtype for value in imported.weights.values()} == {torch.float16}


def test_weights_are_copies() -> None:
    theirs = fused()
    imported = import_waveglow(theirs, HOP, "here")
    theirs["upsample.bias"].fill_(math.nan)
    assert torch.isfinite(imported.weights["upsample.bias"]).all()


def test_a_row_of_zeros_stays_zero() -> None:
    theirs = fused("none")
    theirs["WN.0.start.weight"][1] = 0.0
    model = waveglow_from_state_dict(theirs, HOP)
    assert torch.all(model.flows[0].network.start.weight()[1] == 0.0)
    assert torch.isfinite(spoken(model)).all()


# Sizes and hyper-parameters


def test_a_model_of_the_published_sizes() -> None:
    with torch.device("meta"):
        theirs = {name: torch.empty(shape) for name, shape in shapes_of(PUBLISHED, 256).items()}
    assert sum(value.numel() for value in theirs.values()) == 87_731_816
    imported = import_waveglow(theirs, {}, "here")
    assert imported.parameters == 87_879_272  # each row of a normalised weight has a size besides
    assert imported.assumed == {
        "sampling_rate": 22050,
        "filter_length": 1024,
        "win_length": 1024,
        "mel_fmin": 0.0,
        "mel_fmax": 8000.0,
        "segment_length": 16000,
        "sigma": 1.0,
        "infer_sigma": 0.6,
        "denoiser_strength": 0.0,
    }
    assert imported.config.model_dump() == {
        "model": "waveglow",
        "num_flows": 12,
        "group_size": 8,
        "early_every": 4,
        "early_size": 2,
        "conditioning": "upsampled",
        "pre_emphasis": 0.0,
        "wavenet": {"num_layers": 8, "num_channels": 256, "kernel_size": 3},
        "train_on": "recorded",
        "attenuation_db": 0.0,
        "segment_frames": 63,
        "sigma": 1.0,
        "infer_sigma": 0.6,
        "denoiser_strength": 0.0,
    }


def test_sizes_come_from_the_shapes_and_the_rest_from_the_config() -> None:
    """Also where the config is all of NVIDIA's config.json."""
    data = {"segment_length": 240, "sampling_rate": 16000, "mel_fmax": 7000.0, "training_files": "files.txt", **HOP}
    whole = {
        "train_config": {"sigma": 0.8, "epochs": 9},
        "data_config": data,
        "waveglow_config": SMALL,
        "dist_config": {},
    }
    for config in (whole, {**data, **SMALL, "sigma": 0.8}):
        imported = import_waveglow(fused(), config, "here")
        assert imported.config.model_dump() == {
            "model": "waveglow",
            "num_flows": 4,
            "group_size": 6,
            "early_every": 3,
            "early_size": 2,
            "conditioning": "upsampled",
            "pre_emphasis": 0.0,
            "wavenet": {"num_layers": 2, "num_channels": 4, "kernel_size": 5},
            "train_on": "recorded",
            "attenuation_db": 0.0,
            "segment_frames": 10,
            "sigma": 0.8,
            "infer_sigma": 0.6,
            "denoiser_strength": 0.0,
        }
        assert imported.audio == AudioConfig(
            sampling_rate=16000,
            filter_length=96,
            hop_length=24,
            win_length=96,
            n_mel_channels=5,
            mel_fmin=0.0,
            mel_fmax=7000.0,
        )
        assert imported.assumed == {"mel_fmin": 0.0, "infer_sigma": 0.6, "denoiser_strength": 0.0}


def test_early_channels_come_from_the_config_if_no_shape_shows_them() -> None:
    shapes = shapes_of(SMALL | {"n_flows": 3}, 24)
    theirs = {name: torch.zeros(shape) for name, shape in shapes.items()}
    assert import_waveglow(theirs, HOP, "here").config.early_every == 4
    assert import_waveglow(theirs, HOP | {"n_early_every": 3}, "here").config.early_every == 3


# What does not fit


def also(*changes: Callable[[dict[str, Tensor]], object]) -> Callable[[dict[str, Tensor]], object]:
    return lambda state_dict: [change(state_dict) for change in changes]


@pytest.mark.parametrize(
    ("layout", "change", "config", "line"),
    [
        (
            "old, fused",
            without("upsample.bias"),
            {},
            "there: lacks upsample.bias, expected the 86 tensors of NVIDIA's WaveGlow",
        ),
        (
            "new, fused",
            without("WN.1.start.parametrizations.weight.original0"),
            {},
            "there: lacks WN.1.start.parametrizations.weight.original0, expected the 86 tensors of NVIDIA's WaveGlow",
        ),
        (
            "old, by layer",
            also(without("WN.0.cond_layers.1.weight_v"), without("convinv.0.conv.weight")),
            {"n_group": 6, "n_early_every": 3},
            "there: lacks convinv.0.conv.weight, WN.0.cond_layers.1.weight_v, expected the 98 tensors of NVIDIA's "
            "WaveGlow",
        ),
        (
            "none, fused",
            also(without("WN.3.end.bias"), put("WN.3.speaker", torch.zeros(1))),
            {},
            "there: lacks WN.3.end.bias, and has WN.3.speaker besides, expected the 62 tensors of NVIDIA's WaveGlow",
        ),
        (
            "old, fused",
            put("WN.2.in_layers.1.weight_g", torch.zeros(8)),
            {},
            "there: WN.2.in_layers.1.weight_g (8), expected (8, 1, 1), as the other tensors show",
        ),
        (
            "old, by layer",
            put("WN.2.cond_layers.1.bias", torch.zeros(7)),
            {},
            "there: WN.2.cond_layers.1.bias (7), expected (8), as the other tensors show",
        ),
        (
            "old, fused",
            put("WN.1.end.bias", torch.zeros(6, dtype=torch.int64)),
            {},
            "there: WN.1.end.bias (6) of whole numbers, expected (6), as the other tensors show",
        ),
        (
            "old, fused",
            lambda _: None,
            {"waveglow_config": PUBLISHED},
            "there: hyper-parameters n_mel_channels 80, n_group 8, n_channels 256, kernel_size 3 and 3 more, expected 5, "
            "6, 4, 5 and 3 more, as the tensors show; they are another model's",
        ),
        (
            "old, fused",
            lambda _: None,
            {"hop_length": 256},
            "there: hyper-parameters hop_length 256, expected 24, as the tensors show; they are another model's",
        ),
        (
            "old, fused",
            put("convinv.3.conv.weight", torch.zeros(5, 5, 1)),
            {},
            "there: early_size: found 1, expected a multiple of 2",
        ),
        (
            "old, fused",
            put("upsample.weight", torch.zeros(5, 5, 100)),
            {"hop_length": 25},
            "there: group_size 6, expected a divisor of hop_length 25",
        ),
        (
            "old, fused",
            lambda _: None,
            {"sigma": "loud"},
            "there: sigma: found 'loud', expected a valid number",
        ),
    ],
)
def test_tensors_of_another_model_are_refused(
    layout: str, change: Callable[[dict[str, Tensor]], object], config: dict[str, Any], line: str
) -> None:
    state_dict = LAYOUTS[layout]()
    change(state_dict)
    with pytest.raises(InputError) as refused:
        import_waveglow(state_dict, HOP | config, "there")
    assert str(refused.value) == line


def test_an_empty_state_dict_is_refused() -> None:
    with pytest.raises(InputError, match=r"^state_dict: lacks upsample.weight, upsample.bias, "):
        waveglow_from_state_dict({}, {})


def test_another_hop_than_in_nvidias_code_is_refused() -> None:
    imported = import_waveglow(fused(), HOP, "here")
    with pytest.raises(InputError, match=r"^there: hop_length 24, expected 256, which is built into NVIDIA's code$"):
        export_waveglow(imported.config, card_of(imported), imported.weights, "there")


@pytest.mark.parametrize(
    ("edit", "named"),
    [
        ({"conditioning": "interpolated"}, "conditioning interpolated, expected upsampled, as in NVIDIA's code"),
        ({"pre_emphasis": 0.97}, "pre_emphasis 0.97, expected 0, as NVIDIA's"),
    ],
)
def test_settings_that_nvidias_code_lacks_are_refused(edit: dict[str, object], named: str) -> None:
    imported = import_waveglow(fused(), HOP, "here")
    card = card_of(imported).model_copy(update={"audio": imported.audio.model_copy(update={"hop_length": 256})})
    config = imported.config.model_copy(update=edit)
    with pytest.raises(InputError, match=f"^there: {named}"):
        export_waveglow(config, card, imported.weights, "there")


def test_a_whole_pickled_model_is_refused_with_the_way_to_convert_it(tmp_path: Path) -> None:
    """As NVIDIA published it."""
    file = tmp_path / "waveglow_256channels.pt"
    torch.save({"model": waveglow_from_state_dict(fused(), HOP), "iteration": 1}, file)
    with pytest.raises(InputError) as refused:
        read_checkpoint(file)
    assert refused.value.found == "a pickle that needs dtc.vocoder.waveglow.WaveGlow, which is code"
    assert 'torch.save({"state_dict": model.state_dict()}, FILE)' in refused.value.remedy
