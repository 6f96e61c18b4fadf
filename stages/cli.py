"""The command line, `dtc`. Everything heavy is imported inside the commands, so that `dtc --help` is instant."""

from __future__ import annotations

import errno
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dtc import __version__
from stages import paths

if TYPE_CHECKING:
    import torch
    from rich.console import Console

app = typer.Typer(
    help="Recorded speech in, a voice out, reproducibly. `dvc repro` runs all stages; each is a command too.",
    no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None,
)  # fmt: skip
train = typer.Typer(help="Train one of the two models on data/features.", no_args_is_help=True)
app.add_typer(train, name="train")
corpus = typer.Typer(help="Look at recordings before they become a project.", no_args_is_help=True)
app.add_typer(corpus, name="corpus")
imports = typer.Typer(help="Make a model folder of another project's checkpoint.", no_args_is_help=True)
app.add_typer(imports, name="import")
exports = typer.Typer(help="Write a trained model for another project.", no_args_is_help=True)
app.add_typer(exports, name="export")

ParamsFile = Annotated[Path, typer.Option("--params", help="The experiment.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace what is there.")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N. auto takes CUDA where there is one.")]
PARAMS = Path("params.yaml")
# What the system refuses and a user can mend: rights, a file where a folder should be or the reverse, a path where
# nothing can be, room.
REFUSALS = {
    errno.EACCES, errno.EPERM, errno.EROFS, errno.EEXIST, errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ENOTEMPTY,
    errno.ENAMETOOLONG, errno.ELOOP, errno.ENOSPC, errno.EDQUOT, errno.EFBIG,
}  # fmt: skip


class _Options:
    debug = False


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(f"dtc {__version__}")
        raise typer.Exit


@app.callback()
def main(
    debug: Annotated[bool, typer.Option(help="Show the traceback of an error.")] = False,
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """Set what every command shares."""
    _Options.debug = debug
    # OpenMP's threads spin while they wait for one another, which makes training 20 times slower as soon as another
    # program wants a core; asleep at once, they make it half as fast on a quiet machine. So they spin for a few
    # microseconds (all measured on 2 cores). OpenMP reads this once, when torch is imported.
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")


@app.command()
def params(file: ParamsFile = PARAMS) -> None:
    """Check params.yaml and print what is in force."""
    with _one_line_errors() as console:
        import yaml

        from stages.params import load_params

        tree = load_params(file).model_dump(mode="json")
        console.print(yaml.safe_dump(tree, sort_keys=False), end="", highlight=False, soft_wrap=True)


@app.command()
def download(file: ParamsFile = PARAMS) -> None:
    """Fetch the corpus's archive into data/raw and check its MD5."""
    with _one_line_errors() as console:
        from stages.download import download
        from stages.params import load_params

        download(load_params(file).corpus, console)


@app.command()
def verify(file: ParamsFile = PARAMS) -> None:
    """Check every clip and row of the corpus; write a manifest."""
    with _one_line_errors() as console:
        from pipeline.verify import CorpusSettings
        from stages.params import load_params
        from stages.verify import verify

        verify(CorpusSettings.of(load_params(file)), console)


@corpus.command("check")
def corpus_check(
    source: Annotated[Path, typer.Argument(metavar="SOURCE", help="A folder of recordings, or an archive of one.")],
    file: Annotated[
        Path | None,
        typer.Option("--params", help="Check by these settings; else by params.yaml if there is one, or a preset."),
    ] = None,
) -> None:
    """Tell whether SOURCE is ready to train on. Writes nothing.

    Says what to mend, line by line. Reads every clip and every row, as `dtc verify` will: formats, sampling rates,
    channels, durations, clipping, silence, duplicates, texts, and whether text and clip fit each other. Exit code 0:
    ready; 2: not yet.
    """
    with _one_line_errors() as console:
        from stages.corpus_check import check

        check(source, file or (PARAMS if PARAMS.is_file() else None), console)


@app.command()
def preprocess(file: ParamsFile = PARAMS) -> None:
    """Compute the features of every clip; write shards."""
    with _one_line_errors() as console:
        from stages.params import load_params
        from stages.preprocess import preprocess

        sections = load_params(file)
        preprocess(
            sections.corpus, sections.recording, sections.audio, sections.text, sections.features, sections.split,
            sections.distributed, console,
        )  # fmt: skip


@app.command()
def convert(
    format: Annotated[str, typer.Option("--format", help="torch, numpy or wav.")],
    out: Annotated[Path, typer.Option(help="The folder to write.")] = Path("converted"),
) -> None:
    """Write the features as tensors, arrays or WAVs, with MD5s."""
    with _one_line_errors() as console:
        from stages.convert import convert

        convert(format, out, console)


@train.command("acoustic")
def train_acoustic(file: ParamsFile = PARAMS, device: Device = "auto") -> None:
    """Train text → mel. Ctrl-C saves; the same command goes on."""
    with _one_line_errors() as console:
        from stages.params import load_params
        from stages.train import train_acoustic

        sections = load_params(file)
        train_acoustic(
            sections.acoustic,
            sections.training.acoustic,
            sections.run.acoustic,
            sections.audio,
            _device(device),
            console,
        )


@app.command()
def align(file: ParamsFile = PARAMS, device: Device = "auto") -> None:
    """Predict the recordings' mels, where vocoder.train_on wants them."""
    with _one_line_errors() as console:
        from stages.align import align
        from stages.params import load_params

        align(load_params(file).vocoder.train_on, _device(device), console)


@train.command("vocoder")
def train_vocoder(file: ParamsFile = PARAMS, device: Device = "auto") -> None:
    """Train mel → waveform. Ctrl-C saves; the same command goes on."""
    with _one_line_errors() as console:
        from stages.params import load_params
        from stages.train import train_vocoder

        sections = load_params(file)
        train_vocoder(
            sections.vocoder, sections.training.vocoder, sections.run.vocoder, sections.audio, _device(device), console
        )


@app.command()
def evaluate(file: ParamsFile = PARAMS, device: Device = "auto") -> None:
    """Measure the voice on held-out clips; write the report."""
    with _one_line_errors() as console:
        from stages.evaluate import evaluate
        from stages.params import load_params

        sections = load_params(file)
        evaluate(sections.evaluate, sections.synthesis, _device(device), console)


@app.command()
def say(
    texts: Annotated[list[str] | None, typer.Argument(metavar="TEXT…", help="What to say.")] = None,
    file: Annotated[Path | None, typer.Option("--file", help="A file with one text a line.")] = None,
    out: Annotated[Path, typer.Option(help="Where the WAVs go.")] = paths.SPOKEN,
    seed: Annotated[int, typer.Option(help="Another seed, another rendering.")] = 1,
    stream: Annotated[
        bool, typer.Option("--stream", help="No files: samples to standard output, phrase by phrase, for a player.")
    ] = False,
    params_file: ParamsFile = PARAMS,
    device: Device = "auto",
) -> None:
    """Speak texts of any length: a WAV and a JSON sidecar each."""
    with _one_line_errors() as console:
        from stages.params import load_params
        from stages.say import read_texts, say
        from stages.say import stream as stream_texts

        config = load_params(params_file).synthesis
        if stream:
            console.stderr = True
            stream_texts(read_texts(texts or [], file), config, seed, _device(device), sys.stdout.buffer, console)
            return
        say(read_texts(texts or [], file), config, out, seed, _device(device), console)


TheirCheckpoint = Annotated[
    Path,
    typer.Argument(
        metavar="FILE", help="A checkpoint of NVIDIA's or DeepLearningExamples', or a state_dict; .safetensors too."
    ),
]
TheirHparams = Annotated[Path | None, typer.Option(help="Its hyper-parameters by NVIDIA's names, as JSON.")]
NewCheckpoint = Annotated[Path, typer.Argument(metavar="FILE", help="The checkpoint to write.")]


@imports.command("nvidia-tacotron2")
def import_nvidia_tacotron2(
    file: TheirCheckpoint,
    hparams: TheirHparams = None,
    out: Annotated[Path, typer.Option(help="The model folder to write.")] = paths.ACOUSTIC,
    overwrite: Overwrite = False,
) -> None:
    """Import a Tacotron 2 of NVIDIA's. No code in the file is run."""
    with _one_line_errors() as console:
        from stages.import_export import import_nvidia_tacotron2

        import_nvidia_tacotron2(file, hparams, out, overwrite, console)


@imports.command("nvidia-waveglow")
def import_nvidia_waveglow(
    file: TheirCheckpoint,
    hparams: TheirHparams = None,
    out: Annotated[Path, typer.Option(help="The model folder to write.")] = paths.VOCODER,
    overwrite: Overwrite = False,
) -> None:
    """Import a WaveGlow of NVIDIA's. No code in the file is run."""
    with _one_line_errors() as console:
        from stages.import_export import import_nvidia_waveglow

        import_nvidia_waveglow(file, hparams, out, overwrite, console)


@exports.command("onnx")
def export_onnx(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The model to write.")],
    model: Annotated[Path, typer.Option(help="The model folder to read.")] = paths.VOCODER,
    overwrite: Overwrite = False,
) -> None:
    """Export a vocoder for onnxruntime, which needs no PyTorch."""
    with _one_line_errors() as console:
        from stages.import_export import export_onnx

        export_onnx(file, model, overwrite, console)


@exports.command("nvidia-waveglow")
def export_nvidia_waveglow(
    file: NewCheckpoint,
    model: Annotated[Path, typer.Option(help="The model folder to read.")] = paths.VOCODER,
    overwrite: Overwrite = False,
) -> None:
    """Export a WaveGlow as a state_dict of NVIDIA's."""
    with _one_line_errors() as console:
        from stages.import_export import export_nvidia_waveglow

        export_nvidia_waveglow(file, model, overwrite, console)


@exports.command("nvidia-tacotron2")
def export_nvidia_tacotron2(
    file: NewCheckpoint,
    model: Annotated[Path, typer.Option(help="The model folder to read.")] = paths.ACOUSTIC,
    overwrite: Overwrite = False,
) -> None:
    """Export the acoustic model as a Tacotron 2 of NVIDIA's."""
    with _one_line_errors() as console:
        from stages.import_export import export_nvidia_tacotron2

        export_nvidia_tacotron2(file, model, overwrite, console)


@contextmanager
def _one_line_errors() -> Iterator[Console]:
    """The console of a command; what went wrong as one line on standard error, and an exit code that says whose it is.

    2: something the user gave; 1: training broke; 130: interrupted, go on with the same command.
    """
    from rich.console import Console

    try:
        # Where nobody looks at a terminal, lines stay whole: logs are searched. Brackets and colons in paths and texts
        # are no markup.
        watched = sys.stdout.isatty()
        yield Console(soft_wrap=not watched, width=None if watched else 160, markup=False, emoji=False)
    except (Exception, KeyboardInterrupt) as error:
        code = _exit_code(error)
        if _Options.debug or code is None:
            raise
        typer.echo(f"dtc: {_line(error)}", err=True)
        raise typer.Exit(code) from None


def _line(error: BaseException) -> str:
    from dtc.errors import InputError

    if isinstance(error, OSError):
        where = error.filename2 or error.filename or "the file system"
        error = InputError(where, f"cannot be used ({error.strerror})", remedy="mend it and run it again")
    return str(error) or "interrupted"


def _exit_code(error: BaseException) -> int | None:
    """None for a fault of our own, which shows its traceback."""
    from dtc.errors import InputError

    if isinstance(error, InputError) or (isinstance(error, OSError) and error.errno in REFUSALS):
        return 2
    if isinstance(error, KeyboardInterrupt):
        return 130
    # By name: importing the class would import torch.
    return 1 if type(error).__name__ in ("NonFiniteLoss", "Diverged") else None


def _device(name: str) -> torch.device:
    import torch

    from dtc.errors import InputError

    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if not re.fullmatch(r"cpu|cuda(:\d+)?", name):
        raise InputError("--device", f"found {name!r}", "auto, cpu, cuda or cuda:N")
    device = torch.device(name)
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise InputError("--device", f"{name}, of {torch.cuda.device_count()} CUDA devices", remedy="use --device cpu")
    return device
