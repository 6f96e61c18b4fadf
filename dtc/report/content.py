"""The content of the report's page, as `dtc evaluate` saves it and `dtc report` reads it.

A folder holds it: report.json has the texts, figures and paths of sounds, figures.safetensors the arrays of the
pictures. Equal evaluations give equal bytes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
from pydantic import TypeAdapter, ValidationError
from safetensors import SafetensorError
from safetensors.numpy import load_file, save

from dtc.errors import InputError
from dtc.evaluation.word_errors import word_errors
from dtc.files import write_whole

REPORT, PICTURES = "report.json", "figures.safetensors"
# The arrays of a clip, which are named `ID/NAME`: log mels (mels, frames), and weights (steps, symbols).
RECORDED_MEL, PREDICTED_MEL, ALIGNMENT = "recorded_mel", "predicted_mel", "alignment"


@dataclass(frozen=True)
class Rendition:
    """The sound of an utterance, and its recognised words."""

    sound: Path  # a WAV file, marked where it is synthetic
    recognised: str | None = None  # None where there was no recogniser


@dataclass(frozen=True)
class ReportClip:
    """One utterance of the test. Its mels are drawn where the pictures have both."""

    id: str  # unique in the report
    raw_text: str
    spoken_text: str  # with which the recognised words are compared
    synthesis: Rendition  # by the voice; its word errors rank the clip
    recording: Rendition | None = None
    copy_synthesis: Rendition | None = None  # the vocoder's waveform of the recording's mel
    status: str = ""  # in words
    ended: bool = True  # the synthesis has the whole text and was ended by the model; otherwise the clip is a failure
    symbols: Sequence[str] | None = None  # of the alignment
    seconds_per_step: float | None = None  # of the alignment

    @property
    def word_errors(self) -> int:
        """Return the number of word errors of the synthesis; 0 where there was no recogniser."""
        recognised = self.synthesis.recognised
        return 0 if recognised is None else word_errors([self.spoken_text], [recognised]).errors

    @property
    def failed(self) -> bool:
        """Return whether there is a word error or the synthesis is incomplete."""
        return self.word_errors > 0 or not self.ended

    @property
    def renditions(self) -> dict[str, Rendition]:
        """Return the waveforms by name, the recording first."""
        named = {"recording": self.recording, "copy synthesis": self.copy_synthesis, "synthesis": self.synthesis}
        return {name: rendition for name, rendition in named.items() if rendition is not None}


@dataclass(frozen=True)
class ComparisonRow:
    """One kind of waveform and its metrics over the whole test, keyed as in `METRICS`."""

    name: str
    metrics: Mapping[str, float]
    note: str = ""


@dataclass(frozen=True)
class Report:
    """The content of the page. Rates and shares are fractions: 0.05 is shown as 5.0 %."""

    title: str  # the voice's name
    summary: str  # one sentence on the test
    sampling_rate: int  # of every sound, in Hz
    hop_length: int  # samples from one mel frame to the next
    metrics: Mapping[str, float]  # those in `METRICS` get a tile, others a line in the table of other figures
    comparison: Sequence[ComparisonRow] = ()  # word errors of each kind of waveform
    copies: Sequence[ComparisonRow] = ()  # measures of each vocoder's copies, and of the recordings themselves
    warnings: Sequence[str] = ()  # clauses, without which the figures must not be read
    clips: Sequence[ReportClip] = ()  # all utterances, in any order; the page sorts failures first
    other_texts: Sequence[ReportClip] = ()  # texts that the corpus does not have, without recordings
    curves: Mapping[str, Path] = field(default_factory=dict)  # name of a model → CSV, which may be missing
    kept: Mapping[str, str] = field(default_factory=dict)  # name of a model → which of its weights these are, and why
    provenance: Mapping[str, str] = field(default_factory=dict)  # name → fingerprint, from the corpus to the voice
    origin: Mapping[str, str] = field(default_factory=dict)  # the same by the names that WAV files have for it
    made_with: Mapping[str, str] = field(default_factory=dict)  # software → version
    params_yaml: str = ""
    commands: Mapping[str, str] = field(default_factory=dict)  # caption → command line


def save_report(report: Report, pictures: Mapping[str, np.ndarray], folder: Path) -> None:
    """Write what the page shows into a folder. A kill leaves each file as it was, or whole."""
    arrays = {name: np.ascontiguousarray(array) for name, array in pictures.items()}  # save would reorder others
    write_whole(folder / PICTURES, save(arrays))
    write_whole(folder / REPORT, json.dumps(asdict(report), default=str, indent=1) + "\n")


def read_report(folder: Path) -> tuple[Report, dict[str, np.ndarray]]:
    """Return what `save_report` wrote. Raises InputError where it is missing, damaged or of another version."""
    path, remedy = folder / REPORT, "run `dtc evaluate`"
    if not path.is_file() or not (folder / PICTURES).is_file():
        raise InputError(folder, "holds no evaluation", f"{REPORT} and {PICTURES}", remedy)
    try:
        report = TypeAdapter(Report).validate_python(json.loads(path.read_text(encoding="utf-8")))
        pictures = load_file(folder / PICTURES)
    except ValidationError as error:
        first = error.errors()[0]
        found = f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
        raise InputError(path, found, "what this version of dtc writes", remedy) from None
    except (ValueError, SafetensorError) as error:
        raise InputError(folder, f"cannot be read ({error})", "what `dtc evaluate` wrote", remedy) from None
    for clip in (*report.clips, *report.other_texts):
        for rendition in clip.renditions.values():
            if not rendition.sound.is_file():
                raise InputError(rendition.sound, "no such file", remedy=remedy)
    return report, pictures
