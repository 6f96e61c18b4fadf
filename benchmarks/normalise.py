"""Measure how often a normalised LJSpeech text is word for word the published one.

`python benchmarks/normalise.py [CSV] [--show N]` reads rows `id|raw|normalised` and prints the share of equal rows: of
those that the published normalisation changed, and of those that it left alone. Two texts are equal if they have the
same words in lower case, with accents folded and abbreviations expanded on both sides, and with punctuation replaced by
a space or removed.
"""

from __future__ import annotations

import argparse
import re
import unicodedata
from pathlib import Path

from dtc.text import normalise

# The abbreviations that the published texts keep; the README of the corpus lists most of them.
ABBREVIATIONS = {
    "mr": "mister",
    "mrs": "missus",
    "dr": "doctor",
    "drs": "doctors",
    "messrs": "messieurs",
    "no": "number",
    "st": "saint",
    "co": "company",
    "jr": "junior",
    "maj": "major",
    "gen": "general",
    "rev": "reverend",
    "lt": "lieutenant",
    "hon": "honorable",
    "sgt": "sergeant",
    "capt": "captain",
    "esq": "esquire",
    "ltd": "limited",
    "col": "colonel",
    "ft": "fort",
    "inc": "incorporated",
    "etc": "et cetera",
}
SHORT = re.compile(rf"\b({'|'.join(sorted(ABBREVIATIONS, key=len, reverse=True))})\.")
PUNCTUATION = {"replaced by a space": " ", "removed": ""}


def words_of(text: str, gap: str) -> list[str]:
    """Return the words of a text, with `gap` in place of its punctuation."""
    text = "".join(part for part in unicodedata.normalize("NFKD", text.lower()) if not unicodedata.combining(part))
    text = SHORT.sub(lambda match: ABBREVIATIONS[match[1]], text)
    return re.sub(r"[^\w\s]", gap, text).split()


def read_rows(path: Path) -> list[tuple[str, str, str]]:
    """Return the rows `id|raw|normalised` of a file without quoting; a header begins with the cell "id"."""
    rows = [line.split("|") for line in path.read_text(encoding="utf-8").splitlines()]
    return [(row[0], row[1], row[2]) for row in rows if row[0] != "id"]


def main() -> None:
    """Print the table, and the first mismatches on request."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("csv", type=Path, nargs="?", default=Path("../shared/data/ljspeech_transcripts.csv"))
    parser.add_argument("--show", type=int, default=0, metavar="N", help="print the first N mismatches of each kind")
    arguments = parser.parse_args()
    rows = read_rows(arguments.csv)
    print(f"{'rows':<32}{'punctuation':<22}{'equal':>6}{'of':>7}{'share':>9}")
    for changed in (True, False):
        chosen = [(row, raw, published) for row, raw, published in rows if (raw != published) == changed]
        for treatment, gap in PUNCTUATION.items():
            wrong = [row for row in chosen if words_of(normalise(row[1]), gap) != words_of(row[2], gap)]
            name = "changed by the publisher" if changed else "left alone"
            equal = len(chosen) - len(wrong)
            print(f"{name:<32}{treatment:<22}{equal:>6}{len(chosen):>7}{equal / max(len(chosen), 1):>9.2%}")
            for row, raw, published in wrong[: arguments.show]:
                print(f"  {row}\n    raw        {raw}\n    ours       {normalise(raw)}\n    published  {published}")


if __name__ == "__main__":
    main()
