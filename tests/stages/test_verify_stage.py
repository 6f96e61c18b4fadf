"""Test `dtc verify`: the manifest, the summary, and which faults are skipped or refused."""

import io
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console
from typer.testing import CliRunner

from dtc.errors import InputError
from dtc.provenance import sha256_of
from pipeline.corpora.base import Fault
from pipeline.limits import FACTS, KINDS
from pipeline.manifest import read_manifest
from pipeline.verify import CorpusFindings
from stages import corpus_summary, paths, progress, verify
from stages.cli import app
from tests.conftest import Project, sound_bytes

OUTPUTS = (paths.MANIFEST, paths.SKIPPED, paths.CORPUS_SUMMARY, paths.CORPUS_METRICS)


def test_a_whole_corpus(project: Project) -> None:
    project.run("download")
    printed = project.run("verify")
    assert printed.splitlines()[-1] == "verify: 12 clips in data/manifest.jsonl"
    assert len(list(read_manifest(paths.MANIFEST))) == 12
    assert paths.SKIPPED.read_text() == ""
    metrics = json.loads(paths.CORPUS_METRICS.read_text())
    # 0.25 s and multiples of 0.01 s up to 0.12; the texts have 12 to 16 characters.
    seconds = [0.25 + 0.01 * (number * 7 % 13) for number in range(12)]
    assert metrics == {
        "clips": 12,
        "skipped_clips": 0,
        "hours": round(sum(seconds) / 3600, 4),
        "minutes": round(sum(seconds) / 60, 2),
        "shortest_s": 0.25,
        "median_s": pytest.approx(np.median(seconds), abs=0.005),
        "longest_s": 0.37,
        "characters_per_s": pytest.approx(
            sum(len(row.spoken_text) for row in read_manifest(paths.MANIFEST)) / sum(seconds), abs=0.01
        ),
        "leading_silence_s": 0.0,
        "trailing_silence_s": 0.0,
    }
    page = paths.CORPUS_SUMMARY.read_text()
    assert page.startswith("# Corpus tones\n\n| clips | hours | shortest | median | longest | characters/s |")
    assert "\n| 12 | 0.00 | 0.25 s |" in page
    assert "\n| longest |  |\n| --- | --- |\n| clip-011 | 0.37 s |\n| clip-009 | 0.36 s |\n" in page
    titles = [block.split(" | ")[0] for block in page.split("\n\n")[1:]]
    assert titles == [
        f"| {title}" for title in ("clips", "durations", "longest", "shortest", "fastest", "slowest", "quietest")
    ]
    first = [path.read_bytes() for path in OUTPUTS]
    project.run("verify")
    assert [path.read_bytes() for path in OUTPUTS] == first


def damage(corpus: Path) -> None:
    (corpus / "wavs/clip-003.wav").write_bytes(sound_bytes(channels=2, sampling_rate=8000))
    (corpus / "wavs/clip-005.wav").write_bytes(b"no sound")
    (corpus / "wavs/stray.wav").write_bytes(sound_bytes(pitch_hz=999.0))
    lines = (corpus / "metadata.csv").read_text().splitlines()
    lines[7] = "clip-007|CALL|"
    (corpus / "metadata.csv").write_text("\n".join(lines))


def test_skipped_clips_are_listed_counted_and_left_out(project: Project) -> None:
    damage(project.corpus)
    project.write_params({"verify.faulty_clips": "skip"})
    project.run("download")
    printed = project.run("verify")
    assert printed.splitlines()[-1] == (
        "verify: 9 clips in data/manifest.jsonl; 4 left out (verify.faulty_clips: skip), "
        "5 faults listed in data/skipped.jsonl"
    )
    skipped = [json.loads(line) for line in paths.SKIPPED.read_text().splitlines()]
    assert [(fault["id"], fault["member"], fault["kind"]) for fault in skipped] == [
        ("clip-003", "recordings/wavs/clip-003.wav", "channels"),
        ("clip-003", "recordings/wavs/clip-003.wav", "sampling_rate"),
        ("clip-005", "recordings/wavs/clip-005.wav", "decode"),
        ("", "", "listing"),
        ("", "recordings/wavs/stray.wav", "stray"),
    ]
    assert skipped[1]["reason"] == (
        "tones.tar:recordings/wavs/clip-003.wav: 8000 Hz, expected 16000 Hz; "
        "convert it to 16000 Hz, which 11 of 12 clips have, or set recording.resample to true"
    )
    assert skipped[3]["reason"].startswith("tones.tar:recordings/metadata.csv:8: empty text of clip-007")
    kept = [row.id for row in read_manifest(paths.MANIFEST)]
    assert kept == [f"clip-{number:03d}" for number in (0, 1, 2, 4, 6, 8, 9, 10, 11)]
    metrics = json.loads(paths.CORPUS_METRICS.read_text())
    assert (metrics["clips"], metrics["skipped_clips"]) == (9, 4)
    page = paths.CORPUS_SUMMARY.read_text()
    assert "| channels | 1 | more than one channel |\n| sampling_rate | 1 | another sampling rate |\n" in page


def test_faults_are_refused_unless_they_are_to_be_skipped(project: Project) -> None:
    damage(project.corpus)
    project.run("download")
    result = CliRunner().invoke(app, ["verify"])
    assert result.exit_code == 2
    assert result.stderr.startswith("dtc: tones.tar:recordings/wavs/clip-003.wav: 2 channels, expected 1 (mono)")
    assert result.stderr.count("\n") == 1
    assert [line if line[0] != " " else line.split(": ")[0] for line in result.stdout.splitlines()] == [
        "listing: a row of the listing (1 fault)",
        "  tones.tar:recordings/metadata.csv:8",
        "stray: a clip without a row (1 fault)",
        "  tones.tar:recordings/wavs/stray.wav",
        "decode: a file that does not decode whole (1 fault)",
        "  tones.tar:recordings/wavs/clip-005.wav",
        "channels: more than one channel (1 fault)",
        "  tones.tar:recordings/wavs/clip-003.wav",
        "sampling_rate: another sampling rate (1 fault)",
        "  tones.tar:recordings/wavs/clip-003.wav",
    ]
    assert not [path for path in OUTPUTS if path.exists()]


def test_a_wrong_rate_is_named_a_few_times_and_counted(project: Project) -> None:
    """And the manifest of an earlier run, by other settings, does not stay."""
    project.run("download")
    project.run("verify")
    project.write_params({"audio.sampling_rate": 22050})
    result = CliRunner().invoke(app, ["verify"])
    lines = result.stdout.splitlines()
    assert lines[0] == "sampling_rate: another sampling rate (12 faults)"
    assert lines[1] == f"  {result.stderr.removeprefix('dtc: ').strip()}"
    assert (len(lines), lines[-1]) == (7, "  … and 7 more")
    assert not paths.MANIFEST.exists()


def test_a_row_without_a_clip_leaves_no_clip_out(project: Project) -> None:
    project.write_params({"verify.faulty_clips": "skip"})
    with (project.corpus / "metadata.csv").open("a") as metadata:
        metadata.write("clip-099|NINE|nine\n")
    project.run("download")
    assert project.run("verify").splitlines()[-1] == (
        "verify: 12 clips in data/manifest.jsonl; 0 left out (verify.faulty_clips: skip), "
        "1 fault listed in data/skipped.jsonl"
    )
    assert json.loads(paths.CORPUS_METRICS.read_text())["skipped_clips"] == 0


@pytest.mark.parametrize(
    ("listing", "line"),
    [
        (b"clip-000|A|caf\xe9\n", "tones.tar:recordings/metadata.csv:1: byte 14 is not UTF-8"),
        (b"clip-000|A|\n", "tones.tar:recordings/metadata.csv:1: empty text of clip-000"),
    ],
)
def test_faults_of_the_whole_corpus_are_never_skipped(project: Project, listing: bytes, line: str) -> None:
    """A listing that cannot be read, and a corpus of which nothing would be left."""
    project.write_params({"verify.faulty_clips": "skip"})
    (project.corpus / "metadata.csv").write_bytes(listing)
    project.run("download")
    assert project.run("verify", code=2).startswith(line)
    assert not [path for path in OUTPUTS if path.exists()]


def test_one_of_two_lists_that_cannot_be_read_is_never_skipped(project: Project) -> None:
    """Its clips would be left out without a word."""
    (project.corpus / "metadata.csv").unlink()
    rows = [f"wavs/clip-{number:03d}.wav|caf\u00e9 five\n" for number in range(12)]
    (project.corpus / "train.txt").write_text("".join(rows[:8]), encoding="utf-8")
    (project.corpus / "validation.txt").write_text("".join(rows[8:]), encoding="latin-1")
    project.write_params({"verify.faulty_clips": "skip"})
    project.run("download")
    assert project.run("verify", code=2).startswith("tones.tar:recordings/validation.txt:1: byte 21 is not UTF-8")
    (project.corpus / "validation.txt").write_text("".join(rows[8:]), encoding="utf-8")
    project.run("download")
    project.run("verify")
    assert len(list(read_manifest(paths.MANIFEST))) == 12


def test_a_wrong_sha_256(project: Project) -> None:
    project.run("download")
    found = sha256_of(Path("data/archive/tones.tar"))
    project.write_params({"corpus.sha256": "0" * 64})
    assert project.run("verify", code=2) == (
        f"data/archive/tones.tar: SHA-256 {found}, expected {'0' * 64}; run `dtc download` again, or set "
        "corpus.sha256 to null where it is unknown"
    )
    project.write_params({"corpus.sha256": found})
    project.run("verify")


def test_progress_in_plain_lines(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    project.run("download")
    assert "verify: 12 clips, " not in project.run("verify")
    monkeypatch.setattr(progress, "SECONDS_BETWEEN_LINES", -1.0)
    assert "\nverify: 12 clips, " in project.run("verify")


def test_less_than_one_clip_a_second_is_told_in_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter([0.0, 0.0, 8.0, 100.0])
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(times))
    screen = io.StringIO()
    with progress.computed_clips("preprocess", 20, Console(file=screen, width=100)) as advance:
        advance(2)
        advance(2)
    assert screen.getvalue() == "preprocess: 4 of 20 clips, 25 s each, 400 s left\n"


def test_progress_on_a_terminal() -> None:
    screen = io.StringIO()
    with progress.counted_clips("verify", Console(file=screen, force_terminal=True, width=100)) as advance:
        advance("voice/wavs/a.wav")
    assert "verify: 1 clip, " in screen.getvalue()
    assert "voice/wavs/a.wav" in screen.getvalue()


@pytest.mark.parametrize(
    ("seconds", "rows"),
    [
        ([1.5], [("1.5–1.6 s", "1")]),
        ([1.0, 1.04, 1.3], [("1–1.1 s", "2"), ("1.1–1.2 s", "0"), ("1.2–1.3 s", "0"), ("1.3–1.4 s", "1")]),
        (
            [0.9, 3.2, 3.9, 4.0],
            [
                ("0.5–1 s", "1"),
                ("1–1.5 s", "0"),
                ("1.5–2 s", "0"),
                ("2–2.5 s", "0"),
                ("2.5–3 s", "0"),
                ("3–3.5 s", "1"),
                ("3.5–4 s", "1"),
                ("4–4.5 s", "1"),
            ],
        ),
        ([10.0, 1e6], [("0–1e+06 s", "1"), ("1e+06–2e+06 s", "1")]),
    ],
)
def test_durations_are_counted_in_round_bins(seconds: list[float], rows: list[tuple[str, str]]) -> None:
    grid = corpus_summary.count_durations(np.array(seconds))
    assert [row[:2] for row in grid.rows] == rows
    assert max(row[2] for row in grid.rows) == "█" * 24
    assert all(bool(bar) == (count != "0") for _, count, bar in grid.rows)


@pytest.mark.parametrize("width", [100, 160])
def test_the_summary_fits_the_screen(width: int) -> None:
    generator = np.random.default_rng(0)
    facts = np.zeros(13100, FACTS)
    facts["source_sampling_rate"], facts["source_channels"] = 22050, 1
    for name in ("duration_s", "level_db", "leading_s", "clipped_share"):
        facts[name] = generator.uniform(1.0, 10.0, len(facts))
    names = [f"LJ{number // 300:03d}-{number % 300:04d}" for number in range(len(facts))]
    every = np.ones(len(facts), bool)
    faults = [Fault(kind, InputError("a", "b")) for kind in KINDS]
    found = CorpusFindings([], faults, names, facts, generator.integers(10, 200, len(facts)), every)
    screen = io.StringIO()
    corpus_summary.summarise(found, every).show(Console(file=screen, width=width))
    shown = screen.getvalue().splitlines()
    assert len(shown) < 50
    assert max(map(len, shown)) <= width
    for title in ("13,100", "durations", "text and clip do not fit", "longest", "slowest", "most clipped"):
        assert title in screen.getvalue()


def test_a_run_that_is_killed_between_its_outputs_is_not_taken_as_complete(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The manifest, which the next stage reads, comes last."""
    project.run("download")
    monkeypatch.setattr(verify, "write_manifest", lambda rows, path: (_ for _ in ()).throw(KeyboardInterrupt))
    assert CliRunner().invoke(app, ["verify"]).exit_code == 130
    assert not paths.MANIFEST.exists()
    shutil.rmtree("data/archive")
