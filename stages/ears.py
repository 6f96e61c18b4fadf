"""The settings of the speech recogniser for each kind of text that a voice speaks."""

from __future__ import annotations

from dtc.evaluation import EarConfig
from pipeline.corpora import find_grammar


def ears_of(ear: EarConfig) -> tuple[EarConfig, EarConfig]:
    """Return the settings for texts as in the corpus, and those for other texts, with paths of the grammars.

    Raises InputError where a grammar is neither a file nor the name of one that ships with dtc.
    """
    return own_ear_of(ear), _with_grammar(ear, ear.texts_grammar or ear.grammar, "evaluate.texts_grammar")


def own_ear_of(ear: EarConfig) -> EarConfig:
    """Return the settings for texts as in the corpus, with the grammar's path. Raises InputError as `ears_of`."""
    return _with_grammar(ear, ear.grammar, "evaluate.grammar")


def _with_grammar(ear: EarConfig, grammar: str | None, key: str) -> EarConfig:
    path = grammar and str(find_grammar(grammar, key))
    return ear.model_copy(update={"grammar": path, "texts_grammar": None})
