"""The settings of the speech recogniser for each kind of text that a voice speaks."""

from __future__ import annotations

from dtc.evaluation import EarConfig
from pipeline.corpora import find_grammar


def ears_of(ear: EarConfig) -> tuple[EarConfig, EarConfig]:
    """Return the settings for texts as in the corpus, and those for other texts, with paths of the grammars.

    Raises InputError where a grammar is neither a file nor the name of one that ships with dtc.
    """
    grammars = {"evaluate.grammar": ear.grammar, "evaluate.texts_grammar": ear.texts_grammar or ear.grammar}
    paths = [grammar and str(find_grammar(grammar, key)) for key, grammar in grammars.items()]
    own, other = (ear.model_copy(update={"grammar": path, "texts_grammar": None}) for path in paths)
    return own, other
