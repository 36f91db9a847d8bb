import json
from dataclasses import asdict, replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from trainer.config import Order
from trainer.shards import Batches, BatchShape, Cursor
from verifier.data_errors import TooFewTokens
from verifier.shards import Tokens

SHARDS = [
    np.arange(100, dtype=np.uint16),
    np.arange(1000, 1075, dtype=np.uint16),
    np.arange(5000, 5005, dtype=np.uint16),
]
TEN = BatchShape(seq_len=10, batch_windows=2)  # 9 + 7 + 0 windows


def starts(batches: Batches, count: int) -> list[int]:
    """The first token of every window of the next `count` batches: where it begins, since tokens are positions."""
    return [start for _ in range(count) for start in batches.next_batch()[0][:, 0].tolist()]


@pytest.mark.parametrize("order", Order)
def test_batches_are_int64_windows_and_targets_follow_inputs(order: Order) -> None:
    batches = Batches(SHARDS, TEN, order=order, seed=3)
    for _ in range(20):
        inputs, targets = batches.next_batch()
        assert inputs.dtype == targets.dtype == torch.int64
        assert inputs.shape == targets.shape == (2, 10)
        assert torch.equal(targets, inputs + 1)


def test_sequential_order_is_the_shards_one_after_the_other_again_and_again() -> None:
    batches = Batches(SHARDS, TEN, order=Order.SEQUENTIAL, seed=3)
    epoch = [*range(0, 90, 10), *range(1000, 1070, 10)]
    assert starts(batches, 16) == epoch + epoch


def test_a_shuffled_epoch_holds_every_window_once_and_the_next_another_order_and_phase() -> None:
    batches = Batches(SHARDS, TEN, order=Order.SHUFFLED, seed=3)
    first = starts(batches, 8)
    assert sorted(first) == [*range(0, 90, 10), *range(1000, 1070, 10)]
    assert first != sorted(first)
    second = starts(batches, 7)
    assert len(set(second)) == 14
    assert len({start % 10 for start in second}) == 1
    assert batches.cursor.epoch == 1


def test_the_order_is_a_function_of_the_seed() -> None:
    def order(seed: int) -> list[int]:
        return starts(Batches(SHARDS, TEN, order=Order.SHUFFLED, seed=seed), 8)

    assert order(2**64 - 1) == order(2**64 - 1)
    assert order(4) != order(5)


@given(
    seed=st.integers(0, 2**64 - 1),
    taken=st.integers(0, 40),
    order=st.sampled_from(Order),
)
def test_a_saved_cursor_continues_exactly(seed: int, taken: int, order: Order) -> None:
    batches = Batches(SHARDS, TEN, order=order, seed=seed)
    starts(batches, taken)
    saved = Cursor(**json.loads(json.dumps(asdict(batches.cursor))))
    resumed = Batches(SHARDS, TEN, order=order, seed=seed, cursor=saved)
    assert starts(resumed, 12) == starts(batches, 12)


@pytest.mark.parametrize(
    ("batch_windows", "grad_accum_steps", "world_size"), [(2, 2, 1), (1, 4, 1), (2, 1, 2), (1, 2, 2), (1, 1, 4)]
)
def test_a_step_sees_the_same_windows_however_it_is_cut(
    batch_windows: int, grad_accum_steps: int, world_size: int
) -> None:
    shape = BatchShape(
        seq_len=10, batch_windows=batch_windows, grad_accum_steps=grad_accum_steps, world_size=world_size
    )
    ranks = [Batches(SHARDS, replace(shape, rank=rank), order=Order.SHUFFLED, seed=8) for rank in range(world_size)]
    whole = Batches(SHARDS, BatchShape(seq_len=10, batch_windows=4), order=Order.SHUFFLED, seed=8)
    for _ in range(11):
        together = [start for _ in range(grad_accum_steps) for batches in ranks for start in starts(batches, 1)]
        assert together == starts(whole, 1)
    assert all(batches.cursor == whole.cursor for batches in ranks)


def test_windows_that_fill_no_last_step_wait_for_the_next_epoch() -> None:
    shape = BatchShape(seq_len=10, batch_windows=3, grad_accum_steps=2)
    batches = Batches(SHARDS, shape, order=Order.SEQUENTIAL, seed=0)
    assert starts(batches, 4) == [*range(0, 90, 10), 1000, 1010, 1020]
    assert starts(batches, 1) == [0, 10, 20]
    assert batches.cursor == Cursor(epoch=1, windows=3)


def test_an_epoch_whose_phase_would_leave_no_step_is_not_shifted() -> None:
    shape = BatchShape(seq_len=10, batch_windows=1)
    batches = Batches([np.arange(11, dtype=np.uint16)], shape, order=Order.SHUFFLED, seed=1)
    assert starts(batches, 20) == [0] * 20


@pytest.mark.parametrize(
    ("shards", "shape"),
    [
        ([np.arange(20, dtype=np.uint16)], BatchShape(seq_len=10, batch_windows=2)),
        (SHARDS, BatchShape(seq_len=10, batch_windows=4, world_size=3, grad_accum_steps=2)),
        ([], BatchShape(seq_len=10, batch_windows=1)),
    ],
    ids=["one token short", "a step of 24 windows", "no shard"],
)
def test_shards_that_hold_less_than_a_step_are_refused(shards: list[Tokens], shape: BatchShape) -> None:
    with pytest.raises(
        TooFewTokens, match=f"at least {shape.step_windows} windows of 10 tokens, one optimizer step, got"
    ):
        Batches(shards, shape, order=Order.SEQUENTIAL, seed=0)
