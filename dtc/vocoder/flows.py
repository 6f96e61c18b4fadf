"""The invertible steps of WaveGlow: an affine coupling after a matrix that mixes the channels."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from dtc.caching import CachingModule
from dtc.vocoder.configs import WaveNetConfig
from dtc.vocoder.wavenet import Condition, Conditioning, Values, WaveNet


class Flow(nn.Module):
    """One invertible step: mixes the channels, then scales and shifts half of them by a network of the other half."""

    def __init__(self, channels: int, conditioning: Conditioning, config: WaveNetConfig) -> None:
        super().__init__()
        self.mixing = Mixing(channels)
        self.network = WaveNet(channels // 2, conditioning, config)

    def forward(self, values: Values, condition: Condition) -> tuple[Values, Float[Tensor, ""]]:
        """Return the values one step nearer to noise, and the sum of the logarithms of the scales."""
        kept, changed = self.mixing(values).chunk(2, dim=1)
        shift, log_scale = self.network(kept, condition)
        return torch.cat((kept, changed * log_scale.exp() + shift), dim=1), log_scale.sum()

    def inverse(self, values: Values, condition: Condition) -> Values:
        """Return the values from which `forward` computes `values`.

        The kept half is unchanged, so the network gives the same scale and shift.
        """
        kept, changed = values.chunk(2, dim=1)
        shift, log_scale = self.network.infer(kept, condition)
        return self.mixing.inverse(torch.cat((kept, (changed - shift) / log_scale.exp()), dim=1))


class Mixing(CachingModule):
    """Multiplies the channels of each position by a learned square matrix W, at first a random rotation.

    The products are in float32, also under autocast: rounding noise would be audible, and a rounded W has another
    determinant.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        rotation, _ = torch.linalg.qr(torch.randn(channels, channels))
        rotation[:, 0] *= torch.linalg.det(rotation).sign()  # makes a rotation of a reflection
        self.weight = nn.Parameter(rotation[:, :, None].contiguous())  # NVIDIA's shape: a convolution with kernel 1

    def forward(self, values: Values) -> Values:
        """Return W times the channels of each position."""
        return self._times(self.weight, values)

    def inverse(self, values: Values) -> Values:
        """Return the inverse of W times the channels of each position."""
        inverse = self.cached(lambda: torch.linalg.inv(self.weight.squeeze(2).double()).to(self.weight)[..., None])
        return self._times(inverse, values)

    def _times(self, matrix: Float[Tensor, "channels channels 1"], values: Values) -> Values:
        with torch.autocast(values.device.type, enabled=False):
            return F.conv1d(values.float(), matrix)

    def log_det(self) -> Float[Tensor, ""]:
        """Return ln|det W|. NVIDIA's ln det W is NaN once training has turned the rotation into a reflection."""
        with torch.autocast(self.weight.device.type, enabled=False):
            return torch.linalg.slogdet(self.weight.squeeze(2).float())[1]
