"""`start_from`: a new model computes what the trained one does, and what it cannot take is named."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from dtc.acoustic import ACOUSTIC_MODELS
from dtc.acoustic.configs import DTCConfig, Tacotron2Config
from dtc.acoustic.symbol_embedding import grow_symbols
from dtc.acoustic.tacotron import Tacotron
from dtc.audio import MelStatistics
from dtc.audio_config import AudioConfig
from dtc.compat.nvidia_tacotron2 import import_tacotron2
from dtc.compat.nvidia_waveglow import import_waveglow
from dtc.config import Section
from dtc.errors import InputError
from dtc.model_card import ModelCard, ModelKind
from dtc.model_folder import save_model
from dtc.registry import Registry
from dtc.seeding import seed_all
from dtc.text.symbols import ID_OF, SYMBOLS, TextConfig
from dtc.training.start_config import StartConfig, read_source
from dtc.training.start_from import Start, start_from
from dtc.vocoder import VOCODERS
from dtc.vocoder.configs import VocosConfig, WaveGlowConfig
from tests.dtc import nvidia_waveglow_tensors, tiny_acoustic, tiny_parallel, tiny_waveglow
from tests.dtc.nvidia_tensors import SMALL, card_of, random_state_dict
from tests.dtc.tiny_acoustic import MELS, batch
from tests.dtc.tiny_voice import SMOKE

ALL = ("*",)
LETTERS = " abcdefghijklmnopqrstuvwxyz"
PARTS: dict[ModelKind, Registry[Any]] = {"acoustic": ACOUSTIC_MODELS, "vocoder": VOCODERS}
TACOTRON2, PARALLEL = tiny_acoustic.config(), tiny_parallel.config()
DUEL = {"backward_weight": 1.0, "mel_agreement_weight": 1.0, "attention_agreement_weight": 1.0, "fade_steps": None}
DTC = DTCConfig.model_validate(TACOTRON2.model_dump() | {"model": "dtc", "reverse_decoder": True, "duel": DUEL})
VOCOS = VocosConfig.model_validate(SMOKE["vocoder"])
WAVEGLOW = WaveGlowConfig.model_validate(tiny_waveglow.CONFIG | {"conditioning": "interpolated"})
BASE, NEW = (-5.0, 2.0), (-3.0, 1.5)  # mean and deviation of all bands of the first corpus and of the second


def built(config: Section, audio: AudioConfig, statistics: tuple[float, float], seed: int) -> nn.Module:
    """A model in evaluation mode, none of whose layers is as simple as before training."""
    seed_all(seed)
    kind: ModelKind = "acoustic" if config.model in ACOUSTIC_MODELS else "vocoder"  # type: ignore[attr-defined]
    mean, deviation = (torch.full((audio.n_mel_channels,), each) for each in statistics)
    model = PARTS[kind].build(config, audio, MelStatistics(mean, deviation))
    with torch.no_grad():
        for name, value in model.state_dict().items():
            if value.is_floating_point() and not any(part in name for part in ("mel_", "normalise.", "mixing")):
                value += 0.05 * torch.rand_like(value)
    return model.eval()


def save(folder: Path, model: Any, statistics: tuple[float, float], **facts: Any) -> None:
    """A folder with the model."""
    audio, kind = model.audio, "acoustic" if model.config.model in ACOUSTIC_MODELS else "vocoder"
    mean, deviation = ((each,) * audio.n_mel_channels for each in statistics)
    card = ModelCard(
        **{
            "kind": kind,
            "config": model.config.model_dump(mode="json"),
            "training": {},
            "audio": audio,
            "text": TextConfig(symbols="nvidia", normaliser="english"),
            "alphabet": tuple(LETTERS),
            "mel_mean": mean,
            "mel_deviation": deviation,
            "corpus": "",
            "features": "",
            "steps": 7,
            **facts,
        }
    )
    save_model(folder, model.state_dict(), card)


def started(model: Any, folder: Path, take: tuple[str, ...] = ALL, alphabet: str = LETTERS) -> Start:
    kind: ModelKind = "acoustic" if model.config.model in ACOUSTIC_MODELS else "vocoder"
    start = StartConfig(folder=str(folder), take=take)
    source = read_source(start, kind, PARTS[kind], model.config, model.audio)
    return start_from(model, start, source, alphabet)


def fates(start: Start) -> dict[str, int]:
    return {fate: sum(each.fate == fate for each in start.tensors) for fate in ("taken", "reshaped", "new", "dropped")}


def log_mels(model: Any) -> Tensor:
    return model.predict_recorded(batch((12, 40), (20, 60)), 0)


def wave(model: Any) -> Tensor:
    mel = torch.randn(2, model.audio.n_mel_channels, 9, generator=torch.Generator().manual_seed(1)) - 5.0
    return model(mel)


@pytest.mark.parametrize(
    ("config", "audio", "output"),
    [
        (TACOTRON2, tiny_acoustic.AUDIO, log_mels),
        (PARALLEL, tiny_acoustic.AUDIO, log_mels),
        (VOCOS, tiny_acoustic.AUDIO, wave),
        (WAVEGLOW, tiny_waveglow.AUDIO, wave),
    ],
    ids=["tacotron2", "parallel", "vocos", "waveglow"],
)
@torch.no_grad()
def test_with_all_weights_it_computes_the_same_as_the_source(
    tmp_path: Path, config: Section, audio: AudioConfig, output: Callable[[Any], Tensor]
) -> None:
    """Although the mels of the new corpus have other statistics."""
    source, model = built(config, audio, BASE, 1), built(config, audio, NEW, 2)
    save(tmp_path / "base", source, BASE)
    seed_all("dropout of the prenet")
    expected = output(source)
    seed_all("dropout of the prenet")
    assert not torch.equal(output(model), expected)
    start = started(model, tmp_path / "base")
    seed_all("dropout of the prenet")
    assert torch.equal(output(model), expected)
    assert fates(start) == {"taken": len(model.state_dict()), "reshaped": 0, "new": 0, "dropped": 0}
    assert start.keeps_statistics
    assert start.symbols == {}


def test_the_text_side_alone_leaves_the_statistics_of_the_new_corpus(tmp_path: Path) -> None:
    source, model = (built(TACOTRON2, tiny_acoustic.AUDIO, each, n) for n, each in enumerate((BASE, NEW)))
    save(tmp_path / "base", source, BASE)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    start = started(model, tmp_path / "base", ("embedding.*", "encoder.*"))
    assert not start.keeps_statistics
    for name, value in model.state_dict().items():
        expected = source.state_dict() if name.startswith(("embedding.", "encoder.")) else before
        assert torch.equal(value, expected[name]), name
    start = started(model, tmp_path / "base", ("post_net.*",))
    assert start.keeps_statistics
    assert torch.equal(model.mel_mean, torch.full((MELS,), BASE[0]))  # type: ignore[arg-type]


def test_the_backward_decoder_of_dtc_is_new_beside_tacotron_2(tmp_path: Path) -> None:
    source, model = built(TACOTRON2, tiny_acoustic.AUDIO, BASE, 1), built(DTC, tiny_acoustic.AUDIO, NEW, 2)
    save(tmp_path / "base", source, BASE)
    start = started(model, tmp_path / "base")
    assert [row[:3] for row in start.rows() if row[1] == "new"] == [("backward_decoder", "new", "19")]
    assert ("encoder", "taken", "29", "convolutions, lstm") in start.rows()
    assert start.rows()[0] == ("statistics", "taken", "2", "mel_mean, mel_deviation")
    assert fates(start)["taken"] == len(source.state_dict())
    save(tmp_path / "duel", model, BASE)
    start = started(built(TACOTRON2, tiny_acoustic.AUDIO, NEW, 3), tmp_path / "duel")
    assert {each.part for each in start.tensors if each.fate == "dropped"} == {"backward_decoder"}


@pytest.mark.parametrize(("there", "here"), [(3, 1), (1, 3)])
@torch.no_grad()
def test_the_frames_of_a_decoder_step_are_cut_or_repeated(tmp_path: Path, there: int, here: int) -> None:
    def tacotron(frames: int, seed: int) -> Tacotron:
        model = built(tiny_acoustic.config(frames), tiny_acoustic.AUDIO, BASE, seed)
        assert isinstance(model, Tacotron)
        return model

    source, model = tacotron(there, 1), tacotron(here, 2)
    save(tmp_path / "base", source, BASE)
    start = started(model, tmp_path / "base")
    weights = f"weight {here * MELS} × 72 (there {there * MELS} × 72)"
    biases = f"bias {here * MELS} (there {there * MELS})"
    assert ("decoder", "reshaped", "2", f"projection.{weights}, projection.{biases}") in start.rows()
    joint = torch.randn(5, 72)
    expected, _ = source.decoder.project(joint, 1)
    frames, _ = model.decoder.project(joint, here)
    assert torch.equal(frames, expected.expand(-1, here, -1))


def test_a_tensor_of_another_shape_stays_as_it_was_drawn(tmp_path: Path) -> None:
    wider = Tacotron2Config.model_validate(
        TACOTRON2.model_dump() | {"post_net": TACOTRON2.post_net.model_dump() | {"kernel_size": 3}}
    )
    source, model = (built(each, tiny_acoustic.AUDIO, BASE, 1) for each in (TACOTRON2, wider))
    save(tmp_path / "base", source, BASE)
    before = model.state_dict()["post_net.convolutions.0.convolution.weight"].clone()
    start = started(model, tmp_path / "base")
    assert torch.equal(model.state_dict()["post_net.convolutions.0.convolution.weight"], before)
    [row] = [row for row in start.rows() if row[1] == "new"]
    assert row[:3] == ("post_net", "new", "5")
    assert row[3].startswith("convolutions.0.convolution.weight 32 × 20 × 3 (there 32 × 20 × 5), ")
    assert row[3].endswith(" and 1 more")


def test_nvidias_tacotron_2_is_a_start_with_raw_log_mels(tmp_path: Path) -> None:
    imported = import_tacotron2(random_state_dict(SMALL), {}, "theirs.pt")
    save_model(tmp_path / "theirs", imported.weights, card_of(imported))
    model = built(imported.config, imported.audio, NEW, 1)
    start = started(model, tmp_path / "theirs", alphabet=LETTERS + "Q")
    assert start.keeps_statistics
    assert start.symbols == {"Q": "q"}
    for name, value in model.state_dict().items():
        if name != "embedding.weight":
            assert torch.equal(value, imported.weights[name]), name
    assert "mels are normalised by its statistics, not by those of data/features" in start.remarks()


def test_nvidias_waveglow_is_a_start(tmp_path: Path) -> None:
    hparams = nvidia_waveglow_tensors.SMALL | nvidia_waveglow_tensors.HOP
    imported = import_waveglow(nvidia_waveglow_tensors.fused(), hparams, "theirs.pt")
    save_model(tmp_path / "theirs", imported.weights, nvidia_waveglow_tensors.card_of(imported))
    model = built(imported.config, imported.audio, NEW, 1)
    start = started(model, tmp_path / "theirs")
    assert fates(start) == {"taken": len(imported.weights), "reshaped": 0, "new": 0, "dropped": 0}
    assert all(torch.equal(value, imported.weights[name]) for name, value in model.state_dict().items())
    # The networks of another conditioning get normalised mels: those of the new corpus.
    config = WaveGlowConfig.model_validate(imported.config.model_dump() | {"conditioning": "interpolated"})
    start = started(built(config, imported.audio, NEW, 1), tmp_path / "theirs")
    assert not start.keeps_statistics
    assert {each.name.split(".")[3] for each in start.tensors if each.fate == "new" and each.shapes} == {"conditioning"}


def test_new_symbols_are_like_the_nearest_known_ones() -> None:
    table = torch.arange(float(len(SYMBOLS)))[:, None].repeat(1, 3)
    known = ["a", "B", "c", ",", "@AH0", "@S", "@M"]
    like = grow_symbols([table], known, ["A", "b", "c", "z", "!", "@AH1", "@Z", "@OY2", "@NG"])
    assert like == {"A": "a", "b": "B", "z": "", "!": "", "@AH1": "@AH0", "@Z": "@S", "@OY2": "@AH0", "@NG": "@M"}
    values = {symbol: table[ID_OF[symbol], 0].item() for symbol in [*like, "c"]}
    assert values["A"] == ID_OF["a"]
    assert values["z"] == pytest.approx((ID_OF["a"] + ID_OF["B"] + ID_OF["c"]) / 3)
    assert values["!"] == (ID_OF[","] + ID_OF[" "]) / 2
    assert values["@Z"] == ID_OF["@S"]
    assert values["c"] == ID_OF["c"]


def test_phonemes_start_as_the_mean_of_all_symbols_where_no_phoneme_is_known() -> None:
    table = torch.arange(float(len(SYMBOLS)))[:, None].clone()
    assert grow_symbols([table], "ab", ["@S", "@AA1"]) == {"@S": "", "@AA1": ""}
    mean = (ID_OF["a"] + ID_OF["b"] + ID_OF[" "]) / 3
    assert table[ID_OF["@S"]].item() == table[ID_OF["@AA1"]].item() == pytest.approx(mean)


def test_all_tables_of_the_parallel_model_grow(tmp_path: Path) -> None:
    source, model = (built(PARALLEL, tiny_acoustic.AUDIO, BASE, n) for n in (1, 2))
    save(tmp_path / "base", source, BASE)
    start = started(model, tmp_path / "base", alphabet="abC")
    assert start.symbols == {"C": "c"}
    for name in ("embedding.weight", "aligner.embedding.weight", "aligner.symbol_mean.weight"):
        table, theirs = model.state_dict()[name], source.state_dict()[name]
        assert torch.equal(table[ID_OF["C"]], theirs[ID_OF["c"]])
        assert torch.equal(table[: ID_OF["C"]], theirs[: ID_OF["C"]])


def test_refusals(tmp_path: Path) -> None:
    """One line each: where, found, expected, what to do."""
    base = tmp_path / "base"
    save(base, built(TACOTRON2, tiny_acoustic.AUDIO, BASE, 1), BASE)
    model = built(TACOTRON2, tiny_acoustic.AUDIO, NEW, 2)
    key = "training.acoustic.start_from"
    for folder, other, line in (
        (base, built(PARALLEL, tiny_acoustic.AUDIO, NEW, 2), f"{key}.folder: {base} is a model tacotron2, whose"),
        (base, built(VOCOS, tiny_acoustic.AUDIO, NEW, 2), f"{base}/config.json: a model of kind acoustic, expected"),
        (
            tmp_path / "none",
            model,
            f"{tmp_path}/none/config.json: no such file, expected a trained acoustic model; name",
        ),
        (
            base,
            built(TACOTRON2, tiny_acoustic.AUDIO.model_copy(update={"sampling_rate": 22050}), NEW, 2),
            f"{base} and params.yaml: different mels: sampling_rate 16000 against 22050; start from a model of the same",
        ),
    ):
        with pytest.raises(InputError) as refused:
            started(other, folder)
        assert str(refused.value).startswith(line)
    for take, line in (
        (
            ("encoder.*", "decodr.*"),
            f"{key}.take: no tensor of the model matches decodr.*, expected a glob of names as",
        ),
        (("mel_mean",), f"{key}: no weight of {base} fits into the new model, expected at least one; take other"),
    ):
        with pytest.raises(InputError) as refused:
            started(model, base, take)
        assert str(refused.value).startswith(line)
    with (base / "model.safetensors").open("ab") as file:
        file.write(b"more")
    with pytest.raises(InputError, match=r"model\.safetensors: SHA-256"):
        started(model, base)
