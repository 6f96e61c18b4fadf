"""NVIDIA's WaveGlow: tensors, sizes and settings that are refused."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from dtc.compat.checkpoint_files import read_checkpoint
from dtc.compat.nvidia_waveglow import export_waveglow, import_waveglow
from dtc.errors import InputError
from tests.dtc.nvidia_waveglow_tensors import HOP, LAYOUTS, PUBLISHED, card_of, fused
from tests.dtc.test_nvidia_tacotron2_refusals import put, without
from tests.dtc.tiny_waveglow import waveglow_from_state_dict


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
            "there: lacks WN.3.end.bias, and has the unknown WN.3.speaker, expected the 62 tensors of NVIDIA's WaveGlow",
        ),
        (
            "old, fused",
            put("WN.2.in_layers.1.weight_g", torch.zeros(8)),
            {},
            "there: WN.2.in_layers.1.weight_g (8), expected (8, 1, 1), which fits the other tensors",
        ),
        (
            "old, by layer",
            put("WN.2.cond_layers.1.bias", torch.zeros(7)),
            {},
            "there: WN.2.cond_layers.1.bias (7), expected (8), which fits the other tensors",
        ),
        (
            "old, fused",
            put("WN.1.end.bias", torch.zeros(6, dtype=torch.int64)),
            {},
            "there: WN.1.end.bias (6) of integers, expected (6), which fits the other tensors",
        ),
        (
            "old, fused",
            lambda _: None,
            {"waveglow_config": PUBLISHED},
            "there: hyper-parameters n_mel_channels 80, n_group 8, n_channels 256, kernel_size 3 and 3 more, expected 5, "
            "6, 4, 5 and 3 more, the sizes of the tensors; use the hyper-parameters of this model",
        ),
        (
            "old, fused",
            lambda _: None,
            {"hop_length": 256},
            "there: hyper-parameters hop_length 256, expected 24, the sizes of the tensors; use the hyper-parameters of this model",
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
            "there: sigma: found 'loud', expected a number",
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
