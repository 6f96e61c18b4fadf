"""Test the embedded corpus (archive, text, balance, sound) and the script that made it."""

import hashlib
import io
import random
import tarfile
from collections import Counter
from pathlib import Path

import numpy as np
import pocketsphinx
import pytest
import soundfile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dtc.evaluation.word_errors import comparable_words
from dtc.text import normalise
from pipeline.corpora.numbers import make_numbers, phrases

CORPORA = Path(make_numbers.__file__).parent
ARCHIVE = CORPORA / "numbers-1.0.tar"
MD5 = "983a8bbc451076a5ac18cd8b038b5630"


@pytest.fixture(scope="module")
def members():
    with tarfile.open(ARCHIVE) as tar:
        return tar.getmembers()


@pytest.fixture(scope="module")
def files(members):
    with tarfile.open(ARCHIVE) as tar:
        return {member.name.removeprefix("numbers-1.0/"): tar.extractfile(member).read() for member in members}


@pytest.fixture(scope="module")
def rows(files):
    return [line.split("|") for line in files["metadata.csv"].decode("ascii").splitlines()]


@pytest.fixture(scope="module")
def waves(files):
    return {
        name[len("wavs/") : -len(".ogg")]: soundfile.read(io.BytesIO(content), dtype="float32")
        for name, content in files.items()
        if name.endswith(".ogg")
    }


# ── archive ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_archive_is_the_published_one():
    content = ARCHIVE.read_bytes()
    assert hashlib.md5(content).hexdigest() == MD5
    assert len(content) <= 8_000_000


def test_the_bytes_of_the_archive_depend_on_its_files_alone(members, files, tmp_path):
    names = [member.name for member in members]
    assert names == sorted(names)
    assert {(m.mtime, m.uid, m.gid, m.uname, m.gname, m.mode, m.isfile()) for m in members} == {
        (0, 0, 0, "", "", 0o644, True)
    }
    shuffled = random.Random(0).sample(sorted(files), len(files))
    make_numbers.write_tar(tmp_path / "again.tar", {f"numbers-1.0/{name}": files[name] for name in shuffled})
    assert (tmp_path / "again.tar").read_bytes() == ARCHIVE.read_bytes()


def test_rows_and_recordings_match(rows, waves, files):
    assert all(len(row) == 3 for row in rows)
    assert [row[0] for row in rows] == [f"numbers-{number:04}" for number in range(1, len(rows) + 1)]
    assert {row[0] for row in rows} == set(waves)
    assert set(files) == {"README", "metadata.csv"} | {f"wavs/{clip}.ogg" for clip in waves}
    assert "Apache-2.0" in files["README"].decode()


# ── text ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_spoken_is_the_normalised_raw_text(rows):
    # The corpus writes compounds without their hyphens.
    assert [spoken for _, _, spoken in rows] == [normalise(raw).replace("-", " ") for _, raw, _ in rows]


def test_no_number_string_occurs_twice(rows):
    numbers = [word for _, raw, _ in rows for word in raw.split() if any(map(str.isdigit, word))]
    assert len(numbers) >= len(rows)
    assert [number for number, count in Counter(numbers).items() if count > 1] == []


def test_words_and_positions_are_balanced(rows):
    counts = Counter(word for _, _, spoken in rows for word in spoken.split())

    def rarest(words):
        return min(counts[word] for word in words)

    assert rarest(["zero", *phrases.ONES]) >= 60
    assert rarest(phrases.TEENS + phrases.TENS) >= 15
    assert rarest(phrases.ORDINALS) >= 6
    assert rarest(["oh", "o'clock", "hundred", "thousand", "point", "dollar", "dollars", "cent", "cents"]) >= 10
    carriers = [*phrases.SUBJECTS, *phrases.CIRCUMSTANCES]
    assert min(Counter(raw.split()[0] for _, raw, _ in rows)[carrier] for carrier in carriers) >= 15
    assert min(Counter(raw.split()[-2] for _, raw, _ in rows)[carrier] for carrier in carriers) >= 15


# ── grammar ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def acceptor(grammar: str):
    """Whether a grammar, compiled by PocketSphinx to a finite-state automaton, accepts a sentence."""
    decoder = pocketsphinx.Decoder(jsgf=str(CORPORA / grammar), lm=None, loglevel="FATAL")
    return decoder.get_fsg(decoder.current_search()).accept


@pytest.fixture(scope="module")
def accepts():
    return acceptor("numbers.jsgf")


def test_every_recorded_phrase_is_in_the_grammar(rows, accepts):
    assert [spoken for _, _, spoken in rows if not accepts(spoken)] == []


def test_word_errors_compare_recorded_phrases_as_they_are(rows):
    spoken = [spoken for _, _, spoken in rows]
    assert [" ".join(comparable_words(text)) for text in spoken] == [text.replace("'", "") for text in spoken]


def test_the_bare_numbers_are_in_their_grammar_and_not_in_that_of_the_corpus(accepts):
    texts = (CORPORA / "bare-numbers.txt").read_text().splitlines()
    spoken = [" ".join(comparable_words(text)) for text in texts]
    accepts_bare = acceptor("bare-numbers.jsgf")
    assert sum(len(text.split()) for text in spoken) == 30
    assert [text for text in spoken if not accepts_bare(text) or accepts(text)] == []
    assert accepts_bare("nine zero two one zero")
    assert not accepts_bare("call nine zero two")


# Raw numbers of each carrier, drawn without make_numbers.
DIGITS = st.text("0123456789", min_size=1, max_size=3)
NUMBERS = {
    "call": st.text("0123456789", min_size=3, max_size=7),
    "count": st.integers(0, 999_999).map("{:,}".format),
    "about": st.tuples(st.integers(0, 99), DIGITS).map("{0[0]}.{0[1]}".format),
    "the": st.integers(1, 999).map("{}th".format),  # the ending does not matter to the reading
    "in": st.integers(1100, 2099).map(str),
    "for": st.one_of(
        st.integers(1, 999).map("${}".format), st.integers(1, 99_999).map(lambda cents: f"${cents / 100:.2f}")
    ),
    "at": st.tuples(st.integers(1, 12), st.integers(0, 59)).map("{0[0]}:{0[1]:02}".format),
}
SUBJECT = st.one_of([number.map(f"{carrier} {{}}".format) for carrier, number in list(NUMBERS.items())[:4]])
CIRCUMSTANCE = st.one_of([number.map(f"{carrier} {{}}".format) for carrier, number in list(NUMBERS.items())[4:]])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.one_of(SUBJECT, CIRCUMSTANCE, st.tuples(SUBJECT, CIRCUMSTANCE), st.tuples(CIRCUMSTANCE, SUBJECT)))
def test_every_well_formed_phrase_is_in_the_grammar(accepts, phrase):
    raw = phrase if isinstance(phrase, str) else " ".join(phrase)
    assert accepts(normalise(raw).replace("-", " "))


@pytest.mark.parametrize(
    "spoken",
    [
        "",
        "call",
        "call one two",
        "call one two three four five six seven eight",
        "count one thousand thousand",
        "count twenty eleven",
        "about one hundred point one",
        "about three point",
        "the twenty",
        "the thirty tenth",
        "in ten sixty six",
        "in two thousand ten",
        "for one dollars",
        "for two dollar",
        "for one hundred cents",
        "at thirteen oh five",
        "at seven sixty",
        "at seven",
        "at seven oh five in nineteen hundred",
        "call one two three count five",
    ],
)
def test_malformed_phrases_are_not_in_the_grammar(accepts, spoken):
    assert not accepts(spoken)


# ── sound ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_durations(waves):
    assert {rate for _, rate in waves.values()} == {16_000}
    seconds = [len(wave) / rate for wave, rate in waves.values()]
    assert 9 * 60 <= sum(seconds) <= 11 * 60
    assert min(seconds) >= 0.85  # "the 43rd"
    assert max(seconds) <= 5


def test_level_and_silence(waves):
    for clip, (wave, _) in waves.items():
        assert wave.ndim == 1
        assert 0.3 < np.abs(wave).max() < 0.95, clip  # speech, and nothing clipped
        # Trimmed to 60 and 100 ms: a swelling vowel is trimmed earlier than it is heard here, a soft consonant later.
        loud = np.flatnonzero(np.abs(wave) > 0.01)
        assert 0.02 < loud[0] / 16_000 < 0.12, clip
        assert 0.08 < (len(wave) - loud[-1]) / 16_000 < 0.18, clip


# ── the script ──────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.slow
def test_composition_depends_on_the_seed_alone():
    first = [phrases.raw(phrase) for phrase in phrases.compose(clips=2, seed=1)]
    assert first == [phrases.raw(phrase) for phrase in phrases.compose(clips=2, seed=1)]
    assert first != [phrases.raw(phrase) for phrase in phrases.compose(clips=2, seed=2)]


def test_equal_waves_give_equal_ogg_bytes():
    wave = np.sin(np.arange(16_000) / 20).astype(np.float32) / 2
    assert make_numbers.encode(wave, serial=7) == make_numbers.encode(wave, serial=7)
    decoded, rate = soundfile.read(io.BytesIO(make_numbers.encode(wave, serial=7)))
    assert rate == 16_000
    np.testing.assert_allclose(decoded, wave, atol=0.02)  # lossy, but no worse than that


def test_ogg_checksum_is_the_one_libsndfile_wrote():
    buffer = io.BytesIO()
    soundfile.write(buffer, np.zeros(16_000), 16_000, format="OGG", subtype="VORBIS")
    serial = int.from_bytes(buffer.getvalue()[14:18], "little")
    assert make_numbers.with_serial(buffer.getvalue(), serial) == buffer.getvalue()


def test_trimming():
    tone = 0.5 * np.sin(np.arange(16_000)).astype(np.float32)
    wave = np.concatenate([np.zeros(8_000, np.float32), tone, np.zeros(8_000, np.float32)])
    assert len(make_numbers.trim(wave)) == 960 + 16_000 + 1_600
