"""The settings of a training and of the machine judge: for each, the test that shows its effect. None is missing, and each test is there."""

import ast

import pytest

from dtc.config import Section
from dtc.judge import JudgeConfig
from dtc.training.config import LoaderConfig, OrderConfig, RunConfig, TrainingConfig
from dtc.training.devices_config import DevicesConfig
from dtc.training.optim import OPTIMIZERS
from dtc.training.schedule import SCHEDULES
from dtc.training.start_config import StartConfig
from stages.named_parts import NamedParts
from tests.conftest import REPOSITORY

RUN, STOP, OPTIM = "tests/dtc/test_run_settings.py", "tests/dtc/test_stopping.py", "tests/dtc/test_optim.py"
LOOP, LOADER, NAMED = "tests/dtc/test_training.py", "tests/pipeline/test_loader.py", "tests/stages/test_named_parts.py"
SCHEDULE, CADENCE = "tests/dtc/test_schedule.py", f"{RUN}::test_how_often_it_logs_validates_shows_and_saves"
START = "tests/dtc/test_start_from.py"
JUDGE = "tests/dtc/test_judge.py"
DEVICES, LAUNCH, ON_RAY = "tests/dtc/test_devices.py", "tests/stages/test_launch.py", "tests/stages/test_train_ray.py"
ADDRESSES = f"{LAUNCH}::test_addresses_and_ranks_of_the_processes_of_a_node"
TESTS: dict[type[Section], dict[str, str]] = {
    TrainingConfig: {
        "seed": f"{RUN}::test_the_seed_decides_what_is_drawn",
        "batch_size": "tests/pipeline/test_batching.py::test_by_count",
        "batch_frames": "tests/pipeline/test_batching.py::test_by_frames",
        "accumulate": f"{RUN}::test_accumulated_batches_are_one_large_batch",
        "overfit_batches": f"{LOADER}::test_the_first_batches_again_in_every_epoch",
        "dataloader": f"{LOADER}::test_clips_that_do_not_fill_a_batch_can_be_left_out",
        "epochs": f"{LOOP}::test_it_ends_after_the_epochs_or_the_steps",
        "min_steps": f"{LOOP}::test_it_ends_after_the_epochs_or_the_steps",
        "max_steps": f"{LOOP}::test_it_ends_after_the_epochs_or_the_steps",
        "precision": f"{RUN}::test_half_precision_scales_the_loss_and_leaves_weights_in_float32",
        "optimizer": f"{OPTIM}::test_each_is_the_one_of_torch_with_its_settings",
        "lr_scheduler": f"{SCHEDULE}::test_multistep_and_exponential_are_those_of_torch",
        "adversary": f"{RUN}::test_an_adversary_has_an_optimizer_of_its_own",
        "rate_multipliers": f"{OPTIM}::test_a_rate_multiplier_is_a_factor_of_the_update",
        "freeze": f"{OPTIM}::test_frozen_parameters_stay_until_their_step",
        "grad_clipping": f"{OPTIM}::test_without_clipping_the_gradient_is_as_it_is",
        "grad_max_norm": f"{OPTIM}::test_without_clipping_the_gradient_is_as_it_is",
        "loss_spikes": "tests/dtc/test_spikes.py::test_a_loss_that_spikes_changes_no_weights",
        "weight_average": f"{LOOP}::test_the_average_is_what_is_kept",
        "early_stopping": f"{STOP}::test_it_ends_when_patience_is_used_up",
        "keep_best": f"{STOP}::test_the_best_validated_model_is_kept_and_it_is_told_why",
        "start_from": "tests/stages/test_start_from_a_voice.py::test_a_voice_started_from_another_one",
    },
    StartConfig: {
        "folder": "tests/stages/test_start_from_a_voice.py::test_a_voice_started_from_another_one",
        "take": f"{START}::test_the_text_side_alone_leaves_the_statistics_of_the_new_corpus",
    },
    RunConfig: {
        "console_log_rate": f"{RUN}::test_a_line_each_so_many_steps",
        "tensorboard_update": CADENCE,
        "start_test": CADENCE,
        "epochs_test": CADENCE,
        "test_per_iteration": CADENCE,
        "predict": CADENCE,
        "predict_per_iteration": CADENCE,
        "speak_every": "tests/stages/test_choose_by_ear.py::test_speaking_changes_no_weight_and_no_loss",
        "epochs_save": CADENCE,
        "save_per_iteration": CADENCE,
        "keep_last": f"{RUN}::test_the_last_checkpoints_are_kept",
        "load_model": f"{RUN}::test_it_starts_over_where_it_shall_not_load",
        "load_epoch": f"{RUN}::test_an_earlier_epoch_can_be_continued_and_ends_the_same",
        "halve_on_oom": "tests/dtc/test_halving.py::test_a_batch_that_is_too_large_is_computed_in_parts_with_the_same_result",
        "dataloader": f"{LOADER}::test_workers_read_a_few_batches_ahead",
    },
    OrderConfig: {
        "shuffle": f"{LOADER}::test_without_shuffling_the_order_is_the_shards_and_letters_are_drawn_as_before",
        "drop_last": f"{LOADER}::test_clips_that_do_not_fill_a_batch_can_be_left_out",
    },
    LoaderConfig: {
        "num_workers": f"{LOADER}::test_workers_read_a_few_batches_ahead",
        "pin_memory": f"{LOADER}::test_batches_for_a_gpu_are_in_pinned_memory",
    },
    DevicesConfig: {
        "engine": "tests/stages/test_processes_of_a_training.py::test_ray_starts_processes_again_that_are_killed",
        "ray_address": f"{ON_RAY}::test_an_address_without_a_cluster",
        "max_failures": f"{ON_RAY}::test_after_so_many_failures_it_gives_up",
        "processes": f"{LAUNCH}::test_how_many_processes_are_started",
        "backend": f"{DEVICES}::test_nccl_needs_gpus",
        "url": ADDRESSES,
        "master_address": ADDRESSES,
        "master_port": ADDRESSES,
        "num_nodes": ADDRESSES,
        "node_rank": ADDRESSES,
        "connect_s": f"{DEVICES}::test_a_process_that_does_not_come_is_an_error",
        "cudnn_enabled": f"{DEVICES}::test_settings_of_pytorch",
        "cudnn_benchmark": f"{DEVICES}::test_settings_of_pytorch",
        "deterministic": f"{DEVICES}::test_settings_of_pytorch",
    },
    JudgeConfig: {
        "seed": f"{JUDGE}::test_equal_seeds_give_equal_scores_and_others_do_not",
        "folds": f"{JUDGE}::test_equal_texts_are_in_one_fold_and_the_folds_are_of_equal_size",
        "steps": f"{JUDGE}::test_equal_seeds_give_equal_scores_and_others_do_not",
        "draws": "tests/dtc/test_judge_statistics.py::test_p_is_the_share_of_all_swaps_spread_as_the_folds_are",
    },
    NamedParts: {
        "optimizers": f"{NAMED}::test_names_stand_for_optimizers_and_schedules",
        "lr_schedulers": f"{NAMED}::test_names_stand_for_optimizers_and_schedules",
        "models": f"{NAMED}::test_the_layers_of_a_model_are_laid_over_the_sections",
        "use_model": f"{NAMED}::test_the_layers_of_a_model_are_laid_over_the_sections",
        "settings": f"{NAMED}::test_a_setting_is_laid_over_both_models",
        "active_setting": f"{NAMED}::test_a_setting_is_laid_over_both_models",
        "tune": "tests/stages/test_tune.py::test_a_search_is_continued_after_ctrl_c_and_after_a_kill",
        "strategy": f"{NAMED}::test_train_all_trains_in_the_order_of_the_strategy",
    },
}
PARTS = {
    "constant": f"{SCHEDULE}::test_constant_is_the_peak",
    "one_cycle": f"{LOOP}::test_one_cycle_rises_to_the_peak_and_falls_to_the_end",
    "cosine": f"{SCHEDULE}::test_cosine_rises_on_a_line_and_falls_on_half_a_cosine",
    "noam": f"{SCHEDULE}::test_noam_is_that_of_the_paper",
    "exponential": f"{SCHEDULE}::test_multistep_and_exponential_are_those_of_torch",
    "multistep": f"{SCHEDULE}::test_multistep_and_exponential_are_those_of_torch",
    "reduce_lr_on_plateau": f"{STOP}::test_the_rate_falls_on_each_plateau",
    "chained": f"{SCHEDULE}::test_a_chain_gives_each_schedule_its_own_steps",
} | {name: f"{OPTIM}::test_each_is_the_one_of_torch_with_its_settings" for name in OPTIMIZERS.names()}


@pytest.mark.parametrize("section", TESTS, ids=lambda section: section.__name__)
def test_every_setting_has_a_test(section: type[Section]) -> None:
    assert TESTS[section].keys() == section.model_fields.keys()


def test_every_optimizer_and_schedule_has_a_test() -> None:
    assert PARTS.keys() == {*OPTIMIZERS.names(), *SCHEDULES.names()}


def test_the_tests_are_there() -> None:
    for node in {*PARTS.values(), *(test for tests in TESTS.values() for test in tests.values())}:
        file, _, name = node.partition("::")
        tree = ast.parse((REPOSITORY / file).read_text(encoding="utf-8"))
        assert name in {each.name for each in tree.body if isinstance(each, ast.FunctionDef)}, node
