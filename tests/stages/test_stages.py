"""download → verify → preprocess → train → say on twelve tones: equal bytes, faults named and mended, killed anywhere."""

import csv
import json
import os
import re
import resource
import shutil
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import soundfile
import torch
import yaml
from safetensors.torch import load_file
from typer.testing import CliRunner

from dtc.evaluation.speech_folder import read_speech_folder
from dtc.provenance import md5_of
from dtc.vocoder.base import load_vocoder
from pipeline.shards import read_entries, read_index
from stages import paths
from stages.cli import app
from stages.evaluate import training_texts
from tests.conftest import REPOSITORY, Project, sound_bytes
from tests.stages.conftest import prepare

KILLED = Path(__file__).with_name("killed.py")


def test_the_data_stages(project: Project) -> None:
    printed = project.run("download")
    archive = Path("data/archive/tones.tar")
    assert f"MD5 {md5_of(archive)}" in printed
    assert f"corpus.md5 is null; set it to {md5_of(archive)}" in printed
    assert "12" in project.run("verify")
    metrics = json.loads(paths.CORPUS_METRICS.read_text())
    assert (metrics["clips"], metrics["shortest_s"], metrics["longest_s"]) == (12, 0.25, 0.37)
    printed = project.run("preprocess")
    index = read_index(paths.FEATURES)
    assert index.fingerprint in printed
    assert (index.corpus, index.corpus_md5) == ("tones", md5_of(archive))
    # By split_of: six clips of train, in shards of four; the alphabet is theirs alone.
    assert [(shard.file, shard.clips) for shard in index.shards] == [
        ("train-00000.tar", 4),
        ("train-00001.tar", 2),
        ("validation-00000.tar", 2),
        ("test-00000.tar", 4),
    ]
    assert "".join(index.alphabet) == " aceghilnorstvwx"
    assert sum(shard.clips for shard in index.shards) == 12
    assert sorted(path.name for path in Path("data").glob("[!.]*")) == [
        "archive",
        "features",
        "manifest.jsonl",
        "skipped.jsonl",
        "train_on",
    ]


def test_the_statistics_are_the_training_frames(project: Project) -> None:
    prepare(project)
    index = read_index(paths.FEATURES)
    mels = []
    for place in read_entries(paths.FEATURES, index, "train"):
        first, size = place.members["mel.npy"]
        content = (paths.FEATURES / place.shard).read_bytes()[first : first + size]
        mels.append(np.frombuffer(content, np.float32, offset=128).reshape(80, place.frames))
    frames = np.concatenate(mels, axis=1).astype(np.float64)
    np.testing.assert_allclose(index.mel_mean, frames.mean(axis=1), rtol=1e-9)
    np.testing.assert_allclose(index.mel_deviation, frames.std(axis=1), rtol=1e-6)


@pytest.mark.parametrize("stft", [False, True])
def test_run_again_elsewhere_and_later_it_writes_equal_bytes(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stft: bool
) -> None:
    project.write_params({"features.stft": stft})
    prepare(project)
    first = project.contents("data", "results")
    prepare(project)
    assert project.contents("data", "results") == first
    elsewhere = tmp_path / "else" / "where"
    shutil.copytree(project.corpus, elsewhere / "recordings")
    for path in (elsewhere / "recordings").rglob("*"):
        os.utime(path, (1, 1))
    shutil.copy("params.yaml", elsewhere)
    monkeypatch.chdir(elsewhere)
    other = Project(elsewhere, elsewhere / "recordings")
    other.write_params({"features.stft": stft})
    prepare(other)
    assert other.contents("data", "results") == first


def test_params_decide_what_is_made(project: Project) -> None:
    prepare(project)
    first = read_index(paths.FEATURES)
    project.write_params({"audio.mel_fmin": 50.0})
    project.run("preprocess")
    second = read_index(paths.FEATURES)
    assert second.audio.mel_fmin == 50.0
    assert first.fingerprint != second.fingerprint


def replace_clip(content: bytes) -> Callable[[Path], None]:
    return lambda corpus: (corpus / "wavs/clip-004.wav").write_bytes(content) and None


def edit_row(new: str) -> Callable[[Path], None]:
    def edit(corpus: Path) -> None:
        lines = (corpus / "metadata.csv").read_text().splitlines()
        lines[4] = new
        (corpus / "metadata.csv").write_text("\n".join(lines), encoding="utf-8")

    return edit


CLIP, ROW = "tones.tar:recordings/wavs/clip-004.wav", "tones.tar:recordings/metadata.csv:5"


@pytest.mark.parametrize(
    ("damage", "line"),
    [
        (replace_clip(sound_bytes()[:4000]), f"{CLIP}: ends after 1978 samples, expected 4800; copy it again"),
        (
            replace_clip(sound_bytes(sampling_rate=8000)),
            f"{CLIP}: 8000 Hz, expected 16000 Hz; convert it to 16000 Hz, which 11 of 12 clips have",
        ),
        (replace_clip(sound_bytes(channels=2)), f"{CLIP}: 2 channels, expected 1 (mono)"),
        (replace_clip(b"noise"), f"{CLIP}: does not decode (Format not recognised.)"),
        (
            replace_clip(b""),
            f"{CLIP}: an empty file, expected a WAV, FLAC, Ogg Vorbis, Opus or MP3 file; copy it again",
        ),
        (lambda corpus: (corpus / "wavs/clip-004.wav").unlink(), f"{ROW}: no clip wavs/clip-004.*"),
        (
            lambda corpus: (corpus / "wavs/x.wav").write_bytes(sound_bytes()),
            "tones.tar:recordings/wavs/x.wav: no row x",
        ),
        (edit_row("clip-004|CALL|"), f"{ROW}: empty text of clip-004, expected words; write what is said"),
        (edit_row("clip-004|CALL"), f"{ROW}: 2 fields, expected 3"),
        (edit_row("clip-003|CALL|call"), f"{ROW}: id clip-003 again, first on line 4; remove one of the rows"),
        (
            edit_row("clip-004|CALL|na\u2603ve"),
            f"{ROW}: '\u2603' not in the alphabet, in 'na\u2603ve'; write it in words or leave it out",
        ),
    ],
)
def test_a_fault_is_named_leaves_nothing_and_is_mended(
    project: Project, tmp_path: Path, damage: Callable[[Path], None], line: str
) -> None:
    shutil.copytree(project.corpus, tmp_path / "whole")
    damage(project.corpus)
    project.run("download")
    faults = project.run("verify", code=2)
    assert line in faults
    assert not paths.MANIFEST.exists()
    assert not paths.CORPUS_METRICS.exists()
    assert project.run("preprocess", code=2) == (
        "data/manifest.jsonl: no such file, expected the manifest of the corpus; run `dtc verify` first"
    )
    assert not paths.FEATURES.exists()
    shutil.rmtree(project.corpus)
    shutil.move(tmp_path / "whole", project.corpus)
    prepare(project)
    assert len(paths.MANIFEST.read_text().splitlines()) == 12


def test_every_fault_is_counted(project: Project) -> None:
    rows = "".join(f"clip-{n:03d}|CALL|\n" for n in range(12))
    (project.corpus / "metadata.csv").write_text(rows + "".join(f"none-{n}|CALL|call\n" for n in range(30)))
    project.run("download")

    result = CliRunner().invoke(app, ["verify"])
    assert result.stderr.count("\n") == 1
    lines = result.stdout.splitlines()
    assert lines[0] == "listing: a row of the listing (12 faults)"
    assert (lines.count("  … and 7 more"), result.stdout.count("empty text")) == (1, 5)
    assert lines[7] == "missing: a row without its clip (30 faults)"
    assert (lines[-1], result.stdout.count("no clip")) == ("  … and 25 more", 5)


def test_a_wrong_md5(project: Project) -> None:
    project.run("download")
    before = project.contents("data")
    project.write_params({"corpus.md5": "0" * 32})
    found = md5_of(Path("data/archive/tones.tar"))
    line = project.run("download", code=2)
    assert line.startswith(f"{project.corpus}: MD5 {found}, expected {'0' * 32}; set corpus.md5 to the MD5")
    assert project.contents("data") == before
    assert project.run("verify", code=2) == (
        f"data/archive/tones.tar: MD5 {found}, expected {'0' * 32}; run `dtc download` again, or set corpus.md5 to "
        "null where it is unknown"
    )
    project.write_params({"corpus.md5": found})
    prepare(project)


def test_another_corpus_replaces_the_one_before(project: Project, tmp_path: Path) -> None:
    project.run("download")
    shutil.copy("data/archive/tones.tar", tmp_path / "other.tar")
    project.write_params({"corpus.source": str(tmp_path / "other.tar")})
    project.run("download")
    assert [path.name for path in paths.ARCHIVE.iterdir()] == ["other.tar"]


def test_a_cut_archive(project: Project) -> None:
    project.run("download")
    archive = Path("data/archive/tones.tar")
    archive.write_bytes(archive.read_bytes()[:20000])
    assert project.run("verify", code=2).startswith(
        "data/archive/tones.tar: does not read as a tar or zip archive (unexpected end of data)"
    )
    archive.unlink()
    prepare(project)


def test_an_archive_changed_after_verify(project: Project) -> None:
    prepare(project)
    before = project.contents("data/features")
    (project.corpus / "wavs/clip-003.wav").write_bytes(sound_bytes(pitch_hz=999))
    project.run("download")
    assert re.match(r"recordings/wavs/clip-\d+\.wav: CRC-32 [0-9a-f]{8}, expected ", project.run("preprocess", code=2))
    assert project.contents("data/features") == before
    project.run("verify")
    project.run("preprocess")
    assert project.contents("data/features") != before


@pytest.mark.parametrize(
    ("edits", "fault"),
    [
        (
            {"audio.sampling_rate": 22050},
            "16000 Hz, expected 22050 Hz; set audio.sampling_rate to 16000 or",
        ),
        (
            {"audio.filter_length": 8192, "vocoder.segment_frames": 64},
            "4000 samples, expected more than 4096; remove the clip",
        ),
    ],
)
def test_params_changed_after_verify(project: Project, edits: dict[str, object], fault: str) -> None:
    prepare(project)
    before = project.contents("data/features")
    project.write_params(edits)
    assert re.match(rf"recordings/wavs/clip-\d+\.wav: {re.escape(fault)}", project.run("preprocess", code=2))
    assert project.contents("data/features") == before


def test_too_few_clips_for_a_split(project: Project) -> None:
    project.write_params({"split.validation_share": 0.001})
    project.run("download")
    project.run("verify")
    assert project.run("preprocess", code=2) == (
        "split.method: hash leaves validation without one of 12 clips, expected clips in every split; "
        "replace the section split by `split: {method: ratio, validation_share: 0.084, test_share: 0.2, seed: 1}`, "
        "which meets the shares exactly; or record more"
    )
    assert not paths.FEATURES.exists()
    project.write_params()
    project.run("preprocess")


@pytest.mark.parametrize("method", ["hash", "ratio"])
def test_one_clip_is_no_corpus(project: Project, method: str) -> None:
    for clip in sorted((project.corpus / "wavs").iterdir())[1:]:
        clip.unlink()
    (project.corpus / "metadata.csv").write_text("clip-000|CALL ONE|call one\n")
    project.write_params({"split.method": method})
    project.run("download")
    project.run("verify")
    assert project.run("preprocess", code=2).startswith(f"split.method: {method} leaves")
    assert not paths.FEATURES.exists()


@pytest.mark.parametrize(
    ("command", "in_the_way", "line"),
    [
        ("download", "data", "data: cannot be used (File exists); mend it and run it again"),
        ("download", "data/archive", "data/archive: cannot be used (File exists); mend it and run it again"),
        ("download", "data/archive.part", "data/archive.part: cannot be used (File exists)"),
        ("verify", "results", "results: cannot be used (File exists)"),
        ("preprocess", "data/features", "data/features: is a link or a file, expected a folder that dtc wrote"),
        ("train acoustic", "models", "models: cannot be used (File exists)"),
    ],
)
def test_a_file_where_a_folder_must_be(project: Project, command: str, in_the_way: str, line: str) -> None:
    commands = ["download", "verify", "preprocess", "train acoustic"]
    for earlier in commands[: commands.index(command)]:
        project.run(*earlier.split())
    Path(in_the_way).parent.mkdir(exist_ok=True)
    Path(in_the_way).write_text("a file")
    assert project.run(*command.split(), code=2).startswith(line)
    assert Path(in_the_way).read_text() == "a file"
    Path(in_the_way).unlink()
    project.run(*command.split())


@contextmanager
def largest_file(size_bytes: int) -> Iterator[None]:
    """A full disk, nearly: no file grows beyond a size."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize(
    ("command", "made"),
    [("download", "data/archive"), ("verify", "data/manifest.jsonl"), ("preprocess", "data/features")],
)
def test_no_room(project: Project, command: str, made: str) -> None:
    commands = ["download", "verify", "preprocess"]
    for earlier in commands[: commands.index(command)]:
        project.run(earlier)
    with largest_file(1000):
        assert "cannot be used (File too large)" in project.run(command, code=2)
    assert not Path(made).exists(), "half of it would be read as whole"
    prepare(project)


@pytest.mark.slow
@pytest.mark.parametrize("command", ["download", "verify", "preprocess"])
def test_killed_before_any_change_it_ends_as_if_never_killed(
    project: Project, tmp_path_factory: pytest.TempPathFactory, command: str
) -> None:
    commands = ["download", "verify", "preprocess"]
    for earlier in commands[: commands.index(command)]:
        project.run(earlier)
    copies = tmp_path_factory.mktemp("killed")
    done = subprocess.run(
        [sys.executable, KILLED, project.root, copies, command], capture_output=True, text=True, cwd=KILLED.parents[2]
    )
    assert done.returncode == 0, done.stderr
    kills = int(done.stdout)
    assert kills >= {"download": 4, "verify": 4, "preprocess": 10}[command]
    project.run(command)
    whole = project.contents("data", "results")
    computed = False
    for number in range(1, kills + 1):
        copy = Project(copies / str(number), project.corpus)
        os.chdir(copy.root)
        assert copy.contents("data/features") in ({}, project.contents("data/features")), "never half a folder"
        computed = computed or len(list(Path("data/features.part").glob("*.facts.json"))) == 4
        printed = copy.run(command)
        assert not computed or "4 of 4 shards are finished" in printed or "is complete already" in printed
        assert copy.contents("data", "results") == whole
    assert computed == (command == "preprocess")
    os.chdir(project.root)


@pytest.mark.parametrize("kind", ["acoustic", "vocoder"])
def test_features_for_another_mel_than_params_say_are_not_trained_on(project: Project, kind: str) -> None:
    prepare(project)
    project.write_params({"audio.mel_fmax": 7000.0})
    assert project.run("train", kind, "--device", "cpu", code=2) == (
        "data/features and params.yaml: different mels: mel_fmax 8000.0 against 7000.0; run `dtc preprocess` again"
    )
    assert not Path("models").exists()
    project.run("preprocess")
    project.run("train", kind, "--device", "cpu")


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["acoustic", "vocoder"])
def test_training_killed_by_sigkill_ends_with_the_same_bytes(project: Project, kind: str) -> None:
    """A real process trains the real model; it is killed as soon as its first checkpoint is on the disk."""
    project.write_params({f"training.{kind}.epochs": 24, f"run.{kind}.epochs_save": 1})
    prepare(project)
    command = [sys.executable, "-c", "from stages.cli import app; app()", "train", kind, "--device", "cpu"]
    environment = os.environ | {"PYTHONPATH": str(KILLED.parents[2])}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
    while not (saved := list(Path("runs").glob(f"{kind}-*/checkpoints/*.pt"))):
        assert process.poll() is None, "it ended before it could be killed"
    process.kill()
    process.wait()
    assert list(saved[0].parent.iterdir()), "it ended before it could be killed"
    assert not Path(f"models/{kind}").exists()
    assert "continuing from step" in project.run("train", kind, "--device", "cpu")
    killed = project.contents("models", "results/curves")
    shutil.rmtree("models")
    assert "continuing from step" not in project.run("train", kind, "--device", "cpu")
    assert project.contents("models", "results/curves") == killed


def test_say(voice: Path, project: Project) -> None:
    shutil.copytree(voice / "models", "models")
    Path("texts.txt").write_text("three\n")
    project.run("say", "call one", "zoom", "--file", "texts.txt", "--out", "out/wavs", code=2)
    assert not Path("out").exists()
    project.run("say", "call one", "--file", "texts.txt", "--out", "out/wavs")
    assert sorted(path.name for path in Path("out/wavs").iterdir()) == [
        "001-call-one.json",
        "001-call-one.wav",
        "002-three.json",
        "002-three.wav",
    ]
    for name, text in (("001-call-one", "call one"), ("002-three", "three")):
        sidecar = json.loads(Path(f"out/wavs/{name}.json").read_text())
        info = soundfile.info(f"out/wavs/{name}.wav")
        assert (info.samplerate, info.channels, info.subtype) == (16000, 1, "PCM_16")
        assert (sidecar["text"], sidecar["spoken_text"], sidecar["sampling_rate"]) == (text, text, 16000)
        assert sidecar["duration_s"] == round(info.frames / 16000, 4)
        assert sidecar["corpus_md5"] == md5_of(voice / "data/archive/tones.tar")
        assert sidecar["features"] == read_index(voice / "data/features").fingerprint


def test_a_stream_is_the_samples_of_the_wavs(voice: Path, project: Project) -> None:
    shutil.copytree(voice / "models", "models")
    project.write_params({"synthesis.longest_phrase": 20})
    texts = ["call one two three. then nine six seven eight ten", "nine"]
    project.run("say", *texts, "--device", "cpu")
    wavs = [soundfile.read(path, dtype="int16")[0] for path in sorted(paths.SPOKEN.glob("*.wav"))]
    shutil.rmtree(paths.SPOKEN)
    streamed = CliRunner().invoke(app, ["say", *texts, "--stream", "--device", "cpu"])
    assert streamed.exit_code == 0
    samples = np.frombuffer(streamed.stdout_bytes, dtype="<i2")
    assert len(samples) == sum(map(len, wavs))
    assert (
        np.abs(samples - np.concatenate(wavs).astype(int)).max() <= 1
    )  # a phrase alone rounds otherwise than in a batch
    assert "aplay -t raw -f S16_LE -c 1 -r 16000" in streamed.stderr
    assert not paths.SPOKEN.exists()


def test_a_player_that_goes_away_ends_the_stream(voice: Path, project: Project) -> None:
    """A real process and a real pipe, whose reader takes a few samples."""
    shutil.copytree(voice / "models", "models")
    dtc = f"{sys.executable} -c 'from stages.cli import app; app()'"
    command = f"{dtc} say 'one two three' 'ten' --stream --device cpu | head -c 100 | wc -c"
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY)}
    done = subprocess.run(command, shell=True, capture_output=True, text=True, check=False, env=environment)
    assert done.stdout.strip() == "100"
    assert "Traceback" not in done.stderr
    assert "Exception" not in done.stderr


def test_say_tells_what_went_wrong_and_what_to_do(voice: Path, project: Project) -> None:
    """A voice of one epoch says nothing as it should, at no attempt."""
    shutil.copytree(voice / "models", "models")
    project.write_params({"synthesis.attempts": 2})
    printed = project.run("say", "Call one! Three one seven.", "--out", "out")
    sidecar = json.loads(next(Path("out").glob("*.json")).read_text())
    assert sidecar["spoken_text"] == "Call one Three one seven"
    assert sidecar["attempts"] == 2
    assert sidecar["synthesis"]["attempts"] == 2
    first, second = sidecar["phrases"]
    assert (first["spoken_text"], second["spoken_text"]) == ("Call one", "Three one seven")
    assert 0 == first["start_s"] < second["start_s"] < sidecar["duration_s"]
    bad = [phrase for phrase in (first, second) if phrase["status"] != "ended"]
    lines = [line for line in printed.splitlines() if line.startswith("say: text 1: ")]
    assert [line.split(" (")[0] for line in lines] == [
        f"say: text 1: {phrase['status'].replace('_', ' ')} after 2 attempts" for phrase in bad
    ]
    assert bad
    assert "say: listen to these first; try another --seed" in printed


def test_say_cuts_sentences_as_the_params_say(voice: Path, project: Project) -> None:
    shutil.copytree(voice / "models", "models")
    project.write_params({"synthesis.longest_phrase": 5})
    assert project.run("say", "one", code=2).startswith("params.yaml: synthesis.longest_phrase: found 5, expected ")
    project.write_params({"synthesis.longest_phrase": 20})
    project.run("say", " ".join(["one"] * 30), "--out", "out")
    sidecar = json.loads(next(Path("out").glob("*.json")).read_text())
    assert [len(phrase["spoken_text"]) <= 20 for phrase in sidecar["phrases"]] == [True] * 8


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("...", "text 1: nothing but ..., expected words to speak"),
        ("\u201c\u201d", "text 1: empty text, expected words to speak"),
        (
            "zoom",
            "text 1: 'z' 'm' not in the voice's alphabet, expected only 'aceghilnorstvwx' and spaces; reads: zoom",
        ),
        ("on e\u0436", "text 1: "),
    ],
)
def test_say_shows_what_the_voice_never_heard(voice: Path, project: Project, text: str, line: str) -> None:
    shutil.copytree(voice / "models", "models")
    assert project.run("say", text, code=2).startswith(line)
    assert not paths.SPOKEN.exists()


def test_say_where_no_folder_can_be(voice: Path, project: Project) -> None:
    shutil.copytree(voice / "models", "models")
    Path("out").write_text("a file")
    line = project.run("say", "one", "--out", "out", code=2)
    assert line.startswith("out: cannot be used (File exists); mend it and run it again")


def test_a_changed_model_is_refused(voice: Path, project: Project) -> None:
    shutil.copytree(voice / "models", "models")
    weights = Path("models/vocoder/model.safetensors")
    weights.write_bytes(weights.read_bytes()[:-1])
    line = project.run("say", "one", code=2)
    assert line.startswith("models/vocoder/model.safetensors: SHA-256 ")
    assert line.endswith("; the file was changed; run `dtc train vocoder` first")


def test_a_config_of_other_weights_is_refused(voice: Path, project: Project) -> None:
    shutil.copytree(voice / "models", "models")
    card = Path("models/acoustic/config.json")
    tree = json.loads(card.read_text())
    tree["config"]["attention"] = {"model": "gmm", "rnn_dim": 8, "attention_dim": 16, "num_mixtures": 5}
    card.write_text(json.dumps(tree))
    line = project.run("say", "one", code=2)
    assert line.startswith("models/acoustic/model.safetensors: decoder.attention.query_layer.weight (8, 8), ")
    assert line.endswith(
        "by its config; put back the config that these weights were trained with, in models/acoustic/config.json"
    )


def test_evaluate_without_a_recogniser(voice: Path, project: Project) -> None:
    for folder in ("data", "models"):
        shutil.copytree(voice / folder, folder)
    edits = {"evaluate.ear": "none", "evaluate.griffin_lim_iterations": 2, "corpus.licence": "Ann's: |\nask her"}
    project.write_params({**edits, "corpus.consent": None})
    last_line = project.run("evaluate", "--device", "cpu").splitlines()[-1]
    unknown = "the other figures do not tell a voice that can be understood from one that cannot"
    assert last_line == f"evaluate: no recogniser was used (evaluate.ear is none): {unknown}"
    assert project.run("report").startswith("report: results/report/index.html, 0.")
    assert f"No recogniser was used (evaluate.ear is none): {unknown}." in (paths.REPORT / "index.html").read_text()
    assert {path.suffix for path in paths.EVALUATION.parent.iterdir()} == {".json"}, "a dependency of the report"
    metrics = json.loads(paths.EVALUATION.read_text())
    assert 1 <= metrics["attempts_per_phrase"] <= 3
    rows = list(csv.DictReader(paths.UTTERANCES.open()))
    sidecars = [json.loads(path.read_text()) for path in sorted(paths.WAVS.glob("*.json"))]
    assert [(row["status"], int(row["attempts"])) for row in rows] == [
        (sidecar["status"], sidecar["attempts"]) for sidecar in sidecars
    ]
    assert not [name for name in metrics if name.endswith("word_error_rate")]
    assert metrics["clips"] == 4
    distortions = [float(row["mel_cepstral_distortion_db"]) for row in rows]
    assert metrics["mel_cepstral_distortion_db"] == pytest.approx(statistics.fmean(distortions), rel=1e-3)
    assert min(distortions) <= metrics["mel_cepstral_distortion_db_low"] <= metrics["mel_cepstral_distortion_db"]
    assert metrics["duration_ratio_low"] <= metrics["duration_ratio"] <= metrics["duration_ratio_high"]
    assert [(each.id, each.text) for each in read_speech_folder(paths.SCP)] == [
        (row["id"], row["spoken_text"]) for row in rows
    ]
    copies = metrics["copies"]
    assert list(copies) == ["recording", "copy_synthesis", "fitted_copy", "griffin_lim"]
    assert copies["recording"]["log_mel_l1"] == copies["recording"]["multi_resolution_stft"] == 0.0, "the ceiling"
    assert 0 < copies["griffin_lim"]["log_mel_l1"] < copies["copy_synthesis"]["log_mel_l1"], "trained for one epoch"
    assert 0 < copies["fitted_copy"]["log_mel_l1"] < copies["copy_synthesis"]["log_mel_l1"]
    timing = json.loads(paths.TIMING.read_text())["real_time_factor"]
    assert timing.keys() == {"synthesis", "copy_synthesis", "fitted_copy", "griffin_lim"}
    assert min(timing.values()) > 0

    front, card = paths.VOICE_CARD.read_text().removeprefix("---\n").split("---\n", 1)
    known = yaml.safe_load(front)
    assert (known["license"], known["license_name"], known["language"]) == ("other", "Ann's: |\nask her", ["en"])
    assert (known["pipeline_tag"], known["tags"][2:]) == ("text-to-speech", ["tacotron2", "vocos"])
    assert known["dtc"]["features"] == read_index(paths.FEATURES).fingerprint
    assert "| licence of the recordings | Ann's: \\| ask her |" in card
    assert "| permission of the speaker | unknown |" in card
    assert f"| Mel-cepstral distortion | {metrics['mel_cepstral_distortion_db']:.2f} dB |" in card
    assert project.run("provenance", str(paths.VOICE_CARD)).count("│ verified │") == 6

    first = project.contents("results", "models")
    project.run("evaluate", "--device", "cpu")
    project.run("report")
    assert project.contents("results", "models") == first, "equal work gives equal bytes: no timing in what DVC tracks"


def test_evaluate_speaks_texts_that_the_corpus_does_not_have(voice: Path, project: Project) -> None:
    for folder in ("data", "models"):
        shutil.copytree(voice / folder, folder)
    Path("own.txt").write_text("call one\nquick jump\n\ncall two three\n")
    project.write_params(
        {
            "evaluate.texts": "own.txt",
            "evaluate.texts_grammar": None,
            "evaluate.max_clips": 2,
            "evaluate.griffin_lim_iterations": 2,
        }
    )
    lines = project.run("evaluate", "--device", "cpu").splitlines()
    assert [line for line in lines if line.startswith("evaluate: left out: own.txt:2: 'q' 'u' 'k' 'j' 'm' 'p'")], lines
    judged = "the recogniser gets 100.0% of the words of the recordings wrong, more than 10%: it cannot judge the voice"
    assert lines[-1] == f"evaluate: {judged}", "the recordings are tones"
    assert json.loads(paths.EVALUATION.read_text())["other_texts_word_error_rate"] > 0
    rows = list(csv.DictReader(paths.UTTERANCES.open()))
    assert [(row["text"], row["heard_in_recording"]) for row in rows[2:]] == [("call one", ""), ("call two three", "")]
    assert [path.name[4:] for path in sorted(paths.WAVS.glob("*.wav"))[2:]] == ["call-one.wav", "call-two-three.wav"]
    project.run("report")
    page = (paths.REPORT / "index.html").read_text()
    assert "texts that the corpus does not have" in page
    assert "it cannot judge the voice" in page


def test_the_training_texts_are_those_of_the_training_split(voice: Path, project: Project) -> None:
    shutil.copytree(voice / "data", "data")
    rows = map(json.loads, paths.MANIFEST.read_text().splitlines())
    found = training_texts()
    assert 4 <= len(found) < 12
    assert set(found) < {row["spoken_text"] for row in rows}


def test_evaluate_deletes_no_files_of_others(voice: Path, project: Project) -> None:
    for folder in ("data", "models"):
        shutil.copytree(voice / folder, folder)
    project.write_params({"evaluate.ear": "none", "evaluate.griffin_lim_iterations": 2})
    paths.WAVS.mkdir(parents=True)
    (paths.WAVS / "interview.wav").write_bytes(b"theirs")
    line = project.run("evaluate", "--device", "cpu", code=2)
    assert line.startswith("results/wavs: holds what dtc did not write (interview.wav), expected nothing else")
    assert (paths.WAVS / "interview.wav").read_bytes() == b"theirs"


def test_evaluate_refuses_features_that_the_models_were_not_trained_on(voice: Path, project: Project) -> None:
    """Another split would test on clips that the models have heard; another mel would be noise."""
    for folder in ("data", "models"):
        shutil.copytree(voice / folder, folder)
    project.write_params({"split.seed": 2})
    project.run("preprocess")
    line = project.run("evaluate", "--device", "cpu", code=2)
    assert line.startswith("acoustic model: trained on features ")
    project.write_params({"audio.hop_length": 200})
    project.run("preprocess")
    line = project.run("evaluate", "--device", "cpu", code=2)
    assert line.startswith("features and voice: different mels: hop_length 200 against 256")


def test_griffin_lim_is_a_vocoder_with_nothing_to_learn(voice: Path, project: Project) -> None:
    for folder in ("data", "models"):
        shutil.copytree(voice / folder, folder)
    project.write_params(
        {"vocoder": {"model": "griffin_lim", "train_on": "recorded", "iterations": 2, "momentum": 0.99}}
    )
    assert "griffin_lim" in project.run("train", "vocoder", "--device", "cpu")
    project.run("say", "one", "--device", "cpu")
    sidecar = json.loads(next(paths.SPOKEN.glob("*.json")).read_text())
    card = json.loads((paths.VOCODER / "config.json").read_text())
    assert (card["config"]["model"], card["steps"]) == ("griffin_lim", 0)
    assert sidecar["audio"]


def test_waveglow_is_trained_and_speaks(voice: Path, project: Project) -> None:
    for folder in ("data", "models"):
        shutil.copytree(voice / folder, folder)
    wavenet = {"num_layers": 2, "num_channels": 4, "kernel_size": 3}
    project.write_params(
        {
            "vocoder": {
                "model": "waveglow",
                "num_flows": 2,
                "group_size": 8,
                "early_every": 4,
                "early_size": 2,
                "conditioning": "upsampled",
                "pre_emphasis": 0.0,
                "wavenet": wavenet,
                "train_on": "recorded",
                "attenuation_db": 0.0,
                "segment_frames": 8,
                "sigma": 1.0,
                "infer_sigma": 0.6,
                "denoiser_strength": 0.1,
            }
        }
    )
    assert "waveglow" in project.run("train", "vocoder", "--device", "cpu")
    project.run("say", "one", "--device", "cpu")
    assert soundfile.info(next(paths.SPOKEN.glob("*.wav"))).frames > 0
    curve = list(csv.DictReader(paths.VOCODER_CURVE.open()))
    assert {"z", "log_s", "log_det"} <= curve[0].keys()


def test_discriminators_train_vocos_and_are_not_saved(voice: Path, project: Project) -> None:
    for folder in ("data", "models"):
        shutil.copytree(voice / folder, folder)
    discriminators = {"periods": [2], "period_channels": [2, 4], "fft_sizes": [128], "spectrum_channels": 2}
    project.write_params(
        {
            "vocoder.adversarial": {
                "start_step": 0,
                "adversarial_weight": 1.0,
                "feature_matching_weight": 1.0,
                "discriminators": discriminators,
            }
        }
    )
    before = load_file(paths.VOCODER / "model.safetensors")
    project.run("train", "vocoder", "--device", "cpu")
    after = load_file(paths.VOCODER / "model.safetensors")
    assert after.keys() == before.keys()
    assert not all(torch.equal(after[name], before[name]) for name in before)
    assert next(csv.DictReader(paths.VOCODER_CURVE.open()))["adversary_loss"]
    project.run("say", "one", "--device", "cpu")


def test_the_vocoder_as_an_onnx_model(voice: Path, project: Project) -> None:
    shutil.copytree(voice / "models", "models")
    printed = project.run("export", "onnx", "deep/vocos.onnx")
    assert "export: mel (batch, 80, frames)" in printed
    assert "export: wave (batch, samples)" in printed
    exported = onnxruntime.InferenceSession("deep/vocos.onnx", providers=["CPUExecutionProvider"])
    mel = np.full((1, 80, 7), -5.0, dtype=np.float32)
    (wave,) = exported.run(["wave"], {"mel": mel})
    vocoder, _ = load_vocoder(paths.VOCODER, torch.device("cpu"))
    with torch.no_grad():
        np.testing.assert_allclose(wave, vocoder(torch.from_numpy(mel)).numpy(), atol=1e-5)
    assert project.run("export", "onnx", "deep/vocos.onnx", code=2).startswith("deep/vocos.onnx: is there already")
