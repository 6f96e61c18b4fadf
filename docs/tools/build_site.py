"""Build the documentation as a site in build/site: `make docs`.

The generator reads a copy of docs/ in build/docs, with the pages that are generated from the code and from the
notebook, and with equations as MathML, which browsers draw without scripts. A warning of the generator is an error.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from first_voice import notebook_page
from latex2mathml.converter import convert
from reference_commands import commands_page
from reference_params import params_page

REPOSITORY = Path(__file__).parents[2]
COPY = REPOSITORY / "build/docs"
GENERATED = {"commands.md": commands_page, "params.md": params_page, "first-voice.md": notebook_page}
# Code blocks, which stay as they are; and equations.
PARTS = re.compile(
    r"(?P<code>^```.*?^```|^    [^\n]*|`[^`\n]+`)|\$\$(?P<block>.+?)\$\$|\$(?P<inline>[^$\s][^$]*?)\$", re.S | re.M
)


def main() -> int:
    """Build the site and return the exit code of the generator."""
    shutil.rmtree(COPY, ignore_errors=True)
    shutil.copytree(REPOSITORY / "docs", COPY, ignore=shutil.ignore_patterns("tools", "*.py"))
    for name, page in GENERATED.items():
        (COPY / name).write_text(page(), encoding="utf-8")
    for path in COPY.glob("*.md"):
        path.write_text(with_mathml(path.read_text(encoding="utf-8")), encoding="utf-8")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", *sys.argv[1:]]
    # Without an announcement about MkDocs 2. Zensical, the successor of the theme, builds the same folder.
    return subprocess.run(command, cwd=REPOSITORY, env=os.environ | {"NO_MKDOCS_2_WARNING": "1"}).returncode


def with_mathml(page: str) -> str:
    """Return a page with the equations between dollar signs as MathML. Code stays as it is."""
    return PARTS.sub(_math, page)


def _math(found: re.Match[str]) -> str:
    if found["code"]:
        return found["code"]
    if found["block"]:
        return convert(" ".join(found["block"].split()), display="block")
    return f"<span>{convert(found['inline'])}</span>"  # at the start of a line, Markdown takes <math> for a block


if __name__ == "__main__":
    sys.exit(main())
