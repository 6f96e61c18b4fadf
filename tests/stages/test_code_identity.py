"""Which code shapes a result: by the import graph and by syntax trees."""

import subprocess
import sys
from pathlib import Path

import pytest

from dtc.config import Section
from dtc.registry import Part, Registry
from stages import code_identity
from stages.code_identity import chosen_modules, code_digests, files_of, fingerprint_code, modules_of
from tests.conftest import REPOSITORY


def test_modules_of_is_what_a_module_imports_directly_or_not() -> None:
    assert modules_of(["dtc.registry"]) == {"dtc.registry", "dtc.config", "dtc.errors"}
    assert modules_of(["dtc.seeding", "dtc.errors"]) == {"dtc.seeding", "dtc.errors"}
    assert "dtc.audio" in modules_of(["stages.preprocess"])


def test_files_of_finds_modules_and_packages() -> None:
    expected = [REPOSITORY / "dtc/seeding.py", REPOSITORY / "dtc/text/__init__.py"]
    assert files_of(["dtc.text", "dtc.seeding"]) == expected


SOURCE = '''"""Module."""

def shout(text: str) -> str:
    """Return the text louder."""
    return text.upper()

class Empty:
    """Nothing but a docstring."""
'''


@pytest.mark.parametrize(
    ("old", "new", "same"),
    [
        ('"""Return the text louder."""', '"""Return the text in capital letters.\n\n    Really."""', True),
        ("return text.upper()", "# a comment\n\n    return (text.upper())", True),
        ('    """Nothing but a docstring."""', "    pass", True),
        ("text.upper()", "text.lower()", False),
        ("text: str", "text: bytes", False),
        ("class Empty", "class Vacant", False),
    ],
)
def test_comments_and_docstrings_do_not_count_and_code_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, old: str, new: str, same: bool
) -> None:
    """Of a part that lies outside the packages, in two folders."""
    digests = []
    for folder, source in (("before", SOURCE), ("after", SOURCE.replace(old, new))):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "outside_part.py").write_text(source)
        with monkeypatch.context() as patch:
            patch.syspath_prepend(str(tmp_path / folder))
            code_identity._file_of.cache_clear()
            digests.append(fingerprint_code(modules_of(["outside_part"])))
    assert (digests[0] == digests[1]) is same


def test_a_registered_part_counts_where_it_is_chosen() -> None:
    class Chosen(Section):
        model: str

    lazy: Registry[object] = Registry("letter", {"a": Part("dtc.seeding:seed_all"), "b": Part(build=Chosen)})
    assert lazy.modules("a") == {"dtc.seeding"}
    assert lazy.modules("b") == {__name__}


def test_chosen_modules_are_those_of_the_params() -> None:
    from stages.params import load_params

    params = load_params(REPOSITORY / "stages/presets/numbers-tacotron2.yaml")
    assert "dtc.acoustic.attention.location_sensitive" in chosen_modules(params.acoustic)


def test_code_is_compared_module_by_module_without_importing_it() -> None:
    program = (
        "import sys; from stages.code_identity import *; "
        "found = code_digests(modules_of(['stages.preprocess'])); "
        "assert 'torch' not in sys.modules; print(*found)"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == list(code_digests(modules_of(["stages.preprocess"])))
