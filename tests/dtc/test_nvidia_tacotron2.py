"""NVIDIA's Tacotron 2: its weights give its numbers in our model, come back byte for byte, and what does not fit is named."""

import json
import math
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file
from torch import Tensor

from dtc.acoustic import ACOUSTIC_MODELS
from dtc.acoustic.base import AcousticModel, InferenceOptions
from dtc.acoustic.configs import Tacotron2Config
from dtc.acoustic.decoder import teacher_forced
from dtc.audio import MelStatistics
from dtc.audio_config import AudioConfig
from dtc.batch import Batch, mask_of
from dtc.compat.formats import Imported
from dtc.compat.nvidia import ALPHABET
from dtc.compat.nvidia_tacotron2 import export_tacotron2, import_tacotron2
from dtc.text.symbols import SYMBOLS
from tests.dtc.nvidia_tensors import PUBLISHED, SMALL, assert_same_bytes, card_of, random_state_dict, shapes_of

GOLDEN = Path(__file__).parents[3] / "shared/golden/nvidia_tacotron2_small.safetensors"
needs_golden = pytest.mark.skipif(not GOLDEN.is_file(), reason="../shared is not there: golden values of NVIDIA's code")
PARITY_TOLERANCE = 1e-5  # float32, another order of summation; 1e-6 is seen
OPTIONS = InferenceOptions(step=0)
PADDED_GATE = 1e3  # what NVIDIA's code writes over the gate beyond a clip's end

# Parity with NVIDIA's code


@pytest.fixture(scope="module")
def golden() -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors and hyper-parameters of the golden file."""
    with safe_open(GOLDEN, "pt") as file:
        hparams = json.loads(file.metadata()["hparams"])
    return load_file(GOLDEN), hparams


def golden_state_dict(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {
        name.removeprefix("state_dict."): value for name, value in tensors.items() if name.startswith("state_dict.")
    }


def silenced(imported: Imported) -> AcousticModel:
    """The imported model without any dropout, seeing the padding of a batch as NVIDIA's does."""
    tree = imported.config.model_dump(mode="json") | {"mask_convolutions": False}
    tree["decoder"] |= {"pre_net_dropout": 0.0}
    bands = imported.audio.n_mel_channels
    model = ACOUSTIC_MODELS.build(Tacotron2Config.model_validate(tree), imported.audio, MelStatistics.neutral(bands))
    model.load_state_dict(imported.weights)
    return model.eval()


def assert_equal(found: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(found, expected, atol=PARITY_TOLERANCE, rtol=0)


@needs_golden
def test_a_teacher_forced_batch_equals_nvidias(golden: tuple[dict[str, Tensor], dict[str, Any]]) -> None:
    tensors, hparams = golden
    model = silenced(import_tacotron2(golden_state_dict(tensors), hparams, "golden"))
    lengths = tensors["in.mel_lengths"]
    assert len(lengths) == 3
    assert len(set(lengths.tolist())) > 1, "some are padded"
    batch = Batch(
        ("a", "b", "c"),
        tensors["in.text"],
        tensors["in.text_lengths"],
        tensors["in.mel"],
        lengths,
        torch.zeros(3, 1),
        torch.ones(3, dtype=torch.int64),
    )
    with torch.no_grad():
        said = model(batch, step=0)
    padded = ~mask_of(lengths, tensors["in.mel"].shape[2])
    assert_equal(said.mel.masked_fill(padded[:, None], 0.0), tensors["out.mel"])
    assert_equal(said.mel_postnet.masked_fill(padded[:, None], 0.0), tensors["out.mel_postnet"])
    assert_equal(said.gate_logits.masked_fill(padded, PADDED_GATE), tensors["out.gate"])
    assert_equal(said.alignments, tensors["out.alignments"])


@needs_golden
def test_speaking_step_by_step_equals_nvidias(
    golden: tuple[dict[str, Tensor], dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    tensors, hparams = golden
    model = silenced(import_tacotron2(golden_state_dict(tensors), hparams, "golden"))
    text = tensors["in.text"][0, : tensors["in.text_lengths"][0]]
    said = model.infer([text], seed=1, options=OPTIONS)[0]
    assert_equal(said.mel, tensors["infer.mel_postnet"][0])
    assert_equal(said.alignment, tensors["infer.alignments"][0])
    with torch.no_grad():  # the gate is not among what is said: it is heard by teaching the model its own frames
        values, mask = model.encode(text[None], torch.tensor([len(text)]))
        again = teacher_forced([model.decoder], [tensors["infer.mel"]], values, mask, 1)[0]
    assert_equal(again.gate_logits[..., None], tensors["infer.gate"])
    monkeypatch.setattr(model.post_net, "forward", lambda mel, mask: torch.zeros_like(mel))
    assert_equal(model.infer([text], seed=1, options=OPTIONS)[0].mel, tensors["infer.mel"][0])


@needs_golden
def test_the_golden_model_comes_back_byte_for_byte(golden: tuple[dict[str, Tensor], dict[str, Any]]) -> None:
    theirs, hparams = golden_state_dict(golden[0]), golden[1]
    imported = import_tacotron2(theirs, hparams, "golden")
    exported, notes = export_tacotron2(imported.config, card_of(imported), imported.weights, "here")
    assert_same_bytes(exported["state_dict"], theirs)
    known = {name: value for name, value in hparams.items() if name not in {"mask_padding", "fp16_run"}}
    assert exported["config"].items() >= known.items()
    assert notes == []
    assert shapes_of(hparams) == {name: tuple(value.shape) for name, value in theirs.items()}


# Sizes and hyper-parameters


def test_a_model_of_the_published_sizes() -> None:
    theirs = random_state_dict(PUBLISHED)
    buffers = re.compile(r".*\.(running_mean|running_var|num_batches_tracked)")
    assert sum(value.numel() for name, value in theirs.items() if not buffers.fullmatch(name)) == 28_193_153
    imported = import_tacotron2(theirs, {}, "here")
    assert imported.parameters == 28_193_153
    assert imported.assumed == {
        "max_decoder_steps": 1000,
        "gate_threshold": 0.5,
        "p_attention_dropout": 0.1,
        "p_decoder_dropout": 0.1,
        "sampling_rate": 22050,
        "filter_length": 1024,
        "hop_length": 256,
        "win_length": 1024,
        "mel_fmin": 0.0,
        "mel_fmax": 8000.0,
    }


def test_sizes_come_from_the_shapes_and_the_rest_from_the_hyper_parameters() -> None:
    hparams = {
        "max_decoder_steps": 77,
        "gate_threshold": 0.25,
        "p_attention_dropout": 0.0,
        "p_decoder_dropout": 0.3,
        "sampling_rate": 16000,
        "text_cleaners": ["english_cleaners"],
        "attention_dim": 5,
    }
    imported = import_tacotron2(random_state_dict(SMALL), hparams, "here")
    tree = imported.config.model_dump()
    assert (tree["symbols_embedding_dim"], tree["frames_per_step"], tree["mask_convolutions"]) == (6, 1, True)
    assert tree["encoder"] == {"num_convolutions": 2, "embedding_dim": 8, "kernel_size": 3, "dropout_rate": 0.5}
    assert tree["attention"] == {
        "model": "location_sensitive",
        "rnn_dim": 9,
        "attention_dim": 5,
        "num_filters": 4,
        "kernel_size": 11,
    }
    assert tree["post_net"] == {"num_convolutions": 3, "embedding_dim": 12, "kernel_size": 7, "dropout_rate": 0.5}
    assert tree["decoder"] == {
        "rnn_dim": 10,
        "pre_net_dim": 7,
        "pre_net_dropout": 0.5,
        "max_decoder_steps": 77,
        "max_frames_per_symbol": 77.0,
        "gate_threshold": 0.25,
        "attention_dropout": 0.0,
        "decoder_dropout": 0.3,
        "frame_dropout": 0.0,
        "gradient_checkpointing": False,
    }
    assert imported.audio == AudioConfig(
        sampling_rate=16000,
        filter_length=1024,
        hop_length=256,
        win_length=1024,
        n_mel_channels=80,
        mel_fmin=0.0,
        mel_fmax=8000.0,
    )
    assert set(imported.assumed) == {"filter_length", "hop_length", "win_length", "mel_fmin", "mel_fmax"}


def test_every_size_comes_back() -> None:
    theirs = random_state_dict(SMALL)
    theirs["postnet.convolutions.1.1.running_var"] = torch.tensor([math.nan, -0.0] * 6)
    imported = import_tacotron2(theirs, {}, "here")
    exported, _ = export_tacotron2(imported.config, card_of(imported), imported.weights, "here")
    assert_same_bytes(exported["state_dict"], theirs)
    assert exported["iteration"] == 7
    again = import_tacotron2(exported["state_dict"], exported["config"], "here")
    assert again.config == imported.config
    assert again.assumed == {}


def test_half_precision_stays_half() -> None:
    theirs = random_state_dict(SMALL)
    theirs = {name: value.half() if value.is_floating_point() else value for name, value in theirs.items()}
    imported = import_tacotron2(theirs, {}, "here")
    exported, _ = export_tacotron2(imported.config, card_of(imported), imported.weights, "here")
    assert_same_bytes(exported["state_dict"], theirs)


def test_the_alphabet_is_what_their_cleaners_give() -> None:
    assert "".join(symbol for symbol in ALPHABET if len(symbol) == 1) == " !'(),-.:;?abcdefghijklmnopqrstuvwxyz"
    assert len([symbol for symbol in ALPHABET if symbol.startswith("@")]) == 84
    assert set(ALPHABET) < set(SYMBOLS)
