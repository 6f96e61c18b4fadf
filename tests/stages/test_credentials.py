"""`dtc say --credentials`: content credentials, which C2PA's own reader verifies."""

import io
import json
import sys
from pathlib import Path

import pytest

from dtc.provenance import sha256_of
from dtc.wav_mark import SOURCE_TYPE
from tests.conftest import REPOSITORY, Project
from tests.dtc.certificates import write_certificates

c2pa = pytest.importorskip("c2pa", reason="not installed: the extra `c2pa`")
WAV = Path("spoken/001-one.wav")
SAY = ("say", "one", "--models", str(REPOSITORY / "tests/models/format-4"), "--device", "cpu")


@pytest.fixture
def signed(project: Project, tmp_path: Path) -> Project:
    key, certificates = write_certificates(tmp_path)
    project.run(*SAY, "--credentials", str(key), str(certificates))
    return project


def test_the_reader_of_c2pa_verifies_a_signed_wav(signed: Project) -> None:
    reader = c2pa.Reader("audio/wav", io.BytesIO(WAV.read_bytes()))
    assert reader.get_validation_state() == "Valid"
    (assertion,) = reader.get_active_manifest()["assertions"]
    (action,) = assertion["data"]["actions"]
    assert (action["action"], action["digitalSourceType"]) == ("c2pa.created", SOURCE_TYPE)
    assert reader.get_active_manifest()["signature_info"]["common_name"] == "a studio"
    assert json.loads(WAV.with_suffix(".json").read_text())["wav_sha256"] == sha256_of(WAV)
    said = signed.run("provenance", str(WAV))
    assert "content credentials: Valid, signed by dtc tests, a studio: trainedAlgorithmicMedia" in said
    assert "│ WAV       │                                  │ spoken/001-one.wav │ verified │" in said


@pytest.mark.parametrize("place", [700, -10])
def test_a_byte_that_was_changed_after_the_signature_is_noticed(signed: Project, place: int) -> None:
    content = bytearray(WAV.read_bytes())
    content[place] ^= 1
    WAV.write_bytes(content)
    WAV.with_suffix(".json").unlink()
    assert f"{WAV} does not fit its content credentials" in signed.run("provenance", str(WAV), code=2)


def test_without_the_extra_they_are_not_verified_and_not_made(signed: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "c2pa", None)
    hint = "pip install 'dueling-turing-classifier[c2pa]'"
    assert f"has content credentials, which were not verified: {hint}" in signed.run("provenance", str(WAV))
    line = signed.run(*SAY, "--credentials", "key.pem", "cert.pem", code=2)
    assert line == f"--credentials: c2pa-python is not installed; {hint}"


def test_credentials_that_cannot_sign_are_refused(signed: Project, tmp_path: Path) -> None:
    key, certificates = tmp_path / "key.pem", tmp_path / "cert.pem"
    assert "expected a private key as PEM" in signed.run(*SAY, "--credentials", *map(str, (certificates, key)), code=2)
    assert "no.pem: cannot be used" in signed.run(*SAY, "--credentials", "no.pem", str(certificates), code=2)
    certificates.write_text("none")
    assert "--credentials: cannot sign" in signed.run(*SAY, "--credentials", str(key), str(certificates), code=2)
    assert "--stream, whose samples" in signed.run(
        *SAY, "--stream", "--credentials", str(key), str(certificates), code=2
    )
    assert not Path("spoken/002-one.wav").exists()
