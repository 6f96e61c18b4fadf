"""Export of a vocoder to ONNX, for programs without PyTorch: mel → waveform, for any number of clips and frames."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import torch

from dtc.compat.formats import Exported, Format
from dtc.errors import InputError, install_hint
from dtc.vocoder.base import Vocoder, load_vocoder
from dtc.vocoder.onnx_graph import OnnxGraph


def write_onnx(folder: Path) -> Exported:
    """Return the vocoder of a model folder as an ONNX file. Raises InputError as `load_vocoder` and `onnx_model`."""
    vocoder, card = load_vocoder(folder, torch.device("cpu"))
    content, axes = onnx_model(vocoder)
    notes = tuple(f"{name} ({', '.join(names)}), float32" for name, names in axes.items())
    return Exported(content, card, {}, notes)


def onnx_model(vocoder: Vocoder) -> tuple[bytes, dict[str, tuple[str, ...]]]:
    """Return a vocoder as an ONNX model, and the names and axes of its inputs and of its output.

    Vocos has the input `mel` and the output `wave`. WaveGlow has `mel` and `noise`: the caller draws the noise with
    standard deviation σ (zeros are σ = 0), and the denoiser is not included.
    Raises InputError for a vocoder that has no such network, and if onnx or onnxscript is not installed.
    """
    graph = vocoder.onnx_graph()
    for package in ("onnx", "onnxscript"):
        if not find_spec(package):
            raise InputError("dtc export onnx", f"{package} is not installed", remedy=install_hint("onnx"))
    return _exported(graph), {**graph.inputs, "wave": ("batch", "samples")}


def _exported(graph: OnnxGraph) -> bytes:
    module = graph.module.eval()
    with torch.no_grad(), _without_warnings():
        module(*graph.examples)  # values that a model computes once from its weights become constants of the export
        program = torch.onnx.export(
            module,
            graph.examples,
            dynamo=True,
            input_names=tuple(graph.inputs),
            output_names=("wave",),
            dynamic_shapes=graph.dynamic_shapes,
            verbose=False,
        )
    assert program is not None
    content: bytes = program.model_proto.SerializeToString()
    return content


@contextmanager
def _without_warnings() -> Iterator[None]:
    """Suppress the exporter's warnings about optional packages."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


FORMAT = Format(kind="vocoder", suffixes=(".onnx",), read=None, write=write_onnx)
