"""Test the treatments of a recording against scipy and against the filters of ITU-R BS.1770-4."""

from collections.abc import Callable

import numpy as np
import pytest
import scipy.signal
from hypothesis import given
from hypothesis import strategies as st

from dtc.audio import resample
from dtc.audio_config import AudioConfig
from dtc.errors import InputError
from pipeline.config import RecordingConfig
from pipeline.decoding import decode
from pipeline.recording import level, loudness, read_recording, sounding
from tests.pipeline.sounds import RAMP, sound_file, tone

SINC = 10 ** (-90 / 20)  # of full scale: under the noise of 16 bits, above float32's and the window's -104 dB
LOUDNESS_UNITS = 0.1  # torchaudio's K-weighting is the standard's to 0.05 LU


def config(**changes: object) -> RecordingConfig:
    values = dict(resample=False, channels="mono", trim_silence_db=None, loudness_lufs=None)
    return RecordingConfig.model_validate(values | changes)


UNTOUCHED = config()
WAVE = sound_file(RAMP)


# ── folding ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("channels", "expected"), [("left", [100, -32768, 7]), ("right", [300, 32767, 8]), ("mean", [200, 0, 8])]
)
def test_two_channels_become_one(audio: AudioConfig, channels: str, expected: list[int]) -> None:
    """The mean of 7 and 8 is 7.5, and a half is rounded to the even neighbour; so is -0.5."""
    content = sound_file(np.tile(np.array([[100, 300], [-32768, 32767], [7, 8]], np.int16), (200, 1)))
    made = read_recording(content, "clip", config(channels=channels), audio)
    assert made.tolist() == expected * 200


@pytest.mark.parametrize("channels", ["mono", "left", "right", "mean"])
def test_one_channel_stays_as_it_is(audio: AudioConfig, channels: str) -> None:
    made = read_recording(WAVE, "clip", config(channels=channels), audio)
    assert made.dtype == np.int16
    assert np.array_equal(made, RAMP)


@pytest.mark.parametrize(
    ("content", "changes", "message"),
    [
        (
            sound_file(np.stack([RAMP, RAMP], axis=1)),
            {},
            "2 channels, expected 1 (mono); set recording.channels to left, right or mean",
        ),
        (
            sound_file(RAMP, 44100),
            {},
            "44100 Hz, expected 16000 Hz; set audio.sampling_rate to 44100 or recording.resample to true",
        ),
        (
            sound_file(RAMP, 44101),
            {"resample": True},
            "44101 Hz, expected 16000 Hz, or a rate in a simpler ratio to it than 44101:16000; "
            "convert the clip or set audio.sampling_rate to 44101",
        ),
        (sound_file(RAMP[:512]), {}, "512 samples, expected more than 512; remove the clip"),
        (sound_file(RAMP, 48000), {"resample": True, "trim_silence_db": -6.0}, "667 samples, expected more than 667"),
    ],
)
def test_a_treatment_that_the_params_do_not_allow_is_refused(
    audio: AudioConfig, content: bytes, changes: dict[str, object], message: str
) -> None:
    wide = audio.model_copy(update={"filter_length": 2 * 667} if "667" in message else {})
    with pytest.raises(InputError) as error:
        read_recording(content, "a.wav", config(**changes), wide)
    assert str(error.value).startswith(f"a.wav: {message}")


# ── resampling ──────────────────────────────────────────────────────────────────────────────────────────────────────

RATIOS = [(44100, 22050), (48000, 22050), (24000, 22050), (22050, 16000), (16000, 22050), (44100, 48000)]


@pytest.mark.parametrize(("source_hz", "target_hz"), RATIOS)
def test_resampling_equals_scipys(source_hz: int, target_hz: int) -> None:
    """A chord below 90 % of both Nyquist frequencies; away from the ends, where a finite and a periodic signal differ."""
    pitches = np.array([0.01, 0.2, 0.55, 0.9]) * min(source_hz, target_hz) / 2
    wave = sum(tone(round(pitch), source_hz, amplitude=0.2) for pitch in pitches)
    ours = resample(wave, source_hz, target_hz)
    theirs = scipy.signal.resample(wave.astype(np.float64), target_hz)
    assert len(ours) == target_hz
    inside = slice(target_hz // 10, -target_hz // 10)
    np.testing.assert_allclose(ours[inside], theirs[inside], atol=SINC)


@pytest.mark.parametrize(("source_hz", "target_hz"), [pair for pair in RATIOS if pair[0] > pair[1]])
@pytest.mark.parametrize("above", [1.0, 1.03])
def test_frequencies_above_half_the_new_rate_are_removed(source_hz: int, target_hz: int, above: float) -> None:
    wave = tone(above * target_hz / 2, source_hz, amplitude=1.0)
    inside = slice(target_hz // 10, -target_hz // 10)
    assert np.abs(resample(wave, source_hz, target_hz)[inside]).max() < SINC


@given(samples=st.integers(1, 3000), rates=st.sampled_from(RATIOS))
def test_resampled_samples_follow_the_formula(samples: int, rates: tuple[int, int]) -> None:
    source_hz, target_hz = rates
    made = resample(np.zeros(samples, np.float32), source_hz, target_hz)
    assert len(made) == -(-samples * target_hz // source_hz)
    assert not made.any()


def test_a_recording_at_another_rate_keeps_its_pitch(audio: AudioConfig) -> None:
    made = read_recording(sound_file(tone(1000.0, 44100), 44100), "clip", config(resample=True), audio)
    assert (made.dtype, len(made)) == (np.int16, 16000)
    spectrum = np.abs(np.fft.rfft(made * np.hanning(16000)))
    assert spectrum.argmax() == 1000  # bins of 1 Hz
    assert np.abs(made).max() / 32768 == pytest.approx(0.3, abs=1e-3)
    again = read_recording(sound_file(tone(1000.0, 44100), 44100), "clip", config(resample=True), audio)
    assert np.array_equal(made, again)


# ── trimming ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_trimming_keeps_the_onset_and_the_margins(audio: AudioConfig) -> None:
    noise = np.random.default_rng(0).normal(0.0, 0.001, 16000)
    wave = noise + np.concatenate([np.zeros(8005), tone(440.0, seconds=0.25, amplitude=0.5), np.zeros(3995)])
    content = sound_file(wave)
    made = read_recording(content, "clip", config(trim_silence_db=-30.0), audio)
    # Frames of 160 samples from 8000 to 12160, and 800 on either side.
    assert np.array_equal(made, decode(content, "")[0][8000 - 800 : 12160 + 800, 0])


@pytest.mark.parametrize("format", [{}, {"subtype": "FLOAT"}])
@pytest.mark.parametrize("offset", [0.05, -0.05])
def test_a_constant_does_not_change_what_is_trimmed(audio: AudioConfig, format: dict[str, str], offset: float) -> None:
    noise = np.random.default_rng(0).normal(0.0, 10 ** (-80 / 20), 16000)
    wave = noise + np.concatenate([np.zeros(6400), tone(200.0, seconds=0.2), np.zeros(6400)])
    made, without = (
        read_recording(sound_file(samples, **format), "clip", config(trim_silence_db=-40.0), audio)
        for samples in (wave + offset, wave)
    )
    assert len(made) == len(without) == 3200 + 2 * 800
    # The samples keep the constant, to a step of 16 bits.
    np.testing.assert_allclose(made - without.astype(float), offset * 32768, atol=1.0)


@pytest.mark.parametrize("offset", [0.05, -0.2])
def test_a_constant_does_not_change_the_loudness(offset: float) -> None:
    wave = speechlike() * np.float32(0.05)
    assert loudness(wave + np.float32(offset), 48000) == pytest.approx(loudness(wave, 48000), abs=1e-3)


def test_a_constant_clip_is_kept_as_it_is(audio: AudioConfig) -> None:
    for value in (0, 7, -32768):
        samples = np.full(4000, value, np.int16)
        made = read_recording(sound_file(samples), "a", config(trim_silence_db=-40.0, loudness_lufs=-23.0), audio)
        assert np.array_equal(made, samples)


@given(
    st.lists(st.integers(-32768, 32767), min_size=1, max_size=900),
    st.sampled_from([8000, 22050]),
    st.floats(-120.0, 0.0),
)
def test_trimming_never_removes_all_samples(samples: list[int], sampling_rate: int, threshold_db: float) -> None:
    wave = np.array(samples, np.int16)
    first, end = sounding(wave, sampling_rate, threshold_db)
    assert 0 <= first < end <= len(wave)
    loudest = np.abs(wave - wave.mean()).argmax()
    if threshold_db < -30.0:  # a frame holds 80 or 220 samples: its RMS is at most 23 dB below its peak
        assert first <= loudest < end
    if not wave.any():
        assert (first, end) == (0, len(wave))


# ── loudness ────────────────────────────────────────────────────────────────────────────────────────────────────────


def loudness_by_the_standard(wave: np.ndarray) -> float:
    """ITU-R BS.1770-4 at 48 kHz, with the coefficients of its tables 1 and 2."""
    shelf = ([1.53512485958697, -2.69169618940638, 1.19839281085285], [1.0, -1.69065929318241, 0.73248077421585])
    high_pass = ([1.0, -2.0, 1.0], [1.0, -1.99004745483398, 0.99007225036621])
    weighted = scipy.signal.lfilter(*high_pass, scipy.signal.lfilter(*shelf, wave.astype(np.float64)))
    blocks = np.lib.stride_tricks.sliding_window_view(weighted, 19200)[::4800]
    power = np.square(blocks).mean(axis=1)
    gated = power[-0.691 + 10 * np.log10(power) > -70.0]
    gated = gated[10 * np.log10(gated) > 10 * np.log10(gated.mean()) - 10.0]
    return -0.691 + 10 * np.log10(gated.mean())


def speechlike(seed: int = 0, seconds: float = 2.0) -> np.ndarray:
    """Noise at 48 kHz that rises and falls four times a second, with a pause."""
    samples = round(seconds * 48000)
    noise = np.random.default_rng(seed).normal(0.0, 0.1, samples)
    pause = np.where(np.arange(samples) % 48000 < 36000, 1.0, 0.001)
    return (noise * (1 + np.sin(2 * np.pi * 4 * np.arange(samples) / 48000)) * pause).astype(np.float32)


@pytest.mark.parametrize(
    "wave",
    [tone(997.0, 48000, amplitude=1.0), tone(100.0, 48000), tone(8000.0, 48000, amplitude=0.9), speechlike()],
)
def test_loudness_equals_an_implementation_of_the_standard(wave: np.ndarray) -> None:
    assert loudness(wave, 48000) == pytest.approx(loudness_by_the_standard(wave), abs=LOUDNESS_UNITS)


def test_a_full_scale_sine_of_997_hz_has_minus_3_01_lufs() -> None:
    assert loudness(tone(997.0, 22050, amplitude=1.0), 22050) == pytest.approx(-3.01, abs=LOUDNESS_UNITS)


@pytest.mark.parametrize("gain_db", [-40.0, -6.0, 3.0])
def test_loudness_follows_the_gain(gain_db: float) -> None:
    wave = speechlike()
    gained = wave * np.float32(10 ** (gain_db / 20))
    assert loudness(gained, 48000) == pytest.approx(loudness(wave, 48000) + gain_db, abs=1e-3)


@pytest.mark.parametrize("seconds", [0.05, 0.13, 0.39])
def test_a_clip_shorter_than_a_block_is_as_loud_as_a_longer_one(seconds: float) -> None:
    assert loudness(tone(1000.0, seconds=seconds), 16000) == pytest.approx(loudness(tone(1000.0), 16000), abs=0.1)


@pytest.mark.parametrize("target", [-30.0, -23.0])
def test_levelling_reaches_the_loudness(audio: AudioConfig, target: float) -> None:
    content = sound_file(scipy.signal.decimate(speechlike(), 3))
    made = read_recording(content, "clip", config(loudness_lufs=target), audio)
    assert loudness((made / 32768.0).astype(np.float32), 16000) == pytest.approx(target, abs=LOUDNESS_UNITS)


@pytest.mark.parametrize("gain", [0.01, 1.0])
def test_the_gain_is_limited_by_the_peak(gain: float) -> None:
    wave = speechlike() * np.float32(gain)
    made = level(wave, 48000, -3.0)
    assert np.abs(made).max() == pytest.approx(10 ** (-1 / 20), rel=1e-6)
    np.testing.assert_allclose(made / np.abs(made).max(), wave / np.abs(wave).max(), atol=1e-6)


@pytest.mark.parametrize("seconds", [0.1, 1.0])
def test_silence_has_no_loudness_and_stays_silent(audio: AudioConfig, seconds: float) -> None:
    silence = np.zeros(round(16000 * seconds), np.int16)
    changes = config(loudness_lufs=-20.0, trim_silence_db=-40.0)
    made = read_recording(sound_file(silence), "clip", changes, audio)
    assert np.array_equal(made, silence)


def test_all_treatments_together(audio: AudioConfig) -> None:
    wave = np.concatenate([np.zeros(24000), speechlike(), np.zeros(24000)])
    content = sound_file(np.stack([wave, wave], axis=1), 48000, format="FLAC", subtype="PCM_24")
    asked = config(resample=True, channels="mean", trim_silence_db=-50.0, loudness_lufs=-23.0)
    made = read_recording(content, "clip", asked, audio)
    assert len(made) / 16000 == pytest.approx(1.75 + 2 * 0.05, abs=0.03)  # the last pause is trimmed too
    measured = loudness((made / 32768.0).astype(np.float32), 16000)
    assert measured == pytest.approx(-23.0, abs=LOUDNESS_UNITS)


def test_a_sound_louder_than_full_scale_is_clipped_not_wrapped(audio: AudioConfig) -> None:
    content = sound_file(np.tile([1.5, -1.5], 600), subtype="FLOAT")
    assert set(read_recording(content, "clip", UNTOUCHED, audio).tolist()) == {32767, -32768}


def test_shared_sounds_decode(make_sound: Callable[..., bytes]) -> None:
    """What the other rooms' tests are made of."""
    for format in ("WAV", "FLAC", "OGG", "MP3"):
        assert decode(make_sound(0.3, format=format), "clip").samples.shape == (4800, 1)
