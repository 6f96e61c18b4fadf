"""Test `dtc corpus check` on real folders and archives: what it reports, and that it writes nothing."""

import io
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from rich.console import Console
from typer.testing import CliRunner

from dtc.errors import InputError
from pipeline.archives import pack_folder
from stages import corpus_check
from stages.cli import app
from tests.conftest import REPOSITORY, Project, edited, sound_bytes, write_corpus

LJSPEECH_SAMPLE = REPOSITORY.parent / "shared/data/ljspeech-sample.tar.bz2"


def speech(seed: int, seconds: float = 1.0, sampling_rate: int = 24000, silence_s: float = 0.0) -> np.ndarray:
    """Noise with the level of speech, between silences."""
    noise = np.random.default_rng(seed).normal(0.0, 0.1, round(seconds * sampling_rate))
    silence = np.zeros(round(silence_s * sampling_rate))
    return np.concatenate([silence, noise, silence])


@pytest.fixture
def voice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Twelve clips of a second, at 24 kHz, in a folder that is no project."""
    monkeypatch.chdir(tmp_path)
    return write_voice(Path("voice"))


def write_voice(folder: Path, clips: int = 12, silence_s: float = 0.0) -> Path:
    (folder / "wavs").mkdir(parents=True)
    rows = []
    for number in range(clips):
        soundfile.write(folder / f"wavs/c{number:02d}.wav", speech(number, silence_s=silence_s), 24000)
        rows.append(f"c{number:02d}|a clip of speech {number}\n")
    (folder / "metadata.csv").write_text("".join(rows))
    return folder


def checked(*arguments: str, code: int = 0) -> tuple[list[str], str]:
    """Lines on standard output, and standard error, of `dtc corpus check`; nothing is written."""
    before = contents(Path())
    result = CliRunner().invoke(app, ["corpus", "check", *arguments])
    assert result.exit_code == code, f"{result.output}{result.exception!r}"
    assert contents(Path()) == before
    return result.stdout.splitlines(), result.stderr


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_good_folder_is_ready(voice: Path) -> None:
    lines, errors = checked("voice")
    assert lines[0] == "voice, checked by the preset numbers at 24000 Hz, the rate of most of its clips"
    assert lines[3].split() == [
        "12",
        "0.00",
        "1.00",
        "s",
        "1.00",
        "s",
        "1.00",
        "s",
        lines[3].split()[8],
        "24000",
        "Hz",
        "1",
    ]
    assert "• 0.2 minutes without faults. A quarter of an hour gives the preset voice a voice" in "\n".join(lines)
    assert lines[-1] == "ready to train, but on little: 0.2 minutes of speech"
    assert errors == ""


def test_many_hours_are_not_little(voice: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(corpus_check, "LITTLE_S", 11.9)
    lines, _ = checked("voice")
    assert "• 0.2 minutes without faults." in lines
    assert lines[-1] == "ready to train"


def test_too_few_clips_for_the_split_are_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What `dtc preprocess` would refuse is said before; by the method that is named, it is none."""
    monkeypatch.chdir(tmp_path)
    write_voice(Path("voice"), clips=4)
    told = "• by these settings `dtc preprocess` will refuse them: split.method: hash leaves validation without one of "
    lines, _ = checked("voice")
    assert [line for line in lines if line.startswith(f"{told}4 clips")]
    assert lines[-1] == "ready to train, but on little: 0.1 minutes of speech, once the section split is changed"
    ratio = {"split.method": "ratio", "split.validation_share": 0.25, "split.test_share": 0.25}
    Path("params.yaml").write_text(preset(ratio, 24000))
    lines, _ = checked("voice", "--params", "params.yaml")
    assert not [line for line in lines if "will refuse" in line]
    assert lines[-1] == "ready to train, but on little: 0.1 minutes of speech"


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"root:x:0:0:root:/root:/bin/bash\n" * 40, "does not read as a tar or zip archive ("),
        (sound_bytes(), "a WAV file, expected a tar (plain, gzip, bzip2 or xz) or a zip; "),
        (b"", "an empty file, expected a tar"),
    ],
)
def test_no_remedy_removes_a_file_of_the_user(voice: Path, content: bytes, fault: str) -> None:
    Path("mine").write_bytes(content)
    _, errors = checked("mine", code=2)
    assert fault in errors
    assert errors.endswith(
        "; name a folder of recordings, or an archive of one; if it is one, make or fetch it again\n"
    )
    assert "remove it" not in errors


def test_an_archive_is_checked_as_its_folder(voice: Path) -> None:
    (voice / "wavs/c03.wav").write_bytes(b"no sound")
    folder, _ = checked("voice", code=2)
    pack_folder(voice, Path("packed.tar"))
    archive, errors = checked("packed.tar", code=2)
    assert [line.replace("packed.tar:voice/", "voice/").replace("packed.tar,", "voice,") for line in archive] == folder
    assert errors == "dtc: packed.tar: 1 fault, 11 of 12 clips without faults: not ready\n"
    assert folder[2] == "12 clips, of which 11 can be measured:"
    assert folder[5].split()[0] == "11"


def test_every_fault_is_named_by_its_path_and_mended(voice: Path) -> None:
    soundfile.write(voice / "wavs/c01.wav", speech(50, sampling_rate=48000), 48000)
    soundfile.write(voice / "wavs/c02.wav", np.stack([speech(51), speech(52)], axis=1), 24000)
    soundfile.write(voice / "wavs/c03.wav", np.stack([speech(53)] * 2, axis=1) * 50, 24000)
    lines, errors = checked("voice", code=2)
    assert errors == "dtc: voice: 4 faults, 9 of 12 clips without faults: not ready\n"
    first = lines.index("channels: more than one channel (2 faults)")
    assert lines[first + 1 : first + 7] == [
        "  voice/wavs/c02.wav: 2 channels, expected 1 (mono); set recording.channels to left, right or mean",
        "  voice/wavs/c03.wav: 2 channels, expected 1 (mono); set recording.channels to left, right or mean",
        "sampling_rate: another sampling rate (1 fault)",
        "  voice/wavs/c01.wav: 48000 Hz, expected 24000 Hz; "
        "convert it to 24000 Hz, which 11 of 12 clips have, or set recording.resample to true",
        "clipping: louder than the recording could hold (1 fault)",
        lines[first + 6],
    ]
    assert lines[first + 6].startswith("  voice/wavs/c03.wav: ")
    hints = [line for line in lines if line.startswith("• ")]
    assert hints[:4] == [
        "• recording.resample: true in params.yaml mends the 1 fault of kind sampling_rate",
        "• recording.channels: left, right or mean in params.yaml mends the 2 faults of kind channels",
        "• audio.faulty_clips".replace("audio", "verify")
        + ": skip leaves out what has faults and trains on the rest: 9 of 12 clips, 0.1 minutes",
        "• several sampling rates: often of several sources, between which the sound of a voice differs",
    ]
    Path("params.yaml").write_text(preset({"recording.resample": True, "recording.channels": "mean"}, 24000))
    lines, errors = checked("voice", "--params", "params.yaml", code=2)
    assert lines[0] == "voice, checked by params.yaml"
    assert errors == "dtc: voice: 1 fault, 11 of 12 clips without faults: not ready\n"
    Path("mended.yaml").write_text(
        preset({"recording.resample": True, "recording.channels": "mean", "verify.faulty_clips": "skip"}, 24000)
    )
    lines, _ = checked("voice", "--params", "mended.yaml")
    assert lines[-1].startswith("ready to train")


def preset(edits: dict[str, object], sampling_rate: int) -> str:
    import yaml

    tree = yaml.safe_load(corpus_check.PRESET.read_text())
    return yaml.safe_dump(edited(tree, {"audio.sampling_rate": sampling_rate, **edits}))


def test_a_few_faults_of_each_kind_are_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_voice(Path("voice"), clips=30)
    for number in range(25):
        Path(f"voice/wavs/c{number:02d}.wav").write_bytes(b"no sound")
    Path("voice/wavs/stray.wav").write_bytes(sound_bytes(1.0, 24000))
    lines, errors = checked("voice", code=2)
    assert sum("does not decode (" in line for line in lines) == 5
    assert sum("no row stray" in line for line in lines) == 1
    assert "decode: a file that does not decode whole (25 faults)" in lines
    assert "  … and 20 more" in lines
    assert errors == "dtc: voice: 26 faults, 5 of 31 clips without faults: not ready\n"


def test_the_rate_of_most_clips_counts_not_of_the_first(voice: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(corpus_check, "CLIPS_READ_FIRST", 2)
    for number in range(3):
        soundfile.write(voice / f"wavs/c{number:02d}.wav", speech(number, sampling_rate=8000), 8000)
    lines, errors = checked("voice", code=2)
    assert lines[0] == "voice, checked by the preset numbers at 24000 Hz, the rate of most of its clips"
    assert errors == "dtc: voice: 3 faults, 9 of 12 clips without faults: not ready\n"


def test_the_format_may_be_named(voice: Path) -> None:
    Path("voice/all.txt").write_text("".join(f"wavs/c{number:02d}.wav|a clip of speech\n" for number in range(12)))
    assert checked("voice", code=2)[1].endswith("expected one; set corpus.format to the one meant\n")
    for format in ("ljspeech", "filelist"):
        assert checked("voice", "--format", format)[0][-1].startswith("ready to train")
    assert checked("voice", "--format", "jsonl", code=2)[1].startswith("dtc: voice: no *.jsonl inside, expected manif")
    assert checked("voice", "--format", "ljspech", code=2)[1].endswith("tensor_mel; did you mean ljspeech?\n")


def test_long_silences_are_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_voice(Path("voice"), silence_s=0.25)
    lines, _ = checked("voice")
    assert (
        "• half of the clips have 0.25 s or more of silence before and 0.25 s after the speech: "
        "recording.trim_silence_db: -40.0 in params.yaml cuts it to 0.05 s" in lines
    )
    Path("params.yaml").write_text(preset({"recording.trim_silence_db": -40.0}, 24000))
    lines, _ = checked("voice", "--params", "params.yaml")
    assert not [line for line in lines if "silence before" in line]


@pytest.mark.parametrize(
    ("prepare", "line"),
    [
        (lambda voice: shutil.rmtree(voice), "voice: no such file or folder, expected a folder of recordings, or an a"),
        (lambda voice: (voice / "metadata.csv").unlink(), "voice: none of metadata.csv, "),
        (
            lambda voice: (voice / "metadata.csv").write_text(""),
            "voice: 12 faults, 0 of 12 clips without faults: not ready",
        ),
        (
            lambda voice: (voice / "metadata.csv").write_bytes(b"c00|\xff\n"),
            "voice: 1 fault, 0 of 12 clips without faults: not ready",
        ),
        (lambda voice: shutil.rmtree(voice / "wavs"), "voice: 12 faults, 0 of 12 clips without faults: not ready"),
    ],
)
def test_a_corpus_that_cannot_be_used(voice: Path, prepare, line: str) -> None:
    prepare(voice)
    _, errors = checked("voice", code=2)
    assert errors.startswith(f"dtc: {line}")
    assert errors.count("\n") == 1


@pytest.mark.skipif(not LJSPEECH_SAMPLE.is_file(), reason="../shared is not there: real clips of LJSpeech")
def test_real_clips_are_ready(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    lines, _ = checked(str(LJSPEECH_SAMPLE))
    assert lines[0].endswith(" at 22050 Hz, the rate of most of its clips")
    assert lines[-1] == "ready to train, but on little: 2.2 minutes of speech, once the section split is changed"


def test_a_projects_folder_is_checked_by_its_params(project: Project) -> None:
    assert project.run("corpus", "check", "recordings").splitlines()[-1].startswith("ready to train")
    project.write_params({"audio.sampling_rate": 22050})
    assert project.run("corpus", "check", "recordings", code=2) == (
        "recordings: 12 faults, 0 of 12 clips without faults: not ready"
    )


def test_on_a_terminal_long_lines_are_wrapped(voice: Path) -> None:
    screen = io.StringIO()
    corpus_check.check(voice, None, Console(file=screen, width=80, markup=False, emoji=False))
    assert max(map(len, screen.getvalue().splitlines())) <= 80
    with pytest.raises(InputError):
        corpus_check.check(Path("none"), None, Console(file=screen))


def test_the_help_says_what_it_does() -> None:
    shown = " ".join(CliRunner().invoke(app, ["corpus", "check", "--help"]).stdout.split())
    assert "Check whether SOURCE is ready to train on. Writes nothing." in shown
    assert "Prints what to mend, line by line." in shown


def test_a_real_process_says_in_one_line_that_it_is_not_ready(tmp_path: Path) -> None:
    write_corpus(tmp_path / "voice")  # tones of a quarter of a second
    dtc = Path(sys.executable).with_name("dtc")
    done = subprocess.run([dtc, "corpus", "check", "voice"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr == "dtc: voice: 16 faults, 1 of 12 clips without faults: not ready\n"
    assert "(verify.min_duration_s 0.3)" in done.stdout


def test_params_of_another_corpus_are_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a clone of dtc, params.yaml is the demo's, at 16 kHz."""
    monkeypatch.chdir(tmp_path)
    write_voice(Path("voice"))
    Path("params.yaml").write_text(preset({}, 16000))
    assert checked("voice")[0][0] == "voice, checked by the preset numbers at 24000 Hz, the rate of most of its clips"
    Path("params.yaml").write_text(preset({"corpus.source": "voice"}, 24000))
    assert checked("voice")[0][0] == "voice, checked by params.yaml"
