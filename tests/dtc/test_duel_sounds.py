"""The clips of a duel: what tells files apart without hearing their speech is gone."""

import io
import struct
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest
import soundfile
from scipy.stats import skew

from dtc.duel.sounds import LEAD_S, NOISE_BELOW_SPEECH_DB, Sounds, prepare, read_waves, without_skewness
from dtc.duel.trials import Clip, Item, Trial
from dtc.equalise import MARGIN, SPEECH_RMS, Wave
from dtc.errors import InputError
from dtc.evaluation.speech_folder import COPY, RECORDING, SYNTHESIS
from dtc.silence import PAUSE_DB, frame_powers, sounds
from tests.dtc.duel_clips import RATE, TEXTS, VOICE, duel_waves, silence, speech, write_clips

KINDS = (Item(RECORDING), Item(COPY, VOICE), Item(SYNTHESIS, VOICE))
EDGE_HZ = 4000.0  # of the synthesis in tests.dtc.duel_clips
LEVEL_DB = 20 * np.log10(SPEECH_RMS)
NOISE_DB = LEVEL_DB - NOISE_BELOW_SPEECH_DB
TOLERANCE_DB = 0.5  # of the power of a few thousand samples of noise


@pytest.fixture(scope="module")
def prepared() -> Sounds:
    return prepare(duel_waves(), RATE)


def heard(prepared: Sounds, clip: Clip, name: str = "a") -> Wave:
    return soundfile.read(io.BytesIO(prepared.wav(clip, f"{name} {clip}")))[0]


def db(power: float) -> float:
    return float(10 * np.log10(power))


@pytest.mark.parametrize("text", TEXTS)
def test_files_of_one_text_have_equal_sizes_and_equal_headers(prepared: Sounds, text: str) -> None:
    files = [prepared.wav(Clip(item, text), f"{item}") for item in KINDS]
    assert len({len(each) for each in files}) == 1
    assert len({each[:44] for each in files}) == 1
    assert files[0][36:40] == b"data", "no chunk that says what the file is"
    assert struct.unpack_from("<I", files[0], 40)[0] == len(files[0]) - 44


def test_flac_files_have_the_samples_of_wav_files_and_sizes_that_do_not_tell(prepared: Sounds) -> None:
    text = TEXTS[0]
    pairs = [Trial("one", text, sides) for sides in permutations(KINDS, 2)]
    files = [content for trial in pairs for content in prepared.flacs(trial)]
    assert len({len(content) for content in files}) == 1
    assert len(files[0]) < len(prepared.wav(Clip(KINDS[0], text), "a"))
    assert len({len(prepared.flacs(Trial("one", text, (item,)))[0]) for item in KINDS}) == 1
    wave, rate = soundfile.read(io.BytesIO(files[0]))
    assert (len(wave), rate) == (len(heard(prepared, Clip(KINDS[0], text))), RATE)
    noise = 10 ** (NOISE_DB / 20)
    np.testing.assert_allclose(abs(wave), abs(heard(prepared, Clip(KINDS[0], text))), atol=10 * noise)


def test_the_noise_cannot_be_computed_from_the_name(prepared: Sounds) -> None:
    clip = Clip(Item(RECORDING), TEXTS[0])
    other = Sounds(prepared.sampling_rate, prepared.waves)
    assert prepared.wav(clip, "a") != other.wav(clip, "a")


def test_samples_of_eight_bits_do_not_tell_by_the_noise_of_their_rounding() -> None:
    dull = [speech(seed, seconds=1.0, highest_hz=2000.0) for seed in (1, 2)]
    waves = {Clip(KINDS[0], "a"): np.round(dull[0] * 128) / 128, Clip(KINDS[2], "a"): dull[1]}
    recorded, spoken = prepare(waves, RATE).waves.values()
    powers = [_power_above(wave, 2200.0) for wave in (recorded, spoken)]
    assert db(powers[0] / powers[1]) == pytest.approx(0, abs=TOLERANCE_DB)


def test_the_marks_of_the_files_that_are_read_are_not_sent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_clips(Path("scp"), TEXTS[:2])
    marked = Path(f"scp/synthesis/{TEXTS[0]}.wav")
    assert b"synthetic" in marked.read_bytes()
    paths = {Clip(item, text): Path("scp", item.kind, f"{text}.wav") for item in KINDS for text in TEXTS[:2]}
    waves, rate = read_waves(paths)
    assert rate == RATE
    content = prepare(waves, rate).wav(Clip(Item(SYNTHESIS, VOICE), TEXTS[0]), "a")
    assert b"LIST" not in content[:44]
    assert b"synthetic" not in content


@pytest.mark.parametrize("item", KINDS, ids=lambda item: item.kind)
def test_level_offset_noise_and_edge_are_those_of_every_kind(prepared: Sounds, item: Item) -> None:
    waves = [heard(prepared, Clip(item, text)) for text in TEXTS]
    for wave in waves:
        powers = frame_powers(wave, RATE // 100)
        assert db(powers[sounds(powers, PAUSE_DB)].mean()) == pytest.approx(LEVEL_DB, abs=0.2)
        assert abs(wave.mean()) < 1e-4
    before = np.concatenate([wave[: round(0.9 * LEAD_S * RATE)] for wave in waves])
    assert db(np.square(before).mean()) == pytest.approx(NOISE_DB, abs=TOLERANCE_DB)
    after = np.concatenate([wave[-round(0.9 * LEAD_S * RATE) :] for wave in waves])
    assert db(np.square(after).mean()) == pytest.approx(NOISE_DB, abs=TOLERANCE_DB)
    above = np.mean([_power_above(wave, EDGE_HZ * (1 + MARGIN)) for wave in waves])
    assert db(above) == pytest.approx(NOISE_DB, abs=TOLERANCE_DB)


def _power_above(wave: Wave, edge_hz: float) -> float:
    """Return the power above a frequency as if noise of this density had all frequencies."""
    power = np.square(np.abs(np.fft.rfft(wave * np.hanning(len(wave)))))
    frequencies = np.fft.rfftfreq(len(wave), 1 / RATE)
    return float(power[frequencies > edge_hz].mean() / np.square(np.hanning(len(wave))).sum())


def test_no_clip_has_digital_silence(prepared: Sounds) -> None:
    for item in KINDS:
        changes = np.flatnonzero(np.diff(heard(prepared, Clip(item, TEXTS[0]))))
        assert np.diff(changes).max() < 6, "samples in a row that are equal"


def test_the_same_clip_of_two_trials_has_other_bytes_and_of_one_trial_the_same(prepared: Sounds) -> None:
    clip = Clip(Item(RECORDING), TEXTS[0])
    assert prepared.wav(clip, "one a") == prepared.wav(clip, "one a")
    assert prepared.wav(clip, "one a") != prepared.wav(clip, "one b")


def test_pulses_with_their_peaks_on_one_side_do_not_tell_and_keep_their_magnitudes() -> None:
    pulses = np.zeros(RATE // 2)
    pulses[80::130] = 0.3
    pulses += 0.001 * speech(1, seconds=0.5)
    waves = {Clip(KINDS[0], "a"): pulses, Clip(KINDS[2], "a"): speech(2, seconds=0.5)}
    assert skew(pulses) > 5
    found = prepare(waves, RATE)
    for clip in waves:
        files = [heard(found, clip, str(n)) for n in range(20)]
        assert max(abs(skew(wave)) for wave in files) < 0.02
        assert {np.sign(wave @ found.waves[clip]) for wave in files} == {1, -1}
    magnitudes = [np.abs(np.fft.rfft(wave))[1:-1] for wave in (pulses, without_skewness(pulses))]
    np.testing.assert_allclose(*magnitudes, atol=1e-9)


def test_a_peak_makes_all_clips_quieter_and_none_is_clipped(prepared: Sounds) -> None:
    click = speech(1, seconds=1.0)
    click[1000] = 18.0
    waves = {Clip(Item(RECORDING), "a"): click, Clip(Item(SYNTHESIS, VOICE), "a"): speech(2)}
    found = prepare(waves, RATE)
    assert max(np.abs(wave).max() for wave in found.waves.values()) == pytest.approx(0.9, abs=0.001)
    levels = [np.square(wave).mean() for wave in prepare(duel_waves(TEXTS[:1]), RATE).waves.values()]
    assert np.square(found.waves[Clip(Item(SYNTHESIS, VOICE), "a")]).mean() < min(levels) / 4
    loudest = [np.abs(soundfile.read(io.BytesIO(each.volume_wav()))[0]).max() for each in (found, prepared)]
    assert loudest[0] < 0.5 * loudest[1], "so is the noise for the volume"


@pytest.mark.parametrize("wave", [silence(0.5), silence(0.0)], ids=["silent", "empty"])
def test_a_voice_that_says_nothing_is_heard_as_noise(wave: Wave) -> None:
    waves = {Clip(Item(RECORDING), "a"): speech(1), Clip(Item(SYNTHESIS, VOICE), "a"): wave}
    found = prepare(waves, RATE)
    quiet = heard(found, Clip(Item(SYNTHESIS, VOICE), "a"))
    assert len(quiet) == len(heard(found, Clip(Item(RECORDING), "a")))
    assert db(np.square(quiet).mean()) == pytest.approx(NOISE_DB, abs=TOLERANCE_DB)


def test_the_noise_for_the_volume_is_as_loud_as_the_clips(prepared: Sounds) -> None:
    wave, rate = soundfile.read(io.BytesIO(prepared.volume_wav()))
    powers = frame_powers(wave, rate // 100)
    assert db(powers[sounds(powers, PAUSE_DB)].mean()) == pytest.approx(LEVEL_DB, abs=0.2)


def test_a_file_of_another_rate_is_resampled_and_no_sound_is_named(tmp_path: Path) -> None:
    clips = {Clip(Item(RECORDING), "a"): tmp_path / "a.wav", Clip(Item(SYNTHESIS, VOICE), "a"): tmp_path / "b.wav"}
    soundfile.write(tmp_path / "a.wav", speech(1), RATE)
    soundfile.write(tmp_path / "b.wav", speech(1), RATE // 2)
    waves, rate = read_waves(clips)
    assert (rate, len({len(wave) for wave in waves.values()})) == (RATE // 2, 2)
    (tmp_path / "b.wav").write_bytes(b"no sound")
    with pytest.raises(InputError, match=r"b\.wav: cannot be read .*; run `dtc evaluate` again"):
        read_waves(clips)
    soundfile.write(tmp_path / "b.wav", np.zeros((100, 2)), RATE)
    with pytest.raises(InputError, match="2 channels, expected 1"):
        read_waves(clips)
