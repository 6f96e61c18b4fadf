"""dtc.audio against scipy, its own round trips, and NVIDIA's golden mels where they are at hand."""

import math
import tarfile
from pathlib import Path

import numpy as np
import pytest
import scipy.signal
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file

from dtc import audio
from dtc.audio_config import AudioConfig, require_same_audio
from dtc.errors import InputError
from pipeline.decoding import decode

ROOT = Path(__file__).parents[2]
SHARED = ROOT.parent / "shared"
GOLDEN = SHARED / "golden/nvidia_mel.safetensors"
GOLDEN_TOLERANCE = 2e-3  # of a natural log; float32 summation order and librosa's filters differ that much
FLOAT32 = 1e-4  # relative, of an FFT in float32 against scipy's in float64


def config(**changes: float) -> AudioConfig:
    values = dict(
        sampling_rate=16000,
        filter_length=1024,
        hop_length=256,
        win_length=1024,
        n_mel_channels=80,
        mel_fmin=0,
        mel_fmax=8000,
    )
    return AudioConfig.model_validate(values | changes)


def noise(samples: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(1, samples, generator=torch.Generator().manual_seed(seed)) * 0.1


@pytest.mark.parametrize("win_length", [1024, 800, 512])
def test_magnitude_equals_scipys(win_length: int) -> None:
    wave = noise(5000)
    ours = audio.stft_magnitude(wave, config(win_length=win_length))[0]
    window = np.zeros(1024)
    start = (1024 - win_length) // 2
    window[start : start + win_length] = scipy.signal.get_window("hann", win_length, fftbins=True)
    padded = np.pad(wave[0].double().numpy(), 512, mode="reflect")
    frames = [np.abs(np.fft.rfft(window * padded[t * 256 : t * 256 + 1024])) for t in range(1 + 5000 // 256)]
    np.testing.assert_allclose(ours.numpy(), np.stack(frames, axis=1), rtol=FLOAT32, atol=1e-4)


@given(samples=st.integers(513, 6000), hop_length=st.sampled_from([160, 200, 256, 512]))
def test_frames_follow_the_formula(samples: int, hop_length: int) -> None:
    mel = audio.log_mel(torch.zeros(1, samples), config(hop_length=hop_length))
    assert mel.shape == (1, 80, 1 + samples // hop_length)
    assert torch.all(mel == torch.tensor(math.log(1e-5)))  # silence is the floor, not -inf


def oracle_mel(wave: np.ndarray, definition: AudioConfig) -> np.ndarray:
    """NVIDIA's mel in numpy and float64, from the formulas: nothing of torch, torchaudio or dtc is in it."""
    size, hop = definition.filter_length, definition.hop_length
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(size) / size)  # periodic
    padded = np.pad(wave, size // 2, mode="reflect")
    frames = [padded[t * hop : t * hop + size] for t in range(1 + len(wave) // hop)]
    magnitude = np.abs(np.fft.rfft(np.stack(frames) * window)).T  # (bins, frames)
    # Slaney's mels: 3 for each 200 Hz below 1000 Hz, 27 for each factor of 6.4 above.
    first, last = (
        (f * 3 / 200 if f < 1000 else 15 + 27 * np.log(f / 1000) / np.log(6.4))
        for f in (definition.mel_fmin, definition.mel_fmax)
    )
    mels = np.linspace(first, last, definition.n_mel_channels + 2)
    edges_hz = np.where(mels < 15, mels * 200 / 3, 1000 * 6.4 ** ((mels - 15) / 27))
    bins_hz = np.arange(size // 2 + 1) * definition.sampling_rate / size
    rows = []
    for low, middle, high in zip(edges_hz, edges_hz[1:], edges_hz[2:], strict=False):
        triangle = np.minimum((bins_hz - low) / (middle - low), (high - bins_hz) / (high - middle))
        rows.append(np.maximum(triangle, 0) * 2 / (high - low) @ magnitude)
    return np.log(np.maximum(np.stack(rows), 1e-5))


@pytest.mark.parametrize("changes", [{"sampling_rate": 22050}, {}, {"mel_fmin": 60, "mel_fmax": 7600}])
def test_mel_equals_an_independent_oracle(changes: dict[str, float]) -> None:
    """A chirp from 50 Hz to 7 kHz with noise that fades into silence: every band, and the floor."""
    time = np.arange(16000) / 16000
    chirp = 0.5 * scipy.signal.chirp(time, 50, 1, 7000) * (time < 0.6)
    wave = chirp + 0.1 * noise(16000)[0].numpy() * np.linspace(1, 0, 16000).clip(0, 1) * (time < 0.8)
    definition = config(**changes)
    mel = audio.log_mel(torch.from_numpy(wave.astype(np.float32))[None], definition)[0].numpy()
    expected = oracle_mel(wave.astype(np.float32).astype(np.float64), definition)
    np.testing.assert_allclose(mel, expected, atol=GOLDEN_TOLERANCE)
    assert expected.min() == math.log(1e-5)
    assert expected.max() > 1


def test_too_short_to_reflect_is_refused() -> None:
    with pytest.raises(ValueError, match="512 samples, expected more than 512"):
        audio.log_mel(torch.zeros(1, 512), config())


def test_mel_filters_are_slaneys() -> None:
    """Below 1 kHz Slaney's scale is linear at 200/3 Hz a mel; each filter has area 2 / bandwidth."""
    filters = audio.mel_filters(config())
    peaks_hz = filters.argmax(dim=1) * 16000 / 1024
    mels = torch.linspace(0, 15 + 27 * math.log(8.0) / math.log(6.4), 82)[1:-1]
    linear = mels < 15
    torch.testing.assert_close(peaks_hz[linear], mels[linear] * 200 / 3, atol=16000 / 1024, rtol=0)
    area = filters.sum(dim=1) * 16000 / 1024  # ∫ filter df = 1 with area normalisation
    torch.testing.assert_close(area[40:], torch.ones(40), atol=0.05, rtol=0)


@pytest.mark.skipif(not GOLDEN.is_file(), reason="../shared is not there: golden values of NVIDIA's code")
def test_mel_equals_nvidias() -> None:
    golden = load_file(GOLDEN)
    clips = {}
    with tarfile.open(SHARED / "data/ljspeech-sample.tar.bz2") as tar:
        for member in tar:
            if Path(member.name).stem in golden and member.name.endswith(".wav"):
                clips[Path(member.name).stem] = tar.extractfile(member).read()
    assert clips.keys() == golden.keys()
    for name, content in clips.items():
        samples, sampling_rate, _ = decode(content, name)
        mel = audio.log_mel(audio.from_int16(samples[:, 0])[None], config(sampling_rate=sampling_rate))[0]
        torch.testing.assert_close(mel, golden[name], atol=GOLDEN_TOLERANCE, rtol=0)


def test_istft_undoes_the_stft() -> None:
    wave = noise(20 * 256)
    window = torch.hann_window(1024)
    spectrum = torch.stft(wave, 1024, 256, 1024, window, return_complex=True)
    torch.testing.assert_close(audio.istft(spectrum, config(), wave.shape[1]), wave, atol=1e-5, rtol=0)


def test_griffin_lim_finds_the_magnitudes() -> None:
    """A chord's magnitudes come back; random phases alone would leave an error near 1."""
    time = torch.arange(40 * 256) / 16000
    wave = sum(torch.sin(2 * math.pi * f * time) for f in (220.0, 554.4, 1318.5))[None] * 0.2
    magnitude = audio.stft_magnitude(wave, config())
    rebuilt = audio.griffin_lim(magnitude, config(), iterations=60, momentum=0.99)
    assert rebuilt.shape == (1, magnitude.shape[2] * 256)
    again = audio.stft_magnitude(rebuilt[:, : wave.shape[1]], config())
    middle = slice(4, -4)  # the ends have nothing beyond them to agree with
    error = torch.linalg.norm((again - magnitude)[..., middle]) / torch.linalg.norm(magnitude[..., middle])
    assert error < 0.1


def test_griffin_lim_of_a_clip_does_not_depend_on_its_neighbours() -> None:
    magnitudes = audio.stft_magnitude(torch.cat([noise(4096), noise(4096, seed=1)]), config())
    both = audio.griffin_lim(magnitudes, config(), iterations=5, momentum=0.99)
    alone = audio.griffin_lim(magnitudes[1:], config(), iterations=5, momentum=0.99)
    torch.testing.assert_close(both[1:], alone, atol=1e-5, rtol=0)


def test_mel_to_magnitude_keeps_the_mel() -> None:
    mel = audio.log_mel(noise(8192), config())
    again = audio.mel_from_magnitude(audio.magnitude_from_mel(mel, config()), config())
    assert (again - mel).abs().mean() < 0.1


@given(st.lists(st.integers(-32768, 32767), min_size=1, max_size=50))
def test_int16_survives_the_round_trip(samples: list[int]) -> None:
    array = np.array(samples, dtype=np.int16)
    assert np.array_equal(audio.to_int16(audio.from_int16(array)), array)


def test_what_was_cached_while_speaking_can_train() -> None:
    definition = config(mel_fmin=31)  # used by no other test: nothing is cached yet
    with torch.inference_mode():
        audio.log_mel(noise(2048), definition)
    wave = noise(2048).requires_grad_()
    audio.log_mel(wave, definition).sum().backward()
    assert wave.grad.abs().max() > 0


def test_too_loud_is_clipped_not_wrapped() -> None:
    assert audio.to_int16(torch.tensor([1.5, -1.5, 1.0])).tolist() == [32767, -32768, 32767]


@pytest.mark.parametrize(
    "changes",
    [{"win_length": 2048}, {"hop_length": 600}, {"mel_fmax": 9000}, {"mel_fmin": 8000}, {"sampling_rate": 0}],
)
def test_impossible_definitions_are_refused(changes: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="validation error"):
        config(**changes)


def test_different_mels_are_refused_with_both_shown() -> None:
    require_same_audio(config(), "a", config(), "b")
    with pytest.raises(InputError, match=r"acoustic model and vocoder: different mels: hop_length 256 against 200;"):
        require_same_audio(config(), "acoustic model", config(hop_length=200), "vocoder")


def test_fingerprint_is_the_definition() -> None:
    assert config().fingerprint == config().fingerprint
    assert config().fingerprint != config(mel_fmin=1.0).fingerprint


def test_there_is_one_stft_and_one_resampler() -> None:
    sources = [path for room in ("dtc", "pipeline", "stages") for path in (ROOT / room).rglob("*.py")]
    for call in ("torch.stft(", "torch.istft(", "transforms.Resample(", "resample_poly"):
        users = [path for path in sources if call in path.read_text(encoding="utf-8")]
        assert users in ([], [ROOT / "dtc/audio.py"]), call
    assert (ROOT / "dtc/audio.py").read_text(encoding="utf-8").count("torch.stft(") == 1


@pytest.mark.parametrize("sizes", [audio.StftSizes(512, 50, 240), audio.StftSizes(64, 16, 64)])
def test_a_least_power_bounds_the_magnitudes_below(sizes: audio.StftSizes) -> None:
    wave = torch.cat([noise(4096), torch.zeros(1, 4096)], dim=1).double().requires_grad_()
    floored, plain = audio.stft_magnitude(wave, sizes, 1e-4), audio.stft_magnitude(wave.detach(), sizes)
    torch.testing.assert_close(floored, plain.clamp(min=1e-2))
    floored.log().sum().backward()
    assert torch.isfinite(wave.grad).all()
