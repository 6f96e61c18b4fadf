"""The section `text` of params.yaml, and the file of the user's own words that it names."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from dtc.config import Share
from dtc.errors import InputError, plural
from dtc.text.lexicon import WORD, LexiconConfig, without_stress
from dtc.text.symbols import ARPABET, TextConfig

EXAMPLE = "a word, a tab and its phonemes, as in tacotron\\tT AE K AH T R AA N"


class TextSection(TextConfig):
    """Define how a text becomes symbols, with what is not recorded in the same place as the rest."""

    phonemes: Literal["lexicon", "none"]  # lexicon: words become phonemes by CMUdict; none: they stay letters
    lexicon: str  # the file of your own words, which come first; read where phonemes is lexicon
    letters_share: Share  # of the words in training, which stay letters

    def recorded(self) -> TextConfig:
        """Return the keys that the index of the features and the card of a model have as their section `text`."""
        return TextConfig(symbols=self.symbols, normaliser=self.normaliser)

    def read_lexicon(self) -> LexiconConfig | None:
        """Return the user's words and the share of letters, or None where words stay letters.

        Raises InputError for a file that is missing, and for a line that is wrong.
        """
        if self.phonemes == "none":
            return None
        return LexiconConfig(words=read_words(Path(self.lexicon)), letters_share=self.letters_share)


def read_words(path: Path) -> dict[str, str]:
    """Return word → phonemes of a file, in small letters and without stress.

    Empty lines and those that begin with # are left out. Raises InputError, with the number of the line, for the first
    line that is wrong; the error counts the others.
    """
    words: dict[str, str] = {}
    faults: list[InputError] = []
    for number, line in enumerate(_lines_of(path), start=1):
        if line.strip() and not line.startswith("#"):
            try:
                word, phonemes = _parse(line, f"{path}:{number}")
                if word in words:
                    raise InputError(
                        f"{path}:{number}", f"{word!r} for the second time", "each word once", "remove one"
                    )
                words[word] = phonemes
            except InputError as fault:
                faults.append(fault)
    if faults:
        first, more = faults[0], len(faults) - 1
        others = f"mend it, and {plural(more, 'more line')}" if more else first.remedy or "mend the line"
        raise InputError(first.where, first.found, first.expected, others)
    return words


def _lines_of(path: Path) -> Iterator[str]:
    try:
        yield from path.read_text(encoding="utf-8-sig").splitlines()
    except FileNotFoundError:
        remedy = "make the file, which may be empty, or correct text.lexicon"
        raise InputError(path, "no such file", "your own words and their phonemes", remedy) from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(path, f"cannot be read ({error})", "a text file in UTF-8") from None


def _parse(line: str, where: str) -> tuple[str, str]:
    """Return the word and the phonemes of a line. Raises InputError, naming `where`, for anything else."""
    word, tab, phonemes = (part.strip() for part in line.partition("\t"))
    if not tab and "\t" not in line:
        raise InputError(where, f"no tab in {line!r}", EXAMPLE)
    if not re.fullmatch(WORD, word):
        raise InputError(where, f"{word!r} before the tab", "one word of English letters, apostrophes and hyphens")
    unknown = [phoneme for phoneme in phonemes.split() if phoneme.upper() not in ARPABET]
    if unknown or not phonemes:
        found = " ".join(map(repr, unknown)) or "no phonemes after the tab"
        raise InputError(where, found, "phonemes of ARPAbet, as in HH AH L OW")
    return word.lower(), without_stress(" ".join(phonemes.upper().split()))
