"""The only STFT, mel and resampler of dtc, their inverses, and the conversion of samples from and to 16 bits.

The mel is that of NVIDIA/tacotron2: magnitudes of an STFT with a periodic Hann window and reflect padding, Slaney mel
filters with area normalisation, and the natural logarithm of values clipped at 1e-5.
"""

from __future__ import annotations

import functools
import io
import math
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import soundfile
import torch
import torchaudio
from jaxtyping import Float, Float32, Int16
from torch import Tensor

from dtc.audio_config import AudioConfig

LOG_FLOOR = 1e-5  # smallest magnitude of a mel; ln 1e-5 = -11.5
INT16_SCALE = 32768.0

# The Kaiser-windowed sinc of the resampler. Measured over 16000, 22050, 24000, 44100 and 48000 Hz: the passband is flat
# to 0.02 dB up to 92 % of the lower Nyquist frequency, and the stopband is 104 dB down from that frequency on, which is
# less than one bit of 16. torchaudio's defaults (6, 0.99, Hann) are 3 dB down at 88 % and pass aliases at -7 dB.
ZERO_CROSSINGS, ROLLOFF, KAISER_BETA = 64, 0.96, 10.0
LARGEST_KERNEL = 1 << 22  # product of a ratio's terms: 44101:22050 would take gigabytes, 2664:1225 takes 14 MB


@dataclass(frozen=True)
class StftSizes:
    """Sizes of an STFT in samples, for measures and losses that do not use those of the audio section."""

    filter_length: int  # FFT size
    hop_length: int
    win_length: int  # length of the Hann window, which is centred in the FFT


class MelStatistics(NamedTuple):
    """The mean and the standard deviation of each band of the natural-log mel over a corpus."""

    mean: Float[Tensor, " mels"]
    deviation: Float[Tensor, " mels"]

    @classmethod
    def neutral(cls, bands: int) -> MelStatistics:
        """Return mean 0 and deviation 1, by which normalisation changes nothing."""
        return cls(torch.zeros(bands), torch.ones(bands))


def stft(
    wave: Float[Tensor, "batch samples"],
    sizes: AudioConfig | StftSizes,
    padding: Literal["reflect", "constant"] = "reflect",
) -> Tensor:
    """Return the complex STFT (batch, bins, frames) with a periodic Hann window; frame t is centred on sample t * hop.

    bins = filter_length // 2 + 1 and frames = 1 + samples // hop_length.

    Args:
        wave: waveforms; the window has their dtype.
        sizes: FFT size, hop and window.
        padding: samples before and after the waveform: its reflection, or zeros.

    Raises ValueError if samples <= filter_length // 2 and padding is reflect.
    """
    if padding == "reflect" and wave.shape[-1] <= sizes.filter_length // 2:
        raise ValueError(f"{wave.shape[-1]} samples, expected more than {sizes.filter_length // 2}")
    return torch.stft(
        wave,
        sizes.filter_length,
        sizes.hop_length,
        sizes.win_length,
        hann_window(sizes.win_length, wave.device, wave.dtype),
        center=True,
        pad_mode=padding,
        return_complex=True,
    )


def istft(spectrum: Tensor, audio: AudioConfig, samples: int) -> Float[Tensor, "batch samples"]:
    """Return the waveform of a complex spectrum (batch, bins, frames); samples <= frames * hop_length."""
    window = hann_window(audio.win_length, spectrum.device)
    return torch.istft(
        spectrum, audio.filter_length, audio.hop_length, audio.win_length, window, center=True, length=samples
    )


def stft_magnitude(
    wave: Float[Tensor, "batch samples"], sizes: AudioConfig | StftSizes, least_power: float = 0.0
) -> Float[Tensor, "batch bins frames"]:
    """Return the magnitudes of `stft`, each at least the square root of `least_power`.

    A least power above 0 keeps the logarithm, and its gradient, finite in digital silence.
    Raises ValueError if samples <= filter_length // 2.
    """
    spectrum = stft(wave, sizes)
    if not least_power:
        return _magnitude(spectrum)
    # Not .abs(): its gradient at 0 is undefined, and digital silence is exactly 0.
    return (spectrum.real.square() + spectrum.imag.square()).clamp(min=least_power).sqrt()


def log_mel(wave: Float[Tensor, "batch samples"], audio: AudioConfig) -> Float[Tensor, "batch mels frames"]:
    """Return the natural-log mel of waveforms in [-1, 1]; frames = 1 + samples // hop_length.

    Raises ValueError if samples <= filter_length // 2.
    Source: Shen et al. 2018 (arXiv:1712.05884), section 2.1; constants as in NVIDIA/tacotron2.
    """
    return mel_from_magnitude(_magnitude(stft(wave, audio)[:, : _bins_under_filters(audio)]), audio)


def mel_from_magnitude(
    magnitude: Float[Tensor, "batch bins frames"], audio: AudioConfig
) -> Float[Tensor, "batch mels frames"]:
    """Return the natural-log mel of STFT magnitudes; the bins above mel_fmax have no weight and may be missing."""
    bins = _bins_under_filters(audio)
    filters = mel_filters(audio, magnitude.device)[:, :bins]
    return _product(filters, magnitude[:, :bins]).clamp(min=LOG_FLOOR).log()


def _magnitude(spectrum: Tensor) -> Float[Tensor, "batch bins frames"]:
    if spectrum.requires_grad:
        return spectrum.abs()  # its gradient at 0 is 0; that of the lines below, which are twice as fast, is NaN
    squares = torch.view_as_real(spectrum).square_()  # in place: the caller has just computed the spectrum
    return (squares[..., 0] + squares[..., 1]).sqrt_()


def magnitude_from_mel(
    mel: Float[Tensor, "batch mels frames"], audio: AudioConfig
) -> Float[Tensor, "batch bins frames"]:
    """Return non-negative magnitudes whose log-mel is near `mel`: the pseudo-inverse of the filters, clipped at 0.

    Bins above mel_fmax are under no filter and become 0.
    """
    inverse = _mel_pseudo_inverse(audio, mel.device)
    return _product(inverse, mel.exp()).clamp(min=0.0)


def _product(matrix: Float[Tensor, "out into"], values: Float[Tensor, "batch into frames"]) -> Tensor:
    """Return the matrix product in float32, also under autocast: in bfloat16 a mel would have three digits."""
    with torch.autocast(values.device.type, enabled=False):
        return torch.matmul(matrix, values)


def griffin_lim(
    magnitude: Float[Tensor, "batch bins frames"], audio: AudioConfig, iterations: int, momentum: float
) -> Float[Tensor, "batch samples"]:
    """Return waveforms whose STFT has nearly the given magnitudes; samples = frames * hop_length.

    The first phases are drawn with a fixed seed, once for all clips of the batch, so that equal magnitudes give equal
    waveforms in every batch. Source: fast Griffin-Lim, Perraudin, Balazs & Sondergaard 2013.
    """
    _, bins, frames = magnitude.shape
    noise = torch.rand(bins, frames, generator=torch.Generator().manual_seed(0)) * (2 * math.pi)
    phase = torch.polar(torch.ones_like(noise), noise).to(magnitude.device)
    estimate, previous = magnitude * phase, torch.zeros(1, device=magnitude.device)
    for _ in range(iterations):
        # Zeros around the clip instead of its reflection: a single frame is too short to be reflected.
        rebuilt = stft(istft(estimate, audio, frames * audio.hop_length), audio, padding="constant")[..., :frames]
        accelerated = rebuilt + momentum * (rebuilt - previous)
        estimate, previous = magnitude * accelerated / accelerated.abs().clamp(min=1e-16), rebuilt
    return istft(estimate, audio, frames * audio.hop_length)


def require_mel(mel: Float[Tensor, "batch mels frames"], audio: AudioConfig) -> None:
    """Raise ValueError unless a mel has the bands of the audio section, at least one frame and only finite values."""
    if mel.shape[1] != (bands := audio.n_mel_channels) or not mel.shape[2]:
        raise ValueError(f"mel of {mel.shape[1]} bands and {mel.shape[2]} frames, expected {bands} and 1 or more")
    if not mel.isfinite().all():
        raise ValueError("mel with NaN or infinity in it, expected finite numbers")


# The cached tensors below are used in training later: those built under inference_mode would be refused by autograd.
@functools.lru_cache(maxsize=8)
@torch.inference_mode(False)
def mel_filters(audio: AudioConfig, device: torch.device | None = None) -> Float[Tensor, "mels bins"]:
    """Return the Slaney mel filters with area normalisation; torchaudio's defaults are HTK filters without it."""
    filters = torchaudio.functional.melscale_fbanks(
        audio.filter_length // 2 + 1,
        audio.mel_fmin,
        audio.mel_fmax,
        audio.n_mel_channels,
        audio.sampling_rate,
        norm="slaney",
        mel_scale="slaney",
    )
    return filters.T.contiguous().to(device)


@functools.lru_cache(maxsize=8)
def _bins_under_filters(audio: AudioConfig) -> int:
    """Return the number of bins up to the last one with a weight: at 22,050 Hz and mel_fmax 8000, 372 of 513."""
    return int(mel_filters(audio).any(dim=0).nonzero().max()) + 1


@functools.lru_cache(maxsize=8)
@torch.inference_mode(False)
def _mel_pseudo_inverse(audio: AudioConfig, device: torch.device) -> Float[Tensor, "bins mels"]:
    return torch.linalg.pinv(mel_filters(audio).double()).float().to(device)


@functools.lru_cache(maxsize=32)
@torch.inference_mode(False)
def hann_window(
    win_length: int, device: torch.device | None = None, dtype: torch.dtype = torch.float32
) -> Float[Tensor, " window"]:
    """Return the periodic Hann window; later calls return the same tensor, so it must not be changed."""
    return torch.hann_window(win_length, periodic=True, device=device, dtype=dtype)


def from_int16(samples: Int16[np.ndarray, " samples"]) -> Float[Tensor, " samples"]:
    """Return 16-bit samples as float32 in [-1, 1)."""
    return torch.from_numpy(samples.astype(np.float32)).mul_(1.0 / INT16_SCALE)


def to_int16(wave: Float[Tensor, " samples"]) -> Int16[np.ndarray, " samples"]:
    """Return a waveform rounded to 16 bits; values outside [-1, 1] are clipped."""
    scaled = (wave.detach().cpu().double() * INT16_SCALE).round().clamp(-INT16_SCALE, INT16_SCALE - 1)
    return scaled.numpy().astype(np.int16)


def wav_bytes(wave: Float[Tensor, " samples"], sampling_rate: int) -> bytes:
    """Return the content of a 16-bit mono WAV file; values outside [-1, 1] are clipped."""
    stream = io.BytesIO()
    soundfile.write(stream, to_int16(wave), sampling_rate, subtype="PCM_16", format="WAV")
    return stream.getvalue()


def rate_ratio(source_hz: int, target_hz: int) -> tuple[int, int]:
    """Return the two rates divided by their greatest common divisor: 44100 and 22050 Hz are 2 and 1."""
    common = math.gcd(source_hz, target_hz)
    return source_hz // common, target_hz // common


def is_simple_ratio(source_hz: int, target_hz: int) -> bool:
    """Return whether `resample` takes these two rates: its kernel must not be larger than LARGEST_KERNEL."""
    source, target = rate_ratio(source_hz, target_hz)
    return source * target <= LARGEST_KERNEL


def resample(
    wave: Float32[np.ndarray, " samples"], source_hz: int, target_hz: int
) -> Float32[np.ndarray, " resampled"]:
    """Return a waveform at another sampling rate; resampled = ceil(samples * target_hz / source_hz).

    The filter is a sinc with a Kaiser window (Smith 2002, "Digital Audio Resampling"); sample 0 stays at time 0. The
    result may exceed [-1, 1].
    """
    with torch.inference_mode():
        return _resampler(*rate_ratio(source_hz, target_hz))(torch.from_numpy(wave)[None])[0].numpy()


@functools.lru_cache(maxsize=8)
def _resampler(source: int, target: int) -> torchaudio.transforms.Resample:
    """Return the cached resampler: computing its kernel takes longer than resampling most clips."""
    return torchaudio.transforms.Resample(
        source,
        target,
        resampling_method="sinc_interp_kaiser",
        lowpass_filter_width=ZERO_CROSSINGS,
        rolloff=ROLLOFF,
        beta=KAISER_BETA,
    )
