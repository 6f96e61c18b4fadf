"""Every measure: the perfect value, a case with a known answer, an independent oracle, and bad input."""

import io
import json
import math
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from scipy.signal import resample_poly
from scipy.signal.windows import hann

from dtc.audio import log_mel
from dtc.errors import InputError
from dtc.evaluation import neural_quality, quality
from dtc.evaluation.neural_quality import distill_mos, dnsmos, pitch_errors
from dtc.evaluation.quality import (
    log_mel_l1,
    mean_quality,
    measure_quality,
    multi_resolution_stft_distance,
    pesq_wb,
    stoi,
)
from dtc.evaluation.quality_inputs import cut_alike, not_measured
from dtc.report.metric_names import METRICS

REPOSITORY = Path(__file__).parents[2]
RATE = 16_000
OPTIONAL = ("pesq", "swift_f0", "onnxruntime", "speechmos", "distillmos", "xls_r_sqa", "resemblyzer")
ALWAYS = {"multi_resolution_stft", "log_mel_l1", "stoi"}


@pytest.fixture(scope="module")
def speech():
    """A recording of the embedded corpus of about two seconds."""
    with tarfile.open(REPOSITORY / "pipeline/corpora/numbers/numbers-1.0.tar") as tar:
        clip = tar.extractfile("numbers-1.0/metadata.csv").read().decode().splitlines()[45].split("|")[0]
        wave, rate = soundfile.read(io.BytesIO(tar.extractfile(f"numbers-1.0/wavs/{clip}.ogg").read()), dtype="float32")
    assert rate == RATE
    return wave


@pytest.fixture
def nothing_optional(monkeypatch):
    for module in OPTIONAL:
        monkeypatch.setitem(sys.modules, module, None)  # how Python marks a module that is not to be found


def with_noise(wave, snr_db, seed=0):
    noise = np.random.default_rng(seed).normal(size=len(wave))
    gain = np.sqrt(np.mean(np.square(wave)) / np.mean(np.square(noise))) * 10 ** (-snr_db / 20)
    return (wave + gain * noise).astype(np.float32)


def voice(f0_hz, seconds=1.0):
    """Eight harmonics: what a pitch tracker takes for a voice."""
    time = np.arange(int(seconds * RATE)) / RATE
    return (0.2 * sum(np.sin(2 * np.pi * f0_hz * k * time) / k for k in range(1, 9))).astype(np.float32)


def silence(seconds=1.0):
    return np.zeros(int(seconds * RATE), dtype=np.float32)


# Magnitudes at several resolutions


def oracle_stft_distance(reference, copy):
    """The definition, frame by frame, with numpy's FFT."""

    def magnitudes(wave, size, hop, window):
        padded = np.pad(wave.astype(np.float64), size // 2, mode="reflect")
        left = (size - window) // 2
        frames = [padded[start + left : start + left + window] for start in range(0, len(padded) - size + 1, hop)]
        spectra = np.fft.rfft(np.array(frames) * hann(window, sym=False), n=size)
        return np.sqrt(np.maximum(np.abs(spectra) ** 2, 1e-7))

    distances = []
    for size, hop, window in ((512, 50, 240), (1024, 120, 600), (2048, 240, 1200)):
        r, c = magnitudes(reference, size, hop, window), magnitudes(copy, size, hop, window)
        convergence = np.sqrt(np.sum((r - c) ** 2)) / np.sqrt(np.sum(r**2))
        distances.append(convergence + np.mean(np.abs(np.log(r) - np.log(c))))
    return np.mean(distances)


def test_stft_distance_agrees_with_an_independent_oracle(speech):
    wave = speech[:9000]
    for copy in (with_noise(wave, 20), wave * np.float32(0.5), silence(9000 / RATE)):
        # Both in float64; the windows differ in their last bits.
        assert multi_resolution_stft_distance(wave, copy) == pytest.approx(oracle_stft_distance(wave, copy), rel=1e-9)


def test_stft_distance_of_half_the_level_is_literal():
    """‖|R| − |R|/2‖ / ‖|R|‖ = ½, and every logarithm is off by ln 2, where no magnitude is at the floor."""
    noise = np.random.default_rng(0).normal(size=8000)
    assert multi_resolution_stft_distance(noise, 0.5 * noise) == pytest.approx(0.5 + math.log(2), rel=1e-5)


def test_stft_distance_of_silence_is_finite():
    assert multi_resolution_stft_distance(silence(), silence()) == 0
    assert 1 < multi_resolution_stft_distance(voice(150), silence()) < math.inf
    assert 1 < multi_resolution_stft_distance(silence(), voice(150)) < math.inf


# Log-mels


def test_log_mel_l1_is_the_mean_difference_of_dtcs_own_mels(speech, audio):
    copy = with_noise(speech, 20)
    ours, theirs = (log_mel(torch.from_numpy(wave)[None], audio).numpy()[0] for wave in (speech, copy))
    assert log_mel_l1(speech, copy, audio) == pytest.approx(np.mean(np.abs(ours - theirs)), rel=1e-5)


def test_log_mel_l1_is_in_nepers(audio):
    noise = np.random.default_rng(0).normal(0, 0.1, size=8000)
    assert log_mel_l1(noise, noise / math.e, audio) == pytest.approx(1, rel=1e-5)


# Intelligibility and PESQ


def test_noise_lowers_stoi(speech):
    assert stoi(speech, speech, RATE) == pytest.approx(1)
    scores = [stoi(speech, with_noise(speech, snr_db), RATE) for snr_db in (30, 15, 0, -15)]
    assert scores == sorted(scores, reverse=True)
    assert scores[0] > 0.9
    assert scores[-1] < 0.6


def test_stoi_of_silence_and_of_little_speech(speech, recwarn):
    assert stoi(speech, np.zeros_like(speech), RATE) == 0
    assert math.isnan(stoi(silence(), voice(150), RATE))
    assert math.isnan(stoi(voice(150, 0.3), voice(150, 0.3), RATE)), "longer than 0.25 s, shorter than 30 frames"
    assert not recwarn.list


def test_noise_lowers_pesq(speech):
    pytest.importorskip("pesq")
    assert pesq_wb(speech, speech, RATE) == pytest.approx(4.644, abs=1e-3)  # the upper end of P.862.2's mapping
    scores = [pesq_wb(speech, with_noise(speech, snr_db), RATE) for snr_db in (40, 25, 10)]
    assert scores == sorted(scores, reverse=True)
    assert 1 < scores[-1] < 2 < scores[0] < 4.644


def test_pesq_resamples(speech):
    pytest.importorskip("pesq")
    noisy = with_noise(speech, 20)
    upsampled = [resample_poly(wave, 441, 320) for wave in (speech, noisy)]
    # Only what lies at the edge of the band is lost on the way to 22.05 kHz and back.
    assert pesq_wb(*upsampled, 22_050) == pytest.approx(pesq_wb(speech, noisy, RATE), abs=0.05)


def test_pesq_of_silence_and_of_too_long_clips(speech):
    pytest.importorskip("pesq")
    assert pesq_wb(speech, np.zeros_like(speech), RATE) == 1
    assert math.isnan(pesq_wb(silence(), voice(150), RATE))
    bursts = np.tile(np.concatenate([voice(150, 0.25), silence(0.25)]), 120)  # 120 utterances: a segmentation fault
    assert math.isnan(pesq_wb(bursts, bursts, RATE))
    at_the_limit = bursts[: 20 * RATE]
    assert pesq_wb(at_the_limit, at_the_limit, RATE) > 4.6


# Pitch


def test_pitch_errors_of_a_voice_100_cents_higher():
    pytest.importorskip("swift_f0")
    errors = pitch_errors(voice(150), voice(150 * 2 ** (1 / 12)), RATE)
    # The network's own error on a steady tone is a few cents in either direction.
    assert errors.f0_rmse_cents == pytest.approx(100, abs=12)
    assert errors.voicing_error == 0
    assert errors.periodicity_rmse < 0.05


def test_equal_voices_have_no_pitch_error(speech):
    pytest.importorskip("swift_f0")
    errors = pitch_errors(speech, speech, RATE)
    assert (errors.f0_rmse_cents, errors.voicing_error, errors.periodicity_rmse) == (0, 0, 0)


def test_voicing_error_of_a_copy_with_a_silent_half():
    pytest.importorskip("swift_f0")
    whole, half = voice(150, 2.0), voice(150, 2.0)
    half[len(half) // 2 :] = 0
    errors = pitch_errors(whole, half, RATE)
    assert errors.voicing_error == pytest.approx(0.5, abs=0.03)  # the tracker hears a little past the end
    assert errors.periodicity_rmse == pytest.approx(math.sqrt(0.5), abs=0.05)
    assert errors.f0_rmse_cents < 20


def test_pitch_errors_from_a_trackers_frames(monkeypatch):
    """The formulas, on frames that are written down."""
    pytest.importorskip("swift_f0")

    class Track:
        def __init__(self, pitch_hz, confidence):
            self.pitch_hz, self.confidence = np.array(pitch_hz), np.array(confidence)

    tracks = iter([Track([100, 100, 100, 100.0], [1, 1, 0.9, 0]), Track([200, 100, 100, 100.0], [1, 0.5, 0.4, 0])])

    class Tracker:
        def detect(self, wave, rate, *band_hz):
            assert (rate, band_hz) == (RATE, (50, 550))
            return next(tracks)

    monkeypatch.setattr(neural_quality, "pitch_tracker", Tracker)
    errors = pitch_errors(silence(), silence(), RATE)
    assert errors.f0_rmse_cents == pytest.approx(math.sqrt(1200**2 / 2))  # an octave, and nothing; 0.5 is voiced
    assert errors.voicing_error == 0.25
    assert errors.periodicity_rmse == pytest.approx(math.sqrt((0.5**2 + 0.5**2) / 4))


def test_silence_has_no_pitch():
    pytest.importorskip("swift_f0")
    errors = pitch_errors(silence(), silence(), RATE)
    assert math.isnan(errors.f0_rmse_cents)
    assert (errors.voicing_error, errors.periodicity_rmse) == (0, 0)
    assert math.isnan(pitch_errors(silence(0.2), silence(0.2), RATE).voicing_error)


# Opinions


def test_dnsmos_equals_speechmos(speech):
    reference = pytest.importorskip("speechmos.dnsmos", exc_type=ImportError)  # wants librosa
    wave = with_noise(speech, 20)[: round(1.2 * RATE)]  # doubled three times there, which gives one window
    assert dnsmos(wave, RATE) == pytest.approx(reference.run(wave, RATE)["ovrl_mos"], abs=1e-4)  # float32


def test_dnsmos_windows_are_those_of_the_published_code():
    def published(samples):
        lengths = [(i, int((i + 9.01) * RATE) - i * RATE) for i in range(int(samples // RATE - 9.01) + 1)]
        return [i * RATE for i, length in lengths if length >= int(9.01 * RATE)]

    for samples in (144_160, 150_000, 160_000, 256_000, 261_000, 300_000, 600_000):
        assert neural_quality._dnsmos_starts(samples) == published(samples)
    assert neural_quality._dnsmos_starts(261_000) == [second * RATE for second in range(7)]


def test_noise_lowers_distill_mos(speech, capsys):
    pytest.importorskip("distillmos")
    pytest.importorskip("xls_r_sqa")
    clean, noisy = distill_mos(speech, RATE), distill_mos(with_noise(speech, 0), RATE)
    assert 1 < noisy < clean < 5
    assert capsys.readouterr().out == ""


def test_measures_in_threads_keep_the_order_and_compute_with_one_thread_each():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    found = quality.in_threads(lambda number: (number, torch.get_num_threads()), range(40))
    assert torch.get_num_threads() == 2
    torch.set_num_threads(before)
    assert found == [(number, 1) for number in range(40)]
    assert quality.in_threads(str, []) == []


def test_a_short_clip_fills_one_window_of_dnsmos(monkeypatch):
    windows = []

    class Model:
        def run(self, _, inputs):
            windows.append(inputs["input_1"][0])
            return [np.array([[0.0, 0.0, 3.0]])]

    monkeypatch.setattr(neural_quality, "_dnsmos_model", Model)
    monkeypatch.setattr(neural_quality, "require_installed", lambda measure: None)
    wave = np.random.default_rng(1).uniform(-1, 1, 20_000).astype(np.float32)
    assert dnsmos(wave, RATE) == pytest.approx(np.polyval(neural_quality.DNSMOS_OVERALL, 3.0))
    assert len(windows) == 1
    assert np.array_equal(windows[0], np.tile(wave, 8)[:144_160])
    dnsmos(np.zeros(176_160, np.float32), RATE)
    assert len(windows) == 3, "11.01 s have two windows"


def test_opinion_scores_of_silence_and_short_clips():
    pytest.importorskip("onnxruntime")
    pytest.importorskip("speechmos")
    assert math.isnan(dnsmos(silence(0.2), RATE))
    assert math.isnan(dnsmos(silence(0), RATE)), "the published code never ends"


# All together


def test_measure_quality_without_optional_packages(speech, audio, nothing_optional):
    assert measure_quality(speech, speech, audio) == {
        "multi_resolution_stft": 0,
        "log_mel_l1": 0,
        "stoi": pytest.approx(1),
    }
    note = not_measured()
    assert "\n" not in note
    assert note == (
        "pitch, DNSMOS not measured: pip install 'dueling-turing-classifier[quality]'; PESQ not measured: pip install 'dueling-turing-classifier[pesq]'; "
        "DistillMOS not measured: pip install --no-deps distillmos xls-r-sqa; "
        "speaker similarity not measured: pip install --no-deps Resemblyzer"
    )
    for measure in (pesq_wb, pitch_errors):
        with pytest.raises(InputError, match="is not installed; install it with `pip install"):
            measure(speech, speech, RATE)
    for measure in (dnsmos, distill_mos):
        with pytest.raises(InputError, match="is not installed; install it with `pip install"):
            measure(speech, RATE)


def test_measure_quality_gives_each_measure_on_its_own(speech, audio, monkeypatch):
    for module in ("speechmos", "distillmos"):  # slow, and tested above
        monkeypatch.setitem(sys.modules, module, None)
    copy = np.append(with_noise(speech, 20), np.zeros(audio.hop_length, dtype=np.float32))  # as a vocoder's may be
    values = measure_quality(speech, copy, audio)
    copy = copy[: len(speech)]
    assert ALWAYS <= set(values) <= set(METRICS)
    assert values["multi_resolution_stft"] == multi_resolution_stft_distance(speech, copy)
    assert values["log_mel_l1"] == log_mel_l1(speech, copy, audio)
    assert values["stoi"] == stoi(speech, copy, RATE)
    if "pesq" in values:
        assert values["pesq"] == pesq_wb(speech, copy, RATE)
    if "f0_rmse_cents" in values:
        assert values["f0_rmse_cents"] == pitch_errors(speech, copy, RATE).f0_rmse_cents


@pytest.mark.parametrize("samples", [1, 300, 1024, 3000])
def test_measures_of_too_short_clips_are_nan(samples, audio, monkeypatch):
    for module in ("speechmos", "distillmos"):
        monkeypatch.setitem(sys.modules, module, None)
    values = measure_quality(voice(150)[:samples], voice(150)[:samples], audio)
    defined = {name for name, value in values.items() if not math.isnan(value)}
    assert defined == ({"multi_resolution_stft"} if samples > 1024 else set()) | (
        {"log_mel_l1"} if samples > 512 else set()
    )


def test_waves_that_are_not_a_pair_are_refused(speech, audio):
    with pytest.raises(
        ValueError, match=f"copy of {len(speech) - 300} samples, expected {len(speech)} give or take 256"
    ):
        measure_quality(speech, speech[:-300], audio)
    with pytest.raises(ValueError, match=f"copy of {len(speech) - 1} samples, expected {len(speech)} as in"):
        stoi(speech, speech[:-1], RATE)
    broken = speech.copy()
    broken[:2] = np.nan, np.inf
    with pytest.raises(ValueError, match=f"copy: 2 of {len(speech)} samples are not finite"):
        measure_quality(speech, broken, audio)
    with pytest.raises(ValueError, match=f"reference: 2 of {len(speech)} samples are not finite"):
        measure_quality(broken, speech, audio)


def test_cut_alike():
    one, other = cut_alike(np.arange(5.0), np.arange(7.0), hop_length=2)
    assert one.tolist() == other.tolist() == [0, 1, 2, 3, 4]
    one, other = cut_alike(np.arange(7.0), np.arange(5.0), hop_length=2)
    assert one.tolist() == other.tolist() == [0, 1, 2, 3, 4]


def test_mean_quality():
    clips = [{"stoi": 0.5, "pesq": math.nan, "dnsmos": math.nan}, {"stoi": 1.0, "pesq": 3.0, "dnsmos": math.nan}]
    assert mean_quality(clips) == {"stoi": 0.75, "pesq": 3.0}
    assert mean_quality([]) == {}


def test_optional_packages_are_imported_when_they_are_used():
    program = f"""
import json, sys
import dtc.evaluation.quality
print(json.dumps([module for module in {OPTIONAL!r} if module in sys.modules]))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=REPOSITORY)
    assert json.loads(done.stdout) == []
