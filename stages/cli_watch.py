"""The commands that look at trainings: `dtc board` and `dtc debug-batch`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from stages.cli_base import Device, console
from stages.cli_base import device as device_of


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
