"""Draws, sums and means over a batch that several processes share are those of one process."""

import threading
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from dtc import whole_batch
from dtc.acoustic.layers import MaskedBatchNorm
from dtc.batch import mask_of, masked_mean
from dtc.whole_batch import Share, shared

WORLD = 3
CLIPS = [7, 3, 2]  # of a batch, for two or more for each process, one, and none for the last
TOLERANCE = 1e-6  # of sums in another order


def no_sum(values: Tensor) -> None:
    raise AssertionError("a draw needs no other process")


def joined(parts: list[Tensor], clips: int, batch_dim: int) -> Tensor:
    """The rows of all processes in the order of the batch; those of a process without a clip are the first one's."""
    whole = [parts[clip % WORLD].select(batch_dim, clip // WORLD) for clip in range(clips)]
    for part in parts[clips:]:
        assert torch.equal(part, parts[0].narrow(batch_dim, 0, 1))
    return torch.stack(whole, dim=batch_dim)


@pytest.mark.parametrize("clips", CLIPS)
@pytest.mark.parametrize(
    ("batch_dim", "order"),  # of the axes in memory, the clips being the first one: PyTorch draws in that order
    [(0, (0, 1, 2)), (0, (0, 2, 1)), (1, (1, 0, 2)), (2, (2, 0, 1)), (2, (1, 2, 0))],
)
def test_dropout_is_that_of_the_whole_batch(clips: int, batch_dim: int, order: tuple[int, int, int]) -> None:
    shape = [(clips, 4, 5)[axis] for axis in order]
    places = [order.index(axis) for axis in range(3)]  # of the clips, and of the two other axes
    others = [places[1], places[2]]
    others.insert(batch_dim, places[0])

    def arranged(memory: Tensor) -> Tensor:
        return memory.permute(others)

    memory = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    values = arranged(memory)
    torch.manual_seed(1)
    expected, follows = F.dropout(values, 0.3), torch.rand(1)
    parts = []
    for rank in range(WORLD):
        torch.manual_seed(1)
        with shared(share := Share(rank, WORLD, clips, no_sum)):
            rows = torch.arange(clips)[share.rows]
            parts.append(whole_batch.dropout(arranged(memory.index_select(places[0], rows)), 0.3, batch_dim=batch_dim))
        assert torch.equal(torch.rand(1), follows), "as much of the stream is used"
    torch.testing.assert_close(joined(parts, clips, batch_dim), expected, rtol=TOLERANCE, atol=0)


@pytest.mark.parametrize("clips", CLIPS)
def test_random_numbers_are_those_of_the_whole_batch(clips: int) -> None:
    bounds = [1, 5, 900, 17, 2, 70_000, 3][:clips]

    def draw(own: list[int]) -> tuple[Tensor, Tensor]:
        torch.manual_seed(1)
        places, numbers = whole_batch.rand_below(own), whole_batch.rand((4, len(own)), torch.device("cpu"), batch_dim=1)
        return torch.cat([torch.tensor(places)[None], numbers]), torch.rand(1)

    (expected, follows), parts = draw(bounds), []
    for rank in range(WORLD):
        with shared(share := Share(rank, WORLD, clips, no_sum)):
            part, after = draw(bounds[share.rows])
        parts.append(part)
        assert torch.equal(after, follows)
    assert torch.equal(joined(parts, clips, batch_dim=1), expected)


def of_all_ranks(compute: Callable[[Share], list[Tensor]], clips: int) -> list[list[Tensor]]:
    """What each process computes, here threads that add up their tensors."""
    barrier, given, results = threading.Barrier(WORLD, timeout=60), dict[int, Tensor](), dict[int, list[Tensor]]()

    def run(rank: int) -> None:
        def add_up(values: Tensor) -> None:
            given[rank] = values.clone()
            barrier.wait()
            values.copy_(torch.stack([given[other] for other in range(WORLD)]).sum(dim=0))
            barrier.wait()

        with shared(share := Share(rank, WORLD, clips, add_up)):
            results[rank] = compute(share)

    threads = [threading.Thread(target=run, args=(rank,)) for rank in range(WORLD)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [results[rank] for rank in range(WORLD)]


def mean_of_all(compute: Callable[[slice], list[Tensor]], clips: int) -> list[Tensor]:
    """The mean over all processes of what they compute of their rows."""
    each = of_all_ranks(lambda share: compute(share.rows), clips)
    return [torch.stack(parts).mean(dim=0) for parts in zip(*each, strict=True)]


@pytest.mark.parametrize("clips", CLIPS)
def test_means_and_their_gradients_are_those_of_the_whole_batch(clips: int) -> None:
    generator = torch.Generator().manual_seed(1)
    values = torch.randn(clips, 4, 9, generator=generator)
    mask = mask_of(torch.tensor([9, 2, 5, 7, 1, 4, 3][:clips]), 9)
    weight = torch.linspace(0.5, 2.0, 9)

    def compute(rows: slice) -> list[Tensor]:
        parameter = weight.clone().requires_grad_()
        own = values[rows] * parameter
        losses = [masked_mean(own.square(), mask[rows]), whole_batch.mean(own.exp()), whole_batch.norm(own)]
        torch.stack(losses).sum().backward()
        assert parameter.grad is not None
        return [*(loss.detach() for loss in losses), parameter.grad]

    torch.testing.assert_close(mean_of_all(compute, clips), compute(slice(None)), rtol=TOLERANCE, atol=TOLERANCE)


@pytest.mark.parametrize("clips", CLIPS)
def test_batch_normalisation_has_the_statistics_of_the_whole_batch(clips: int) -> None:
    generator = torch.Generator().manual_seed(1)
    values, target = torch.randn(2, clips, 4, 9, generator=generator)
    mask = mask_of(torch.tensor([9, 2, 5, 7, 1, 4, 3][:clips]), 9)

    def compute(rows: slice) -> list[Tensor]:
        norm, scale = MaskedBatchNorm(4), torch.linspace(0.5, 2.0, 9).requires_grad_()
        masked_mean((norm(values[rows] * scale, mask[rows]) - target[rows]).square(), mask[rows]).backward()
        assert scale.grad is not None
        assert norm.weight.grad is not None
        return [scale.grad, norm.weight.grad, norm.running_mean, norm.running_var]

    torch.testing.assert_close(mean_of_all(compute, clips), compute(slice(None)), rtol=1e-5, atol=TOLERANCE)
