"""`dtc corpus check SOURCE`: whether recordings are ready to train on, and what is to be mended."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

import numpy as np
from rich.console import Console

from dtc.decoding import decode
from dtc.errors import InputError
from pipeline.audit import Audit, audit, members_of
from pipeline.bounds import KINDS
from pipeline.corpora.listing import is_audio
from stages.params import Params, load_params
from stages.summary import summarise
from stages.verify import FAULTS_SHOWN, clip_counter

PRESET = Path(__file__).parent / "presets/numbers.yaml"
CLIPS_ASKED = 100  # for their sampling rate, before all are read
LONG_SILENCE_S = 0.3  # at both ends of the median clip together: more is worth trimming
TRIM_DB = -40.0
# What mends all faults of a kind at once.
MENDED_BY = {"sampling_rate": "recording.resample: true", "channels": "recording.channels: left, right or mean"}
ENOUGH = (
    "Users of Tacotron 2 report 10 to 20 hours and more for a new voice that reads any text; "
    "a narrow domain, or a published voice trained further, gets by with less."
)


def check(source: Path, file: Path | None, console: Console) -> None:
    """Audit `source` as `dtc verify` would, write nothing, and raise InputError where it is not ready.

    The settings are those of `file`; where it is None, those of the smallest preset at the corpus's own sampling rate.
    """
    if not source.exists():
        raise InputError(source, "no such file or folder", "a folder of recordings, or an archive of one")
    with clip_counter("check", console) as advance:
        params, found = _audit(source.resolve(), file, advance)
    settings = file or f"the preset numbers at {params.audio.sampling_rate} Hz, the rate of most of its clips"
    _print(console, f"{source}, checked by {settings}\n")
    if (measured := found.facts["samples"] > 0).any():
        summarise(found, measured).show(console)
    for line in _faults(found):
        console.print(
            _as_path(line, source), highlight=False, soft_wrap=True
        )  # as files' names are searched and copied
    for line in [*_mended_at_once(found, params), *_worth_knowing(found)]:
        _print(console, f"• {line}")
    refused = [fault for fault in found.faults if fault.kind == "corpus" or params.audit.faulty_clips == "refuse"]
    if refused or not found.rows:
        faults = len(found.faults)
        clips = len(found.names) if any(fault.kind == "corpus" for fault in found.faults) else found.faulty
        raise InputError(source, f"{faults} {_plural('fault', faults)} in {clips} {_plural('clip', clips)}: not ready")
    _print(console, "ready to train")


def _audit(source: Path, file: Path | None, advance: Callable[[str], None]) -> tuple[Params, Audit]:
    """The settings, and what the audit found by them."""
    params = load_params(file) if file else _at_rate(load_params(PRESET), _first_rates(source))
    found = _audit_by(source, params, advance)
    rates = Counter(found.facts["source_sampling_rate"][found.facts["samples"] > 0].tolist())
    commonest = _at_rate(params, rates)
    if file is None and commonest != params:  # the first clips were no fair sample
        return commonest, _audit_by(source, commonest, advance)
    return params, found


def _audit_by(source: Path, params: Params, advance: Callable[[str], None]) -> Audit:
    return audit(source, params.corpus, params.recording, params.audit, params.audio, params.text, advance)


def _first_rates(source: Path) -> Counter[int]:
    """Sampling rates of the first clips: to read all of them first would double the wait."""
    rates = Counter[int]()
    clips = (member for member in members_of(source) if is_audio(member.name))
    for clip in islice(clips, CLIPS_ASKED):
        with contextlib.suppress(InputError):  # which the audit will name
            rates[decode(clip.content, clip.name)[1]] += 1
    return rates


def _at_rate(params: Params, rates: Counter[int]) -> Params:
    """The settings at the commonest of some rates. mel_fmax may be too high for it: no mel is computed."""
    if not rates:
        return params
    audio = params.audio.model_copy(update={"sampling_rate": rates.most_common(1)[0][0]})
    return params.model_copy(update={"audio": audio})


def _faults(found: Audit) -> Iterator[str]:
    """Of each kind as many as make twenty in all, and at least one."""
    by_kind = {kind: [fault for fault in found.faults if fault.kind == kind] for kind in KINDS}
    sizes = [len(faults) for faults in by_kind.values()]
    shown = max(n for n in range(1, FAULTS_SHOWN + 1) if n == 1 or sum(min(n, size) for size in sizes) <= FAULTS_SHOWN)
    for kind, faults in by_kind.items():
        if faults:
            yield f"{kind}: {KINDS[kind]}"
        yield from (f"  {fault.error}" for fault in faults[:shown])
        if len(faults) > shown:
            yield f"  … and {len(faults) - shown:,} more"
    if found.faults:
        yield ""


def _mended_at_once(found: Audit, params: Params) -> Iterator[str]:
    """What in params.yaml would do away with many faults."""
    for kind, setting in MENDED_BY.items():
        if count := sum(fault.kind == kind for fault in found.faults):
            yield f"{setting} in params.yaml mends the {count:,} {_plural('fault', count)} of kind {kind}"
    if found.faults and found.rows and params.audit.faulty_clips == "refuse":
        left = f"{len(found.rows):,} of {len(found.names):,} clips, {_hours(found)}"
        yield f"audit.faulty_clips: skip leaves out what has faults and trains on the rest: {left}"


def _worth_knowing(found: Audit) -> Iterator[str]:
    """What is no fault, and yet what a voice may suffer from."""
    facts = found.facts[found.facts["samples"] > 0]
    if len(set(facts["source_sampling_rate"].tolist())) > 1:
        yield "several sampling rates: often several sources, which a voice may not sound alike in"
    if len(facts):
        leading_s, trailing_s = float(np.median(facts["leading_s"])), float(np.median(facts["trailing_s"]))
        if leading_s + trailing_s > LONG_SILENCE_S:
            ends = f"half of the clips have {leading_s:.2f} s or more of silence before and {trailing_s:.2f} s after"
            yield f"{ends} the speech: recording.trim_silence_db: {TRIM_DB} in params.yaml cuts it to 0.05 s"
    yield f"{_hours(found)} without faults. {ENOUGH}"


def _hours(found: Audit) -> str:
    """Of the clips without faults."""
    seconds = float(found.facts["duration_s"][found.kept].sum())
    return f"{seconds / 3600:.1f} hours" if seconds >= 3600 else f"{seconds / 60:.1f} minutes"


def _as_path(line: str, source: Path) -> str:
    """A folder's members as paths: `voice:voice/wavs/a.wav` is `path/to/voice/wavs/a.wav`."""
    name = source.resolve().name
    return line.replace(f"{name}:{name}/", f"{source}/") if source.is_dir() else line


def _plural(noun: str, count: int) -> str:
    return noun if count == 1 else noun + "s"


def _print(console: Console, line: str) -> None:
    console.print(line, highlight=False)
