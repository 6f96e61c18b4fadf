"""A recogniser for corpora whose texts follow a grammar: PocketSphinx with a JSGF grammar of all possible texts.

PocketSphinx is BSD-licensed and has its English model inside the package. Without a grammar it has many word errors.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pocketsphinx
from jaxtyping import Float

from dtc.errors import InputError
from dtc.evaluation import EarConfig
from dtc.evaluation.quality_inputs import MODEL_RATE_HZ, at_model_rate
from dtc.evaluation.recognisers import is_silent

# The model was trained on recordings with silence around the words; 0.1 s and 0.3 s give the same word errors.
PADDING_S = 0.1

# PocketSphinx's default of 0.65 suits a language model, in which every word lowers the score. In a grammar it does not:
# with 0.65 the recordings of `numbers` have 2.1 % word errors, mostly short words that are added ("point three" becomes
# "point three eight"); with 0.1 1.3 %, with 0.01 and 0.003 0.8 %, with 0.001 1.0 %, since words are missed.
WORD_INSERTION_PENALTY = 0.005


class GrammarRecogniser:
    """Recognises the phrases of one JSGF grammar.

    Args:
        grammar: path of a JSGF file with one public rule; its words must be in CMUdict.

    Raises InputError where the grammar is missing, is not valid, or holds a word that the dictionary lacks.
    """

    def __init__(self, grammar: Path) -> None:
        if not grammar.is_file():
            raise InputError(grammar, "no such file", "a JSGF grammar", "set evaluate.grammar to one")
        _check_rules(grammar)
        try:
            self._decoder = pocketsphinx.Decoder(
                jsgf=str(grammar),
                lm=None,
                wip=WORD_INSERTION_PENALTY,
                # The best path through the lattice may end inside a phrase ("in sixteen eighty three the").
                bestpath=False,
                # Mean and level are computed from the utterance itself, not carried over from the one before.
                cmn="batch",
                loglevel="FATAL",
            )
        except RuntimeError:
            expected = "a JSGF grammar whose words are all in CMUdict"
            raise InputError(grammar, "not a usable grammar", expected, "correct it") from None

    def transcribe(self, wave: Float[np.ndarray, " samples"], sampling_rate: int) -> str:
        """Return the phrase of the grammar that a waveform in [-1, 1] holds, in lower case; "" where it holds none."""
        if is_silent(wave, sampling_rate):
            return ""
        # The state of the front end survives an utterance and changes the scores of the next one; this resets it, at no
        # measurable cost. `cmn="batch"` alone does not: 14 of 17 noisy clips had other scores in another order.
        self._decoder.reinit_feat()
        self._decoder.start_utt()
        self._decoder.process_raw(padded_pcm(at_model_rate(wave, sampling_rate)), full_utt=True)
        self._decoder.end_utt()
        hypothesis = self._decoder.hyp()
        return hypothesis.hypstr if hypothesis else ""


def build_grammar_recogniser(config: EarConfig) -> GrammarRecogniser:
    """Return the recogniser of `config.grammar`, a path here. Raises InputError as GrammarRecogniser."""
    if not config.grammar:
        raise InputError("evaluate.grammar", "null", "a JSGF grammar, for the recogniser grammar")
    return GrammarRecogniser(Path(config.grammar))


def _check_rules(grammar: Path) -> None:
    """Raise InputError for a rule that is used and not defined: PocketSphinx would recognise nothing without a word."""
    try:
        content = grammar.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise InputError(grammar, f"byte {error.start} is not UTF-8", "text in UTF-8", "save it as UTF-8") from None
    text = re.sub(r"/\*.*?\*/|//[^\n]*", "", content, flags=re.DOTALL)
    defined = set(re.findall(r"<([^<>]+)>\s*=", text)) | {"NULL", "VOID"}
    undefined = sorted(set(re.findall(r"<([^<>]+)>", text)) - defined)
    if undefined:
        raise InputError(grammar, f"<{undefined[0]}> is used but not defined", remedy=f"add <{undefined[0]}> = …;")


def padded_pcm(wave: Float[np.ndarray, " samples"]) -> bytes:
    """Return 16-bit samples at 16 kHz with silence around them; values beyond [-1, 1] are clipped."""
    padded = np.pad(wave.astype(np.float64), int(PADDING_S * MODEL_RATE_HZ))
    return np.round(np.clip(padded, -1, 1) * 32767).astype("<i2").tobytes()
