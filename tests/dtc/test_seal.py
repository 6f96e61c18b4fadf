"""Seals of files: any changed byte shows."""

import hashlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dtc.seal import UNSEALED, check_seal, seal_in, sealed, sealed_json


def test_the_seal_is_the_sha256_with_zeros_in_its_place() -> None:
    content = sealed(f"before {UNSEALED} after".encode())
    digits = hashlib.sha256(f"before {UNSEALED} after".encode()).hexdigest()
    assert content == f"before dtc-seal:{digits} after".encode()
    assert check_seal(content) == "intact"


@given(st.binary(max_size=50), st.binary(max_size=50), st.data())
def test_no_byte_can_be_changed(before: bytes, after: bytes, data: st.DataObject) -> None:
    content = bytearray(sealed(before + UNSEALED.encode() + after))
    place = data.draw(st.integers(0, len(content) - 1))
    content[place] ^= data.draw(st.integers(1, 255))
    assert check_seal(bytes(content)) != "intact"


@pytest.mark.parametrize("content", [b"", b"dtc-seal:", b"a text about dtc-seal:0123"])
def test_a_file_without_a_seal(content: bytes) -> None:
    assert (check_seal(content), seal_in(content)) == ("none", "")


def test_a_sealed_json_file() -> None:
    content = sealed_json({"text": "dtc-seals swim", "n": 1})
    tree = json.loads(content)
    assert tree == {"text": "dtc-seals swim", "n": 1, "seal": seal_in(content)}
    assert check_seal(content) == "intact"
    assert sealed_json({"text": "dtc-seals swim", "n": 1}) == content
