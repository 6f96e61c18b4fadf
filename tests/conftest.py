"""What several rooms' tests share: an audio section, tiny corpora, and a project to run stages in."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch: the processes of the tests share the cores

import copy
import io
import signal
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import yaml
from hypothesis import HealthCheck, settings
from typer.testing import CliRunner

from dtc.registry import Part, Registry

# The same cases every time. The first text drawn in a fresh clone builds tables of Unicode, which takes a second or two
# on a busy machine: that is no fault of the test that happens to draw it.
settings.register_profile("dtc", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("dtc")

# Otherwise each of the hundreds of processes that the tests start would compile dtc anew.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# Tables and colours are those of one kind of terminal, whichever the tests are started in.
for name in ("COLUMNS", "LINES", "FORCE_COLOR", "NO_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
    os.environ.pop(name, None)
os.environ["TERM"] = "xterm"

# A shell's background job ignores Ctrl-C, and so would every process that the tests start and interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)

REPOSITORY = Path(__file__).parents[1]

# Files whose tests take a quarter of a minute and more together, the longest first: a process that begins with one of
# them late would let the others wait at the end.
LONGEST = (
    "test_repro.py",
    "test_processes_of_a_training.py",
    "test_tune.py",
    "test_stages.py",
    "test_ray.py",
    "test_dvc.py",
    "test_killed.py",
    "test_devices.py",
    "test_choose_by_ear.py",
    "test_process.py",
    "test_duel_browser.py",
    "test_ljspeech.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the files with the longest tests first."""
    items.sort(key=lambda item: LONGEST.index(item.path.name) if item.path.name in LONGEST else len(LONGEST))


# The preset numbers-tacotron2, shrunk until a stage takes a second; everything else is what the repository says.
TINY = {
    "verify.min_duration_s": 0.1,
    "verify.max_characters_per_s": 200.0,
    "split.validation_share": 0.25,
    "split.test_share": 0.25,
    "features.clips_per_shard": 4,
    "acoustic.symbols_embedding_dim": 8,
    "acoustic.encoder.embedding_dim": 8,
    "acoustic.attention.rnn_dim": 8,
    "acoustic.attention.attention_dim": 8,
    "acoustic.attention.num_filters": 2,
    "acoustic.decoder.rnn_dim": 8,
    "acoustic.decoder.pre_net_dim": 8,
    "acoustic.decoder.max_decoder_steps": 20,
    "acoustic.post_net.num_convolutions": 2,
    "acoustic.post_net.embedding_dim": 8,
    "vocoder.dim": 8,
    "vocoder.intermediate_dim": 8,
    "vocoder.num_layers": 1,
    "vocoder.segment_frames": 8,
    "vocoder.loss.fft_sizes": [512],
    "training.acoustic.epochs": 1,
    "training.vocoder.epochs": 1,
}


def default_params() -> dict[str, Any]:
    """The preset numbers-tacotron2, which has settings of all that a model with attention needs."""
    return copy.deepcopy(_preset())


@cache
def _preset() -> dict[str, Any]:
    return yaml.safe_load((REPOSITORY / "stages/presets/numbers-tacotron2.yaml").read_text(encoding="utf-8"))


def edited(tree: dict[str, Any], edits: Mapping[str, object]) -> dict[str, Any]:
    """`tree` with values at dotted paths replaced; a path that is not there is a mistake in the test."""
    for dotted, value in edits.items():
        *parents, last = dotted.split(".")
        section = tree
        for parent in parents:
            section = section[parent]
        assert last in section, f"params.yaml has no {dotted}"
        section[last] = value
    return tree


def add_part(patch: pytest.MonkeyPatch, registry: Registry[Any], name: str, part: Part) -> None:
    """Add a part to a registry for one test."""
    patch.setattr(registry, "_parts", dict(registry._parts))
    registry.add(name, part)


@pytest.fixture(scope="session")
def audio() -> Any:
    """The audio section of params.yaml: 16 kHz, hop 256, 80 bands."""
    from dtc.audio_config import AudioConfig

    return AudioConfig.model_validate(default_params()["audio"])


def sound_bytes(
    seconds: float = 0.3,
    sampling_rate: int = 16000,
    pitch_hz: float = 220.0,
    channels: int = 1,
    format: str = "WAV",
    subtype: str | None = None,
) -> bytes:
    """A tone with a little noise, as a sound file's bytes."""
    samples = round(seconds * sampling_rate)
    noise = np.random.default_rng(round(pitch_hz)).normal(0.0, 0.01, (samples, channels))
    tone = 0.3 * np.sin(2 * np.pi * pitch_hz * np.arange(samples) / sampling_rate)[:, None] + noise
    stream = io.BytesIO()
    soundfile.write(stream, tone, sampling_rate, format=format, subtype=subtype)
    return stream.getvalue()


WORDS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "zero")


def write_corpus(folder: Path, clips: int | Mapping[str, str] = 12, format: str = "WAV", **sound: Any) -> Path:
    """A folder in LJSpeech's layout: metadata.csv and wavs/. `clips`: how many, or id → spoken text."""
    if isinstance(clips, int):
        clips = {f"clip-{n:03d}": f"call {WORDS[n % 10]} {WORDS[n // 10 % 10]}" for n in range(clips)}
    (folder / "wavs").mkdir(parents=True)
    for number, clip in enumerate(clips):
        content = sound_bytes(0.25 + 0.01 * (number * 7 % 13), pitch_hz=200.0 + 10 * number, format=format, **sound)
        (folder / "wavs" / f"{clip}.{format.lower()}").write_bytes(content)
    rows = "".join(f"{clip}|{text.upper()}|{text}\n" for clip, text in clips.items())
    (folder / "metadata.csv").write_text(rows, encoding="utf-8")
    return folder


@pytest.fixture(scope="session")
def make_corpus() -> Callable[..., Path]:
    """`make_corpus(folder, clips=12, format="WAV", sampling_rate=…)` writes a corpus and returns its folder."""
    return write_corpus


@pytest.fixture(scope="session")
def make_sound() -> Callable[..., bytes]:
    """`make_sound(seconds, sampling_rate, pitch_hz, channels, format, subtype)`: a sound file's bytes."""
    return sound_bytes


@dataclass
class Project:
    """A project folder, which is also the working directory, with a tiny params.yaml and a folder corpus."""

    root: Path
    corpus: Path

    def write_params(self, edits: Mapping[str, object] = {}) -> None:
        """The tiny params.yaml, with values at dotted paths replaced."""
        corpus = {"corpus.name": "tones", "corpus.source": str(self.corpus), "corpus.md5": None, "corpus.sha256": None}
        tree = edited(default_params(), {**TINY, **corpus, **edits})
        (self.root / "params.yaml").write_text(yaml.safe_dump(tree, sort_keys=False), encoding="utf-8")

    def run(self, *arguments: str, code: int = 0) -> str:
        """Run a `dtc` command here; its last line on standard error where it must fail, else what it printed."""
        from stages.cli import app

        result = CliRunner().invoke(app, arguments)
        assert result.exit_code == code, f"{result.output}{result.exception!r}"
        if code == 0:
            return result.stdout
        assert result.stderr.startswith("dtc: ")
        assert result.stderr.count("\n") == 1, "one line"
        return result.stderr.removeprefix("dtc: ").strip()

    def contents(self, *folders: str) -> dict[str, bytes]:
        """Every file under the folders: path → bytes."""
        paths = sorted(path for folder in folders for path in (self.root / folder).rglob("*") if path.is_file())
        return {path.relative_to(self.root).as_posix(): path.read_bytes() for path in paths}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A valid project of twelve short tones; the test runs in its folder."""
    monkeypatch.chdir(tmp_path)
    made = Project(tmp_path, write_corpus(tmp_path / "recordings"))
    made.write_params()
    return made
