"""Export to ONNX, for programs without PyTorch: a vocoder, mel → waveform, for any number of clips and frames."""

from __future__ import annotations

import io
import warnings
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

import torch

from dtc.compat.formats import Exported, Format
from dtc.errors import InputError, install_hint
from dtc.vocoder.base import load_vocoder
from dtc.vocoder.onnx_graph import OnnxGraph

OPSET = 17


def write_onnx(folder: Path) -> Exported:
    """Return the vocoder of a model folder as an ONNX file. Raises InputError as `load_vocoder` and `onnx_model`.

    Vocos has the input `mel` and the output `wave`. WaveGlow has `mel` and `noise`: the caller draws the noise with
    standard deviation σ (zeros are σ = 0), and the denoiser is not included.
    """
    vocoder, card = load_vocoder(folder, torch.device("cpu"))
    graph = vocoder.onnx_graph()
    return Exported(onnx_model(graph, {}), card, {}, axes_of(graph))


def onnx_model(graph: OnnxGraph, metadata: Mapping[str, str]) -> bytes:
    """Return a network as an ONNX model. Raises InputError if onnx is not installed."""
    if not find_spec("onnx"):
        raise InputError("dtc export", "onnx is not installed", remedy=install_hint("onnx"))
    import onnx

    module, stream = graph.module.eval(), io.BytesIO()
    free = {
        name: {place: axis for place, axis in enumerate(axes) if isinstance(axis, str)}
        for name, axes in graph.axes.items()
    }
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that this exporter is the older one; the newer one fixes the sizes of voices
        module(*graph.examples)  # values that a model computes once from its weights become constants of the export
        torch.onnx.export(
            module,
            graph.examples,
            stream,  # type: ignore[arg-type]
            dynamo=False,
            opset_version=OPSET,
            training=torch.onnx.TrainingMode.PRESERVE,  # setting the mode would drop the cached values
            input_names=tuple(graph.inputs),
            output_names=tuple(graph.outputs),
            dynamic_axes=free,
        )
    model = onnx.load_from_string(stream.getvalue())
    declared = {each.name: each for each in model.graph.input}  # the exporter leaves out inputs that are not used
    del model.graph.input[:]
    for (name, axes), example in zip(graph.inputs.items(), graph.examples, strict=True):
        element = onnx.helper.np_dtype_to_tensor_dtype(example.numpy().dtype)
        model.graph.input.append(declared.get(name) or onnx.helper.make_tensor_value_info(name, element, axes))
    onnx.helper.set_model_props(model, dict(metadata))
    content: bytes = model.SerializeToString()
    return content


def axes_of(graph: OnnxGraph) -> tuple[str, ...]:
    """Return a line on each input and output, with its axes."""
    return tuple(f"{name} ({', '.join(map(str, axes))})" for name, axes in graph.axes.items())


FORMAT = Format(kind="vocoder", suffixes=(".onnx",), read=None, write=write_onnx)
