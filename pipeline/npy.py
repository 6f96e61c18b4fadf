"""Plain arrays as npy files, in and out: no literal is evaluated, no pickle opened, no header believed."""

from __future__ import annotations

import io
import math
import re

import numpy as np
from jaxtyping import UInt8

from dtc.errors import InputError

LONGEST_HEADER_BYTES = 512

# The header that numpy writes for a plain array. Nothing else is read.
HEADER = re.compile(
    rb"\x93NUMPY\x01\0..{'descr': '([<|>=]\w+)', 'fortran_order': False, 'shape': \(([\d, ]*)\), } *\n", re.DOTALL
)


def to_npy(array: np.ndarray) -> bytes:
    """What numpy.save writes; that copies the array twice more."""
    array = np.ascontiguousarray(array)
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, np.lib.format.header_data_from_array_1_0(array))
    return b"".join((header.getvalue(), array.data))


def from_npy(
    content: bytes | UInt8[np.ndarray, " bytes"], dtype: str, shape: tuple[int, ...], where: str, remedy: str
) -> np.ndarray:
    """The array of an npy file that must be of this type ("<f4") and shape, without a copy.

    Raises InputError, with `where` and `remedy`, for any other.
    """
    header = HEADER.match(bytes(content[:LONGEST_HEADER_BYTES]))
    found = (header[1].decode(), tuple(int(size) for size in header[2].split(b",") if size.strip())) if header else None
    if header is None or found != (dtype, shape):
        shown = "{} {}".format(*found) if found else "no npy header of a plain array"
        raise InputError(where, shown, f"{dtype} {shape}", remedy)
    n_bytes = np.dtype(dtype).itemsize * math.prod(shape)
    if len(content) - header.end() != n_bytes:
        raise InputError(where, f"{len(content) - header.end()} bytes of values", f"{n_bytes}", remedy)
    return np.frombuffer(content, dtype, offset=header.end()).reshape(shape)
