"""Write the page of all commands from what `dtc --help` and the help of each command say."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

import typer

from stages.cli import app

INTRODUCTION = """\
# Every command

This page is generated from the command line itself; `dtc COMMAND --help` prints the same. A command reads `params.yaml`
of the folder in which it runs.
"""


def commands_page() -> str:
    """Return the page in Markdown."""
    lines = [INTRODUCTION]
    for name, command in every_command():
        lines += [f"## {name}", "", *_blocks(command.help or command.callback.__doc__ or ""), *_table(command)]
        lines += _blocks(command.epilog or "")
    return "\n".join(lines) + "\n"


def every_command() -> Iterator[tuple[str, Any]]:
    """Yield the name and the click command of `dtc` and of each command, groups before what they hold."""
    yield from _commands("dtc", typer.main.get_command(app))


def _commands(name: str, command: Any) -> Iterator[tuple[str, Any]]:
    if not command.hidden:
        yield name, command
        for inner, child in getattr(command, "commands", {}).items():
            yield from _commands(f"{name} {inner}", child)


def _blocks(text: str) -> list[str]:
    r"""Return the paragraphs of a help text; one that begins with \b keeps its lines."""
    lines: list[str] = []
    for paragraph in inspect.cleandoc(text).split("\n\n"):
        if not paragraph.startswith("\b"):
            lines += [paragraph, ""]
        elif block := paragraph.strip("\b\n").splitlines():
            lines += [block[0], "", "```text", *(line[2:] for line in block[1:]), "```", ""]
    return lines


def _table(command: Any) -> list[str]:
    rows = [_row(parameter) for parameter in command.params if not getattr(parameter, "hidden", False)]
    return ["| argument or option | default | meaning |", "|---|---|---|", *rows, ""] if rows else []


def _row(parameter: Any) -> str:
    is_option = parameter.param_type_name == "option"
    name = ", ".join(parameter.opts) if is_option else parameter.metavar or parameter.name.upper()
    default = parameter.default if is_option and not parameter.is_flag else None
    shown = "" if default is None or callable(default) else f"`{default}`"
    return f"| `{name}` | {shown} | {(parameter.help or '').replace('|', chr(92) + '|')} |"
