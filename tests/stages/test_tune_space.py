"""The section `tune` of params.yaml, how values are drawn and written, and the report of a search."""

import random
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from dtc.report.search import SearchReport, TrialReport, render_search
from stages.params_file import edited as edited_text
from stages.tune import _read_search
from stages.tune_space import EXAMPLE, Range, Resources, Space
from tests.conftest import Project


def space(kind: Any = "acoustic", **section: object) -> Space:
    return Space({"num_samples": 4, **section}, kind, Path("params.yaml"))


def with_section(project: Project, section: Mapping[str, object], edits: Mapping[str, object] = {}) -> None:
    project.write_params(edits)
    with Path("params.yaml").open("a") as file:
        file.write("# A search.\n" + yaml.safe_dump({"tune": section}, sort_keys=False))


def test_the_keys_of_the_original_system() -> None:
    original = yaml.safe_load(
        "{batch_size: [32, 64], lr_min: 1.0e-4, lr_max: 0.1, grad_clip: {min: 0.5, max: 1.0}, num_samples: 10, "
        "resources: {cpu: 4, gpu: 1}, attention_location_filters: 32, attention_kernel_size: 31}"
    )
    found = Space(original, "acoustic", Path("params.yaml"))
    assert {key: each.model_dump(exclude_none=True) for key, each in found.searched.items()} == {
        "training.acoustic.batch_size": {"choice": (32, 64)},
        "training.acoustic.optimizer.learning_rate": {"loguniform": (1e-4, 0.1)},
        "training.acoustic.grad_max_norm": {"uniform": (0.5, 1.0)},
        "acoustic.attention.num_filters": {"choice": (32,)},
        "acoustic.attention.kernel_size": {"choice": (31,)},
    }
    assert (found.config.num_samples, found.config.resources) == (10, Resources(cpu=4, gpu=1.0))
    of_vocoder = Space(original, "vocoder", Path("params.yaml"))
    assert of_vocoder.passed_over == ["acoustic.attention.num_filters", "acoustic.attention.kernel_size"]


def test_a_trial_starts_no_ray_as_it_is_in_one(project: Project) -> None:
    with_section(project, {"num_samples": 1, "batch_size": 2}, {"run.devices.engine": "ray"})
    content: Any = _read_search("acoustic", Path("params.yaml")).content({"training.acoustic.batch_size": 2})
    assert (content["training"]["acoustic"]["batch_size"], content["run"]["devices"]["engine"]) == (2, "local")


@pytest.mark.parametrize(
    ("content", "first", "last"),
    [
        ({"choice": ["a", None, {"b": 1}]}, "a", {"b": 1}),
        ({"uniform": [-1.0, 2]}, -1.0, 2.0),
        ({"loguniform": [1e-5, 1e-1]}, 1e-5, 1e-1),
        ({"randint": [3, 5]}, 3, 5),
    ],
)
def test_drawn_values_are_in_their_range(content: dict[str, Any], first: object, last: object) -> None:
    found = Range.model_validate(content)
    assert found.ends == (first, last)
    drawn = [found.draw(random.Random(seed)) for seed in range(200)]
    if found.choice or found.randint:
        assert {repr(value) for value in drawn} == {repr(value) for value in content.get("choice", [3, 4, 5])}
        return
    assert all(first <= value <= last for value in drawn)
    middle = 0.5 if found.uniform else 1e-3
    assert 60 < sum(value < middle for value in drawn) < 140
    assert all(value == float(f"{value:.4g}") for value in drawn)


def test_a_larger_search_begins_with_the_trials_of_the_smaller_one() -> None:
    ranges = {"lr_min": 1e-5, "lr_max": 1e-1, "acoustic.decoder.pre_net_dropout": {"uniform": [0.1, 0.9]}}
    small, large = space(**ranges).draw(), space(**ranges | {"num_samples": 9}).draw()
    assert len(small) == 4
    assert large[:4] == small
    assert space(**ranges, seed=2).draw() != small
    # Another range leaves the drawn values of a key as they are.
    more = space(**ranges, batch_size=[8, 16]).draw()
    assert [{key: values[key] for key in small[0]} for values in more] == small


def test_no_values_are_tried_twice() -> None:
    drawn = space(batch_size=[8, 16, 32], num_samples=10).draw()
    assert sorted(values["training.acoustic.batch_size"] for values in drawn) == [8, 16, 32]


@pytest.mark.parametrize(
    ("section", "line"),
    [
        ({"bach_size": [8]}, "params.yaml: tune.bach_size: unknown key; did you mean batch_size?"),
        (
            {"training.acoustic.optimizer.learning_rat": {"uniform": [0.1, 0.2]}},
            "params.yaml: tune.training.acoustic.optimizer.learning_rat: unknown key, expected a key of training or of a "
            "model; did you mean training.acoustic.optimizer.learning_rate?",
        ),
        (
            {"attention_kernel_size": [31, 30]},
            "params.yaml: tune, acoustic.attention.kernel_size 30: found 30, expected an odd number: a kernel has a "
            "middle",
        ),
        (
            {"acoustic.decoder.pre_net_dropout": {"uniform": [0.5, 2.0]}},
            "params.yaml: tune, acoustic.decoder.pre_net_dropout 2.0: found 2.0, expected less than 1",
        ),
        ({"lr_min": 0.1}, "params.yaml: tune: lr_min 0.1 and lr_max missing, expected both or none"),
        (
            {"lr_min": 0.1, "lr_max": 0.01},
            "params.yaml: tune.lr_min: found [0.1, 0.01], expected the smaller number first",
        ),
        (
            {"batch_size": [8], "training.acoustic.batch_size": {"choice": [9]}},
            "params.yaml: tune.training.acoustic.batch_size: a second range of training.acoustic.batch_size; "
            "remove one of them",
        ),
        (
            {"run.acoustic.epochs_test": {"choice": [5, 6]}},
            "params.yaml: tune.run.acoustic.epochs_test: a key that changes no weight, expected one of training or of a "
            "model",
        ),
        (
            {"vocoder.dim": {"choice": [8, 9]}},
            "params.yaml: tune: no range of the acoustic model, expected a key of acoustic or of training.acoustic",
        ),
        (
            {"acoustic.decoder.pre_net_dropout": {"unifrom": [0.1, 0.2]}},
            "params.yaml: tune.acoustic.decoder.pre_net_dropout.unifrom: unknown key; did you mean uniform?",
        ),
    ],
)
def test_a_wrong_section_is_refused_before_anything_starts(
    project: Project, section: dict[str, object], line: str
) -> None:
    with_section(project, {"num_samples": 2, **section})
    assert project.run("tune", "acoustic", code=2) == line
    assert not Path("runs").exists()


def test_a_params_file_without_the_section_gets_an_example(project: Project) -> None:
    line = project.run("tune", "acoustic", code=2)
    assert line == f"params.yaml: tune: missing, expected such a section; add for example `{EXAMPLE}`"
    assert Space(yaml.safe_load(EXAMPLE)["tune"], "acoustic", Path("params.yaml")).draw()


def test_no_other_command_reads_the_section(project: Project) -> None:
    without = project.run("params")
    with_section(project, {"anything": 1})
    assert project.run("params") == without


PARAMS = """\
active_setting: loud   # a setting
use_model: small
settings:
  loud: {training: {acoustic: {seed: 3}}}
models:
  small:
    spectrogram_layer: {optimizer: mine, frames_per_step: 2}  # a layer
optimizers:
  - {name: mine, type: adam, learning_rate: 1e-3}  # the rate
training:
  acoustic:
    seed: 1   # the seed
    optimizer: mine
    attention:
      # what it attends to
      model: gmm   # one
      mixtures: 5

    grad_max_norm: 1.0  # the norm
"""


def test_values_are_written_without_a_change_of_anything_else(tmp_path: Path) -> None:
    file = tmp_path / "params.yaml"
    file.write_text(PARAMS)
    values = {
        "training.acoustic.seed": 7,
        "settings.loud.training.acoustic.seed": 7,
        "training.acoustic.optimizer.learning_rate": 1e-05,
        "training.acoustic.grad_max_norm": None,
        "training.acoustic.attention": {"model": "lsa", "filters": [1, 2]},
        "models.small.spectrogram_layer.optimizer.learning_rate": 1e-05,
        "no.such.key": 1,
    }
    attention = PARAMS[PARAMS.index("model: gmm") : PARAMS.index("\n    grad_max")].rstrip("\n")
    expected = (
        PARAMS.replace("seed: 3", "seed: 7")
        .replace("seed: 1 ", "seed: 7 ")
        .replace("learning_rate: 1e-3", "learning_rate: 1.0e-05")
        .replace("norm: 1.0", "norm: null")
        .replace(attention, "{model: lsa, filters: [1, 2]}")
    )
    assert edited_text(file, values) == expected
    assert yaml.safe_load(expected)["training"]["acoustic"]["attention"] == values["training.acoustic.attention"]


def test_the_report_of_a_search() -> None:
    trials = [
        TrialReport(2, "finished", "", {"a.b": 0.5}, 20, 1.25, [(10, 2.0), (20, 1.25)]),
        TrialReport(1, "failed", "<script>", {"a.b": 0.25}, None, None, []),
    ]
    report = SearchReport("dtc tune vocoder", "Two trials.", "loss", ["a.b"], trials, best=2)
    page = render_search(report)
    assert page == render_search(report), "equal reports, equal pages"
    assert "<script>" not in page
    assert "&lt;script&gt;" in page
    assert "data:image/png;base64," in page
    assert not re.search(r'(src|href)="(?!data:|#)', page), "it needs no other file"
    row = re.search(r'<th scope="row">2.*?</tr>', page, re.DOTALL)
    assert row
    assert re.findall(r"<td[^>]*>(.*?)</td>", row[0]) == ["finished", "20", "1.25", "0.5"]
    assert "badge" in row[0]
