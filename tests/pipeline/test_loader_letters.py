"""The share of words that stay letters in training: by seed, epoch, clip and place, whatever reads the batches."""

from pathlib import Path

import pytest
import torch
from tiny_features import write_features

from dtc.batch import Batch
from dtc.text.lexicon import LexiconConfig
from dtc.text.symbols import SYMBOLS
from pipeline.batching import Batching
from pipeline.loader import ShardLoader
from pipeline.shards import write_index

CLIPS = 200
LETTERS_SHARE = 0.3


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Clips of one word, which is n, nn, nnn, nnnn or nnnnn, and whose phonemes are its own letter."""
    folder = tmp_path_factory.mktemp("features")
    index = write_features(folder, CLIPS, validation=20)
    words = {"n" * letters: "N" for letters in range(1, 6)}
    write_index(folder, index.model_copy(update={"lexicon": LexiconConfig(words=words, letters_share=LETTERS_SHARE)}))
    return folder


def read(batches: list[Batch]) -> dict[str, list[str]]:
    return {
        clip: [SYMBOLS[number] for number in ids[:length].tolist()]
        for batch in batches
        for clip, ids, length in zip(batch.ids, batch.symbol_ids, batch.symbol_lengths.tolist(), strict=True)
    }


def loader(folder: Path, seed: int | None = 1, workers: int = 0) -> ShardLoader:
    return ShardLoader(folder, "train", Batching(8, seed=seed), workers)


def test_a_share_of_the_words_stays_letters(folder: Path) -> None:
    clips = read(list(loader(folder).epoch(0)))
    assert len(clips) == CLIPS
    assert {tuple(symbols) for symbols in clips.values()} == {("@N",), *(("n",) * letters for letters in range(1, 6))}
    share = sum("n" in symbols for symbols in clips.values()) / CLIPS
    assert abs(share - LETTERS_SHARE) < 4 * (LETTERS_SHARE * (1 - LETTERS_SHARE) / CLIPS) ** 0.5


def test_it_depends_on_seed_and_epoch_alone(folder: Path) -> None:
    first, again = (list(loader(folder, workers=workers).epoch(3)) for workers in (0, 2))
    for one, other in zip(first, again, strict=True):
        assert torch.equal(one.symbol_ids, other.symbol_ids)
    continued = list(loader(folder).epoch(3, first=20))
    assert read(continued) == read(first[20:])
    others = [read(list(loader(folder).epoch(4))), read(list(loader(folder, seed=2).epoch(3)))]
    assert read(first) not in others
    assert others[0] != others[1]


def test_without_a_seed_every_known_word_is_phonemes(folder: Path) -> None:
    clips = read(list(ShardLoader(folder, "validation", Batching(8)).epoch(0)))
    assert len(clips) == 20
    assert {tuple(symbols) for symbols in clips.values()} == {("@N",)}


def test_without_a_lexicon_every_word_is_letters(tmp_path: Path) -> None:
    write_features(tmp_path, 10)
    assert {symbol for symbols in read(list(loader(tmp_path).epoch(0))).values() for symbol in symbols} == {"n"}
