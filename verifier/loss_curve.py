"""Where a score comes from: its nats along the stream, and by how many tokens of the window the network had seen.

Works on the per-target nats that a score is the sum of, all of them in stream order, as `scoring.score` shows them.
Every sum is made in float64 in stream order, so a curve has the bits of its nats: it depends on batch size, threads
and processes only where they do. Knows no model, and is no part of the counted ruler.
"""

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from verifier.bytes_table import BytesTable
from verifier.curve_record import MAX_POSITION_GROUPS, MAX_SEGMENTS, CurveRecord, PositionSum, SegmentSum
from verifier.scoring import SUM_TOKENS, BpbSum
from verifier.shards import Tokens
from verifier.target_nats import Nats
from verifier.windows import Windows

Groups = NDArray[np.int64]


def loss_curve(nats: Nats, tokens: Tokens, table: BytesTable, windows: Windows) -> CurveRecord:
    """The curves of a whole stream's score.

    Args:
        nats: of every usable target, finite, in stream order.
        tokens: the stream.
        table: the bytes of its tokenizer.
        windows: in which it was scored.
    """
    return CurveRecord(segments=tuple(_segments(nats, tokens, table)), positions=tuple(_positions(nats, windows)))


def _segments(nats: Nats, tokens: Tokens, table: BytesTable) -> Iterator[SegmentSum]:
    count = min(MAX_SEGMENTS, len(nats))
    for start, stop in pairwise(len(nats) * number // count for number in range(count + 1)):
        total = BpbSum()
        for first in range(start, stop, SUM_TOKENS):
            last = min(first + SUM_TOKENS, stop)
            total = total.add(nats[first:last], table.target_bytes(tokens[first:last], tokens[first + 1 : last + 1]))
        yield SegmentSum(tokens=total.tokens, bytes=total.bytes, nats=total.nats)


def _positions(nats: Nats, windows: Windows) -> Iterator[PositionSum]:
    groups = group_of_position(windows.seq_len)
    numbers = np.arange(groups[-1] + 1)
    counts, totals = np.zeros(len(numbers), np.int64), np.zeros(len(numbers), np.float64)
    for start, chosen in target_groups(windows, groups):
        weights = np.concatenate([totals, nats[start : start + len(chosen)]], dtype=np.float64)
        totals = np.bincount(np.concatenate([numbers, chosen]), weights).astype(np.float64)  # adds one by one, in order
        counts += np.bincount(chosen, minlength=len(numbers))
    edges = np.searchsorted(groups, np.arange(len(numbers) + 1))
    for (first, last), count, total in zip(pairwise(edges), counts, totals, strict=True):
        yield PositionSum(first=int(first) + 1, last=int(last), tokens=int(count), nats=float(total))


def group_of_position(seq_len: int) -> Groups:
    """The group of positions 1 .. `seq_len`: 1, 2, 3-4, 5-8 and so on, ascending from 0."""
    doublings = [(position - 1).bit_length() for position in range(1, seq_len + 1)]
    return np.minimum(np.array(doublings, dtype=np.int64), MAX_POSITION_GROUPS - 1)


def target_groups(windows: Windows, groups: Groups) -> Iterator[tuple[int, Groups]]:
    """The groups of all targets in stream order, in parts, each with its first target.

    The first window scores a target at each of its positions, every later one at the end of its own.
    """
    yield 0, groups
    start, stop = windows.seq_len, windows.usable
    many = np.tile(groups[-windows.stride :], max(1, SUM_TOKENS // windows.stride))
    while stop - start >= windows.stride:
        whole = (stop - start) // windows.stride * windows.stride
        yield start, many[:whole]
        start += min(whole, len(many))
    if start < stop:
        yield start, groups[start - stop :]
