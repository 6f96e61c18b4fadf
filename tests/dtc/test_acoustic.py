"""Tacotron 2: equal to torchaudio's with the same weights, blind to padding, able to learn one batch by heart."""

import pytest
import torch
import torch.nn.functional as F
import torchaudio
from torch import Tensor

from dtc.acoustic import build_acoustic
from dtc.acoustic.loss import gate_loss, guided_attention_loss, mel_loss
from dtc.acoustic.tacotron2 import MaskedBatchNorm, Tacotron2, Tacotron2Config
from dtc.batch import Batch, Clip, collate
from dtc.training.loop import seed_all

MELS = 20
NEVER = 0.999999  # a gate threshold that no untrained model reaches
PARITY_TOLERANCE = 1e-5  # float32, different order of summation


def config(frames_per_step: int = 1, **decoder: float) -> Tacotron2Config:
    return Tacotron2Config.model_validate({
        "model": "tacotron2", "symbols_embedding_dim": 32, "frames_per_step": frames_per_step,
        "encoder": {"num_convolutions": 3, "embedding_dim": 32, "kernel_size": 5, "dropout_rate": 0.5},
        "attention": {"rnn_dim": 48, "attention_dim": 16},
        "attention_location": {"num_filters": 8, "kernel_size": 31},
        "decoder": {
            "rnn_dim": 40, "pre_net_dim": 24, "max_decoder_steps": 50, "max_frames_per_symbol": 4.0,
            "gate_threshold": 0.5, "attention_dropout": 0.1, "decoder_dropout": 0.1, **decoder,
        },
        "post_net": {"num_convolutions": 5, "embedding_dim": 32, "kernel_size": 5, "dropout_rate": 0.5},
        "loss": {
            "gate_weight": 1.0, "gate_positive_weight": 5.0, "guided_attention_weight": 2.0,
            "guided_attention_sigma": 0.2,
        },
    })  # fmt: skip


def model(frames_per_step: int = 1, **decoder: float) -> Tacotron2:
    seed_all("weights")
    built = build_acoustic(config(frames_per_step, **decoder), torch.zeros(MELS), torch.ones(MELS))
    # Fresh statistics of 0 and 1 would hide a normalisation that is left out.
    for norm in built.modules():
        if isinstance(norm, MaskedBatchNorm):
            norm.running_mean.normal_(std=0.1)
            norm.running_var.uniform_(0.5, 2.0)
    return built


def clip(name: str, symbols: int, frames: int) -> Clip:
    generator = torch.Generator().manual_seed(symbols * 1000 + frames)
    return Clip(
        name, "", "", torch.randint(12, 60, (symbols,), generator=generator),
        torch.randn(MELS, frames, generator=generator), torch.zeros(frames * 4),
    )  # fmt: skip


def batch(*sizes: tuple[int, int]) -> Batch:
    return collate([clip(f"clip{n}", symbols, frames) for n, (symbols, frames) in enumerate(sizes)])


@pytest.fixture
def no_dropout(monkeypatch: pytest.MonkeyPatch) -> None:
    """Prenet dropout is always on, in torchaudio's model too."""
    monkeypatch.setattr(F, "dropout", lambda values, *_, **__: values)


def torchaudio_twin(ours: Tacotron2) -> torchaudio.models.Tacotron2:
    """torchaudio's model with our weights."""
    theirs = torchaudio.models.Tacotron2(
        n_mels=MELS, n_symbol=148, symbol_embedding_dim=32, encoder_embedding_dim=32, attention_rnn_dim=48,
        attention_hidden_dim=16, attention_location_n_filter=8, decoder_rnn_dim=40, prenet_dim=24,
        postnet_embedding_dim=32, decoder_max_step=50,
    ).eval()  # fmt: skip
    names = {
        "attention.": "decoder.attention_layer.",
        "decoder.attention.location_conv": "decoder.attention_layer.location_layer.location_conv",
        "decoder.attention.location_dense": "decoder.attention_layer.location_layer.location_dense",
        "decoder.attention.": "decoder.attention_layer.",
        "decoder.decoder_rnn.weight_ih_l0": "decoder.decoder_rnn.weight_ih",
        "decoder.decoder_rnn.weight_hh_l0": "decoder.decoder_rnn.weight_hh",
        "decoder.decoder_rnn.bias_ih_l0": "decoder.decoder_rnn.bias_ih",
        "decoder.decoder_rnn.bias_hh_l0": "decoder.decoder_rnn.bias_hh",
        "decoder.projection.": "decoder.linear_projection.",
        "decoder.gate.": "decoder.gate_layer.",
        "post_net.": "postnet.",
        ".convolution.": ".0.",
        ".normalisation.": ".1.",
    }
    weights = {}
    for name, value in ours.state_dict().items():
        if name.startswith("mel_"):
            continue
        renamed = name
        for old, new in list(names.items())[1:]:
            renamed = renamed.replace(old, new)
        weights[renamed] = value
    theirs.load_state_dict(weights)
    return theirs


@pytest.mark.usefixtures("no_dropout")
def test_forward_equals_torchaudios() -> None:
    ours = model().eval()
    example = batch((9, 30))
    prediction = ours(example)
    mel, mel_postnet, gate, alignments = torchaudio_twin(ours)(
        example.symbol_ids, example.symbol_lengths, example.mel, example.mel_lengths
    )
    for mine, expected in (
        (prediction.mel, mel), (prediction.mel_postnet, mel_postnet), (prediction.gate_logits, gate),
        (prediction.alignments, alignments),
    ):  # fmt: skip
        torch.testing.assert_close(mine, expected, atol=PARITY_TOLERANCE, rtol=0)


def test_inference_equals_the_teacher_forced_pass_over_its_own_frames() -> None:
    """Step by step and all at once are two codes for one model; fed the same frames and dropout, they agree."""
    ours = model(frames_per_step=3, gate_threshold=NEVER).eval()
    text = clip("a", 9, 1).symbol_ids
    masks: list[Tensor] = []
    original = torch.rand

    def remember(*size: int, generator: torch.Generator) -> Tensor:
        masks.append(original(*size, generator=generator))
        return masks[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch, "rand", remember)
        said = ours.infer([text], seed=1)[0]
    draws = iter([torch.stack(masks[layer::2])[None].ge(0.5) * 2.0 for layer in (0, 1)])  # (1, steps, width) each
    with pytest.MonkeyPatch.context() as patch, torch.no_grad():
        frames = _without_post_net(ours, text)
        patch.setattr(F, "dropout", lambda values, p, training: values * next(draws) if training else values)
        memory = ours._encode(text[None], torch.tensor([len(text)]))
        again, _, alignments = ours.decoder(frames, memory)
    assert said.alignment.shape == (12, 9)
    torch.testing.assert_close(alignments[0], said.alignment, atol=1e-5, rtol=0)
    torch.testing.assert_close(again, frames, atol=1e-5, rtol=0)


def _without_post_net(ours: Tacotron2, text: Tensor) -> Tensor:
    """The frames that the decoder itself made, which is what it saw."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ours.post_net, "forward", lambda mel, mask: torch.zeros_like(mel))
        return ours.infer([text], seed=1)[0].mel[None]


@pytest.mark.usefixtures("no_dropout")
@pytest.mark.parametrize("frames_per_step", [1, 3])
def test_a_clip_does_not_depend_on_its_neighbours(frames_per_step: int) -> None:
    ours = model(frames_per_step).eval()
    alone, beside = ours(batch((7, 20))), ours(batch((7, 20), (15, 44)))
    steps = -(-20 // frames_per_step)
    torch.testing.assert_close(beside.mel_postnet[:1, :, :20], alone.mel_postnet[..., :20], atol=1e-5, rtol=0)
    torch.testing.assert_close(beside.alignments[:1, :steps, :7], alone.alignments, atol=1e-5, rtol=0)
    assert torch.all(beside.alignments[0, :, 7:] == 0)


@pytest.mark.usefixtures("no_dropout")
def test_padding_changes_no_gradient_in_training() -> None:
    """The same two clips, padded further: the same loss and gradients, batch normalisation's statistics included."""
    ours = model(frames_per_step=3).train()
    example = batch((7, 20), (9, 31))
    wider = Batch(
        example.ids, F.pad(example.symbol_ids, (0, 6), value=40), example.symbol_lengths,
        F.pad(example.mel, (0, 12), value=3.0), example.mel_lengths, example.wave, example.wave_lengths,
    )  # fmt: skip
    gradients = []
    for each in (example, wider):
        ours.zero_grad()
        loss = ours.training_loss(each)["loss"]
        loss.backward()
        gradients.append([loss] + [parameter.grad.clone() for parameter in ours.parameters()])
    for plain, padded in zip(*gradients, strict=True):
        torch.testing.assert_close(padded, plain, atol=1e-4, rtol=1e-3)


def test_masked_batch_norm_is_batch_norm_without_padding() -> None:
    values = torch.randn(3, 5, 11)
    ours, theirs = MaskedBatchNorm(5), torch.nn.BatchNorm1d(5)
    torch.testing.assert_close(ours(values, torch.ones(3, 11, dtype=torch.bool)), theirs(values))
    torch.testing.assert_close(ours.running_var, theirs.running_var)
    torch.testing.assert_close(ours.running_mean, theirs.running_mean)


@pytest.mark.usefixtures("no_dropout")
def test_learns_one_batch_by_heart() -> None:
    """The targets are noise, so an error near 0 is memory, not luck."""
    ours = model(frames_per_step=2).train()
    example = batch((6, 18), (8, 23))
    optimizer = torch.optim.Adam(ours.parameters(), 5e-3)
    history = []
    for _ in range(150):
        losses = ours.training_loss(example)
        optimizer.zero_grad()
        losses["loss"].backward()
        optimizer.step()
        history.append({name: value.item() for name, value in losses.items()})
    assert history[-1]["mel_postnet"] < 0.3 * history[0]["mel_postnet"]
    assert history[-1]["gate"] < 0.1 * history[0]["gate"]


def test_inference_is_a_function_of_seed_and_text() -> None:
    ours = model(frames_per_step=2, gate_threshold=NEVER).eval()
    texts = [clip("a", 9, 1).symbol_ids, clip("b", 5, 1).symbol_ids]
    together, alone = ours.infer(texts, seed=3), ours.infer(texts[1:], seed=3)
    torch.testing.assert_close(together[1].mel, alone[0].mel, atol=1e-5, rtol=0)
    assert torch.equal(ours.infer(texts, seed=3)[0].mel, together[0].mel)
    assert not torch.equal(ours.infer(texts, seed=4)[0].mel, together[0].mel)


def test_gate_stops_each_utterance_and_the_cap_follows_the_text() -> None:
    texts = [clip("a", 9, 1).symbol_ids, clip("b", 5, 1).symbol_ids]
    never, at_once = model(2, gate_threshold=NEVER).eval(), model(2).eval()
    capped = never.infer(texts, seed=1)
    assert [said.status for said in capped] == ["hit_cap", "hit_cap"]
    assert [said.mel.shape[1] for said in capped] == [9 * 4, 5 * 4]  # max_frames_per_symbol = 4
    assert [tuple(said.alignment.shape) for said in capped] == [(18, 9), (10, 5)]
    with torch.no_grad():
        at_once.decoder.gate.bias.fill_(100.0)
    assert [(said.status, said.mel.shape[1]) for said in at_once.infer(texts, seed=1)] == [("stopped", 2)] * 2


def test_full_size_has_the_published_number_of_parameters() -> None:
    full = config().model_dump()
    full |= {"symbols_embedding_dim": 512}
    full["encoder"] |= {"embedding_dim": 512}
    full["attention"] = {"rnn_dim": 1024, "attention_dim": 128}
    full["attention_location"] |= {"num_filters": 32}
    full["decoder"] |= {"rnn_dim": 1024, "pre_net_dim": 256}
    full["post_net"] |= {"embedding_dim": 512}
    built = build_acoustic(Tacotron2Config.model_validate(full), torch.zeros(80), torch.ones(80))
    assert sum(parameter.numel() for parameter in built.parameters()) == 28_193_153


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
