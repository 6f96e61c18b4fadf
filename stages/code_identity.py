"""Find the code that decides a result, and compute the fingerprint of that code.

The modules of dtc, pipeline and stages that a stage uses are those of the import graph (by grimp). A part of a registry
that is given as "module:name" is not an import: it counts where params.yaml chooses it, see `chosen_modules`.

The fingerprint is computed from syntax trees: comments, docstrings, blank lines and the place of the project's folder
do not change it.
"""

from __future__ import annotations

import ast
import hashlib
import sys
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import grimp

from dtc.config import Section
from dtc.provenance import DIGITS, fingerprint
from dtc.registry import Registry

PACKAGES = ("dtc", "pipeline", "stages")
PATHS = "stages.paths"  # it names files, and decides nothing: what is read from a file has a fingerprint of its own
WITH_DOCSTRING = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


def modules_of(entries: Iterable[str]) -> frozenset[str]:
    """Return the dotted names of modules and of all of dtc, pipeline and stages that they import, directly or not.

    Imports inside functions count; those under `if TYPE_CHECKING` do not. Of a module from outside these packages (a
    part that a user has registered), only the module itself is returned.
    """
    graph, found = _import_graph(), set[str]()
    for entry in entries:
        found.add(entry)
        if entry in graph.modules:
            found |= graph.find_upstream_modules(entry)
    return frozenset(found)


def chosen_modules(section: Section) -> frozenset[str]:
    """Return the modules of the parts that a params section chooses by name, and of its sections' classes."""
    found = {type(section).__module__}
    for name, field in type(section).model_fields.items():
        for inner in _sections_in(getattr(section, name)):
            found |= chosen_modules(inner)
            for registry in field.metadata:
                if isinstance(registry, Registry):
                    found |= registry.modules(getattr(inner, registry.field))
    return frozenset(found)


def files_of(modules: Iterable[str]) -> list[Path]:
    """Return the source files of modules, in the order of the modules' names. No module is imported."""
    return [_file_of(module) for module in sorted(modules)]


def fingerprint_code(modules: Iterable[str]) -> str:
    """Return the fingerprint of modules' names and syntax trees, as `code_digests` returns them."""
    return fingerprint(code_digests(modules))


def code_digests(modules: Iterable[str]) -> dict[str, str]:
    """Return module → digest of its syntax tree without docstrings, so that two versions can be compared by module.

    The module PATHS is left out: a path that is new there starts no training over.
    """
    return {module: _digest_of(_file_of(module)) for module in sorted({*modules} - {PATHS})}


@cache
def _import_graph() -> grimp.ImportGraph:
    return grimp.build_graph(*PACKAGES, cache_dir=None, exclude_type_checking_imports=True)


@cache
def _file_of(module: str) -> Path:
    package, _, rest = module.partition(".")
    if package not in PACKAGES:
        loaded = sys.modules.get(module)
        return Path(str(loaded.__file__ if loaded else getattr(find_spec(module), "origin", None)))
    # Not by `find_spec` of the module itself: that imports the packages around it, and torch with them.
    spec = find_spec(package)
    assert spec is not None
    assert spec.submodule_search_locations
    path = Path(spec.submodule_search_locations[0]).joinpath(*rest.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


@cache
def _digest_of(file: Path) -> str:
    tree = ast.parse(file.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, WITH_DOCSTRING) and ast.get_docstring(node, clean=False) is not None:
            node.body = node.body[1:] or [ast.Pass()]
    # Not `ast.dump`, whose format differs between versions of Python.
    return hashlib.sha256(ast.unparse(tree).encode("utf-8")).hexdigest()[:DIGITS]


def _sections_in(value: object) -> Iterator[Section]:
    """Yield the sections that a field holds: itself, or those inside a tuple, list or mapping."""
    if isinstance(value, Section):
        yield value
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from _sections_in(inner)
    elif isinstance(value, tuple | list):
        for inner in value:
            yield from _sections_in(inner)
