"""`dtc`: instant help, params that print as they are read, and every fault of the user's as one line and exit code 2."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from dtc import __version__
from dtc.errors import InputError
from stages.cli import app
from stages.named_parts import NamedParts
from stages.params import load_params, load_synthesis
from tests.conftest import REPOSITORY, Project
from tests.training_params import SPIKES


def imported_by(*arguments: str) -> set[str]:
    """Run a `dtc` command in a process of its own; return the modules that it has imported."""
    program = (
        "import sys\n"
        "sys.argv[1:] = " + repr(list(arguments)) + "\n"
        "from stages.__main__ import main\n"
        "try: main()\n"
        "except SystemExit as end: assert not end.code, end.code\n"
        "finally: print('loaded:', *sorted(sys.modules))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return set(done.stdout.splitlines()[-1].split()[1:])


def test_help_imports_nothing_heavy() -> None:
    assert not imported_by("--help") & {"torch", "numpy", "pydantic", "soundfile", "yaml", "rich", "requests"}


@pytest.mark.parametrize("command", [["params"], ["download"], ["--version"]])
def test_no_command_imports_torch_that_does_not_compute(project: Project, command: list[str]) -> None:
    assert not imported_by(*command) & {"torch", "scipy", "soundfile"}


def commands() -> list[list[str]]:
    """Every command and every group of commands, as it is typed."""
    groups = [([group.name], group.typer_instance) for group in app.registered_groups]
    found = [[], *(path for path, _ in groups)]
    for path, group in [([], app), *groups]:
        assert group is not None
        found += [[*path, command.name or command.callback.__name__] for command in group.registered_commands]
    return found


def test_every_command_is_listed() -> None:
    assert len(commands()) == len({tuple(command) for command in commands()})
    assert ["corpus", "check"] in commands()
    assert ["say"] in commands()


@pytest.mark.parametrize("command", commands(), ids=" ".join)
def test_every_help_is_whole_at_80_columns_and_has_examples(command: list[str]) -> None:
    shown = CliRunner().invoke(app, [*command, "--help"], terminal_width=80).stdout
    usage, *rest = shown.splitlines()
    assert usage.startswith(f"Usage: {' '.join(['dtc', *command])} ")
    assert max(map(len, shown.splitlines())) <= 80
    assert "…" not in shown
    assert not [line for line in rest if "..." in line]
    assert "Examples:" in [line.strip() for line in rest]
    examples = [line.strip() for line in rest[[line.strip() for line in rest].index("Examples:") + 1 :]]
    assert examples[0].startswith(("dtc ", "dvc "))


def test_the_exit_codes_are_told_once() -> None:
    told = [command for command in commands() if "Exit codes:" in CliRunner().invoke(app, [*command, "--help"]).stdout]
    assert told == [[]]


def test_the_version() -> None:
    assert CliRunner().invoke(app, ["--version"]).stdout == f"dtc {__version__}\n"


PRESETS = REPOSITORY / "stages/presets"


@pytest.mark.parametrize("preset", sorted(path.name for path in PRESETS.iterdir()))
def test_every_preset_is_a_whole_experiment(preset: str) -> None:
    load_params(PRESETS / preset)


def test_the_repositorys_params_are_the_preset_numbers() -> None:
    assert (REPOSITORY / "params.yaml").read_text() == (PRESETS / "numbers.yaml").read_text()


def test_params_prints_what_is_in_force(project: Project) -> None:
    # Long, and with what a console might take for markup, an emoji or a number.
    project.write_params({"corpus.source": f"/data/[bold]/:smile:/größe/{'x' * 200}/1.0", "corpus.md5": "0" * 32})
    printed = project.run("params")
    assert "/größe/" in printed, "readable, without escapes"
    Path("again.yaml").write_text(printed)
    assert load_params(Path("again.yaml")) == load_params(Path("params.yaml"))
    keys = yaml.safe_load(Path("params.yaml").read_text())
    assert list(yaml.safe_load(printed)) == [key for key in keys if key not in NamedParts.model_fields]
    first, _, rest = printed.partition("\n")
    assert first == "# active_setting: null, of settings: debug"
    assert project.run("params", "--params", "again.yaml") == rest
    project.write_params({"active_setting": "debug", "models": {"a": {}, "b": {}}, "use_model": "b"})
    assert project.run("params").splitlines()[:2] == [
        "# active_setting: debug, of settings: debug",
        "# use_model: b, of models: a, b",
    ]


def test_a_number_written_without_a_dot_is_a_number(project: Project) -> None:
    project.write_params({"training.acoustic.optimizer.learning_rate": "1e-3"})
    assert "learning_rate: 1e-3\n" in Path("params.yaml").read_text().replace("'", "")
    assert load_params(Path("params.yaml")).training.acoustic.optimizer.learning_rate == 0.001


@pytest.mark.parametrize(
    ("edits", "line"),
    [
        ({"audio.sampling_rate": "fast"}, "params.yaml: audio.sampling_rate: found 'fast', expected an integer"),
        ({"audio.hop_length": 0}, "params.yaml: audio.hop_length: found 0, expected greater than 0"),
        (
            {"audio.mel_fmax": 9000},
            "params.yaml: audio: mel_fmin 0, mel_fmax 9000, expected mel_fmin < mel_fmax <= sampling_rate / 2",
        ),
        ({"split.test_share": 0.5}, "params.yaml: split.test_share: found 0.5, expected less than 0.5"),
        ({"features.stft": "sometimes"}, "params.yaml: features.stft: found 'sometimes', expected true or false"),
        (
            {"corpus.md5": "abc"},
            "params.yaml: corpus.md5: found 'abc', expected 32 hexadecimal digits in small letters, as md5sum prints them",
        ),
        (
            {"corpus.name": "my corpus"},
            "params.yaml: corpus.name: found 'my corpus', expected letters without accents, digits, - and _",
        ),
        (
            {"evaluate.grammar": "no.jsgf"},
            "params.yaml: evaluate.grammar: no.jsgf: no such file, expected a JSGF grammar, or the name",
        ),
        (
            {"evaluate.grammar": "letters"},
            "params.yaml: evaluate.grammar: letters does not ship with dtc, expected bare-numbers, numbers",
        ),
        (
            {"evaluate.texts_grammar": "letters"},
            "params.yaml: evaluate.texts_grammar: letters does not ship with dtc, expected bare-numbers, numbers",
        ),
        (
            {"evaluate.texts": "letters.txt"},
            "params.yaml: evaluate.texts: letters.txt: no such file, expected a file with one text in each line, or the",
        ),
        (
            {"vocoder.model": "wavenet"},
            "params.yaml: vocoder.model: found 'wavenet', expected one of 'griffin_lim', 'vocos', 'waveglow'",
        ),
        (
            {"acoustic.model": "tacotron"},
            "params.yaml: acoustic.model: found 'tacotron', expected one of 'tacotron2', 'dtc', 'parallel'; did you mean tacotron2?",
        ),
        (
            {"corpus.source": "http://[bad"},
            "params.yaml: corpus.source: found 'http://[bad', expected a URL or a path (",
        ),
        ({"corpus.source": "a\0b"}, "params.yaml: corpus.source: found 'a\\x00b', expected a URL or a path without"),
        (
            {"corpus.source": "~nobody-at-all/a"},
            "params.yaml: corpus.source: found '~nobody-at-all/a', expected a URL or",
        ),
        ({"corpus.mirrors": ["http://[bad"]}, "params.yaml: corpus.mirrors.0: found 'http://[bad', expected a URL or"),
        ({"corpus.source": "."}, "corpus.source: . contains data/archive, which dtc writes, expected a folder or an"),
        ({"text.symbols": "ipa"}, "params.yaml: text.symbols: found 'ipa', expected 'nvidia'"),
        ({"training.vocoder.epochs": -1}, "params.yaml: training.vocoder.epochs: found -1, expected greater than 0"),
    ],
)
def test_a_wrong_value_is_refused(project: Project, edits: dict[str, object], line: str) -> None:
    project.write_params(edits)
    assert project.run("params", code=2).startswith(line)
    project.write_params()
    project.run("params")


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ("corpus:", "corpsu:", "params.yaml: corpsu: unknown key; did you mean corpus?"),
        (
            "  dim:",
            "  dimm:",
            "params.yaml: vocoder.dimm: unknown key; did you mean dim?",
        ),
        (
            "  seed:",
            "  sede:",
            "params.yaml: split.sede: unknown key; did you mean seed?",
        ),
        ("    fft_sizes:", "    fft_size:", "params.yaml: vocoder.loss.fft_size: unknown key; did you mean fft_sizes?"),
        (
            "  stft: false\n",
            "",
            "params.yaml: features.stft: missing; add it as in the params.yaml of `dtc init example --preset voice`",
        ),
        ("corpus:", "corpus: ]", "params.yaml, line 1, column 9: not YAML ("),
    ],
)
def test_a_wrong_key_is_refused(project: Project, old: str, new: str, line: str) -> None:
    text = Path("params.yaml").read_text()
    assert old in text
    Path("params.yaml").write_text(text.replace(old, new, 1))
    assert project.run("params", code=2).startswith(line)


def test_a_key_of_an_older_version_is_named_with_its_new_place(project: Project) -> None:
    text = Path("params.yaml").read_text()
    Path("params.yaml").write_text(text.replace("\nverify:", "\naudit:", 1))
    for command in ("params", "download"):
        assert project.run(command, code=2) == "params.yaml: audit: a key of an older version; move it to verify"
    for old, new in (
        ("training.acoustic.weight_average_decay", "training.acoustic.weight_average"),
        ("training.vocoder.loss_spike_deviations", "training.vocoder.loss_spikes"),
        ("training.acoustic.log_every", "run.acoustic.tensorboard_update"),
        ("run.vocoder.checkpoint_every", "run.vocoder.epochs_save, with save_per_iteration: true"),
        ("run.acoustic.validate_every", "run.acoustic.epochs_test, with test_per_iteration: true"),
    ):
        tree = yaml.safe_load(text)
        section, kind, key = old.split(".")
        tree[section][kind][key] = 1
        Path("params.yaml").write_text(yaml.safe_dump(tree))
        assert project.run("params", code=2) == f"params.yaml: {old}: a key of an older version; move it to {new}"


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (
            None,
            "params.yaml: no such file, expected the params file of a project; run it in a project's folder, or pass ",
        ),
        ("", "params.yaml: (the whole file): found null, expected keys and values"),
        ("[1, 2]", "params.yaml: (the whole file): found a list, expected keys and values"),
    ],
)
def test_no_params(project: Project, content: str | None, line: str) -> None:
    Path("params.yaml").unlink()
    if content is not None:
        Path("params.yaml").write_text(content)
    assert project.run("download", code=2).startswith(line)
    assert not Path("data").exists()


@pytest.mark.parametrize(
    "command", [["params"], ["train", "acoustic"], ["verify"], ["say", "--params", "params.yaml", "12"]]
)
def test_outside_a_project(project: Project, command: list[str]) -> None:
    Path("params.yaml").unlink()
    assert project.run(*command, code=2) == (
        "params.yaml: no such file, expected the params file of a project; "
        "run it in a project's folder, or pass --params FILE"
    )


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["verify"], "data/archive: nothing there, expected the corpus's archive, alone; run `dtc download` first"),
        (["preprocess"], "data/archive: nothing there, expected the corpus's archive, alone; run `dtc download` first"),
        (
            ["train", "acoustic"],
            "data/features/index.json: no such file, expected the index of the features; run `dtc ",
        ),
        (
            ["train", "vocoder"],
            "data/features/index.json: no such file, expected the index of the features; run `dtc pr",
        ),
        (
            ["say", "call 7"],
            "models: no such folder, expected the folder that holds acoustic/ and vocoder/; name another, or run `dtc ",
        ),
        (["say"], "say: nothing to say, expected a text or --file; try `dtc say"),
        (["say", "--file", "none.txt"], "none.txt: no such file, expected a file with one text in each line"),
        (["say", "call 7", "--device", "abacus"], "--device: found 'abacus', expected auto, cpu, cuda or cuda:N"),
    ],
)
def test_a_stage_before_its_time_names_the_one_to_run(project: Project, arguments: list[str], line: str) -> None:
    assert project.run(*arguments, code=2).startswith(line)
    assert not [
        path for path in (project.root / "data", project.root / "models", project.root / "spoken") if path.exists()
    ]


@pytest.mark.parametrize(
    ("command", "edits"),
    [
        (["download"], {"audio.hop_length": 0, "synthesis.attempts": 0}),
        (["verify"], {"vocoder.model": "wavenet", "training.acoustic.epochs": 0, "split.test_share": 2.0}),
        (["preprocess"], {"vocoder.model": "wavenet", "verify.faulty_clips": "hide"}),
        (["train", "acoustic"], {"vocoder.model": "wavenet", "training.vocoder.epochs": 0, "corpus.md5": "x"}),
        (["train", "vocoder"], {"acoustic.model": "tacotron", "training.acoustic.epochs": 0, "corpus.md5": "x"}),
        (["align"], {"acoustic.model": "tacotron", "audio.hop_length": 0}),
        (["evaluate"], {"acoustic.model": "tacotron", "audio.hop_length": 0, "corpus.md5": "x"}),
    ],
)
def test_a_command_reads_its_own_sections_only(project: Project, command: list[str], edits: dict[str, object]) -> None:
    """What is wrong elsewhere is not its business: it gets as far as with good params, and `dtc params` refuses."""
    code = 0 if command[0] in ("download", "align") else 2
    before = project.run(*command, code=code)
    assert "params.yaml" not in before
    project.write_params(edits)
    if code:
        assert project.run(*command, code=code) == before
    project.run(*command, code=code)
    assert project.run("params", code=2).startswith("params.yaml: ")


def test_an_unknown_section_is_refused_by_every_command(project: Project) -> None:
    Path("params.yaml").write_text(Path("params.yaml").read_text() + "trainign: {}\n")
    for command in ("verify", "download", "params"):
        assert project.run(command, code=2).endswith("did you mean training?")


def test_the_synthesis_settings_are_those_of_params_yaml_if_there_is_one(project: Project) -> None:
    project.write_params({"synthesis.attempts": 7, "acoustic.model": "tacotron"})
    Path("params.yaml").write_text(Path("params.yaml").read_text() + "trainign: {}\n")
    assert load_synthesis(None).attempts == 7
    assert load_synthesis(Path("params.yaml")).attempts == 7
    assert load_synthesis(PRESETS / "numbers.yaml").attempts == 3
    Path("params.yaml").write_text("corpus: {}\n")
    assert load_synthesis(None) == load_synthesis(PRESETS / "numbers.yaml")
    with pytest.raises(InputError, match="synthesis: missing"):
        load_synthesis(Path("params.yaml"))
    Path("params.yaml").write_text("synthesis: {attempts: 0}\n")
    with pytest.raises(InputError, match="synthesis"):
        load_synthesis(None)
    Path("params.yaml").unlink()
    assert load_synthesis(None) == load_synthesis(PRESETS / "numbers.yaml")


def test_a_real_process_prints_one_line(project: Project) -> None:
    project.write_params({"corpus.source": "nowhere"})
    done = subprocess.run([sys.executable, "-m", "stages", "download"], capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr == (
        "dtc: corpus.source: nowhere: no such file or folder, expected an archive, a folder or a URL\n"
    )
    assert done.stdout == ""


def test_debug_shows_the_traceback(project: Project) -> None:
    result = CliRunner().invoke(app, ["--debug", "verify"])
    assert isinstance(result.exception, InputError)
    project.run("verify", code=2)


def test_a_group_of_samples_that_does_not_fit_a_frame_is_refused_at_once(project: Project) -> None:
    wavenet = {"num_layers": 2, "num_channels": 4, "kernel_size": 3}
    project.write_params(
        {
            "vocoder": {
                "model": "waveglow",
                "num_flows": 2,
                "group_size": 10,
                "early_every": 4,
                "early_size": 2,
                "conditioning": "upsampled",
                "pre_emphasis": 0.0,
                "wavenet": wavenet,
                "train_on": "recorded",
                "segment_frames": 8,
                "attenuation_db": 0.0,
                "sigma": 1.0,
                "infer_sigma": 0.6,
                "denoiser_strength": 0.0,
            }
        }
    )
    line = project.run("params", code=2)
    assert line == "params.yaml: vocoder: group_size 10, expected a divisor of hop_length 256"


def test_a_guard_against_spikes_with_a_schedule_that_moves_the_loss_is_refused_at_once(project: Project) -> None:
    schedule = {"acoustic.frames_per_step": [[0, 4], [100, 2]]}
    project.write_params(schedule)
    project.run("params")
    project.write_params(schedule | {"training.acoustic.loss_spikes": SPIKES})
    line = project.run("params", code=2)
    assert "loss_spikes with a schedule in acoustic.frames_per_step, expected null" in line
