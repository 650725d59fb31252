"""Thread groups: ranks, exchanges, gathering with gradients, failures, intra-op threads."""

import threading

import pytest
import torch

from facehall.distributed.gathering import gather
from facehall.distributed.threads import ThreadGroup, current_group, thread_rank


@pytest.fixture
def group():
    group = ThreadGroup(3)
    yield group
    group.close()


def test_every_rank_runs_on_its_own_thread_and_always_on_the_same(group):
    first, second = (group.run(lambda rank: (rank, thread_rank(), threading.get_ident())) for _ in range(2))
    assert first == second
    assert [rank for rank, _, _ in first] == [own for _, own, _ in first] == [0, 1, 2]
    assert len({thread for *_, thread in first} | {threading.get_ident()}) == 4
    assert current_group() is None
    assert thread_rank() == 0


def test_the_ranks_exchange_values_in_order_again_and_again(group):
    def work(rank):
        return [group.exchange(10 * turn + rank) for turn in range(50)]

    assert group.run(work) == [[[10 * turn, 10 * turn + 1, 10 * turn + 2] for turn in range(50)]] * 3


def test_kernels_of_a_rank_use_its_number_of_intra_op_threads_only():
    own = torch.get_num_threads()
    try:
        torch.set_num_threads(3)
        group = ThreadGroup(2, intra_op_threads=2)
        assert group.run(lambda rank: torch.get_num_threads()) == [2, 2]
        assert torch.get_num_threads() == 3
        group.close()
    finally:
        torch.set_num_threads(own)


def test_an_error_on_one_rank_releases_the_others_and_is_the_one_reported(group):
    def work(rank):
        if rank == 2:
            raise ZeroDivisionError("rank 2")
        return group.exchange(rank)

    with pytest.raises(ZeroDivisionError, match="rank 2"):
        group.run(work)
    assert group.run(group.exchange) == [[0, 1, 2]] * 3  # the group is usable again


def test_gathered_gradients_are_those_of_the_mean_loss_over_the_whole_batch(group):
    torch.manual_seed(0)
    whole = torch.randn(6, 5, dtype=torch.float64, requires_grad=True)
    (whole - whole.mean()).exp().mean().backward()
    slices = [part.clone().requires_grad_() for part in whole.detach().chunk(3)]

    def work(rank):
        own = slices[rank]
        ((own - gather(own.mean()).mean()).exp().mean() / group.size).backward()

    group.run(work)
    torch.testing.assert_close(torch.cat([part.grad for part in slices]), whole.grad, rtol=1e-13, atol=0)


def test_outside_of_a_group_there_is_one_rank(group):
    x = torch.rand(4)
    assert torch.equal(gather(x), x[None])
    assert [part.shape for part in group.run(lambda rank: gather(x))] == [(3, 4)] * 3
