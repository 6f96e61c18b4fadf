"""What `dtc judge` and the report say of all contests: whether they can be relied on, and what is to be done next."""

from __future__ import annotations

from collections.abc import Sequence

from dtc.errors import plural
from dtc.report.findings import FEW_PAIRS, Contest

FEWEST_PAIRS = 2  # of a contest
NAMES = ("vocoder", "acoustic", "control")
MORE_TEXTS = "raise evaluate.max_clips or split.test_share"
MEND_VOCODER = "mend the vocoder first: train it for longer (training.vocoder), or set another vocoder.model"
MEND_ACOUSTIC = "mend the acoustic model: train it for longer (training.acoustic), or set another acoustic.model"


def conclusions(contests: Sequence[Contest]) -> list[str]:
    """Return a sentence for each contest that was not held, and one on what to do next."""
    missing = [name for name in NAMES if name not in {contest.name for contest in contests}]
    not_held = [f"contest {name} not held: it needs {FEWEST_PAIRS} pairs of clips or more" for name in missing]
    return [*not_held, next_step(contests)]


def next_step(contests: Sequence[Contest]) -> str:
    """Return one sentence: what the contests mean together, and what to do next."""
    found = {contest.name: contest for contest in contests}
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
        return f"copies are told from recordings ({_auc(vocoder)}){also}: {MEND_VOCODER}"
    if acoustic.told_apart:
        rest = f"and copies are not told from recordings: {MEND_ACOUSTIC}"
        return f"synthesis is told from copies ({_auc(acoustic)}), {rest}"
    few = f", but {vocoder.pairs} are few: {MORE_TEXTS}" if vocoder.pairs < FEW_PAIRS else ""
    return f"no difference was found in {plural(vocoder.pairs, 'text')}{few or ': let people try, with `dtc duel`'}"


def _auc(contest: Contest) -> str:
    """Return the AUC of the judge that is surest."""
    auc = max((ruling.auc for ruling in contest.rulings), key=lambda auc: auc.low)
    return f"AUC {auc.value:.2f}, {auc.low:.2f} to {auc.high:.2f}"
