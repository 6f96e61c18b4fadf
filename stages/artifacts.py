"""Read the files of a project, from the corpus to a WAV, for what they say of their origin, and check their bytes.

Every reader takes a file as it is: a damaged one gives an artifact with faults, not an error. No torch is imported.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import get_args

import yaml

from dtc.credentials import EXTRA, verify_credentials
from dtc.errors import InputError, install_hint
from dtc.made_by import MadeBy
from dtc.model_card import CARD, WEIGHTS, ModelKind, read_card
from dtc.provenance import md5_of, sha256_of
from dtc.seal import check_seal
from dtc.wav_mark import read_mark
from pipeline.shards import CLIPS, INDEX, read_index
from stages.paths import VOICE_CARD

CORPUS, MANIFEST, FEATURES, PREDICTED = "corpus", "manifest", "features", "predicted mels"
ACOUSTIC, VOCODER = "acoustic", "vocoder"
ORDER = (CORPUS, MANIFEST, FEATURES, ACOUSTIC, PREDICTED, VOCODER)
CHANGED = "{} was changed since it was written"
EXPECTED = "a WAV or its sidecar, a model, features or a shard, a report, VOICE.md, a manifest, data/archive's file"
# The names that WAV files, their sidecars and reports have for what they were made from.
ORIGINS = {"corpus_md5": CORPUS, "manifest_md5": MANIFEST, "features": FEATURES, ACOUSTIC: ACOUSTIC, VOCODER: VOCODER}
ORIGIN_IN_PAGE = re.compile(r'<meta name="dtc-origin-(\w+)" content="([^"]*)">')


@dataclass(frozen=True)
class Artifact:
    """A file or folder of a project, and what it says of its origin.

    Args:
        name: what it is, a name of ORDER where others are made from it.
        path: the file or folder.
        fingerprint: its own identity; "" where nothing is made from it, or it cannot be read.
        made_from: name → fingerprint of what it was made from.
        faults: which bytes are not as they were written.
        notes: further facts, such as the code and the environment.
    """

    name: str
    path: Path
    fingerprint: str = ""
    made_from: Mapping[str, str] = field(default_factory=dict)
    faults: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def read_archive(path: Path) -> Artifact:
    """Return the archive of a corpus, by its MD5."""
    return Artifact(CORPUS, path, md5_of(path))


def read_manifest_file(path: Path) -> Artifact:
    """Return a manifest, by its MD5. It does not name its archive; the features name both."""
    return Artifact(MANIFEST, path, md5_of(path))


def read_features(folder: Path, shard: str | None = None) -> Artifact:
    """Return a folder of features, with the checksums of its files compared: of all, or of one shard."""
    name = FEATURES
    try:
        index = read_index(folder)
        faults = _seal_faults(folder / INDEX, has_seal=bool(index.seal))
        sums = {each.file: each.md5 for each in index.shards}
        if shard is not None and shard not in sums:
            faults += (f"{folder / shard} is no shard of {folder / INDEX}",)
        checked = {shard: sums.get(shard, "")} if shard else {CLIPS: index.clips_md5, **sums}
        faults += tuple(fault for file, md5 in checked.items() if (fault := _sum_fault(folder / file, md5)))
    except InputError as error:
        return Artifact(name, folder, faults=(str(error),))
    made_from = {CORPUS: index.corpus_md5, MANIFEST: index.manifest_md5 or ""}
    if index.predicted:
        name, predicted = PREDICTED, {FEATURES: index.predicted.features, ACOUSTIC: index.predicted.acoustic}
        made_from |= predicted
    path = folder / shard if shard else folder
    return Artifact(name, path, index.fingerprint, made_from, faults, _made_by(index.made_by))


def read_model_folder(folder: Path) -> Artifact:
    """Return a model folder, with the seal of its card and the checksum of its weights compared."""
    try:
        card = read_card(folder, _kind_of(folder))
    except InputError as error:
        return Artifact(folder.name, folder, faults=(str(error),))
    faults = _seal_faults(folder / CARD, has_seal=bool(card.seal))
    if sha256_of(folder / WEIGHTS) != card.weights:
        faults = (*faults, CHANGED.format(folder / WEIGHTS))
    made_from = {CORPUS: card.corpus, MANIFEST: card.manifest, FEATURES: card.features}
    made_from |= {PREDICTED: card.aligned, ACOUSTIC: card.aligned_by}
    start = (f"training began with the weights of {card.started_from}",) if card.started_from else ()
    return Artifact(card.kind, folder, card.fingerprint, made_from, faults, _made_by(card.made_by) + start)


def _kind_of(folder: Path) -> ModelKind:
    """Return the kind that a model's card names; that of the folder's name where it names none."""
    try:
        named = json.loads((folder / CARD).read_text(encoding="utf-8"))["kind"]
    except (OSError, ValueError, TypeError, KeyError):
        named = folder.name
    return VOCODER if named == VOCODER else ACOUSTIC  # type: ignore[return-value]


def read_wav(path: Path) -> Artifact:
    """Return a WAV file, by its mark, and by the sidecar beside it where there is one.

    Raises InputError where neither tells that a voice made it.
    """
    content = path.read_bytes()
    try:
        mark = read_mark(content)
    except ValueError as error:
        raise InputError(path, str(error), "a WAV file that dtc wrote") from None
    sidecar = path.with_suffix(".json")
    beside = _read_json(sidecar)
    if not mark.synthetic and "wav_sha256" not in beside:
        found = "has no mark of synthetic speech, and no sidecar"
        raise InputError(path, found, "a WAV file that dtc wrote", "the mark may have been removed")
    faults: tuple[str, ...] = (CHANGED.format(path),) if mark.synthetic and mark.seal != "intact" else ()
    notes: tuple[str, ...] = (f"marked as synthetic speech by {mark.software}",) if mark.synthetic else ()
    if "wav_sha256" in beside:
        faults += _seal_faults(sidecar, has_seal="seal" in beside)
        if beside["wav_sha256"] != sha256_of(path):
            faults += (f"{path} is not the file that {sidecar} was written for",)
    if mark.has_credentials:
        credentials, broken = _check_credentials(path, content)
        faults, notes = faults + broken, (*notes, credentials)
    return Artifact("WAV", path, "", _origin(mark.origin or beside), faults, notes)


def _check_credentials(path: Path, content: bytes) -> tuple[str, tuple[str, ...]]:
    """Return what the content credentials of a WAV file say, and a fault where they do not fit its bytes."""
    try:
        found = verify_credentials(content)
    except ModuleNotFoundError:
        return f"has content credentials, which were not verified: {install_hint(EXTRA)}", ()
    types = ", ".join(name.rpartition("/")[2] for name in found.source_types)
    broken = (f"{path} does not fit its content credentials",) if found.state == "Invalid" else ()
    return f"content credentials: {found.state}, signed by {found.signer}: {types}", broken


def read_sidecar(path: Path) -> Artifact:
    """Return the sidecar of a WAV file. Raises InputError for any other JSON file."""
    tree = _read_json(path)
    if "wav_sha256" not in tree:
        raise InputError(path, "is no file of which dtc knows the origin", EXPECTED)
    return Artifact("sidecar", path, "", _origin(tree), _seal_faults(path, has_seal="seal" in tree))


def read_page(path: Path) -> Artifact:
    """Return the page of a report. Raises InputError for any other page."""
    content = path.read_text(encoding="utf-8", errors="replace")
    origin = {name: html.unescape(value) for name, value in ORIGIN_IN_PAGE.findall(content)}
    if not origin:
        raise InputError(path, "is no page of `dtc report`, or of an older version", EXPECTED)
    return Artifact("report", path, "", _origin(origin), _seal_faults(path, has_seal=True))


def read_voice_card(path: Path) -> Artifact:
    """Return the card of a voice. Raises InputError for any other Markdown file."""
    _, _, rest = path.read_text(encoding="utf-8", errors="replace").partition("---\n")
    try:
        origin = dict(yaml.safe_load(rest.partition("---\n")[0])["dtc"])
    except (yaml.YAMLError, TypeError, KeyError, ValueError):
        raise InputError(path, "is no card of a voice, or was changed", EXPECTED) from None
    return Artifact("card", path, "", _origin(origin), _seal_faults(path, has_seal=True))


def _origin(named: Mapping[str, object]) -> dict[str, str]:
    return {name: str(named[key]) for key, name in ORIGINS.items() if key in named}


def _seal_faults(path: Path, has_seal: bool) -> tuple[str, ...]:
    """Return a fault where the seal of a file is broken, also where it cannot be found any more."""
    intact = check_seal(path.read_bytes()) == "intact" or not has_seal
    return () if intact else (CHANGED.format(path),)


def _sum_fault(path: Path, md5: str) -> str:
    if not path.is_file():
        return f"{path} is missing"
    return "" if md5_of(path) == md5 else CHANGED.format(path)


def _made_by(made_by: MadeBy | None) -> tuple[str, ...]:
    if made_by is None:
        return ()
    facts = {"code": made_by.code, **made_by.environment}
    return (f"made by {', '.join(f'{name} {value}' for name, value in facts.items())}",)


def _read_json(path: Path) -> dict[str, object]:
    try:
        tree = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return tree if isinstance(tree, dict) else {}


def is_model(folder: Path) -> bool:
    """Return whether a folder has the files of a model."""
    return (folder / CARD).is_file() or (folder / WEIGHTS).is_file()


def models_of_voice(folder: Path) -> list[Path]:
    """Return the model folders inside the folder of a voice, and its card."""
    models = [folder / kind for kind in get_args(ModelKind) if is_model(folder / kind)]
    return [*models, *(path for path in [folder / VOICE_CARD.name] if models and path.is_file())]
