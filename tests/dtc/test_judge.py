"""The machine judge: what is made equal before it, how texts are split, and what it tells apart."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from dtc.audio import griffin_lim, log_mel, magnitude_from_mel, resample
from dtc.audio_config import AudioConfig
from dtc.equalise import Wave
from dtc.errors import InputError
from dtc.evaluation.speech_folder import (
    COPY,
    RECORDING,
    SYNTHESIS,
    SpokenWaves,
    read_speech_folder,
    write_speech_folder,
)
from dtc.judge import JudgeConfig, speaker
from dtc.judge.contests import Contest, Pair, Sample, make_contests
from dtc.judge.equalise import equalise
from dtc.judge.logistic import train_logistic
from dtc.judge.patches import cut_windows, mel_patches
from dtc.judge.saliency import telling_band
from dtc.judge.statistics import area_under_curve
from dtc.judge.trial import NETWORK, SPEAKER, folds_of, judge_contest, trainings
from dtc.silence import frame_powers, sounds
from tests.dtc.recordings import SAMPLING_RATE_HZ, recordings

CONFIG = JudgeConfig(seed=1, folds=2, steps=25, draws=200)


@pytest.fixture(scope="module")
def spoken() -> list[tuple[str, Wave]]:
    """Text and wave of 14 recordings."""
    return recordings(every=22)[:14]


def pairs_of(spoken: list[tuple[str, Wave]], change: Callable[[Wave], Wave]) -> list[Pair]:
    """Recordings, and the same ones with something changed."""
    return [
        Pair(text, Sample(str(number), "kept", wave), Sample(str(number), "changed", change(wave)))
        for number, (text, wave) in enumerate(spoken)
    ]


def told_by_spectrum(pairs: list[Pair]) -> float:
    """The AUC, over held-out texts, of logistic regression on mean and deviation of each mel band of a clip."""
    patches = mel_patches(pairs, SAMPLING_RATE_HZ)
    vectors = torch.cat([patches.mean(dim=(2, 4)), patches.std(dim=(2, 4))], dim=2).double().numpy()
    folds, scores = folds_of([pair.text for pair in pairs], 4, 1), np.empty((len(pairs), 2))
    for fold in range(4):
        scores[folds == fold] = train_logistic(vectors[folds != fold])(vectors[folds == fold])
    return area_under_curve(scores)


# ── what must not tell ──────────────────────────────────────────────────────────────────────────────────────────────


def _narrow(wave: Wave) -> Wave:
    half = resample(wave.astype(np.float32), SAMPLING_RATE_HZ, SAMPLING_RATE_HZ // 2)
    return resample(half, SAMPLING_RATE_HZ // 2, SAMPLING_RATE_HZ)[: len(wave)].astype(np.float64)


def _with_pause(wave: Wave) -> Wave:
    """A pause where 50 ms are softest, as between two phrases of a voice."""
    powers = np.convolve(np.square(wave), np.ones(800), "valid")
    place = 8000 + int(np.argmin(powers[8000:-8000])) + 400
    return np.insert(wave, place, np.zeros(6400))


def _gated(wave: Wave) -> Wave:
    """Digital silence in place of 10 ms that are 40 dB softer than the loudest."""
    loud = sounds(frame_powers(wave, 160), -40.0)
    return wave * np.repeat(loud, 160)[: len(wave)]


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda wave: wave / 4, id="level"),
        pytest.param(lambda wave: wave + 0.02, id="constant offset"),
        pytest.param(lambda wave: np.round(wave * 128) / 128, id="bit depth"),
        pytest.param(_narrow, id="bandwidth"),
        pytest.param(lambda wave: np.pad(wave, (8000, 8000)), id="silence at the ends"),
        pytest.param(_with_pause, id="pause"),
        pytest.param(_gated, id="digital silence"),
    ],
)
def test_one_difference_that_is_not_speech_tells_before_and_not_after(
    spoken: list[tuple[str, Wave]], change: Callable[[Wave], Wave]
) -> None:
    pairs = pairs_of(spoken, change)
    assert told_by_spectrum(pairs) > 0.85
    equal, _ = equalise(pairs, SAMPLING_RATE_HZ, seed=1)
    assert abs(told_by_spectrum(equal) - 0.5) < 0.1


@pytest.mark.parametrize("seconds", [pytest.param((1.0, 1.3), id="long"), pytest.param((0.3, 1.0), id="short")])
def test_the_length_does_not_tell(seconds: tuple[float, float]) -> None:
    rng = np.random.default_rng(3)
    sides = [[Sample("1", "noise", rng.standard_normal(round(16_000 * each))) for each in seconds] for _ in range(40)]
    pairs = [Pair(str(number), *both) for number, both in enumerate(sides)]
    assert area_under_curve(np.array([[len(pair.first.wave), len(pair.second.wave)] for pair in pairs]) * 1.0) == 1.0
    equal, _ = equalise(pairs, SAMPLING_RATE_HZ, seed=1)
    assert cut_windows(equal, 8_000, 8).shape == (40, 2, 8, 8_000)
    assert abs(told_by_spectrum(equal) - 0.5) < 0.2


def test_windows_are_at_the_same_places_of_both_clips() -> None:
    short, long = np.arange(1000.0), np.arange(1900.0)
    pair = Pair("one", Sample("1", "short", short), Sample("1", "long", long))
    windows = cut_windows([pair], 100, 4)[0]
    np.testing.assert_array_equal(windows[0, :, 0], [0, 300, 600, 900])
    np.testing.assert_array_equal(windows[1, :, 0], [0, 600, 1200, 1800])
    windows = cut_windows([pair], 1500, 2)[0]
    np.testing.assert_array_equal(windows[0], windows[1], "both are cut to the shorter one and repeated alike")
    np.testing.assert_array_equal(windows[0, 0, [999, 1000, 1499]], [999, 0, 499])


def test_silence_alone_is_judged_and_does_not_fail() -> None:
    pair = Pair("one", Sample("1", "a", np.zeros(16_000)), Sample("1", "b", np.full(9_000, 0.25)))
    ((found,), _) = equalise([pair], SAMPLING_RATE_HZ, seed=1)
    assert np.isfinite(found.first.wave).all()
    assert np.isfinite(found.second.wave).all()
    assert np.isfinite(mel_patches([found], SAMPLING_RATE_HZ)).all()


def test_the_speaker_embedding_of_a_clip_is_the_mean_of_as_many_windows_whatever_its_length(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(speaker, "speaker_embedding", lambda wave, rate: np.array([len(wave), wave[0], rate]))
    short, long = np.arange(16_000.0), np.arange(64_000.0)
    vectors = speaker.speaker_vectors([Pair("one", Sample("1", "a", long), Sample("1", "b", long[:32_000]))], 16_000)
    np.testing.assert_array_equal(vectors, [[[25_600, 38_400 / 2, 16_000], [25_600, 6_400 / 2, 16_000]]])
    vectors = speaker.speaker_vectors([Pair("one", Sample("1", "a", short), Sample("1", "b", long))], 16_000)
    np.testing.assert_array_equal(vectors, [[[25_600, 0, 16_000]] * 2])


# ── texts, folds and contests ───────────────────────────────────────────────────────────────────────────────────────


def _nothing() -> None:
    pass


def test_equal_texts_are_in_one_fold_and_the_folds_are_of_equal_size() -> None:
    texts = [str(number // 2) for number in range(20)]  # each twice
    folds = folds_of(texts, 5, seed=1)
    assert {tuple(folds[number : number + 2]) for number in range(0, 20, 2)} == {(fold, fold) for fold in range(5)}
    assert np.bincount(folds).tolist() == [4] * 5
    assert folds_of(texts, 5, seed=2).tolist() != folds.tolist()
    assert folds_of(["a", "b", "b"], 5, seed=1).max() == 1, "there are two texts"


def _speech_folder(spoken: list[tuple[str, Wave]], kinds: dict[str, Callable[[Wave], Wave]]) -> None:
    """Write results/scp into the working folder, with the waves of each kind made from the recordings."""
    texts = [
        SpokenWaves(str(n), text, {kind: torch.from_numpy(change(wave)) for kind, change in kinds.items()})
        for n, (text, wave) in enumerate(spoken)
    ]
    write_speech_folder(Path("results/scp"), texts, SAMPLING_RATE_HZ, {"voice": "0123"})


def _same(wave: Wave) -> Wave:
    return wave


def test_contests(spoken: list[tuple[str, Wave]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    repeated = [*spoken[:8], spoken[0]]  # one text was recorded twice
    _speech_folder(repeated, {RECORDING: _same, COPY: _same, SYNTHESIS: lambda wave: wave / 2})
    contests, sampling_rate = make_contests(read_speech_folder(Path("results/scp")), seed=1)
    vocoder, _, control = contests
    assert sampling_rate == SAMPLING_RATE_HZ
    assert [(each.name, each.first, each.second) for each in contests] == [
        ("vocoder", "recording", "copy_synthesis"),
        ("acoustic", "copy_synthesis", "synthesis"),
        ("control", "recording", "other_recording"),
    ]
    assert [pair.first.id for pair in vocoder.pairs] == [pair.second.id for pair in vocoder.pairs]
    for pair in vocoder.pairs:
        np.testing.assert_array_equal(pair.first.wave, pair.second.wave, "the mark in the header is not read")
    assert [len(each.pairs) for each in contests] == [9, 9, 4]
    used = [sample.id for pair in control.pairs for sample in (pair.first, pair.second)]
    assert len(set(used)) == 8, "each text once, on one side"
    assert {"0", "8"} - set(used), "one of the two recordings of the text"
    other, _ = make_contests(read_speech_folder(Path("results/scp")), seed=2)
    assert [pair.text for pair in other[2].pairs] != [pair.text for pair in control.pairs]


def test_files_of_unlike_rates_and_empty_ones_are_refused(
    spoken: list[tuple[str, Wave]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    _speech_folder(spoken[:2], {RECORDING: _same, COPY: _same, SYNTHESIS: _same})
    texts = read_speech_folder(Path("results/scp"))
    path = texts[1].paths[SYNTHESIS]
    good = path.read_bytes()
    path.write_bytes(good[:30])
    with pytest.raises(InputError, match=r"synthesis/1\.wav: cannot be read .*; run `dtc evaluate` again"):
        make_contests(texts, seed=1)
    path.write_bytes(good.replace((16_000).to_bytes(4, "little"), (8_000).to_bytes(4, "little"), 1))
    with pytest.raises(InputError, match=r"synthesis/1\.wav: 8000 Hz, expected 16000 Hz as results/scp/recording/0"):
        make_contests(texts, seed=1)


# ── what it tells ───────────────────────────────────────────────────────────────────────────────────────────────────


def _griffin_lim_copy(wave: Wave, audio: AudioConfig) -> Wave:
    mel = log_mel(torch.from_numpy(wave).float()[None], audio)
    return griffin_lim(magnitude_from_mel(mel, audio), audio, 4, 0.99)[0].double().numpy()


def test_griffin_lim_is_told_from_recordings_and_recordings_are_not(
    spoken: list[tuple[str, Wave]], audio: AudioConfig
) -> None:
    pairs = pairs_of(spoken, lambda wave: _griffin_lim_copy(wave, audio))
    found = judge_contest(Contest("vocoder", "it", "a", "b", pairs), SAMPLING_RATE_HZ, CONFIG, None, _nothing)
    outcome = found.judged[NETWORK].outcome
    assert outcome.auc.value > 0.95
    assert outcome.told_apart
    assert found.told_apart
    assert found.telling is not None

    recorded = [
        replace(pair, text=f"{pair.text} / {other.text}", second=other.first)
        for pair, other in zip(pairs[0::2], pairs[1::2], strict=True)
    ]
    found = judge_contest(Contest("control", "", "a", "a", recorded), SAMPLING_RATE_HZ, CONFIG, None, _nothing)
    auc = found.judged[NETWORK].outcome.auc
    assert auc.low <= 0.5 <= auc.high
    assert not found.told_apart
    assert found.surest == []


def test_a_planted_difference_is_told_and_shown_in_time_and_frequency() -> None:
    """A tone of 3 kHz from 0.3 to 0.6 s, in one of two noises."""
    rng = np.random.default_rng(5)
    tone = np.sin(2 * np.pi * 3000 * np.arange(16_000) / 16_000) * 0.03
    tone[:4_800], tone[9_600:] = 0.0, 0.0
    noise = rng.standard_normal((16, 2, 16_000)) * 0.05
    pairs = [Pair(str(n), Sample(str(n), "a", a), Sample(str(n), "b", b + tone)) for n, (a, b) in enumerate(noise)]
    contest, advanced = Contest("vocoder", "it", "a", "b", pairs), []

    def embed(pairs: list[Pair], sampling_rate: int) -> np.ndarray:
        return np.array(
            [
                [[wave.std() for wave in np.array_split(each.wave, 8)] for each in (pair.first, pair.second)]
                for pair in pairs
            ]
        )

    found = judge_contest(contest, SAMPLING_RATE_HZ, CONFIG, embed, lambda: advanced.append(1))
    assert len(advanced) == trainings(contest, CONFIG, embed) == 4
    assert found.judged[NETWORK].outcome.auc.value > 0.95
    assert found.judged[SPEAKER].scores.shape == (16, 2)
    assert [each.score for each in found.surest] == sorted(found.judged[NETWORK].scores[:, 1])[:-4:-1]
    low, high = found.telling
    assert low < 3000 < high
    saliency = np.mean([each.saliency for each in found.surest], axis=0)
    band, frame = np.unravel_index(saliency.argmax(), saliency.shape)
    assert abs(found.surest[0].frequencies_hz[band] - 3000) < 500
    assert 0.25 < frame * found.surest[0].seconds_per_frame < 0.65
    assert telling_band(found.surest) == found.telling


def test_equal_seeds_give_equal_scores_and_others_do_not() -> None:
    noise = np.random.default_rng(5).standard_normal((4, 2, 8_000))
    pairs = [Pair(str(n), Sample(str(n), "a", a), Sample(str(n), "b", b)) for n, (a, b) in enumerate(noise)]

    def scores(seed: int, steps: int = 2) -> bytes:
        config = JudgeConfig(seed=seed, folds=2, steps=steps, draws=10)
        torch.manual_seed(seed + steps)  # which the training must not depend on
        found = judge_contest(Contest("vocoder", "", "a", "b", pairs), SAMPLING_RATE_HZ, config, None, _nothing)
        return found.judged[NETWORK].scores.tobytes()

    assert scores(1) == scores(1)
    assert scores(1) != scores(2)
    assert scores(1) != scores(1, steps=3)
