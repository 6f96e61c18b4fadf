"""Windows of decoder steps as a CUDA graph.

There is no GPU where the tests run, so the graph itself is emulated: every operation that is captured is kept with its
tensors, and a replay does all of them again on the same memory, as CUDA does. What is tested is ours: that a window
takes nothing in but the memory that the graph knows, that it hands its state on there, and that who has ended is left
out.
"""

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from dtc.acoustic import ACOUSTIC_MODELS
from dtc.acoustic.base import InferenceOptions, Utterance
from dtc.acoustic.configs import Tacotron2Config
from dtc.acoustic.tacotron import Tacotron
from dtc.audio import MelStatistics
from tests.dtc.tiny_acoustic import AUDIO, MELS, NEVER, OPTIONS, attention_section, clip, config


class EmulatedGraph(TorchDispatchMode):
    """What is done inside the context, done again by `replay`."""

    replays = 0

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[Any, Any, Any, Any]] = []
        self.overwritten: list[tuple[Tensor, Tensor]] = []

    def __exit__(self, *error: Any) -> None:
        """A capture computes nothing: what it wrote into is put back."""
        super().__exit__(*error)
        for value, before in reversed(self.overwritten):
            value.copy_(before)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func._schema.is_mutable:
            self.overwritten.append((args[0], args[0].clone()))
        made = func(*args, **(kwargs or {}))
        self.calls.append((func, args, kwargs or {}, made))
        return made

    def replay(self) -> None:
        EmulatedGraph.replays += 1
        for func, args, kwargs, made in self.calls:
            given = {_memory(value) for value in tree_leaves((args, kwargs)) if isinstance(value, Tensor)}
            again = func(*args, **kwargs)
            for old, new in zip(tree_leaves(made), tree_leaves(again), strict=True):
                if isinstance(old, Tensor) and _memory(old) not in given:  # no view, and not in place
                    old.copy_(new)


def _memory(value: Tensor) -> int:
    return value.untyped_storage().data_ptr()


class Aside:
    """A stream on which nothing happens."""

    def wait_stream(self, other: object) -> None: ...


@pytest.fixture
def emulated_cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    def capture(graph: EmulatedGraph) -> AbstractContextManager[object]:
        return graph

    monkeypatch.setattr(EmulatedGraph, "replays", 0)
    monkeypatch.setattr(torch.cuda, "Stream", Aside)
    monkeypatch.setattr(torch.cuda, "current_stream", Aside)
    monkeypatch.setattr(torch.cuda, "stream", lambda _: nullcontext())
    monkeypatch.setattr(torch.cuda, "CUDAGraph", EmulatedGraph)
    monkeypatch.setattr(torch.cuda, "graph", capture)


def speak(model: Tacotron, cuda_graphs: bool) -> list[Utterance]:
    with torch.inference_mode():
        model._decoder_inference(OPTIONS).cuda_graphs = cuda_graphs
    return model.infer([clip("a", symbols, 1).symbol_ids for symbols in (9, 4, 13, 6)], seed=1, options=OPTIONS)


def model(attention: str, gate_threshold: float) -> Tacotron:
    torch.manual_seed(0)
    tree = config(frames_per_step=2, gate_threshold=gate_threshold).model_dump()
    tree["attention"] = attention_section(attention)
    return ACOUSTIC_MODELS.build(Tacotron2Config.model_validate(tree), AUDIO, MelStatistics.neutral(MELS)).eval()


def assert_same(said: list[Utterance], expected: list[Utterance]) -> None:
    """Up to rounding: without a graph, those that have ended leave the batch."""
    for one, other in zip(said, expected, strict=True):
        assert one.status == other.status
        torch.testing.assert_close(one.mel, other.mel, atol=1e-5, rtol=0)
        torch.testing.assert_close(one.alignment, other.alignment, atol=1e-5, rtol=0)


@pytest.mark.usefixtures("emulated_cuda")
@pytest.mark.parametrize(
    ("attention", "gate_threshold"),
    [("location_sensitive", 0.503), ("location_sensitive", NEVER), ("gmm", NEVER), ("dynamic_convolution", NEVER)],
)
def test_a_graph_says_what_the_steps_say(attention: str, gate_threshold: float) -> None:
    built = model(attention, gate_threshold)
    stepwise, graphed = speak(built, cuda_graphs=False), speak(built, cuda_graphs=True)
    lengths = [len(said.alignment) for said in stepwise]
    assert len(set(lengths)) > 1
    assert EmulatedGraph.replays == -(-max(lengths) // 16) > 1, "windows of 16 steps, until the last has ended"
    assert_same(stepwise, graphed)


def test_where_nothing_can_be_captured_it_speaks_step_by_step() -> None:
    """Real: this torch finds no CUDA."""
    built = model("location_sensitive", NEVER)
    expected = speak(built, cuda_graphs=False)
    with pytest.warns(UserWarning, match="no CUDA graph, computing step by step"):
        said = speak(built, cuda_graphs=True)
    assert_same(said, expected)


def test_the_switch_is_for_gpus_alone() -> None:
    built = model("location_sensitive", NEVER)
    assert not built._decoder_inference(InferenceOptions(step=0, cuda_graphs=True)).cuda_graphs
