"""Optimizers by name: each is the class of torch.optim with its settings; decay, rates and freezing by parameter."""

import csv
from pathlib import Path

import pytest
import torch
from torch import nn

from dtc.errors import InputError
from dtc.training.learner import Learner, Updates
from dtc.training.optim import build_optimizer
from dtc.training.schedule import Place
from tests.dtc.test_training import run, toy
from tests.training_params import training_config

RATE = {"learning_rate": 0.1, "weight_decay": 0.01, "decays": "all"}
ADAM = {"betas": [0.8, 0.9], "eps": 1e-6}
SECTIONS = {
    "adam": ({"type": "adam", **ADAM, **RATE}, torch.optim.Adam, {"betas": (0.8, 0.9), "eps": 1e-6}),
    "adamw": ({"type": "adamw", **ADAM, **RATE}, torch.optim.AdamW, {"betas": (0.8, 0.9), "eps": 1e-6}),
    "sgd": (
        {"type": "sgd", "momentum": 0.5, "nesterov": True, **RATE},
        torch.optim.SGD,
        {"momentum": 0.5, "nesterov": True},
    ),
    "rmsprop": (
        {"type": "rmsprop", "alpha": 0.7, "eps": 1e-6, "momentum": 0.5, **RATE},
        torch.optim.RMSprop,
        {"alpha": 0.7, "eps": 1e-6, "momentum": 0.5},
    ),
    "torch": (
        {"type": "torch", "class_name": "NAdam", "arguments": {"betas": [0.8, 0.9]}, **RATE},
        torch.optim.NAdam,
        {"betas": (0.8, 0.9)},
    ),
}


def steps_of(optimizer: torch.optim.Optimizer, layer: nn.Module) -> torch.Tensor:
    """Return the weights after three steps of given gradients."""
    for step in range(3):
        for parameter in layer.parameters():
            parameter.grad = torch.full_like(parameter, 0.5 + step)
        optimizer.step()
    return torch.cat([parameter.detach().flatten() for parameter in layer.parameters()])


def learner_of(layer: nn.Module, **changes: object) -> Learner:
    config = training_config(**changes)
    return Learner(layer, Updates(config.optimizer, config.lr_scheduler, config), lambda step: Place(step, 10))


@pytest.mark.parametrize("name", SECTIONS)
def test_each_is_the_one_of_torch_with_its_settings(name: str) -> None:
    section, kind, arguments = SECTIONS[name]
    torch.manual_seed(1)
    ours, theirs = nn.Linear(3, 2), nn.Linear(3, 2)
    theirs.load_state_dict(ours.state_dict())
    optimizer = learner_of(ours, optimizer=section).optimizer
    assert type(optimizer) is kind
    expected = steps_of(kind(theirs.parameters(), lr=0.1, weight_decay=0.01, **arguments), theirs)
    torch.testing.assert_close(steps_of(optimizer, ours), expected)


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"class_name": "NAdan"}, "optimizer.class_name: found 'NAdan', expected one of .*; did you mean NAdam?"),
        ({"class_name": "Optimizer"}, "optimizer.class_name: found 'Optimizer', expected one of "),
        ({"arguments": {"betta": 1}}, "optimizer.arguments: refused by torch.optim.NAdam: .*unexpected keyword"),
        ({"arguments": {"betas": [2.0, 0.9]}}, "optimizer.arguments: refused by torch.optim.NAdam: Invalid beta"),
    ],
)
def test_a_class_or_an_argument_that_torch_does_not_have_is_refused(changes: dict[str, object], line: str) -> None:
    section = training_config(optimizer=SECTIONS["torch"][0] | changes).optimizer
    with pytest.raises(InputError, match=line):
        build_optimizer(nn.Linear(2, 2).parameters(), section)


def test_matrices_alone_decay_where_biases_shall_not() -> None:
    layer = nn.Linear(4, 4)
    before = {name: value.detach().clone() for name, value in layer.named_parameters()}
    section = {"type": "adamw", **ADAM, "learning_rate": 0.1, "weight_decay": 0.5, "decays": "matrices"}
    optimizer = learner_of(layer, optimizer=section).optimizer
    for parameter in layer.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    torch.testing.assert_close(layer.weight, before["weight"] * (1 - 0.1 * 0.5))
    assert torch.equal(layer.bias, before["bias"])


def test_a_rate_multiplier_is_a_factor_of_the_update(tmp_path: Path) -> None:
    """Gradient descent from the same weights on the same batch: the update is the rate times the gradient."""
    sgd = {"type": "sgd", "momentum": 0.0, "nesterov": False, **RATE, "weight_decay": 0.0}
    first = {name: value.clone() for name, value in toy().state_dict().items()}
    options = {"optimizer": sgd, "max_steps": 1, "weight_average": 0.0}
    plain, _ = run(tmp_path / "plain", **options)
    slow, _ = run(tmp_path / "slow", **options, rate_multipliers={"*.bias": 0.25, "layer.*": 0.5})
    for name, factor in (("layer.weight", 0.5), ("layer.bias", 0.125)):
        torch.testing.assert_close(slow[name] - first[name], factor * (plain[name] - first[name]))


def test_frozen_parameters_stay_until_their_step(tmp_path: Path) -> None:
    """Neither gradient nor weight decay nor the optimizer's momentum changes them."""
    model, first = toy(), toy().layer.bias.clone()
    weights, _ = run(tmp_path / "frozen", model, freeze=[{"params": "layer.bias", "until_step": None}])
    assert torch.equal(weights["layer.bias"], first)
    assert not torch.equal(weights["layer.weight"], toy().layer.weight)
    model = toy()
    run(tmp_path / "thawed", model, freeze=[{"params": "layer.weight", "until_step": 3}])
    changed = [not torch.equal(before, model.seen[0]) for before in model.seen]
    assert changed[:5] == [False, False, False, False, True]  # seen before each of the steps 0, 1, ...


@pytest.mark.parametrize("key", ["rate_multipliers", "freeze"])
def test_a_glob_that_names_no_parameter_is_refused(tmp_path: Path, key: str) -> None:
    wrong = {"rate_multipliers": {"encoder.*": 0.1}, "freeze": [{"params": "encoder.*", "until_step": 1}]}
    line = f"training.{key}: no parameter matches encoder.*, expected the name or a glob of one, as layer.*"
    with pytest.raises(InputError) as raised:
        run(tmp_path, **{key: wrong[key]})
    assert str(raised.value) == line


def test_without_clipping_the_gradient_is_as_it_is(tmp_path: Path) -> None:
    sgd = {"type": "sgd", "momentum": 0.0, "nesterov": False, **RATE, "weight_decay": 0.0, "learning_rate": 0.01}
    first = toy().state_dict()["layer.weight"].clone()
    changes = {}
    for clipping in (True, False):
        options = {"grad_clipping": clipping, "grad_max_norm": 1e-3, "max_steps": 1, "weight_average": 0.0}
        weights, _ = run(tmp_path / str(clipping), optimizer=sgd, **options)
        changes[clipping] = (weights["layer.weight"] - first).norm().item()
        row = next(csv.DictReader((tmp_path / str(clipping) / "history.csv").open()))
    assert changes[True] <= 1e-3 * 0.01 * 1.001
    assert changes[False] > 100 * changes[True]
    assert float(row["grad_norm"]) > 0.1
