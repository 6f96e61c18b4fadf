"""Tacotron 2: equal to torchaudio's with the same weights, blind to padding, able to learn one batch by heart."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
import torchaudio
from rich.console import Console
from torch import Tensor

from dtc.acoustic.base import InferenceOptions, build_acoustic
from dtc.acoustic.configs import Tacotron2Config
from dtc.acoustic.decoder import DecoderOutput, PreNet, teacher_forced
from dtc.acoustic.layers import MaskedBatchNorm
from dtc.acoustic.loss import Target, decoder_losses, gate_loss, guided_attention_loss, mel_loss, stft_loss
from dtc.acoustic.tacotron2 import Tacotron2
from dtc.acoustic.utterance_status import MEANINGS
from dtc.audio import AudioConfig, log_mel
from dtc.batch import Batch, Clip, collate
from dtc.compat.nvidia_tacotron2 import their_name
from dtc.seeding import seed_all
from dtc.training.config import RunConfig, TrainingConfig
from dtc.training.guards import NonFiniteLoss
from dtc.training.logbook import Logbook
from dtc.training.loop import train
from dtc.training.optim import AdamWConfig, build_optimizer
from dtc.training.task import Task
from tests.conftest import default_params

MELS = 20
AUDIO = AudioConfig(
    sampling_rate=16000, filter_length=512, hop_length=128, win_length=512, n_mel_channels=MELS, mel_fmin=0.0,
    mel_fmax=8000.0,
)  # fmt: skip
OPTIONS = InferenceOptions(step=0)
NEVER = 0.999999  # a gate threshold that no untrained model reaches
PARITY_TOLERANCE = 1e-5  # float32, different order of summation


def config(frames_per_step: int = 1, **decoder: float) -> Tacotron2Config:
    return Tacotron2Config.model_validate({
        "model": "tacotron2", "symbols_embedding_dim": 32, "frames_per_step": frames_per_step,
        "mask_convolutions": True,
        "encoder": {"num_convolutions": 3, "embedding_dim": 32, "kernel_size": 5, "dropout_rate": 0.5},
        "attention": {
            "model": "location_sensitive", "rnn_dim": 48, "attention_dim": 16, "num_filters": 8, "kernel_size": 31,
        },
        "decoder": {
            "rnn_dim": 40, "pre_net_dim": 24, "pre_net_dropout": 0.5, "max_decoder_steps": 50, "max_frames_per_symbol": 4.0,
            "gate_threshold": 0.5, "attention_dropout": 0.1, "decoder_dropout": 0.1, "frame_dropout": 0.0,
            "gradient_checkpointing": False, **decoder,
        },
        "post_net": {"num_convolutions": 5, "embedding_dim": 32, "kernel_size": 5, "dropout_rate": 0.5},
        "loss": {
            "gate_weight": 1.0, "gate_positive_weight": 5.0, "guided_attention_weight": 2.0,
            "guided_attention_sigma": 0.2, "guided_attention_half_life": None, "mel_difference_weight": 0.0,
            "stft_weight": 0.0,
        },
    })  # fmt: skip


def model(frames_per_step: int = 1, **decoder: float) -> Tacotron2:
    seed_all("weights")
    built = build_acoustic(config(frames_per_step, **decoder), AUDIO, torch.zeros(MELS), torch.ones(MELS))
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
    # Its names are NVIDIA's without the layers that those wrap theirs in.
    weights = {
        their_name(name).replace(".linear_layer.", ".").replace(".conv.", "."): value
        for name, value in ours.state_dict().items() if not name.startswith("mel_")
    }  # fmt: skip
    theirs.load_state_dict(weights)
    return theirs


@pytest.mark.usefixtures("no_dropout")
def test_forward_equals_torchaudios() -> None:
    ours = model().eval()
    example = batch((9, 30))
    prediction = ours(example, step=0)
    mel, mel_postnet, gate, alignments = torchaudio_twin(ours)(
        example.symbol_ids, example.symbol_lengths, example.mel, example.mel_lengths
    )
    for mine, expected in (
        (prediction.mel, mel), (prediction.mel_postnet, mel_postnet), (prediction.gate_logits, gate),
        (prediction.alignments, alignments),
    ):  # fmt: skip
        torch.testing.assert_close(mine, expected, atol=PARITY_TOLERANCE, rtol=0)


@pytest.mark.usefixtures("no_dropout")
def test_a_padded_batch_equals_torchaudios_where_the_convolutions_are_not_masked() -> None:
    """torchaudio's convolutions see the padding of a batch, as NVIDIA's do."""
    tree = config().model_dump() | {"mask_convolutions": False}
    ours = build_acoustic(Tacotron2Config.model_validate(tree), AUDIO, torch.zeros(MELS), torch.ones(MELS)).eval()
    with torch.no_grad():
        for parameter in ours.post_net.parameters():
            parameter.normal_(std=0.3, generator=torch.Generator().manual_seed(1))
    sizes = [(9, 30), (7, 21), (4, 13)]
    example = batch(*sizes)
    prediction = ours(example, step=0)
    mel, mel_postnet, gate, alignments = torchaudio_twin(ours)(
        example.symbol_ids, example.symbol_lengths, example.mel, example.mel_lengths
    )
    masked = build_acoustic(config(), AUDIO, torch.zeros(MELS), torch.ones(MELS)).eval()
    masked.load_state_dict(ours.state_dict())
    for row, (symbols, frames) in enumerate(sizes):
        for mine, expected in (
            (prediction.mel[row, :, :frames], mel[row, :, :frames]),
            (prediction.mel_postnet[row, :, :frames], mel_postnet[row, :, :frames]),
            (prediction.gate_logits[row, :frames], gate[row, :frames]),
            (prediction.alignments[row, :frames, :symbols], alignments[row, :frames, :symbols]),
        ):
            torch.testing.assert_close(mine, expected, atol=PARITY_TOLERANCE, rtol=0)
    differing = masked(example, step=0).mel_postnet[2, :, :13] - prediction.mel_postnet[2, :, :13]
    assert differing.abs().max() > 100 * PARITY_TOLERANCE, "the padding can be seen"


def test_inference_equals_the_teacher_forced_pass_over_its_own_frames() -> None:
    """Step by step and all at once are two codes for one model; fed the same frames and dropout, they agree."""
    ours = model(frames_per_step=3, gate_threshold=NEVER).eval()
    text = clip("a", 9, 1).symbol_ids
    drawn: list[Tensor] = []
    original = PreNet.draw

    def remember(prenet: PreNet, steps: int, generator: torch.Generator) -> Tensor:
        drawn.append(original(prenet, steps, generator))
        return drawn[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(PreNet, "draw", remember)
        said = ours.infer([text], seed=1, options=OPTIONS)[0]
    kept = torch.cat(drawn).transpose(0, 1)[:, :, None]  # (2, steps, 1, width)
    with pytest.MonkeyPatch.context() as patch, torch.no_grad():
        frames = _without_post_net(ours, text)
        forward = PreNet.forward
        patch.setattr(PreNet, "forward", lambda prenet, frames: forward(prenet, frames, kept))
        values, mask = ours.encode(text[None], torch.tensor([len(text)]))
        again = teacher_forced([ours.decoder], [frames], values, mask, frames_per_step=3)[0]
    assert said.alignment.shape == (12, 9)
    torch.testing.assert_close(again.alignments[0], said.alignment, atol=1e-5, rtol=0)
    torch.testing.assert_close(again.mel, frames, atol=1e-5, rtol=0)


def _without_post_net(ours: Tacotron2, text: Tensor) -> Tensor:
    """The frames that the decoder itself made, which is what it saw."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ours.post_net, "forward", lambda mel, mask: torch.zeros_like(mel))
        return ours.infer([text], seed=1, options=OPTIONS)[0].mel[None]


@pytest.mark.usefixtures("no_dropout")
@pytest.mark.parametrize("frames_per_step", [1, 3])
def test_a_clip_does_not_depend_on_its_neighbours(frames_per_step: int) -> None:
    ours = model(frames_per_step).eval()
    alone, beside = ours(batch((7, 20)), step=0), ours(batch((7, 20), (15, 44)), step=0)
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
        loss = ours.training_loss(each, 0)["loss"]
        loss.backward()
        gradients.append([loss] + [parameter.grad.clone() for parameter in ours.parameters()])
    for plain, padded in zip(*gradients, strict=True):
        torch.testing.assert_close(padded, plain, atol=1e-4, rtol=1e-3)


def test_one_clip_of_one_symbol_leaves_the_running_variance_as_it_was() -> None:
    """The variance of one value is undefined: dividing by count - 1 would make it NaN."""
    norm = MaskedBatchNorm(5).train()
    mask = torch.tensor([[True, False, False]])
    assert torch.isfinite(norm(torch.randn(1, 5, 3), mask)[:, :, 0]).all()
    assert torch.equal(norm.running_var, torch.ones(5))
    assert norm.num_batches_tracked == 1


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
        losses = ours.training_loss(example, 0)
        optimizer.zero_grad()
        losses["loss"].backward()
        optimizer.step()
        history.append({name: value.item() for name, value in losses.items()})
    assert history[-1]["mel_postnet"] < 0.3 * history[0]["mel_postnet"]
    assert history[-1]["gate"] < 0.1 * history[0]["gate"]


def test_inference_is_a_function_of_seed_and_text() -> None:
    ours = model(frames_per_step=2, gate_threshold=NEVER).eval()
    texts = [clip("a", 9, 1).symbol_ids, clip("b", 5, 1).symbol_ids]
    together, alone = ours.infer(texts, seed=3, options=OPTIONS), ours.infer(texts[1:], seed=3, options=OPTIONS)
    torch.testing.assert_close(together[1].mel, alone[0].mel, atol=1e-5, rtol=0)
    assert torch.equal(ours.infer(texts, seed=3, options=OPTIONS)[0].mel, together[0].mel)
    assert not torch.equal(ours.infer(texts, seed=4, options=OPTIONS)[0].mel, together[0].mel)


@pytest.mark.parametrize("frames_per_step", [1, 3])
def test_lengths_of_1_and_400_in_one_batch_train_and_speak(frames_per_step: int) -> None:
    ours = model(frames_per_step=frames_per_step).train()
    losses = ours.training_loss(batch((1, 1), (400, 60), (7, 2)), 0)
    losses["loss"].backward()
    assert all(torch.isfinite(value) for value in losses.values())
    assert all(torch.isfinite(parameter.grad).all() for parameter in ours.parameters())
    texts = [clip("a", symbols, 1).symbol_ids for symbols in (1, 400, 5000)]
    for text, said in zip(texts, ours.eval().infer(texts, seed=1, options=OPTIONS), strict=True):
        steps = len(said.alignment)
        assert said.mel.shape == (MELS, steps * frames_per_step)
        assert said.alignment.shape == (steps, len(text))
        assert torch.isfinite(said.mel).all()
        assert said.status in MEANINGS


def test_gate_stops_each_utterance_and_the_cap_follows_the_text() -> None:
    texts = [clip("a", 9, 1).symbol_ids, clip("b", 5, 1).symbol_ids]
    never, at_once = model(2, gate_threshold=NEVER).eval(), model(2).eval()
    capped = never.infer(texts, seed=1, options=OPTIONS)
    assert [said.status for said in capped] == ["hit_cap", "hit_cap"]
    assert [said.mel.shape[1] for said in capped] == [9 * 4, 5 * 4]  # max_frames_per_symbol = 4
    assert [tuple(said.alignment.shape) for said in capped] == [(18, 9), (10, 5)]
    with torch.no_grad():
        at_once.decoder.gate.bias.fill_(100.0)
    assert [(said.status, said.mel.shape[1]) for said in at_once.infer(texts, seed=1, options=OPTIONS)] == [
        ("skipped_text", 2), ("stopped", 2),
    ]  # fmt: skip


def test_full_size_has_the_published_number_of_parameters() -> None:
    full = config().model_dump()
    full |= {"symbols_embedding_dim": 512}
    full["encoder"] |= {"embedding_dim": 512}
    full["attention"] |= {"rnn_dim": 1024, "attention_dim": 128, "num_filters": 32}
    full["decoder"] |= {"rnn_dim": 1024, "pre_net_dim": 256}
    full["post_net"] |= {"embedding_dim": 512}
    built = build_acoustic(Tacotron2Config.model_validate(full), AUDIO, torch.zeros(80), torch.ones(80))
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


def real_batch(seconds: float) -> Batch:
    """A clip of real samples with the mel that belongs to them: a rising tone."""
    samples = int(seconds * AUDIO.sampling_rate)
    wave = 0.3 * torch.sin(torch.linspace(0, 200.0, samples).cumsum(0) / 40.0)[None]
    mel, symbols = log_mel(wave, AUDIO), torch.randint(12, 60, (1, 9))
    return Batch(
        ("a",), symbols, torch.tensor([9]), mel, torch.tensor([mel.shape[2]]), wave, torch.tensor([samples])
    )  # fmt: skip


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
    wider = Batch(**vars(example) | {
        "mel": F.pad(example.mel, (0, 7), value=3.0), "wave": F.pad(example.wave, (0, 7 * AUDIO.hop_length), value=0.9),
    })  # fmt: skip
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
    at = [decoder_losses(output, target, weights, step)["guided_attention"].item()
          for step in (0, 100, 200)]  # fmt: skip
    assert at == pytest.approx([at[0], at[0] / 2, at[0] / 4])


def test_frames_per_step_follow_their_schedule() -> None:
    tree = config().model_dump() | {"frames_per_step": [[0, 4], [10, 2], [20, 3]]}
    ours = build_acoustic(Tacotron2Config.model_validate(tree), AUDIO, torch.zeros(MELS), torch.ones(MELS)).eval()
    example, text = batch((7, 24)), clip("a", 9, 1).symbol_ids
    for step, expected in ((0, 4), (9, 4), (10, 2), (19, 2), (25, 3)):
        assert ours(example, step).gate_logits.shape == (1, 24 // expected)
        assert ours.training_loss(example, step)["loss"].isfinite()
        said = ours.infer([text], seed=1, options=InferenceOptions(step))[0]
        assert said.mel.shape[1] == expected * len(said.alignment)


@pytest.mark.parametrize("schedule", [[[1, 4]], [[0, 4], [0, 2]], [[0, 4], [20, 2], [10, 3]], [], 0, [[0, 0]]])
def test_a_schedule_that_is_none_is_refused(schedule: object) -> None:
    with pytest.raises(ValueError, match="frames_per_step"):
        Tacotron2Config.model_validate(config().model_dump() | {"frames_per_step": schedule})


def test_dropped_frames_are_the_mean_and_come_in_training_only() -> None:
    ours, example = model(frame_dropout=0.5), batch((7, 40))
    seen: list[Tensor] = []
    forward = PreNet.forward
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(PreNet, "forward", lambda prenet, frames, *kept: seen.append(frames) or forward(prenet, frames))
        ours.train()(example, step=0)
        ours.eval()(example, step=0)
    in_training, in_evaluation = ((frames[1:] == 0).all(dim=2).float().mean().item() for frames in seen)
    assert 0.2 < in_training < 0.8
    assert in_evaluation == 0.0


def test_a_model_in_training_speaks_with_its_latest_weights() -> None:
    """The fused optimizer changes them without a trace: a decoder made ready earlier is another voice."""
    ours, text = model(), clip("a", 9, 1).symbol_ids
    adam = AdamWConfig(type="adamw", learning_rate=0.1, betas=(0.9, 0.99), eps=1e-6, weight_decay=0.0)
    optimizer = build_optimizer(ours, adam)
    before = ours.eval().infer([text], seed=1, options=OPTIONS)[0]
    ours.train().training_loss(batch((7, 20), (9, 31)), 0)["loss"].backward()
    optimizer.step()
    after = ours.eval().infer([text], seed=1, options=OPTIONS)[0]
    fresh = model()
    fresh.load_state_dict(ours.state_dict())
    expected = fresh.eval().infer([text], seed=1, options=OPTIONS)[0]
    assert torch.equal(after.mel, expected.mel)
    assert not torch.equal(after.alignment[0], before.alignment[0])


def test_a_mel_that_is_no_number_stops_the_training_and_names_the_clips(tmp_path: Path) -> None:
    class Data:
        batches_per_epoch = 1

        def epoch(self, number: int, first: int = 0) -> Iterator[Batch]:
            example = batch((7, 20), (9, 31))
            example.mel[1, 3, 5] = float("nan")
            yield example

    training = TrainingConfig.model_validate(default_params()["training"]["acoustic"])
    how = RunConfig(log_every=1, checkpoint_every=1, validate_every=1)
    task = Task(model(), Data(), Data(), lambda *_: None)
    with pytest.raises(NonFiniteLoss, match=r"step 0: loss nan, .*; clips clip0, clip1"):
        train(task, training, how, tmp_path, Logbook(tmp_path, "acoustic", Console(quiet=True)))


@pytest.mark.parametrize("bfloat16", [False, True])
def test_gradient_checkpointing_keeps_less_and_changes_nothing(bfloat16: bool) -> None:
    example, kept_bytes, results = batch((7, 100), (9, 71)), [], []

    def count(value: Tensor) -> Tensor:
        kept_bytes[-1] += value.numel() * value.element_size()
        return value

    for checkpointed in (False, True):
        ours = model(gradient_checkpointing=checkpointed).train()
        kept_bytes.append(0)
        seed_all("dropout")
        with (
            torch.autograd.graph.saved_tensors_hooks(count, lambda value: value),
            torch.autocast("cpu", torch.bfloat16, enabled=bfloat16),
        ):
            loss = ours.training_loss(example, 0)["loss"]
        loss.backward()
        results.append([loss, *(parameter.grad for parameter in ours.parameters())])
    assert kept_bytes[1] < 0.7 * kept_bytes[0]
    assert all(torch.equal(one, other) for one, other in zip(*results, strict=True))


def test_bfloat16_is_near_float32() -> None:
    """Products in bfloat16, softmax, states and losses in float32: 8 bits of mantissa, so about a percent."""
    ours, example = model(frames_per_step=2).train(), batch((7, 20), (9, 31))
    losses = []
    for enabled in (False, True):
        seed_all("dropout")
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            losses.append(ours.training_loss(example, 0))
        losses[-1]["loss"].backward()
    assert all(value.dtype == torch.float32 for value in losses[1].values())
    for name, value in losses[0].items():
        torch.testing.assert_close(losses[1][name], value, rtol=0.05, atol=0.01)
    assert all(torch.isfinite(parameter.grad).all() for parameter in ours.parameters())


def test_reading_the_sections_of_acoustic_models_imports_no_torch() -> None:
    code = "import sys, dtc.acoustic as a; a.ACOUSTIC_MODELS.configs(); sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
