from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from dtc.errors import InputError
from dtc.evaluation.speech_folder import (
    COPY,
    LISTS,
    RECORDING,
    SYNTHESIS,
    SpokenWaves,
    read_speech_folder,
    write_speech_folder,
)
from dtc.wav_mark import read_mark

SCP = Path("results/scp")
IDS = ("clip-001", "größe", "a b%20\tc[1:2]|")  # whitespace would end an ID in a list


@pytest.fixture
def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[SpokenWaves]:
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(1)
    texts = [
        SpokenWaves(
            id,
            f"call number {number}",
            {kind: torch.from_numpy(rng.uniform(-1, 1, 800).astype(np.float32)) for kind in (*LISTS, "griffin_lim")},
        )
        for number, id in enumerate(IDS)
    ]
    write_speech_folder(SCP, texts, 16_000, {"voice": "0123"})
    return texts


def test_the_folder_is_read_as_it_was_written(written: list[SpokenWaves]) -> None:
    found = read_speech_folder(SCP)
    assert [(each.id, each.text) for each in found] == [(each.id, each.text) for each in written]
    for ours, theirs in zip(written, found, strict=True):
        assert theirs.paths.keys() == {RECORDING, COPY, SYNTHESIS}
        for kind, path in theirs.paths.items():
            samples, rate = soundfile.read(path, dtype="float32")
            assert rate == 16_000
            assert soundfile.info(path).subtype == "PCM_16"
            assert np.abs(samples - ours.waves[kind].numpy()).max() < 2**-15
            mark = read_mark(path.read_bytes())
            assert mark.synthetic == (kind != RECORDING)
            assert mark.origin.get("voice", "") == ("" if kind == RECORDING else "0123")


def test_the_folder_of_another_project_has_its_own_files(
    written: list[SpokenWaves], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "other").mkdir()
    monkeypatch.chdir(tmp_path / "other")
    write_speech_folder(SCP, written[:2], 16_000, {})
    monkeypatch.chdir(tmp_path)
    found = read_speech_folder(Path("other/results/scp"))
    assert [each.paths[COPY].as_posix() for each in found] == [
        "other/results/scp/copy_synthesis/clip-001.wav",
        "other/results/scp/copy_synthesis/größe.wav",
    ]


def test_the_lists_are_those_of_kaldi(written: list[SpokenWaves]) -> None:
    assert (SCP / "pred.scp").read_text(encoding="utf-8").splitlines() == [
        "clip-001 results/scp/synthesis/clip-001.wav",
        "größe results/scp/synthesis/größe.wav",
        "a%20b%2520%09c%5B1%3A2%5D%7C results/scp/synthesis/a%20b%2520%09c%5B1%3A2%5D%7C.wav",
    ]
    assert (SCP / "text").read_text(encoding="utf-8").splitlines()[0] == "clip-001 call number 0"


def test_a_second_run_replaces_the_first_and_no_file_of_others(written: list[SpokenWaves]) -> None:
    write_speech_folder(SCP, written[:1], 16_000, {})
    assert sorted(path.name for path in SCP.rglob("*.wav")) == ["clip-001.wav"] * 3
    (SCP / "notes.txt").write_text("theirs")
    with pytest.raises(InputError, match=r"results/scp: holds what dtc did not write \(notes.txt\)"):
        write_speech_folder(SCP, written, 16_000, {})
    assert (SCP / "notes.txt").read_text() == "theirs"


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda: (SCP / "text").unlink(), "results/scp/text: no such file; run `dtc evaluate` first"),
        (lambda: (SCP / "text").write_text(""), "results/scp/text: is empty; run `dtc evaluate` first"),
        (lambda: (SCP / "gt.scp").unlink(), "results/scp/gt.scp: no such file; run `dtc evaluate` first"),
        (
            lambda: (SCP / "copy.scp").write_text("clip-001 x.wav\n"),
            "results/scp/copy.scp: other IDs than in text; run `dtc evaluate` first",
        ),
        (
            lambda: (SCP / "synthesis/clip-001.wav").unlink(),
            "results/scp/synthesis/clip-001.wav: no such file; run `dtc evaluate` first",
        ),
    ],
)
def test_a_folder_that_is_not_whole_is_refused(written: list[SpokenWaves], damage, message: str) -> None:
    damage()
    with pytest.raises(InputError) as refusal:
        read_speech_folder(SCP)
    assert str(refusal.value) == message
