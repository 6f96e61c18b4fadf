"""The params sections of a training in tests: what they do not say is as in the tests' own params.yaml."""

from dtc.training.config import RunConfig, TrainingConfig
from dtc.training.devices_config import DevicesConfig
from tests.conftest import default_params

SPIKES = {"deviations": 10.0, "most_in_a_row": 20}
PER_ITERATION = {"test_per_iteration": True, "predict_per_iteration": True, "save_per_iteration": True}


def training_config(**changes: object) -> TrainingConfig:
    return TrainingConfig.model_validate(default_params()["training"]["acoustic"] | changes)


def run_config(every: int = 1, **changes: object) -> RunConfig:
    """Log and save after each step, validate and show examples after each 5 steps, unless the changes say otherwise."""
    often = {"tensorboard_update": every, "epochs_save": every, "epochs_test": 5, "predict": 5, "start_test": 0}
    return RunConfig.model_validate(default_params()["run"]["acoustic"] | PER_ITERATION | often | changes)


def devices_config(**changes: object) -> DevicesConfig:
    return DevicesConfig.model_validate(default_params()["run"]["devices"] | changes)


ONE_PROCESS = devices_config(processes=1)
