"""NVIDIA's Tacotron 2: its weights give its numbers in our model, come back byte for byte, and what does not fit is named."""

import json
import math
import os
import re
from collections import OrderedDict
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from dtc.acoustic.base import AcousticModel, InferenceOptions, build_acoustic
from dtc.acoustic.configs import Tacotron2Config
from dtc.acoustic.decoder import teacher_forced
from dtc.audio import AudioConfig
from dtc.batch import Batch, mask_of
from dtc.compat.checkpoint_files import read_checkpoint, read_hparams
from dtc.compat.formats import Imported
from dtc.compat.nvidia import ALPHABET
from dtc.compat.nvidia_tacotron2 import export_tacotron2, import_tacotron2, tacotron2_from_state_dict
from dtc.errors import InputError
from dtc.model_card import ModelCard
from dtc.text.symbols import SYMBOLS, TextConfig

GOLDEN = Path(__file__).parents[3] / "shared/golden/nvidia_tacotron2_small.safetensors"
needs_golden = pytest.mark.skipif(not GOLDEN.is_file(), reason="../shared is not there: golden values of NVIDIA's code")
PARITY_TOLERANCE = 1e-5  # float32, another order of summation; 1e-6 is seen
OPTIONS = InferenceOptions(step=0)
PADDED_GATE = 1e3  # what NVIDIA's code writes over the gate beyond a clip's end

PUBLISHED = {
    "n_mel_channels": 80, "n_symbols": 148, "symbols_embedding_dim": 512, "encoder_kernel_size": 5,
    "encoder_n_convolutions": 3, "encoder_embedding_dim": 512, "n_frames_per_step": 1, "decoder_rnn_dim": 1024,
    "prenet_dim": 256, "attention_rnn_dim": 1024, "attention_dim": 128, "attention_location_n_filters": 32,
    "attention_location_kernel_size": 31, "postnet_embedding_dim": 512, "postnet_kernel_size": 5,
    "postnet_n_convolutions": 5,
}  # fmt: skip
SMALL = PUBLISHED | {
    "symbols_embedding_dim": 6, "encoder_embedding_dim": 8, "encoder_n_convolutions": 2, "encoder_kernel_size": 3,
    "decoder_rnn_dim": 10, "prenet_dim": 7, "attention_rnn_dim": 9, "attention_dim": 5, "attention_location_n_filters": 4,
    "attention_location_kernel_size": 11, "postnet_embedding_dim": 12, "postnet_kernel_size": 7, "postnet_n_convolutions": 3,
}  # fmt: skip


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
            "kind": "acoustic", "config": imported.config.model_dump(mode="json"), "training": {},
            "audio": imported.audio, "text": TextConfig(symbols="nvidia", normaliser="english"), "alphabet": ALPHABET,
            "mel_mean": (0.0,) * bands, "mel_deviation": (1.0,) * bands, "corpus": "", "features": "", "steps": 7,
            **facts,
        }
    )  # fmt: skip


def assert_same_bytes(found: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert found[name].dtype == value.dtype, name
        assert found[name].shape == value.shape, name
        assert found[name].numpy().tobytes() == value.contiguous().numpy().tobytes(), name


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
    model = build_acoustic(Tacotron2Config.model_validate(tree), imported.audio, torch.zeros(bands), torch.ones(bands))
    model.load_state_dict(imported.weights)
    return model.eval()


def test_a_state_dict_is_a_model() -> None:
    imported = import_tacotron2(random_state_dict(SMALL), {"gate_threshold": 0.3}, "here")
    model = tacotron2_from_state_dict(random_state_dict(SMALL), {"gate_threshold": 0.3})
    assert not model.training
    assert model.config == imported.config
    weights = model.state_dict()
    assert weights.keys() == imported.weights.keys()
    assert all(torch.equal(weights[name], imported.weights[name]) for name in weights)
    with pytest.raises(InputError, match="state_dict: lacks "):
        tacotron2_from_state_dict({}, {})


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
        ("a", "b", "c"), tensors["in.text"], tensors["in.text_lengths"], tensors["in.mel"], lengths,
        torch.zeros(3, 1), torch.ones(3, dtype=torch.int64),
    )  # fmt: skip
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
        "max_decoder_steps": 1000, "gate_threshold": 0.5, "p_attention_dropout": 0.1, "p_decoder_dropout": 0.1,
        "sampling_rate": 22050, "filter_length": 1024, "hop_length": 256, "win_length": 1024, "mel_fmin": 0.0,
        "mel_fmax": 8000.0,
    }  # fmt: skip


def test_sizes_come_from_the_shapes_and_the_rest_from_the_hyper_parameters() -> None:
    hparams = {
        "max_decoder_steps": 77, "gate_threshold": 0.25, "p_attention_dropout": 0.0, "p_decoder_dropout": 0.3,
        "sampling_rate": 16000, "text_cleaners": ["english_cleaners"], "attention_dim": 5,
    }  # fmt: skip
    imported = import_tacotron2(random_state_dict(SMALL), hparams, "here")
    tree = imported.config.model_dump()
    assert (tree["symbols_embedding_dim"], tree["frames_per_step"], tree["mask_convolutions"]) == (6, 1, True)
    assert tree["encoder"] == {"num_convolutions": 2, "embedding_dim": 8, "kernel_size": 3, "dropout_rate": 0.5}
    assert tree["attention"] == {
        "model": "location_sensitive", "rnn_dim": 9, "attention_dim": 5, "num_filters": 4, "kernel_size": 11,
    }  # fmt: skip
    assert tree["post_net"] == {"num_convolutions": 3, "embedding_dim": 12, "kernel_size": 7, "dropout_rate": 0.5}
    assert tree["decoder"] == {
        "rnn_dim": 10, "pre_net_dim": 7, "pre_net_dropout": 0.5, "max_decoder_steps": 77, "max_frames_per_symbol": 77.0,
        "gate_threshold": 0.25, "attention_dropout": 0.0, "decoder_dropout": 0.3, "frame_dropout": 0.0,
        "gradient_checkpointing": False,
    }  # fmt: skip
    assert imported.audio == AudioConfig(
        sampling_rate=16000, filter_length=1024, hop_length=256, win_length=1024, n_mel_channels=80, mel_fmin=0.0,
        mel_fmax=8000.0,
    )  # fmt: skip
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


# What does not fit


def without(name: str) -> Callable[[dict[str, Tensor]], object]:
    return lambda state_dict: state_dict.pop(name)


def put(name: str, value: Tensor) -> Callable[[dict[str, Tensor]], object]:
    return lambda state_dict: state_dict.update({name: value})


@pytest.mark.parametrize(
    ("change", "hparams", "line"),
    [
        (
            without("embedding.weight"), {},
            "there: lacks embedding.weight, expected the 63 tensors of NVIDIA's Tacotron 2",
        ),
        (
            put("speaker.weight", torch.zeros(2)), {},
            "there: has speaker.weight besides, expected the 63 tensors of NVIDIA's Tacotron 2",
        ),
        (
            lambda state_dict: [state_dict.pop(name) for name in list(state_dict) if name.startswith("encoder.lstm")],
            {},
            "there: lacks encoder.lstm.weight_ih_l0, encoder.lstm.weight_hh_l0, encoder.lstm.bias_ih_l0, "
            "encoder.lstm.bias_hh_l0 and 4 more, expected the 63 tensors of NVIDIA's Tacotron 2",
        ),
        (
            put("decoder.gate_layer.linear_layer.weight", torch.zeros(1, 17)), {},
            "there: decoder.gate_layer.linear_layer.weight (1, 17), expected (1, 18), as the other tensors show",
        ),
        (
            put("decoder.gate_layer.linear_layer.bias", torch.zeros(1, dtype=torch.int64)), {},
            "there: decoder.gate_layer.linear_layer.bias (1) of whole numbers, expected (1), as the other tensors show",
        ),
        (
            lambda _: None, {"encoder_embedding_dim": 512, "prenet_dim": 256},
            "there: hyper-parameters encoder_embedding_dim 512, prenet_dim 256, expected 8, 7, as the tensors show; "
            "they are another model's",
        ),
        (
            lambda _: None, {"gate_threshold": "high"},
            "there: decoder.gate_threshold: found 'high', expected a valid number",
        ),
        (
            put("embedding.weight", torch.zeros(150, 6)), {},
            "there: 150 symbols, expected the 148 of NVIDIA/tacotron2; a model of other symbols cannot read our texts",
        ),
        (
            lambda state_dict: state_dict.update(random_state_dict(SMALL | {"n_frames_per_step": 2})), {},
            "there: n_frames_per_step 2, expected 1; NVIDIA's prenet has all frames of a step as "
            "input and ours the last one, so the weights cannot be used",
        ),
        (
            put("encoder.convolutions.0.0.conv.weight", torch.zeros(8, 6, 4)), {},
            "there: encoder.kernel_size: found 4, expected an odd number: a kernel has a middle",
        ),
    ],
)  # fmt: skip
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
        ({}, {"mel_mean": (-5.0,) * 80}, "there: mels normalised by the corpus's mean and deviation, expected mean 0"),
        ({}, {"mel_deviation": (2.0,) * 80}, "there: mels normalised by the corpus's mean and deviation, expected"),
        ({"frames_per_step": 2}, {}, "there: frames_per_step 2, expected 1; NVIDIA's code has no other"),
        ({"frames_per_step": ((0, 3), (5, 1))}, {}, "there: frames_per_step 3, expected 1"),
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
    with pytest.raises(InputError, match="there: attention dynamic_convolution, expected location_sensitive"):
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


# Files


@pytest.mark.parametrize("name", ["checkpoint_1000", "model.pt"])
@pytest.mark.parametrize("zipped", [True, False])
def test_checkpoints_of_both_projects_are_read(tmp_path: Path, name: str, zipped: bool) -> None:
    """Both of torch's formats: NVIDIA's published file is of the old one."""
    file, theirs = tmp_path / name, random_state_dict(SMALL)
    optimizer = torch.optim.Adam([nn.Parameter(torch.zeros(2))]).state_dict()
    prefixed = OrderedDict((f"module.{key}", value) for key, value in theirs.items())
    for saved, hparams, iteration in (
        (
            {"iteration": 1000, "state_dict": OrderedDict(theirs), "optimizer": optimizer, "learning_rate": 1e-3},
            {},
            1000,
        ),
        ({"epoch": 3, "config": {"gate_threshold": 0.3}, "state_dict": prefixed}, {"gate_threshold": 0.3}, 0),
        (theirs, {}, 0),
    ):
        torch.save(saved, file, _use_new_zipfile_serialization=zipped)
        checkpoint = read_checkpoint(file)
        assert_same_bytes(checkpoint.state_dict, theirs)
        assert (checkpoint.hparams, checkpoint.iteration) == (hparams, iteration)


def test_safetensors_are_read(tmp_path: Path) -> None:
    theirs = random_state_dict(SMALL)
    save_file(theirs, tmp_path / "model.safetensors")
    assert_same_bytes(read_checkpoint(tmp_path / "model.safetensors").state_dict, theirs)


def test_tensors_that_share_one_buffer_are_taken_apart(tmp_path: Path) -> None:
    """As a GPU leaves the weights of an LSTM."""
    theirs = random_state_dict(SMALL)
    names = [name for name in theirs if name.startswith("encoder.lstm")]
    buffer = torch.cat([theirs[name].flatten() for name in names])
    views = buffer.split([theirs[name].numel() for name in names])
    theirs |= {name: view.view(theirs[name].shape) for name, view in zip(names, views, strict=True)}
    torch.save(theirs, tmp_path / "model.pt")
    imported = import_tacotron2(read_checkpoint(tmp_path / "model.pt").state_dict, {}, "here")
    save_file(imported.weights, tmp_path / "ours.safetensors")


class _Attack:
    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.file),)


@pytest.mark.parametrize("zipped", [True, False])
def test_a_pickle_that_needs_code_is_refused_and_not_run(tmp_path: Path, zipped: bool) -> None:
    file, harm = tmp_path / "model.pt", tmp_path / "harm"
    for saved, needed in ((_Attack(harm), "posix.mkdir"), (nn.Linear(1, 1), "torch.nn.modules.linear.Linear")):
        torch.save({"iteration": 1, "state_dict": {}, "model": saved}, file, _use_new_zipfile_serialization=zipped)
        with pytest.raises(InputError) as refused:
            read_checkpoint(file)
        assert str(refused.value) == (
            f"{file}: a pickle that needs {needed}, which is code, expected tensors, texts and numbers alone; "
            'where you trust it, load it with its own code, torch.save({"state_dict": model.state_dict()}, FILE), '
            "and import that"
        )
    assert not harm.exists()


@pytest.mark.parametrize(
    ("saved", "found"),
    [
        ([1, 2], "holds a list"), ({}, "holds nothing"), (torch.zeros(2), "holds a Tensor"),
        ({"iteration": 1, "model": torch.zeros(2)}, "holds iteration, model"),
        ({"state_dict": {"weight": 1}}, "holds state_dict"),
    ],
)  # fmt: skip
def test_what_is_no_checkpoint_is_refused(tmp_path: Path, saved: object, found: str) -> None:
    torch.save(saved, tmp_path / "model.pt")
    with pytest.raises(InputError) as refused:
        read_checkpoint(tmp_path / "model.pt")
    assert refused.value.found == found
    assert refused.value.expected == "a checkpoint with a state_dict of tensors, or a state_dict alone"


@pytest.mark.parametrize("zipped", [True, False])
def test_a_damaged_file_is_named(tmp_path: Path, zipped: bool) -> None:
    file = tmp_path / "model.pt"
    torch.save({"state_dict": random_state_dict(SMALL)}, file, _use_new_zipfile_serialization=zipped)
    whole = file.read_bytes()
    for content in (b"", b"hello", whole[:100], whole[: len(whole) // 2], whole[:-1]):
        file.write_bytes(content)
        with pytest.raises(InputError) as refused:
            read_checkpoint(file)
        assert str(refused.value).startswith(f"{file}: ")
        assert "\n" not in str(refused.value)
        file.with_suffix(".safetensors").write_bytes(content)
        with pytest.raises(InputError, match="does not read as safetensors"):
            read_checkpoint(file.with_suffix(".safetensors"))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    for read in (read_checkpoint, read_hparams):
        with pytest.raises(InputError, match="no such file"):
            read(tmp_path / "nowhere.json")


@pytest.mark.parametrize(("content", "found"), [("{", "not JSON"), ("[1]", "a JSON list"), ("\xff", "not JSON")])
def test_hyper_parameters_that_are_no_json_mapping_are_refused(tmp_path: Path, content: str, found: str) -> None:
    (tmp_path / "hparams.json").write_text(content, encoding="latin-1")
    with pytest.raises(InputError, match=f"hparams.json: {found}"):
        read_hparams(tmp_path / "hparams.json")
