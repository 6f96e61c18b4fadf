"""`dtc provenance`: the chain from a WAV to the corpus, and the byte that was changed in it."""

import json
import shutil
from pathlib import Path

import pytest

from dtc.model_card import read_card
from dtc.seal import UNSEALED, seal_in, sealed
from pipeline.shards import read_index
from stages import paths
from tests.conftest import REPOSITORY, Project

NAMES = ["corpus", "manifest", "features", "acoustic", "vocoder"]


@pytest.fixture(scope="module")
def spoken(voice: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the voice's project with a spoken text."""
    root = tmp_path_factory.mktemp("spoken") / "project"
    shutil.copytree(voice, root)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        Project(root, root).run("say", "call one", "--device", "cpu")
    return root


@pytest.fixture
def project(spoken: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    shutil.copytree(spoken, tmp_path / "project")
    monkeypatch.chdir(tmp_path / "project")
    return Project(tmp_path / "project", tmp_path / "project/recordings")


WAV, SIDECAR = "spoken/001-call-one.wav", "spoken/001-call-one.json"


def states(printed: str) -> dict[str, str]:
    """Row → state, of the table."""
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in printed.splitlines() if line.startswith("│")]
    return {name: state for name, _, _, state in rows}


def flip(path: str | Path, place: int) -> None:
    content = bytearray(Path(path).read_bytes())
    content[place] ^= 1
    Path(path).write_bytes(content)


@pytest.mark.parametrize("columns", ["60", "160"])
def test_the_chain_of_a_wav_is_verified(project: Project, columns: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The fingerprints and paths are whole on a narrow terminal too."""
    monkeypatch.setenv("COLUMNS", columns)
    printed = project.run("provenance", WAV)
    if columns == "60":
        assert printed.count("\n  state        verified") == len([*NAMES, "WAV"])
    else:
        assert list(states(printed).items()) == [(name, "verified") for name in [*NAMES, "WAV"]]
    index, card = read_index(paths.FEATURES), read_card(paths.ACOUSTIC, "acoustic")
    for fingerprint in (index.corpus_md5, index.manifest_md5, index.fingerprint, card.fingerprint):
        assert f" {fingerprint} " in printed or f" {fingerprint}\n" in printed
    assert index.made_by
    assert index.made_by.params["split"]["seed"] == 1
    assert card.made_by
    assert f"acoustic: made by code {card.made_by.code}, torch" in printed
    assert "in no project" not in printed


@pytest.mark.parametrize(
    ("file", "links"),
    [
        (SIDECAR, [*NAMES, "sidecar"]),
        ("models/vocoder", ["corpus", "manifest", "features", "vocoder"]),
        ("models/acoustic/model.safetensors", ["corpus", "manifest", "features", "acoustic"]),
        ("data/features/index.json", ["corpus", "manifest", "features"]),
        ("data/features/train-00000.tar", ["corpus", "manifest", "features"]),
        ("data/manifest.jsonl", ["manifest"]),
        ("data/archive", ["corpus"]),
    ],
)
def test_the_chain_of_each_kind_of_file(project: Project, file: str, links: list[str]) -> None:
    file = str(paths.corpus_archive()) if file == "data/archive" else file
    assert list(states(project.run("provenance", file)).items()) == [(name, "verified") for name in links]


CHAIN = {
    WAV: (40, 100, 450, -1),
    SIDECAR: (5, -40),
    "models/acoustic/config.json": (0, 100, -40, -2),
    "models/acoustic/model.safetensors": (9, -1),
    "models/vocoder/config.json": (100, -85),  # -85: in the name of the seal
    "data/features/index.json": (50, -100, -1),
    "data/features/clips.jsonl": (0,),
    "data/features/train-00000.tar": (600, -1),
    "data/manifest.jsonl": (0, -1),
}


@pytest.mark.parametrize("file", CHAIN)
def test_a_byte_changed_anywhere_is_named(project: Project, file: str) -> None:
    for place in CHAIN[file]:
        flip(file, place)
        named = (file, str(Path(file).parent)) if file.startswith("models") or "index" in file else (file,)
        line = project.run("provenance", WAV, code=2)
        assert any(name in line for name in named), (place, line)
        flip(file, place)
    project.run("provenance", WAV)


def test_a_byte_changed_in_the_archive_is_named(project: Project) -> None:
    archive = paths.corpus_archive()
    flip(archive, 2000)
    assert f"{archive} is " in project.run("provenance", "models", code=2)
    assert f"but data/features was made from {read_index(paths.FEATURES).corpus_md5}" in project.run(
        "provenance", str(archive), code=2
    )


def test_a_file_that_was_changed_and_sealed_again_is_not_what_the_others_name(project: Project) -> None:
    card = paths.ACOUSTIC / "config.json"
    content = card.read_bytes().replace(b'"steps": ', b'"steps": 9')
    card.write_bytes(sealed(content.replace(seal_in(content).encode(), UNSEALED.encode())))
    line = project.run("provenance", WAV, code=2)
    assert f"models/acoustic is {read_card(paths.ACOUSTIC, 'acoustic').fingerprint}, but {WAV} was made from" in line


def test_a_wav_alone_tells_what_it_can(project: Project, tmp_path: Path) -> None:
    alone = tmp_path / "alone.wav"
    shutil.copy(WAV, alone)
    printed = project.run("provenance", str(alone))
    assert states(printed) == dict.fromkeys(NAMES, "not here") | {"WAV": "verified"}
    assert "in no project" in printed
    assert states(project.run("provenance", str(alone), "--project", "."))["corpus"] == "verified"
    flip(alone, -1)
    assert "alone.wav was changed since it was written" in project.run("provenance", str(alone), code=2)


def test_what_is_missing_is_not_here(project: Project) -> None:
    shutil.rmtree("data")
    printed = project.run("provenance", "models")
    assert states(printed) == {"corpus": "not here", "manifest": "not here", "features": "not here"} | dict.fromkeys(
        ("acoustic", "vocoder"), "verified"
    )


def test_models_of_another_corpus_are_no_fault(project: Project) -> None:
    shutil.copytree(REPOSITORY / "tests/models/format-4/vocoder", "models/other/vocoder")
    printed = project.run("provenance", "models/other/vocoder")
    assert states(printed) == {"corpus": "not here", "features": "not here", "vocoder": "verified"}


def test_other_files_are_refused(project: Project, make_sound: object) -> None:
    Path("recording.wav").write_bytes(make_sound())  # type: ignore[operator]
    Path("page.html").write_text("<p>mine</p>")
    Path("mine.json").write_text(json.dumps({"a": 1}))
    Path("odd.json").write_text(json.dumps({"wav_sha256": 1, "features": [1]}))
    for file, found in {
        "recording.wav": "has no mark of synthetic speech, and no sidecar",
        "page.html": "is no page of `dtc report`",
        "mine.json": "is no file of which dtc knows the origin",
        "odd.json": "but odd.json was made from [1]",
        "params.yaml": "is no file of which dtc knows the origin",
        "data": "is a folder of none of these",
        "nothing.wav": "no such file",
    }.items():
        assert found in project.run("provenance", file, code=2)
    assert "no folder nowhere" in project.run("provenance", WAV, "--project", "nowhere", code=2)
