"""pipeline.shard_reader and the entries of a loader: a clip by its index entry; whatever differs from the index is refused."""

import gc
import io
import json
import os
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_features import tiny_clip, write_features

from dtc.batch import Clip
from dtc.errors import InputError
from dtc.provenance import md5_of
from pipeline.loader import ClipEntries
from pipeline.remote import open_features
from pipeline.shard_reader import MEMBERS, MOST_OPEN_SHARDS, FeatureFolder, ShardReader, from_npy, stored_shards
from pipeline.shards import CLIPS, IndexEntry, read_entries, read_index, write_index

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


def places_in(folder: Path) -> ClipEntries:
    return ClipEntries(open_features(folder), "train")


def read_one(folder: Path, place: IndexEntry) -> Clip:
    with ShardReader(Unverified(folder, read_index(folder))) as reader:
        return reader.read_clip(place)


class Unverified(FeatureFolder):
    """Whose shards are opened whatever their MD5: the checks of a member are the second line of defence."""

    def shard(self, file: str) -> Path:
        return self.folder / file


def overwrite(folder: Path, first_byte: int, content: bytes) -> None:
    with (folder / SHARD).open("r+b") as file:
        file.seek(first_byte)
        file.write(content)


def npy(array: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def test_a_clip_is_as_it_was_written(folder: Path) -> None:
    with ShardReader(open_features(folder)) as reader:
        for number, place in reversed(list(enumerate(places_in(folder)))):
            read, written = reader.read_clip(place), tiny_clip(number)
            assert (read.id, read.raw_text, read.spoken_text) == (f"clip-00{number}", f"N {number}", "n" * (1 + number))
            assert torch.equal(read.mel, torch.from_numpy(written.mel))
            assert torch.equal(read.wave, torch.from_numpy(written.wave) / 32768)
            assert len(read.symbol_ids) == 1 + number


def test_places_are_those_of_the_index(forty: Path) -> None:
    expected = list(read_entries(forty, read_index(forty), "train"))
    places = places_in(forty)
    assert len(places) == 40
    assert list(places) == expected
    assert places[-1] == expected[-1]
    with pytest.raises(IndexError):
        places[40]


def test_places_take_little_memory(forty: Path) -> None:
    """A corpus of a million clips is to fit beside a model."""
    row = next(read_entries(forty, read_index(forty), "train"))

    class Many(FeatureFolder):
        def entries(self, split: str) -> Iterator[IndexEntry]:
            return (replace(row, id=f"LJ001-{n:06d}") for n in range(5000))

    many = Many(forty, read_index(forty))
    gc.collect()
    tracemalloc.start()
    places = ClipEntries(many, "train")
    taken = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert taken / len(places) < 200


def test_a_reader_holds_few_files(tmp_path: Path) -> None:
    write_features(tmp_path, 3 * (MOST_OPEN_SHARDS + 5))
    places = places_in(tmp_path)
    with ShardReader(open_features(tmp_path)) as reader:
        assert [reader.read_clip(place).id for place in places] == places.ids
        open_files = [file for file, _ in reader._files.values()]
        assert len(open_files) == MOST_OPEN_SHARDS
    assert all(file.closed for file in open_files)


Damage = Callable[[Path, IndexEntry], None]


def _in(member: str, content: bytes, at: int = 0) -> Damage:
    return lambda folder, place: overwrite(folder, place.members[member][0] + at, content)


def _facts(content: str) -> Damage:
    return lambda folder, place: _in("json", content.ljust(place.members["json"][1]).encode())(folder, place)


@pytest.mark.parametrize(
    ("damage", "fault"),
    [
        (_facts("["), "clip-001.json: not the texts of a clip (Invalid JSON: "),
        (
            _facts('{"raw_text": 1, "spoken_text": "n", "n_samples": 32}'),
            "clip-001.json: not the texts of a clip (raw_text: Input should be a valid string); run `dtc pre",
        ),
        (
            _facts('{"spoken_text": "n", "n_samples": 32}'),
            "clip-001.json: not the texts of a clip (raw_text: Field required",
        ),
        (_in("json", b"\xff", at=15), "clip-001.json: not the texts of a clip (Invalid JSON: "),
        (_in("mel.npy", b"x"), "clip-001.mel.npy: no npy header of a plain array, expected <f4 (2, 8); run `dtc pre"),
        (_in("mel.npy", b"'<f8'", at=20), "clip-001.mel.npy: <f8 (2, 8), expected <f4 (2, 8)"),
        (_in("mel.npy", npy(np.zeros((2, 7), np.float32))), "clip-001.mel.npy: <f4 (2, 7), expected <f4 (2, 8)"),
        (_in("mel.npy", npy(np.zeros(16, np.float32))), "clip-001.mel.npy: <f4 (16,), expected <f4 (2, 8)"),
        (_in("mel.npy", npy(np.zeros((2, 8), ">f4"))), "clip-001.mel.npy: >f4 (2, 8), expected <f4 (2, 8)"),
        (
            _in("mel.npy", npy(np.zeros((2, 8), "<f4", order="F"))),
            "clip-001.mel.npy: <f4 (2, 8) in Fortran order, expected",
        ),
        (_in("wave.npy", npy(np.zeros((1, 32), np.int16))), "clip-001.wave.npy: <i2 (1, 32), expected <i2 (32,)"),
        (_in("wave.npy", npy(np.zeros(31, np.int16))), "clip-001.wave.npy: <i2 (31,), expected <i2 (32,)"),
        (_in("mel.npy", b"another", at=-512), "clip-001.mel.npy: is not where the index says; the shard was changed"),
        (lambda folder, place: (folder / SHARD).write_bytes(b""), "clip-001: json at bytes "),
    ],
)
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
    shorter = replace(place, members={**place.members, "mel.npy": (first_byte, n_bytes - 4)})
    with pytest.raises(InputError, match=r"clip-001\.mel\.npy: 60 bytes of values, expected 64"):
        read_one(folder, shorter)


def test_unknown_symbols_are_named(folder: Path) -> None:
    place = places_in(folder)[1]
    first_byte, n_bytes = place.members["json"]
    text = (folder / SHARD).read_bytes()[first_byte : first_byte + n_bytes]
    overwrite(folder, first_byte, text.replace(b'"nn"', b'"n%"'))
    with pytest.raises(InputError) as error:
        read_one(folder, place)
    assert str(error.value).startswith(f"{folder / SHARD}:clip-001: '%' not in the alphabet")


@given(data=st.data())
@settings(max_examples=200, deadline=None)
def test_any_changed_byte_is_a_named_fault_or_another_value(data: st.DataObject, forty: Path) -> None:
    index = read_index(forty)
    place = places_in(forty)[1]
    whole = bytearray((forty / place.shard).read_bytes())
    first = place.members["json"][0] - 512
    end = sum(place.members["mel.npy"])
    whole[data.draw(st.integers(first, end - 1), "byte")] = data.draw(st.integers(0, 255), "value")
    copy = forty / "copy"
    copy.mkdir(exist_ok=True)
    write_index(copy, index)
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
        (
            {"shard": "train-00009.tar"},
            "no such shard in this split, expected one of the 1 of the index; run `dtc prepro",
        ),
        ({"members": {"json": [512, 9], "wave.npy": [2048, 9]}}, "no mel.npy, expected json and wave.npy and mel.npy"),
    ],
)
def test_a_place_that_cannot_be_is_refused(folder: Path, changed: dict[str, object], fault: str) -> None:
    edit_first_place(folder, changed)
    with pytest.raises(InputError) as error:
        places_in(folder)
    assert str(error.value).startswith(f"{folder / str(changed.get('shard', SHARD))}:clip-000: {fault}")


def edit_first_place(folder: Path, changed: dict[str, object]) -> None:
    """Change clips.jsonl, and its MD5 in the index: features from elsewhere may say anything."""
    first, *lines = (folder / CLIPS).read_text().splitlines()
    (folder / CLIPS).write_text("\n".join([json.dumps(json.loads(first) | changed), *lines, ""]))
    write_index(folder, read_index(folder).model_copy(update={"clips_md5": md5_of(folder / CLIPS)}))


@pytest.mark.parametrize(
    ("changed", "fault"),
    [
        ({"frames": 0}, "frames: Input should be greater than or equal to 1"),
        ({"frames": 1 << 70}, "frames: Input should be less than "),
        ({"members": {"json": [-512, 9]}}, "members.json.0: Input should be greater than or equal to 512"),
        ({"members": {"json": [512, -9]}}, "members.json.1: Input should be greater than or equal to 0"),
        ({"members": {"json": [512, 1 << 70]}}, "members.json.1: Input should be less than "),
        ({"shard": "../train-00000.tar"}, "shard: String should match pattern"),
        ({"split": "dev"}, "split: Input should be 'train', 'validation' or 'test'"),
    ],
)
def test_a_line_that_is_no_entry_is_refused(folder: Path, changed: dict[str, object], fault: str) -> None:
    edit_first_place(folder, changed)
    with pytest.raises(InputError) as error:
        places_in(folder)
    assert str(error.value).startswith(f"{folder / CLIPS}:1: not the entry of a clip ({fault}")
    assert str(error.value).endswith(f"; {AGAIN}")


def test_no_memory_is_reserved_for_more_than_a_shard_holds(folder: Path) -> None:
    edit_first_place(folder, {"members": {name: [512, 1 << 50] for name in MEMBERS}})
    with pytest.raises(InputError, match=r"clip-000: json at bytes 512 to 1125899906843136, expected at most \d+ byte"):
        read_one(folder, places_in(folder)[0])


def test_a_shard_that_is_gone_is_named(folder: Path) -> None:
    place = places_in(folder)[0]
    (folder / SHARD).unlink()
    with pytest.raises(InputError, match=r"train-00000\.tar: no such file, expected a shard of the index"):
        open_features(folder).shard(place.shard)


def test_a_shard_is_hashed_when_it_is_first_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once in a process, whatever readers open it, until it is changed."""
    index, hashed = write_features(tmp_path, 7), list[str]()
    for path in tmp_path.iterdir():
        os.utime(path, (1e9, 1e9))  # a file that was written just now is hashed again
    monkeypatch.setattr("pipeline.shards.md5_of", lambda path: hashed.append(path.name) or md5_of(path))
    places = places_in(tmp_path)
    assert hashed == [CLIPS]
    for _ in range(2):
        with ShardReader(open_features(tmp_path)) as reader:
            for place in (places[0], places[6], places[1]):
                reader.read(place)
    assert hashed == [CLIPS, "train-00000.tar", "train-00002.tar"]
    shard = tmp_path / "train-00000.tar"
    shard.write_bytes(shard.read_bytes()[:-1] + b"?")
    with (
        ShardReader(open_features(tmp_path)) as reader,
        pytest.raises(
            InputError, match=rf"^{shard}: MD5 \w+, expected {index.shards[0].md5}; the file was changed; {AGAIN}$"
        ),
    ):
        reader.read(places[0])


def test_an_array_with_the_header_of_another_numpy_is_read() -> None:
    """Versions of numpy pad the header to other lengths."""
    array = np.arange(6, dtype="<f4").reshape(2, 3)
    text = b"{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }"
    content = b"\x93NUMPY\x01\x00" + len(text + b"\n").to_bytes(2, "little") + text + b"\n" + array.tobytes()
    np.testing.assert_array_equal(from_npy(content, "<f4", (2, 3), "a.npy", AGAIN), array)
    with pytest.raises(InputError, match=r"a\.npy: no npy header of a plain array, expected <f4 \(2, 3\)"):
        from_npy(content.replace(b"\x01\x00", b"\x02\x00", 1), "<f4", (2, 3), "a.npy", AGAIN)


def test_whole_shards_come_with_their_clips(forty: Path) -> None:
    wanted = {"train-00001.tar", "train-00013.tar"}
    found = {shard.file: [clip.id for clip in clips] for shard, clips in stored_shards(open_features(forty), wanted)}
    assert found == {"train-00001.tar": ["clip-003", "clip-004", "clip-005"], "train-00013.tar": ["clip-039"]}
