"""All measures of one utterance of a voice against the recording of the same text."""

from __future__ import annotations

import statistics

from dtc.audio_config import AudioConfig
from dtc.batch import Clip
from dtc.evaluation.metrics import attention_diagonality, attention_focus, longest_symbol_s, warping_path
from dtc.evaluation.prosody import prosody_errors, track_pitch
from dtc.evaluation.quality_inputs import is_installed
from dtc.evaluation.speaker import speaker_similarity
from dtc.speech import Speech


def measure_utterance(clip: Clip, speech: Speech, audio: AudioConfig, attends: bool) -> dict[str, float]:
    """Return the measures of an utterance that need no recogniser, by the names that dtc.report.metric_names has.

    Those whose packages are not installed are missing; NaN stands for those that are not defined for it.

    Args:
        clip: the recording.
        speech: the same text by the voice.
        audio: the definition of the mels of both.
        attends: whether the alignment of the voice is that of an attention.
    """
    recorded, spoken = clip.wave.numpy(), speech.wave.numpy()
    distortion_db, path = warping_path(clip.mel.numpy(), speech.mel.numpy())
    values = {"mel_cepstral_distortion_db": distortion_db, "duration_ratio": len(spoken) / len(recorded)}
    if is_installed("pitch"):
        tracks = [track_pitch(wave, audio.sampling_rate) for wave in (recorded, spoken)]
        values |= prosody_errors(tracks[0], tracks[1], path / audio.frames_per_s)
    if is_installed("speaker similarity"):
        values["speaker_similarity"] = speaker_similarity(recorded, spoken, audio.sampling_rate)
    return values | diagnostics(speech, attends)


def diagnostics(speech: Speech, attends: bool) -> dict[str, float]:
    """Return what the alignment of an utterance tells, without its recording, by name."""
    alignments = [phrase.alignment.numpy() for phrase in speech.phrases]
    measures = {"attention_focus": attention_focus, "attention_diagonality": attention_diagonality} if attends else {}
    return {
        **{name: statistics.fmean(map(measure, alignments)) for name, measure in measures.items()},
        "longest_symbol_s": max(longest_symbol_s(each, speech.seconds_per_step) for each in alignments),
        "ended_share": float(speech.status == "ended"),
        "attempts_per_phrase": statistics.fmean(phrase.attempts for phrase in speech.phrases),
    }
