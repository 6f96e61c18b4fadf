"""The phonetic features of symbols, and the first vectors of a model's embedding that are made of them."""

import pytest
import torch
import torch.nn.functional as F

from dtc.acoustic.symbol_embedding import symbol_embedding
from dtc.text.phonetics import phonetic_features
from dtc.text.symbols import ARPABET, CHARACTERS, ID_OF


def test_every_phoneme_has_features_of_its_own_and_no_character_has_any() -> None:
    features = phonetic_features()
    assert not features[: len(CHARACTERS)].any()
    without_stress = [phoneme for phoneme in ARPABET if phoneme[-1] not in "012"]
    assert len({tuple(features[ID_OF["@" + phoneme]].tolist()) for phoneme in without_stress}) == len(without_stress)
    assert torch.equal(features[ID_OF["@AH"]], features[ID_OF["@AH1"]])


@pytest.mark.parametrize(("phoneme", "alike", "unlike"), [("P", "B", "IY"), ("S", "Z", "M"), ("IY", "IH", "L")])
def test_phonemes_that_sound_alike_start_alike(phoneme: str, alike: str, unlike: str) -> None:
    torch.manual_seed(1)
    vectors = symbol_embedding(192).weight
    near, far = (
        F.cosine_similarity(vectors[ID_OF["@" + phoneme]], vectors[ID_OF["@" + other]], dim=0)
        for other in (alike, unlike)
    )
    assert near > 0.6 > far + 0.3
