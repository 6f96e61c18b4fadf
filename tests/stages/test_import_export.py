"""`dtc import` and `dtc export`: NVIDIA's checkpoints become models that speak, and come back byte for byte."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console
from safetensors.torch import save_file
from torch import Tensor, nn

from dtc.acoustic.base import load_acoustic
from dtc.audio import MelStatistics
from dtc.config import parse_section
from dtc.errors import InputError
from dtc.model_card import ModelCard
from dtc.model_folder import read_model, save_model
from dtc.provenance import sha256_of
from dtc.vocoder.base import load_vocoder
from dtc.vocoder.configs import WaveGlowConfig
from dtc.vocoder.waveglow import WaveGlow
from dtc.voice import Voice
from stages.import_export import Target, import_model
from tests.conftest import Project
from tests.dtc.nvidia_tensors import SMALL, assert_same_bytes, random_state_dict
from tests.dtc.tiny_parallel import save_parallel_voice
from tests.dtc.tiny_voice import ALPHABET, save_voice

CPU = torch.device("cpu")
COMMAND = "nvidia-tacotron2"
SMALL_WAVEGLOW = {
    "model": "waveglow",
    "num_flows": 4,
    "group_size": 8,
    "early_every": 2,
    "early_size": 2,
    "conditioning": "upsampled",
    "pre_emphasis": 0.0,
    "wavenet": {"num_layers": 2, "num_channels": 4, "kernel_size": 3},
    "train_on": "recorded",
    "attenuation_db": 0.0,
    "segment_frames": 4,
    "sigma": 1.0,
    "infer_sigma": 0.6,
    "denoiser_strength": 0.0,
}


@pytest.fixture
def theirs(project: Project) -> dict[str, Tensor]:
    """What theirs.pt in the project's folder holds, as NVIDIA/tacotron2 saves it."""
    state_dict = random_state_dict(SMALL)
    torch.save({"iteration": 1000, "state_dict": state_dict, "optimizer": {}, "learning_rate": 1e-3}, "theirs.pt")
    return state_dict


def save_griffin_lim(acoustic: ModelCard) -> None:
    """A vocoder of the same mel, as `dtc train vocoder` leaves it."""
    config = {"model": "griffin_lim", "train_on": "recorded", "iterations": 2, "momentum": 0.0}
    card = acoustic.model_copy(update={"kind": "vocoder", "config": config, "steps": 0})
    save_model(Path("models/vocoder"), {}, card)


def edit_card(folder: Path, **facts: Any) -> None:
    tree = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(tree | facts))


def test_a_checkpoint_comes_back_byte_for_byte(project: Project, theirs: dict[str, Tensor]) -> None:
    printed = project.run("import", COMMAND, "theirs.pt")
    row = next(line for line in printed.splitlines() if "models/acoustic " in line)
    assert "tacotron2" in row
    assert "1000" in row
    exported = project.run("export", COMMAND, "deep/ours.pt")
    assert 'it is read by torch.load("deep/ours.pt", weights_only=True)["state_dict"]' in exported
    checkpoint = torch.load("deep/ours.pt", weights_only=True)
    assert checkpoint["iteration"] == 1000
    assert_same_bytes(checkpoint["state_dict"], theirs)
    project.run("import", COMMAND, "deep/ours.pt", "--out", "again")
    again, first = (json.loads(Path(folder, "config.json").read_text()) for folder in ("again", "models/acoustic"))
    assert {key for key in first if first[key] != again[key]} == {"training", "features", "seal"}  # the file is another
    project.run("export", COMMAND, "other.pt", "--model", "again")
    assert Path("other.pt").read_bytes() == Path("deep/ours.pt").read_bytes()


def test_the_card_says_where_the_weights_come_from(project: Project, theirs: dict[str, Tensor]) -> None:
    project.run("import", COMMAND, "theirs.pt")
    card, _ = read_model(Path("models/acoustic"), "acoustic")
    sha256 = sha256_of(Path("theirs.pt"))
    assert card.training == {"imported_as": COMMAND, "file": "theirs.pt", "sha256": sha256}
    assert (card.steps, card.corpus) == (1000, "unknown: nvidia-tacotron2")
    assert card.features == f"unknown: nvidia-tacotron2, SHA-256 {sha256}"
    assert (set(card.mel_mean), set(card.mel_deviation)) == ({0.0}, {1.0})
    assert card.audio.sampling_rate == 22050


def test_assumed_hyper_parameters_are_printed(project: Project, theirs: dict[str, Tensor]) -> None:
    hparams = {"gate_threshold": 0.25, "p_attention_dropout": 0.2, "sampling_rate": 16000}
    Path("hparams.json").write_text(json.dumps(hparams))
    printed = project.run("import", COMMAND, "theirs.pt", "--hparams", "hparams.json").splitlines()
    assert (
        "import: not in theirs.pt, so taken from NVIDIA's published model: max_decoder_steps 1000, p_decoder_dropout 0.1, "
        "filter_length 1024, hop_length 256, win_length 1024, mel_fmin 0, mel_fmax 8000"
    ) in printed
    assert printed[-1] == (
        'import: next, `dtc say "…"`, with models/acoustic and a vocoder of the same mel (16000 Hz, hop 256, 80 bands) '
        "in models/vocoder"
    )
    model, _ = load_acoustic(Path("models/acoustic"), CPU)
    decoder = model.config.decoder
    assert (decoder.gate_threshold, decoder.attention_dropout, decoder.decoder_dropout) == (0.25, 0.2, 0.1)


def test_hyper_parameters_given_go_before_those_in_the_file(project: Project) -> None:
    config = {"max_decoder_steps": 5, "gate_threshold": 0.75}
    torch.save({"epoch": 1, "config": config, "state_dict": random_state_dict(SMALL)}, "examples.pt")
    Path("hparams.json").write_text('{"max_decoder_steps": 6}')
    assert "unknown" in project.run("import", COMMAND, "examples.pt", "--hparams", "hparams.json")
    decoder = load_acoustic(Path("models/acoustic"), CPU)[0].config.decoder
    assert (decoder.max_decoder_steps, decoder.gate_threshold) == (6, 0.75)


def test_an_imported_model_speaks(project: Project, theirs: dict[str, Tensor]) -> None:
    Path("hparams.json").write_text('{"max_decoder_steps": 4}')
    project.run("import", COMMAND, "theirs.pt", "--hparams", "hparams.json")
    save_griffin_lim(read_model(Path("models/acoustic"), "acoustic")[0])
    voice = Voice.load("models", CPU)
    assert voice.read("Dr. Jekyll's 2nd (last) question: why?") == "Doctor Jekyll's second (last) question: why?"
    assert "001-call-me.wav" in project.run("say", "Call me!", "{HH AY1}; you there.")
    sidecar = json.loads(Path("spoken/001-call-me.json").read_text())
    assert sidecar["features"] == voice.acoustic_card.features


def test_a_waveglow_goes_and_comes_byte_for_byte(project: Project, theirs: dict[str, Tensor]) -> None:
    project.run("import", COMMAND, "theirs.pt")
    audio = load_acoustic(Path("models/acoustic"), CPU)[1]
    config = parse_section(SMALL_WAVEGLOW, WaveGlowConfig, "vocoder")
    bands = audio.audio.n_mel_channels
    weights = WaveGlow(config, audio.audio, MelStatistics.neutral(bands)).state_dict()
    card = audio.model_copy(update={"kind": "vocoder", "config": SMALL_WAVEGLOW, "steps": 700})
    save_model(Path("models/vocoder"), weights, card)
    printed = project.run("export", "nvidia-waveglow", "ours.pt")
    assert "arguments of NVIDIA's inference.py: --sigma 0.6 --denoiser_strength 0" in printed
    checkpoint = torch.load("ours.pt", weights_only=True)
    assert checkpoint["config"]["waveglow_config"]["n_flows"] == 4
    printed = project.run("import", "nvidia-waveglow", "ours.pt", "--overwrite")
    assert "waveglow" in printed
    assert "with models/vocoder and an acoustic model of the same mel" in printed
    vocoder, card = load_vocoder(Path("models/vocoder"), CPU)
    assert (card.kind, card.steps, card.training["imported_as"]) == ("vocoder", 700, "nvidia-waveglow")
    assert all(torch.equal(value, weights[name]) for name, value in vocoder.state_dict().items())
    Path("hparams.json").write_text('{"max_decoder_steps": 4}')
    project.run("import", COMMAND, "theirs.pt", "--hparams", "hparams.json", "--overwrite")
    assert "001-call-me.wav" in project.run("say", "Call me!")


def test_another_vocoder_is_not_written_as_a_waveglow(project: Project, theirs: dict[str, Tensor]) -> None:
    project.run("import", COMMAND, "theirs.pt")
    save_griffin_lim(read_model(Path("models/acoustic"), "acoustic")[0])
    assert project.run("export", "nvidia-waveglow", "ours.pt", code=2) == (
        "models/vocoder: a model griffin_lim, expected waveglow; train one, or name its folder with --model"
    )


def test_a_checkpoint_with_nan_is_refused(project: Project, theirs: dict[str, Tensor]) -> None:
    name = next(name for name, value in theirs.items() if value.is_floating_point())
    theirs[name].view(-1)[-1] = torch.nan
    torch.save({"iteration": 1000, "state_dict": theirs}, "broken.pt")
    assert project.run("import", COMMAND, "broken.pt", code=2) == (
        f"broken.pt: NaN or infinity in {name}, expected finite numbers; use an earlier checkpoint"
    )
    assert not Path("models").exists()


def test_nothing_is_replaced_without_the_flag(project: Project, theirs: dict[str, Tensor]) -> None:
    project.run("import", COMMAND, "theirs.pt")
    project.run("export", COMMAND, "ours.pt")
    before = project.contents("models") | {"ours.pt": Path("ours.pt").read_bytes()}
    assert project.run("import", COMMAND, "theirs.pt", code=2) == (
        "models/acoustic: is there already, expected a new folder; replace it with --overwrite, or name another with --out"
    )
    assert project.run("export", COMMAND, "ours.pt", code=2) == (
        "ours.pt: is there already, expected a new file; replace it with --overwrite, or name another"
    )
    assert project.run("export", COMMAND, "ours.safetensors", code=2) == (
        "ours.safetensors: a name of another format, .safetensors, expected a name that ends in .pt"
    )
    project.run("import", COMMAND, "theirs.pt", "--overwrite")
    project.run("export", COMMAND, "ours.pt", "--overwrite")
    assert project.contents("models") | {"ours.pt": Path("ours.pt").read_bytes()} == before


@pytest.mark.parametrize("out", ["recordings", ".", "linked", "params.yaml"])
def test_a_folder_that_is_not_a_model_is_never_replaced(project: Project, theirs: dict[str, Tensor], out: str) -> None:
    Path("linked").symlink_to("recordings")
    before = project.contents(".")
    for flags in ((), ("--overwrite",)):
        line = project.run("import", COMMAND, "theirs.pt", "--out", out, *flags, code=2)
        assert line.startswith((f"{out}: is ", f"{out}: holds more than a model", ".: holds theirs.pt, which is read"))
    project.run("export", COMMAND, "recordings", "--overwrite", code=2)
    assert project.contents(".") == before


def test_a_model_of_another_project_is_never_replaced(project: Project, theirs: dict[str, Tensor]) -> None:
    """A folder with the same two names, as other projects publish them, or with the file that is read in it."""
    others = Path("others")
    others.mkdir()
    (others / "config.json").write_text('{"architectures": ["Tacotron2"], "model_type": "tacotron2"}')
    save_file(theirs, others / "model.safetensors")
    before = project.contents("others")
    line = project.run("import", COMMAND, "theirs.pt", "--out", "others", "--overwrite", code=2)
    assert line.startswith(
        "others: is not a model folder of dtc, expected a model folder of dtc, an empty folder or none; move it away"
    )
    line = project.run("import", COMMAND, "others/model.safetensors", "--out", "others", "--overwrite", code=2)
    assert line.startswith("others: holds others/model.safetensors, which is read")
    assert project.contents("others") == before


def test_an_export_does_not_write_into_the_model_that_it_reads(project: Project, theirs: dict[str, Tensor]) -> None:
    project.run("import", COMMAND, "theirs.pt")
    before = project.contents("models")
    for name in ("ours.pt", "config.json"):
        line = project.run("export", COMMAND, f"models/acoustic/{name}", "--overwrite", code=2)
        assert line == (
            f"models/acoustic/{name}: is in models/acoustic, which is read, expected a file elsewhere; name another"
        )
    assert project.contents("models") == before


def test_a_format_that_can_only_be_written_is_not_imported(project: Project, theirs: dict[str, Tensor]) -> None:
    with pytest.raises(InputError, match=r"^dtc import onnx: this format can only be written"):
        import_model("onnx", Path("theirs.pt"), None, Target(Path("models/vocoder"), False), Console())


@pytest.mark.parametrize(
    ("damage", "line"),
    [
        (lambda file: file.unlink(), "theirs.pt: no such file, expected a checkpoint"),
        (lambda file: file.write_bytes(file.read_bytes()[:5000]), "theirs.pt: does not read as a torch file ("),
        (
            lambda file: torch.save({"model": nn.Linear(1, 1)}, file),
            "theirs.pt: a pickle that needs torch.nn.modules.linear.Linear, which is code, expected tensors, ",
        ),
        (
            lambda file: file.write_text("iteration: 1000\n"),
            "theirs.pt: no file of torch.save, expected a checkpoint, or a file with the suffix .safetensors",
        ),
        (lambda file: (file.unlink(), file.mkdir()), "theirs.pt: is a folder, expected a checkpoint, which is a file"),
        (lambda file: torch.save([1], file), "theirs.pt: holds a list, expected a checkpoint with a state_dict"),
        (
            lambda file: torch.save({"upsample.weight": torch.zeros(1)}, file),
            "theirs.pt: lacks embedding.weight, encoder.convolutions.0.0.conv.weight, ",
        ),
    ],
    ids=["missing", "truncated", "code", "text", "folder", "no checkpoint", "another model"],
)
def test_a_bad_file_is_refused_and_nothing_is_written(
    project: Project, theirs: dict[str, Tensor], damage: Any, line: str
) -> None:
    damage(Path("theirs.pt"))
    found = project.run("import", COMMAND, "theirs.pt", code=2)
    assert found.startswith(line)
    assert not Path("models").exists()


def test_a_model_of_dtc_is_not_imported(project: Project, theirs: dict[str, Tensor]) -> None:
    project.run("import", COMMAND, "theirs.pt")
    for name in ("models/acoustic", "models/acoustic/model.safetensors"):
        assert project.run("import", COMMAND, name, "--out", "again", code=2) == (
            f"{name}: a model of dtc, expected a file of another project; dtc uses it as it is; `dtc say` reads the "
            "folder that holds acoustic/ and vocoder/"
        )
    assert not Path("again").exists()


def test_hyper_parameters_of_another_model_are_refused(project: Project, theirs: dict[str, Tensor]) -> None:
    Path("hparams.json").write_text('{"prenet_dim": 256}')
    line = project.run("import", COMMAND, "theirs.pt", "--hparams", "hparams.json", code=2)
    assert line.startswith("theirs.pt: hyper-parameters prenet_dim 256, expected 7, the sizes of the tensors")
    assert not Path("models").exists()


def test_a_model_that_has_no_place_in_their_format_is_refused(project: Project, theirs: dict[str, Tensor]) -> None:
    assert project.run("export", COMMAND, "ours.pt", code=2).startswith("models/acoustic/config.json: no such file")
    project.run("import", COMMAND, "theirs.pt")
    edit_card(Path("models/acoustic"), mel_mean=[-5.0] * 80)
    line = project.run("export", COMMAND, "ours.pt", code=2)
    assert line.startswith("models/acoustic: normalised mels, as all models trained by dtc have, expected mels that")
    assert not Path("ours.pt").exists()


def test_the_backward_decoder_of_dtc_is_left_out(project: Project, theirs: dict[str, Tensor]) -> None:
    project.run("import", COMMAND, "theirs.pt")
    card, weights = read_model(Path("models/acoustic"), "acoustic")
    duel = {"backward_weight": 1.0, "mel_agreement_weight": 1.0, "attention_agreement_weight": 1.0, "fade_steps": None}
    config = card.config | {"model": "dtc", "reverse_decoder": True, "duel": duel}
    backward = {f"backward_{name}": value.clone() for name, value in weights.items() if name.startswith("decoder.")}
    save_model(Path("models/acoustic"), weights | backward, card.model_copy(update={"config": config}))
    load_acoustic(Path("models/acoustic"), CPU)
    printed = project.run("export", COMMAND, "ours.pt")
    assert f"export: left out: the backward decoder ({len(backward)} tensors)" in printed
    assert_same_bytes(torch.load("ours.pt", weights_only=True)["state_dict"], theirs)


def test_a_voice_as_a_file(project: Project) -> None:
    save_parallel_voice(Path("models"), ALPHABET)
    printed = project.run("export", "onnx", "deep/voice.onnx", "--voice")
    assert "export: symbol_ids (batch, symbols)" in printed
    assert "numbers, dates and abbreviations in words" in printed
    assert Path("deep/voice.onnx").read_bytes().startswith(b"\x08")
    shutil.move("models", "others")
    project.run("export", "onnx", "deep/again.onnx", "--voice", "--model", "others")
    assert Path("deep/again.onnx").read_bytes() == Path("deep/voice.onnx").read_bytes()


@pytest.mark.parametrize(
    ("name", "files"), [("sherpa", {"model.onnx", "tokens.txt"}), ("piper", {"voice.onnx", "voice.onnx.json"})]
)
def test_a_voice_as_a_folder(project: Project, name: str, files: set[str]) -> None:
    save_parallel_voice(Path("models"), ALPHABET)
    project.run("export", name, "deep/ours")
    before = project.contents("deep")
    assert {path.name for path in Path("deep/ours").iterdir()} == files
    assert project.run("export", name, "deep/ours", code=2) == (
        "deep/ours: is there already, expected a new folder; replace it with --overwrite, or name another"
    )
    Path("deep/ours", min(files)).write_text("older")
    project.run("export", name, "deep/ours", "--overwrite")
    assert project.contents("deep") == before
    Path("deep/ours/note.txt").write_text("mine")
    assert project.run("export", name, "deep/ours", "--overwrite", code=2) == (
        "deep/ours: holds what dtc did not write (note.txt), expected nothing else; name another folder"
    )
    assert project.run("export", name, "voice.onnx", code=2) == (
        "voice.onnx: a name of another format, .onnx, expected the name of a folder"
    )
    assert project.run("export", name, "models", "--overwrite", code=2) == (
        "models: is in models, which is read, expected a folder elsewhere; name another"
    )
    assert project.contents("deep") == before | {"deep/ours/note.txt": b"mine"}


@pytest.mark.parametrize("arguments", [["onnx", "ours.onnx", "--voice"], ["sherpa", "ours"], ["piper", "ours"]])
def test_a_voice_with_attention_is_not_exported(project: Project, arguments: list[str]) -> None:
    save_voice(Path("models"))
    line = project.run("export", *arguments, code=2)
    assert line.startswith("models: a voice of tacotron2 and vocos, expected one of parallel and vocos; `dtc export")
