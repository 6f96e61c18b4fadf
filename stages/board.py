"""`dtc board`: TensorBoard on the runs, for this machine alone."""

from __future__ import annotations

import contextlib
import threading

from rich.console import Console
from tensorboard.program import TensorBoard, TensorBoardServerException

from dtc.errors import InputError
from stages import paths

HOST = "127.0.0.1"  # no other machine can connect


def show_board(port: int | None, console: Console) -> None:
    """Start TensorBoard, print its address, and wait for Ctrl-C.

    Args:
        port: where it listens; None: 6006, or the next free one.
        console: where the address is printed.

    Raises InputError where there are no runs, and where the port is in use.
    """
    if not paths.RUNS.is_dir():
        raise InputError(paths.RUNS, "no such folder", "runs of trainings", "run `dtc train acoustic` first")
    chosen = [] if port is None else ["--port", str(port)]
    server = TensorBoard()
    server.configure(argv=["dtc", "--logdir", str(paths.RUNS), "--host", HOST, *chosen])
    try:
        address = server.launch()
    except TensorBoardServerException:
        raise InputError("--port", f"{port} is in use", remedy="name another one, or leave --port out") from None
    console.print(f"board: {address} shows {paths.RUNS}/; Ctrl-C ends it")
    with contextlib.suppress(KeyboardInterrupt):
        threading.Event().wait()
