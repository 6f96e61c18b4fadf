"""dtc.provenance: fingerprints are of content alone."""

import hashlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dtc.config import Section
from dtc.provenance import CHUNK_BYTES, Checksums, fingerprint, md5_of, read_chunks, sha256_of


class Pair(Section):
    first: int
    second: float


def test_fingerprints_are_for_ever() -> None:
    """Checkpoints and runs are found by them: a changed definition orphans them all."""
    # printf '%s' '["audio",{"a":"\\u00e9","b":[1,2.5,null]}]' | sha256sum
    assert fingerprint("audio", {"b": [1, 2.5, None], "a": "é"}) == "c78d4fae3f077a1d"
    assert fingerprint("pair", Pair(first=1, second=0.5)) == fingerprint("pair", {"second": 0.5, "first": 1})


def test_what_counts_and_what_does_not() -> None:
    assert fingerprint({"a": 1, "b": 2}) == fingerprint({"b": 2, "a": 1})
    different = [("a", "b"), ("b", "a"), ("ab",), (["a", "b"],), ("a", "b", None), (1,), (1.0,), ("1",), (True,)]
    assert len({fingerprint(*parts) for parts in different}) == len(different)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(json_values)
def test_sixteen_hexadecimal_digits(value: object) -> None:
    digits = fingerprint(value)
    assert len(digits) == 16
    assert int(digits, 16) >= 0


def test_a_number_that_is_none_has_no_fingerprint() -> None:
    with pytest.raises(ValueError, match="Out of range float"):
        fingerprint(float("nan"))


@pytest.mark.parametrize("size", [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 2 * CHUNK_BYTES + 5])
def test_digests_of_files(tmp_path: Path, size: int) -> None:
    content = bytes(range(256)) * (size // 256) + bytes(size % 256)
    path = tmp_path / "file"
    path.write_bytes(content)
    assert md5_of(path) == hashlib.md5(content).hexdigest()
    assert sha256_of(path) == hashlib.sha256(content).hexdigest()


@given(st.lists(st.binary(max_size=100)))
def test_checksums_of_what_comes_in_pieces(pieces: list[bytes]) -> None:
    checksums, content = Checksums(), b"".join(pieces)
    for piece in pieces:
        checksums.add(piece)
    assert (checksums.md5, checksums.sha256, checksums.bytes) == (
        hashlib.md5(content).hexdigest(),
        hashlib.sha256(content).hexdigest(),
        len(content),
    )


def test_checksums_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(bytes(CHUNK_BYTES + 1))
    assert list(map(len, read_chunks(path))) == [CHUNK_BYTES, 1]
    checksums = Checksums.of(path)
    assert (checksums.md5, checksums.sha256, checksums.bytes) == (md5_of(path), sha256_of(path), CHUNK_BYTES + 1)
