"""Checks and conversions for the measures of a copy: finite waves, equal lengths, sampling rate, installed packages."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Literal

import numpy as np
from jaxtyping import Float, Float32

from dtc.errors import InputError, install_hint

Wave = Float[np.ndarray, " samples"]
Copy = Float[np.ndarray, " copy_samples"]

MODEL_RATE_HZ = 16_000  # of PESQ's wide band, swift-f0, DNSMOS, DistillMOS and PocketSphinx
SHORTEST_S = 0.25  # PESQ refuses shorter clips, which are too short to be judged

Measure = Literal["pitch", "PESQ", "DNSMOS", "DistillMOS", "speaker similarity"]  # those that need further packages
# Measure → the modules that it needs besides dtc, and the command that installs them.
OPTIONAL: dict[Measure, tuple[tuple[str, ...], str]] = {
    "pitch": (("swift_f0", "onnxruntime"), install_hint("quality")),
    "DNSMOS": (("speechmos", "onnxruntime"), install_hint("quality")),
    "PESQ": (("pesq",), install_hint("pesq")),
    "DistillMOS": (("distillmos", "xls_r_sqa"), "pip install --no-deps distillmos xls-r-sqa"),
    "speaker similarity": (("resemblyzer",), "pip install --no-deps Resemblyzer"),
}


def is_installed(measure: Measure) -> bool:
    """Return whether all modules of a measure of `OPTIONAL` are installed, without importing them."""
    modules, _ = OPTIONAL[measure]
    return all(find_spec(module) for module in modules)


def require_installed(measure: Measure) -> None:
    """Raise InputError, with the command that installs them, if modules of a measure are missing."""
    modules, remedy = OPTIONAL[measure]
    missing = [module for module in modules if not find_spec(module)]
    if missing:
        raise InputError(measure, f"{missing[0]} is not installed", remedy=f"install it with `{remedy}`")


def not_measured() -> str:
    """Return one line that names missing measures and the commands that install them; "" if none is missing."""
    missing: dict[str, list[str]] = {}
    for measure, (_, remedy) in OPTIONAL.items():
        if not is_installed(measure):
            missing.setdefault(remedy, []).append(measure)
    return "; ".join(f"{', '.join(measures)} not measured: {remedy}" for remedy, measures in missing.items())


def cut_alike(reference: Wave, copy: Copy, hop_length: int) -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, " n"]]:
    """Return both waves, cut to the length of the shorter. Raises ValueError if they differ by more than a hop.

    The copy of a recording of S samples has 1 + S // hop frames of hop samples, which is up to one hop more.
    """
    if abs(len(reference) - len(copy)) > hop_length:
        raise ValueError(f"copy of {len(copy)} samples, expected {len(reference)} give or take {hop_length}")
    shorter = min(len(reference), len(copy))
    return reference[:shorter], copy[:shorter]


def require_pair(reference: Wave, copy: Copy) -> None:
    """Raise ValueError if two waves differ in length, and as `require_wave`."""
    require_wave("reference", reference)
    require_wave("copy", copy)
    if len(reference) != len(copy):
        raise ValueError(f"copy of {len(copy)} samples, expected {len(reference)} as in the reference")


def require_wave(name: str, wave: Wave) -> None:
    """Raise ValueError for several channels and for samples that are not finite."""
    if wave.ndim != 1:
        raise ValueError(f"{name} of shape {wave.shape}, expected (samples,)")
    faulty = int(np.count_nonzero(~np.isfinite(wave)))
    if faulty:
        raise ValueError(f"{name}: {faulty} of {len(wave)} samples are not finite")


def at_model_rate(wave: Wave, sampling_rate: int) -> Float32[np.ndarray, " resampled"]:
    """Return a wave at 16 kHz."""
    samples = wave.astype(np.float32)
    if sampling_rate == MODEL_RATE_HZ:
        return samples
    from dtc.audio import resample  # it takes torch, which each process of a recogniser would load in a second

    return resample(samples, sampling_rate, MODEL_RATE_HZ)
