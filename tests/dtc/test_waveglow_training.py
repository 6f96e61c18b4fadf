"""Training a WaveGlow: its loss, its precisions, and the sizes that are refused."""

from typing import Any

import pytest
import torch

from dtc.config import parse_section
from dtc.errors import InputError
from dtc.seeding import seed_all
from dtc.training.task import losses_of
from dtc.vocoder.configs import WaveGlowConfig
from tests.dtc.tiny_waveglow import CONFIG, batch_of, noise, waveglow


def test_the_loss_is_the_sum_of_its_parts() -> None:
    model, of_wider_noise, batch = waveglow(), waveglow(sigma=1.4), batch_of(noise(700), noise(400))
    seed_all(1)
    with torch.no_grad():
        losses = model.training_loss(batch, 0)
    assert list(losses) == ["loss", "z", "log_s", "log_det"]
    assert losses["loss"].item() == pytest.approx(sum(losses[name].item() for name in ("z", "log_s", "log_det")))
    seed_all(1)
    with torch.no_grad():
        wider = of_wider_noise.training_loss(batch, 0)
    assert wider["z"].item() == pytest.approx(losses["z"].item() / 4)


@pytest.mark.parametrize("samples", [40, 160, 700])
def test_clips_of_any_length_train(samples: int) -> None:
    """A segment is 192 samples."""
    losses = waveglow().train().training_loss(batch_of(noise(samples)), 0)
    losses["loss"].backward()
    assert torch.isfinite(losses["loss"])


def test_silence_trains() -> None:
    model = waveglow().train()
    losses = model.training_loss(batch_of(torch.zeros(400), torch.zeros(300)), 0)
    losses["loss"].backward()
    assert torch.isfinite(losses["loss"])
    assert all(torch.isfinite(parameter.grad).all() for parameter in model.parameters())


def test_it_trains_in_bfloat16_with_its_determinants_in_float32() -> None:
    model, batch, losses = waveglow().train(), batch_of(noise(700), noise(400)), []
    for precision in ("fp32", "bf16"):
        seed_all("segments")
        losses.append(losses_of(model, batch, 0, precision))
    losses[1]["loss"].backward()
    assert all(value.dtype == torch.float32 for value in losses[1].values())
    assert torch.equal(losses[0]["log_det"], losses[1]["log_det"])
    assert 0 < (losses[1]["loss"] - losses[0]["loss"]).abs() < 0.02
    assert all(torch.isfinite(parameter.grad).all() for parameter in model.parameters())


def test_it_learns_one_clip() -> None:
    model, batch, history = waveglow().train(), batch_of(noise(700)), []
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    for step in range(40):
        seed_all(step)
        loss = model.training_loss(batch, 0)["loss"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        history.append(loss.item())
    assert sum(history[-5:]) / 5 < sum(history[:5]) / 5 - 0.2


# Sizes


@pytest.mark.parametrize(
    ("edits", "line"),
    [
        (
            {"early_every": 1, "num_flows": 5},
            "params.yaml: (the whole file): early_every and early_size leave the last flow 0 channels, "
            "expected 2 or more",
        ),
        ({"group_size": 7}, "params.yaml: group_size: found 7, expected a multiple of 2"),
        ({"early_size": 1}, "params.yaml: early_size: found 1, expected a multiple of 2"),
        ({"sigma": 0.0}, "params.yaml: sigma: found 0.0, expected greater than 0"),
    ],
)
def test_impossible_sizes_are_refused(edits: dict[str, Any], line: str) -> None:
    with pytest.raises(InputError) as refused:
        parse_section(CONFIG | edits, WaveGlowConfig, "params.yaml")
    assert str(refused.value).startswith(line)


def test_a_frame_is_a_whole_number_of_groups() -> None:
    with pytest.raises(InputError, match=r"^vocoder: group_size 12, expected a divisor of hop_length 16$"):
        waveglow(group_size=12)
