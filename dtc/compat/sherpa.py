"""Export of a voice for sherpa-onnx, which runs on phones and small computers, as a model of its kind VITS.

sherpa-onnx makes symbol ids of a text by tokens.txt, which has a symbol and its id in each line: letter by letter, or
for a voice with a lexicon word by word by lexicon.txt. It does not read numbers or abbreviations.
Source of the format: offline-tts-vits-model.cc, offline-tts-character-frontend.cc and lexicon.cc of k2-fsa/sherpa-onnx.
"""

from __future__ import annotations

from pathlib import Path

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from dtc.compat.formats import Exported, Format
from dtc.compat.one_text import CLOSING_MARKS, EXAMPLE_IDS, OneText, with_marks_at_words
from dtc.compat.onnx import onnx_model
from dtc.compat.onnx_voice import characters_of, metadata_of, onnx_voice
from dtc.model_card import ModelCard
from dtc.text.cmudict import cmudict
from dtc.text.symbols import ID_OF
from dtc.vocoder.onnx_graph import OnnxGraph
from dtc.voice import Voice

MODEL, TOKENS, LEXICON = "model.onnx", "tokens.txt", "lexicon.txt"


class SherpaVoice(nn.Module):
    """A voice with the inputs and the output that sherpa-onnx expects of a VITS; it does not use those of noise."""

    def __init__(self, voice: OneText, reads_words: bool) -> None:
        super().__init__()
        self.voice, self.reads_words = voice, reads_words

    def forward(
        self,
        x: Int[Tensor, "one symbols"],
        x_length: Int[Tensor, " one"],
        noise_scale: Float[Tensor, " one"],
        length_scale: Float[Tensor, " one"],
        noise_scale_w: Float[Tensor, " one"],
    ) -> Float[Tensor, "one one samples"]:
        """Return the waveform of one text."""
        # sherpa-onnx puts a space after each word that it finds in the lexicon, also before a mark.
        symbol_ids = with_marks_at_words(x[0]) if self.reads_words else x[0]
        return self.voice(symbol_ids, length_scale[0])[None, None]


def write_sherpa(folder: Path) -> Exported:
    """Return the voice in a folder as the files of sherpa-onnx. Raises InputError as `Voice.load` and `onnx_voice`."""
    voice = Voice.load(folder)
    card, reads_words = voice.acoustic_card, voice.acoustic_card.lexicon is not None
    number, names = torch.ones(1), ("noise_scale", "length_scale", "noise_scale_w")
    graph = OnnxGraph(
        SherpaVoice(OneText(onnx_voice(voice, folder)), reads_words),
        {"x": (1, "symbols"), "x_length": (1,), **dict.fromkeys(names, (1,))},
        (EXAMPLE_IDS, torch.tensor([EXAMPLE_IDS.shape[1]]), number, number, number),
        {"y": (1, 1, "samples")},
    )
    characters = characters_of(voice)
    metadata = metadata_of(voice)
    model = onnx_model(graph, metadata | _metadata(voice, characters, reads_words))
    files = {MODEL: model, TOKENS: _lines(_tokens(card, characters))}
    notes = [f"{TOKENS}: {len(card.alphabet)} symbols; sherpa-onnx leaves out all other characters", metadata["text"]]
    if reads_words:
        files[LEXICON] = _lines(_words(card))
        notes.append(f"words that are not in {LEXICON} are left out by sherpa-onnx: add a line for each")
    return Exported(files, card, {}, tuple(notes))


def _metadata(voice: Voice, characters: dict[str, int], reads_words: bool) -> dict[str, str]:
    return {
        "model_type": "vits",
        "comment": "dtc",
        "language": "English",
        "sample_rate": str(voice.audio.sampling_rate),
        "n_speakers": "1",
        "add_blank": "0",  # no symbol between the others
        "use_eos_bos": "0",  # no symbol before and after a sentence
        "frontend": "" if reads_words else "characters",
        "punctuation": " ".join(mark for mark in CLOSING_MARKS if mark in characters),
    }


def _tokens(card: ModelCard, characters: dict[str, int]) -> dict[str, int]:
    """Return the symbols of a voice by their names in tokens.txt, and their ids; phonemes have no @ there."""
    return characters | {symbol[1:]: ID_OF[symbol] for symbol in card.alphabet if symbol not in characters}


def _words(card: ModelCard) -> dict[str, str]:
    """Return the words of the user's lexicon and of CMUdict whose phonemes the voice was trained on."""
    assert card.lexicon
    known = {symbol[1:] for symbol in card.alphabet if len(symbol) > 1}
    words = cmudict() | card.lexicon.words
    return {word: phonemes for word, phonemes in words.items() if known.issuperset(phonemes.split())}


def _lines(values: dict[str, int] | dict[str, str]) -> bytes:
    return "".join(f"{key} {value}\n" for key, value in values.items()).encode()


FORMAT = Format(kind=None, suffixes=(), read=None, write=write_sherpa, files=(MODEL, TOKENS, LEXICON))
