"""NVIDIA's WaveGlow: its numbers, every layout of its weights, imports and exports."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from dtc.audio import MelStatistics
from dtc.audio_config import AudioConfig
from dtc.compat.nvidia_waveglow import export_waveglow, import_waveglow
from dtc.vocoder.waveglow import WaveGlow
from tests.dtc.nvidia_tensors import assert_same_bytes
from tests.dtc.nvidia_waveglow_tensors import (
    HOP,
    LAYOUTS,
    NORMED,
    PUBLISHED,
    SMALL,
    by_layer,
    card_of,
    fused,
    shapes_of,
    spoken,
)
from tests.dtc.tiny_waveglow import waveglow_from_state_dict
from tests.dtc.waveglow_oracle import analyse

GOLDEN = Path(__file__).parents[3] / "shared/golden/nvidia_waveglow_small.safetensors"
needs_golden = pytest.mark.skipif(not GOLDEN.is_file(), reason="../shared is not there: golden values of NVIDIA's code")
ORACLE_TOLERANCE = 1e-4  # float32 against float64, of values up to 10
INVERSE_TOLERANCE = 1e-3  # the inverse divides by scales, which enlarges rounding; 2e-4 is seen
PRODUCT_TOLERANCE = 1e-4  # of audio about as large as 1, where the normalisation was multiplied out and is found again


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
    arguments = "--sigma 0.6 --denoiser_strength 0"
    assert notes == [f"not in the file, but arguments of NVIDIA's inference.py: {arguments}"]
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
    weights = WaveGlow(config, audio, MelStatistics.neutral(audio.n_mel_channels)).state_dict()
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
