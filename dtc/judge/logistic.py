"""Logistic regression on one vector for each clip, such as a speaker embedding."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from jaxtyping import Float

PENALTY = 1.0  # half the factor of the squared weights, for standardised vectors

Vectors = Float[np.ndarray, "pairs 2 dim"]


def train_logistic(vectors: Vectors) -> Callable[[Vectors], Float[np.ndarray, "pairs 2"]]:
    """Return a function that scores vectors, above 0 for the second of each pair, trained on pairs of vectors.

    Minimises Σ log(1 + exp(-y wᵀx)) + PENALTY/2 · |w|² over all x, standardised over the training vectors, with y = -1
    for the first and 1 for the second of each pair. Both sides have as many, so there is no constant.
    """
    from scipy.optimize import minimize
    from scipy.special import expit

    flat = vectors.reshape(-1, vectors.shape[2])
    mean, deviation = flat.mean(axis=0), flat.std(axis=0)
    scale = np.where(deviation > 1e-9, deviation, 1.0)  # a constant is 0 after the mean is taken away
    signs = np.tile([-1.0, 1.0], len(vectors))
    inputs = (flat - mean) / scale

    def loss(weights: Float[np.ndarray, " dim"]) -> tuple[float, Float[np.ndarray, " dim"]]:
        margins = signs * (inputs @ weights)
        gradient = -inputs.T @ (signs * expit(-margins)) + PENALTY * weights
        return float(np.logaddexp(0, -margins).sum() + PENALTY / 2 * weights @ weights), gradient

    weights = minimize(loss, np.zeros(inputs.shape[1]), jac=True, method="L-BFGS-B").x
    return lambda others: ((others - mean) / scale) @ weights
