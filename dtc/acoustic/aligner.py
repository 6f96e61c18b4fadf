"""The aligner of the parallel model: a hidden Markov model that finds the frames of each symbol of a recorded text.

Each symbol is a state, which emits the features of frames with a normal distribution: their cepstra, and how these
change. Its mean depends on the symbol and its neighbours; the deviation of each feature is the same for all states. A
path starts in the first state and ends in the last one; from frame to frame it stays in its state or goes on to the
next one, and all paths are equally probable.

The states are learned by expectation-maximisation with gradient steps: the forward-backward algorithm gives the
probability γ of each state at each frame, and the loss is -Σ γ · log-likelihood, in which γ is a constant. Afterwards
the Viterbi algorithm gives the durations. No other alignment is needed. Source: Rabiner 1989, "A tutorial on hidden
Markov models and selected applications in speech recognition", section III.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn
from torchaudio.functional import create_dct

from dtc import whole_batch
from dtc.acoustic.configs import AlignerConfig
from dtc.acoustic.symbol_embedding import symbol_embedding
from dtc.batch import Batch, mask_of, time_reversed
from dtc.text.symbols import SYMBOLS

# Means and log deviations are so many times what the network computes. Adam moves a weight by about the learning rate,
# whatever the size of its gradient, so they are learned at so many times the learning rate.
GAIN = 5.0
# The first cepstra of a mel have the resonances of the mouth without the pitch, and they are less correlated than its
# bands. benchmarks/alignment.py measures how well they find the boundaries of phonemes.
CEPSTRA = 20
PRIOR_SHARE = 0.4  # of the aligner's steps, in which the weight of the prior falls from 1 to 0


class Aligner(nn.Module):
    """The states, and what is computed with them. The mels of its batches are normalised.

    It computes in float32 under autocast too, so that durations do not depend on the precision of the training.
    """

    cosines: Tensor

    def __init__(self, n_mels: int, config: AlignerConfig) -> None:
        super().__init__()
        self.config = config
        self.embedding = symbol_embedding(config.embedding_dim)
        padding = config.kernel_size // 2
        self.context = nn.Conv1d(config.embedding_dim, config.hidden_dim, config.kernel_size, padding=padding)
        cepstra = min(CEPSTRA, n_mels)
        features = n_mels if config.features == "bands" else 3 * cepstra
        self.context_mean = nn.Linear(config.hidden_dim, features)
        self.symbol_mean = nn.Embedding(len(SYMBOLS), features)
        nn.init.zeros_(self.symbol_mean.weight)
        self.log_deviation = nn.Parameter(torch.zeros(features))
        self.register_buffer("cosines", create_dct(cepstra, n_mels, norm="ortho"), persistent=False)

    def loss(self, batch: Batch, step: int) -> Float[Tensor, ""]:
        """Return the negative log-likelihood of the frames, per frame and feature, without the constant ½ log 2π."""
        log_likelihoods = self.log_likelihoods(batch)
        with torch.no_grad():
            # In float64: probabilities are exponentials of differences of sums over hundreds of frames.
            scores = self.config.temper * log_likelihoods.double()
            if weight := max(0.0, 1.0 - step / (PRIOR_SHARE * self.config.steps)):
                scores += weight * beta_binomial_prior(batch.symbol_lengths, batch.mel_lengths, scores)
            probabilities, _ = forward_backward(scores, batch.symbol_lengths, batch.mel_lengths)
        total = (probabilities.to(log_likelihoods.dtype) * log_likelihoods).sum()
        frames = whole_batch.total(batch.mel_lengths.sum())
        return -whole_batch.portion(total) / (frames * len(self.log_deviation))

    @torch.no_grad()
    def durations(self, batch: Batch) -> Int[Tensor, "batch symbols"]:
        """Return the number of frames of each symbol: 1 or more, and 0 beyond a text's length."""
        return viterbi_durations(self.log_likelihoods(batch), batch.symbol_lengths, batch.mel_lengths)

    def log_likelihoods(self, batch: Batch) -> Float[Tensor, "batch frames symbols"]:
        """Return the log-likelihood of each frame in each state, without the constant ½ log 2π of each feature."""
        with torch.autocast(batch.mel.device.type, enabled=False):
            log_deviation = GAIN * self.log_deviation
            frames = self.features(batch) / log_deviation.exp()
            means = self._means(batch) / log_deviation.exp()
            # -½ Σ (x - μ)² over the features, without a tensor of all differences.
            squares = frames.square().sum(dim=2)[:, :, None] + means.square().sum(dim=2)[:, None]
            return torch.bmm(frames, means.transpose(1, 2)) - squares / 2 - log_deviation.sum()

    def features(self, batch: Batch) -> Float[Tensor, "batch frames features"]:
        """Return the cepstra of each frame, how fast they change, and how fast that changes; or the mel bands alone."""
        if self.config.features == "bands":
            return batch.mel.transpose(1, 2)
        cepstra = batch.mel.transpose(1, 2) @ self.cosines
        speeds = _changes(cepstra, batch.mel_lengths)
        return torch.cat([cepstra, speeds, _changes(speeds, batch.mel_lengths)], dim=2)

    def _means(self, batch: Batch) -> Float[Tensor, "batch symbols features"]:
        embedded = self.embedding(batch.symbol_ids).transpose(1, 2)
        visible = embedded * mask_of(batch.symbol_lengths, embedded.shape[2])[:, None]
        context = torch.relu(self.context(visible)).transpose(1, 2)
        return GAIN * (self.context_mean(context) + self.symbol_mean(batch.symbol_ids))


def _changes(
    values: Float[Tensor, "batch frames features"], lengths: Int[Tensor, " batch"]
) -> Float[Tensor, "batch frames features"]:
    """Return the difference between the frames after and before each frame; the first and the last one are repeated."""
    frame = torch.arange(values.shape[1], device=values.device)
    after = torch.minimum(frame + 1, lengths[:, None] - 1)
    return values.take_along_dim(after[:, :, None], dim=1) - values[:, (frame - 1).clamp(min=0)]


def forward_backward(
    scores: Float[Tensor, "batch frames symbols"],
    symbol_lengths: Int[Tensor, " batch"],
    frame_lengths: Int[Tensor, " batch"],
) -> tuple[Float[Tensor, "batch frames symbols"], Float[Tensor, " batch"]]:
    """Return the probability of each symbol at each frame, 0 in the padding, and the log of the sum over all paths.

    The weight of a path is exp(sum of its scores). No text has more symbols than frames.
    """

    def turned(values: Tensor) -> Tensor:
        return time_reversed(time_reversed(values, frame_lengths, dim=1), symbol_lengths, dim=2)

    # The backward pass is a forward pass over what is reversed in time and in the text, so both are computed at once.
    forward, backward = _scores_of_ways(torch.cat([scores, turned(scores)]), torch.logaddexp).chunk(2)
    clips = torch.arange(len(scores), device=scores.device)
    total = forward[clips, frame_lengths - 1, symbol_lengths - 1]
    # Both passes include the score of the frame itself.
    probabilities = (forward + turned(backward) - scores - total[:, None, None]).exp()
    mask = mask_of(frame_lengths, scores.shape[1])[:, :, None] & mask_of(symbol_lengths, scores.shape[2])[:, None]
    return probabilities.masked_fill(~mask, 0.0), total


def viterbi_durations(
    scores: Float[Tensor, "batch frames symbols"],
    symbol_lengths: Int[Tensor, " batch"],
    frame_lengths: Int[Tensor, " batch"],
) -> Int[Tensor, "batch symbols"]:
    """Return the frames of each symbol on the path with the largest sum of scores; 0 beyond a text's length.

    No text has more symbols than frames. Of two equal ways, the one that stays longer in its symbol is chosen.
    """
    best = F.pad(_scores_of_ways(scores, torch.maximum), (1, 0), value=-torch.inf)
    # came[b, t, n]: whether the best way to symbol n at frame t + 1 comes from symbol n - 1. In the padding none does.
    came = (best[:, :-1, :-1] > best[:, :-1, 1:]) & mask_of(frame_lengths - 1, scores.shape[1] - 1)[:, :, None]
    symbol = symbol_lengths - 1
    path = [symbol]
    for step in reversed(came.unbind(dim=1)):
        symbol = symbol - step.gather(1, symbol[:, None])[:, 0].long()
        path.append(symbol)
    frames = mask_of(frame_lengths, scores.shape[1]).long().flip(1)  # `path` starts at the last frame
    return torch.zeros_like(scores[:, 0], dtype=torch.long).scatter_add(1, torch.stack(path, dim=1), frames)


def _scores_of_ways(
    scores: Float[Tensor, "batch frames symbols"], combine: Callable[[Tensor, Tensor], Tensor]
) -> Float[Tensor, "batch frames symbols"]:
    """Return the combined score of all ways from the first symbol and frame to each symbol at each frame.

    `combine` is the maximum, or the log of the sum of exponentials, of two ways; -inf where there is no way.
    """
    reached = scores.new_full((scores.shape[1], len(scores), 1 + scores.shape[2]), -torch.inf)
    reached[0, :, 1] = scores[:, 0, 0]  # the first column is no symbol
    for frame in range(1, len(reached)):
        before = reached[frame - 1]
        reached[frame, :, 1:] = combine(before[:, 1:], before[:, :-1]) + scores[:, frame]
    return reached[:, :, 1:].transpose(0, 1)


def beta_binomial_prior(
    symbol_lengths: Int[Tensor, " batch"],
    frame_lengths: Int[Tensor, " batch"],
    like: Float[Tensor, "batch frames symbols"],
) -> Float[Tensor, "batch frames symbols"]:
    """Return the log-probability of each symbol at each frame, a broad diagonal; a tensor of the shape of `like`.

    Frame t of T, counted from 1, has the beta-binomial distribution with α = t and β = T - t + 1 over the symbols.
    Source: Shih et al. 2021, "RAD-TTS", section 3.3. Values in the padding are finite and have no meaning.
    """
    _, frames, symbols = like.shape
    last = (symbol_lengths[:, None, None] - 1).to(like.dtype)
    n = torch.minimum(torch.arange(symbols, device=like.device), last)  # (B, 1, N)
    t = torch.minimum(torch.arange(1, frames + 1, device=like.device)[:, None], frame_lengths[:, None, None])
    alpha, beta = t.to(like.dtype), (frame_lengths[:, None, None] - t + 1).to(like.dtype)  # (B, T, 1)
    choices = -torch.log1p(last) - _log_beta(n + 1, last - n + 1)  # log of "last over n"
    return choices + _log_beta(n + alpha, last - n + beta) - _log_beta(alpha, beta)


def _log_beta(a: Tensor, b: Tensor) -> Tensor:
    return torch.lgamma(a) + torch.lgamma(b) - torch.lgamma(a + b)
