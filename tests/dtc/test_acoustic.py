"""Tacotron 2: equal to torchaudio's with the same weights, independent of padding, and what it infers."""

import subprocess
import sys

import pytest
import torch
import torch.nn.functional as F
import torchaudio
from torch import Tensor

from dtc.acoustic import ACOUSTIC_MODELS
from dtc.acoustic.base import InferenceOptions
from dtc.acoustic.configs import Tacotron2Config
from dtc.acoustic.decoder import PreNet, teacher_forced
from dtc.acoustic.tacotron2 import Tacotron2
from dtc.acoustic.utterance_status import STATUS_MEANINGS
from dtc.audio import MelStatistics
from dtc.compat.nvidia_tacotron2 import their_name
from tests.dtc.tiny_acoustic import AUDIO, MELS, NEVER, OPTIONS, PARITY_TOLERANCE, batch, clip, config, model


@pytest.fixture
def no_dropout(monkeypatch: pytest.MonkeyPatch) -> None:
    """Prenet dropout is always on, in torchaudio's model too."""
    monkeypatch.setattr(F, "dropout", lambda values, *_, **__: values)


def torchaudio_twin(ours: Tacotron2) -> torchaudio.models.Tacotron2:
    """torchaudio's model with our weights."""
    theirs = torchaudio.models.Tacotron2(
        n_mels=MELS,
        n_symbol=148,
        symbol_embedding_dim=32,
        encoder_embedding_dim=32,
        attention_rnn_dim=48,
        attention_hidden_dim=16,
        attention_location_n_filter=8,
        decoder_rnn_dim=40,
        prenet_dim=24,
        postnet_embedding_dim=32,
        decoder_max_step=50,
    ).eval()
    # Its names are NVIDIA's without the layers that those wrap theirs in.
    weights = {
        their_name(name).replace(".linear_layer.", ".").replace(".conv.", "."): value
        for name, value in ours.state_dict().items()
        if not name.startswith("mel_")
    }
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
        (prediction.mel, mel),
        (prediction.mel_postnet, mel_postnet),
        (prediction.gate_logits, gate),
        (prediction.alignments, alignments),
    ):
        torch.testing.assert_close(mine, expected, atol=PARITY_TOLERANCE, rtol=0)


@pytest.mark.usefixtures("no_dropout")
def test_a_padded_batch_equals_torchaudios_where_the_convolutions_are_not_masked() -> None:
    """torchaudio's convolutions see the padding of a batch, as NVIDIA's do."""
    tree = config().model_dump() | {"mask_convolutions": False}
    ours = ACOUSTIC_MODELS.build(Tacotron2Config.model_validate(tree), AUDIO, MelStatistics.neutral(MELS)).eval()
    with torch.no_grad():
        for parameter in ours.post_net.parameters():
            parameter.normal_(std=0.3, generator=torch.Generator().manual_seed(1))
    sizes = [(9, 30), (7, 21), (4, 13)]
    example = batch(*sizes)
    prediction = ours(example, step=0)
    mel, mel_postnet, gate, alignments = torchaudio_twin(ours)(
        example.symbol_ids, example.symbol_lengths, example.mel, example.mel_lengths
    )
    masked = ACOUSTIC_MODELS.build(config(), AUDIO, MelStatistics.neutral(MELS)).eval()
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
        assert said.status in STATUS_MEANINGS


def test_gate_stops_each_utterance_and_the_cap_follows_the_text() -> None:
    texts = [clip("a", 9, 1).symbol_ids, clip("b", 5, 1).symbol_ids]
    never, at_once = model(2, gate_threshold=NEVER).eval(), model(2).eval()
    capped = never.infer(texts, seed=1, options=OPTIONS)
    assert [said.status for said in capped] == ["cut_off", "cut_off"]
    assert [said.mel.shape[1] for said in capped] == [9 * 4, 5 * 4]  # max_frames_per_symbol = 4
    assert [tuple(said.alignment.shape) for said in capped] == [(18, 9), (10, 5)]
    with torch.no_grad():
        at_once.decoder.gate.bias.fill_(100.0)
    assert [(said.status, said.mel.shape[1]) for said in at_once.infer(texts, seed=1, options=OPTIONS)] == [
        ("skipped_text", 2),
        ("ended", 2),
    ]


def test_full_size_has_the_published_number_of_parameters() -> None:
    full = config().model_dump()
    full |= {"symbols_embedding_dim": 512}
    full["encoder"] |= {"embedding_dim": 512}
    full["attention"] |= {"rnn_dim": 1024, "attention_dim": 128, "num_filters": 32}
    full["decoder"] |= {"rnn_dim": 1024, "pre_net_dim": 256}
    full["post_net"] |= {"embedding_dim": 512}
    built = ACOUSTIC_MODELS.build(Tacotron2Config.model_validate(full), AUDIO, MelStatistics.neutral(80))
    assert sum(parameter.numel() for parameter in built.parameters()) == 28_193_153


def test_frames_per_step_follow_their_schedule() -> None:
    tree = config().model_dump() | {"frames_per_step": [[0, 4], [10, 2], [20, 3]]}
    ours = ACOUSTIC_MODELS.build(Tacotron2Config.model_validate(tree), AUDIO, MelStatistics.neutral(MELS)).eval()
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


def test_reading_the_sections_of_acoustic_models_imports_no_torch() -> None:
    code = "import sys, dtc.acoustic as a; a.ACOUSTIC_MODELS.configs(); sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
