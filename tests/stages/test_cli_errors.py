"""The lines of errors of the operating system."""

import errno
import os

import pytest

from stages.cli_errors import REFUSED, outcome


@pytest.mark.parametrize(
    ("number", "remedy"),
    [
        (errno.EROFS, "mount it for writing, or work in another folder"),
        (errno.EACCES, "give yourself the right to it, or name another place"),
        (errno.EIO, "mend it and run it again"),
    ],
)
def test_a_folder_that_cannot_be_written_is_named_with_a_remedy(number: int, remedy: str) -> None:
    fault = os.strerror(number)
    line = f"results/report: cannot be used ({fault}); {remedy}"
    assert outcome(OSError(number, fault, "results/report"), ["report"]) == (line, REFUSED)
