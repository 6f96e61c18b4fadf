"""Pauses between phrases: as long as params.yaml says, or as the corpus makes them."""

from dtc.audio_config import AudioConfig
from dtc.pauses import Pauses
from dtc.synthesis_config import DEFAULT_SYNTHESIS
from dtc.text.mark_pauses import MarkPauses


def test_a_pause_is_that_of_the_params_or_of_the_corpus_or_the_usual_one(audio: AudioConfig) -> None:
    own = DEFAULT_SYNTHESIS.model_copy(update={"sentence_pause_s": 0.0, "clause_pause_s": 1.5})
    corpus = MarkPauses(sentence_s=0.25, clause_s=None)
    wanted = [
        [Pauses(audio, config, of_corpus).wanted_s(pause) for pause in ("sentence", "clause", "none")]
        for config, of_corpus in ((own, corpus), (DEFAULT_SYNTHESIS, corpus), (DEFAULT_SYNTHESIS, None))
    ]
    assert wanted == [[0.0, 1.5, 0.0], [0.25, 0.2, 0.0], [0.4, 0.2, 0.0]]
