"""Files of other projects' checkpoints: read without running code, or refused in one line."""

import os
from collections import OrderedDict
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from dtc.compat.checkpoint_files import read_checkpoint, read_hparams
from dtc.compat.nvidia_tacotron2 import import_tacotron2
from dtc.errors import InputError
from tests.dtc.nvidia_tensors import SMALL, assert_same_bytes, random_state_dict


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
            "if you trust it, load it with the code of its project, write "
            'torch.save({"state_dict": model.state_dict()}, FILE), and import that file'
        )
    assert not harm.exists()


@pytest.mark.parametrize(
    ("saved", "found"),
    [
        ([1, 2], "holds a list"),
        ({}, "holds nothing"),
        (torch.zeros(2), "holds a Tensor"),
        ({"iteration": 1, "model": torch.zeros(2)}, "holds iteration, model"),
        ({"state_dict": {"weight": 1}}, "holds state_dict"),
    ],
)
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
