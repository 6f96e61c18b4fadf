"""Decisions by validation metrics: when a training has stopped getting better, and which of its models is best."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
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
        early = config.early_stopping
        self.section = section
        self.early = Gains(early.metric, early.min_delta, early.patience - 1) if early else None
        self._plateau_keys = plateaus_of(config)
        self._plateaus = {each: Gains(each.metric, each.min_delta, each.patience) for each in self._plateau_keys}
        self.choice = Choice(config.keep_best) if config.keep_best else None

    def see(self, values: Mapping[str, float]) -> bool:
        """Record the values of a validation; return whether the model is the one to keep so far."""
        for gains in self._plateaus.values():
            if not gains.see(values) and gains.has_stopped():
                gains.plateaus, gains.without = gains.plateaus + 1, 0
        if self.early:
            self.early.see(values)
        return self.choice is not None and self.choice.see(values)

    @property
    def plateaus(self) -> dict[PlateauConfig, int]:
        """Return how often each schedule on a plateau has lowered its rate."""
        return {schedule: gains.plateaus for schedule, gains in self._plateaus.items()}

    @property
    def ends(self) -> bool:
        """Return whether the training ends here."""
        return self.early is not None and self.early.has_stopped()

    def require_known(self, values: Sequence[str]) -> None:
        """Raise InputError where a metric is none of the values that a validation of this training has."""
        for key, gains in self._gains().items():
            if gains.metric not in values:
                found = f"no metric {gains.metric} in the validation"
                raise InputError(f"{self.section}.{key}", found, f"one of {named(sorted(values))}")

    def state_dict(self) -> dict[str, Any]:
        """Return the state of all decisions, by the key that asks for them."""
        return {name: gains.state_dict() for name, gains in self._gains().items()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore the state of all decisions."""
        for name, gains in self._gains().items():
            gains.load_state_dict(state[name])

    def _gains(self) -> dict[str, Gains | Choice]:
        each: dict[str, Gains | Choice | None] = {"early_stopping": self.early}
        each |= {key: self._plateaus[schedule] for schedule, key in self._plateau_keys.items()}
        return {key: gains for key, gains in (each | {"keep_best": self.choice}).items() if gains}


def deciding_metrics(config: TrainingConfig) -> dict[str, str]:
    """Return the metrics that have an effect on the weights, by the key of the training's section that names them."""
    early = config.early_stopping
    found = {"early_stopping": early and early.metric}
    found |= {key: schedule.metric for schedule, key in plateaus_of(config).items()}
    return {key: metric for key, metric in (found | {"keep_best": config.keep_best}).items() if metric}


def decides_by_speech(config: TrainingConfig, run: RunConfig) -> bool:
    """Return whether metrics of the model's speech have an effect on the weights."""
    return run.speak_every is not None and not set(SPOKEN_METRICS).isdisjoint(deciding_metrics(config).values())


def deciding_cadence(config: TrainingConfig, run: RunConfig) -> dict[str, Any]:
    """Return the settings of `run` that have an effect on the weights: when a deciding metric is computed."""
    names = ["start_test", "epochs_test", "test_per_iteration"] if deciding_metrics(config) else []
    names += ["speak_every"] if decides_by_speech(config, run) else []
    return {"run": {name: getattr(run, name) for name in names}} if names else {}


def plateaus_of(config: TrainingConfig) -> dict[PlateauConfig, str]:
    """Return the schedules of a training that wait for a plateau, each once, with its key in the training's section."""
    schedules = {"lr_scheduler": config.lr_scheduler}
    if config.adversary:
        schedules["adversary.lr_scheduler"] = config.adversary.lr_scheduler
    found: dict[PlateauConfig, str] = {}
    for key, schedule in schedules.items():
        for inner, plateau in _plateaus_in(schedule, key):
            found.setdefault(plateau, inner)
    return found


def _plateaus_in(schedule: ScheduleConfig, key: str) -> Iterator[tuple[str, PlateauConfig]]:
    if isinstance(schedule, PlateauConfig):
        yield key, schedule
    for number, link in enumerate(schedule.schedules if isinstance(schedule, ChainedConfig) else ()):
        yield from _plateaus_in(link.schedule, f"{key}.schedules.{number}.schedule")
