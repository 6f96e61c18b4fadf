"""The strengths of several voices, from votes on pairs of them and on pairs with recordings.

Item i is chosen over item j with the probability 1 / (1 + exp(s_j - s_i)) (Bradley and Terry 1952). Item 0, the
recordings, has the strength 0.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Integer

ITERATIONS, TOLERANCE = 25, 1e-10  # at most so many, until no strength changes by more
PRIOR = 0.5  # wins of each item over each other that are added: no strength is infinite


def strengths(choices: Integer[np.ndarray, "votes 2"], n_items: int) -> Float[np.ndarray, " items"]:
    """Return the strength of each item, in log-odds: the maximum of the likelihood, by Newton's method.

    Args:
        choices: for each vote, the number of the item that was chosen, and that of the other.
        n_items: the number of items.
    """
    wins, found = _wins(choices, n_items), np.zeros(n_items)
    for _ in range(ITERATIONS):
        chances, information = _information(wins, found)
        missing = wins.sum(axis=1) - ((wins + wins.T) * chances).sum(axis=1)
        step = np.linalg.solve(information, missing[1:])
        found[1:] += step
        if np.abs(step).max() < TOLERANCE:
            break
    return found


def covariance(choices: Integer[np.ndarray, "votes 2"], n_items: int) -> Float[np.ndarray, "items items"]:
    """Return the covariance of the strengths if all votes were independent, from the Fisher information."""
    _, information = _information(_wins(choices, n_items), strengths(choices, n_items))
    return np.pad(np.linalg.inv(information), ((1, 0), (1, 0)))


def _wins(choices: Integer[np.ndarray, "votes 2"], n_items: int) -> Float[np.ndarray, "items items"]:
    wins = np.full((n_items, n_items), PRIOR)
    np.add.at(wins, (choices[:, 0], choices[:, 1]), 1)
    np.fill_diagonal(wins, 0)
    return wins


def _information(
    wins: Float[np.ndarray, "items items"], found: Float[np.ndarray, " items"]
) -> tuple[Float[np.ndarray, "items items"], Float[np.ndarray, "free free"]]:
    """Return the chance of each item against each other, and the Fisher information of all strengths but item 0's."""
    chances = 1 / (1 + np.exp(found[None] - found[:, None]))
    weights = (wins + wins.T) * chances * (1 - chances)
    return chances, (np.diag(weights.sum(axis=1)) - weights)[1:, 1:]
