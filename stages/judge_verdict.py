"""What `dtc judge` says at its end: whether its figures can be relied on, and what is to be done next."""

from __future__ import annotations

from collections.abc import Sequence

from dtc.errors import plural
from dtc.judge.trial import Verdict

FEW_PAIRS = 20  # with fewer, only large differences are found
MORE_TEXTS = "raise evaluate.max_clips or split.test_share"


def next_step(verdicts: Sequence[Verdict]) -> str:
    """Return one sentence: what the verdicts mean together, and what to do next."""
    found = {verdict.contest.name: verdict for verdict in verdicts}
    if not {"vocoder", "acoustic"} <= found.keys():
        return f"there are too few held-out texts to judge by; {MORE_TEXTS}"
    control, vocoder, acoustic = found.get("control"), found["vocoder"], found["acoustic"]
    if control and control.told_apart:
        return (
            f"do not rely on this: recordings are told from other recordings ({_auc(control)}), which happens by "
            f"chance with 2 of 100 voices; set another judge.seed, and {MORE_TEXTS}"
        )
    if vocoder.told_apart:
        also = f"; synthesis is told from copies too ({_auc(acoustic)})" if acoustic.told_apart else ""
        return f"copies are told from recordings ({_auc(vocoder)}){also}: mend the vocoder first, see docs/vocoders.md"
    if acoustic.told_apart:
        return (
            f"synthesis is told from copies ({_auc(acoustic)}), and copies are not told from recordings: mend the "
            "acoustic model, see docs/acoustic-models.md"
        )
    pairs = len(vocoder.contest.pairs)
    few = f", but {pairs} are few: {MORE_TEXTS}" if pairs < FEW_PAIRS else ": let people try, with `dtc duel`"
    return f"no difference was found in {plural(pairs, 'text')}{few}"


def _auc(verdict: Verdict) -> str:
    """Return the AUC of the judge that is surest."""
    auc = max((judged.outcome.auc for judged in verdict.judged.values()), key=lambda auc: auc.low)
    return f"AUC {auc.value:.2f}, {auc.low:.2f} to {auc.high:.2f}"
