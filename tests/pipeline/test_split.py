"""Test the splits by a hash of seed and id, by exact shares and by lists, and the lists that ship."""

import re
from collections import Counter
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from dtc.errors import InputError
from pipeline.split import (
    SHIPPED,
    SPLITS,
    HashSplit,
    ListedSplit,
    RatioSplit,
    Split,
    SplitConfig,
    assign_splits,
    describe_unknown_ids,
    require_every_split,
    split_of,
)

IDS = [f"LJ{chapter:03d}-{clip:04d}" for chapter in range(1, 51) for clip in range(1, 101)]
FOUR_DEVIATIONS = 4 * (0.25 / len(IDS)) ** 0.5  # of a share counted over 5000 clips: 0.028
NVIDIA = ListedSplit(method="lists", lists="nvidia-ljspeech")


def by_hash(validation_share: float = 0.05, test_share: float = 0.12, seed: int = 1) -> HashSplit:
    return HashSplit(method="hash", validation_share=validation_share, test_share=test_share, seed=seed)


def by_ratio(validation_share: float = 0.05, test_share: float = 0.12, seed: int = 1) -> RatioSplit:
    return RatioSplit(method="ratio", validation_share=validation_share, test_share=test_share, seed=seed)


@pytest.mark.parametrize(("validation_share", "test_share"), [(0.05, 0.12), (0.01, 0.01), (0.4, 0.4)])
def test_shares_are_about_right(validation_share: float, test_share: float) -> None:
    splits = [split_of(clip, by_hash(validation_share, test_share)) for clip in IDS]
    expected = {"validation": validation_share, "test": test_share, "train": 1 - validation_share - test_share}
    assert {name: splits.count(name) / len(IDS) for name in expected} == pytest.approx(expected, abs=FOUR_DEVIATIONS)


def test_the_splits_of_known_ids_do_not_change() -> None:
    """A changed hash would silently teach models what they were tested on."""
    ids = [f"clip-{n:03d}" for n in range(8)]
    assert assign_splits(ids, by_hash(0.25, 0.25)) == [
        "test",
        "validation",
        "train",
        "test",
        "test",
        "train",
        "train",
        "train",
    ]
    assert assign_splits(ids, by_ratio(0.25, 0.25)) == [
        "test",
        "validation",
        "train",
        "test",
        "validation",
        "train",
        "train",
        "train",
    ]


@given(st.text(), st.integers(0, 2**31), st.floats(0.01, 0.2), st.floats(0.01, 0.2))
def test_a_larger_test_share_keeps_its_clips(clip: str, seed: int, test_share: float, more: float) -> None:
    before, after = (split_of(clip, by_hash(0.2, share, seed)) for share in (test_share, test_share + more))
    assert before != "test" or after == "test"


def test_another_seed_is_another_split() -> None:
    for by in (by_hash, by_ratio):
        assert assign_splits(IDS, by(seed=1)) != assign_splits(IDS, by(seed=2))


shares = st.floats(0.001, 0.499)
ids = st.lists(st.text(), unique=True, max_size=60)


@given(ids, shares, shares, st.integers(0, 99))
def test_ratios_are_exact(ids: list[str], validation_share: float, test_share: float, seed: int) -> None:
    counts = Counter(assign_splits(ids, by_ratio(validation_share, test_share, seed)))
    assert counts["test"] == round(test_share * len(ids))
    assert counts["validation"] == round(validation_share * len(ids))
    assert counts.total() == len(ids)


def test_ratios_of_ljspeech() -> None:
    counts = Counter(assign_splits([str(number) for number in range(13_100)], by_ratio(100 / 13_100, 500 / 13_100)))
    assert counts == {"train": 12_500, "validation": 100, "test": 500}


@given(ids, st.randoms(use_true_random=False), st.sampled_from([by_hash(0.3, 0.3), by_ratio(0.3, 0.3), NVIDIA]))
def test_the_order_of_the_ids_does_not_matter(ids: list[str], random, config: SplitConfig) -> None:
    ids = [*ids, "LJ022-0023", "LJ045-0096"]
    splits = dict(zip(ids, assign_splits(ids, config), strict=True))
    random.shuffle(ids)
    assert dict(zip(ids, assign_splits(ids, config), strict=True)) == splits
    assert set(splits.values()) <= set(SPLITS)


# --- lists


def assign(folder: Path, ids: list[str], **lists: str) -> list[Split]:
    (folder / "mine").mkdir()
    for name, text in lists.items():
        (folder / "mine" / f"{name}.txt").write_text(text, encoding="utf-8", newline="")
    return assign_splits(ids, ListedSplit(method="lists", lists="mine"), folder)


def test_a_line_is_an_id_a_path_or_a_row_of_a_filelist(tmp_path: Path) -> None:
    splits = assign(
        tmp_path, list("abcde"), validation="\ufeffa\r\n\r\nDUMMY/b.wav|It\u2028e\r\n", test="C:\\x\\c.wav\n"
    )
    assert splits == ["validation", "validation", "test", "train", "train"]


def test_listed_ids_that_the_corpus_lacks_are_ignored(tmp_path: Path) -> None:
    assert assign(tmp_path, ["b"], validation="a\n", test="b\n", train="c\n") == ["test"]


@pytest.mark.parametrize(
    ("lists", "line"),
    [
        (
            {"validation": "a\n", "test": "b\n", "train": "c\n"},
            "mine: 6 clips in no list (d, e, f, g and 2 more), expected every clip in one; "
            "list them, or remove train.txt: without it the rest is train",
        ),
        (
            {"validation": "a\n", "test": "b\n", "train": "c\nd\ne\nf\ng\nh\n"},
            "mine: 1 clip in no list (i), expected every clip in one; "
            "list them, or remove train.txt: without it the rest is train",
        ),
        (
            {"validation": "x\na\n", "test": "wavs/a.wav\n"},
            "mine/test.txt:1: a again, first at {}/mine/validation.txt:2, expected one list a clip",
        ),
        (
            {"validation": "a\n", "test": "b\nb\n"},
            "mine/test.txt:2: b again, first at {}/mine/test.txt:1, expected one list a clip",
        ),
        (
            {"validation": "a\n"},
            "mine/test.txt: cannot be read (No such file or directory), expected one id a line; write it",
        ),
    ],
)
def test_lists_that_leave_out_or_repeat_a_clip_are_refused(tmp_path: Path, lists: dict[str, str], line: str) -> None:
    with pytest.raises(InputError) as error:
        assign(tmp_path, list("abcdefghi"), **lists)
    assert str(error.value) == f"{tmp_path}/{line.format(tmp_path)}"


def test_lists_that_are_not_there_or_in_another_encoding(tmp_path: Path) -> None:
    for known, others in (("nvidia-ljspeech", ()), ("mine, nvidia-ljspeech", ("mine",))):
        for name in others:
            (tmp_path / name).mkdir()
        with pytest.raises(InputError) as error:
            assign_splits(["a"], ListedSplit(method="lists", lists="yours"), tmp_path)
        assert str(error.value) == (
            f"split.lists: no folder {tmp_path}/yours, expected one of {tmp_path}/ ({known}); "
            "put validation.txt and test.txt there, and train.txt to refuse unlisted clips; or name another folder"
        )


def test_own_lists_come_before_shipped_ones_of_the_same_name(tmp_path: Path) -> None:
    (tmp_path / "nvidia-ljspeech").mkdir()
    (tmp_path / "nvidia-ljspeech/validation.txt").write_bytes("é".encode("latin-1"))
    with pytest.raises(InputError, match=r"validation\.txt:1: byte 0 is not UTF-8"):
        assign_splits(["a"], NVIDIA, tmp_path)


@pytest.mark.parametrize(
    ("config", "splits", "line"),
    [
        (
            by_hash(),
            ["train", "test"],
            "hash leaves validation without one of 2 clips, expected clips in every split; record more: 3 clips are the fewest",
        ),
        (
            by_hash(seed=7),
            ["train", "test", "train", "train"] * 10,
            "hash leaves validation without one of 40 clips, expected clips in every split; replace the section split by `split: {method: ratio, validation_share: 0.05, test_share: 0.12, seed: 7}`, which meets the shares exactly; or record more",
        ),
        (
            by_ratio(),
            ["train", "validation", "train", "train"],
            "ratio leaves test without one of 4 clips, expected clips in every split; replace the section split by `split: {method: ratio, validation_share: 0.25, test_share: 0.25, seed: 1}`, which meets the shares exactly; or record more",
        ),
        (
            NVIDIA,
            ["train"] * 100,
            "lists leaves validation without one of 100 clips, expected clips in every split; list clips of this corpus in splits/nvidia-ljspeech/validation.txt, or replace the section split by `split: {method: ratio, validation_share: 0.05, test_share: 0.12, seed: 1}`, which needs no lists",
        ),
    ],
)
def test_an_empty_split_names_the_remedy_of_its_method(config: SplitConfig, splits: list[Split], line: str) -> None:
    with pytest.raises(InputError) as error:
        require_every_split(splits, config)
    assert str(error.value) == f"split.method: {line}"
    require_every_split(SPLITS, config)


@given(st.integers(3, 300), st.sampled_from([by_hash, by_ratio]), shares, shares)
def test_the_line_of_the_remedy_leaves_no_split_empty(
    clips: int, by, validation_share: float, test_share: float
) -> None:
    for config in (by(validation_share, test_share, 5), NVIDIA):
        with pytest.raises(InputError) as error:
            require_every_split(["train"] * clips, config)
        line = re.search("`(split: .*)`", error.value.remedy)[1]
        advised = TypeAdapter[SplitConfig](SplitConfig).validate_python(yaml.safe_load(line)["split"])
        assert set(assign_splits(IDS[:clips], advised)) == set(SPLITS)


def test_the_published_split_of_ljspeech() -> None:
    """100 and 500 of 13,100 clips; the first and last of each list are those of the published one."""
    lists = {name: (SHIPPED / f"nvidia-ljspeech/{name}.txt").read_text().split() for name in SPLITS[1:]}
    assert {name: (len(ids), ids[0], ids[-1]) for name, ids in lists.items()} == {
        "validation": (100, "LJ022-0023", "LJ004-0045"),
        "test": (500, "LJ045-0096", "LJ050-0209"),
    }
    listed = lists["validation"] + lists["test"]
    others = sorted({f"LJ{chapter:03d}-{clip:04d}" for chapter in range(1, 51) for clip in range(1, 600)} - {*listed})
    splits = assign_splits(listed + others[:12_500], NVIDIA)
    assert Counter(splits) == {"train": 12_500, "validation": 100, "test": 500}
    assert splits[:100] == ["validation"] * 100


@pytest.mark.parametrize("method", ["hash", "ratio"])
@pytest.mark.parametrize(
    "wrong",
    [
        {"validation_share": 0.0},
        {"test_share": 0.5},
        {"test_share": -0.1},
        {"seed": -1},
        {"method": "x"},
        {"lists": "a"},
    ],
)
def test_section_is_strict(method: str, wrong: dict[str, object]) -> None:
    right = {"method": method, "validation_share": 0.05, "test_share": 0.12, "seed": 1}
    sections = TypeAdapter[SplitConfig](SplitConfig)
    sections.validate_python(right)
    with pytest.raises(ValidationError):
        sections.validate_python(right | wrong)


@pytest.mark.parametrize("lists", ["", "../a", "a/b", "a b"])
def test_a_name_of_lists_is_a_folder_in_splits(lists: str) -> None:
    with pytest.raises(ValidationError):
        ListedSplit(method="lists", lists=lists)


def test_composed_and_decomposed_ids_are_the_same(tmp_path: Path) -> None:
    assert assign(tmp_path, ["cafe\u0301", "b", "c"], validation="caf\u00e9\n", test="b\n") == [
        "validation",
        "test",
        "train",
    ]


def test_listed_ids_that_the_corpus_lacks_are_described(tmp_path: Path) -> None:
    mine = ListedSplit(method="lists", lists="mine")
    assign(tmp_path, ["a", "b", "c"], validation="a\nx\n", test="wavs/b.wav|text\nd\n")
    line = f"2 listed ids are not in the corpus, such as d in {tmp_path / 'mine'}"
    assert describe_unknown_ids(["a", "b", "c"], mine, tmp_path) == line
    assert describe_unknown_ids(["a", "b", "d", "x"], mine, tmp_path) == ""
    assert describe_unknown_ids([], by_hash()) == ""


def test_lists_that_name_no_clip_of_the_corpus_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"mine: none of its 2 ids is in the corpus \(such as x\)"):
        assign(tmp_path, ["a", "b"], validation="x\n", test="y\n")
