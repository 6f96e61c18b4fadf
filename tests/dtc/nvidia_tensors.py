"""State_dicts of NVIDIA's Tacotron 2, made of random numbers."""

from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from dtc.compat.formats import Imported
from dtc.compat.nvidia import ALPHABET
from dtc.model_card import ModelCard
from dtc.text.symbols import TextConfig

PUBLISHED = {
    "n_mel_channels": 80,
    "n_symbols": 148,
    "symbols_embedding_dim": 512,
    "encoder_kernel_size": 5,
    "encoder_n_convolutions": 3,
    "encoder_embedding_dim": 512,
    "n_frames_per_step": 1,
    "decoder_rnn_dim": 1024,
    "prenet_dim": 256,
    "attention_rnn_dim": 1024,
    "attention_dim": 128,
    "attention_location_n_filters": 32,
    "attention_location_kernel_size": 31,
    "postnet_embedding_dim": 512,
    "postnet_kernel_size": 5,
    "postnet_n_convolutions": 5,
}
SMALL = PUBLISHED | {
    "symbols_embedding_dim": 6,
    "encoder_embedding_dim": 8,
    "encoder_n_convolutions": 2,
    "encoder_kernel_size": 3,
    "decoder_rnn_dim": 10,
    "prenet_dim": 7,
    "attention_rnn_dim": 9,
    "attention_dim": 5,
    "attention_location_n_filters": 4,
    "attention_location_kernel_size": 11,
    "postnet_embedding_dim": 12,
    "postnet_kernel_size": 7,
    "postnet_n_convolutions": 3,
}


def shapes_of(sizes: dict[str, Any]) -> dict[str, tuple[int, ...]]:
    """Names and shapes of a state_dict of NVIDIA/tacotron2, as its modules make them."""
    mels, encoding = sizes["n_mel_channels"], sizes["encoder_embedding_dim"]
    attention, decoder = sizes["attention_rnn_dim"], sizes["decoder_rnn_dim"]
    shapes: dict[str, tuple[int, ...]] = {"embedding.weight": (sizes["n_symbols"], sizes["symbols_embedding_dim"])}

    def convolutions(part: str, widths: list[int], kernel: int) -> None:
        for number, (into, out) in enumerate(pairwise(widths)):
            block = f"{part}.convolutions.{number}"
            shapes[f"{block}.0.conv.weight"] = (out, into, kernel)
            for name in ("0.conv.bias", "1.weight", "1.bias", "1.running_mean", "1.running_var"):
                shapes[f"{block}.{name}"] = (out,)
            shapes[f"{block}.1.num_batches_tracked"] = ()

    def lstm(prefix: str, into: int, hidden: int, suffix: str) -> None:
        shapes[f"{prefix}.weight_ih{suffix}"] = (4 * hidden, into)
        shapes[f"{prefix}.weight_hh{suffix}"] = (4 * hidden, hidden)
        shapes[f"{prefix}.bias_ih{suffix}"] = shapes[f"{prefix}.bias_hh{suffix}"] = (4 * hidden,)

    count, kernel = sizes["encoder_n_convolutions"], sizes["encoder_kernel_size"]
    convolutions("encoder", [sizes["symbols_embedding_dim"]] + [encoding] * count, kernel)
    lstm("encoder.lstm", encoding, encoding // 2, "_l0")
    lstm("encoder.lstm", encoding, encoding // 2, "_l0_reverse")
    frames = mels * sizes["n_frames_per_step"]
    shapes["decoder.prenet.layers.0.linear_layer.weight"] = (sizes["prenet_dim"], frames)
    shapes["decoder.prenet.layers.1.linear_layer.weight"] = (sizes["prenet_dim"], sizes["prenet_dim"])
    lstm("decoder.attention_rnn", sizes["prenet_dim"] + encoding, attention, "")
    layer, width, filters = "decoder.attention_layer", sizes["attention_dim"], sizes["attention_location_n_filters"]
    shapes[f"{layer}.query_layer.linear_layer.weight"] = (width, attention)
    shapes[f"{layer}.memory_layer.linear_layer.weight"] = (width, encoding)
    shapes[f"{layer}.v.linear_layer.weight"] = (1, width)
    location = (filters, 2, sizes["attention_location_kernel_size"])
    shapes[f"{layer}.location_layer.location_conv.conv.weight"] = location
    shapes[f"{layer}.location_layer.location_dense.linear_layer.weight"] = (width, filters)
    lstm("decoder.decoder_rnn", attention + encoding, decoder, "")
    for name, out in (("linear_projection", frames), ("gate_layer", 1)):
        shapes[f"decoder.{name}.linear_layer.weight"] = (out, decoder + encoding)
        shapes[f"decoder.{name}.linear_layer.bias"] = (out,)
    inner = [sizes["postnet_embedding_dim"]] * (sizes["postnet_n_convolutions"] - 1)
    convolutions("postnet", [mels, *inner, mels], sizes["postnet_kernel_size"])
    return shapes


def random_state_dict(sizes: dict[str, int]) -> dict[str, Tensor]:
    """Random numbers in NVIDIA's layout, small enough to be spoken."""
    generator = torch.Generator().manual_seed(1)
    return {
        name: torch.tensor(1234) if name.endswith("tracked") else 0.1 * torch.rand(shape, generator=generator)
        for name, shape in shapes_of(sizes).items()
    }


def card_of(imported: Imported, **facts: Any) -> ModelCard:
    bands = imported.audio.n_mel_channels
    return ModelCard(
        **{
            "kind": "acoustic",
            "config": imported.config.model_dump(mode="json"),
            "training": {},
            "audio": imported.audio,
            "text": TextConfig(symbols="nvidia", normaliser="english"),
            "alphabet": ALPHABET,
            "mel_mean": (0.0,) * bands,
            "mel_deviation": (1.0,) * bands,
            "corpus": "",
            "features": "",
            "steps": 7,
            **facts,
        }
    )


def assert_same_bytes(found: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert found[name].dtype == value.dtype, name
        assert found[name].shape == value.shape, name
        assert found[name].numpy().tobytes() == value.contiguous().numpy().tobytes(), name
