"""pipeline.convert, tensor_mel_files, corpora.tensor_mel: shards to files and back; wrong and hostile sets refused."""

import hashlib
import json
import os
import zipfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dtc.audio_config import AudioConfig
from dtc.errors import InputError
from dtc.text.symbols import TextConfig
from pipeline.config import FeaturesConfig, RecordingConfig
from pipeline.convert import WRITERS
from pipeline.corpora import CorpusConfig
from pipeline.corpora.tensor_mel import FORMAT
from pipeline.feature_recipe import FeatureRecipe
from pipeline.features import Features, StoredText
from pipeline.limits import VerifyConfig
from pipeline.manifest import ManifestRow
from pipeline.shard_job import ShardMaker, plan_jobs, shard_files, without_content
from pipeline.shard_reader import FeatureFolder, stored_clips
from pipeline.shard_writer import build_shard, write_entries
from pipeline.shards import ShardIndex, write_index
from pipeline.split import SPLITS, Split
from pipeline.tensor_mel_files import SetFacts, open_split
from pipeline.verify import CorpusFindings, CorpusSettings

RECORDING = RecordingConfig(resample=False, channels="mono", trim_silence_db=None, loudness_lufs=None)
TEXT = TextConfig(symbols="nvidia", normaliser="english")
VERIFY = VerifyConfig(
    faulty_clips="refuse",
    min_duration_s=0.01,
    max_duration_s=20.0,
    max_clipped_share=0.5,
    max_silent_share=0.5,
    silence_db=-60.0,
    min_characters_per_s=0.0,
    max_characters_per_s=100.0,
)
CLIPS: dict[Split, int] = {"train": 5, "validation": 1, "test": 2}
CLIPS_PER_SHARD = 2
ARCHIVE_MD5 = "ab" * 16


def clip(number: int) -> Features:
    generator = np.random.default_rng(number)
    samples = 600 + 300 * number
    raw_text = "Nº 1, é" if number % 2 else "one"
    text = StoredText(raw_text=raw_text, spoken_text="one", n_samples=samples, source_md5=f"{number:032x}")
    wave = generator.integers(-(2**15), 2**15, samples, dtype=np.int16)
    return Features(f"é-{number}", text, wave, generator.normal(size=(80, 1 + samples // 256)).astype(np.float32), None)


def write_shards(folder: Path, audio: AudioConfig) -> ShardIndex:
    """Eight clips, numbered through the splits, in shards of two."""
    folder.mkdir()
    shards, first = [], 0
    for split, clips in CLIPS.items():
        for number, start in enumerate(range(first, first + clips, CLIPS_PER_SHARD)):
            chosen = [clip(n) for n in range(start, min(start + CLIPS_PER_SHARD, first + clips))]
            built = build_shard(f"{split}-{number:05d}.tar", split, chosen, audio)
            (folder / built.facts.shard.file).write_bytes(built.content)
            shards.append(built.facts)
        first += clips
    index = ShardIndex(
        corpus="voice",
        corpus_md5=ARCHIVE_MD5,
        recording=RECORDING,
        audio=audio,
        text=TEXT,
        alphabet=("a",),
        mel_mean=(0.0,) * 80,
        mel_deviation=(1.0,) * 80,
        shards=tuple(facts.shard for facts in shards),
        clips_md5=write_entries(folder, shards),
    )
    write_index(folder, index)
    return index


def convert(format: str, shards: Path, index: ShardIndex, out: Path) -> dict[str, str]:
    out.mkdir()
    sums = {}
    for split in SPLITS:
        sums |= WRITERS[format](stored_clips(FeatureFolder(shards, index), split), SetFacts.of(index, split), out)
    return sums


@dataclass
class Set:
    """A converted set, and the shards that it comes from."""

    shards: Path
    index: ShardIndex
    folder: Path
    sums: dict[str, str]

    def corpus(self, **changes: object) -> CorpusConfig:
        config = CorpusConfig(
            name="voice",
            source=str(self.folder),
            mirrors=(),
            md5=None,
            sha256=None,
            format="tensor_mel",
            checksums=self.sums,
            licence=None,
            consent=None,
        )
        return config.model_copy(update=changes)

    def verify(self, **changes: Any) -> CorpusFindings:
        """Verify the set where it is; unless given, its checksums are those of the files as they are."""
        corpus = changes.get("corpus") or self.corpus(checksums=sums_of(self.folder))
        sections = {"recording": RECORDING, "verify": VERIFY, "audio": self.index.audio, "text": TEXT} | changes
        return FORMAT.verify(self.folder, CorpusSettings(**sections | {"corpus": corpus}), lambda clip: None)

    def open(self, manifest: list[ManifestRow], stft: bool = False) -> tuple[ShardMaker, list[Split], str]:
        """What makes its shards, the split of each row, and the MD5 of the archive."""
        features = FeaturesConfig(stft=stft, clips_per_shard=2)
        recipe = FeatureRecipe(RECORDING, self.index.audio, features)
        corpus = self.corpus(checksums=sums_of(self.folder))
        maker, splits, archive_md5 = FORMAT.open(self.folder, corpus, recipe, manifest)
        return maker, splits, archive_md5()


def sums_of(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.md5(path.read_bytes()).hexdigest() for path in folder.iterdir()}


@pytest.fixture(params=["torch", "numpy"])
def made(request: pytest.FixtureRequest, tmp_path: Path, audio: AudioConfig) -> Set:
    return make("torch" if not hasattr(request, "param") else request.param, tmp_path, audio)


def make(format: str, folder: Path, audio: AudioConfig) -> Set:
    index = write_shards(folder / "shards", audio)
    return Set(folder / "shards", index, folder / "set", convert(format, folder / "shards", index, folder / "set"))


@pytest.fixture
def tensors(tmp_path: Path, audio: AudioConfig) -> Set:
    return make("torch", tmp_path, audio)


@pytest.fixture
def arrays(tmp_path: Path, audio: AudioConfig) -> Set:
    return make("numpy", tmp_path, audio)


# ── there and back ──────────────────────────────────────────────────────────────────────────────────────────────────


def pack(made: Set, folder: Path, finished: frozenset[str] = frozenset()) -> list[str]:
    """Make the shards that are not finished of a set, in `folder`, as `dtc preprocess` does."""
    manifest = made.verify().rows
    maker, splits, _ = made.open(manifest)
    for job in plan_jobs(without_content(manifest), splits, CLIPS_PER_SHARD, finished):
        (folder / job.file).write_bytes(maker.build(job).content)
    return shard_files(splits, CLIPS_PER_SHARD)


def test_a_set_becomes_the_shards_that_it_comes_from(made: Set, tmp_path: Path) -> None:
    (tmp_path / "packed").mkdir()
    files = pack(made, tmp_path / "packed")
    assert files == [shard.file for shard in made.index.shards]
    for file in files:
        assert (tmp_path / "packed" / file).read_bytes() == (made.shards / file).read_bytes(), file


def test_finished_shards_are_not_made_again(made: Set, tmp_path: Path) -> None:
    (tmp_path / "packed").mkdir()
    files = pack(made, tmp_path / "packed", finished=frozenset({"train-00000.tar", "test-00000.tar"}))
    left = {*files} - {"train-00000.tar", "test-00000.tar"}
    assert {path.name for path in (tmp_path / "packed").glob("*.tar")} == left
    for file in left:
        assert (tmp_path / "packed" / file).read_bytes() == (made.shards / file).read_bytes(), file


@pytest.mark.parametrize("format", ["torch", "numpy", "wav"])
def test_equal_clips_give_equal_bytes(
    format: str, tmp_path: Path, audio: AudioConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = write_shards(tmp_path / "shards", audio)
    first = convert(format, tmp_path / "shards", index, tmp_path / "first")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1")
    assert convert(format, Path("shards"), index, Path("zwölf")) == first == sums(tmp_path / "first")


def sums(folder: Path) -> dict[str, str]:
    paths = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): hashlib.md5(path.read_bytes()).hexdigest() for path in paths}


def test_texts_that_are_one_object_or_two_give_the_same_bytes(tmp_path: Path, audio: AudioConfig) -> None:
    index = write_shards(tmp_path / "shards", audio)
    one = "".join(["one ", "two"])
    for name, texts in (("first", [one] * 4), ("second", ["".join(["one ", "two"]) for _ in range(4)])):
        (tmp_path / name).mkdir()
        clips = [
            replace(clip(n), text=clip(n).text.model_copy(update={"raw_text": raw, "spoken_text": spoken}))
            for n, (raw, spoken) in enumerate([texts[:2], texts[2:]])
        ]
        WRITERS["torch"](clips, SetFacts.of(index, "train"), tmp_path / name)
    assert sums(tmp_path / "first") == sums(tmp_path / "second")


def test_what_a_torch_file_holds(tensors: Set) -> None:
    assert sorted(path.name for path in tensors.folder.iterdir()) == ["test.pt", "train.pt", "validation.pt"]
    tree = torch.load(tensors.folder / "train.pt", weights_only=True, mmap=True)
    mel, wave, mel_first, wave_first = (tree.pop(name) for name in ("mel", "wave", "mel_first", "wave_first"))
    for number, facts in enumerate(tree.pop("clips")):
        expected = clip(number)
        assert facts == {
            "id": expected.id,
            "frames": expected.mel.shape[1],
            "samples": len(expected.wave),
            **expected.text.model_dump(exclude={"n_samples"}),
        }
        found = mel[mel_first[number] : mel_first[number + 1]].view(80, -1)
        assert torch.equal(found, torch.from_numpy(expected.mel))
        assert torch.equal(wave[wave_first[number] : wave_first[number + 1]], torch.from_numpy(expected.wave))
    assert tree == {
        "format": "dtc tensor_mel",
        "version": 1,
        "split": "train",
        "corpus": "voice",
        "corpus_md5": ARCHIVE_MD5,
        "recording": RECORDING.model_dump(),
        "audio": tensors.index.audio.model_dump(),
        "text": TEXT.model_dump(),
    }


def test_what_an_npz_holds(arrays: Set) -> None:
    with np.load(arrays.folder / "test.npz", allow_pickle=False) as archive:
        facts = json.loads(archive["clips.json"])
        assert [row["id"] for row in facts["clips"]] == ["é-6", "é-7"]
        assert facts["audio"] == arrays.index.audio.model_dump()
        for number in (6, 7):
            np.testing.assert_array_equal(archive[f"é-{number}.mel"], clip(number).mel)
            np.testing.assert_array_equal(archive[f"é-{number}.wave"], clip(number).wave)
            assert archive[f"é-{number}.mel"].dtype == np.float32
    with zipfile.ZipFile(arrays.folder / "test.npz") as file:
        assert {(m.date_time, m.compress_type) for m in file.infolist()} == {((1980, 1, 1, 0, 0, 0), 0)}


def test_wavs(tmp_path: Path, audio: AudioConfig, make_corpus: Callable[..., Path]) -> None:
    import soundfile

    index = write_shards(tmp_path / "shards", audio)
    found = convert("wav", tmp_path / "shards", index, tmp_path / "wavs")
    assert found == sums(tmp_path / "wavs")
    lists = {split: (tmp_path / f"wavs/{split}.txt").read_text("utf-8") for split in SPLITS}
    assert lists == {"train": "é-0\né-1\né-2\né-3\né-4\n", "validation": "é-5\n", "test": "é-6\né-7\n"}
    lines = (tmp_path / "wavs/metadata.csv").read_text("utf-8").splitlines()
    assert lines[:2] == ["é-0|one|one", "é-1|Nº 1, é|one"]
    for number in range(8):
        samples, rate = soundfile.read(tmp_path / f"wavs/wavs/é-{number}.wav", dtype="int16")
        assert rate == 16000
        np.testing.assert_array_equal(samples, clip(number).wave)


@pytest.mark.parametrize(
    ("clip_id", "change", "fault"),
    [
        ("é-0", {"raw_text": "a|b"}, "é-0: 'a|b', expected no | and no end of line in metadata.csv; convert to torch"),
        ("é-0", {"spoken_text": "a\nb"}, "é-0: 'a\\nb', expected no |"),
        ("a|b", {}, "a|b: 'a|b', expected no |"),
        ("a\\b", {}, "a\\b: a backslash in the name of a file; convert"),
        ("../b", {}, "../b: id: found '../b', expected a name without dots"),
    ],
)
def test_what_a_folder_of_wavs_cannot_hold(
    tmp_path: Path, audio: AudioConfig, clip_id: str, change: dict[str, str], fault: str
) -> None:
    facts = SetFacts.of(write_shards(tmp_path / "shards", audio), "train")
    hostile = replace(clip(0), id=clip_id, text=clip(0).text.model_copy(update=change))
    (tmp_path / "wavs").mkdir()
    with pytest.raises(InputError) as error:
        WRITERS["wav"]([hostile], facts, tmp_path / "wavs")
    assert str(error.value).startswith(fault)


def test_memory_does_not_grow_with_the_set(tmp_path: Path, audio: AudioConfig) -> None:
    """Clips come one by one: none is asked for while more than one before it is alive."""
    facts, alive = SetFacts.of(write_shards(tmp_path / "shards", audio), "train"), list[Any]()

    class Wave(np.ndarray):
        pass

    def clips() -> Iterator[Features]:
        import weakref

        for number in range(5):
            features = clip(number)
            wave = features.wave.view(Wave)
            alive.append(weakref.ref(wave))
            yield replace(features, wave=wave)
            del features, wave
            assert sum(ref() is not None for ref in alive) <= 1

    for format in WRITERS:
        (tmp_path / format).mkdir()
        WRITERS[format](clips(), facts, tmp_path / format)


# ── download ────────────────────────────────────────────────────────────────────────────────────────────────────────


def fetch(corpus: CorpusConfig, tmp_path: Path) -> None:
    FORMAT.fetch(corpus, tmp_path / "part", lambda done, total: None)


def test_the_files_are_copied(made: Set, tmp_path: Path) -> None:
    told = []
    FORMAT.fetch(made.corpus(), tmp_path / "part", lambda *all: told.append(all))
    assert sums(tmp_path / "part") == made.sums
    total = sum((made.folder / name).stat().st_size for name in made.sums)
    assert told[-1] == (total, total)
    assert [done for done, _ in told] == sorted(done for done, _ in told)


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"checksums": {}}, "corpus.checksums: empty, expected the MD5s of train.pt, validation.pt, test.pt, or of "),
        ({"checksums": {"../train.pt": ARCHIVE_MD5}}, "corpus.checksums: ../train.pt, expected the MD5s of train.pt"),
        ({"source": "nowhere"}, "corpus.source: nowhere: no such folder, expected the folder that `dtc convert` wrote"),
        ({"source": "https://example.org/x"}, "corpus.source: https://example.org/x: no such folder"),
    ],
)
def test_a_section_that_names_no_set(tensors: Set, tmp_path: Path, change: dict[str, Any], fault: str) -> None:
    with pytest.raises(InputError) as error:
        fetch(tensors.corpus(**change), tmp_path)
    assert str(error.value).startswith(fault)


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("damage", "fault"),
    [
        (lambda folder: flip(folder / "test.pt"), "test.pt: MD5 "),
        (
            lambda folder: (folder / "validation.pt").unlink(),
            "validation.pt: no such file, expected a file of corpus.c",
        ),
        (lambda folder: (folder / "extra.pt").touch(), "extra.pt: is not in corpus.checksums, expected train.pt, vali"),
        (lambda folder: (folder / "train.npz").touch(), "train.npz: is not in corpus.checksums"),
    ],
)
def test_a_wrong_set_is_refused(tensors: Set, tmp_path: Path, damage: Callable[[Path], Any], fault: str) -> None:
    damage(tensors.folder)
    with pytest.raises(InputError) as error:
        fetch(tensors.corpus(), tmp_path)
    assert str(error.value).startswith(f"{tensors.folder}/{fault}")


def test_a_half_copied_set_is_copied_again(tensors: Set, tmp_path: Path) -> None:
    (tmp_path / "part").mkdir()
    (tmp_path / "part/train.pt").write_bytes(b"half")
    fetch(tensors.corpus(), tmp_path)
    assert sums(tmp_path / "part") == tensors.sums


# ── verify ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_good_set_has_no_faults(made: Set) -> None:
    found = made.verify()
    suffix = {"torch": ".pt"}.get("torch" if (made.folder / "train.pt").exists() else "", ".npz")
    assert found.faults == []
    assert [row.id for row in found.rows] == found.names == [f"é-{number}" for number in range(8)]
    assert found.rows[5] == ManifestRow(
        id="é-5",
        raw_text="Nº 1, é",
        spoken_text="one",
        member=f"validation{suffix}",
        md5=f"{5:032x}",
        samples=2100,
        first_byte=None,
        size_bytes=80 * 9 * 4 + 2100 * 2,
        source_sampling_rate=16000,
        source_channels=1,
        crc32=0,
    )
    assert found.kept.all()
    assert found.characters.tolist() == [3] * 8
    assert found.facts["samples"].tolist() == [len(clip(number).wave) for number in range(8)]
    assert made.open(found.rows)[1:] == (["train"] * 5 + ["validation"] + ["test"] * 2, ARCHIVE_MD5)


@pytest.mark.parametrize(
    ("section", "change", "fault"),
    [
        (
            "audio",
            {"mel_fmax": 7000.0},
            "train.pt and params.yaml: different mels: mel_fmax 8000.0 against 7000.0; set the section audio of params.yaml to the first of",
        ),
        ("recording", {"loudness_lufs": -23.0}, "train.pt and params.yaml: recording.loudness_lufs null against -23.0"),
        ("text", {"normaliser": "none"}, 'train.pt and params.yaml: text.normaliser "english" against "none"; set te'),
    ],
)
def test_other_sections_than_the_sets_are_refused(
    tensors: Set, section: str, change: dict[str, Any], fault: str
) -> None:
    sections = {"audio": tensors.index.audio, "recording": RECORDING, "text": TEXT}
    with pytest.raises(InputError) as error:
        tensors.verify(**{section: sections[section].model_copy(update=change)})
    assert str(error.value).startswith(f"{tensors.folder}/{fault}")


def test_the_archives_checksum_is_compared_where_it_is_given(tensors: Set) -> None:
    assert tensors.verify(corpus=tensors.corpus(md5=ARCHIVE_MD5)).faults == []
    with pytest.raises(InputError, match=f"made from the archive with MD5 {ARCHIVE_MD5}, expected {'0' * 32}; set "):
        tensors.verify(corpus=tensors.corpus(md5="0" * 32))


def test_checksums_are_verified_again(tensors: Set) -> None:
    flip(tensors.folder / "validation.pt")
    with pytest.raises(InputError, match=r"/validation\.pt: MD5 "):
        tensors.verify(corpus=tensors.corpus())


def test_no_magnitudes_are_promised(tensors: Set) -> None:
    with pytest.raises(InputError, match=r"features\.stft: true, expected false with corpus\.format tensor_mel"):
        tensors.open([], stft=True)


Tree = dict[str, Any]


def edit_tensors(made: Set, edit: Callable[[Tree], Any], file: str = "train.pt") -> None:
    tree = torch.load(made.folder / file, weights_only=True)
    torch.save(edit(tree) or tree, made.folder / file)


def set_clip(number: int, **changes: object) -> Callable[[Tree], None]:
    return lambda tree: tree["clips"][number].update(changes)


@pytest.mark.parametrize(
    ("edit", "kind", "fault"),
    [
        (set_clip(1, spoken_text="one €"), "text", "train.pt:é-1: "),
        (set_clip(1, spoken_text=" "), "text", "train.pt:é-1: empty text"),
        (lambda tree: tree["mel"][7].fill_(float("nan")), "decode", "train.pt:é-0: a mel that is not finite, expected"),
        (lambda tree: tree["mel"][7].fill_(-float("inf")), "decode", "train.pt:é-0: a mel that is not finite, expec"),
    ],
)
def test_faults_of_clips(tensors: Set, edit: Callable[[Tree], Any], kind: str, fault: str) -> None:
    edit_tensors(tensors, lambda tree: edit(tree) and None)
    (found,) = tensors.verify().faults
    assert (found.kind, found.member) == (kind, f"train.pt:{found.id}")
    assert str(found.error).startswith(f"{tensors.folder}/{fault}")
    assert len(tensors.verify().rows) == 7


def test_the_bounds_of_verify_hold_here_too(tensors: Set) -> None:
    bounds = {"min_duration_s": 0.04, "max_duration_s": 0.16, "max_characters_per_s": 50.0}
    faults = tensors.verify(verify=VERIFY.model_copy(update=bounds)).faults
    assert [(fault.id, fault.kind) for fault in faults] == [
        ("é-0", "duration"),
        ("é-0", "characters_per_s"),
        ("é-1", "characters_per_s"),
        ("é-7", "duration"),
    ]


def test_a_clip_of_two_splits_is_a_fault(tensors: Set) -> None:
    edit_tensors(tensors, set_clip(0, id="é-4"), "test.pt")
    (fault,) = tensors.verify().faults
    expected = (
        "test.pt:é-4: is in train.pt too, expected one clip an id; a clip must not be used for training and evalu"
    )
    assert str(fault.error).startswith(f"{tensors.folder}/{expected}")


def test_a_clip_of_too_few_frames_or_samples_is_a_fault(tensors: Set) -> None:
    def shorten(tree: Tree) -> Tree:
        """Clip 0: a frame less; clip 1: 300 samples of 900, and two frames of four."""
        mel = [tree["mel"][a:b].view(80, -1) for a, b in pairs(tree["mel_first"])]
        wave = [tree["wave"][a:b] for a, b in pairs(tree["wave_first"])]
        mel[0], mel[1], wave[1] = mel[0][:, 1:], mel[1][:, 2:], wave[1][:300]
        tree["clips"][0]["frames"], tree["clips"][1]["frames"], tree["clips"][1]["samples"] = 2, 2, 300
        tree["mel"], tree["mel_first"] = torch.cat([m.flatten() for m in mel]), first(mel)
        tree["wave"], tree["wave_first"] = torch.cat(wave), first(wave)
        return tree

    edit_tensors(tensors, shorten)
    config = VERIFY.model_copy(update={"max_characters_per_s": 1000.0})
    faults = [str(fault.error).removeprefix(f"{tensors.folder}/") for fault in tensors.verify(verify=config).faults]
    assert faults[0].startswith("train.pt:é-0: 2 frames for 600 samples, expected 3; ")
    assert faults[1] == "train.pt:é-1: 300 samples, expected more than 512; remove the clip"
    assert len(faults) == 2


def pairs(first: torch.Tensor) -> list[tuple[int, int]]:
    return list(zip(first.tolist(), first.tolist()[1:], strict=False))


def first(parts: Iterable[torch.Tensor]) -> torch.Tensor:
    return torch.tensor([0, *np.cumsum([part.numel() for part in parts])])


# ── hostile files ───────────────────────────────────────────────────────────────────────────────────────────────────


class Code:
    """Unpickled, it would run."""

    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        return os.system, ("touch pwned",)


def change(**changes: object) -> Callable[[Tree], None]:
    return lambda tree: tree.update(changes)


def view_of(values: int, shape: tuple[int, ...], stride: tuple[int, ...], dtype: torch.dtype) -> torch.Tensor:
    return torch.zeros(values, dtype=dtype).as_strided(shape, stride)


def circle() -> list[Any]:
    tree: list[Any] = []
    tree.append(tree)
    return tree


def deep() -> list[Any]:
    tree: list[Any] = []
    for _ in range(300):  # torch.save itself has enough of some more
        tree = [tree]
    return tree


@pytest.mark.parametrize(
    ("edit", "fault"),
    [
        (
            change(extra=Code()),
            "train.pt: a pickle that needs posix.system, which is code, expected tensors, texts and",
        ),
        (
            change(extra=Path("x")),
            f"train.pt: a pickle that needs {type(Path()).__module__}.PosixPath, which is code, expected tensors",
        ),
        (change(extra=np.zeros(3)), "train.pt: a pickle that needs numpy._core.multiarray._reconstruct, which is co"),
        (change(extra=1), "train.pt: extra: unknown key; did you mean text?"),
        (lambda tree: tree["clips"], "train.pt: no clips, expected what `dtc convert` writes; run"),
        (
            lambda tree: {key: value for key, value in tree.items() if key != "wave"},
            "train.pt: no wave, expected what `dtc convert` writes",
        ),
        (change(version=2), "train.pt: version: found 2, expected 1"),
        (change(split="test"), "train.pt: holds the clips of split test, expected train; do not rename"),
        (change(audio={}), "train.pt: audio.sampling_rate: missing"),
        (change(corpus=torch.zeros(2)), "train.pt: holds what is no plain data (Object of type Tensor is not JSON"),
        (change(clips={}), "train.pt: clips: dict, expected a list"),
        (change(clips=[]), "train.pt: mel_first: is not where the clips begin by their lengths"),
        (change(clips=circle()), "train.pt: clips.0: holds what is no plain data (Circular reference"),
        (change(clips=[deep()]), "train.pt: clips.0: "),
        (set_clip(0, id="a/b"), "train.pt: clips.0: id: found 'a/b', expected a name without dots, slashes and"),
        (set_clip(0, id="../b"), "train.pt: clips.0: id: found '../b', expected a name"),
        (set_clip(0, id="a\nb"), "train.pt: clips.0: id: found 'a\\nb', expected a name"),
        (set_clip(2, id="é-1"), "train.pt: clips.2: a second clip é-1, expected one clip an id; run"),
        (set_clip(0, id=""), "train.pt: clips.0: id: found '', expected a name"),
        (set_clip(0, id="é" * 41), "train.pt: clips.0: id: found 'éé"),
        (
            set_clip(0, spoken_text=torch.zeros(2)),
            "train.pt: clips.0: holds what is no plain data (Object of type Tens",
        ),
        (set_clip(0, spoken_text=b"one"), "train.pt: clips.0: holds what is no plain data (Object of type bytes"),
        (set_clip(0, spoken_text="\ud800"), "train.pt: clips.0: "),
        (set_clip(0, frames=-3), "train.pt: clips.0: frames: found -3, expected"),
        (set_clip(0, frames=True), "train.pt: clips.0: frames: found true, expected an integer"),
        (set_clip(0, samples=10**30), "train.pt: clips.0: samples: found "),
        (set_clip(0, samples=1 << 39), "train.pt: wave_first: is not where the clips begin by their lengths"),
        (change(mel="a string"), "train.pt: mel: a str, expected a plain tensor of torch.float32 with one axis"),
        (change(mel=None), "train.pt: mel: a NoneType, expected a plain tensor"),
        (change(mel=torch.zeros(9).double()), "train.pt: mel: torch.float64 of shape (9,), expected a plain tensor"),
        (change(mel=torch.zeros(80, 3)), "train.pt: mel: torch.float32 of shape (80, 3), expected a plain tensor"),
        (change(mel=torch.zeros(9).to_sparse()), "train.pt: mel: a Tensor, expected a plain tensor"),
        (change(mel=torch.nn.Parameter(torch.zeros(9))), "train.pt: mel: a Parameter, expected a plain tensor"),
        (change(mel=torch.zeros(9, device="meta")), "train.pt: mel: a Tensor, expected a plain tensor"),
        (change(mel=view_of(1, (1 << 40,), (0,), torch.float32)), "train.pt: mel: torch.float32 of shape (1099511627"),
        (change(wave=torch.zeros(5).short()), "train.pt: wave: 5 values, expected 6000 by its clips"),
        (change(wave_first=torch.tensor([-1, 2])), "train.pt: wave_first: is not where the clips begin"),
        (change(mel_first=torch.zeros(2)), "train.pt: mel_first: torch.float32 of shape (2,), expected a plain tensor"),
    ],
)
def test_a_hostile_torch_file_is_refused(
    tensors: Set, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, edit: Callable[[Tree], Any], fault: str
) -> None:
    monkeypatch.chdir(tmp_path)
    edit_tensors(tensors, edit)
    with pytest.raises(InputError) as error:
        tensors.verify()
    assert str(error.value).startswith(f"{tensors.folder}/{fault}")
    assert not (tmp_path / "pwned").exists()


def repack(file: Path, edit: Callable[[dict[str, bytes]], Any], compression: int = zipfile.ZIP_STORED) -> None:
    """The zip with its members edited."""
    with zipfile.ZipFile(file) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    edit(members)
    with zipfile.ZipFile(file, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(name, content)


def edit_json(edit: Callable[[Tree], Any]) -> Callable[[dict[str, bytes]], None]:
    def edit_members(members: dict[str, bytes]) -> None:
        tree = json.loads(members["clips.json"])
        edit(tree)
        members["clips.json"] = json.dumps(tree).encode()

    return edit_members


def npy(array: np.ndarray) -> bytes:
    import io

    stream = io.BytesIO()
    np.save(stream, array, allow_pickle=True)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("edit", "fault"),
    [
        (lambda members: members.pop("clips.json"), "train.npz: does not read as an npz file ("),
        (change(**{"clips.json": b"{"}), "train.npz: does not read as an npz file ("),
        (change(**{"clips.json": b"[" * 100_000}), "train.npz: does not read as an npz file ("),
        (change(**{"clips.json": b"[]"}), "train.npz: no clips, expected what `dtc convert` writes"),
        (edit_json(change(version=2)), "train.npz: version: found 2, expected 1"),
        (edit_json(set_clip(0, id="a/b")), "train.npz: clips.0: id: found 'a/b', expected a name"),
        (edit_json(set_clip(0, id="b")), "train.npz: and its clips.json differ in 'b.mel.npy', 'b.wave.npy', 'é-0.m"),
        (lambda members: members.pop("é-0.mel.npy"), "train.npz: and its clips.json differ in 'é-0.mel.npy', expected"),
        (change(**{"more.npy": b""}), "train.npz: and its clips.json differ in 'more.npy', expected"),
        (change(**{"é-0.mel.npy": b""}), "train.npz:é-0.mel.npy: no npy header of a plain array, expected <f4 ("),
        (change(**{"é-0.wave.npy": npy(np.zeros(600))}), "train.npz:é-0.wave.npy: <f8 (600,), expected <i2 ("),
        (change(**{"é-0.wave.npy": npy(np.array([None]))}), "train.npz:é-0.wave.npy: |O (1,), expected <i2 (600,)"),
        (edit_json(set_clip(0, frames=1 << 39)), "train.npz:é-0.mel.npy: <f4 (80, 3), expected <f4 (80, 549755813888)"),
    ],
)
def test_a_hostile_npz_is_refused(arrays: Set, edit: Callable[[dict[str, bytes]], Any], fault: str) -> None:
    repack(arrays.folder / "train.npz", edit)
    with pytest.raises(InputError) as error:
        arrays.verify()
    assert str(error.value).startswith(f"{arrays.folder}/{fault}")


def test_nothing_is_decompressed(made: Set) -> None:
    (file,) = made.folder.glob("train.*")
    repack(file, lambda members: None, zipfile.ZIP_DEFLATED)
    with pytest.raises(InputError, match=r": is compressed or encrypted, expected stored; run `dtc convert` again"):
        made.verify()


def test_no_zip_at_all(made: Set) -> None:
    (file,) = made.folder.glob("train.*")
    for content in (b"", b"PK", b"\x80\x02}q\x00.", b"<html>"):
        file.write_bytes(content)
        with pytest.raises(InputError, match=r"train\.\w+: does not read as an? \w+ file \("):
            made.verify()


def test_an_old_torch_file_is_refused(tensors: Set) -> None:
    torch.save({"mel": torch.zeros(3)}, tensors.folder / "train.pt", _use_new_zipfile_serialization=False)
    with pytest.raises(InputError, match=r"train\.pt: does not read as a torch file \(File is not a zip file\)"):
        tensors.verify()


@pytest.fixture(scope="module", params=["torch", "numpy"])
def whole(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, audio: AudioConfig) -> Set:
    return make(request.param, tmp_path_factory.mktemp("whole"), audio)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_damaged_file_is_named_or_reads(whole: Set, tmp_path: Path, data: st.DataObject) -> None:
    """Any few bytes changed, or the end cut off: an InputError of one line, or arrays of the right shapes."""
    (source,) = whole.folder.glob("validation.*")
    content = bytearray(source.read_bytes())
    # Most of a file is samples, where a changed byte is just another sample: aim at its structure too.
    structure = [place for mark in (b"PK", b"clips", b"mel", b"\x80\x02") for place in find_all(content, mark)]
    places = st.one_of(st.integers(0, len(content) - 1), st.sampled_from(structure).flatmap(near(len(content))))
    for place in data.draw(st.lists(places, min_size=1, max_size=4)):
        content[place] = data.draw(st.integers(0, 255))
    size = data.draw(st.one_of(st.just(len(content)), st.integers(0, len(content))))
    damaged = tmp_path / source.name
    damaged.write_bytes(content[:size])
    fault = read_all(damaged)
    assert fault is None or (str(fault).startswith(str(damaged)) and "\n" not in str(fault))


def read_all(file: Path) -> InputError | None:
    """Every byte of every clip, or the fault."""
    try:
        split = open_split(file)
        for number, facts in enumerate(split.clips):
            mel, wave = split.arrays(number)
            assert (mel.shape, wave.shape) == ((split.facts.audio.n_mel_channels, facts.frames), (facts.samples,))
            assert len(mel.tobytes() + wave.tobytes()) == split.row(number).size_bytes
    except InputError as error:
        return error
    return None


def find_all(content: bytes, mark: bytes) -> Iterator[int]:
    place = content.find(mark)
    while place >= 0:
        yield place
        place = content.find(mark, place + 1)


def near(size: int) -> Callable[[int], st.SearchStrategy[int]]:
    return lambda place: st.integers(place, min(place + 80, size - 1))


def test_the_manifest_of_another_set_is_refused(made: Set) -> None:
    rows = made.verify().rows
    maker, splits, _ = made.open(rows)
    (job, *_) = plan_jobs(without_content([replace(rows[0], raw_text="two"), *rows[1:]]), splits, 2, frozenset())
    with pytest.raises(
        InputError, match=r"é-0: is not as in the manifest, expected the same clip; run `dtc verify` ag"
    ):
        maker.build(job)
    with pytest.raises(
        InputError, match=r"é-0 in the manifest: is in wavs/a.wav, expected a converted set; run `dtc v"
    ):
        made.open([replace(rows[0], member="wavs/a.wav")])


def test_the_order_of_the_checksums_does_not_matter(tensors: Set) -> None:
    backwards = dict(reversed(tensors.sums.items()))
    assert list(FORMAT.files(tensors.corpus(checksums=backwards))) == ["train.pt", "validation.pt", "test.pt"]
