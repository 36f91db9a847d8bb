import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from verifier.data_errors import TooFewTokens
from verifier.windows import Windows, plan_windows, rank_windows, usable_targets, window_batches


@pytest.mark.parametrize(
    ("num_tokens", "usable"),
    [(2, 1), (1000, 999), (1024, 1023), (1025, 1024), (2048, 1024), (2049, 2048), (62_021_846, 62_021_632)],
)
def test_usable_targets_belong_to_the_set(num_tokens: int, usable: int) -> None:
    assert usable_targets(num_tokens) == usable


@pytest.mark.parametrize("num_tokens", [0, 1])
def test_a_stream_without_a_target_is_refused(num_tokens: int) -> None:
    with pytest.raises(TooFewTokens, match="at least 2 tokens"):
        usable_targets(num_tokens)


@pytest.mark.parametrize(("seq_len", "stride"), [(8, 0), (8, 9), (0, 0), (8, -1)])
def test_a_stride_outside_the_window_is_the_callers_mistake(seq_len: int, stride: int) -> None:
    with pytest.raises(ValueError, match="1 <= stride <= seq_len"):
        plan_windows(100, seq_len=seq_len, stride=stride)


def scored_ranges(windows: Windows) -> list[tuple[int, int, int]]:
    """(first input, first scored target, last scored target + 1) of each window."""
    indices = np.arange(windows.count)
    ends = windows.scored_ends(indices)
    return list(zip(*(a.tolist() for a in (ends - windows.seq_len, windows.scored_begins(indices), ends)), strict=True))


@pytest.mark.parametrize(
    ("name", "num_tokens", "seq_len", "stride", "expected"),
    [
        ("plain", 13, 4, 4, [(0, 0, 4), (4, 4, 8), (8, 8, 12)]),
        ("plain, remainder overlaps", 11, 4, 4, [(0, 0, 4), (4, 4, 8), (6, 8, 10)]),
        ("sliding", 10, 6, 2, [(0, 0, 6), (2, 6, 8), (3, 8, 9)]),
        ("stride 1", 6, 3, 1, [(0, 0, 3), (1, 3, 4), (2, 4, 5)]),
        ("window longer than the stream", 6, 64, 64, [(0, 0, 5)]),
        ("window longer than the stream, small stride", 6, 64, 2, [(0, 0, 5)]),
        ("one target", 2, 1024, 64, [(0, 0, 1)]),
    ],
)
def test_where_windows_lie(
    name: str, num_tokens: int, seq_len: int, stride: int, expected: list[tuple[int, int, int]]
) -> None:
    assert scored_ranges(plan_windows(num_tokens, seq_len=seq_len, stride=stride)) == expected


PLANS = st.integers(1, 80).flatmap(
    lambda seq_len: st.builds(
        plan_windows, st.integers(2, 2500), seq_len=st.just(seq_len), stride=st.integers(1, seq_len)
    )
)


@given(windows=PLANS)
def test_every_target_is_scored_exactly_once_in_stream_order(windows: Windows) -> None:
    position = 0
    for first_input, begin, end in scored_ranges(windows):
        assert begin == position
        assert 0 <= first_input <= begin < end
        position = end
    assert position == windows.usable


@given(windows=PLANS, batch_windows=st.integers(1, 9))
def test_gathered_batches_hold_each_target_after_its_input(windows: Windows, batch_windows: int) -> None:
    tokens = np.arange(windows.usable + 1).astype(np.uint16)  # a token is its own position
    scored = []
    for indices in window_batches(np.arange(windows.count), batch_windows=batch_windows):
        batch = windows.gather(tokens, indices, batch_windows=batch_windows)
        assert batch.inputs.shape == batch.targets.shape == batch.scored.shape == (batch_windows, windows.seq_len)
        assert np.array_equal(batch.targets, batch.inputs + 1)
        scored.append(batch.targets[batch.scored] - 1)
    assert np.array_equal(np.concatenate(scored), np.arange(windows.usable))


@given(count=st.integers(1, 200), batch_windows=st.integers(1, 9), world_size=st.integers(1, 9))
def test_ranks_share_whole_batches_in_stream_order(count: int, batch_windows: int, world_size: int) -> None:
    shares = [
        rank_windows(count, batch_windows=batch_windows, rank=rank, world_size=world_size) for rank in range(world_size)
    ]
    assert np.array_equal(np.concatenate(shares), np.arange(count))
    assert all(share[0] % batch_windows == 0 for share in shares if len(share))
    batches = [-(-len(share) // batch_windows) for share in shares]
    assert max(batches) - min(batches) <= 1


@pytest.mark.parametrize(("seq_len", "requested", "expected"), [(1024, 4, 4), (128, 1, 1), (127, 1, 2), (1, 4, 128)])
def test_short_windows_are_batched_until_products_are_large_enough(seq_len: int, requested: int, expected: int) -> None:
    assert Windows(usable=1024, seq_len=seq_len, stride=1).batch_windows(requested) == expected
