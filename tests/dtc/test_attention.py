"""The attentions: normalised, masked, moving forward, and equal to what their papers' equations say, symbol by symbol."""

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from scipy.stats import betabinom
from torch import Tensor

from dtc.acoustic import ACOUSTIC_MODELS
from dtc.acoustic.attention import ATTENTIONS
from dtc.acoustic.attention.base import Attention, State
from dtc.acoustic.attention.dynamic_convolution import DynamicConvolutionAttention, beta_binomial
from dtc.acoustic.attention.gmm import LEAST_DEVIATION, GMMAttention
from dtc.acoustic.decoder import teacher_forced
from dtc.acoustic.dtc import DTC
from dtc.acoustic.tacotron2 import Tacotron2
from dtc.audio import MelStatistics
from dtc.batch import mask_of
from dtc.seeding import seed_all
from tests.dtc.tiny_acoustic import AUDIO, MELS, NEVER, OPTIONS, attention_section, batch, clip, config

ENCODING, QUERY, MIXTURES, TAPS = 6, 5, 3, 7
EVERY = sorted(ATTENTIONS.names())
FILTERS = {"num_filters": 2, "kernel_size": TAPS}
LOCATION_RELATIVE = ["dynamic_convolution", "gmm"]
ORDER_TOLERANCE = 1e-6  # of weights in float32 whose sums are taken in another order
EQUATION_TOLERANCE = 1e-12  # float64


def attention(name: str, seed: int = 0, spread: float = 1.0) -> Attention:
    """Random weights; `spread` times as large as at first, since those of a trained attention are larger."""
    torch.manual_seed(seed)
    own = {"num_mixtures": MIXTURES} if name == "gmm" else FILTERS
    tree = {"model": name, "rnn_dim": QUERY, "attention_dim": 4} | own
    built = ATTENTIONS.get(name)(ENCODING, ATTENTIONS.parse(tree, "attention"))
    with torch.no_grad():
        for parameter in built.parameters():
            parameter *= spread
    return built


def begin(attentions: Sequence[Attention], lengths: Sequence[int], padded: int = 0, dtype: torch.dtype = torch.float32):
    """A pass over random texts; the same ones whatever is beside and behind them."""
    size = max(*lengths, padded)
    values = torch.zeros(len(lengths), size, ENCODING, dtype=dtype)
    for row, length in enumerate(lengths):
        generator = torch.Generator().manual_seed(length)
        values[row, :length] = torch.randn(length, ENCODING, generator=generator)
    return type(attentions[0]).begin(attentions, values, mask_of(torch.tensor(lengths), size), dtype)


def queries(steps: int, decoders: int, rows: int, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(steps, decoders, rows, QUERY, generator=torch.Generator().manual_seed(1)).to(dtype)


def read(reading, asked: Tensor, state: State | None = None) -> Tensor:
    """Weights of all steps: (steps, decoders, batch, symbols)."""
    state = reading.start() if state is None else state
    steps = []
    for query in asked.unbind():
        weights, state = reading.step(query, state)
        steps.append(weights)
    return torch.stack(steps)


@pytest.mark.parametrize("name", EVERY)
def test_weights_sum_to_one_over_each_text_and_padding_gets_none(name: str) -> None:
    weights = read(begin([attention(name, spread=5.0)], [9, 1, 4], padded=12), queries(40, 1, 3))
    for row, length in enumerate((9, 1, 4)):
        torch.testing.assert_close(weights[:, 0, row, :length].sum(dim=1), torch.ones(40))
        assert torch.all(weights[:, 0, row, length:] == 0)
    assert torch.all(weights >= 0)


@pytest.mark.parametrize("name", EVERY)
def test_a_text_does_not_depend_on_its_neighbours(name: str) -> None:
    """400 symbols beside one, for longer than it takes to run past the end of either."""
    own, asked = attention(name, spread=3.0), queries(500, 1, 2)
    together = read(begin([own], [400, 1], padded=410), asked)
    for row, length in enumerate((400, 1)):
        alone = read(begin([own], [length]), asked[:, :, row : row + 1])
        torch.testing.assert_close(together[:, :, row, :length], alone[:, :, 0], atol=ORDER_TOLERANCE, rtol=0)
    assert torch.all(together[:, :, 1, 0] == 1)


@pytest.mark.parametrize("name", EVERY)
def test_several_decoders_at_once_are_each_alone(name: str) -> None:
    several, asked = [attention(name, seed) for seed in range(3)], queries(12, 3, 2)
    together = read(begin(several, [9, 5]), asked)
    for number, each in enumerate(several):
        alone = read(begin([each], [9, 5]), asked[:, number : number + 1])
        torch.testing.assert_close(together[:, number], alone[:, 0], atol=ORDER_TOLERANCE, rtol=0)


@pytest.mark.parametrize("name", EVERY)
def test_some_texts_of_a_pass_go_on_as_if_they_were_all(name: str) -> None:
    several, asked, rows = [attention(name, seed) for seed in range(2)], queries(12, 2, 3), torch.tensor([2, 0])
    reading = begin(several, [9, 7, 5])
    state = reading.start()
    for query in asked[:6].unbind():
        _, state = reading.step(query, state)
    rest = read(reading.select(rows), asked[6:, :, rows], tuple(part[:, rows] for part in state))
    subset = read(begin(several, [5, 9]), asked[:, :, rows])
    torch.testing.assert_close(rest, subset[6:], atol=ORDER_TOLERANCE, rtol=0)


@pytest.mark.parametrize("name", EVERY)
def test_gradients_are_those_of_small_differences(name: str) -> None:
    own = attention(name, spread=2.0).double()
    asked = queries(3, 1, 2, torch.float64).requires_grad_()
    assert torch.autograd.gradcheck(  # perturbs the inputs in place, so the closure sees them
        lambda *_: read(begin([own], [4, 2], dtype=torch.float64), asked), (asked, *own.parameters())
    )


def softplus(value: np.ndarray) -> np.ndarray:
    return np.log1p(np.exp(value))


def mixture_of_the_paper(own: GMMAttention, asked: np.ndarray, symbols: int) -> np.ndarray:
    """Battenberg et al., equations 6 to 8 and table 1, V2, for one text; then divided by its sum over the text."""
    weights = {name: value.detach().numpy() for name, value in own.state_dict().items()}
    means, alignment = np.zeros(MIXTURES), np.zeros((len(asked), symbols))
    for step, query in enumerate(asked):
        hidden = np.tanh(weights["query_layer.weight"] @ query + weights["query_layer.bias"])
        intermediate = weights["mixture_layer.weight"] @ hidden + weights["mixture_layer.bias"]
        w, delta, sigma = intermediate.reshape(3, MIXTURES)
        w, means, sigma = np.exp(w) / np.exp(w).sum(), means + softplus(delta), softplus(sigma) + LEAST_DEVIATION
        for k in range(MIXTURES):
            height = w[k] / np.sqrt(2 * np.pi * sigma[k] ** 2)
            for j in range(symbols):
                alignment[step, j] += height * np.exp(-((j + 1 - means[k]) ** 2) / (2 * sigma[k] ** 2))
    return alignment / alignment.sum(axis=1, keepdims=True)


def convolutions_of_the_paper(own: DynamicConvolutionAttention, asked: np.ndarray, symbols: int) -> np.ndarray:
    """Battenberg et al., section on dynamic convolution attention, for one text."""
    weights = {name: value.detach().numpy() for name, value in own.state_dict().items()}
    previous, alignment = np.eye(symbols)[0], np.zeros((len(asked), symbols))
    for step, query in enumerate(asked):
        hidden = np.tanh(weights["query_layer.weight"] @ query + weights["query_layer.bias"])
        dynamic_filters = (weights["filter_layer.weight"] @ hidden).reshape(-1, TAPS)
        scores = np.zeros(symbols)
        for j in range(symbols):
            around = [previous[n] if 0 <= n < symbols else 0.0 for n in range(j - TAPS // 2, j + TAPS // 2 + 1)]
            static = weights["static_dense.weight"] @ (weights["static_conv.weight"][:, 0] @ around)
            dynamic = weights["dynamic_dense.weight"] @ (dynamic_filters @ around)
            prior = sum(betabinom.pmf(k, 10, 0.1, 0.9) * previous[j - k] for k in range(min(10, j) + 1))
            energy = np.tanh(static + dynamic + weights["dynamic_dense.bias"])
            scores[j] = np.exp(weights["v.weight"][0] @ energy) * prior
        previous = alignment[step] = scores / scores.sum()
    return alignment


@pytest.mark.parametrize("symbols", [1, 6, 25])
@pytest.mark.parametrize("name", LOCATION_RELATIVE)
def test_equal_to_the_equations_of_the_paper(name: str, symbols: int) -> None:
    own = attention(name, spread=2.0).double()
    if isinstance(own, DynamicConvolutionAttention):
        own.prior.copy_(torch.tensor(beta_binomial(10, 0.1, 0.9), dtype=torch.float64))  # not by way of float32
    asked = queries(15, 1, 1, torch.float64)
    mine = read(begin([own], [symbols], dtype=torch.float64), asked)[:, 0, 0].detach().numpy()
    equations = {"gmm": mixture_of_the_paper, "dynamic_convolution": convolutions_of_the_paper}[name]
    expected = equations(own, asked[:, 0, 0].numpy(), symbols)  # type: ignore[arg-type]
    np.testing.assert_allclose(mine, expected, atol=EQUATION_TOLERANCE)


def test_a_mixture_begins_with_steps_of_a_symbol_and_a_width_of_ten() -> None:
    own = attention("gmm")
    with torch.no_grad():
        own.mixture_layer.weight.zero_()  # what is left is the biases
    weights = read(begin([own], [60]), queries(30, 1, 1))[:, 0, 0]
    places = torch.arange(1, 61)
    for step in (1, 30):
        expected = torch.softmax(-((places - step) ** 2) / 200.0, dim=0)
        torch.testing.assert_close(weights[step - 1], expected, atol=ORDER_TOLERANCE, rtol=0)


def test_means_never_go_back() -> None:
    own = attention("gmm", spread=20.0)
    reading = begin([own], [9, 4])
    state = reading.start()
    for query in queries(200, 1, 2).unbind():
        before = state[0]
        _, state = reading.step(query, state)
        assert torch.all(state[0] >= before)


@pytest.mark.parametrize("deviation", [-200.0, 10.0])
def test_means_past_the_end_look_at_the_last_symbol(deviation: float) -> None:
    """Where every density is 0 in float32, the weights still sum to one, and nothing is infinite."""
    own = attention("gmm")
    with torch.no_grad():
        own.mixture_layer.bias[MIXTURES:] = torch.tensor([1000.0, deviation]).repeat_interleave(MIXTURES)
    weights = read(begin([own], [9, 4]), queries(5, 1, 2))
    for row, last in enumerate((8, 3)):
        assert torch.all(weights[:, 0, row].argmax(dim=1) == last)
        assert torch.all(weights[:, 0, row, last] > 0.99)
    weights[..., :3].sum().backward()
    assert all(torch.isfinite(parameter.grad).all() for parameter in own.parameters())


def test_prior_is_a_beta_binomial_of_one_symbol_a_step() -> None:
    prior = beta_binomial(10, 0.1, 0.9)
    np.testing.assert_allclose(prior, betabinom.pmf(np.arange(11), 10, 0.1, 0.9), rtol=EQUATION_TOLERANCE)
    assert sum(k * share for k, share in enumerate(prior)) == pytest.approx(1.0)
    assert sum(prior) == pytest.approx(1.0)
    assert attention("dynamic_convolution").prior.tolist() == pytest.approx(prior)


def test_the_prior_alone_goes_forward_only() -> None:
    """Without scores, t steps are the prior convolved with itself; what is behind a symbol only ever leaves it."""
    own = attention("dynamic_convolution")
    with torch.no_grad():
        own.v.weight.zero_()
    weights = read(begin([own], [60, 8]), queries(30, 1, 2))[:, 0]
    expected = np.ones(1)
    for step in range(5):  # 60 symbols hold five steps whole
        expected = np.convolve(expected, beta_binomial(10, 0.1, 0.9))
        np.testing.assert_allclose(weights[step, 0, : len(expected)].detach(), expected, atol=ORDER_TOLERANCE)
        assert torch.all(weights[step, 0, len(expected) :] == 0)
    behind = weights.cumsum(dim=2)
    assert torch.all(behind.diff(dim=0) <= ORDER_TOLERANCE)


def test_no_score_goes_where_the_prior_does_not() -> None:
    """All on symbol 20: nothing before it, and nothing more than ten after it, however much the scores want that."""
    own = attention("dynamic_convolution", spread=30.0)
    reading, state = begin([own], [60]), (torch.zeros(1, 1, 60),)
    state[0][..., 20] = 1.0
    weights = read(reading, queries(3, 1, 1), state)[:, 0, 0]
    assert torch.all(weights[:, :20] == 0)
    for step in range(3):
        assert torch.all(weights[step, 20 + 10 * (step + 1) + 1 :] == 0)


def voice(name: str, model: str = "tacotron2", **decoder: float) -> Tacotron2 | DTC:
    """A whole model of two frames a step with the attention of that name."""
    tree = config(2, **decoder).model_dump()
    tree["attention"] = attention_section(name)
    if model == "dtc":
        agreement = {"mel_agreement_weight": 0.5, "attention_agreement_weight": 0.5}
        duel = {"backward_weight": 1.0, "fade_steps": None} | agreement
        tree |= {"model": "dtc", "reverse_decoder": True, "duel": duel}
    seed_all("weights")
    return ACOUSTIC_MODELS.build(ACOUSTIC_MODELS.parse(tree, "acoustic"), AUDIO, MelStatistics.neutral(MELS))  # type: ignore[return-value]


@pytest.mark.parametrize("name", EVERY)
def test_every_parameter_learns(name: str) -> None:
    ours, example = voice(name, model="dtc"), batch((7, 20), (9, 31))
    values, mask = ours.encode(example.symbol_ids, example.symbol_lengths)
    decoders = [ours.decoder, ours.backward_decoder]
    outputs = teacher_forced(decoders, [example.mel, example.mel.flip(2)], values, mask, 2)
    sum(each.mel.square().sum() + each.gate_logits.square().sum() for each in (outputs[0], outputs[1])).backward()  # type: ignore[union-attr]
    for decoder in decoders:
        for parameter_name, parameter in decoder.named_parameters():
            assert torch.isfinite(parameter.grad).all(), parameter_name
            assert torch.any(parameter.grad != 0), parameter_name


@pytest.mark.parametrize("name", EVERY)
def test_inference_equals_the_teacher_forced_pass_over_its_own_frames(name: str) -> None:
    ours = voice(name, gate_threshold=NEVER, pre_net_dropout=0.0).eval()
    ours.post_net.forward = lambda mel, mask: torch.zeros_like(mel)  # the decoder's own frames, which is what it saw
    texts = [clip("a", 9, 1).symbol_ids, clip("b", 1, 1).symbol_ids]
    for text, said in zip(texts, ours.infer(texts, seed=1, options=OPTIONS), strict=True):
        with torch.no_grad():
            values, mask = ours.encode(text[None], torch.tensor([len(text)]))
            again = teacher_forced([ours.decoder], [said.mel[None]], values, mask, frames_per_step=2)[0]
        torch.testing.assert_close(again.alignments[0], said.alignment, atol=1e-5, rtol=0)
        torch.testing.assert_close(again.mel[0], said.mel, atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", EVERY)
def test_bfloat16_is_finite_and_its_weights_are_float32(name: str) -> None:
    ours, example = voice(name).train(), batch((7, 20), (1, 31))
    with torch.autocast("cpu", torch.bfloat16):
        alignments, loss = ours(example, step=0).alignments, ours.training_loss(example, 0)["loss"]
    loss.backward()
    assert alignments.dtype == torch.float32
    torch.testing.assert_close(alignments.sum(dim=2), torch.ones(2, 16))
    assert all(torch.isfinite(parameter.grad).all() for parameter in ours.parameters())


@pytest.mark.parametrize("model", ["tacotron2", "dtc"])
@pytest.mark.parametrize("name", EVERY)
def test_training_lowers_the_loss(name: str, model: str) -> None:
    ours, example = voice(name, model).train(), batch((6, 18), (8, 23))
    optimizer = torch.optim.Adam(ours.parameters(), 5e-3)
    history = []
    for _ in range(30):
        loss = ours.training_loss(example, 0)["loss"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        history.append(loss.item())
    assert sum(history[-5:]) < 0.9 * sum(history[:5])  # the targets are noise: slow to learn, but never by luck
