"""Tables on narrow terminals: no figure and no name is cut."""

import pytest
from rich.table import Column, Table

from stages.cli_base import console
from stages.tables import print_table

WIDE = """\
┏━━━━━━━━━━━┳━━━━━━┳━━━━━━━━━━━━━━━━━━┓
┃ voice     ┃ AUC  ┃ told apart       ┃
┡━━━━━━━━━━━╇━━━━━━╇━━━━━━━━━━━━━━━━━━┩
│ alto      │ 0.93 │ yes, and by more │
│           │      │ than one judge   │
│ [b]bass[/ │      │ no               │
"""
NARROW = """\
alto
  AUC         0.93
  told apart  yes, and by more than one judge
[b]bass[/
  told apart  no
"""


@pytest.mark.parametrize(("columns", "printed"), [("39", WIDE), ("37", NARROW)])
def test_a_row_of_a_wide_table_is_printed_as_lines(
    columns: str, printed: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    table = Table("voice", "AUC", Column("told apart", overflow="fold"))
    table.add_row("alto", "0.93", "yes, and by more than one judge")
    table.add_row("[b]bass[/", "", "no")
    print_table(table, console())
    assert capsys.readouterr().out.startswith(printed)
