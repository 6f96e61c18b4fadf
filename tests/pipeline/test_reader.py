"""pipeline.reader: a clip by its place alone; nothing that differs from what the index says is taken for a clip."""

import gc
import io
import json
import tracemalloc
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_features import tiny_clip, write_features

from dtc.batch import Clip
from dtc.errors import InputError
from pipeline.reader import MOST_OPEN_SHARDS, Place, Places, Reader
from pipeline.shards import ClipPlace, read_index, read_places

AGAIN = "run `dtc preprocess` again"
SHARD = "train-00000.tar"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three clips in one shard, to be damaged."""
    write_features(tmp_path, 3)
    return tmp_path


@pytest.fixture(scope="module")
def forty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("forty")
    write_features(folder, 40)
    return folder


def places_in(folder: Path) -> Places:
    index = read_index(folder)
    return Places(read_places(folder, index, "train"), folder, index.shards, index.remedy)


def read_one(folder: Path, place: Place) -> Clip:
    with closing(Reader(folder, n_mel_channels=2, remedy=AGAIN)) as reader:
        return reader.read(place)


def overwrite(folder: Path, first_byte: int, content: bytes) -> None:
    with (folder / SHARD).open("r+b") as file:
        file.seek(first_byte)
        file.write(content)


def npy(array: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def test_a_clip_is_as_it_was_written(folder: Path) -> None:
    with closing(Reader(folder, n_mel_channels=2, remedy=AGAIN)) as reader:
        for number, place in reversed(list(enumerate(places_in(folder)))):
            read, written = reader.read(place), tiny_clip(number)
            assert (read.id, read.raw_text, read.spoken_text) == (f"clip-00{number}", f"N {number}", "n" * (1 + number))
            assert torch.equal(read.mel, torch.from_numpy(written.mel))
            assert torch.equal(read.wave, torch.from_numpy(written.wave) / 32768)
            assert len(read.symbol_ids) == 1 + number


def test_places_are_those_of_the_index(forty: Path) -> None:
    index = read_index(forty)
    expected = [(p.id, p.shard, p.frames, p.members) for p in read_places(forty, index, "train")]
    places = Places(read_places(forty, index, "train"), forty, index.shards, index.remedy)
    assert len(places) == 40
    assert [tuple(place) for place in places] == expected
    assert [tuple(place) for place in places[5:-30]] == expected[5:-30]
    assert tuple(places[-1]) == expected[-1]
    with pytest.raises(IndexError):
        places[40]


def test_places_take_little_memory(forty: Path) -> None:
    """A corpus of a million clips is to fit beside a model."""
    row = next(read_places(forty, read_index(forty), "train"))
    rows = (row.model_copy(update={"id": f"LJ001-{n:06d}"}) for n in range(5000))
    shards = read_index(forty).shards
    gc.collect()
    tracemalloc.start()
    places = Places(rows, forty, shards, AGAIN)
    taken = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert taken / len(places) < 200


def test_a_reader_holds_few_files(tmp_path: Path) -> None:
    write_features(tmp_path, 3 * (MOST_OPEN_SHARDS + 5))
    places = places_in(tmp_path)
    with closing(Reader(tmp_path, n_mel_channels=2, remedy=AGAIN)) as reader:
        assert [reader.read(place).id for place in places] == places.ids
        open_files = list(reader._files.values())
        assert len(open_files) == MOST_OPEN_SHARDS
    assert all(file.closed for file in open_files)


Damage = Callable[[Path, Place], None]


def _in(member: str, content: bytes, at: int = 0) -> Damage:
    return lambda folder, place: overwrite(folder, place.members[member][0] + at, content)


def _facts(content: str) -> Damage:
    return lambda folder, place: _in("json", content.ljust(place.members["json"][1]).encode())(folder, place)


@pytest.mark.parametrize(
    ("damage", "fault"),
    [
        (_facts("["), "clip-001.json: Invalid JSON: "),
        (_facts('{"raw_text": 1, "spoken_text": "n", "n_samples": 32}'), "clip-001.json: raw_text: Input should be a valid string; run `dtc pre"),
        (_facts('{"spoken_text": "n", "n_samples": 32}'), "clip-001.json: raw_text: Field required"),
        (_in("json", b"\xff", at=15), "clip-001.json: Invalid JSON: "),
        (_in("mel.npy", b"x"), "clip-001.mel.npy: no npy header of a plain array, expected <f4 (2, 8); run `dtc pre"),
        (_in("mel.npy", b"'<f8'", at=20), "clip-001.mel.npy: <f8 (2, 8), expected <f4 (2, 8)"),
        (_in("mel.npy", npy(np.zeros((2, 7), np.float32))), "clip-001.mel.npy: <f4 (2, 7), expected <f4 (2, 8)"),
        (_in("mel.npy", npy(np.zeros(16, np.float32))), "clip-001.mel.npy: <f4 (16,), expected <f4 (2, 8)"),
        (_in("mel.npy", npy(np.zeros((2, 8), ">f4"))), "clip-001.mel.npy: >f4 (2, 8), expected <f4 (2, 8)"),
        (_in("mel.npy", npy(np.zeros((2, 8), "<f4", order="F"))), "clip-001.mel.npy: no npy header of a plain array"),
        (_in("wave.npy", npy(np.zeros((1, 32), np.int16))), "clip-001.wave.npy: <i2 (1, 32), expected <i2 (32,)"),
        (_in("wave.npy", npy(np.zeros(31, np.int16))), "clip-001.wave.npy: <i2 (31,), expected <i2 (32,)"),
        (_in("mel.npy", b"another", at=-512), "clip-001.mel.npy: is not where the index says; the shard was changed"),
        (lambda folder, place: (folder / SHARD).write_bytes(b""), "clip-001.json: is not where the index says"),
    ],
)  # fmt: skip
def test_a_damaged_clip_is_named(folder: Path, damage: Damage, fault: str) -> None:
    place = places_in(folder)[1]
    damage(folder, place)
    with pytest.raises(InputError) as error:
        read_one(folder, place)
    assert str(error.value).startswith(f"{folder / SHARD}:{fault}")


def test_a_pickle_is_not_opened(folder: Path) -> None:
    place = places_in(folder)[1]
    opened = folder / "opened"

    class Trap:
        def __reduce__(self) -> tuple[object, ...]:
            return Path.touch, (opened,)

    overwrite(folder, place.members["mel.npy"][0], npy(np.array([Trap()], dtype=object)))
    with pytest.raises(InputError, match=r"clip-001.mel.npy: .*expected <f4"):
        read_one(folder, place)
    assert not opened.exists()


def test_a_place_that_ends_too_soon_is_named(folder: Path) -> None:
    place = places_in(folder)[1]
    first_byte, n_bytes = place.members["mel.npy"]
    shorter = place._replace(members={**place.members, "mel.npy": (first_byte, n_bytes - 4)})
    with pytest.raises(InputError, match=r"clip-001\.mel\.npy: 60 bytes of values, expected 64"):
        read_one(folder, shorter)


def test_unknown_symbols_are_named(folder: Path) -> None:
    place = places_in(folder)[1]
    _facts('{"n_samples": 32, "raw_text": "N 1", "spoken_text": "n%"}')(folder, place)
    with pytest.raises(InputError) as error:
        read_one(folder, place)
    assert str(error.value).startswith(f"{folder / SHARD}:clip-001: '%' not in the alphabet")


@given(data=st.data())
@settings(max_examples=200, deadline=None)
def test_any_changed_byte_is_a_named_fault_or_another_value(data: st.DataObject, forty: Path) -> None:
    index = read_index(forty)
    place = Places(read_places(forty, index, "train"), forty, index.shards, index.remedy)[1]
    whole = bytearray((forty / place.shard).read_bytes())
    first = place.members["json"][0] - 512
    end = sum(place.members["mel.npy"])
    whole[data.draw(st.integers(first, end - 1), "byte")] = data.draw(st.integers(0, 255), "value")
    copy = forty / "copy"
    copy.mkdir(exist_ok=True)
    (copy / place.shard).write_bytes(whole)
    try:
        read = read_one(copy, place)
    except InputError as error:
        assert error.where.startswith(f"{copy / place.shard}:clip-001")  # noqa: PT017, most bytes are values
    else:
        assert (read.mel.shape, read.wave.shape) == ((2, place.frames), (4 * place.frames,))


@pytest.mark.parametrize(
    ("changed", "fault"),
    [
        ({"shard": "train-00009.tar"}, "no such shard in this split, expected one of the 1 of the index; run `dtc prepro"),
        ({"frames": 0}, "0 frames, expected at least one"),
        ({"members": {"json": [512, 9], "wave.npy": [2048, 9]}}, "no mel.npy, expected json and wave.npy and mel.npy"),
        ({"members": {"json": [512, 1 << 50]}}, "json at bytes 512 to 1125899906843136, expected a place in the shard's"),
        ({"members": {"json": [-512, 9]}}, "json at bytes -512 to -503, expected a place in the shard's"),
        ({"members": {"json": [512, -9]}}, "json at bytes 512 to 503, expected a place in the shard's"),
    ],
)  # fmt: skip
def test_a_place_that_cannot_be_is_refused(folder: Path, changed: dict[str, object], fault: str) -> None:
    index = read_index(folder)
    row = next(read_places(folder, index, "train")).model_dump()
    place = ClipPlace.model_validate_json(json.dumps(row | changed))
    with pytest.raises(InputError) as error:
        Places([place], folder, index.shards, index.remedy)
    assert str(error.value).startswith(f"{folder / place.shard}:clip-000: {fault}")


def test_a_shard_that_is_gone_is_named(folder: Path) -> None:
    place = places_in(folder)[0]
    (folder / SHARD).unlink()
    with pytest.raises(InputError, match=r"train-00000\.tar: no such file, expected a shard of the index"):
        read_one(folder, place)
