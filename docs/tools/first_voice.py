"""Build docs/first_voice.ipynb, and the page of the site, from docs/first_voice.py: `make notebook`.

The script has a cell after each line `# %%`; after `# %% [markdown]` the cell is text, in comments.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

SCRIPT = Path(__file__).parents[1] / "first_voice.py"
NOTEBOOK = SCRIPT.with_suffix(".ipynb")
MARK, TEXT_MARK = "# %%", "# %% [markdown]"


@dataclass(frozen=True)
class Cell:
    """A cell of the notebook: Markdown, or Python."""

    is_text: bool
    content: str


def cells() -> Iterator[Cell]:
    """Yield the cells of the script. Raises ValueError where it does not begin with one."""
    mark, lines = "", list[str]()
    for line in [*SCRIPT.read_text(encoding="utf-8").splitlines(), MARK]:
        if not line.startswith(MARK):
            lines.append(line)
            continue
        is_text = mark == TEXT_MARK
        content = "\n".join(each.removeprefix("#").removeprefix(" ") if is_text else each for each in lines).strip()
        if bool(mark) != bool(content):
            raise ValueError(f"{SCRIPT}: text before the first {MARK}, or an empty cell before {line!r}")
        if mark:
            yield Cell(is_text, content)
        mark, lines = line, []


def notebook_text() -> str:
    """Return the notebook as JSON, without outputs: version 4.5 of Jupyter's format."""
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    written = [_json_cell(number, cell) for number, cell in enumerate(cells())]
    tree = {"cells": written, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}
    return json.dumps(tree, indent=1, ensure_ascii=False) + "\n"


def _json_cell(number: int, cell: Cell) -> dict[str, object]:
    of_code = {} if cell.is_text else {"execution_count": None, "outputs": []}
    kind, source = "markdown" if cell.is_text else "code", cell.content.splitlines(keepends=True)
    return {"cell_type": kind, "id": f"cell-{number}", "metadata": {}, "source": source} | of_code


def notebook_page() -> str:
    """Return the cells as a page in Markdown."""
    return "\n\n".join(each.content if each.is_text else f"```python\n{each.content}\n```" for each in cells()) + "\n"


if __name__ == "__main__":
    NOTEBOOK.write_text(notebook_text(), encoding="utf-8")
