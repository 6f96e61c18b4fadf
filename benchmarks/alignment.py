"""How far the durations of a trained parallel model are from a forced alignment by PocketSphinx.

    python benchmarks/alignment.py [--model models/acoustic] [--features data/features]

Both say where each phoneme of the training clips begins. PocketSphinx, whose acoustic model was trained on many hours
of other speakers, is not exact either: it is a second opinion. Only a model with a lexicon reads phonemes.
"""

from __future__ import annotations

import argparse
import difflib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pocketsphinx
import torch
from machine import write_results

from dtc.acoustic.base import load_acoustic
from dtc.acoustic.parallel import Parallel, framed
from dtc.audio import from_int16
from dtc.batch import collate
from dtc.evaluation.quality_inputs import at_model_rate
from dtc.evaluation.recognisers.grammar import PADDING_S, padded_pcm
from dtc.text.lexicon import Lexicon
from dtc.text.symbols import SYMBOLS
from pipeline.features import Features
from pipeline.shard_reader import FeatureFolder, stored_clips, to_clip
from pipeline.shards import read_index

FRAME_S = 0.01  # of PocketSphinx

Starts = list[tuple[str, float]]  # phonemes without stress, and the seconds at which they begin


def main() -> None:
    """Compare, print and write results/benchmarks/alignment.json."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, default=Path("models/acoustic"))
    parser.add_argument("--features", type=Path, default=Path("data/features"))
    arguments = parser.parse_args()
    clips = list(compare(arguments.model, arguments.features))
    differences = np.concatenate(clips)
    errors = np.abs(differences - np.median(differences))  # a constant offset is one of definition
    found = {"clips": len(clips), "clips_not_aligned": sum(not len(clip) for clip in clips)}
    found |= {"phonemes": len(errors), "median_offset_ms": 1e3 * float(np.median(differences))}
    found |= {"mean_error_ms": 1e3 * float(errors.mean())}
    found |= {f"beyond_{limit_ms}_ms": float((errors > limit_ms / 1e3).mean()) for limit_ms in (30, 50, 100)}
    for name, value in found.items():
        print(f"{name:18} {value:8.3f}")
    write_results("alignment", found)


def compare(model: Path, folder: Path) -> Iterator[list[float]]:
    """Yield of each clip by how many seconds its phonemes begin later by the model than by PocketSphinx."""
    index = read_index(folder)
    acoustic, card = load_acoustic(model, torch.device("cpu"))
    if not isinstance(acoustic, Parallel) or card.lexicon is None:
        raise SystemExit(f"{model}: expected a parallel model that reads phonemes")
    decoder = pocketsphinx.Decoder(lm=None, loglevel="FATAL", bestpath=False, cmn="batch")
    for clip in stored_clips(FeatureFolder(folder, index), "train"):
        ours = starts_by_model(acoustic, Lexicon(card.lexicon), clip)
        theirs = starts_by_pocketsphinx(decoder, clip, index.audio.sampling_rate)
        names = [[phoneme for phoneme, _ in starts] for starts in (ours, theirs)]
        # Words may be pronounced in several ways: one phoneme for another is compared, more or fewer are not.
        yield [
            a - b
            for kind, i1, i2, j1, j2 in difflib.SequenceMatcher(None, *names, autojunk=False).get_opcodes()
            if kind == "equal" or (kind == "replace" and i2 - i1 == j2 - j1)
            for (_, a), (_, b) in zip(ours[i1:i2], theirs[j1:j2], strict=True)
        ]


def starts_by_model(acoustic: Parallel, lexicon: Lexicon, clip: Features) -> Starts:
    """Return the phonemes of a clip by the durations that the model was trained on."""
    batch = collate([to_clip(clip, clip.id, lexicon)])
    symbol_ids, lengths = framed(batch.symbol_ids, batch.symbol_lengths)
    batch = replace(batch, symbol_ids=symbol_ids, symbol_lengths=lengths, mel=acoustic.normalise(batch.mel))
    ends_s = acoustic.aligner.durations(batch)[0].cumsum(0) / acoustic.audio.frames_per_s
    symbols = [SYMBOLS[number] for number in symbol_ids[0].tolist()]
    starts_s = [0.0, *ends_s.tolist()[:-1]]
    return [(name[1:], start) for name, start in zip(symbols, starts_s, strict=True) if name.startswith("@")]


def starts_by_pocketsphinx(decoder: pocketsphinx.Decoder, clip: Features, sampling_rate: int) -> Starts:
    """Return the phonemes of a clip by a forced alignment of its words; nothing where it does not succeed."""
    words = "".join(c if c.isalpha() or c == "'" else " " for c in clip.text.spoken_text.lower())
    samples = padded_pcm(at_model_rate(from_int16(clip.wave).numpy(), sampling_rate))
    try:
        decoder.set_align_text(" ".join(words.split()))
        _decode(decoder, samples)
        decoder.set_alignment()
        _decode(decoder, samples)
    except RuntimeError:  # a word that its dictionary lacks, or speech that is not the text
        return []
    found = [phoneme for word in decoder.get_alignment() for phoneme in word]
    return [(each.name, each.start * FRAME_S - PADDING_S) for each in found if each.name != "SIL"]


def _decode(decoder: pocketsphinx.Decoder, samples: bytes) -> None:
    decoder.reinit_feat()  # otherwise the result would depend on the clips before
    decoder.start_utt()
    decoder.process_raw(samples, full_utt=True)
    decoder.end_utt()


if __name__ == "__main__":
    main()
