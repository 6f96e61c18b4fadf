"""The encoder of the text and the post-net of the mel, before and after the decoder of Tacotron 2.

Every layer is masked, batch normalisation included: padding reaches no statistic, and the result of a clip does not
depend on the other clips of the batch.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from dtc import whole_batch
from dtc.acoustic.configs import EncoderConfig, PostNetConfig
from dtc.acoustic.lstm import run_both_directions

MOMENTUM = 0.1  # of the running statistics of batch normalisation, as in PyTorch


class Encoder(nn.Module):
    """Convolutions over the embedded symbols, then a bidirectional LSTM over the whole text."""

    def __init__(self, input_dim: int, config: EncoderConfig) -> None:
        super().__init__()
        widths = [input_dim] + [config.embedding_dim] * config.num_convolutions
        self.convolutions = nn.ModuleList(
            ConvolutionBlock(into, out, config.kernel_size, "relu", config.dropout_rate)
            for into, out in pairwise(widths)
        )
        half = config.embedding_dim // 2
        self.output_dim = 2 * half
        self.lstm = nn.LSTM(config.embedding_dim, half, batch_first=True, bidirectional=True)

    def forward(
        self,
        embedded: Float[Tensor, "batch embedding symbols"],
        lengths: Int[Tensor, " batch"],
        mask: Bool[Tensor, "batch symbols"],
    ) -> Float[Tensor, "batch symbols encoding"]:
        """Return the encoded texts, which are 0 beyond each length."""
        hidden = embedded * mask[:, None]
        for convolution in self.convolutions:
            hidden = convolution(hidden, mask)
        return run_both_directions(self.lstm, hidden.transpose(1, 2), lengths)


class PostNet(nn.Module):
    """Convolutions over the decoder's mel that predict a correction; the last one has no activation."""

    def __init__(self, config: PostNetConfig, n_mels: int) -> None:
        super().__init__()
        widths = [n_mels] + [config.embedding_dim] * (config.num_convolutions - 1) + [n_mels]
        activations = ["tanh"] * (config.num_convolutions - 1) + ["linear"]
        blocks = [
            ConvolutionBlock(into, out, config.kernel_size, activation, config.dropout_rate)
            for (into, out), activation in zip(pairwise(widths), activations, strict=True)
        ]
        # The correction starts at 0: from random weights it would be noise, which training would first have to undo.
        nn.init.zeros_(blocks[-1].normalisation.weight)
        self.convolutions = nn.ModuleList(blocks)

    def forward(
        self, mel: Float[Tensor, "batch mels frames"], mask: Bool[Tensor, "batch frames"]
    ) -> Float[Tensor, "batch mels frames"]:
        """Return the correction, to be added to the mel; it is 0 beyond each length."""
        for convolution in self.convolutions:
            mel = convolution(mel, mask)
        return mel


class ConvolutionBlock(nn.Module):
    """Convolution, masked batch normalisation, activation and dropout. Padding is 0 in the input and in the output."""

    def __init__(self, into: int, out: int, kernel_size: int, activation: str, dropout_rate: float) -> None:
        super().__init__()
        self.convolution = nn.Conv1d(into, out, kernel_size, padding=kernel_size // 2)
        nn.init.xavier_uniform_(self.convolution.weight, nn.init.calculate_gain(activation))  # type: ignore[arg-type]
        self.normalisation = MaskedBatchNorm(out)
        self.activation = {"relu": torch.relu, "tanh": torch.tanh, "linear": lambda x: x}[activation]
        self.dropout_rate = dropout_rate

    def forward(
        self, inputs: Float[Tensor, "batch into time"], mask: Bool[Tensor, "batch time"]
    ) -> Float[Tensor, "batch out time"]:
        """Return features of the same length."""
        hidden = self.activation(self.normalisation(self.convolution(inputs), mask))
        return whole_batch.dropout(hidden, self.dropout_rate, self.training) * mask[:, None]


class MaskedBatchNorm(nn.BatchNorm1d):
    """Batch normalisation whose statistics leave the padding out; without padding it is nn.BatchNorm1d."""

    running_mean: Tensor
    running_var: Tensor
    num_batches_tracked: Tensor

    def forward(  # type: ignore[override]
        self, inputs: Float[Tensor, "batch channels time"], mask: Bool[Tensor, "batch time"]
    ) -> Float[Tensor, "batch channels time"]:
        """Return the normalised values; those beyond the mask are undefined."""
        if not self.training:
            return super().forward(inputs)
        inputs = inputs.float()  # under autocast too, because the sums have thousands of terms
        weight = mask[:, None].to(inputs.dtype)
        count = whole_batch.total(weight.sum())
        mean = whole_batch.total((inputs * weight).sum(dim=(0, 2))) / count
        centred = inputs - mean[:, None]
        variance = whole_batch.total((centred.square() * weight).sum(dim=(0, 2))) / count
        with torch.no_grad():
            self.running_mean.lerp_(mean, MOMENTUM)
            unbiased = variance * count / (count - 1).clamp(min=1)  # as in nn.BatchNorm1d
            # A single position has no variance: the running variance stays as it is.
            self.running_var.lerp_(torch.where(count > 1, unbiased, self.running_var), MOMENTUM)
            self.num_batches_tracked += 1
        scale = self.weight * torch.rsqrt(variance + self.eps)
        return centred * scale[:, None] + self.bias[:, None]
