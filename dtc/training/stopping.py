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
    """

    def __init__(self, metric: str, min_delta: float = 0.0, patience: int = 0) -> None:
        self.metric, self.min_delta, self.patience = metric, min_delta, patience
        self.best: float | None = None  # its badness
        self.without, self.plateaus = 0, 0  # validations since the last gain; how often patience was used up

    def see(self, values: Mapping[str, float]) -> bool:
        """Return whether the metric has a gain over all values before; values without the metric are passed over."""
        if self.metric not in values:
            return False
        found = badness(self.metric, values[self.metric])
        if self.best is None or found < self.best - self.min_delta:
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


class Choice:
    """Chooses one of the validated models by a metric: the latest of those that are as good as the best, but for noise.

    The noise of a metric is another value of the same validation, as word_error_rate_noise; without one it is 0. Few
    words are spoken, so the model with the fewest errors is often not the best one. On the corpus `numbers`, one with 2
    errors in 78 words at step 800 has 5 in 231 other words, and the last one, with 3 in the 78, has none.

    Args:
        metric: the name of a value that is validated.
    """

    def __init__(self, metric: str) -> None:
        self.metric = metric
        self.best: float | None = None
        self.noise = 0.0  # of the best one

    def see(self, values: Mapping[str, float]) -> bool:
        """Return whether this model is the choice so far; values without the metric are passed over."""
        if self.metric not in values:
            return False
        value = values[self.metric]
        lead = math.inf if self.best is None else badness(self.metric, self.best) - badness(self.metric, value)
        if lead > 0:
            self.best, self.noise = value, values.get(f"{self.metric}_noise", 0.0)
        return lead > 0 or -lead <= self.noise

    def state_dict(self) -> dict[str, Any]:
        """Return the best value and its noise."""
        return {"best": self.best, "noise": self.noise}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore the best value and its noise."""
        self.best, self.noise = state["best"], state["noise"]


class Stopping:
    """All decisions of one training by its validation metrics.

    Args:
        config: its early stopping, its schedules on a plateau, and the metric of the best model.
        section: its dotted key in params.yaml, for messages.
    """

    def __init__(self, config: TrainingConfig, section: str) -> None:
        early, plateau = config.early_stopping, plateau_of(config)
        self.section = section
        self.early = Gains(early.metric, early.min_delta, early.patience - 1) if early else None
        self.plateau = Gains(plateau.metric, plateau.min_delta, plateau.patience) if plateau else None
        self.choice = Choice(config.keep_best) if config.keep_best else None

    def see(self, values: Mapping[str, float]) -> bool:
        """Record the values of a validation; return whether the model is the one to keep so far."""
        if self.plateau and not self.plateau.see(values) and self.plateau.has_stopped():
            self.plateau.plateaus, self.plateau.without = self.plateau.plateaus + 1, 0
        if self.early:
            self.early.see(values)
        return self.choice is not None and self.choice.see(values)

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
        for key, gains in (("early_stopping", self.early), ("lr_scheduler", self.plateau), ("keep_best", self.choice)):
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

    def _gains(self) -> dict[str, Gains | Choice]:
        each = {"early": self.early, "plateau": self.plateau, "choice": self.choice}
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
