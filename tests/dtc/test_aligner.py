"""The aligner: equal to brute force over all paths, independent of padding, and it finds the states of a made-up clip."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
import scipy.fft
import scipy.stats
import torch
from torch import Tensor

from dtc.acoustic.aligner import Aligner, beta_binomial_prior, forward_backward, viterbi_durations
from dtc.acoustic.configs import AlignerConfig
from dtc.batch import Batch, Clip, collate
from dtc.seeding import seed_all
from tests.dtc.tiny_acoustic import batch

FLOAT32 = 1e-4  # the precision of torchaudio's cosines, summed over 80 bands
EXACT = 1e-9  # float64, other orders of summation
SIZES = [(1, 1), (1, 4), (3, 3), (3, 7), (5, 8), (2, 9)]  # (symbols, frames)


def aligner(steps: int = 60, temper: float = 0.2, mels: int = 20) -> Aligner:
    seed_all("aligner")
    sizes = {"features": "cepstra", "embedding_dim": 8, "hidden_dim": 12, "kernel_size": 3}
    built = Aligner(mels, AlignerConfig.model_validate({"steps": steps, "temper": temper} | sizes))
    torch.nn.init.normal_(built.symbol_mean.weight, std=0.3)
    return built


def all_paths(symbols: int, frames: int) -> Iterator[list[int]]:
    """The symbol of each frame, for every way to go through the text in order."""
    for starts in combinations(range(1, frames), symbols - 1):
        yield [sum(start <= frame for start in starts) for frame in range(frames)]


def scores_of(*sizes: tuple[int, int]) -> tuple[Tensor, Tensor, Tensor]:
    """A batch of random scores in float64, and the lengths in symbols and in frames; the padding is large."""
    symbols, frames = (torch.tensor(lengths) for lengths in zip(*sizes, strict=True))
    generator = torch.Generator().manual_seed(1)
    scores = torch.full((len(sizes), int(frames.max()), int(symbols.max())), 1e4, dtype=torch.float64)
    for row, (own_symbols, own_frames) in enumerate(sizes):
        scores[row, :own_frames, :own_symbols] = 3.0 * torch.randn(
            own_frames, own_symbols, generator=generator, dtype=torch.float64
        )
    return scores, symbols, frames


def test_sums_and_probabilities_equal_brute_force_over_all_paths() -> None:
    scores, symbols, frames = scores_of(*SIZES)
    probabilities, totals = forward_backward(scores, symbols, frames)
    for row, (own_symbols, own_frames) in enumerate(SIZES):
        paths = list(all_paths(own_symbols, own_frames))
        sums = torch.stack([sum(scores[row, t, n] for t, n in enumerate(path)) for path in paths])
        torch.testing.assert_close(totals[row], sums.logsumexp(0), atol=EXACT, rtol=0)
        expected = torch.zeros_like(probabilities[row])
        for path, weight in zip(paths, sums.softmax(0), strict=True):
            for t, n in enumerate(path):
                expected[t, n] += weight
        torch.testing.assert_close(probabilities[row], expected, atol=EXACT, rtol=0)


def test_durations_are_those_of_the_best_of_all_paths() -> None:
    scores, symbols, frames = scores_of(*SIZES)
    durations = viterbi_durations(scores, symbols, frames)
    for row, (own_symbols, own_frames) in enumerate(SIZES):
        best = max(
            all_paths(own_symbols, own_frames), key=lambda path: sum(scores[row, t, n] for t, n in enumerate(path))
        )
        expected = [best.count(symbol) for symbol in range(own_symbols)]
        assert durations[row].tolist() == expected + [0] * (scores.shape[2] - own_symbols)


def test_equal_scores_give_durations_too() -> None:
    """As silence does."""
    durations = viterbi_durations(torch.zeros(2, 7, 3), torch.tensor([3, 2]), torch.tensor([7, 4]))
    assert durations.tolist() == [[1, 1, 5], [1, 3, 0]]


def test_the_prior_is_the_beta_binomial_distribution() -> None:
    symbols, frames = torch.tensor([1, 4, 9]), torch.tensor([1, 12, 30])
    prior = beta_binomial_prior(symbols, frames, torch.zeros(3, 30, 9, dtype=torch.float64))
    assert torch.isfinite(prior).all()
    for row, (own_symbols, own_frames) in enumerate(zip(symbols.tolist(), frames.tolist(), strict=True)):
        for t in range(1, own_frames + 1):
            expected = scipy.stats.betabinom.logpmf(range(own_symbols), own_symbols - 1, t, own_frames - t + 1)
            found = prior[row, t - 1, :own_symbols]
            torch.testing.assert_close(found, torch.from_numpy(expected), atol=EXACT, rtol=1e-9)


def test_log_likelihoods_are_those_of_normal_distributions() -> None:
    ours, example = aligner().double(), in_double(batch((4, 9), (7, 12)))
    torch.nn.init.normal_(ours.log_deviation, std=0.1)
    found = ours.log_likelihoods(example)
    means, features = ours._means(example), ours.features(example)
    for row in range(2):
        for t in range(example.mel.shape[2]):
            normal = torch.distributions.Normal(means[row], (5.0 * ours.log_deviation).exp())
            expected = (normal.log_prob(features[row, t]) + 0.5 * torch.log(torch.tensor(2 * torch.pi))).sum(1)
            torch.testing.assert_close(found[row, t], expected, atol=1e-5, rtol=1e-7)


@pytest.mark.parametrize("mels", [80, 12])  # of 12 bands there are 12 cepstra
def test_the_features_are_cepstra_and_their_changes_up_to_the_last_frame_of_each_clip(mels: int) -> None:
    ours, example = aligner(mels=mels).double(), in_double(batch((4, 9), (7, 12)))
    example = replace(example, mel=torch.randn(2, mels, 12, dtype=torch.float64))
    features = ours.features(example).numpy()
    for row, frames in enumerate((9, 12)):
        own = scipy.fft.dct(example.mel[row, :, :frames].numpy(), axis=0, norm="ortho")[:20].T
        speeds = changes(own)
        np.testing.assert_allclose(features[row, :frames], np.hstack([own, speeds, changes(speeds)]), atol=FLOAT32)


def changes(values: np.ndarray) -> np.ndarray:
    padded = np.pad(values, ((1, 1), (0, 0)), mode="edge")
    return padded[2:] - padded[:-2]


def in_double(example: Batch) -> Batch:
    return replace(example, mel=example.mel.double())


def test_without_prior_and_temper_the_gradient_is_that_of_the_sum_over_all_paths() -> None:
    """Which is what makes expectation-maximisation by gradient steps exact."""
    ours, example = aligner(temper=1.0).double(), in_double(batch((3, 7), (4, 6)))
    ours.loss(example, step=60).backward()
    found = [parameter.grad.clone() for parameter in ours.parameters()]
    ours.zero_grad()
    scores = ours.log_likelihoods(example)
    totals = [
        torch.stack([sum(scores[row, t, n] for t, n in enumerate(path)) for path in all_paths(*size)]).logsumexp(0)
        for row, size in enumerate(((3, 7), (4, 6)))
    ]
    (-sum(totals) / (13 * 3 * 20)).backward()
    for mine, parameter in zip(found, ours.parameters(), strict=True):
        torch.testing.assert_close(mine, parameter.grad, atol=EXACT, rtol=1e-7)


@pytest.mark.parametrize("step", [0, 59])
def test_a_clip_does_not_depend_on_its_neighbours(step: int) -> None:
    ours, sizes = aligner(), [(1, 1), (400, 420), (7, 30)]
    together = batch(*sizes)
    durations = ours.durations(together)
    losses = []
    for row, (symbols, frames) in enumerate(sizes):
        ids, mel = together.symbol_ids[row, :symbols], together.mel[row, :, :frames]
        alone = collate([Clip("a", "", "", ids, mel, torch.zeros(1))])
        assert ours.durations(alone)[0].tolist() == durations[row, :symbols].tolist()
        losses.append(ours.loss(alone, step) * frames)
    assert durations.sum(dim=1).tolist() == [1, 420, 30]
    assert ((durations > 0).sum(dim=1)).tolist() == [1, 400, 7]
    torch.testing.assert_close(ours.loss(together, step), sum(losses) / 451, atol=1e-5, rtol=1e-5)


def test_silence_has_a_loss_and_durations() -> None:
    ours, example = aligner(), batch((3, 12), (5, 9))
    example = replace(example, mel=torch.full_like(example.mel, -4.0))
    loss = ours.loss(example, 0)
    loss.backward()
    assert all(torch.isfinite(parameter.grad).all() for parameter in ours.parameters())
    assert ours.durations(example).sum(dim=1).tolist() == [12, 9]


def test_autocast_changes_nothing() -> None:
    ours, example = aligner(), batch((4, 9), (7, 31))
    with torch.autocast("cpu", torch.bfloat16):
        lower = ours.loss(example, 0), ours.durations(example)
    assert torch.equal(lower[0], ours.loss(example, 0))
    assert torch.equal(lower[1], ours.durations(example))


def test_learns_the_states_of_clips_from_the_clips_alone() -> None:
    """Clips whose symbols have a sound each, with noise, and durations that only the test knows."""
    generator = torch.Generator().manual_seed(3)
    sounds, clips, expected = torch.randn(160, 20, generator=generator), [], []
    for number in range(16):
        text = torch.randint(40, 50, (8,), generator=generator)
        durations = torch.randint(1, 9, (8,), generator=generator)
        frames = sounds[text].repeat_interleave(durations, dim=0)
        frames = frames + 0.3 * torch.randn(frames.shape, generator=generator)
        clips.append(Clip(str(number), "", "", text, frames.T, torch.zeros(1)))
        expected.append(durations)
    example, ours = collate(clips), aligner(steps=120)
    torch.nn.init.zeros_(ours.symbol_mean.weight)
    adam = torch.optim.Adam(ours.parameters(), 5e-3)
    for step in range(120):
        adam.zero_grad()
        ours.loss(example, step).backward()
        adam.step()
    found = ours.durations(example)
    same = (torch.stack(expected).cumsum(1) - found.cumsum(1)).abs()
    # Two equal symbols in a row have no border between them.
    different = torch.stack([clip.symbol_ids[1:] != clip.symbol_ids[:-1] for clip in clips])
    assert (same[:, :-1][different] == 0).float().mean() > 0.95
