"""Print tables so that no figure and no name is cut on a narrow terminal."""

from __future__ import annotations

from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

ANY_WIDTH = 10_000  # characters
NARROWEST = 16  # characters of a column whose cells may take several lines


def print_table(table: Table, console: Console) -> None:
    """Print a table; where it is wider than the console, print each row as lines of a column's name and the cell.

    Only cells of columns with overflow="fold" are broken into several lines.
    """
    for column in table.columns:
        column.no_wrap = column.overflow != "fold"
    width = console.measure(table, options=console.options.update(width=ANY_WIDTH)).maximum
    if width - sum(map(_spare, table.columns)) <= console.width:
        console.print(table)
    else:
        _print_rows(table, console)


def _spare(column: Column) -> int:
    """Return by how many characters a column can be narrower than its longest cell."""
    longest = max(len(_line(cell)) for cell in (column.header, *column.cells))
    return 0 if column.no_wrap else max(0, longest - NARROWEST)


def _print_rows(table: Table, console: Console) -> None:
    if table.title:
        console.print(table.title)
    names = [_line(column.header) for column in table.columns]
    width = max(map(len, names[1:]))
    for cells in zip(*(column.cells for column in table.columns), strict=True):
        first, *others = map(_line, cells)
        console.print(Text(first, style="bold"))
        for name, cell in zip(names[1:], others, strict=True):
            if cell:
                console.print(f"  {name:{width}}  {cell}")


def _line(cell: object) -> str:
    """Return the text of a cell in one line."""
    return str(cell).replace("\n", " ")
