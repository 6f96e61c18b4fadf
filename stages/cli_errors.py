"""Choose the line and the exit code of a command that fails."""

from __future__ import annotations

import errno
import os
import re
import shlex
import sys
from collections.abc import Sequence

from dtc.errors import InputError, install_hint

DONE, BROKE, REFUSED, LOST, INTERRUPTED, NO_READER = 0, 1, 2, 3, 130, 141
EXIT_CODES = f"""\
\b
Exit codes:
  {DONE}    done
  {BROKE}    a training diverged, or dtc itself has a fault
  {REFUSED}    an input cannot be used; the line names it and the remedy
  {LOST}    another process of the same training has ended, or cannot be reached
  {INTERRUPTED}  interrupted; the same command continues
  {NO_READER}  the program that read the output has ended"""
DIVERGED = ("NonFiniteLoss", "Diverged")  # by name: importing the classes would import torch
RANK_LOST = "RankLost"
# Environment variable of a process that `stages.launch` has started: a file that is closed when that process ends.
STARTED_BY = "DTC_STARTED_BY"
REMEDIES = {
    errno.ENOSPC: "make room and run it again",
    errno.EDQUOT: "make room and run it again",
    errno.EACCES: "give yourself the right to it, or name another place",
    errno.EROFS: "mount it for writing, or work in another folder",
    errno.EPERM: "give yourself the right to it, or name another place",
}
OWN = ("dtc", "pipeline", "stages")  # if one of these modules is missing, dtc itself has a fault
INSTALL = f"run {install_hint('train')}"
NO_MEMORY = "use smaller batches (training.*.batch_size or batch_frames) or shorter texts, or --device cpu"


def outcome(error: BaseException, arguments: Sequence[str]) -> tuple[str, int] | None:
    """Return the line that describes an error, and the exit code; None for a fault of dtc itself.

    A fault of dtc itself shows its traceback, which a bug report needs.

    Args:
        error: what has ended the command.
        arguments: those of the command line.
    """
    if isinstance(error, KeyboardInterrupt):  # a stage tells what it has kept, if the same command continues
        return f"{error}; {_again(arguments)} continues" if str(error) else "interrupted", INTERRUPTED
    if isinstance(error, InputError):
        return str(error), REFUSED
    if isinstance(error, BrokenPipeError):
        return "", NO_READER
    if isinstance(error, OSError):
        where = error.filename2 or error.filename or "a file, or standard output"
        found = f"cannot be used ({error.strerror or error})"
        return str(InputError(where, found, remedy=REMEDIES.get(error.errno or 0, "mend it and run it again"))), REFUSED
    if isinstance(error, ModuleNotFoundError) and (package := (error.name or "").partition(".")[0]) not in OWN:
        return str(InputError(f"dtc {' '.join(sys.argv[1:2])}", f"{package} is not installed", remedy=INSTALL)), REFUSED
    if type(error).__name__ == RANK_LOST:
        return "" if STARTED_BY in os.environ else str(error), LOST  # else the process that started this one prints it
    if _is_out_of_memory(error):
        found = str(error).splitlines()[0] if str(error) else "no memory is left"
        return str(InputError("out of memory", found.split(". ")[0], remedy=NO_MEMORY)), REFUSED
    return (str(error), BROKE) if type(error).__name__ in DIVERGED else None


def _again(arguments: Sequence[str]) -> str:
    """Return the command to run again, as far as it is known: DVC or torchrun may have started this one."""
    is_launched = "RANK" in os.environ and STARTED_BY not in os.environ
    return "the same command" if is_launched or "DVC_STAGE" in os.environ else f"`{shlex.join(['dtc', *arguments])}`"


def _is_out_of_memory(error: BaseException) -> bool:
    on_gpu = type(error).__name__ == "OutOfMemoryError"  # torch's, which is not imported for this
    return on_gpu or isinstance(error, MemoryError) or "DefaultCPUAllocator" in str(error)


def usage_line(error: Exception, arguments: Sequence[str], command: str) -> str:
    """Return the line that describes a wrong command line. `error` is one of typer's, which have `format_message`.

    Some of these errors do not know their command, such as that of an option without a value.
    """
    message = error.format_message().strip().rstrip(".")  # type: ignore[attr-defined]
    message = re.sub(r"Input should be (?:a valid )?([^,]*).*", r"expected \1", message)  # pydantic's words
    option = getattr(error, "option_name", None)
    written = next((each for each in arguments if option and each.startswith(option)), "")
    if type(error).__name__ == "NoSuchOption" and command == "dtc say" and not getattr(error, "possibilities", None):
        text = written.replace('"', '\\"')
        return f'{message}; to speak a text that begins with "-", write "--" before it: dtc say -- "{text}"'
    return f"{message[:1].lower()}{message[1:]}; see {command} --help"


def close_output() -> None:
    """Discard what is still to be written to standard output, after it has failed once."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
