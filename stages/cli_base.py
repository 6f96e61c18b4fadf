"""Options, the console and the handling of errors, which all commands share."""

from __future__ import annotations

import contextlib
import os
import re
import sys
import warnings
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer
from typer.core import TyperGroup

from dtc.errors import InputError, Notice
from stages.cli_errors import DONE, close_output, outcome, usage_line

if TYPE_CHECKING:
    import torch
    from rich.console import Console

ParamsFile = Annotated[Path, typer.Option("--params", help="The params file to read.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace the file or folder if it is there.")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N. auto: cuda if there is a CUDA GPU, else cpu.")]
LINE_WIDTH = 160  # characters of a table where neither a terminal nor COLUMNS limits it
FORMAT_WARNING = warnings.formatwarning  # as Python has it, however often a command is run in one process


class Commands(TyperGroup):
    """The group of all commands. A command that fails prints one line on standard error and ends with an exit code."""

    def main(
        self, args: Sequence[str] | None = None, prog_name: str | None = None, *ignored: Any, **extra: Any
    ) -> NoReturn:
        """Parse the arguments, run the command and end the process. `--debug` shows the traceback of an error."""
        arguments, context = list(sys.argv[1:] if args is None else args), None
        try:
            _require_values(arguments)
            self._main_shell_completion({}, "dtc")
            with self.make_context("dtc", list(arguments), **extra) as context:
                self.invoke(context)
            code = DONE
            sys.stdout.flush()
        except typer.Exit as end:
            code = end.exit_code
        except (Exception, KeyboardInterrupt) as error:
            code = _failed(error, arguments, self._path(arguments), debug=bool(context and context.params["debug"]))
        sys.exit(code)

    def _path(self, arguments: Sequence[str]) -> str:
        """Return the name of the command that arguments name, such as "dtc corpus check"."""
        commands, path = self.commands, "dtc"
        for argument in arguments:
            if argument in commands:
                commands, path = getattr(commands[argument], "commands", {}), f"{path} {argument}"
            elif not argument.startswith("-"):
                break
        return path


def _require_values(arguments: Sequence[str]) -> None:
    """Raise InputError for an option with an empty value, which would be taken for the working folder."""
    for option, value in pairwise(part for each in arguments for part in each.split("=", 1)):
        if option.startswith("--") and option != "--" and not value:
            raise InputError(option, "an empty value", "a value, or no such option")


def _failed(error: BaseException, arguments: Sequence[str], command: str, debug: bool) -> int:
    """Print the line of an error and return the exit code. Raises the error itself where there is no line for it."""
    if type(error).__name__ == "NoArgsIsHelpError":
        error.show()  # type: ignore[attr-defined]
        return int(error.exit_code)  # type: ignore[attr-defined]
    if hasattr(error, "format_message"):  # typer's errors have no public base class
        line, code = usage_line(error, arguments, command), int(error.exit_code)  # type: ignore[arg-type, attr-defined]
    else:
        found = outcome(error, arguments)
        if found is None or debug:
            raise error
        line, code = found
    try:
        sys.stdout.flush()
    except OSError:  # standard output is what failed
        with contextlib.suppress(OSError, ValueError):
            close_output()
    if line:
        _print_error(line)
    return code


def _print_error(line: str) -> None:
    """Print a line on standard error. typer.echo would write UTF-8 where the stream has another encoding."""
    sys.stderr.write(f"dtc: {line}\n")


def console(stderr: bool = False, quiet: bool = False) -> Console:
    """Return a console on standard output or standard error, or one that prints nothing.

    Where the output is not a terminal, lines are not wrapped, since logs are searched. Text is printed as it is:
    brackets and colons are not markup, and numbers are not coloured.
    """
    from rich.console import Console

    class ClosableConsole(Console):
        def on_broken_pipe(self) -> None:
            raise BrokenPipeError

    watched = (sys.stderr if stderr else sys.stdout).isatty()
    has_width = watched or os.environ.get("COLUMNS", "").isdigit()
    return ClosableConsole(
        stderr=stderr,
        quiet=quiet,
        soft_wrap=not watched,
        width=None if has_width else LINE_WIDTH,
        markup=False,
        emoji=False,
        highlight=False,
    )


def group(help: str, *lines: str) -> typer.Typer:
    """Return a group of commands, with its help and lines of examples."""
    return typer.Typer(help=help, epilog=examples(*lines), subcommand_metavar="COMMAND", no_args_is_help=True)


def examples(*lines: str) -> str:
    """Return the end of a command's help: its examples, each on a line of its own."""
    return "\b\nExamples:\n" + "\n".join(f"  {line}" for line in lines)


def confirm(question: str) -> bool:
    """Ask a question, and return whether the answer is yes. Raises InputError where nobody answers."""
    sys.stdout.write(f"{question} [y/N] ")
    sys.stdout.flush()
    if not (answer := sys.stdin.readline()):
        raise InputError("standard input", "no answer", "y or n", "add --yes to go ahead without a question")
    return answer.strip().lower() in ("y", "yes")


def ask(question: str, default: str) -> str:
    """Ask a question on the terminal, and return the answer; the default for an empty one."""
    sys.stdout.write(f"{question} [{default}]: ")
    sys.stdout.flush()
    return sys.stdin.readline().strip() or default


def device_named(name: str) -> str:
    """Return what `--device` names. Raises InputError where no device can have this name."""
    if not re.fullmatch(r"auto|cpu|cuda(:[0-9]+)?", name):
        raise InputError("--device", f"found {name!r}", "auto, cpu, cuda or cuda:N")
    return name


def device(name: str) -> torch.device:
    """Return the device that `--device` names. Raises InputError where there is no such device."""
    name = device_named(name)
    import torch

    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name != "cpu" and int(name.removeprefix("cuda").removeprefix(":") or 0) >= (count := torch.cuda.device_count()):
        raise InputError("--device", f"{name}, of {count} CUDA devices", remedy="use --device cpu")
    return torch.device(name)


def set_thread_waiting() -> None:
    """Make OpenMP's threads spin for a few microseconds, and then sleep, while they wait for one another.

    By default they spin for long, which makes training 20 times slower when another program needs a core. Threads that
    sleep at once make training half as fast on an idle machine. Both were measured on 2 cores. OpenMP reads this
    setting once, when torch is imported.
    """
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")


def print_notices_in_one_line() -> None:
    """Print a Notice as its text alone. By default Python adds the file that warns, and the line of code there."""

    def format_warning(
        message: Warning | str, category: type[Warning], filename: str, lineno: int, line: str | None = None
    ) -> str:
        return f"dtc: {message}\n" if category is Notice else FORMAT_WARNING(message, category, filename, lineno, line)

    warnings.formatwarning = format_warning


def require_noted_code() -> None:
    """Raise InputError where DVC runs a stage with other code than a project's code.yaml notes."""
    if stage := os.environ.get("DVC_STAGE"):
        from stages import project_code

        project_code.require_noted_code(stage)


def warn_of_other_code(folder: Path = Path("stages")) -> None:
    """Warn on standard error where the working folder is a checkout of dtc whose code is not the code that runs."""
    running = Path(__file__).parent
    if (folder / "cli.py").is_file() and folder.resolve() != running.resolve():
        remedy = "`python -m stages` runs this folder's code"
        _print_error(f"the code that runs is {running}, not {folder.resolve()}; {remedy}")
