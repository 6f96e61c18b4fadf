"""The error that a user reads, and helpers for the wording of its message."""

from __future__ import annotations

import pickle
import re
from collections.abc import Sequence

DISTRIBUTION = "dueling-turing-classifier"  # on the package index, where "dtc" is another project
NAMED = 4  # items of a list that an error names; the others are counted


class InputError(ValueError):
    """An input of the user (a file, a text, a parameter) is not usable.

    Raised where the fact is known; the command line prints `str(error)` as one line and exits with code 2.
    The line reads `where: found, expected …; remedy`, e.g.
    `LJ001-0001.wav: 44100 Hz, expected 22050 Hz; set audio.sampling_rate to 44100`.

    Args:
        where: the file, `file:line`, dotted params path or command-line argument.
        found: the fault.
        expected: the right input, where that adds to `found`.
        remedy: what the user can do.
    """

    def __init__(self, where: object, found: str, expected: str = "", remedy: str = "") -> None:
        self.where, self.found, self.expected, self.remedy = str(where), found, expected, remedy
        line = f"{where}: {found}"
        line += f", expected {expected}" if expected else ""
        line += f"; {remedy}" if remedy else ""
        super().__init__(line.replace("\n", " "))

    def __reduce__(self) -> tuple[type[InputError], tuple[str, str, str, str]]:
        """Return the constructor's arguments, by which the error is pickled; by default only its message would be."""
        return type(self), (self.where, self.found, self.expected, self.remedy)


class Notice(UserWarning):
    """A warning for the user, whose text makes sense alone; the command line prints it as one line."""


def plural(number: int, noun: str) -> str:
    """Return a count in words, such as "1 clip", "0 clips" or "1,200 clips"."""
    return f"{number:,} {noun}" + "s" * (number != 1)


def pace(per_s: float) -> str:
    """Return a speed, such as "12/s", "2.4/s" or, below one a second, "3.5 s each"; "" for none."""
    if per_s <= 0:
        return ""
    number, unit = (per_s, "/s") if per_s >= 1 else (1 / per_s, " s each")
    return f"{number:,.0f}{unit}" if number >= 10 else f"{number:.1f}{unit}"


def named(names: Sequence[str]) -> str:
    """Return the first few names, and how many more there are, such as "a, b, c, d and 3 more"."""
    more = len(names) - NAMED
    return ", ".join(names[:NAMED]) + (f" and {more} more" if more > 0 else "")


def reason_of(error: Exception) -> str:
    """Return the first sentence of a library's error, without the stack that torch appends; else the error's type."""
    return re.split(r"\n|\. ", str(error), maxsplit=1)[0] or type(error).__name__


def refused_pickle(error: pickle.UnpicklingError) -> str:
    """Describe a file that torch refuses to load under `weights_only`."""
    needed = re.search(r"GLOBAL ([\w.]+)", str(error))
    return f"a pickle that needs {needed[1]}, which is code" if needed else "a pickle that is not plain data"


def install_hint(*extras: str) -> str:
    """Return the command that installs optional parts: "pip install 'dueling-turing-classifier[ray]'" for ray."""
    return f"pip install '{DISTRIBUTION}[{','.join(extras)}]'"
