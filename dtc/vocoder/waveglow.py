"""WaveGlow (Prenger, Valle & Catanzaro 2018, arXiv:1811.00002): noise ⇄ waveform by invertible steps, given a mel.

    waveform ─► groups of samples ─► [ mix channels ─► scale and shift one half by a network of the other ] × flows ─► z

Trained from left to right, towards z ~ N(0, σ²); spoken from right to left. Exact to NVIDIA's: see dtc/compat. Where
no published weights are wanted, its networks may hear the mel at the rate of frames instead of samples.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, TypeVar, cast

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from dtc.audio import AudioConfig, istft, require_mel, stft, stft_magnitude
from dtc.batch import Batch
from dtc.vocoder.base import Vocoder
from dtc.vocoder.configs import WaveGlowConfig, WaveNetConfig
from dtc.vocoder.training_segments import draw_segments
from dtc.vocoder.wavenet_on_cpu import TAPS, Convolution, WaveNetOnCPU

FRAMES_UPSAMPLED = 4  # that a sample hears: the upsampling's kernel, in hops
FRAMES_HEARD = 3  # that a frame hears, where nothing is upsampled
SPEAKING_SEED = 0
BIAS_FRAMES = 88  # of the mel whose audio shows the denoiser the bias, as in NVIDIA's

Values = Float[Tensor, "batch channels positions"]  # a position is a group of samples, which are its channels
Heard = Float[Tensor, "batch heard time"]  # of the mel; time is positions or frames
OfFlows = Float[Tensor, " flows"]
Kept = TypeVar("Kept")


class _KeepingLayer(nn.Module):
    """A layer that keeps what it makes of its weights, until they are others or it is trained again."""

    _kept: tuple[object, Any] | None = None

    def train(self, mode: bool = True) -> _KeepingLayer:
        self._kept = None  # a fused optimizer does not count the weights' versions up
        return super().train(mode)

    def kept(self, make: Callable[[], Kept]) -> Kept:
        """What `make` gives; made once, where no gradient is wanted of it."""
        if torch.compiler.is_exporting() and self._kept:
            return cast(Kept, self._kept[1])  # a constant, where an inverse would be an operation that ONNX has not
        if self.training or torch.is_grad_enabled():
            return make()
        weights = tuple((value.data_ptr(), value._version) for value in self.parameters())
        if self._kept is None or self._kept[0] != weights:
            self._kept = weights, make()
        return cast(Kept, self._kept[1])


class WaveGlow(_KeepingLayer, Vocoder):
    """Mel → waveform at frames * hop_length samples. Upsampled, the log-mel is heard as it is, not normalised."""

    config: WaveGlowConfig

    def __init__(
        self,
        config: WaveGlowConfig,
        audio: AudioConfig,
        mel_mean: Float[Tensor, " mels"],
        mel_deviation: Float[Tensor, " mels"],
    ) -> None:
        super().__init__()
        config.check(audio)
        self.config, self.audio = config, audio
        mels, hop = audio.n_mel_channels, audio.hop_length
        if config.conditioning == "upsampled":
            self.upsample = nn.ConvTranspose1d(mels, mels, FRAMES_UPSAMPLED * hop, stride=hop)
            conditioning = Conditioning(mels * config.group_size, kernel_size=1, positions_per_frame=1)
        else:
            self.normalise = Normaliser(mel_mean, mel_deviation)
            conditioning = Conditioning(mels, FRAMES_HEARD, positions_per_frame=hop // config.group_size)
        self.flows = nn.ModuleList(Flow(size, conditioning, config.wavenet) for size in config.channels)

    def forward(self, mel: Float[Tensor, "batch mels frames"]) -> Float[Tensor, "batch samples"]:
        """Natural-log mel → waveform, the same for equal mels; samples = frames * hop_length. Raises as `infer`."""
        wave, strength = self.infer(mel, self.config.infer_sigma, SPEAKING_SEED), self.config.denoiser_strength
        return self.denoise(wave, strength) if strength else wave

    @torch.no_grad()
    def infer(self, mel: Float[Tensor, "batch mels frames"], sigma: float, seed: int) -> Float[Tensor, "batch samples"]:
        """Natural-log mel → waveform by noise of deviation `sigma`, drawn from `seed`: the same for every clip.

        Raises ValueError for a mel without frames, with other bands than the model's, or a number that is not finite.
        """
        require_mel(mel, self.audio)
        positions = mel.shape[2] * self.audio.hop_length // self.config.group_size
        z = sigma * torch.randn(self.config.group_size, positions, generator=torch.Generator().manual_seed(seed))
        return self.wave_of(mel, z.to(mel).expand(len(mel), -1, -1))

    def wave_of(self, mel: Float[Tensor, "batch mels frames"], z: Values) -> Float[Tensor, "batch samples"]:
        """The waveform that `noise_of` makes `z` of; positions * group_size = frames * hop_length."""
        heard, values = self._heard(mel), z[:, :0]
        for flow, channels in reversed(self._steps()):
            z, joining = z.tensor_split([z.shape[1] - (channels - values.shape[1])], dim=1)
            values = flow.inverse(torch.cat((joining, values), dim=1), heard)
        wave = values.transpose(1, 2).flatten(1)
        return deemphasised(wave, self.config.pre_emphasis)

    def noise_of(
        self, mel: Float[Tensor, "batch mels frames"], wave: Float[Tensor, "batch samples"]
    ) -> tuple[Values, OfFlows, OfFlows]:
        """A waveform and its mel → noise z; and of each flow the logarithms of scales and of |det W|, all summed.

        Raises ValueError unless samples = frames * hop_length.
        """
        if wave.shape[1] != mel.shape[2] * (hop := self.audio.hop_length):
            raise ValueError(f"{wave.shape[1]} samples, expected {mel.shape[2]} frames * hop_length {hop}")
        wave = emphasised(wave, self.config.pre_emphasis)  # of determinant 1
        heard, values = self._heard(mel), _grouped(wave[:, None], self.config.group_size)
        rows = []
        for flow, channels in self._steps():
            early, values = values.tensor_split([values.shape[1] - channels], dim=1)  # early: z as they are
            values, log_scale = flow(values, heard)
            rows.append((early, log_scale, values.shape[0] * values.shape[2] * flow.mixing.log_det()))
        done, log_scales, log_dets = zip(*rows, strict=True)
        return torch.cat((*done, values), dim=1), torch.stack(log_scales), torch.stack(log_dets)

    def training_loss(self, batch: Batch, step: int) -> dict[str, Float[Tensor, ""]]:
        """Negative log-likelihood of one random segment of each clip, a sample's mean and without its constant.

        z² / (2 σ²) - ln s - ln|det W|, in these three parts: `loss` is their sum. Source: the paper, section 2.
        """
        segments = draw_segments(batch, self.config, self.audio.hop_length, self.training)
        z, log_s, log_det = self.noise_of(*segments)
        parts = {"z": z.square().sum() / (2.0 * self.config.sigma**2), "log_s": -log_s.sum(), "log_det": -log_det.sum()}
        terms = {name: part / z.numel() for name, part in parts.items()}
        return {"loss": torch.stack(list(terms.values())).sum(), **terms}

    @torch.no_grad()
    def denoise(self, wave: Float[Tensor, "batch samples"], strength: float) -> Float[Tensor, "batch samples"]:
        """A waveform without what the model says by itself, times `strength`; phases stay as they are.

        That bias is the first frame of what it says at σ 0 to a mel of zeros. Source: NVIDIA/waveglow's denoiser.
        """
        padded = F.pad(wave, (0, max(0, self.audio.filter_length - wave.shape[1])))  # else too short to reflect
        spectrum = stft(padded, self.audio)
        magnitude = spectrum.abs()
        less = (magnitude - strength * self.kept(self._bias)).clamp(min=0.0)
        return istft(spectrum * (less / magnitude.clamp(min=1e-16)), self.audio, padded.shape[1])[:, : wave.shape[1]]

    def _bias(self) -> Float[Tensor, "bins 1"]:
        # A mel of zeros is no silence, whose logarithm is -11.5. But it is what NVIDIA's strengths are tuned for.
        mel = next(self.parameters()).new_zeros(1, self.audio.n_mel_channels, BIAS_FRAMES)
        return stft_magnitude(self.infer(mel, 0.0, SPEAKING_SEED), self.audio)[0, :, :1]

    def _steps(self) -> list[tuple[Flow, int]]:
        return list(zip(cast(Iterable[Flow], self.flows), self.config.channels, strict=True))

    def _heard(self, mel: Float[Tensor, "batch mels frames"]) -> Heard:
        """What the networks hear of the mel: upsampled, a value for each band and sample, a group's as channels.

        Not composed with the flows' conditioning into matrices from 4 frames, half as many multiplications: on a CPU
        that saves a tenth of the time, for 2 GB that take as long to make as 1.4 s of audio (full size).
        """
        if self.config.conditioning == "interpolated":
            return self.normalise(mel)
        upsampled = self.upsample(mel)[..., : mel.shape[2] * self.audio.hop_length]
        return _grouped(upsampled, self.config.group_size)


class Normaliser(nn.Module):
    """Log-mel → each band with mean 0 and deviation 1 over the corpus."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, mean: Float[Tensor, " mels"], deviation: Float[Tensor, " mels"]) -> None:
        super().__init__()
        self.register_buffer("mean", mean.clone())
        self.register_buffer("deviation", deviation.clone())

    def forward(self, mel: Float[Tensor, "batch mels frames"]) -> Float[Tensor, "batch mels frames"]:
        """Same shape as the input."""
        return (mel - self.mean[:, None]) / self.deviation[:, None]


def _grouped(values: Float[Tensor, "batch channels samples"], size: int) -> Float[Tensor, "batch grouped positions"]:
    """Samples in groups: sample i of channel c is at position i // size in channel c * size + i % size."""
    return values.unflatten(2, (-1, size)).transpose(2, 3).flatten(1, 2)


def emphasised(wave: Float[Tensor, "batch samples"], share: float) -> Float[Tensor, "batch samples"]:
    """Each sample less so much of the one before: 0 <= share < 1."""
    return wave - share * F.pad(wave, (1, 0))[:, :-1] if share else wave


def deemphasised(wave: Float[Tensor, "batch samples"], share: float) -> Float[Tensor, "batch samples"]:
    """What `emphasised` made `wave` of, to 1e-7 of its peak, in float32: bfloat16's errors would add up."""
    if not share:
        return wave
    samples = math.ceil(math.log(1e-7 * (1.0 - share)) / math.log(share))  # what is older does not count
    echo = share ** torch.arange(samples, device=wave.device, dtype=torch.float32).flip(0)
    with torch.autocast(wave.device.type, enabled=False):
        return F.conv1d(F.pad(wave.float()[:, None], (samples - 1, 0)), echo[None, None])[:, 0]


class Conditioning(NamedTuple):
    """Shape of what a network hears, and of the convolution that weighs it."""

    heard: int  # channels
    kernel_size: int
    positions_per_frame: int  # 1: what is heard has a value for each position already


class Flow(nn.Module):
    """One invertible step: the channels mixed, then half of them scaled and shifted by what the other half says."""

    def __init__(self, channels: int, conditioning: Conditioning, config: WaveNetConfig) -> None:
        super().__init__()
        self.mixing = Mixing(channels)
        self.network = WaveNet(channels // 2, conditioning, config)

    def forward(self, values: Values, heard: Heard) -> tuple[Values, Float[Tensor, ""]]:
        """Towards noise; and the sum of the logarithms of the scales."""
        kept, changed = self.mixing(values).chunk(2, dim=1)
        shift, log_scale = self.network(kept, heard)
        return torch.cat((kept, changed * log_scale.exp() + shift), dim=1), log_scale.sum()

    def inverse(self, values: Values, heard: Heard) -> Values:
        """What `forward` makes `values` of: the kept half is still there to say scale and shift."""
        kept, changed = values.chunk(2, dim=1)
        shift, log_scale = self.network.speak(kept, heard)
        return self.mixing.inverse(torch.cat((kept, (changed - shift) / log_scale.exp()), dim=1))


class Mixing(_KeepingLayer):
    """A learned square matrix W over the channels; at first a random rotation, so ln|det W| = 0.

    In float32 also where a training runs in bfloat16: rounded noise is not the audio, a rounded W has another det.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        rotation, _ = torch.linalg.qr(torch.randn(channels, channels))
        rotation[:, 0] *= torch.linalg.det(rotation).sign()  # where it is a reflection
        self.weight = nn.Parameter(rotation[:, :, None].contiguous())  # NVIDIA's shape: a convolution's, of kernel 1

    def forward(self, values: Values) -> Values:
        """W times the channels of each position."""
        return self._times(self.weight, values)

    def inverse(self, values: Values) -> Values:
        """The channels that `forward` makes `values` of."""
        inverse = self.kept(lambda: torch.linalg.inv(self.weight.squeeze(2).double()).to(self.weight)[..., None])
        return self._times(inverse, values)

    def _times(self, matrix: Float[Tensor, "channels channels 1"], values: Values) -> Values:
        with torch.autocast(values.device.type, enabled=False):
            return F.conv1d(values.float(), matrix)

    def log_det(self) -> Float[Tensor, ""]:
        """ln|det W|: NVIDIA's logarithm of det W is NaN once training has made a reflection of the rotation."""
        with torch.autocast(self.weight.device.type, enabled=False):
            return torch.linalg.slogdet(self.weight.squeeze(2).float())[1]


class WaveNet(_KeepingLayer):
    """Half of the channels and the mel → how to change the other half (van den Oord et al. 2016, arXiv:1609.03499)."""

    def __init__(self, channels: int, conditioning: Conditioning, config: WaveNetConfig) -> None:
        super().__init__()
        self.positions_per_frame, self.kernel_size = conditioning.positions_per_frame, config.kernel_size
        width, layers, kernel = config.num_channels, config.num_layers, config.kernel_size
        self.start = NormedConvolution(channels, width)
        # Of all layers, one below the other.
        self.conditioning = NormedConvolution(conditioning.heard, 2 * width * layers, conditioning.kernel_size)
        self.dilated = nn.ModuleList(NormedConvolution(width, 2 * width, kernel, 2**layer) for layer in range(layers))
        sizes = [2 * width] * (layers - 1) + [width]  # the last layer's residual would go nowhere
        self.residual_skip = nn.ModuleList(NormedConvolution(width, size) for size in sizes)
        self.end = nn.Conv1d(width, 2 * channels, 1)
        for parameter in self.end.parameters():  # scale 1, shift 0: a flow starts as a rotation
            nn.init.zeros_(parameter)

    def forward(self, half: Values, heard: Heard) -> tuple[Values, Values]:
        """Shift, and the logarithm of the scale; float32 also where the products are not."""
        hidden = self.start(half)
        width, skipped = hidden.shape[1], torch.zeros_like(hidden)
        weight, bias, padding = self.conditioning.weight(), self.conditioning.bias, self.conditioning.padding
        for layer, (dilated, residual_skip) in enumerate(zip(self.dilated, self.residual_skip, strict=True)):
            # Each layer's conditioning when it is needed: that of all at once would be most of the memory.
            own = slice(2 * width * layer, 2 * width * (layer + 1))
            conditioned = F.conv1d(heard, weight[own], bias[own], padding=padding)
            if self.positions_per_frame > 1:
                conditioned = interpolated(conditioned, self.positions_per_frame)
            signal, gate = (dilated(hidden) + conditioned).chunk(2, dim=1)
            said = residual_skip(signal.tanh() * gate.sigmoid())
            skipped = skipped + said[:, -width:]
            if said.shape[1] > width:
                hidden = hidden + said[:, :width]
        shift, log_scale = self.end(skipped).float().chunk(2, dim=1)
        return shift, log_scale

    def speak(self, half: Values, heard: Heard) -> tuple[Values, Values]:
        """`forward` for one who only speaks: on a CPU with fewer multiplications, so rounded differently."""
        elsewhere = torch.is_grad_enabled() or torch.is_autocast_enabled("cpu") or torch.compiler.is_exporting()
        if elsewhere or half.device.type != "cpu" or self.kernel_size != TAPS:
            return self(half, heard)
        ready = self.kept(self._on_cpu)
        shift, log_scale = torch.stack([ready(*clip) for clip in zip(half, heard, strict=True)]).chunk(2, dim=1)
        return shift, log_scale

    def _on_cpu(self) -> WaveNetOnCPU:
        dilated, residual_skip = (
            [layer.whole() for layer in cast(Iterable[NormedConvolution], layers)]
            for layers in (self.dilated, self.residual_skip)
        )
        return WaveNetOnCPU(
            self.start.whole(), self.conditioning.whole(), dilated, residual_skip,
            Convolution(self.end.weight, cast(Tensor, self.end.bias)), self.positions_per_frame,
        )  # fmt: skip


def interpolated(
    values: Float[Tensor, "batch channels frames"], positions_per_frame: int
) -> Float[Tensor, "batch channels positions"]:
    """Values between frames, in a straight line: frame t is centred on its first sample, t * hop_length.

    Behind the last frame its own value stays.
    """
    following = torch.cat((values[..., 1:], values[..., -1:]), dim=2)
    share = (torch.arange(positions_per_frame, device=values.device) + 0.5) / positions_per_frame
    return torch.lerp(values[..., None], following[..., None], share.to(values.dtype)).flatten(2)


class NormedConvolution(_KeepingLayer):
    """A convolution that keeps the length, its weight as size and direction (Salimans & Kingma 2016, 1602.07868)."""

    def __init__(self, into: int, out: int, kernel_size: int = 1, dilation: int = 1) -> None:
        super().__init__()
        self.dilation, self.padding = dilation, dilation * (kernel_size // 2)
        bound = (into * kernel_size) ** -0.5  # as nn.Conv1d draws weights and biases
        self.weight_v = nn.Parameter(torch.empty(out, into, kernel_size).uniform_(-bound, bound))
        self.weight_g = nn.Parameter(row_norms(self.weight_v.detach()))
        self.bias = nn.Parameter(torch.empty(out).uniform_(-bound, bound))

    def forward(self, inputs: Float[Tensor, "batch into positions"]) -> Float[Tensor, "batch out positions"]:
        """Same length as the input."""
        return F.conv1d(inputs, self.weight(), self.bias, padding=self.padding, dilation=self.dilation)

    def weight(self) -> Float[Tensor, "out into kernel"]:
        """The product of the two, computed once where the model speaks."""
        return self.kept(lambda: self.weight_v * (self.weight_g / row_norms(self.weight_v)))

    def whole(self) -> Convolution:
        """Weight and bias."""
        return Convolution(self.weight(), self.bias)


def row_norms(weight: Float[Tensor, "out into kernel"]) -> Float[Tensor, "out 1 1"]:
    """Euclidean norm of all that makes one output."""
    return torch.linalg.vector_norm(weight, dim=(1, 2), keepdim=True)
