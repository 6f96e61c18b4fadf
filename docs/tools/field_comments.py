"""Find the comments that tell what a key means: in the class of a params section, and in a params file."""

from __future__ import annotations

import ast
import functools
import inspect
import io
import re
import textwrap
import tokenize

from dtc.config import Section

YAML_LINE = re.compile(r"^( *)([A-Za-z_]\w*):(?:\s+(.*?))?(?:\s+# (.*))?$")


@functools.cache
def class_comments(section: type[Section]) -> dict[str, str]:
    """Return key → comment of the fields of a class and of its bases: after the field, or else above it."""
    comments: dict[str, str] = {}
    for base in reversed(section.__mro__):
        if issubclass(base, Section) and base is not Section:
            comments |= _own_comments(textwrap.dedent(inspect.getsource(base)))
    return comments


def _own_comments(source: str) -> dict[str, str]:
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    by_line = {token.start[0]: token for token in tokens if token.type == tokenize.COMMENT}
    alone = {number for number, token in by_line.items() if token.line.lstrip().startswith("#")}
    (definition,) = ast.parse(source).body
    assert isinstance(definition, ast.ClassDef)
    found = {}
    for field in definition.body:
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name):
            lines = [line for line in range(field.lineno, (field.end_lineno or field.lineno) + 1) if line in by_line]
            if not lines:
                first = field.lineno
                while first - 1 in alone:
                    first -= 1
                lines = list(range(first, field.lineno))
            found[field.target.id] = " ".join(by_line[line].string.lstrip("# ") for line in lines)
    return {name: comment for name, comment in found.items() if comment}


def yaml_comments(text: str) -> dict[str, str]:
    """Return dotted key → comment at the end of its line, of a params file in block style."""
    comments, path = {}, [(-1, "")]
    for line in text.splitlines():
        if found := YAML_LINE.match(line):
            indent, key, _, comment = found.groups()
            while path[-1][0] >= len(indent):
                path.pop()
            path.append((len(indent), f"{path[-1][1]}.{key}".removeprefix(".")))
            if comment:
                comments[path[-1][1]] = comment
    return comments
