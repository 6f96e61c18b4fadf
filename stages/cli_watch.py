"""The commands that look at what is there: `dtc report`, `dtc board`, `dtc debug-batch`, `dtc runs` and others."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dtc.errors import InputError, install_hint
from stages import paths
from stages.cli_base import Device, ParamsFile, confirm, console, examples
from stages.cli_base import device as device_of

if TYPE_CHECKING:
    from stages.kinds import Kind
    from stages.params import Params

RUNS_EXAMPLES = examples(
    "dtc runs                    list all runs",
    "dtc runs --prune            show those that are not current, ask, delete",
    "dtc runs --prune --yes vocoder-0123456789abcdef",
)


REPORT_EXAMPLES = examples(
    "dtc report",
    "dtc report --open                see it, with changes since the last commit",
    "dtc report --compare v1.0        is this voice better than that of v1.0?",
)


def report(
    compare: Annotated[
        str | None,
        typer.Option(metavar="REV", help="Add what changed since a revision of git, in runs/report/index.html."),
    ] = None,
    in_browser: Annotated[
        bool, typer.Option("--open", help="Open the page in a browser, with the changes since REV or HEAD.")
    ] = False,
) -> None:
    """Make the report's page of what `dtc evaluate` has saved.

    Shows also what `dtc judge`, `dtc duel` and `dtc evaluate --stress` found. The page is results/report/index.html. It
    holds all sounds and pictures, so it can be moved and mailed. With --compare or --open it is runs/report/index.html,
    which no stage writes. The same texts by both voices are compared pairwise.
    """
    if compare or in_browser:
        from stages.report_view import view

        view(compare, in_browser, console())
        return
    from stages.report import report

    report(console())


def board(
    port: Annotated[
        int | None,
        typer.Option(min=1, max=65535, help="The port to listen on. [default: 6006, or the next free one]"),
    ] = None,
) -> None:
    """Show the curves, pictures and sounds of all runs in a browser.

    Starts TensorBoard on runs/ and prints its address, which only this machine can open. Ctrl-C ends it.
    """
    from stages.board import show_board

    show_board(port, console())


def debug_batch(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The offending-batch.pt that the training has named.")],
    device: Device = "auto",
) -> None:
    """Show which clip of a batch has stopped a training.

    A training that finds NaN, infinity or too many spikes saves the batch in its run's folder. The model is built from
    run.json beside it, with the weights that it had at that step. Each clip is computed alone, then all together: its
    loss, and which inputs, losses and gradients are not finite.
    """
    from stages.debug_batch import show_batch

    show_batch(file, device_of(device), console())


def runs(
    names: Annotated[list[str] | None, typer.Argument(metavar="NAMES", help="Runs; without names, all.")] = None,
    prune: Annotated[
        bool, typer.Option("--prune", help="Show the runs that are not current, or NAMES; ask, and delete them.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="With --prune: delete without asking.")] = False,
    file: ParamsFile = paths.PARAMS,
) -> None:
    """List the runs of trainings, or delete them.

    A run is a folder in runs/. `dtc train` continues an unfinished run and restores the model of a finished one, if
    nothing that decides its weights has changed. Such a run is current.
    """
    from stages.params import load_training
    from stages.runs import list_runs, prune_runs

    def read_params(kind: Kind) -> Params:
        return load_training(file, kind.name)

    if prune:
        prune_runs(names or [], read_params, (lambda question: True) if yes else confirm, console())
    else:
        list_runs(names or [], read_params, console())


PROVENANCE_EXAMPLES = examples(
    "dtc provenance spoken/001-call-90210.wav",
    "dtc provenance models                 both models of a voice",
    "dtc provenance results/report/index.html data/features/train-00000.tar",
)


def provenance(
    files: Annotated[
        list[Path], typer.Argument(metavar="FILES", help="WAV files, models, features, shards, reports, manifests.")
    ],
    project: Annotated[
        Path | None,
        typer.Option("--project", help="The project to look in. [default: the one around each file]"),
    ] = None,
) -> None:
    """Show and verify what files were made from.

    Follows each file back to the corpus. Compares the bytes of each file that is there with the checksums and
    fingerprints that the others have of it. A WAV file, a model or a page is also verified alone, outside a project.
    Exit code 0: nothing was changed; 2: the message names what was.
    """
    from stages.provenance import provenance

    provenance(files, project, console())


def judge(file: ParamsFile = paths.PARAMS) -> None:
    """Let a machine try to tell the voice from the speaker.

    Trains small networks to tell recordings from the vocoder's copies, copies from synthesis, and, as a control,
    recordings from other recordings; each judges texts that it was not trained on. Needs results/scp of `dtc evaluate`.
    Writes results/judge and results/metrics/judge.json.
    """
    from stages.judge import judge
    from stages.params import load_params

    judge(load_params(file, "judge").judge, console())


DUEL_EXAMPLES = examples(
    "dtc duel --open                              listen yourself",
    "dtc duel --host 0.0.0.0 --token TOKEN        let others listen",
    "dtc duel --static page                       one page, without a server",
    "dtc duel --count duel-*.json                 count the answers to it",
    "dtc duel --count votes/duel.sqlite duel-*.json   with the server's",
    "dtc duel a/results/scp b/results/scp         compare several voices",
)


def duel(
    files: Annotated[
        list[Path] | None,
        typer.Argument(metavar="FILES", help="A speech folder for each voice, [default: results/scp]; or see --count."),
    ] = None,
    host: Annotated[
        str,
        typer.Option(help="The address to listen on: this machine alone, or with --token another one; 0.0.0.0: all."),
    ] = "127.0.0.1",
    port: Annotated[
        int | None,
        typer.Option(min=1, max=65535, help="The port to listen on. [default: 8642, or the next free one]"),
    ] = None,
    token: Annotated[
        str | None, typer.Option(help="What the page's address must have, where others can reach it.")
    ] = None,
    static: Annotated[
        Path | None, typer.Option("--static", metavar="DIR", help="Write one page into DIR, and serve nothing.")
    ] = None,
    count: Annotated[
        bool,
        typer.Option(
            "--count",
            help="Count the votes in FILES alone, and write the figures anew. [default: those in votes/duel.sqlite]",
        ),
    ] = False,
    without: Annotated[
        list[str] | None,
        typer.Option(metavar="LISTENER", help="With --count: leave the votes of a listener out. Can be repeated."),
    ] = None,
    open_page: Annotated[bool, typer.Option("--open", help="Open the page in a browser.")] = False,
) -> None:
    """Let people say which is the human: the voice or the speaker.

    Serves a page with the held-out clips of `dtc evaluate`, equal in level, band, length and silence: single clips
    (human or machine?) and pairs of one text (which is the human?). Votes are kept in votes/duel.sqlite, and none is
    lost when the server is killed. When it ends, and by --count, results/metrics/duel.json has how often each voice was
    taken for a human, with intervals. Needs the extra `duel`.
    """
    try:
        from stages.duel import Address, serve, write_page
        from stages.duel_count import count as count_votes
    except ModuleNotFoundError as error:
        raise InputError("dtc duel", f"{error.name} is not installed", remedy=f"run {install_hint('duel')}") from None
    if without and not count:
        raise InputError("--without", "given without --count", remedy="add --count")
    if count and static:
        raise InputError("--static", "given together with --count", remedy="leave out one of them")
    if count:
        count_votes(files or [], without or [], console())
    elif static:
        write_page(files or [], static, console())
    else:
        serve(files or [], Address(host, port, token), open_page, console())


# Name → the command and the end of its help.
COMMANDS: dict[str, tuple[Callable[..., None], str]] = {
    "report": (report, REPORT_EXAMPLES),
    "judge": (judge, examples("dtc judge")),
    "board": (board, examples("dtc board", "dtc board --port 7007")),
    "debug-batch": (debug_batch, examples("dtc debug-batch runs/acoustic-0123456789abcdef/offending-batch.pt")),
    "runs": (runs, RUNS_EXAMPLES),
    "provenance": (provenance, PROVENANCE_EXAMPLES),
    "duel": (duel, DUEL_EXAMPLES),
}
