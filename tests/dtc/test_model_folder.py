"""Model folders: read as they were written, and refused where they are damaged."""

import json
from pathlib import Path

import pytest
import torch

from dtc.audio_config import AudioConfig
from dtc.errors import InputError
from dtc.model_card import ModelCard
from dtc.model_folder import read_model, save_model
from dtc.text.symbols import TextConfig


def card() -> ModelCard:
    audio = AudioConfig(
        sampling_rate=16000,
        filter_length=256,
        hop_length=64,
        win_length=256,
        n_mel_channels=2,
        mel_fmin=0,
        mel_fmax=8000,
    )
    return ModelCard(
        kind="vocoder",
        config={"model": "vocos"},
        training={},
        audio=audio,
        text=TextConfig(symbols="nvidia", normaliser="english"),
        alphabet=("a", "b", "c"),
        mel_mean=(0.0, 0.0),
        mel_deviation=(1.0, 1.0),
        corpus="0" * 32,
        features="f",
        steps=3,
    )


def test_model_folder_round_trip(tmp_path: Path) -> None:
    weights = {"a": torch.randn(3, 2), "b": torch.arange(3)}
    saved = save_model(tmp_path / "model", weights, card())
    modes = {path.stat().st_mode for path in (tmp_path / "model").iterdir()}
    assert len(modes) == 1, "who may read the card may read the weights"
    save_model(tmp_path / "model", weights, card())  # over an older one
    loaded, tensors = read_model(tmp_path / "model", "vocoder")
    assert loaded == saved
    assert loaded.fingerprint == saved.fingerprint != card().fingerprint
    assert all(torch.equal(tensors[name], weights[name]) for name in weights)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".model.lock", "model"]


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda folder: (folder / "model.safetensors").unlink(), "no such file, expected a trained vocoder model; run"),
        (
            lambda folder: (folder / "model.safetensors").write_bytes(b"x"),
            "SHA-256 .*the file was changed",
        ),
        (lambda folder: (folder / "config.json").write_text("{"), "not JSON"),
        (lambda folder: _edit(folder / "config.json", kind="acoustic"), "a model of kind acoustic, expected vocoder"),
        (lambda folder: _edit(folder / "config.json", kindd="x"), "kindd: unknown key; did you mean kind"),
    ],
)
def test_a_damaged_model_folder_is_refused(tmp_path: Path, damage: object, message: str) -> None:
    save_model(tmp_path / "model", {"a": torch.zeros(1)}, card())
    damage(tmp_path / "model")  # type: ignore[operator]
    with pytest.raises(InputError, match=message):
        read_model(tmp_path / "model", "vocoder")


def _edit(path: Path, **changes: str) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
