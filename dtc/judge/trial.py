"""A contest before the judges: a judge is trained for each fold of the texts, and scores the texts of the others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int

from dtc.equalise import Band
from dtc.judge import JudgeConfig
from dtc.judge.contests import Contest, Pair
from dtc.judge.equalise import equalise
from dtc.judge.logistic import Vectors, train_logistic
from dtc.judge.network import PatchNetwork, scores_of, train_network
from dtc.judge.patches import mel_patches
from dtc.judge.saliency import Salient, salient, telling_band
from dtc.judge.statistics import Outcome, Scores, outcome_of
from dtc.seeding import seed_of
from dtc.threads import one_thread

NETWORK, SPEAKER = "network", "speaker"  # the judges
SUREST = 3  # clips of the second side whose saliency is kept

Embed = Callable[[Sequence[Pair], int], Vectors]  # pairs and their sampling rate → a vector for each clip
Advance = Callable[[], None]


@dataclass(frozen=True)
class Judged:
    """The held-out scores of one judge, and what they say."""

    scores: Scores
    outcome: Outcome


@dataclass(frozen=True)
class Verdict:
    """The result of a contest.

    Args:
        contest: with the waveforms as they are in the files.
        band: in Hz, that both sides have.
        judged: by the judges' names.
        surest: the clips of the second side that the network was surest about; [] in the control.
    """

    contest: Contest
    band: Band
    judged: dict[str, Judged]
    surest: list[Salient]

    @property
    def told_apart(self) -> bool:
        """Return whether a judge told the two sides apart."""
        return any(judged.outcome.told_apart for judged in self.judged.values())

    @property
    def telling(self) -> Band | None:
        """Return the range in Hz by which the network told most; None where it did not tell the sides apart."""
        return telling_band(self.surest) if self.surest and self.judged[NETWORK].outcome.told_apart else None


def trainings(contest: Contest, config: JudgeConfig, embed: Embed | None) -> int:
    """Return the number of judges that `judge_contest` trains."""
    folds = min(config.folds, len({pair.text for pair in contest.pairs}))
    return folds * (2 if embed else 1)


@one_thread()
def judge_contest(
    contest: Contest, sampling_rate: int, config: JudgeConfig, embed: Embed | None, advance: Advance
) -> Verdict:
    """Return the verdict on a contest of at least two texts.

    Args:
        contest: the pairs as they are in the files; they are made equal here.
        sampling_rate: of all waveforms, in Hz.
        config: section `judge`.
        embed: returns speaker embeddings; None: no judge by them.
        advance: called after each training: see `trainings`.
    """
    pairs, band = equalise(contest.pairs, sampling_rate, config.seed)
    texts = [pair.text for pair in pairs]
    folds = folds_of(texts, config.folds, config.seed)
    patches = mel_patches(pairs, sampling_rate)
    scores, networks = np.empty((len(pairs), 2)), list[PatchNetwork]()
    for fold in range(folds.max() + 1):
        seed = seed_of(f"judge {config.seed} {contest.name} {fold}")
        networks.append(train_network(patches[folds != fold], config.steps, seed))
        scores[folds == fold] = scores_of(networks[-1], patches[folds == fold]).numpy()
        advance()
    all_scores = {NETWORK: scores}
    if embed:
        all_scores[SPEAKER] = _logistic_scores(embed(pairs, sampling_rate), folds, advance)
    judged = {
        name: Judged(each, outcome_of(each, texts, len(networks), config.draws, config.seed))
        for name, each in all_scores.items()
    }
    surest = np.argsort(-scores[:, 1], kind="stable")[: SUREST if contest.blames else 0]
    shown = [
        salient(pairs[number], float(scores[number, 1]), networks[folds[number]], patches[number, 1], sampling_rate)
        for number in surest
    ]
    return Verdict(contest, band, judged, shown)


def _logistic_scores(vectors: Vectors, folds: Int[np.ndarray, " pairs"], advance: Advance) -> Scores:
    scores = np.empty(vectors.shape[:2])
    for fold in range(folds.max() + 1):
        scores[folds == fold] = train_logistic(vectors[folds != fold])(vectors[folds == fold])
        advance()
    return scores


def folds_of(texts: Sequence[str], folds: int, seed: int) -> Int[np.ndarray, " pairs"]:
    """Return the number of each pair's fold: at random, equal texts in one, and as many texts in each as possible.

    There are fewer folds where there are fewer texts.
    """
    unique = sorted(set(texts))
    order = np.random.default_rng(seed_of(f"judge folds {seed}")).permutation(len(unique))
    fold = {unique[number]: place % folds for place, number in enumerate(order)}
    return np.array([fold[text] for text in texts])
