"""Steps that turn the card of an older model into one of today's format, so that every model ever saved still loads.

Each step takes the tree of config.json in format N and returns it in format N + 1.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from dtc.provenance import fingerprint

Tree = dict[str, Any]
FORMAT = 5  # of the cards that are written today


def migrate(tree: Mapping[str, Any]) -> Tree:
    """Return the tree of a card in today's format; a tree of an unknown format is returned as it is.

    A migrated card keeps the fingerprint that it had in its own format, as `saved_as`: a vocoder that was trained on
    the mels of an acoustic model names that model by it.
    """
    card = dict(tree)
    if card.get("format") not in STEPS:
        return card
    saved_as = fingerprint("model", card)
    while (step := STEPS.get(card["format"])) is not None:
        card = step(card) | {"format": card["format"] + 1}
    return card | {"saved_as": saved_as}


def _attention_with_its_own_keys(card: Tree) -> Tree:
    """4 → 5: each attention has its own keys; `attention_location` and `num_mixtures` were in every section."""
    if card["kind"] != "acoustic":
        return card
    config = dict(card["config"])
    location, attention = config.pop("attention_location"), dict(config["attention"])
    mixtures = attention.pop("num_mixtures")
    attention |= {"num_mixtures": mixtures} if attention["model"] == "gmm" else location
    return card | {"config": config | {"attention": attention}}


STEPS: Mapping[int, Callable[[Tree], Tree]] = {4: _attention_with_its_own_keys}
