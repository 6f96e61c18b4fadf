"""The commands that make a project and look at it as a whole: `dtc init`, `dtc doctor` and `dtc reproduce`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from dtc.errors import InputError
from stages.cli_base import Device, ask, console, device_named, examples

INIT_EXAMPLES = examples(
    "dtc init my-voice --recordings recordings/",
    "dtc init numbers --preset numbers        the demo, with its own corpus",
    "dtc init --update my-voice               after an upgrade of dtc",
)


def init(
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="The folder of the project, which may be new.")
    ] = Path(),
    preset: Annotated[
        str | None,
        typer.Option(
            help="What params.yaml is made of: voice, for recordings of your own, numbers, ljspeech and others. "
            "[default: voice]"
        ),
    ] = None,
    recordings: Annotated[
        str | None, typer.Option(metavar="SOURCE", help="A folder or an archive of recordings, or the URL of one.")
    ] = None,
    device: Annotated[
        str | None, typer.Option(help="The device that dvc.yaml names: auto, cpu, cuda or cuda:N. [default: auto]")
    ] = None,
    licence: Annotated[
        str | None, typer.Option(help="The licence of the recordings, such as cc-by-4.0. [default: unknown]")
    ] = None,
    consent: Annotated[
        str | None, typer.Option(help="The speaker's permission to make a voice, in a sentence. [default: unknown]")
    ] = None,
    update: Annotated[
        bool, typer.Option("--update", help="Note the code of an upgraded dtc in the project, and say what runs again.")
    ] = False,
) -> None:
    """Make a project: settings, stages, a README; git and DVC.

    Checks the recordings. On a terminal, asks for what no option gives. No file that is there already is replaced.
    """
    from stages import init as project

    if update:
        if preset or recordings or device or licence or consent:
            raise InputError("--update", "given together with what it keeps", remedy="change params.yaml and dvc.yaml")
        project.update(folder, console())
        return
    wanted = project.Wanted(folder, preset or "voice", recordings, device, licence, consent)
    if sys.stdin.isatty() and sys.stdout.isatty():
        wanted = wanted.completed(ask)
    project.init(wanted, console())


def doctor(
    device: Device = "auto",
    quick: Annotated[bool, typer.Option("--quick", help="Time no training steps.")] = False,
) -> None:
    """Look at installation, machine and project.

    Where there are features, times 20 steps of each training that is not done, and says how long it takes, how much
    memory it needs, and what its curve shows at which step. Changes nothing. What has to be mended is marked with !!,
    and the exit code is 2 then.
    """
    from stages.doctor import doctor

    doctor(device_named(device), not quick, console())


REPRODUCE_EXAMPLES = examples(
    "dtc reproduce                     does this machine make what dvc.lock says?",
    "dtc reproduce --preset smoke      tiny models, twice: minutes",
    "dtc reproduce --rev v1.0 --require tolerance",
)


def reproduce(
    preset: Annotated[
        str | None, typer.Option(help="Run this preset instead of params.yaml, twice, as it is not what was locked.")
    ] = None,
    revision: Annotated[str, typer.Option("--rev", help="The revision of git to run.")] = "HEAD",
    require: Annotated[
        str, typer.Option(help="identical: all outputs have equal bytes; tolerance: or values within --tolerance.")
    ] = "identical",
    tolerance: Annotated[
        float, typer.Option(min=0.0, help="The largest difference, relative to the largest value of a tensor or line.")
    ] = 1e-3,
    keep: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Keep the clones in this new folder. [default: delete them]")
    ] = None,
) -> None:
    """Run all stages in a temporary clone, and compare the outputs.

    They are compared with dvc.lock of the revision: identical; equal within the tolerance, with the largest difference;
    or different. For values the expected files must be here, as in DVC's cache. Exit code 0: as equal as --require
    says; 2: not.
    """
    from stages.reproduce import Reproduction, reproduce

    if require not in ("identical", "tolerance"):
        raise InputError("--require", f"found {require!r}", "identical or tolerance")
    reproduce(Reproduction(revision, preset, require == "identical", tolerance, keep), console())
