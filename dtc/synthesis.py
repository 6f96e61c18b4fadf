"""Text → waveform: an acoustic model and a vocoder that agree on the mel."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from dtc.acoustic import AcousticConfig, build_acoustic
from dtc.acoustic.model import AcousticModel
from dtc.audio import AudioConfig, require_same_audio
from dtc.config import Section, parse_section
from dtc.errors import InputError
from dtc.provenance import fingerprint
from dtc.text import spoken_words
from dtc.text.symbols import text_to_ids, unknown_symbols
from dtc.training.checkpoint import CARD, ModelCard, read_model
from dtc.vocoder import Vocoder, VocoderConfig, build_vocoder

TEXTS_PER_BATCH = 16


@dataclass(frozen=True)
class Speech:
    """One text, spoken."""

    raw_text: str
    spoken_text: str
    wave: Float[Tensor, " samples"]
    mel: Float[Tensor, "mels frames"]  # natural log
    alignment: Float[Tensor, "steps symbols"]
    status: str  # `stopped` by the gate, or `hit_cap`: cut off at the most frames that its text may take


class Voice:
    """A trained acoustic model with the vocoder that goes with it."""

    def __init__(
        self, acoustic: AcousticModel, acoustic_card: ModelCard, vocoder: Vocoder, vocoder_card: ModelCard
    ) -> None:
        require_same_audio(acoustic_card.audio, "acoustic model", vocoder_card.audio, "vocoder")
        self.acoustic, self.vocoder = acoustic.eval(), vocoder.eval()
        self.acoustic_card, self.vocoder_card = acoustic_card, vocoder_card

    @property
    def audio(self) -> AudioConfig:
        """What a frame is, for both models."""
        return self.acoustic_card.audio

    @property
    def fingerprint(self) -> str:
        """Identity of the voice: both models."""
        return fingerprint("voice", self.acoustic_card.fingerprint, self.vocoder_card.fingerprint)

    def read(self, text: str, where: str = "text") -> str:
        """The words that will be spoken. Raises InputError for symbols that the voice was never taught."""
        alphabet, words = self.acoustic_card.alphabet, spoken_words(text, self.acoustic_card.text)
        # Of the mute marks in "forty-five" and "seven:forty-five p.m." a voice is given those that it was taught.
        mute = re.compile(r"-+|(?<=\w):(?=\w)")
        spoken = mute.sub(lambda mark: mark[0] if mark[0][0] in alphabet else " ", words)
        spoken = " ".join(spoken.split())
        text_to_ids(spoken, where)
        if unknown := unknown_symbols(spoken, alphabet):
            shown, known = " ".join(map(repr, unknown)), "".join(alphabet).strip()
            raise InputError(where, f"{shown} not in the voice's alphabet", f"only {known}", f"reads: {spoken}")
        return spoken

    @torch.inference_mode()
    def speak_words(self, raw_texts: Sequence[str], spoken_texts: Sequence[str], seed: int) -> list[Speech]:
        """Speak texts that are already in words, as `read` gives them.

        A text's result depends on (seed, text), and on the texts beside it by no more than rounding.
        """
        # Texts of similar length together: the shorter ones of a batch wait for the longest.
        order = sorted(range(len(spoken_texts)), key=lambda number: len(spoken_texts[number]))
        speeches: dict[int, Speech] = {}
        for first in range(0, len(order), TEXTS_PER_BATCH):
            numbers = order[first : first + TEXTS_PER_BATCH]
            ids = [torch.tensor(text_to_ids(spoken_texts[number])) for number in numbers]
            for number, said in zip(numbers, self.acoustic.infer(ids, seed), strict=True):
                wave = self.vocoder(said.mel[None])[0]
                speeches[number] = Speech(
                    raw_texts[number],
                    spoken_texts[number],
                    wave.cpu(),
                    said.mel.cpu(),
                    said.alignment.cpu(),
                    said.status,
                )
        return [speeches[number] for number in range(len(order))]

    @torch.inference_mode()
    def copy(self, mel: Float[Tensor, "mels frames"]) -> Float[Tensor, " samples"]:
        """A recording's mel through the vocoder: what the vocoder alone costs."""
        device = next(self.acoustic.parameters()).device
        return self.vocoder(mel[None].to(device))[0].cpu()


class _AcousticSection(Section):
    config: AcousticConfig


class _VocoderSection(Section):
    config: VocoderConfig


def load_voice(acoustic_folder: Path, vocoder_folder: Path, device: torch.device) -> Voice:
    """The two trained models of a project. Raises InputError where one is missing, changed, or made for another mel."""
    acoustic, acoustic_card = load_acoustic(acoustic_folder, device)
    vocoder, vocoder_card = load_vocoder(vocoder_folder, device)
    return Voice(acoustic, acoustic_card, vocoder, vocoder_card)


def load_acoustic(folder: Path, device: torch.device) -> tuple[AcousticModel, ModelCard]:
    """A trained acoustic model."""
    card, weights = read_model(folder, "acoustic")
    section = parse_section({"config": card.config}, _AcousticSection, str(folder / CARD))
    model = build_acoustic(section.config, card.audio, *card.statistics())
    model.step = card.steps
    model.load_state_dict(weights)
    return model.to(device).eval(), card


def load_vocoder(folder: Path, device: torch.device) -> tuple[Vocoder, ModelCard]:
    """A trained vocoder."""
    card, weights = read_model(folder, "vocoder")
    section = parse_section({"config": card.config}, _VocoderSection, str(folder / CARD))
    model = build_vocoder(section.config, card.audio, *card.statistics())
    model.load_state_dict(weights)
    return model.to(device).eval(), card
