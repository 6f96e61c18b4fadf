"""Pictures of an acoustic model in training, for TensorBoard, and a warning where its attention fails."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import numpy as np
from jaxtyping import UInt8
from torch import Tensor, nn

from dtc.acoustic.base import AcousticModel, InferenceOptions
from dtc.batch import Batch
from dtc.report.plots import alignment_figure, rgb_array, spectrogram_figure
from dtc.training.logbook import Logbook

# On the corpus `numbers` with guided attention, the attention aligns within a tenth of all steps.
ALIGNED_BY, ALIGNED_SCORE = 0.25, 0.8  # share of all steps; diagonal score of the validation clips


def log_examples(model: nn.Module, batch: Batch, logbook: Logbook, step: int) -> None:
    """Log the pictures of `log_pictures`, and print a warning where the attention does not follow the text.

    The training calls it after each validation: it is the `log_examples` of a `dtc.training.task.Task`.
    """
    if warning := attention_warning(logbook.last("validation"), step / logbook.total_steps):
        logbook.print(f"step {step}, {warning}")
    log_pictures(cast(AcousticModel, model), batch, logbook, step)


def log_pictures(model: AcousticModel, batch: Batch, logbook: Logbook, step: int) -> None:
    """Log the alignment and the mel that a model predicts for the first clip of a batch, and the recording's mel.

    The model is left in evaluation mode.
    """
    symbol_ids = batch.symbol_ids[0, : batch.symbol_lengths[0]]
    spoken = model.eval().infer([symbol_ids], seed=0, options=InferenceOptions(step))[0]
    logbook.image(step, "alignment", rgb_array(alignment_figure(spoken.alignment.cpu().numpy())))
    for name, mel in (("recording", batch.mel[0, :, : batch.mel_lengths[0]]), ("synthesis", spoken.mel)):
        logbook.image(step, f"mel/{name}", _picture(mel, model))


def _picture(mel: Tensor, model: AcousticModel) -> UInt8[np.ndarray, "height width 3"]:
    return rgb_array(spectrogram_figure(mel.cpu().numpy(), model.audio.sampling_rate, model.audio.hop_length))


def attention_warning(validation: Mapping[str, float], share_of_steps: float) -> str:
    """Return a warning where the attention does not follow the text by now, or "".

    Args:
        validation: mean losses and metrics of the validation clips; a model with attention has `diagonal_score`.
        share_of_steps: the share of all training steps that are done.
    """
    score = validation.get("diagonal_score", 1.0)
    if share_of_steps < ALIGNED_BY or score >= ALIGNED_SCORE:
        return ""
    return (
        f"diagonal score {score:.2f}, expected {ALIGNED_SCORE} by now: the attention does not follow the text. Check "
        "that each clip has its own text and little silence around the words. Otherwise raise "
        "acoustic.loss.guided_attention_weight or acoustic.frames_per_step, or lower acoustic.decoder.pre_net_dim"
    )
