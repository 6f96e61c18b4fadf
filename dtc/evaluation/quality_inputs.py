"""What the measures of a copy stand on: finite waves of equal length, a model's sampling rate, installed packages."""

from __future__ import annotations

from importlib.util import find_spec

import numpy as np
from jaxtyping import Float, Float32

from dtc.audio import resample
from dtc.errors import InputError, install_hint

Wave = Float[np.ndarray, " samples"]
Copy = Float[np.ndarray, " copy_samples"]

MODEL_RATE_HZ = 16_000  # of PESQ's wide band, swift-f0, DNSMOS and DistillMOS
SHORTEST_S = 0.25  # PESQ refuses less, and nobody hears the quality of it

# What needs more than dtc itself: measures → modules, and how to have them.
PITCH, PESQ, DNSMOS, DISTILL_MOS = "pitch", "PESQ", "DNSMOS", "DistillMOS"
OPTIONAL = {
    PITCH: (("swift_f0", "onnxruntime"), install_hint("quality")),
    DNSMOS: (("speechmos", "onnxruntime"), install_hint("quality")),
    PESQ: (("pesq",), install_hint("pesq")),
    DISTILL_MOS: (("distillmos", "xls_r_sqa"), "pip install --no-deps distillmos xls-r-sqa"),
}


def is_installed(measure: str) -> bool:
    """Whether all modules of a measure of `OPTIONAL` are there; none is imported."""
    modules, _ = OPTIONAL[measure]
    return all(find_spec(module) for module in modules)


def require_installed(measure: str) -> None:
    """Raise InputError, with how to install them, where a measure's modules are not there."""
    modules, remedy = OPTIONAL[measure]
    missing = [module for module in modules if not find_spec(module)]
    if missing:
        raise InputError(measure, f"{missing[0]} is not installed", remedy=f"install it with `{remedy}`")


def not_measured() -> str:
    """One line on what is not installed and how to install it; "" where nothing is missing."""
    missing: dict[str, list[str]] = {}
    for measure, (_, remedy) in OPTIONAL.items():
        if not is_installed(measure):
            missing.setdefault(remedy, []).append(measure)
    return "; ".join(f"{', '.join(measures)} not measured: {remedy}" for remedy, measures in missing.items())


def cut_alike(reference: Wave, copy: Copy, hop_length: int) -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, " n"]]:
    """Both as long as the shorter. Raises ValueError where they differ by more than a hop: one is no copy of the other.

    A whole hop is allowed: a copy has 1 + S // hop frames of hop samples, which is a hop more where hop divides S.
    """
    if abs(len(reference) - len(copy)) > hop_length:
        raise ValueError(f"copy of {len(copy)} samples, expected {len(reference)} give or take {hop_length}")
    shorter = min(len(reference), len(copy))
    return reference[:shorter], copy[:shorter]


def require_pair(reference: Wave, copy: Copy) -> None:
    """Raise ValueError where two waves differ in length, or one is no wave."""
    require_wave("reference", reference)
    require_wave("copy", copy)
    if len(reference) != len(copy):
        raise ValueError(f"copy of {len(copy)} samples, expected {len(reference)} as in the reference")


def require_wave(name: str, wave: Wave) -> None:
    """Raise ValueError for several channels and for samples that are not finite: a failed vocoder has no quality."""
    if wave.ndim != 1:
        raise ValueError(f"{name} of shape {wave.shape}, expected (samples,)")
    faulty = int(np.count_nonzero(~np.isfinite(wave)))
    if faulty:
        raise ValueError(f"{name}: {faulty} of {len(wave)} samples are not finite")


def at_model_rate(wave: Wave, sampling_rate: int) -> Float32[np.ndarray, " resampled"]:
    """A wave at 16 kHz, by the program's one resampler."""
    return resample(wave.astype(np.float32), sampling_rate, MODEL_RATE_HZ)
