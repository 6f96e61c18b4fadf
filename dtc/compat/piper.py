"""Export of a voice for Piper's runtime, as a voice with `phoneme_type: text`: its characters are its phonemes.

Piper gives the network the ids of `^`, then of each character and of `_` after it, then of `$`. It does not read
numbers or abbreviations. Source of the format: config.py and phoneme_ids.py of OHF-Voice/piper1-gpl.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from dtc.compat.formats import Exported, Format
from dtc.compat.one_text import EXAMPLE_IDS, OneText
from dtc.compat.onnx import onnx_model
from dtc.compat.onnx_voice import characters_of, metadata_of, onnx_voice
from dtc.errors import InputError
from dtc.text.symbols import ID_OF, PADDING, SYMBOLS
from dtc.vocoder.onnx_graph import OnnxGraph
from dtc.voice import Voice

MODEL, CONFIG = "voice.onnx", "voice.onnx.json"
PAD, BEGINNING, END = "_", "^", "$"


class PiperVoice(nn.Module):
    """A voice with the inputs and the output that Piper expects; of the scales, it uses that of the durations."""

    def __init__(self, voice: OneText) -> None:
        super().__init__()
        self.voice = voice

    def forward(
        self, input: Int[Tensor, "one symbols"], input_lengths: Int[Tensor, " one"], scales: Float[Tensor, " three"]
    ) -> Float[Tensor, "one one one samples"]:
        """Return the waveform of one text."""
        return self.voice(input[0], scales[1])[None, None, None]


def write_piper(folder: Path) -> Exported:
    """Return the voice in a folder as the files of Piper.

    Raises InputError as `Voice.load` and `onnx_voice`, and for a voice that reads phonemes, which Piper does not make
    of a text without espeak.
    """
    voice = Voice.load(folder)
    if voice.acoustic_card.lexicon:
        remedy = "export it by `dtc export sherpa`, which writes its lexicon too"
        raise InputError(folder, "a voice that reads phonemes", "one with text.phonemes: none", remedy)
    graph = OnnxGraph(
        PiperVoice(OneText(onnx_voice(voice, folder))),
        {"input": (1, "symbols"), "input_lengths": (1,), "scales": (3,)},
        (EXAMPLE_IDS, torch.tensor([EXAMPLE_IDS.shape[1]]), torch.ones(3)),
        {"output": (1, 1, 1, "samples")},
    )
    metadata = metadata_of(voice)
    files = {MODEL: onnx_model(graph, metadata), CONFIG: json.dumps(_config(voice), indent=2).encode() + b"\n"}
    return Exported(files, voice.acoustic_card, {}, (metadata["text"],))


def _config(voice: Voice) -> dict[str, Any]:
    # All that Piper adds is padding, which the network removes. It does not make small letters of capitals.
    added = dict.fromkeys((PAD, BEGINNING, END), ID_OF[PADDING])
    characters = characters_of(voice)
    capitals = {symbol.upper(): number for symbol, number in characters.items()}
    return {
        "audio": {"sample_rate": voice.audio.sampling_rate},
        "espeak": {"voice": "en-us"},  # not used, but Piper asks for it
        "phoneme_type": "text",
        "phoneme_id_map": {symbol: [number] for symbol, number in (added | capitals | characters).items()},
        "num_symbols": len(SYMBOLS),
        "num_speakers": 1,
        "speaker_id_map": {},
        "inference": {"noise_scale": 0.0, "length_scale": 1.0, "noise_w": 0.0},
        "hop_length": voice.audio.hop_length,
    }


FORMAT = Format(kind=None, suffixes=(), read=None, write=write_piper, files=(MODEL, CONFIG))
