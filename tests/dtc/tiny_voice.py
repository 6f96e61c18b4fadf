"""A voice of two untrained models, and an acoustic model that computes what a test tells it to."""

from collections.abc import Sequence
from pathlib import Path

import torch
import yaml

from dtc.acoustic import ACOUSTIC_MODELS
from dtc.acoustic.base import InferenceOptions, Utterance
from dtc.acoustic.configs import AcousticSection, Tacotron2Config
from dtc.acoustic.utterance_status import Status
from dtc.audio_config import AudioConfig
from dtc.model_card import ModelCard
from dtc.model_folder import save_model, statistics_of
from dtc.pauses import leading_silence_s
from dtc.seeding import seed_all
from dtc.speech import Speech
from dtc.synthesis_config import DEFAULT_SYNTHESIS
from dtc.text.symbols import SYMBOLS, TextConfig
from dtc.vocoder import VOCODERS
from dtc.vocoder.configs import VocosConfig
from dtc.voice import Voice

SMOKE = yaml.safe_load((Path(__file__).parents[2] / "stages/presets/smoke.yaml").read_text())
TACOTRON2 = Tacotron2Config.model_validate(SMOKE["acoustic"])
ALPHABET = " '" + "abcdefghilnoprstuvwxyz"  # no j, k, m, q
ONCE = DEFAULT_SYNTHESIS.model_copy(update={"attempts": 1})


def save_voice(folder: Path, acoustic_config: AcousticSection = TACOTRON2, **audio_of_vocoder: int) -> None:
    """Both models with random weights, as a training would leave them."""
    audio = AudioConfig.model_validate(SMOKE["audio"])
    mels = dict(mel_mean=(-5.0,) * 80, mel_deviation=(2.0,) * 80)
    facts = dict(
        training={},
        text=TextConfig(symbols="nvidia", normaliser="english"),
        alphabet=tuple(ALPHABET),
        corpus="0" * 32,
        features="f" * 16,
        steps=0,
        **mels,
    )
    seed_all("voice")
    acoustic = ModelCard(kind="acoustic", config=acoustic_config.model_dump(mode="json"), audio=audio, **facts)
    model = ACOUSTIC_MODELS.build(acoustic_config, audio, statistics_of(acoustic))
    save_model(folder / "acoustic", model.state_dict(), acoustic)
    other = AudioConfig.model_validate(SMOKE["audio"] | audio_of_vocoder)
    vocoder = ModelCard(kind="vocoder", config=SMOKE["vocoder"], audio=other, **facts)
    vocos = VOCODERS.build(VocosConfig.model_validate(SMOKE["vocoder"]), other, statistics_of(vocoder))
    save_model(folder / "vocoder", vocos.state_dict(), vocoder)


def silence_s(voice: Voice, wave: torch.Tensor) -> float:
    return leading_silence_s(wave, voice.audio)


def speak(voice: Voice, texts: list[str], seed: int = 1, **config: float) -> list[Speech]:
    spoken = [voice.read(text, f"text {n}") for n, text in enumerate(texts, start=1)]
    return voice.speak_words(texts, spoken, seed, ONCE.model_copy(update=config))


class Told(torch.nn.Module):
    """An acoustic model whose attempts at a text end as they are told to; by itself it would end well."""

    def __init__(self, told: dict[str, list[Status]]) -> None:
        super().__init__()
        self.longest_phrase = 160
        self.told, self.seeds = told, dict[str, list[int]]()
        self.attends, self.paces = True, list[float]()
        self.weight = torch.nn.Parameter(torch.zeros(1))

    def infer(self, texts: Sequence[torch.Tensor], seed: int, options: InferenceOptions) -> list[Utterance]:
        self.paces.append(options.pace)
        return [self.utter("".join(SYMBOLS[number] for number in text.tolist()), seed) for text in texts]

    def utter(self, text: str, seed: int) -> Utterance:
        self.seeds.setdefault(text, []).append(seed)
        attempt = len(self.seeds[text])
        status = self.told.get(text, [])[attempt - 1 : attempt] or ["ended"]
        # The attempt can be told from the mel.
        return Utterance(torch.full((80, 2 * len(text)), -float(attempt)), torch.eye(len(text)), status[0])


def tell(voice: Voice, told: dict[str, list[Status]]) -> tuple[Voice, Told]:
    acoustic = Told(told)
    voice.acoustic = acoustic  # type: ignore[assignment]
    return voice, acoustic
