"""The speaker embedding: the published code with its weights where it is installed, and the same with random weights."""

import math
import sys

import numpy as np
import pytest
import torch

from dtc.errors import InputError
from dtc.evaluation import speaker
from dtc.evaluation.speaker import SpeakerEncoder, speaker_embedding, speaker_similarity

RATE = 16_000


@pytest.fixture
def random_weights(tmp_path, monkeypatch):
    """A package resemblyzer whose weights are random: enough for what does not depend on the training."""
    torch.manual_seed(0)
    package = tmp_path / "resemblyzer"
    package.mkdir()
    (package / "__init__.py").touch()
    state = SpeakerEncoder().state_dict() | {"similarity_weight": torch.ones(1)}  # of the training; not used
    torch.save({"model_state": state}, package / "pretrained.pt")
    monkeypatch.syspath_prepend(str(tmp_path))
    speaker._encoder.cache_clear()
    yield
    speaker._encoder.cache_clear()


def noise(seconds, seed=0):
    return np.random.default_rng(seed).normal(0.0, 0.1, round(seconds * RATE)).astype(np.float32)


def oracle_mel(wave):
    """The power mel of the published code by numpy: zeros around the clip, periodic Hann, Slaney's filters."""
    padded = np.pad(wave.astype(np.float64), 200)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(400) / 400)
    frames = [padded[start : start + 400] * window for start in range(0, len(padded) - 399, 160)]
    power = np.abs(np.fft.rfft(frames)) ** 2

    def hz(mel):
        return np.where(mel < 15, mel * 200 / 3, 1000 * np.exp(np.log(6.4) / 27 * (mel - 15)))

    edges = hz(np.linspace(0, 15 + 27 * math.log(8) / math.log(6.4), 42))
    bins = np.fft.rfftfreq(400, 1 / RATE)
    rising = (bins - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    falling = (edges[2:, None] - bins) / (edges[2:] - edges[1:-1])[:, None]
    filters = np.maximum(0, np.minimum(rising, falling)) * (2 / (edges[2:] - edges[:-2]))[:, None]
    return power @ filters.T


def test_the_embedding_is_that_of_the_published_code(monkeypatch):
    published = pytest.importorskip("resemblyzer", exc_type=ImportError)  # wants librosa and webrtcvad
    encoder = published.VoiceEncoder("cpu", verbose=False)
    for seconds in (0.7, 1.6, 2.35, 2.9, 5.0):
        wave = noise(seconds, seed=round(10 * seconds)) * np.float32(0.1)
        raised = published.normalize_volume(wave, -30, increase_only=True)
        assert speaker_embedding(wave, RATE) == pytest.approx(encoder.embed_utterance(raised), abs=1e-5)


def test_the_mel_is_that_of_an_independent_oracle():
    wave = noise(1.0)
    expected = oracle_mel(np.pad(wave, (0, 9600)))[:160]
    assert speaker._parts(wave).numpy() == pytest.approx(expected[None], rel=1e-3, abs=1e-6)


@pytest.mark.parametrize(("seconds", "parts"), [(0.1, 1), (1.6, 1), (1.65, 1), (2.0, 2), (2.6, 2), (2.8, 3)])
def test_a_clip_is_cut_into_overlapping_parts(seconds, parts):
    """A part starts every 0.77 s and lasts 1.6 s; the last counts where the clip has 1.2 s of it."""
    assert speaker._parts(noise(seconds)).shape == (parts, 160, 40)


def test_similarity_is_that_of_directions(random_weights):
    first, second = noise(2.0, 1), noise(1.2, 2)
    for wave in (first, second):
        embedding = speaker_embedding(wave, RATE)
        assert np.linalg.norm(embedding) == pytest.approx(1, abs=1e-6)
        assert embedding.min() >= 0
    assert speaker_similarity(first, first, RATE) == pytest.approx(1, abs=1e-6)
    assert speaker_similarity(first, second, RATE) == speaker_similarity(second, first, RATE) < 1


def test_silent_ends_and_a_low_level_change_nothing(random_weights):
    wave = noise(2.0)
    quiet = np.pad(1e-3 * wave, 16_000)
    low = 10 ** (-30 / 20) * wave / np.sqrt(np.mean(np.square(wave)))
    assert speaker_embedding(quiet, RATE) == pytest.approx(speaker_embedding(low, RATE), abs=1e-4)
    assert np.isnan(speaker_embedding(np.zeros(8000, np.float32), RATE)).all()


def test_bad_input_and_a_missing_package_are_named(random_weights, monkeypatch):
    with pytest.raises(ValueError, match="1 of 8 samples are not finite"):
        speaker_embedding(np.array([0, 0, 0, np.nan, 0, 0, 0, 0], np.float32), RATE)
    monkeypatch.setitem(sys.modules, "resemblyzer", None)
    with pytest.raises(InputError, match="install it with `pip install --no-deps Resemblyzer`"):
        speaker_embedding(noise(1.0), RATE)
