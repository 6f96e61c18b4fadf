"""NVIDIA's Tacotron 2: what cannot be imported or exported is named."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from dtc.compat.nvidia_tacotron2 import export_tacotron2, import_tacotron2
from dtc.errors import InputError
from tests.dtc.nvidia_tensors import SMALL, card_of, random_state_dict, shapes_of


def without(name: str) -> Callable[[dict[str, Tensor]], object]:
    return lambda state_dict: state_dict.pop(name)


def put(name: str, value: Tensor) -> Callable[[dict[str, Tensor]], object]:
    return lambda state_dict: state_dict.update({name: value})


@pytest.mark.parametrize(
    ("change", "hparams", "line"),
    [
        (
            without("embedding.weight"),
            {},
            "there: lacks embedding.weight, expected the 63 tensors of NVIDIA's Tacotron 2",
        ),
        (
            put("speaker.weight", torch.zeros(2)),
            {},
            "there: has the unknown speaker.weight, expected the 63 tensors of NVIDIA's Tacotron 2",
        ),
        (
            lambda state_dict: [state_dict.pop(name) for name in list(state_dict) if name.startswith("encoder.lstm")],
            {},
            "there: lacks encoder.lstm.weight_ih_l0, encoder.lstm.weight_hh_l0, encoder.lstm.bias_ih_l0, "
            "encoder.lstm.bias_hh_l0 and 4 more, expected the 63 tensors of NVIDIA's Tacotron 2",
        ),
        (
            put("decoder.gate_layer.linear_layer.weight", torch.zeros(1, 17)),
            {},
            "there: decoder.gate_layer.linear_layer.weight (1, 17), expected (1, 18), which fits the other tensors",
        ),
        (
            put("decoder.gate_layer.linear_layer.bias", torch.zeros(1, dtype=torch.int64)),
            {},
            "there: decoder.gate_layer.linear_layer.bias (1) of integers, expected (1), which fits the other tensors",
        ),
        (
            lambda _: None,
            {"encoder_embedding_dim": 512, "prenet_dim": 256},
            "there: hyper-parameters encoder_embedding_dim 512, prenet_dim 256, expected 8, 7, the sizes of the tensors; "
            "use the hyper-parameters of this model",
        ),
        (
            lambda _: None,
            {"gate_threshold": "high"},
            "there: decoder.gate_threshold: found 'high', expected a number",
        ),
        (
            put("embedding.weight", torch.zeros(150, 6)),
            {},
            "there: 150 symbols, expected the 148 of NVIDIA/tacotron2; a model of other symbols cannot read our texts",
        ),
        (
            lambda state_dict: state_dict.update(random_state_dict(SMALL | {"n_frames_per_step": 2})),
            {},
            "there: n_frames_per_step 2, expected 1; NVIDIA's prenet has all frames of a step as "
            "input and ours the last one, so the weights cannot be used",
        ),
        (
            put("encoder.convolutions.0.0.conv.weight", torch.zeros(8, 6, 4)),
            {},
            "there: encoder.kernel_size: found 4, expected an odd number: a kernel has a middle",
        ),
    ],
)
def test_tensors_of_another_model_are_refused(
    change: Callable[[dict[str, Tensor]], object], hparams: dict[str, object], line: str
) -> None:
    state_dict = random_state_dict(SMALL)
    change(state_dict)
    with pytest.raises(InputError) as refused:
        import_tacotron2(state_dict, hparams, "there")
    assert str(refused.value) == line


@pytest.mark.parametrize(
    ("edits", "facts", "found"),
    [
        (
            {},
            {"mel_mean": (-5.0,) * 80},
            "there: normalised mels, as all models trained by dtc have, expected mels that",
        ),
        (
            {},
            {"mel_deviation": (2.0,) * 80},
            "there: normalised mels, as all models trained by dtc have, expected mels",
        ),
        (
            {"frames_per_step": 2},
            {},
            "there: frames_per_step 2, expected frames_per_step 1; NVIDIA's format cannot express it: export",
        ),
        (
            {"frames_per_step": 2},
            {"mel_mean": (-5.0,) * 80},
            "there: normalised mels, as all models trained by dtc have, frames_per_step 2, expected mels that are not "
            "normalised, frames_per_step 1; NVIDIA's format cannot express it: export an imported model",
        ),
        ({"frames_per_step": ((0, 3), (5, 1))}, {}, "there: frames_per_step 3, expected frames_per_step 1"),
    ],
)
def test_what_has_no_place_in_their_format_is_refused(edits: dict[str, Any], facts: dict[str, Any], found: str) -> None:
    imported = import_tacotron2(random_state_dict(SMALL), {}, "here")
    with pytest.raises(InputError) as refused:
        export_tacotron2(
            imported.config.model_copy(update=edits), card_of(imported, **facts), imported.weights, "there"
        )
    assert str(refused.value).startswith(found)


def test_another_attention_is_refused() -> None:
    imported = import_tacotron2(random_state_dict(SMALL), {}, "here")
    attention = imported.config.attention.model_copy(update={"model": "dynamic_convolution"})
    with pytest.raises(InputError, match="there: attention dynamic_convolution, expected attention location_sensitive"):
        export_tacotron2(
            imported.config.model_copy(update={"attention": attention}), card_of(imported), imported.weights, "there"
        )


def test_what_their_format_leaves_out_is_said() -> None:
    imported = import_tacotron2(random_state_dict(SMALL), {}, "here")
    weights = imported.weights | {"backward_decoder.gate.weight": torch.zeros(1, 18)}
    decoder = imported.config.decoder.model_copy(update={"pre_net_dropout": 0.2})
    exported, notes = export_tacotron2(
        imported.config.model_copy(update={"decoder": decoder}), card_of(imported), weights, "here"
    )
    assert exported["state_dict"].keys() == shapes_of(SMALL).keys()
    assert notes == [
        "left out: the backward decoder (1 tensors), which only training uses",
        "decoder.pre_net_dropout is 0.2; NVIDIA's code always uses 0.5, so it sounds different there",
    ]
