"""`dtc doctor`: look at installation, machine and project, and say what is missing and how long training takes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from rich.console import Console

from dtc.errors import InputError, plural

NAME_WIDTH = 16


@dataclass(frozen=True)
class Finding:
    """A fact that `dtc doctor` prints as a line.

    Args:
        name: its subject.
        text: the fact.
        remedy: of a fault, what to do; "" where it is none.
    """

    name: str
    text: str
    remedy: str = ""

    @property
    def line(self) -> str:
        """Return the line, in which `!!` marks a fault."""
        remedy = f"; {self.remedy}" if self.remedy else ""
        return f"{'!!' if self.remedy else '  '} {self.name:<{NAME_WIDTH}} {self.text}{remedy}"


def doctor(device: str, times: bool, console: Console) -> None:
    """Print what is found. Raises InputError where there are faults, after all of them were printed.

    Args:
        device: what `--device` names; the steps are timed there.
        times: whether training steps are timed.
        console: where the lines are printed.
    """
    faults = 0
    for finding in _findings(device, times):
        faults += bool(finding.remedy)
        console.print(finding.line, soft_wrap=True)
    if faults:
        raise InputError("dtc doctor", plural(faults, "fault"), remedy="mend what is marked !!")


def _findings(device: str, times: bool) -> Iterator[Finding]:
    from stages.doctor_install import installation
    from stages.doctor_machine import machine
    from stages.doctor_project import project

    yield from installation()
    yield from machine()
    yield from project(device, times)
