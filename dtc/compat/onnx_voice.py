"""Export of a whole voice to ONNX: symbol ids → waveform as one network, for any number and length of texts."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from dtc.acoustic.parallel import Parallel
from dtc.batch import mask_of
from dtc.compat.formats import Exported, Format
from dtc.compat.onnx import axes_of, onnx_model
from dtc.errors import InputError
from dtc.text.symbols import CHARACTERS, ID_OF
from dtc.vocoder.onnx_graph import OnnxGraph
from dtc.vocoder.vocos import OnnxVocos, Vocos
from dtc.voice import Voice

TEXT = {
    "english": "spoken English: numbers, dates and abbreviations in words, as `dtc say` reads a text",
    "none": "the text as it stands",
}
PHONEMES = "a word is its phonemes in CMUdict without stress (@HH and so on), without spaces between them"


class OnnxVoice(nn.Module):
    """A parallel model and Vocos as one network."""

    def __init__(self, acoustic: Parallel, vocoder: Vocos) -> None:
        super().__init__()
        self.acoustic, self.vocoder = acoustic, OnnxVocos(vocoder)

    def forward(
        self, symbol_ids: Int[Tensor, "batch symbols"], lengths: Int[Tensor, " batch"], pace: Float[Tensor, ""]
    ) -> tuple[Float[Tensor, "batch samples"], Int[Tensor, " batch"]]:
        """Return the waveforms of padded texts, and their lengths in samples; beyond a length there is silence."""
        mel, frame_lengths, _ = self.acoustic.synthesise(symbol_ids, lengths, pace)
        waves = self.vocoder(mel, mask_of(frame_lengths, mel.shape[2]))
        wave_lengths = frame_lengths * self.acoustic.audio.hop_length
        return waves * mask_of(wave_lengths, waves.shape[1]), wave_lengths


def onnx_voice(voice: Voice, where: object) -> OnnxVoice:
    """Return the network of a voice. Raises InputError, naming `where`, unless its models are Parallel and Vocos."""
    if isinstance(voice.acoustic, Parallel) and isinstance(voice.vocoder, Vocos):
        return OnnxVoice(voice.acoustic, voice.vocoder)
    found = " and ".join(str(card.config["model"]) for card in (voice.acoustic_card, voice.vocoder_card))
    remedy = "`dtc export onnx FILE` without --voice writes the vocoder alone, vocos or waveglow"
    raise InputError(where, f"a voice of {found}", "one of parallel and vocos", remedy)


def metadata_of(voice: Voice) -> dict[str, str]:
    """Return what a program needs to know to use the network of a voice."""
    card = voice.acoustic_card
    text = "; ".join(
        [
            f"Each text is a sentence of {TEXT[card.text.normaliser]}",
            *([PHONEMES] if card.lexicon else []),
            "in small letters, with one space between words and none around the text; only these symbols",
        ]
    )
    return {
        "symbols": json.dumps({symbol: ID_OF[symbol] for symbol in card.alphabet}),
        "sampling_rate": str(voice.audio.sampling_rate),
        "text": text,
        "pace": "Factor of all durations, above 1 is slower",
        "voice": voice.fingerprint,
    }


def characters_of(voice: Voice) -> dict[str, int]:
    """Return the letters and marks that a voice was trained on, and their ids."""
    return {symbol: ID_OF[symbol] for symbol in voice.acoustic_card.alphabet if symbol in CHARACTERS}


def write_voice(folder: Path) -> Exported:
    """Return the voice in a folder as an ONNX file. Raises InputError as `Voice.load` and `onnx_voice`."""
    voice = Voice.load(folder)
    graph = OnnxGraph(
        onnx_voice(voice, folder),
        {"symbol_ids": ("batch", "symbols"), "lengths": ("batch",), "pace": ()},
        (torch.full((2, 5), ID_OF["a"]), torch.tensor([5, 3]), torch.tensor(1.0)),
        {"wave": ("batch", "samples"), "wave_lengths": ("batch",)},
    )
    metadata = metadata_of(voice)
    content = onnx_model(graph, metadata)
    return Exported(content, voice.acoustic_card, {}, (*axes_of(graph), f"{metadata['text']}: in the file's metadata"))


FORMAT = Format(kind=None, suffixes=(".onnx",), read=None, write=write_voice)
