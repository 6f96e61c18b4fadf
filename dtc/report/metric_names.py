"""The names, units and meanings of all metrics, in the order of the report."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Metric:
    """The label, unit, meaning and number of decimals of a metric."""

    label: str
    unit: str
    meaning: str
    decimals: int = 2

    def write(self, value: float) -> str:
        """Write the value with its decimals, without its unit; a dash where it is not a number."""
        if not math.isfinite(value):
            return "–"
        return f"{value * (100 if self.unit == '%' else 1):.{self.decimals}f}"


METRICS: Mapping[str, Metric] = {
    "word_error_rate": Metric("Word errors", "%", "words of the synthesis that the recogniser got wrong", 1),
    "recording_word_error_rate": Metric("Recordings", "%", "the same for the recordings themselves", 1),
    "copy_synthesis_word_error_rate": Metric("Copy synthesis", "%", "recorded mels, by the voice's vocoder", 1),
    "fitted_copy_word_error_rate": Metric("Fitted copy", "%", "the same, then corrected to fit the mels", 1),
    "griffin_lim_word_error_rate": Metric("Griffin-Lim copy", "%", "recorded mels, by Griffin-Lim", 1),
    "griffin_lim_synthesis_word_error_rate": Metric("Griffin-Lim synthesis", "%", "predicted mels, by Griffin-Lim", 1),
    "other_texts_word_error_rate": Metric("Other texts", "%", "texts that the corpus does not have, by the voice", 1),
    "character_error_rate": Metric("Character errors", "%", "characters of the recognised words that are wrong", 1),
    "recording_character_error_rate": Metric("Character errors, recordings", "%", "the same for the recordings", 1),
    "mel_cepstral_distortion_db": Metric("Mel-cepstral distortion", "dB", "from the recording; lower is nearer"),
    "log_f0_rmse": Metric("Pitch from the recording", "nepers", "root mean square of ln f0; 0.058 is a semitone", 3),
    "log_f0_correlation": Metric("Pitch correlation", "1 is equal", "of ln f0, along the warping path", 3),
    "speaker_similarity": Metric("Speaker similarity", "1 is equal", "cosine of the speaker embeddings", 3),
    "frechet_envelope_db": Metric("Envelope distribution", "dB", "Fréchet distance of the mel cepstra of all frames"),
    "frechet_movement_db": Metric("Movement distribution", "dB", "the same from frame to frame; high if too smooth"),
    "duration_ratio": Metric("Duration ratio", "×", "length of the synthesis by that of the recording"),
    "longest_symbol_s": Metric("Longest symbol", "s", "time on one symbol of a text, in the mean over the texts"),
    "attention_focus": Metric("Attention focus", "%", "mean of the largest weight of a step", 1),
    "attention_diagonality": Metric("Attention diagonality", "%", "near the diagonal; 100 % if read in order", 1),
    "ended_share": Metric("Spoken whole", "%", "utterances that ended by themselves and left no text out", 1),
    "attempts_per_phrase": Metric("Attempts", "×", "mean number per phrase; a bad phrase is repeated"),
    "multi_resolution_stft": Metric("STFT distance", "0 is equal", "spectra at three resolutions"),
    "log_mel_l1": Metric("Log-mel error", "nepers", "mean difference of the mels", 3),
    "stoi": Metric("STOI", "1 is equal", "intelligibility", 3),
    "pesq": Metric("PESQ", "1 to 4.64", "opinion score, compared with the recording"),
    "f0_rmse_cents": Metric("Pitch error", "cents", "where both are voiced", 1),
    "voicing_error": Metric("Voicing error", "%", "frames that are voiced in one only", 1),
    "periodicity_rmse": Metric("Periodicity error", "0 is equal", "confidence that a frame is voiced", 3),
    "dnsmos": Metric("DNSMOS", "1 to 5", "opinion score, without the recording"),
    "distill_mos": Metric("DistillMOS", "1 to 5", "opinion score, without the recording"),
}

# Of the metrics of the voice, those that stand beside the word errors at the top of the page.
HEADLINES = (
    "ended_share",
    "mel_cepstral_distortion_db",
    "log_f0_correlation",
    "duration_ratio",
    "speaker_similarity",
    "distill_mos",
)

HIGHER_IS_BETTER = (
    "log_f0_correlation",
    "speaker_similarity",
    "stoi",
    "pesq",
    "dnsmos",
    "distill_mos",
    "attention_focus",
    "attention_diagonality",
)
LOWER_IS_BETTER = (
    "word_errors",
    "character_errors",
    "mel_cepstral_distortion_db",
    "log_f0_rmse",
    "multi_resolution_stft",
    "log_mel_l1",
    "f0_rmse_cents",
    "voicing_error",
    "periodicity_rmse",
    "attempts",
)
