"""CMUdict: how 126,052 English words are spoken, as the package pocketsphinx 5.1.1 ships it.

cmudict.txt.gz has a line for each word, in small letters: the word, a tab, its phonemes. Of words with several
pronunciations it has the first. Vowels have no stress. Its licence (BSD) is in CMUDICT-LICENSE.
"""

from __future__ import annotations

import gzip
import hashlib
from functools import cache
from pathlib import Path

FILE = Path(__file__).with_name("cmudict.txt.gz")
# Of the text. As a part of the code it belongs to the identity of trainings that depend on the pronunciations.
SHA256 = "eecc62be2495de5c392faedbcb7ab31ebf590d0f7b9edd1047a301660d81b3c4"


@cache
def cmudict() -> dict[str, str]:
    """Return word → phonemes, read when it is first asked for, in about 0.1 s."""
    content = gzip.decompress(FILE.read_bytes())
    assert hashlib.sha256(content).hexdigest() == SHA256, f"{FILE} was changed"
    return dict(line.split("\t") for line in content.decode("ascii").splitlines())
