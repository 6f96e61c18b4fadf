"""Model folders: those of every earlier format load and speak as they did, and saving one destroys nothing."""

import json
import shutil
import subprocess
import sys
import wave
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

import dtc
from dtc import Voice
from dtc.acoustic.base import InferenceOptions, load_acoustic
from dtc.config import parse_section
from dtc.errors import InputError
from dtc.migrations import migrate_card
from dtc.model_card import CARD, WEIGHTS, ModelCard
from dtc.model_folder import read_model, save_model
from dtc.provenance import fingerprint
from dtc.text.lexicon import LexiconConfig
from dtc.text.symbols import text_to_ids
from dtc.vocoder.base import load_vocoder

MODELS = Path(__file__).parents[1] / "models"
CPU = torch.device("cpu")
# Fingerprints of the acoustic model and the vocoder, as the code that saved them computed them.
FINGERPRINTS = {
    1: ("4d1156fe97fab51a", "78ba3cde701f0b3c"),
    2: ("6fb5b3eb7d2b05df", "d9faaad21c5fc05a"),
    3: ("34c6f3997d23e867", "19754e5cd4fe003e"),
    4: ("ed8c28078b9a3098", "611d4d98cd6b72dd"),
    5: ("0050d8d6e2c49970", "2d1cc2ecc1f126cf"),
}
ORDER_TOLERANCE = 2e-6  # float32 sums in another order


@pytest.mark.parametrize("format", FINGERPRINTS)
def test_a_model_of_every_earlier_format_speaks_as_it_did(format: int) -> None:
    folder = MODELS / f"format-{format}"
    expected = load_file(folder / "expected.safetensors")
    acoustic, acoustic_card = load_acoustic(folder / "acoustic", CPU)
    vocoder, vocoder_card = load_vocoder(folder / "vocoder", CPU)
    text = torch.tensor(text_to_ids("three, nine"))
    (spoken,) = acoustic.infer([text], seed=3, options=InferenceOptions(acoustic_card.steps))
    torch.testing.assert_close(spoken.mel, expected["mel"], atol=ORDER_TOLERANCE, rtol=0)
    with torch.no_grad():
        torch.testing.assert_close(vocoder(expected["mel"][None])[0], expected["wave"], atol=ORDER_TOLERANCE, rtol=0)
    assert (acoustic_card.fingerprint, vocoder_card.fingerprint) == FINGERPRINTS[format]


@pytest.mark.parametrize("format", FINGERPRINTS)
def test_a_migrated_model_saved_again_is_of_todays_format(format: int, tmp_path: Path) -> None:
    card, weights = read_model(MODELS / f"format-{format}/acoustic", "acoustic")
    saved = save_model(tmp_path / "acoustic", weights, card)
    assert json.loads((tmp_path / "acoustic" / CARD).read_text())["format"] == 6
    assert load_acoustic(tmp_path / "acoustic", CPU)[1] == saved
    assert saved.fingerprint != card.fingerprint, "its card says more, so it is another"


def test_a_card_without_a_lexicon_is_the_same_as_before_there_was_one() -> None:
    tree = migrate_card(json.loads((MODELS / "format-4/acoustic" / CARD).read_text()), "card") | {"saved_as": ""}
    card = parse_section(tree, ModelCard, "card")
    assert "lexicon" not in tree
    assert card.fingerprint == fingerprint("model", {"aligned": "", "aligned_by": ""} | tree)
    lexicon = LexiconConfig(words={"zyx": "Z"}, letters_share=0.1)
    assert card.model_copy(update={"lexicon": lexicon}).fingerprint != card.fingerprint


@pytest.mark.parametrize("lost", ["kind", "config", "alphabet"])
def test_a_card_of_an_earlier_format_without_a_key_is_one_line(lost: str, tmp_path: Path) -> None:
    folder = tmp_path / "acoustic"
    shutil.copytree(MODELS / "format-1/acoustic", folder)
    tree = json.loads((folder / CARD).read_text())
    del tree[lost]
    (folder / CARD).write_text(json.dumps(tree))
    with pytest.raises(
        InputError, match=rf"^{folder / CARD}: no card of format 1 \(KeyError\('{lost}'\)\); the file was"
    ):
        read_model(folder, "acoustic")


def test_a_card_of_a_newer_format_asks_for_an_update(tmp_path: Path) -> None:
    folder = tmp_path / "acoustic"
    shutil.copytree(MODELS / "format-4/acoustic", folder)
    (folder / CARD).write_text(json.dumps(json.loads((folder / CARD).read_text()) | {"format": 7}))
    with pytest.raises(InputError, match="format 7, expected 6 or older; a newer version of dtc saved the model"):
        read_model(folder, "acoustic")


@pytest.fixture
def model() -> tuple:
    return read_model(MODELS / "format-4/vocoder", "vocoder")


def test_weights_that_are_not_finite_are_not_saved(model: tuple, tmp_path: Path) -> None:
    card, weights = model
    save_model(tmp_path / "vocoder", weights, card)
    before = (tmp_path / "vocoder" / WEIGHTS).read_bytes()
    broken = weights | {"head.bias": torch.full_like(weights["head.bias"], torch.nan)}
    with pytest.raises(
        InputError, match=r"NaN or infinity in head.bias, expected finite numbers; the model was not saved"
    ):
        save_model(tmp_path / "vocoder", broken, card)
    assert (tmp_path / "vocoder" / WEIGHTS).read_bytes() == before


def test_a_folder_that_holds_more_than_a_model_is_not_replaced(model: tuple, tmp_path: Path) -> None:
    card, weights = model
    folder = tmp_path / "vocoder"
    folder.mkdir()
    (folder / "notes.txt").write_text("mine")
    with pytest.raises(
        InputError, match=r"vocoder: holds more than a model \(notes.txt\), expected a model folder of dtc"
    ):
        save_model(folder, weights, card)
    assert (folder / "notes.txt").read_text() == "mine"
    (folder / "notes.txt").unlink()
    (folder / CARD).write_text('{"architectures": ["Vocos"]}')  # another project's, under the same name
    with pytest.raises(InputError, match="vocoder: is not a model folder of dtc"):
        save_model(folder, weights, card)
    link = tmp_path / "link"
    link.symlink_to(folder)
    with pytest.raises(InputError, match="link: is a link or a file"):
        save_model(link, weights, card)


def test_a_folder_named_like_a_half_saved_model_is_not_deleted(model: tuple, tmp_path: Path) -> None:
    card, weights = model
    part = tmp_path / "vocoder.part"
    part.mkdir()
    (part / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match=r"vocoder.part: holds what dtc did not write \(notes.txt\)"):
        save_model(tmp_path / "vocoder", weights, card)
    (part / "notes.txt").unlink()
    (part / WEIGHTS).write_bytes(b"half")  # of a save that was killed
    save_model(tmp_path / "vocoder", weights, card)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".vocoder.lock", "vocoder"]


def test_a_voice_loads_from_a_folder_and_saves_what_it_speaks(tmp_path: Path) -> None:
    voice = Voice.load(MODELS / "format-4")
    speech = voice.speak("Three. Nine, at 7:45!")
    assert speech.spoken_text == "Three. Nine, at seven forty five"
    assert torch.equal(speech.wave, voice.speak("Three. Nine, at 7:45!").wave)
    assert not torch.equal(speech.wave, voice.speak("Three. Nine, at 7:45!", seed=2).wave)
    speech.save(tmp_path / "a.wav")
    with wave.open(str(tmp_path / "a.wav")) as file:
        assert (file.getframerate(), file.getnframes()) == (speech.sampling_rate, len(speech.wave))
    sidecar = json.loads((tmp_path / "a.json").read_text())
    assert sidecar["text"] == "Three. Nine, at 7:45!"
    assert sidecar["voice"] == voice.fingerprint
    assert [phrase["spoken_text"] for phrase in sidecar["phrases"]] == ["Three.", "Nine, at seven forty five"]


def test_importing_dtc_imports_no_torch() -> None:
    code = "import sys, dtc; assert 'torch' not in sys.modules; from dtc import Voice; assert 'dtc.training' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
    with pytest.raises(AttributeError, match="no attribute 'Noise'"):
        dtc.Noise  # noqa: B018
