"""Steps that turn a model of an older format into one of today's format, so that every model ever saved still loads.

Each step takes the tree of config.json in format N and returns it in format N + 1. Formats differ in the card's own
keys. The config inside a card was extended more often, so its steps look for the keys that are missing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor

from dtc.provenance import fingerprint

Tree = dict[str, Any]


def migrate_card(tree: Any) -> Any:
    """Return the tree of a card in today's format; what is no card of an older format is returned as it is.

    A migrated card keeps the fingerprint that it had in its own format, as `saved_as`: a vocoder that was trained on
    the mels of an acoustic model names that model by it.
    """
    if not isinstance(tree, dict) or tree.get("format") not in STEPS:
        return tree
    card = tree
    while (step := STEPS.get(card["format"])) is not None:
        card = step(card) | {"format": card["format"] + 1}
    return card | {"saved_as": fingerprint("model", tree)}


def migrate_weights(kind: str, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the weights of a model by the names that they have today."""
    return dict(weights)


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
