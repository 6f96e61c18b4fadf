"""Migration of models of older formats to the present one, so that every model ever saved still loads.

Each step takes the tree of config.json in format N and returns it in format N + 1. Formats differ in the card's own
keys. The config inside a card was extended more often, so its steps look for the keys that are missing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from dtc.errors import InputError
from dtc.provenance import fingerprint

Tree = dict[str, Any]
FORMAT = 6  # of present cards


def migrate_card(tree: Any, where: object) -> Any:
    """Return the tree of a card in the present format; any tree but a card of an older format is returned unchanged.

    A migrated card keeps the fingerprint that it had in its own format, as `saved_as`: a vocoder that was trained on
    the mels of an acoustic model names that model by it. Raises InputError, naming `where`, where a key is missing, and
    for a card of a newer format.
    """
    if not isinstance(tree, dict) or not isinstance(tree.get("format"), int):
        return tree
    if tree["format"] > FORMAT:
        remedy = "a newer version of dtc saved the model: update dtc"
        raise InputError(where, f"format {tree['format']}", f"{FORMAT} or older", remedy)
    if tree["format"] not in STEPS:
        return tree
    card = tree
    try:
        while (step := STEPS.get(card["format"])) is not None:
            card = step(card) | {"format": card["format"] + 1}
    except (AttributeError, KeyError, TypeError) as error:
        remedy = "the file was changed: copy the model folder again"
        raise InputError(where, f"no card of format {tree['format']} ({error!r})", remedy=remedy) from None
    # As ModelCard.fingerprint has it: what a card of format 5 lacks is null in it, and no part of its fingerprint.
    return card | {"saved_as": fingerprint("model", {key: value for key, value in tree.items() if value is not None})}


def _with_text(card: Tree) -> Tree:
    """Migrate 1 to 2: the alphabet is a list, and the card has `text`. The first cards lack `training`."""
    text = {"symbols": "nvidia", "normaliser": "english"}
    return {"training": {}} | card | {"alphabet": list(card["alphabet"]), "text": text}


def _unchanged(card: Tree) -> Tree:
    """Migrate 2 to 3 and 3 to 4: only keys with a default were added, `aligned` and `aligned_by`."""
    return card


def _with_own_keys(card: Tree) -> Tree:
    """Migrate 4 to 5: the config has every present key, and each attention has its own keys."""
    config = _with_defaults(card["config"], LATER_KEYS[card["kind"]])
    config = _with_defaults(config, LATER_KEYS_OF_MODEL.get(config["model"], {}))
    if card["kind"] == "acoustic":
        config = _with_own_attention_keys(config)
    return card | {"config": config}


def _with_aligner_features(card: Tree) -> Tree:
    """Migrate 5 to 6: the aligner of a parallel model names its features, which were the bands of the mel."""
    config = card["config"]
    if config["model"] != "parallel":
        return card
    return card | {"config": config | {"aligner": {"features": "bands"} | config["aligner"]}}


def _with_own_attention_keys(config: Tree) -> Tree:
    """Move the filters into the attention's section; until then, every attention had filters and mixtures."""
    config = dict(config)
    location, attention = config.pop("attention_location"), dict(config["attention"])
    mixtures = attention.pop("num_mixtures")
    attention |= {"num_mixtures": mixtures} if attention["model"] == "gmm" else location
    return config | {"attention": attention}


def _with_defaults(tree: Tree, defaults: Mapping[str, Any]) -> Tree:
    """Return `tree` with the keys that it lacks, also in the sections inside it."""
    inner = {
        key: _with_defaults(tree.get(key, {}), value) for key, value in defaults.items() if isinstance(value, dict)
    }
    return {**defaults, **tree, **inner}


# Keys that were added to the configs within a format, with the value for which the code computes the same as before.
LATER_KEYS: Mapping[str, Tree] = {
    "acoustic": {
        "mask_convolutions": True,
        "attention": {"model": "location_sensitive", "num_mixtures": 5},
        "decoder": {"pre_net_dropout": 0.5, "frame_dropout": 0.0, "gradient_checkpointing": False},
        "loss": {"guided_attention_half_life": None, "mel_difference_weight": 0.0, "stft_weight": 0.0},
    },
    "vocoder": {"train_on": "recorded"},
}
LATER_KEYS_OF_MODEL: Mapping[str, Tree] = {
    "dtc": {"duel": {"fade_steps": None}},
    "vocos": {"attenuation_db": 0.0, "mel_blur": 0.0, "adversarial": None},
    "waveglow": {"attenuation_db": 0.0, "conditioning": "upsampled", "pre_emphasis": 0.0},
}
STEPS: Mapping[int, Callable[[Tree], Tree]] = {
    1: _with_text,
    2: _unchanged,
    3: _unchanged,
    4: _with_own_keys,
    5: _with_aligner_features,
}
