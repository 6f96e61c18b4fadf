"""A corpus format from outside the package: one value and one line, and every stage accepts it."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePosixPath

import pytest

from dtc.errors import InputError
from dtc.registry import Part
from pipeline.corpora import FORMATS
from pipeline.corpora.base import Finder, ListedFormat, ListedRow
from pipeline.manifest import read_manifest
from stages import paths
from tests.conftest import WORDS, Project, add_part


def parse_labels(lines: Mapping[str, str]) -> Iterator[ListedRow]:
    """One line a clip: `FILE "text"`."""
    for where, line in lines.items():
        name, _, text = line.partition(" ")
        if not text.startswith('"'):
            yield ListedRow(where, name, fault=InputError(where, "no text in quotation marks"))
        else:
            yield ListedRow(where, name, PurePosixPath(name).stem, text.strip('"'))


def find_by_name(clips: Sequence[str]) -> Finder:
    return lambda clip, listing: [member for member in clips if PurePosixPath(member).name == clip]


LABELS = ListedFormat(
    files="*.lab",
    expected="labels: *.lab with lines FILE text",
    only_one=False,
    is_listing=lambda member: member.endswith(".lab"),
    looks_right=lambda content: True,
    parse=parse_labels,
    call_clip="{}",
    make_finder=find_by_name,
)


@pytest.fixture
def labels(monkeypatch: pytest.MonkeyPatch) -> None:
    add_part(monkeypatch, FORMATS, "labels", Part(LABELS))


@pytest.mark.parametrize("format", ["labels", "auto"])
def test_a_format_of_somebody_else_is_used_by_every_stage(project: Project, labels: None, format: str) -> None:
    (project.corpus / "metadata.csv").unlink()
    lines = [f'clip-{number:03d}.wav "call {WORDS[number % 10]}"\n' for number in range(12)]
    (project.corpus / "all.lab").write_text("".join(lines))
    project.write_params({"corpus.format": format})
    assert project.run("corpus", "check", "recordings").splitlines()[-1].startswith("ready to train")
    for stage in ("download", "verify", "preprocess"):
        project.run(stage)
    assert [row.spoken_text for row in read_manifest(paths.MANIFEST)][:2] == ["call one", "call two"]
    (project.corpus / "all.lab").write_text("".join([*lines[:-1], "clip-011.wav call one\n"]))
    project.run("download")
    assert project.run("verify", code=2) == "tones.tar:recordings/all.lab:12: no text in quotation marks"


def test_a_format_that_nobody_registered_is_refused_with_the_nearest(project: Project) -> None:
    project.write_params({"corpus.format": "ljspech"})
    assert project.run("download", code=2) == (
        "params.yaml: corpus.format: found 'ljspech', expected one of auto, ljspeech, jsonl, filelist, tensor_mel; "
        "did you mean ljspeech?"
    )
