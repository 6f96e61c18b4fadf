"""Run by test_devices.py in several processes: train each tiny model for some steps, together and then alone.

The first process prints, as JSON, model → [curve of all processes together, curve of one process].
"""

import json
import sys
from collections.abc import Callable

import torch
from torch import nn

from dtc.audio import log_mel
from dtc.audio_config import AudioConfig
from dtc.batch import Batch, Clip, Losses, collate
from dtc.seeding import seed_all
from dtc.training.devices import Devices, joined
from dtc.vocoder.adversarial import Adversarial
from dtc.vocoder.configs import AdversarialConfig, DiscriminatorsConfig
from tests.dtc import test_dtc, test_vocoder, tiny_acoustic, tiny_parallel, tiny_waveglow
from tests.training_params import devices_config

STEPS = {"tacotron": 22, "dtc": 12, "parallel": 22, "vocos": 12, "waveglow": 12}
SIZES = ((5, 30), (9, 41), (7, 52), (4, 23), (8, 36))  # symbols and frames of each clip
CPU = torch.device("cpu")


def tacotron() -> tuple[nn.Module, list[Clip]]:
    model = tiny_acoustic.model(2, frame_dropout=0.1)
    return model, [tiny_acoustic.clip(f"{n}", *size) for n, size in enumerate(SIZES)]


def dtc() -> tuple[nn.Module, list[Clip]]:
    return test_dtc.model(3), tacotron()[1]


def parallel() -> tuple[nn.Module, list[Clip]]:
    return tiny_parallel.model(aligner_steps=10), tacotron()[1]


def vocos() -> tuple[nn.Module, list[Clip]]:
    discriminators = DiscriminatorsConfig(periods=(2, 3), period_channels=(4, 8), fft_sizes=(64,), spectrum_channels=4)
    adversarial = AdversarialConfig(
        start_step=5, adversarial_weight=1.0, feature_matching_weight=1.0, discriminators=discriminators
    )
    vocoder = test_vocoder.vocos()
    vocoder.config = vocoder.config.model_copy(update={"attenuation_db": 6.0})
    seed_all("discriminators")
    return Adversarial(vocoder, adversarial), noises(test_vocoder.AUDIO, 700, 640)


def waveglow() -> tuple[nn.Module, list[Clip]]:
    return tiny_waveglow.waveglow(), noises(tiny_waveglow.AUDIO, 160, 64)


def noises(audio: AudioConfig, shortest: int, longer: int) -> list[Clip]:
    waves = [tiny_waveglow.noise(shortest + longer * n) for n in range(len(SIZES))]
    return [
        Clip(f"{n}", "", "", torch.tensor([1]), log_mel(wave[None], audio)[0], wave) for n, wave in enumerate(waves)
    ]


def curve(make: Callable[[], tuple[nn.Module, list[Clip]]], devices: Devices) -> list[dict[str, float]]:
    """Return the losses and the gradient's norm at each step."""
    model, clips = make()
    # With Adam's usual eps, the first steps have a fixed size, and the sign of a rounding error where a gradient is 0.
    # The logarithms of small magnitudes in the loss of Vocos multiply a rounding error of the weights by 20 in each step.
    optimizer = torch.optim.Adam(model.parameters(), 1e-7 if make is vocos else 1e-3, eps=1e-3)
    rows = []
    for step in range(STEPS[make.__name__]):
        # Two sizes in turn, and now and then a batch of one clip, of which a process is left without one.
        whole = clips[:1] if step % 10 == 9 else clips[: 4 + step % 2]
        own = whole[devices.rank :: devices.world] or whole[:1]
        rows.append(one_step(model.train(), optimizer, collate(own), step, devices))
    rows.append({"sum of buffers": sum(float(each.double().sum()) for each in model.buffers())})
    return rows


def one_step(
    model: nn.Module, optimizer: torch.optim.Optimizer, batch: Batch, step: int, devices: Devices
) -> dict[str, float]:
    seed_all("step", step)
    optimizer.zero_grad()
    with devices.share(batch) as padded:
        losses: Losses = dict(model.training_loss(padded, step))  # type: ignore[operator]
        losses["loss"].backward()
        if isinstance(model, Adversarial) and (found := model.adversary_loss()):
            found["loss"].backward()
            losses |= {f"adversary_{name}": value for name, value in found.items()}
    devices.average_gradients(model.parameters())
    norm = float(nn.utils.clip_grad_norm_(model.parameters(), 1.0))
    optimizer.step()
    numbers = devices.mean({name: value.item() for name, value in losses.items()})
    return numbers | {"grad_norm": norm, "grad_direction": direction(model)}


def direction(model: nn.Module) -> float:
    """Return the product of a unit gradient with a fixed vector."""
    gradient = torch.cat([each.grad.flatten() for each in model.parameters() if each.grad is not None])
    return float(gradient @ torch.cos(torch.arange(len(gradient)))) / max(1e-12, float(gradient.norm()))


def decisions(devices: Devices) -> dict[str, object]:
    """What all processes find out together."""
    zeros = [torch.zeros(3), torch.zeros(2, dtype=torch.float64), torch.zeros(1)]
    parameters = [nn.Parameter(each) for each in zeros]  # of the last one there is no gradient
    for parameter in parameters[:2]:
        parameter.grad = torch.full_like(parameter, float(devices.rank))
    devices.average_gradients(parameters)
    return {
        "any": [devices.any(False), devices.any(devices.rank == 1)],
        "broadcast": devices.broadcast({"rank": devices.rank}),
        "gradients": [None if each.grad is None else each.grad.tolist() for each in parameters],
    }


def main() -> None:
    curves: dict[str, object] = {}
    with joined(devices_config(), CPU) as devices:
        curves["decisions"] = decisions(devices)
        for make in (tacotron, dtc, parallel, vocos, waveglow):
            together = curve(make, devices)
            curves[make.__name__] = together, curve(make, Devices(CPU)) if devices.is_main else []
    if devices.is_main:
        json.dump(curves, sys.stdout)


if __name__ == "__main__":
    main()
