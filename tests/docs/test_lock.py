"""requirements.lock: one version of each package, the hashes of its files, and no place to get them from."""

import re

from tests.conftest import REPOSITORY

LOCK = (REPOSITORY / "requirements.lock").read_text(encoding="utf-8")
ENTRIES = [entry.replace(" \\\n", "\n").split("\n    ") for entry in re.split(r"\n(?! )", LOCK.strip())]


def test_each_entry_is_one_version_with_hashes() -> None:
    assert len(ENTRIES) > 200
    pin, sum_ = r"[a-z0-9.-]+==[^ ;]+( ; .+)?", r"--hash=sha256:[0-9a-f]{64}"
    wrong = [first for first, *sums in ENTRIES if not re.fullmatch(pin, first) or not sums]
    assert wrong == [], "run `make lock`"
    assert all(re.fullmatch(sum_, each) for _, *sums in ENTRIES for each in sums)


def test_no_entry_names_a_place() -> None:
    assert not re.search(r"://|@|^-|--(index|find|extra|trusted)", LOCK, re.MULTILINE)
