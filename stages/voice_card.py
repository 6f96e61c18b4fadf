"""VOICE.md in the folder of a voice: what it is, whose, how good, and how to make it again.

The front matter is what model hubs read (https://huggingface.co/docs/hub/model-cards); its key `dtc` has the
fingerprints, by which `dtc provenance` verifies the card.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from dtc.model_card import ModelCard
from dtc.report.metric_names import METRICS
from dtc.seal import UNSEALED, sealed
from dtc.voice import Voice
from dtc.wav_mark import SOURCE_TYPE, version_of_dtc
from pipeline.shards import ShardIndex
from pipeline.split import SPLITS
from stages.evaluation_results import Evaluation

LICENCE_NAME = r"[a-z0-9][a-z0-9.+-]*"  # as model hubs have them: apache-2.0, cc-by-4.0
UNKNOWN = "unknown"
INTRODUCTION = f"""Synthetic speech from English text, by two models that `dtc` trained. Every WAV file that the voice
makes is marked as synthetic (ISFT and ICMT in RIFF LIST/INFO, {SOURCE_TYPE})."""


@dataclass(frozen=True)
class Rights:
    """What params.yaml says of the recordings: their licence, and the speaker's permission; None: unknown."""

    licence: str | None
    consent: str | None


def make_voice_card(found: Evaluation, voice: Voice, index: ShardIndex, rights: Rights) -> bytes:
    """Return the content of VOICE.md, sealed. Equal voices with equal figures give equal cards."""
    cards = {"acoustic model": voice.acoustic_card, "vocoder": voice.vocoder_card}
    front = yaml.safe_dump(_front_matter(voice, rights), sort_keys=False, allow_unicode=True)
    sections = {
        f"The voice of {index.corpus}": INTRODUCTION,
        "Recordings": _table(("", ""), _recordings(index, rights)),
        "Models": _table(("", "model", "steps", "weights kept"), _models(cards)),
        "Figures": _figures(found),
        "Fingerprints": _table(("made from", "fingerprint"), list(voice.origin.items())),
        "Use": _code("pip install dueling-turing-classifier", 'dtc say --models . "…"', "dtc provenance VOICE.md"),
        "Make it again": "In a clone of the project, at the revision that has this voice in its `dvc.lock`:\n\n"
        + _code("dvc repro", "dtc reproduce    # the same in a temporary folder, compared with dvc.lock"),
    }
    title, *others = sections
    text = f"---\n{front}---\n\n# {title}\n\n{sections[title]}\n"
    text += "".join(f"\n## {name}\n\n{sections[name].rstrip()}\n" for name in others)
    return sealed(text.encode())


def _front_matter(voice: Voice, rights: Rights) -> dict[str, Any]:
    licence = rights.licence or UNKNOWN
    is_name = re.fullmatch(LICENCE_NAME, licence)
    named = {"license": licence} if is_name else {"license": "other", "license_name": licence}
    models = [voice.acoustic_card.config["model"], voice.vocoder_card.config["model"]]
    return {
        **named,
        "language": ["en"],
        "pipeline_tag": "text-to-speech",
        "library_name": "dtc",
        "tags": ["text-to-speech", "synthetic-speech", *map(str, models)],
        "dtc": {"version": version_of_dtc(), **voice.origin, "seal": UNSEALED},
    }


def _recordings(index: ShardIndex, rights: Rights) -> list[tuple[str, str]]:
    hours = {split: f"{index.minutes_of(split) / 60:.2f} h ({index.clips_of(split)} clips)" for split in SPLITS}
    audio = index.audio
    return [
        ("corpus", f"{index.corpus}, archive with MD5 {index.corpus_md5}"),
        ("speech", ", ".join(f"{split} {length}" for split, length in hours.items())),
        ("licence of the recordings", rights.licence or UNKNOWN),
        ("permission of the speaker", rights.consent or UNKNOWN),
        ("sampling rate", f"{audio.sampling_rate} Hz, mel of {audio.n_mel_channels} bands"),
    ]


def _models(cards: Mapping[str, ModelCard]) -> list[tuple[str, ...]]:
    return [(name, str(card.config["model"]), str(card.steps), card.kept or "the last") for name, card in cards.items()]


def _figures(found: Evaluation) -> str:
    rows = [
        (metric.label, f"{metric.write(found.metrics[name])} {metric.unit}", metric.meaning)
        for name, metric in METRICS.items()
        if name in found.metrics
    ]
    intro = f"Of {len(found.trials)} texts that were not used in training; see `dtc evaluate`."
    warnings = "".join(f"\n- {warning}" for warning in found.warnings)
    return f"{intro}\n\n{_table(('', '', ''), rows)}{warnings}"


def _table(header: tuple[str, ...], rows: list[Any]) -> str:
    lines = [header, tuple("---" for _ in header), *rows]
    return "".join("| " + " | ".join(map(_cell, line)) + " |\n" for line in lines)


def _cell(text: str) -> str:
    """Return a text of any length in one line, as a cell of a table must be."""
    return " ".join(text.split()).replace("|", "\\|")


def _code(*lines: str) -> str:
    return "".join(f"    {line}\n" for line in lines)
