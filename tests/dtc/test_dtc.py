"""DTC: the second decoder reads each clip backwards by its own length, agrees with the first, and costs nothing later."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from dtc.acoustic import ACOUSTIC_MODELS
from dtc.acoustic.configs import DTCConfig
from dtc.acoustic.decoder import teacher_forced
from dtc.acoustic.dtc import DTC
from dtc.audio import MelStatistics
from dtc.batch import Batch, time_reversed
from dtc.seeding import seed_all
from tests.dtc.tiny_acoustic import AUDIO, MELS, OPTIONS, batch, clip, config


def model(frames_per_step: int = 1, duel: dict[str, float] | None = None, reverse_decoder: bool = True) -> DTC:
    weights = {
        "backward_weight": 1.0,
        "mel_agreement_weight": 0.5,
        "attention_agreement_weight": 0.5,
        "fade_steps": None,
    } | (duel or {})
    tree = config(frames_per_step).model_dump() | {"model": "dtc", "reverse_decoder": reverse_decoder, "duel": weights}
    seed_all("weights")
    built = ACOUSTIC_MODELS.build(DTCConfig.model_validate(tree), AUDIO, MelStatistics.neutral(MELS))
    assert isinstance(built, DTC)
    return built


@pytest.fixture(autouse=True)
def no_dropout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(F, "dropout", lambda values, *_, **__: values)


def test_each_clip_is_reversed_by_its_own_length() -> None:
    rows = torch.tensor([[[1.0, 2.0, 3.0, 4.0]], [[5.0, 6.0, 99.0, 99.0]]])
    assert time_reversed(rows, torch.tensor([4, 2]), dim=2).tolist() == [[[4, 3, 2, 1]], [[6, 5, 0, 0]]]
    assert time_reversed(rows.transpose(1, 2), torch.tensor([3, 1]), dim=1)[..., 0].tolist() == [
        [3, 2, 1, 0],
        [5, 0, 0, 0],
    ]


@pytest.mark.parametrize("frames_per_step", [1, 3])
def test_the_loss_of_a_batch_is_that_of_its_clips(frames_per_step: int) -> None:
    """A clip that is turned round with its padding would begin the backward decoder on zeros."""
    ours = model(frames_per_step).eval()
    sizes = [(7, 20), (15, 44)]
    losses = [ours.training_loss(batch(size), 0) for size in sizes]
    together = ours.training_loss(Batch(*_joined([batch(size) for size in sizes])), 0)
    for name in ("backward_mel", "mel_agreement", "mel"):
        frames = [frames for _, frames in sizes]
        expected = sum(loss[name] * n for loss, n in zip(losses, frames, strict=True)) / sum(frames)
        torch.testing.assert_close(together[name], expected, atol=1e-5, rtol=0)
    steps = [-(-frames // frames_per_step) for _, frames in sizes]
    for name in ("attention_agreement", "backward_gate", "backward_guided_attention"):
        expected = sum(loss[name] * n for loss, n in zip(losses, steps, strict=True)) / sum(steps)
        torch.testing.assert_close(together[name], expected, atol=1e-5, rtol=0)


def _joined(batches: list[Batch]) -> tuple[object, ...]:
    """Batches of one clip each as one batch, padded with what must not matter."""

    def pad(name: str, value: float) -> Tensor:
        rows = [getattr(each, name) for each in batches]
        size = max(row.shape[-1] for row in rows)
        return torch.cat([F.pad(row, (0, size - row.shape[-1]), value=value) for row in rows])

    lengths = {
        name: torch.cat([getattr(each, name) for each in batches])
        for name in ("symbol_lengths", "mel_lengths", "wave_lengths")
    }
    return (
        tuple(name for each in batches for name in each.ids),
        pad("symbol_ids", 40),
        lengths["symbol_lengths"],
        pad("mel", 3.0),
        lengths["mel_lengths"],
        pad("wave", 0.5),
        lengths["wave_lengths"],
    )


def test_side_by_side_is_one_after_the_other() -> None:
    """Two decoders in one loop compute what each computes alone."""
    ours = model(frames_per_step=2).eval()
    example = batch((7, 20), (9, 31))
    values, mask = ours.encode(example.symbol_ids, example.symbol_lengths)
    targets = [example.mel, time_reversed(example.mel, example.mel_lengths, dim=2)]
    decoders = [ours.decoder, ours.backward_decoder]
    both = teacher_forced(decoders, targets, values, mask, 2)
    for number, (decoder, target) in enumerate(zip(decoders, targets, strict=True)):
        alone = teacher_forced([decoder], [target], values, mask, 2)[0]
        torch.testing.assert_close(both[number].mel, alone.mel, atol=1e-5, rtol=0)
        torch.testing.assert_close(both[number].alignments, alone.alignments, atol=1e-6, rtol=0)


def test_decoders_that_mirror_each_other_agree() -> None:
    """With the same weights and a clip that is its own mirror image, both say the same, so nothing is left to agree on."""
    ours = model().eval()
    ours.backward_decoder.load_state_dict(ours.decoder.state_dict())
    example = batch((1, 9))  # one symbol: the attention cannot differ
    halves = example.mel[..., :5]
    mirrored = torch.cat([halves, halves[..., :4].flip(2)], dim=2)
    losses = ours.training_loss(Batch(**vars(example) | {"mel": mirrored}), 0)
    assert losses["attention_agreement"].item() == 0.0
    torch.testing.assert_close(losses["backward_mel"], losses["mel"])


def test_all_parameters_learn() -> None:
    ours = model(frames_per_step=2).train()
    ours.training_loss(batch((7, 20), (9, 31)), 0)["loss"].backward()
    assert [name for name, parameter in ours.named_parameters() if parameter.grad is None] == []


def test_a_weight_of_zero_switches_a_term_off() -> None:
    ours = model(duel={"mel_agreement_weight": 0.0, "attention_agreement_weight": 0.0})
    terms = ours.training_loss(batch((7, 20)), 0)
    assert not {"mel_agreement", "attention_agreement"} & terms.keys()


def test_the_duel_fades_until_the_backward_decoder_rests() -> None:
    stays, fades, example = model(), model(duel={"fade_steps": 100}), batch((7, 20))
    whole, faded, over = (
        stays.training_loss(example, 75),
        fades.training_loss(example, 75),
        fades.training_loss(example, 100),
    )
    duel = [name for name in whole if name.startswith("backward_") or name.endswith("_agreement")]
    for name in set(whole) - {"loss"}:
        share = 0.25 if name in duel and name != "backward_diagonal_score" else 1.0
        torch.testing.assert_close(faded[name], share * whole[name])
    assert set(over) == set(whole) - set(duel)
    fades.zero_grad(set_to_none=True)
    over["loss"].backward()
    assert all(parameter.grad is None for parameter in fades.backward_decoder.parameters())


def test_the_backward_decoder_is_not_asked_when_the_model_speaks() -> None:
    ours = model(frames_per_step=2).eval()
    text = clip("a", 9, 1).symbol_ids
    before = ours.infer([text], seed=1, options=OPTIONS)[0].mel
    with torch.no_grad():
        for parameter in ours.backward_decoder.parameters():
            parameter.fill_(torch.nan)
    assert torch.equal(ours.infer([text], seed=1, options=OPTIONS)[0].mel, before)


def test_without_the_reverse_decoder_it_is_tacotron2() -> None:
    alone = model(reverse_decoder=False)
    terms = alone.training_loss(batch((7, 20)), 0)
    assert set(terms) == {"loss", "mel", "gate", "guided_attention", "mel_postnet", "diagonal_score"}
