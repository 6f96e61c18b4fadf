"""The process of `dtc` and of `python -m stages`: its signals and standard streams, before anything else is imported.

SIGTERM, which batch systems and process managers send, is treated as Ctrl-C.
"""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import sys
import threading
from collections.abc import Callable
from types import FrameType

INTERRUPTED, LINE = 130, b"dtc: interrupted\n"
CALLED_BACK, RETRY_S = ("soundfile", "grimp"), 0.02  # packages whose native code calls Python


def main() -> None:
    """Run the command line in this process, and end the process with its exit code."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)
    sys.unraisablehook = _repeat_lost_interrupt
    _mend_streams()
    try:
        _app()()
    except KeyboardInterrupt:  # between the imports and the command
        os.write(2, LINE)
        sys.exit(INTERRUPTED)
    finally:
        # From here on a signal ends the process at once and prints nothing: there is nothing left to save.
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_DFL)
        gc.freeze()  # Python would look for garbage in all modules at its end, which takes up to a second


def _app() -> Callable[[], None]:
    """Return the command line, or end the process with one line where the packages of dtc are not installed."""
    try:
        from stages.cli import app
    except ModuleNotFoundError as error:
        sys.stderr.write(
            f"dtc: {error.name} is not installed in {sys.prefix}; activate the environment of dtc, as by "
            "`. .venv/bin/activate`\n"
        )
        sys.exit(2)
    return app


def _interrupt(signal_number: int, frame: FrameType | None) -> None:
    """Raise KeyboardInterrupt, end the process at once where a module is being imported, or try again a moment later.

    A KeyboardInterrupt inside an import may be taken for a missing package, or abort C++ code of torch. One inside a
    function that native code calls is lost: libsndfile takes it for the end of the sound file, and grimp panics.
    """
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            with contextlib.suppress(Exception):  # the signal may have interrupted a write
                sys.stdout.flush()
            os.write(2, LINE)
            os._exit(INTERRUPTED)
        if frame.f_globals.get("__name__", "").partition(".")[0] in CALLED_BACK:
            _interrupt_later()
            return
        frame = frame.f_back
    raise KeyboardInterrupt


def _repeat_lost_interrupt(lost: sys.UnraisableHookArgs) -> None:
    """Repeat a Ctrl-C that was lost, as in a `__del__`. Print any other error that cannot be raised, as Python does."""
    if lost.exc_type is KeyboardInterrupt:
        _interrupt_later()
    else:
        sys.__unraisablehook__(lost)


def _interrupt_later() -> None:
    threading.Timer(RETRY_S, os.kill, (os.getpid(), signal.SIGINT)).start()


def _mend_streams() -> None:
    """Open /dev/null for each standard stream that is closed, and write `?` for characters that a stream cannot encode.

    A file that is opened while standard output is closed would get its number, and with it what libraries print.
    """
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # the lowest free number, which is this one
    sys.stdin = sys.stdin or os.fdopen(0, encoding="utf-8")
    sys.stdout = sys.stdout or os.fdopen(1, "w", encoding="utf-8")
    sys.stderr = sys.stderr or os.fdopen(2, "w", encoding="utf-8")
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")


if __name__ == "__main__":
    main()
