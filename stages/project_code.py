"""Note in code.yaml which code of dtc the stages of a project run, where dtc is installed beside the project.

DVC compares files, and an installed package is none of the project's. So code.yaml has a fingerprint of the code of
each stage, of which dvc.yaml makes a parameter. `dtc init` writes it, and a stage that DVC runs with other code is
refused: the code that runs is the code that dvc.lock names.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path

from dtc import __version__
from dtc.errors import InputError
from dtc.files import write_whole
from dtc.provenance import fingerprint
from stages.params_file import read_yaml

CODE, DVC_YAML, DVC_LOCK = Path("code.yaml"), Path("dvc.yaml"), Path("dvc.lock")
VERSION, PIPELINE = "dtc", str(DVC_YAML)  # keys of code.yaml beside the stages
HEAD = (
    "# The code of dtc that each stage runs, as fingerprints. After an upgrade of dtc, `dtc init --update .` writes\n"
    "# this file again, and says which stages will run again.\n"
)


def write_code(pipeline: str) -> None:
    """Write code.yaml of the project in the working folder, by the code that runs.

    Args:
        pipeline: the text of dvc.yaml as dtc has written it.
    """
    known = {VERSION: __version__, PIPELINE: fingerprint(pipeline), **running_code()}
    write_whole(CODE, HEAD + "".join(f'{key}: "{value}"\n' for key, value in known.items()))


def read_code() -> Mapping[str, str]:
    """Return the content of code.yaml: stage → fingerprint, the version of dtc, and the fingerprint of dvc.yaml.

    A file that is damaged, as by a merge, notes nothing, and `dtc init --update .` writes it again.
    """
    if not CODE.is_file():
        raise InputError(CODE, "no such file", "the folder of a project that `dtc init` has made")
    tree: object = None
    with contextlib.suppress(InputError):
        tree = read_yaml(CODE)
    known = tree if isinstance(tree, dict) else {}
    return {VERSION: "(unknown)"} | {key: str(value) for key, value in known.items()}


def running_code() -> Mapping[str, str]:
    """Return stage → fingerprint of the code that runs."""
    from stages.dvc_dependencies import STAGES, fingerprint_of

    return {stage: fingerprint_of(stage) for stage in STAGES}


def changed_stages(known: Mapping[str, str]) -> list[str]:
    """Return the stages whose code is not the code that runs, given the content of code.yaml."""
    return [stage for stage, code in running_code().items() if known.get(stage) != code]


def require_noted_code(stage: str) -> None:
    """Raise InputError where DVC runs a stage of a project whose code.yaml notes other code for it."""
    if not CODE.is_file():
        return
    from stages.dvc_dependencies import STAGES, fingerprint_of

    known = read_code()
    if stage in STAGES and known.get(stage) != fingerprint_of(stage):
        found = f"notes the code of {stage} of dtc {known[VERSION]}, which differs from that of dtc {__version__} here"
        remedy = "run `dtc init --update .`, which says what will run again; or install that version again"
        raise InputError(CODE, found, remedy=remedy)
