"""Decisions by validation metrics: when a training has stopped getting better, and which of its models is best."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from dtc.errors import InputError, named
from dtc.training.config import RunConfig, TrainingConfig
from dtc.training.schedule import ChainedConfig, PlateauConfig, ScheduleConfig

SPOKEN_METRICS = ("word_error_rate", "duration_ratio", "ended_share", "opinion_score")  # of a model's speech
HIGHER_IS_BETTER = frozenset({"ended_share", "opinion_score"})
BEST_AT_1 = frozenset({"duration_ratio"})


def badness(metric: str, value: float) -> float:
    """Return a number that is lower for a better value of a metric."""
    if metric in BEST_AT_1:
        return abs(math.log(value)) if value > 0 else math.inf
    return -value if metric in HIGHER_IS_BETTER else value


class Gains:
    """Counts the validations since a metric last got better.

    Args:
        metric: the name of a value that is validated.
        min_delta: a smaller gain is none.
        patience: the number of validations without a gain after which it has stopped getting better.
        equal_is_better: whether a value that is equal to the best one is a gain too.
    """

    def __init__(self, metric: str, min_delta: float = 0.0, patience: int = 0, equal_is_better: bool = False) -> None:
        self.metric, self.min_delta, self.patience = metric, min_delta, patience
        self.equal_is_better = equal_is_better
        self.best: float | None = None  # its badness
        self.without, self.plateaus = 0, 0  # validations since the last gain; how often patience was used up

    def see(self, values: Mapping[str, float]) -> bool:
        """Return whether the metric has a gain over all values before; values without the metric are passed over."""
        if self.metric not in values:
            return False
        found = badness(self.metric, values[self.metric])
        is_equal = self.equal_is_better and found == self.best
        if self.best is None or found < self.best - self.min_delta or is_equal:
            self.best, self.without = found, 0
            return True
        self.without += 1
        return False

    def has_stopped(self) -> bool:
        """Return whether more validations than `patience` in a row had no gain."""
        return self.without > self.patience

    def state_dict(self) -> dict[str, Any]:
        """Return the best value and the counts."""
        return {"best": self.best, "without": self.without, "plateaus": self.plateaus}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore the best value and the counts."""
        self.best, self.without, self.plateaus = state["best"], state["without"], state["plateaus"]


class Stopping:
    """All decisions of one training by its validation metrics.

    Args:
        config: its early stopping, its schedules on a plateau, and the metric of the best model.
        section: its dotted key in params.yaml, for messages.
    """

    def __init__(self, config: TrainingConfig, section: str) -> None:
        early, plateau = config.early_stopping, plateau_of(config)
        self.section, self._seen = section, set[str]()
        self.early = Gains(early.metric, early.min_delta, early.patience - 1) if early else None
        self.plateau = Gains(plateau.metric, plateau.min_delta, plateau.patience) if plateau else None
        # The later of equal models: few words are spoken, so that their error rates are often equal.
        self.best = Gains(config.keep_best, equal_is_better=True) if config.keep_best else None

    def see(self, values: Mapping[str, float]) -> bool:
        """Record the values of a validation; return whether the model is the best so far by the chosen metric."""
        if self.plateau and not self.plateau.see(values) and self.plateau.has_stopped():
            self.plateau.plateaus, self.plateau.without = self.plateau.plateaus + 1, 0
        if self.early:
            self.early.see(values)
        return self.best is not None and self.best.see(values)

    @property
    def plateaus(self) -> int:
        """Return how often the rate was lowered on a plateau."""
        return self.plateau.plateaus if self.plateau else 0

    @property
    def ends(self) -> bool:
        """Return whether the training ends here."""
        return self.early is not None and self.early.has_stopped()

    def require_known(self, values: Sequence[str]) -> None:
        """Raise InputError where a metric is none of the values that a validation of this training has."""
        for key, gains in (("early_stopping", self.early), ("lr_scheduler", self.plateau), ("keep_best", self.best)):
            if gains and gains.metric not in values:
                found = f"no metric {gains.metric} in the validation"
                raise InputError(f"{self.section}.{key}", found, f"one of {named(sorted(values))}")

    def state_dict(self) -> dict[str, Any]:
        """Return the state of all decisions."""
        return {name: gains.state_dict() for name, gains in self._gains().items()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore the state of all decisions."""
        for name, gains in self._gains().items():
            gains.load_state_dict(state[name])

    def _gains(self) -> dict[str, Gains]:
        each = {"early": self.early, "plateau": self.plateau, "best": self.best}
        return {name: gains for name, gains in each.items() if gains}


def deciding_metrics(config: TrainingConfig) -> dict[str, str]:
    """Return the metrics that have an effect on the weights, by the key of the training's section that names them."""
    early, plateau = config.early_stopping, plateau_of(config)
    found = {
        "early_stopping": early and early.metric,
        "lr_scheduler": plateau and plateau.metric,
        "keep_best": config.keep_best,
    }
    return {key: metric for key, metric in found.items() if metric}


def decides_by_speech(config: TrainingConfig, run: RunConfig) -> bool:
    """Return whether metrics of the model's speech have an effect on the weights."""
    return run.speak_every is not None and not set(SPOKEN_METRICS).isdisjoint(deciding_metrics(config).values())


def deciding_cadence(config: TrainingConfig, run: RunConfig) -> dict[str, Any]:
    """Return the settings of `run` that have an effect on the weights: when a deciding metric is computed."""
    names = ["start_test", "epochs_test", "test_per_iteration"] if deciding_metrics(config) else []
    names += ["speak_every"] if decides_by_speech(config, run) else []
    return {"run": {name: getattr(run, name) for name in names}} if names else {}


def plateau_of(config: TrainingConfig) -> PlateauConfig | None:
    """Return the first schedule of a training that waits for a plateau."""
    schedules = [config.lr_scheduler, *([config.adversary.lr_scheduler] if config.adversary else [])]
    return next((found for schedule in schedules if (found := _plateau_in(schedule))), None)


def _plateau_in(schedule: ScheduleConfig) -> PlateauConfig | None:
    if isinstance(schedule, PlateauConfig):
        return schedule
    links = schedule.schedules if isinstance(schedule, ChainedConfig) else ()
    return next((found for link in links if (found := _plateau_in(link.schedule))), None)
