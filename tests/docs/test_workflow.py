"""GitHub's workflow: its schema, what it runs, and what it takes from others."""

import re
import subprocess
import sys

import yaml

from tests.conftest import REPOSITORY

WORKFLOW = REPOSITORY / ".github/workflows/ci.yml"
JOBS = yaml.safe_load(WORKFLOW.read_text(encoding="utf-8"))["jobs"]
STEPS = [step for job in JOBS.values() for step in job["steps"]]


def test_it_fits_the_schema_of_github() -> None:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.github-workflows", WORKFLOW]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout


def test_what_it_takes_from_others_is_pinned_to_a_commit() -> None:
    used = [step["uses"] for step in STEPS if "uses" in step]
    assert used
    assert [each for each in used if not re.fullmatch(r"[\w/-]+@[0-9a-f]{40}", each)] == []
    assert all(job["permissions"] and job["timeout-minutes"] for job in JOBS.values())


def test_what_it_makes_is_in_the_makefile_and_what_ci_makes_is_in_it() -> None:
    made = {target for step in STEPS for target in re.findall(r"make ([\w./]+)", step.get("run", ""))}
    makefile = (REPOSITORY / "Makefile").read_text(encoding="utf-8").replace("$(INSTALLED)", ".venv/installed")
    assert [target for target in made if f"\n{target}:" not in makefile] == []
    assert set(re.findall(r"^make (\w+)", (REPOSITORY / ".ci/run").read_text(encoding="utf-8"), re.M)) <= made
    assert JOBS["test"]["strategy"]["matrix"]["python"] == ["3.11", "3.12", "3.13"]
