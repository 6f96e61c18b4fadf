"""`dtc corpus check SOURCE`: check whether recordings are ready to train on, and print how to mend their faults."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

import numpy as np
from rich.console import Console

from dtc.config import parse_section
from dtc.errors import InputError, plural
from dtc.files import local_path
from dtc.text.lexicon import Lexicon
from pipeline.archive_members import FETCH_AGAIN
from pipeline.archives import read_members, top_name
from pipeline.corpora import CorpusConfig
from pipeline.corpora.base import is_audio
from pipeline.decoding import decode
from pipeline.split import assign_splits, describe_unknown_ids, require_every_split
from pipeline.verify import CorpusFindings, CorpusSettings, verify_corpus
from stages import paths
from stages.corpus_summary import name_faults, summarise
from stages.params import Params, load_params
from stages.params_file import read_yaml
from stages.progress import counted_clips

SECTIONS = ("corpus", "recording", "verify", "audio", "text", "split")
PRESET = Path(__file__).parent / "presets/numbers.yaml"
CLIPS_READ_FIRST = 100  # to learn their sampling rate, before all are read
LONG_SILENCE_S = 0.3  # at both ends of the median clip together: more is worth trimming
TRIM_DB = -40.0
WORDS_SHOWN = 50  # that are in no lexicon
# The setting that mends all faults of a kind at once.
MENDED_BY = {"sampling_rate": "recording.resample: true", "channels": "recording.channels: left, right or mean"}
LITTLE_S = 3600.0  # less is worth a remark; the preset voice was tried with a quarter of that
ENOUGH = (
    "A quarter of an hour gives the preset voice a voice of which about nine of ten words in new sentences are "
    "understood. Tacotron 2 is usually trained on 10 hours and more, unless all texts are of one kind."
)
OWN_FILE = "name a folder of recordings, or an archive of one; if it is one, make or fetch it again"


def check(source: Path, file: Path | None, console: Console, format: str | None = None) -> None:
    """Check `source` as `dtc verify` would, write nothing, and raise InputError where it is not ready.

    The settings are those of `file`; where it is None, those of the smallest preset at the corpus's own sampling rate.
    `format` is used instead of their corpus.format.
    """
    if not source.exists():
        raise InputError(source, "no such file or folder", "a folder of recordings, or an archive of one")
    if file and source.is_dir():
        paths.require_apart(str(source))
    named = source.resolve() if source.name in ("", "..") else source
    with counted_clips("check", console) as advance, _own_file():
        params, found = _verify(named, file, format, advance)
    settings = file or f"the preset numbers at {params.audio.sampling_rate} Hz, the rate of most of its clips"
    console.print(f"{source}, checked by {settings}\n")
    measured = found.facts["samples"] > 0
    if not measured.all():
        console.print(f"{plural(len(measured), 'clip')}, of which {measured.sum():,} can be measured:\n")
    if measured.any():
        summarise(found, measured).show(console)
    for line in [*name_faults(found.faults), *[""] * bool(found.faults)]:
        # Without line breaks, as names of files are searched and copied.
        console.print(_as_path(line, named, source), soft_wrap=True)
    for line in [*_mended_at_once(found, params), *_worth_knowing(found, params)]:
        console.print(f"• {line}")
    refused = [fault for fault in found.faults if fault.kind == "corpus" or params.verify.faulty_clips == "refuse"]
    if refused or not found.rows:
        faults, clips = plural(len(found.faults), "fault"), plural(found.clips, "clip")
        raise InputError(source, f"{faults}, {len(found.rows):,} of {clips} without faults: not ready")
    unsplit = ", once the section split is changed" * (_fault_of_split(found, params) is not None)
    console.print("ready to train" + f", but on little: {_hours(found)} of speech" * _is_little(found) + unsplit)


def params_of(source: Path) -> Path | None:
    """Return params.yaml of the working folder where its corpus is `source`, else None."""
    with contextlib.suppress(ValueError, RuntimeError, KeyError, TypeError, OSError):  # no such file, or not params
        named = local_path(str(read_yaml(paths.PARAMS)["corpus"]["source"]))  # type: ignore[index]
        return paths.PARAMS if named and named.resolve() == source.resolve() else None
    return None


@contextlib.contextmanager
def _own_file() -> Iterator[None]:
    """Replace the remedy of faults that are mended by `dtc download` elsewhere: the file checked here is the user's."""
    try:
        yield
    except InputError as error:
        remedy = OWN_FILE if error.remedy == FETCH_AGAIN else error.remedy
        raise InputError(error.where, error.found, error.expected, remedy) from None


def _verify(
    source: Path, file: Path | None, format: str | None, advance: Callable[[str], None]
) -> tuple[Params, CorpusFindings]:
    """Return the settings, and what verifying found with them."""
    params = load_params(file or PRESET, *SECTIONS)
    if format:
        corpus = parse_section(params.corpus.model_dump() | {"format": format}, CorpusConfig, "--format")
        params = params.model_copy(update={"corpus": corpus})
    if file is None:
        params = _at_rate(params, _first_rates(source))
    found = verify_corpus(source, CorpusSettings.of(params), advance)
    rates = Counter(found.facts["source_sampling_rate"][found.facts["samples"] > 0].tolist())
    commonest = _at_rate(params, rates)
    if file is None and commonest != params:  # most clips have another rate than the first ones
        return commonest, verify_corpus(source, CorpusSettings.of(commonest), advance)
    return params, found


def _first_rates(source: Path) -> Counter[int]:
    """Count the sampling rates of the first clips: to read all of them first would double the time."""
    rates = Counter[int]()
    for clip in islice(read_members(source, is_audio), CLIPS_READ_FIRST):
        with contextlib.suppress(InputError):  # which `dtc verify` will name
            rates[decode(clip.content, clip.name)[1]] += 1
    return rates


def _at_rate(params: Params, rates: Counter[int]) -> Params:
    """Return the settings at the commonest of some rates. mel_fmax may be too high for it, as no mel is computed."""
    if not rates:
        return params
    audio = params.audio.model_copy(update={"sampling_rate": rates.most_common(1)[0][0]})
    return params.model_copy(update={"audio": audio})


def _mended_at_once(found: CorpusFindings, params: Params) -> Iterator[str]:
    """Yield the settings of params.yaml that would mend many faults."""
    for kind, setting in MENDED_BY.items():
        if count := sum(fault.kind == kind for fault in found.faults):
            yield f"{setting} in params.yaml mends the {plural(count, 'fault')} of kind {kind}"
    if found.faults and found.rows and params.verify.faulty_clips == "refuse":
        left = f"{len(found.rows):,} of {plural(found.clips, 'clip')}, {_hours(found)}"
        yield f"verify.faulty_clips: skip leaves out what has faults and trains on the rest: {left}"


def _worth_knowing(found: CorpusFindings, params: Params) -> Iterator[str]:
    """Yield facts that are not faults but may make a voice worse."""
    facts = found.facts[found.facts["samples"] > 0]
    if len(set(facts["source_sampling_rate"].tolist())) > 1:
        yield "several sampling rates: often of several sources, between which the sound of a voice differs"
    if len(facts):
        leading_s, trailing_s = float(np.median(facts["leading_s"])), float(np.median(facts["trailing_s"]))
        if leading_s + trailing_s > LONG_SILENCE_S:
            ends = f"half of the clips have {leading_s:.2f} s or more of silence before and {trailing_s:.2f} s after"
            yield f"{ends} the speech: recording.trim_silence_db: {TRIM_DB} in params.yaml cuts it to 0.05 s"
    if found.rows and (fault := _fault_of_split(found, params)):
        yield f"by these settings `dtc preprocess` will refuse them: {fault}"
    elif found.rows and (unknown := describe_unknown_ids([row.id for row in found.rows], params.split)):
        yield unknown
    yield from _unknown_words(found, params)
    yield f"{_hours(found)} without faults." + f" {ENOUGH}" * _is_little(found)


def _unknown_words(found: CorpusFindings, params: Params) -> Iterator[str]:
    """Yield a line about the words of the texts that are in no lexicon, the most frequent first, where one is used."""
    lexicon = Lexicon(params.text.read_lexicon())
    unknown = Counter(word for row in found.rows for word in lexicon.unknown_words(row.spoken_text))
    if unknown:
        shown = ", ".join(word for word, _ in unknown.most_common(WORDS_SHOWN))
        more = f" and {len(unknown) - WORDS_SHOWN:,} more" * (len(unknown) > WORDS_SHOWN)
        words, them = plural(len(unknown), "word"), "it" if len(unknown) == 1 else "them"
        yield f"{words} in no lexicon, learned by letters; add {them} to {params.text.lexicon}: {shown}{more}"


def _fault_of_split(found: CorpusFindings, params: Params) -> InputError | None:
    try:
        require_every_split(assign_splits([row.id for row in found.rows], params.split), params.split)
    except InputError as fault:
        return fault
    return None


def _is_little(found: CorpusFindings) -> bool:
    return found.seconds < LITTLE_S


def _hours(found: CorpusFindings) -> str:
    seconds = found.seconds
    return f"{seconds / 3600:.1f} hours" if seconds >= 3600 else f"{seconds / 60:.1f} minutes"


def _as_path(line: str, named: Path, source: Path) -> str:
    """Write a folder's members as paths: `voice:voice/wavs/a.wav` as `path/to/voice/wavs/a.wav`."""
    return line.replace(f"{named.name}:{top_name(named)}/", f"{source}/") if source.is_dir() else line
