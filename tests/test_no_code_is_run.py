"""Nothing that a person is given can run code: no reader of pickles in the source, and malicious files of every kind."""

import ast
import io
import json
import os
import pickle
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from stages.params_file import _Loader
from tests.conftest import REPOSITORY, Project

SOURCES = [path for room in ("dtc", "pipeline", "stages") for path in sorted((REPOSITORY / room).rglob("*.py"))]
# What runs code that its argument holds. `torch.load`, `yaml.load` and `np.load` are checked by their arguments.
DANGEROUS = {
    *("eval", "exec", "compile", "__import__", "os.system", "os.popen", "runpy.run_path", "tarfile.extractall"),
    *(
        f"{module}.{name}"
        for module in ("pickle", "marshal", "dill", "joblib", "cloudpickle")
        for name in ("load", "loads")
    ),
    *("pickle.Unpickler", "shelve.open", "pandas.read_pickle", "pd.read_pickle"),
    *("yaml.unsafe_load", "yaml.full_load", "yaml.load_all", "torch.hub.load", "torch.jit.load", "torch.package"),
}


def _calls(path: Path) -> Iterator[tuple[str, ast.Call]]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node


def _is_dangerous(name: str, call: ast.Call) -> bool:
    keywords = {keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords}
    if name == "torch.load":
        return keywords.get("weights_only") != "True"
    if name in ("np.load", "numpy.load"):
        return keywords.get("allow_pickle") != "False"
    if name == "yaml.load":  # ruamel's YAML() has a method of this name, which takes the text alone
        return bool(keywords) and keywords != {"Loader": "_Loader"}
    is_open_shell = keywords.get("shell", "False") != "False" or keywords.get("allow_pickle", "False") != "False"
    return name in DANGEROUS or name.endswith((".extractall", ".extract")) or is_open_shell


def test_the_source_has_no_reader_of_pickles_and_no_call_that_runs_a_text() -> None:
    found = [
        f"{path}:{call.lineno} {name}" for path in SOURCES for name, call in _calls(path) if _is_dangerous(name, call)
    ]
    assert found == []
    assert issubclass(_Loader, yaml.SafeLoader)


@pytest.mark.parametrize(
    "line",
    [
        "torch.load(f)",
        "torch.load(f, weights_only=False)",
        "pickle.loads(b)",
        "yaml.load(t, Loader=yaml.Loader)",
        "np.load(f)",
        "np.load(f, allow_pickle=True)",
        "tar.extractall(d)",
        "subprocess.run(t, shell=True)",
        "eval(t)",
    ],
)
def test_the_search_finds_what_it_looks_for(line: str) -> None:
    (call,) = (node for node in ast.walk(ast.parse(line)) if isinstance(node, ast.Call))
    assert _is_dangerous(ast.unparse(call.func), call)


class Harm:
    """An object whose pickle makes a folder when it is read."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.folder),)


@pytest.fixture
def harm(tmp_path: Path) -> Iterator[Path]:
    """The folder that a malicious file tries to make. It is not there at the end of the test."""
    folder = tmp_path / "harm"
    yield folder
    assert not folder.exists()


def test_a_pickle_would_do_harm(tmp_path: Path) -> None:
    pickle.loads(pickle.dumps(Harm(tmp_path / "harm")))
    assert (tmp_path / "harm").is_dir()


def _checkpoint(harm: Path) -> bytes:
    stream = io.BytesIO()
    torch.save({"iteration": 1, "state_dict": {"a": torch.zeros(1)}, "model": Harm(harm), "split": "train"}, stream)
    return stream.getvalue()


@pytest.mark.parametrize("write", [_checkpoint, lambda harm: pickle.dumps(Harm(harm))], ids=["torch.save", "pickle"])
def test_a_malicious_checkpoint(project: Project, harm: Path, write: Callable[[Path], bytes]) -> None:
    for name in ("file.pt", "file.safetensors", "models/acoustic/model.safetensors"):
        path = project.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(write(harm))
    (project.root / "models/vocoder").mkdir()
    (project.root / "models/acoustic/config.json").write_text("{}")
    for command in (
        ("import", "nvidia-tacotron2", "file.pt", "--out", "imported"),
        ("import", "nvidia-waveglow", "file.pt", "--out", "imported"),
        ("import", "nvidia-tacotron2", "file.safetensors", "--out", "imported"),
        ("debug-batch", "file.pt"),
        ("say", "hello"),
        ("export", "onnx", "voice.onnx", "--voice"),
    ):
        project.run(*command, code=2)
    assert not (project.root / "imported").exists()


@pytest.mark.parametrize("name", ["train.pt", "train.npz"])
def test_a_malicious_set_of_tensors(project: Project, harm: Path, name: str) -> None:
    folder = project.root / "converted"
    folder.mkdir()
    np.savez(folder / "arrays.npz", mel=np.array([Harm(harm)], dtype=object), allow_pickle=True)
    content = _checkpoint(harm) if name.endswith(".pt") else (folder / "arrays.npz").read_bytes()
    (folder / "arrays.npz").unlink()
    for split in ("train", "validation", "test"):
        (folder / name.replace("train", split)).write_bytes(content)
    project.write_params({"corpus.source": str(folder), "corpus.format": "tensor_mel"})
    project.run("download", code=2)


@pytest.mark.parametrize(
    "tag", ["!!python/object/apply:os.mkdir", "!!python/object/new:os.mkdir", "!!python/name:os.mkdir"]
)
def test_malicious_yaml(project: Project, harm: Path, tag: str) -> None:
    content = f"corpus: {tag} ['{harm}']\n"
    for name in ("params.yaml", "config.yaml"):
        (project.root / name).write_text(content)
    project.run("params", code=2)
    project.run("download", code=2)
    project.run("migrate", "config.yaml", "--output", "migrated.yaml", code=2)
    (project.root / "hparams.json").write_text(content)
    project.run("import", "nvidia-tacotron2", "params.yaml", "--hparams", "hparams.json", code=2)


def _member(name: str, kind: bytes = tarfile.REGTYPE, target: str = "") -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.type, made.linkname = kind, target
    return made


@pytest.mark.parametrize(
    "member",
    [
        _member("../harm/metadata.csv"),
        _member("corpus/../../harm/a.wav"),
        _member("corpus/wavs/a.wav", tarfile.SYMTYPE, "/etc/passwd"),
        _member("corpus/wavs/a.wav", tarfile.LNKTYPE, "../../etc/passwd"),
        _member("corpus/wavs/a.wav", tarfile.CHRTYPE),
        _member("corpus/wavs/a.wav", tarfile.FIFOTYPE),
    ],
    ids=lambda member: f"{member.name} {member.type.decode()}",
)
def test_a_malicious_archive(project: Project, harm: Path, member: tarfile.TarInfo) -> None:
    before = project.contents(".")
    for extra, code in (((), 0), ((member,), 2)):
        with tarfile.open(project.root / "data.tar", "w") as tar:
            tar.add(project.corpus, "corpus")
            for each in extra:
                tar.addfile(each)
        project.run("corpus", "check", "data.tar", "--params", "params.yaml", code=code)
    assert project.contents(".").keys() - before.keys() == {"data.tar"}, "nothing is unpacked"


def test_a_malicious_zip(project: Project, harm: Path) -> None:
    with zipfile.ZipFile(project.root / "data.zip", "w") as archive:
        archive.writestr("../harm/metadata.csv", "a|a|a\n")
        archive.writestr("/tmp/harm-of-dtc/a.wav", b"RIFF")
    project.run("corpus", "check", "data.zip", "--params", "params.yaml", code=2)
    assert not Path("/tmp/harm-of-dtc").exists()


def test_malicious_texts_are_texts(project: Project, harm: Path) -> None:
    """Commands of a shell, of templates, of formulas and of pages in the texts of a corpus, and in names of files."""
    texts = [
        f"$(mkdir {harm}) `mkdir {harm}`; mkdir {harm} | mkdir {harm}",
        "{{ cycler.__init__.__globals__.os.system('mkdir " + str(harm) + "') }} {% raw %} ${7*7}",
        "<script>alert(1)</script> \"onload='x'",
        f"__import__('os').mkdir('{harm}') %s %n {{0.__class__}}",
        "=cmd|' /C mkdir harm'!A0",
    ]
    rows = (project.corpus / "metadata.csv").read_text(encoding="utf-8").splitlines()
    names = [row.partition("|")[0] for row in rows]
    rows[: len(texts)] = [f"{name}|{text.replace('|', ' ')}|call one" for name, text in zip(names, texts, strict=False)]
    (project.corpus / "metadata.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    project.run("download")
    project.run("verify")
    project.run("preprocess")
    manifest = [json.loads(line) for line in Path("data/manifest.jsonl").read_text(encoding="utf-8").splitlines()]
    assert texts[2] in {row["raw_text"] for row in manifest}
