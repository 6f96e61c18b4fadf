"""The commands that make a voice, in the order in which `dvc repro` runs them. The others are in the files cli_*.py.

Everything heavy is imported inside the commands: `dtc --help` is instant, and only what computes imports torch.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dtc import __version__
from stages import cli_project, cli_voice, cli_watch, paths
from stages.cli_base import (
    Commands,
    Device,
    ParamsFile,
    console,
    examples,
    group,
    print_notices_in_one_line,
    require_noted_code,
    set_thread_waiting,
    warn_of_other_code,
)
from stages.cli_base import device as device_of
from stages.cli_errors import EXIT_CODES

if TYPE_CHECKING:
    from dtc.model_card import ModelKind

app = typer.Typer(
    cls=Commands,
    help="Turn recorded speech into a voice, reproducibly.\n\n`dvc repro` runs all stages; each is a command too.",
    epilog=examples(
        "dtc init my-voice                make a project of your own recordings",
        "dtc corpus check recordings/     are these recordings ready to train on?",
        "dvc repro                        run every stage whose inputs changed",
        "dvc exp run -S split.seed=2      the same with another value of params.yaml",
        'dtc say "call 90210 at 7:45"     speak with the trained voice',
    )
    + f"\n\n{EXIT_CODES}",
    subcommand_metavar="COMMAND",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
corpus = group("Check recordings before you make a project of them.", "dtc corpus check recordings/")
train = group(
    "Train one of the two models on data/features.", "dtc train acoustic", "dtc train vocoder --device cuda:1"
)
tune = group("Search for good settings by many trainings.", "dtc tune acoustic", "dtc tune vocoder --apply")


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(f"dtc {__version__}")
        raise typer.Exit


@app.callback()
def main(
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """Prepare the process for any command."""
    warn_of_other_code()
    require_noted_code()
    set_thread_waiting()
    print_notices_in_one_line()


app.command("init", epilog=cli_project.INIT_EXAMPLES)(cli_project.init)
app.command("doctor", epilog=examples("dtc doctor", "dtc doctor --quick"))(cli_project.doctor)


@app.command(epilog=examples("dtc params", "dtc params --params stages/presets/ljspeech.yaml"))
def params(file: ParamsFile = paths.PARAMS) -> None:
    """Check params.yaml and print all settings in it.

    Those of `active_setting` and `use_model` are in effect; the first lines name them.
    """
    import yaml

    from stages.named_parts import choices
    from stages.params import load_params
    from stages.params_file import read_yaml

    sections = load_params(file)
    paths.require_apart(sections.corpus.source)
    tree = sections.model_dump(mode="json")
    for line in choices(read_yaml(file), file):
        console().print(f"# {line}", soft_wrap=True)
    console().print(yaml.safe_dump(tree, sort_keys=False, allow_unicode=True), end="", soft_wrap=True)


@app.command(epilog=examples("dtc download"))
def download(file: ParamsFile = paths.PARAMS) -> None:
    """Fetch the corpus's archive and check its MD5.

    An interrupted download is continued where it stopped. Files that dtc did not write are never deleted.
    """
    from stages.download import download
    from stages.params import load_params

    download(load_params(file, "corpus").corpus, console())


@app.command(epilog=examples("dtc verify"))
def verify(file: ParamsFile = paths.PARAMS) -> None:
    """Check every clip and every row of the corpus.

    Writes data/manifest.jsonl, which lists the clips to train on, and a summary in results/corpus.md.
    """
    from pipeline.verify import CorpusSettings
    from stages.params import load_params
    from stages.verify import verify

    verify(CorpusSettings.of(load_params(file, "corpus", "recording", "verify", "audio", "text")), console())


CHECK_PARAMS = (
    "Check with the settings of this file. [default: params.yaml, where SOURCE is its corpus.source; else a preset, at "
    "the sampling rate of most clips]"
)


@corpus.command("check", epilog=examples("dtc corpus check recordings/", "dtc corpus check --params params.yaml a.zip"))
def corpus_check(
    source: Annotated[Path, typer.Argument(metavar="SOURCE", help="A folder of recordings, or an archive of one.")],
    file: Annotated[
        Path | None,
        typer.Option("--params", help=CHECK_PARAMS),
    ] = None,
    format: Annotated[
        str | None, typer.Option("--format", help="The corpus.format to use: ljspeech, filelist, jsonl or auto.")
    ] = None,
) -> None:
    """Check whether SOURCE is ready to train on. Writes nothing.

    Reads every clip and every row, as `dtc verify` will: formats, sampling rates, channels, durations, clipping,
    silence, duplicates, texts, and whether text and clip fit each other. Prints what to mend, line by line. Exit code
    0: ready; 2: not yet.
    """
    from stages.corpus_check import check, params_of

    check(source, file or params_of(source), console(), format)


@app.command(epilog=examples("dtc preprocess"))
def preprocess(file: ParamsFile = paths.PARAMS) -> None:
    """Compute the features of every clip, and write shards."""
    from stages.params import load_params
    from stages.preprocess import preprocess

    sections = load_params(file, "corpus", "recording", "audio", "text", "features", "split", "distributed")
    preprocess(sections, console())


@app.command(epilog=examples("dtc convert --format torch", "dtc convert --format wav --out recordings-16k"))
def convert(
    format: Annotated[str, typer.Option("--format", help="torch, numpy or wav.")],
    out: Annotated[Path, typer.Option(help="The folder to write.")] = Path("converted"),
) -> None:
    """Write the features as tensors, arrays or WAV files, with MD5s."""
    from stages.convert import convert

    convert(format, out, console())


def _add_training(name: ModelKind, model: str) -> None:
    @train.command(
        name,
        help=f"Train the {model}.\n\nCtrl-C saves the state, and the same command continues from it.",
        epilog=examples(f"dtc train {name}", f"dtc train {name} --device cuda:1"),
    )
    def train_model(
        file: ParamsFile = paths.PARAMS,
        device: Device = "auto",
        profile: Annotated[
            bool, typer.Option("--profile", help="Profile 20 steps: where does the time go? It changes no weight.")
        ] = False,
    ) -> None:
        from stages.launch import training_devices
        from stages.params import load_training

        sections = load_training(file, name)
        with training_devices(sections.run.devices, device) as devices:
            from stages.train import train

            train(name, sections, devices, console(quiet=not devices.is_main), profile)


_add_training("acoustic", "acoustic model, text to mel")
_add_training("vocoder", "vocoder, mel to waveform")


@train.command("all", epilog=examples("dtc train all"))
def train_all(file: ParamsFile = paths.PARAMS, device: Device = "auto") -> None:
    """Train the models that strategy.order names, one after another.

    Where the vocoder learns from predicted mels, `dtc align` runs between them.
    """
    from stages.launch import training_devices
    from stages.params import load_params, load_strategy

    sections, strategy = load_params(file), load_strategy(file)
    with training_devices(sections.run.devices, device) as devices:
        from stages.train import train_in_turn

        train_in_turn(strategy, sections, devices, console(quiet=not devices.is_main))


def _add_search(name: ModelKind) -> None:
    @tune.command(
        name,
        help="Search for good values of params.yaml, as its section `tune` says.\n\n"
        "Writes results/tune. Ctrl-C saves the trials, and the same command continues them.",
        epilog=examples(f"dtc tune {name}", f"dtc tune {name} --apply"),
    )
    def tune_model(
        file: ParamsFile = paths.PARAMS,
        apply: Annotated[bool, typer.Option("--apply", help="Write the best values into the params file.")] = False,
    ) -> None:
        from stages.tune import tune

        tune(name, file, apply, console())


_add_search("acoustic")
_add_search("vocoder")


@app.command(epilog=examples("dtc align"))
def align(file: ParamsFile = paths.PARAMS, device: Device = "auto") -> None:
    """Predict the mels of the recordings for the vocoder.

    The acoustic model predicts them where vocoder.train_on is gta or both; otherwise only a note is written.
    """
    from stages.align import align
    from stages.params import load_params

    align(load_params(file, "vocoder").vocoder.train_on, device_of(device), console())


@app.command(epilog=examples("dtc evaluate", "dtc evaluate --stress"))
def evaluate(
    file: ParamsFile = paths.PARAMS,
    device: Device = "auto",
    stress: Annotated[
        bool, typer.Option("--stress", help="Speak 60 texts that are hard to read instead of the held-out ones.")
    ] = False,
) -> None:
    """Measure the voice on held-out clips.

    Writes metrics, sounds, the voice's card models/VOICE.md, and what `dtc report` makes the report's page of. With
    --stress it writes results/stress.csv and results/metrics/stress.json.
    """
    from stages.params import load_params

    if stress:
        from stages.stress import stress as speak_stress_list

        sections = load_params(file, "synthesis", "evaluate")
        speak_stress_list(sections.evaluate, sections.synthesis, device_of(device), console())
        return
    from stages.evaluate import evaluate
    from stages.voice_card import Rights

    sections = load_params(file, "synthesis", "evaluate", "corpus.licence", "corpus.consent")
    rights = Rights(sections.corpus.licence, sections.corpus.consent)
    evaluate(sections.evaluate, sections.synthesis, rights, device_of(device), console())


app.command("reproduce", epilog=cli_project.REPRODUCE_EXAMPLES)(cli_project.reproduce)
for name, (command, epilog) in (cli_watch.COMMANDS | cli_voice.COMMANDS).items():
    app.command(name, epilog=epilog)(command)
app.add_typer(corpus, name="corpus")
app.add_typer(train, name="train")
app.add_typer(tune, name="tune")
app.add_typer(cli_voice.imports, name="import")
app.add_typer(cli_voice.exports, name="export")

if __name__ == "__main__":  # `torchrun -m stages.cli train acoustic`, as `python -m stages`
    from stages.__main__ import main as run

    run()
