"""The losses of acoustic models: their values, their gradients, and that padding changes nothing."""

import pytest
import torch
import torch.nn.functional as F

from dtc.acoustic.decoder import DecoderOutput
from dtc.acoustic.loss import Target, decoder_losses, gate_loss, guided_attention_loss, mel_loss, stft_loss
from dtc.audio import log_mel
from dtc.batch import Batch
from tests.dtc.tiny_acoustic import AUDIO, MELS, config


def test_mel_loss_leaves_padding_out() -> None:
    predicted, target = torch.zeros(2, 3, 4), torch.ones(2, 3, 4)
    target[1, :, 2:] = 1000.0
    assert mel_loss(predicted, target, torch.tensor([4, 2])).item() == 1.0


def test_gate_loss_asks_for_the_last_step() -> None:
    lengths = torch.tensor([3, 2])
    right = torch.full((2, 3), -20.0)
    right[0, 2] = right[1, 1] = 20.0
    right[1, 2] = 77.0  # padding
    assert gate_loss(right, lengths, 5.0).item() == pytest.approx(0.0, abs=1e-6)
    assert gate_loss(-right, lengths, 5.0).item() == pytest.approx((2 * 5 * 20 + 3 * 20) / 5)


def test_guided_attention_prefers_the_diagonal() -> None:
    steps, symbols = torch.tensor([8]), torch.tensor([8])
    diagonal = torch.eye(8)[None]
    assert guided_attention_loss(diagonal, steps, symbols, 0.2).item() == 0.0
    reversed_reading = guided_attention_loss(diagonal.flip(2), steps, symbols, 0.2).item()
    stuck = guided_attention_loss(torch.eye(8)[:1].expand(8, 8)[None], steps, symbols, 0.2).item()
    assert reversed_reading > 0.5
    assert stuck > 0.5


def real_batch(seconds: float) -> Batch:
    """A clip of real samples with the mel that belongs to them: a rising tone."""
    samples = int(seconds * AUDIO.sampling_rate)
    wave = 0.3 * torch.sin(torch.linspace(0, 200.0, samples).cumsum(0) / 40.0)[None]
    mel, symbols = log_mel(wave, AUDIO), torch.randint(12, 60, (1, 9))
    return Batch(("a",), symbols, torch.tensor([9]), mel, torch.tensor([mel.shape[2]]), wave, torch.tensor([samples]))


def test_stft_loss_has_a_gradient_and_falls() -> None:
    """What is learned by it alone, from silence: the original computed this loss without a gradient."""
    example = real_batch(0.5)
    mel = torch.full_like(example.mel, -4.0).requires_grad_()
    optimizer = torch.optim.Adam([mel], 0.1)
    history = []
    for _ in range(60):
        loss = stft_loss(mel, example, AUDIO)
        optimizer.zero_grad()
        loss.backward()
        assert mel.grad.abs().sum() > 0
        optimizer.step()
        history.append(loss.item())
    true = stft_loss(example.mel, example, AUDIO).item()
    assert history[0] > 1.4 * true
    assert history[-1] < 1.1 * true


def test_stft_loss_leaves_padding_out() -> None:
    example = real_batch(0.5)
    wider = Batch(
        **vars(example)
        | {
            "mel": F.pad(example.mel, (0, 7), value=3.0),
            "wave": F.pad(example.wave, (0, 7 * AUDIO.hop_length), value=0.9),
        }
    )
    plain, padded = (stft_loss(each.mel, each, AUDIO) for each in (example, wider))
    torch.testing.assert_close(padded, plain)


def test_differences_from_frame_to_frame() -> None:
    """A constant error changes no difference; one that jumps up by 2 in the middle changes one of three."""
    target = Target(torch.randn(1, MELS, 4), torch.tensor([4]), torch.tensor([4]), torch.tensor([3]))
    weights = config().loss.model_copy(update={"mel_difference_weight": 1.0})
    gates, alignments = torch.zeros(1, 4), torch.full((1, 4, 3), 1 / 3)
    jump = torch.tensor([0.0, 0.0, 2.0, 2.0])
    for error, expected in ((1.0, 0.0), (jump, 2.0 / 3.0)):
        terms = decoder_losses(DecoderOutput(target.mel + error, gates, alignments), target, weights, 0)
        assert terms["mel_difference"].item() == pytest.approx(expected, abs=1e-6)


def test_guided_attention_fades() -> None:
    target = Target(torch.zeros(1, MELS, 4), torch.tensor([4]), torch.tensor([4]), torch.tensor([3]))
    weights = config().loss.model_copy(update={"guided_attention_half_life": 100})
    gates, alignments = torch.zeros(1, 4), torch.full((1, 4, 3), 1 / 3)
    output = DecoderOutput(target.mel, gates, alignments)
    at = [decoder_losses(output, target, weights, step)["guided_attention"].item() for step in (0, 100, 200)]
    assert at == pytest.approx([at[0], at[0] / 2, at[0] / 4])
