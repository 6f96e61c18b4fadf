"""Export of a vocoder to ONNX, for programs without PyTorch: mel → waveform, for any number of clips and frames."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import torch

from dtc.errors import InputError
from dtc.files import write_whole
from dtc.vocoder.base import Vocoder
from dtc.vocoder.onnx_graph import OnnxGraph


def export_onnx(vocoder: Vocoder, file: Path) -> dict[str, tuple[str, ...]]:
    """Write a vocoder as an ONNX model; return the names and axes of its inputs and of its output.

    Vocos has the input `mel` and the output `wave`. WaveGlow has `mel` and `noise`: the caller draws the noise with
    standard deviation σ (zeros are σ = 0), and the denoiser is not included.
    Raises InputError for a vocoder that has no such network, and if onnx or onnxscript is not installed.
    """
    graph = vocoder.onnx_graph()
    for package in ("onnx", "onnxscript"):
        if not find_spec(package):
            remedy = "pip install 'dueling-turing-classifier[onnx]'"
            raise InputError("dtc export onnx", f"{package} is not installed", remedy=remedy)
    write_whole(file, _exported(graph))
    return {**graph.inputs, "wave": ("batch", "samples")}


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
    """Silence the exporter's warnings about optional packages."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
