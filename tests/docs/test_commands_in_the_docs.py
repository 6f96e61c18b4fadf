"""Every `dtc` command that README, docs, help texts and messages show is one that the command line takes."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from reference_commands import every_command

from stages.cli import app
from tests.conftest import REPOSITORY

PAGES = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").glob("*.md"))]
SOURCES = [path for package in ("dtc", "pipeline", "stages") for path in sorted((REPOSITORY / package).rglob("*.py"))]
ROOT = typer.main.get_command(app)
BESIDE = re.compile(r" {3,}| \| | #")  # what is not the command's: words beside it, another program, a comment
PLACEHOLDER = re.compile(r"…|[A-Z]+|\{.*")  # of an argument or a command


def of_blocks(text: str) -> list[str]:
    """Return the `dtc` commands in the code blocks of a page, without what is said beside them."""
    found = re.findall(r"(?m)^ {4}(?:\S*/)?dtc((?: .*)?)$", text)
    return ["dtc" + BESIDE.split(line)[0] for line in found]


def of_words(text: str) -> list[str]:
    """Return the `dtc` commands between backticks."""
    return [re.sub(r"\s+", " ", found) for found in re.findall(r"`(dtc(?:\s[^`]*)?)`", text)]


def options_of(command: Any) -> list[str]:
    return [option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)]


def require_known(line: str) -> None:
    """Find the commands and options of a line that may leave out arguments."""
    words, command, name = shlex.split(line)[1:], ROOT, "dtc"
    for word in words:
        children = getattr(command, "commands", {})
        if word.startswith("-"):
            options = {option for each in (command, *children.values()) for option in options_of(each)}
            assert word.partition("=")[0] in options | {"--help", "-h", "--"}, f"{line}: {name} has no {word}"
        elif children and PLACEHOLDER.fullmatch(word):
            return
        elif children:
            assert word in children, f"{line}: {name} has no {word}"
            name, command = f"{name} {word}", children[word]


def require_whole(line: str) -> None:
    """Parse a line as the command line does, without running the command."""
    context: Any = None
    command, words, name = ROOT, shlex.split(line)[1:], "dtc"
    while command is not None:
        context = command.make_context(name, words, parent=context)
        rest = [*getattr(context, "_protected_args", ()), *context.args]
        name, command, words = (
            command.resolve_command(context, rest) if hasattr(command, "commands") else ("", None, [])
        )


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_the_commands_of_a_page_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for line in of_words(text):
        require_known(line)
    for line in of_blocks(text):
        require_known(line)
        require_whole(line)


def examples() -> Iterator[str]:
    for _, command in every_command():
        for line in (command.epilog or "").splitlines():
            if line.startswith("  dtc "):
                yield BESIDE.split(line.strip())[0]


def test_the_examples_of_the_helps_are_whole() -> None:
    found = list(examples())
    assert len(found) > 30
    for line in found:
        require_whole(line)


def test_the_commands_of_messages_exist() -> None:
    """A message puts values in braces."""
    found = {line for path in SOURCES for line in of_words(path.read_text(encoding="utf-8"))}
    assert len(found) > 40
    for line in sorted(found):
        require_known(line)


@pytest.mark.parametrize("line", ["dtc trian", "dtc train acoustic --epochs", "dtc tune --aply"])
def test_a_command_that_is_not_there_is_found(line: str) -> None:
    with pytest.raises(AssertionError, match="has no"):
        require_known(line)


@pytest.mark.parametrize("line", ["dtc convert --form torch", "dtc debug-batch", "dtc train acoustic more"])
def test_a_line_that_the_command_line_refuses_is_found(line: str) -> None:
    with pytest.raises(Exception, match=r"No such option|Missing parameter|unexpected extra argument"):
        require_whole(line)
