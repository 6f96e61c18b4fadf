"""Compute the code that each stage of dvc.yaml depends on from the import graph.

    python -m stages.dvc_dependencies        rewrite the dependencies in dvc.yaml, and dvc.yaml of new projects

In a project that `dtc init` makes, the code is installed, and a stage depends on the fingerprint of its code in
code.yaml.

A stage depends on the modules that it starts from, on all that they import, and on the parts of the registries that it
may build: DVC cannot know which of them params.yaml chooses, as `use_model` may choose another.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dtc.acoustic import ACOUSTIC_MODELS
from dtc.acoustic.attention import ATTENTIONS
from dtc.evaluation import RECOGNISERS
from dtc.provenance import fingerprint, sha256_of
from dtc.registry import Registry
from dtc.vocoder import VOCODERS
from pipeline.corpora import FORMATS
from stages.code_identity import PACKAGES, files_of, modules_of
from stages.run_folders import ENTRIES, LISTENING

ROOT = Path(__file__).parent.parent
# dvc.yaml of a project that `dtc init` makes. Under its own name, DVC would run it as a part of the repository's.
TEMPLATE = Path(__file__).parent / "project/dvc.template.yaml"
COMMAND = "    cmd: python -m stages "
# Run a training without deciding its result, and import both kinds of models: these files count, their imports do not.
RUNNING = ("stages/kinds.py", "stages/run_folders.py", "stages/train.py")


@dataclass(frozen=True)
class Code:
    """Where the code of a stage begins.

    Args:
        entries: the modules that it starts from.
        any_of: registries of which any part may be built.
        files: files and folders beside the code that shape the result.
    """

    entries: tuple[str, ...]
    any_of: tuple[Registry[Any], ...] = ()
    files: tuple[str, ...] = ()


STAGES = {
    "download": Code(("stages.download",)),
    "verify": Code(("stages.verify",), any_of=(FORMATS,)),
    "preprocess": Code(("stages.preprocess",), any_of=(FORMATS,), files=("pipeline/splits",)),
    "train_acoustic": Code((*ENTRIES, LISTENING), any_of=(ACOUSTIC_MODELS, ATTENTIONS, RECOGNISERS), files=RUNNING),
    "align": Code(("stages.align",), any_of=(ACOUSTIC_MODELS, ATTENTIONS)),
    "train_vocoder": Code((*ENTRIES, LISTENING), any_of=(VOCODERS, RECOGNISERS), files=RUNNING),
    "evaluate": Code(
        ("stages.evaluate",),
        any_of=(ACOUSTIC_MODELS, ATTENTIONS, VOCODERS, RECOGNISERS),
        files=(
            "pipeline/corpora/numbers/bare-numbers.jsgf",
            "pipeline/corpora/numbers/bare-numbers.txt",
            "pipeline/corpora/numbers/numbers.jsgf",
            "pipeline/corpora/sentences.txt",
        ),
    ),
    "report": Code(("stages.report",), files=("dtc/report/templates",)),
    "judge": Code(("stages.judge",)),
}


def code_of(stage: str) -> list[str]:
    """Return the paths in dvc.yaml of a stage's code, sorted. A folder includes all files in it."""
    return sorted({path.as_posix() for path in _folded(_imported_files(stage))} | set(STAGES[stage].files))


def fingerprint_of(stage: str) -> str:
    """Return the fingerprint of all files that `code_of` names: it is the same with every version of Python."""
    files = {ROOT / path for path in _imported_files(stage)}
    for path in (ROOT / name for name in STAGES[stage].files):
        files |= set(path.rglob("*.*")) if path.is_dir() else {path}
    return fingerprint({path.relative_to(ROOT).as_posix(): sha256_of(path) for path in files})


def _imported_files(stage: str) -> set[Path]:
    code = STAGES[stage]
    modules = modules_of([*code.entries, *_parts_of(code.any_of)])
    return {file.relative_to(ROOT) for file in files_of(modules)}


def _parts_of(registries: Iterable[Registry[Any]]) -> set[str]:
    """Return the modules that define the parts of registries."""
    return {module for each in registries for name in each.names() for module in each.modules(name)}


def _folded(files: set[Path]) -> set[Path]:
    """Return the files, with a folder in place of those in it where they are all of its Python files."""
    folded = set(files)
    folders = {folder for file in files for folder in file.parents if len(folder.parts) > 1}
    for folder in sorted(folders, key=lambda folder: len(folder.parts)):
        inside = {path.relative_to(ROOT) for path in (ROOT / folder).rglob("*.py")}
        if len(inside) > 1 and inside <= files and folder.parent not in folded:
            folded = {path for path in folded if not path.is_relative_to(folder)} | {folder}
    return folded


def rewritten(text: str) -> str:
    """Return the text of dvc.yaml with the code dependencies of every stage replaced by the computed ones."""
    lines, stage, in_deps = list[str](), "", False
    for line in text.splitlines():
        key = line.strip().removesuffix(":")
        if line.startswith("  ") and not line.startswith("   ") and line.endswith(":"):
            stage = key
        was_in_deps, in_deps = in_deps, line == "    deps:" or (in_deps and line.startswith("      "))
        if was_in_deps and not in_deps:
            lines += [f"      - {path}" for path in code_of(stage)]
        if not (in_deps and key.startswith(tuple(f"- {package}/" for package in PACKAGES))):
            lines.append(line)
    return "\n".join(lines) + "\n"


def of_project(text: str) -> str:
    """Return dvc.yaml of a project where dtc is installed, given that of the repository, which has the code."""
    lines, has_params = list[str](), False
    for line in text.splitlines():
        if line.startswith(COMMAND):
            stage, has_params = line.removeprefix(COMMAND).replace(" ", "_"), False
            line = f"    cmd: dtc {line.removeprefix(COMMAND)}"
        if "stages.dvc_dependencies" in line:
            line = "# In code.yaml is a fingerprint of the code of dtc that each stage runs."
        if line.startswith("    params:"):
            lines, has_params = [*lines, line, "      - code.yaml:", f"          - {stage}"], True
        elif line == "    outs:" and not has_params:
            lines += ["    params:", "      - code.yaml:", f"          - {stage}", line]
        elif not line.strip().startswith(tuple(f"- {package}/" for package in PACKAGES)):
            lines.append(line)
    return "\n".join(lines).replace("    deps:\n    params:", "    params:") + "\n"


def main() -> None:
    """Rewrite dvc.yaml of the project that this code belongs to, and dvc.yaml of new projects."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.prog = "python -m stages.dvc_dependencies"
    parser.parse_args()
    path = ROOT / "dvc.yaml"
    text = rewritten(path.read_text(encoding="utf-8"))
    path.write_text(text, encoding="utf-8")
    TEMPLATE.write_text(of_project(text), encoding="utf-8")


if __name__ == "__main__":
    main()
