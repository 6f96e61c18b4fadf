"""The only definition of a spectrogram: STFT magnitude, log-mel, their inverses, and samples in and out of files.

The mel is NVIDIA/tacotron2's: magnitude STFT under a periodic Hann window, centred with reflect padding, Slaney mel
filters with area normalisation, natural logarithm clipped at 1e-5.
"""

from __future__ import annotations

import functools
import io
import math
from pathlib import Path

import numpy as np
import soundfile
import torch
import torchaudio
from jaxtyping import Float, Float32, Int16
from torch import Tensor

from dtc.audio_config import AudioConfig as AudioConfig
from dtc.audio_config import require_same_audio as require_same_audio
from dtc.files import write_whole

LOG_FLOOR = 1e-5  # magnitudes below it are silence; ln 1e-5 = -11.5
INT16_SCALE = 32768.0

# Of the Kaiser-windowed sinc. Measured over 16000, 22050, 24000, 44100 and 48000 Hz: flat to 0.02 dB up to 92 % of the
# lower Nyquist frequency, and 104 dB down from that frequency on, which is under a bit of 16. torchaudio's defaults
# (6, 0.99, Hann) are 3 dB down at 88 % and let aliases through at -7 dB.
ZERO_CROSSINGS, ROLLOFF, KAISER_BETA = 64, 0.96, 10.0
LARGEST_KERNEL = 1 << 22  # product of a ratio's terms: 44101:22050 would take gigabytes, 2664:1225 takes 14 MB


def stft_magnitude(wave: Float[Tensor, "batch samples"], audio: AudioConfig) -> Float[Tensor, "batch bins frames"]:
    """Magnitudes of the short-time Fourier transform; bins = filter_length // 2 + 1.

    frames = 1 + samples // hop_length (centred, reflect padding).
    Raises ValueError where samples <= filter_length // 2: there is nothing to reflect.
    """
    return _magnitude(stft(wave, audio))


def log_mel(wave: Float[Tensor, "batch samples"], audio: AudioConfig) -> Float[Tensor, "batch mels frames"]:
    """Natural-log mel magnitudes of a waveform in [-1, 1].

    frames = 1 + samples // hop_length. Raises ValueError where samples <= filter_length // 2.
    Source: Shen et al. 2018 (arXiv:1712.05884), section 2.1; constants as in NVIDIA/tacotron2.
    """
    return mel_from_magnitude(_magnitude(stft(wave, audio)[:, : _bins_under_filters(audio)]), audio)


def mel_from_magnitude(
    magnitude: Float[Tensor, "batch bins frames"], audio: AudioConfig
) -> Float[Tensor, "batch mels frames"]:
    """Natural-log mel of STFT magnitudes; bins above mel_fmax count nothing and may be missing."""
    bins = _bins_under_filters(audio)
    filters = mel_filters(audio, magnitude.device)[:, :bins]
    return _product(filters, magnitude[:, :bins]).clamp(min=LOG_FLOOR).log()


def stft(wave: Float[Tensor, "batch samples"], audio: AudioConfig) -> Tensor:
    """Complex STFT (batch, bins, frames); bins and frames, and what raises ValueError, as in `stft_magnitude`."""
    if wave.shape[-1] <= audio.filter_length // 2:
        raise ValueError(f"{wave.shape[-1]} samples, expected more than {audio.filter_length // 2}")
    return torch.stft(
        wave, audio.filter_length, audio.hop_length, audio.win_length, _window(audio, wave.device),
        center=True, pad_mode="reflect", return_complex=True,
    )  # fmt: skip


def _magnitude(spectrum: Tensor) -> Float[Tensor, "batch bins frames"]:
    if spectrum.requires_grad:
        return spectrum.abs()  # whose gradient at zero is zero; that of the lines below, twice as fast, is NaN
    squares = torch.view_as_real(spectrum).square_()  # in place: nobody else has the spectrum
    return (squares[..., 0] + squares[..., 1]).sqrt_()


def magnitude_from_mel(
    mel: Float[Tensor, "batch mels frames"], audio: AudioConfig
) -> Float[Tensor, "batch bins frames"]:
    """The smallest non-negative magnitudes near a log-mel: pseudo-inverse of the filters, clipped at zero.

    Bins above mel_fmax lie under no filter and come out as 0.
    """
    inverse = _mel_pseudo_inverse(audio, mel.device)
    return _product(inverse, mel.exp()).clamp(min=0.0)


def _product(matrix: Float[Tensor, "out into"], values: Float[Tensor, "batch into frames"]) -> Tensor:
    """In float32 also where a training runs in bfloat16: a mel with three digits would be another mel."""
    with torch.autocast(values.device.type, enabled=False):
        return torch.matmul(matrix, values)


def griffin_lim(
    magnitude: Float[Tensor, "batch bins frames"], audio: AudioConfig, iterations: int, momentum: float
) -> Float[Tensor, "batch samples"]:
    """A waveform whose STFT has nearly these magnitudes; samples = frames * hop_length.

    Fast Griffin-Lim (Perraudin, Balazs & Sondergaard 2013). The first phases are drawn with a fixed seed, one draw for
    every clip, so that equal magnitudes give equal audio whatever else is in the batch.
    """
    _, bins, frames = magnitude.shape
    noise = torch.rand(bins, frames, generator=torch.Generator().manual_seed(0)) * (2 * math.pi)
    phase = torch.polar(torch.ones_like(noise), noise).to(magnitude.device)
    estimate, previous = magnitude * phase, torch.zeros(1, device=magnitude.device)
    for _ in range(iterations):
        # Zeros around the clip, not its reflection: so a single frame, too short to reflect, has a result too.
        rebuilt = torch.stft(
            istft(estimate, audio, frames * audio.hop_length), audio.filter_length, audio.hop_length, audio.win_length,
            _window(audio, magnitude.device), center=True, pad_mode="constant", return_complex=True,
        )[..., :frames]  # fmt: skip
        accelerated = rebuilt + momentum * (rebuilt - previous)
        estimate, previous = magnitude * accelerated / accelerated.abs().clamp(min=1e-16), rebuilt
    return istft(estimate, audio, frames * audio.hop_length)


def require_mel(mel: Float[Tensor, "batch mels frames"], audio: AudioConfig) -> None:
    """Raise ValueError where a vocoder can make nothing of a mel: other bands, no frames, or no numbers."""
    if mel.shape[1] != (bands := audio.n_mel_channels) or not mel.shape[2]:
        raise ValueError(f"mel of {mel.shape[1]} bands and {mel.shape[2]} frames, expected {bands} and 1 or more")
    if not mel.isfinite().all():
        raise ValueError("mel with NaN or infinity in it, expected numbers")


def istft(spectrum: Tensor, audio: AudioConfig, samples: int) -> Float[Tensor, "batch samples"]:
    """Waveform of a complex spectrum (batch, bins, frames); samples <= frames * hop_length."""
    window = _window(audio, spectrum.device)
    return torch.istft(
        spectrum, audio.filter_length, audio.hop_length, audio.win_length, window, center=True, length=samples
    )


# Those below are kept for later calls, which may train: built under inference_mode, autograd would refuse them.
@functools.lru_cache(maxsize=8)
@torch.inference_mode(False)
def mel_filters(audio: AudioConfig, device: torch.device | None = None) -> Float[Tensor, "mels bins"]:
    """Slaney mel filters with area normalisation; torchaudio's defaults are HTK without, so both are said."""
    filters = torchaudio.functional.melscale_fbanks(
        audio.filter_length // 2 + 1, audio.mel_fmin, audio.mel_fmax, audio.n_mel_channels, audio.sampling_rate,
        norm="slaney", mel_scale="slaney",
    )  # fmt: skip
    return filters.T.contiguous().to(device)


@functools.lru_cache(maxsize=8)
def _bins_under_filters(audio: AudioConfig) -> int:
    """Bins up to the last that a filter weighs: at 22,050 Hz and mel_fmax 8000, 372 of 513."""
    return int(mel_filters(audio).any(dim=0).nonzero().max()) + 1


@functools.lru_cache(maxsize=8)
@torch.inference_mode(False)
def _mel_pseudo_inverse(audio: AudioConfig, device: torch.device) -> Float[Tensor, "bins mels"]:
    return torch.linalg.pinv(mel_filters(audio).double()).float().to(device)


@functools.lru_cache(maxsize=8)
@torch.inference_mode(False)
def _window(audio: AudioConfig, device: torch.device) -> Float[Tensor, " window"]:
    return torch.hann_window(audio.win_length, periodic=True, device=device)


def from_int16(samples: Int16[np.ndarray, " samples"]) -> Float[Tensor, " samples"]:
    """Samples as float32 in [-1, 1)."""
    return torch.from_numpy(samples.astype(np.float32)).mul_(1.0 / INT16_SCALE)


def to_int16(wave: Float[Tensor, " samples"]) -> Int16[np.ndarray, " samples"]:
    """A waveform rounded to 16 bits; what leaves [-1, 1) is clipped, never wrapped."""
    scaled = (wave.detach().cpu().double() * INT16_SCALE).round().clamp(-INT16_SCALE, INT16_SCALE - 1)
    return scaled.numpy().astype(np.int16)


def write_wav(path: Path, wave: Float[Tensor, " samples"], sampling_rate: int) -> None:
    """A 16-bit mono WAV."""
    stream = io.BytesIO()
    soundfile.write(stream, to_int16(wave), sampling_rate, subtype="PCM_16", format="WAV")
    write_whole(path, stream.getvalue())


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
    """The same sound at another rate; resampled = ceil(samples * target_hz / source_hz).

    A sinc under a Kaiser window (Smith 2002, "Digital Audio Resampling"); sample 0 stays at time 0. What overshoots
    full scale by it is clipped where it is rounded to 16 bits, unless the loudness is set too.
    """
    with torch.inference_mode():
        return _resampler(*rate_ratio(source_hz, target_hz))(torch.from_numpy(wave)[None])[0].numpy()


@functools.lru_cache(maxsize=8)
def _resampler(source: int, target: int) -> torchaudio.transforms.Resample:
    """Keeps its kernel, which takes longer to compute than most clips to resample."""
    return torchaudio.transforms.Resample(
        source, target, resampling_method="sinc_interp_kaiser", lowpass_filter_width=ZERO_CROSSINGS, rolloff=ROLLOFF,
        beta=KAISER_BETA,
    )  # fmt: skip
