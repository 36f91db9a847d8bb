"""Where the scoring windows lie: arithmetic on positions, no model, no tokens read until a batch is gathered.

Target k is token x_{k+1}, predicted from the tokens before it, k = 0 .. usable-1. The rules are verification.md's
V-20 and V-21; laws, for every plan: the scored ranges are disjoint, in stream order, and cover every target exactly
once; every window has the same T inputs; the set of targets depends on the stream alone.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from verifier.data_errors import TooFewTokens
from verifier.shards import Tokens

USABLE_UNIT_TOKENS = 1024
# Smaller float32 products take other routines on a CPU, with other last bits: seen below 16 rows, and with layers of
# width 8 at 64 rows too (EPYC, torch 2.13).
MIN_BATCH_TOKENS = 128


def usable_targets(num_tokens: int) -> int:
    """How many targets of a stream count: whole units of 1024, or all of a shorter stream.

    Raises:
        TooFewTokens: the stream has no target.
    """
    targets = num_tokens - 1
    if targets < 1:
        raise TooFewTokens("token stream", expected="at least 2 tokens", got=str(num_tokens))
    return targets if targets < USABLE_UNIT_TOKENS else targets // USABLE_UNIT_TOKENS * USABLE_UNIT_TOKENS


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowBatch:
    """B windows of T tokens as the model sees them; `scored` marks the targets that count, in stream order by row.

    Attributes:
        inputs: int64 (B, T).
        targets: int64 (B, T), each the token after its input.
        scored: bool (B, T); a padding row has none.
    """

    inputs: NDArray[np.int64]
    targets: NDArray[np.int64]
    scored: NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Windows:
    """The plan for one stream: `usable` targets, windows of `seq_len` inputs, `stride` new targets in each later."""

    usable: int
    seq_len: int
    stride: int

    @property
    def count(self) -> int:
        """How many windows there are."""
        return 1 + -(-(self.usable - self.seq_len) // self.stride)

    def scored_ends(self, indices: NDArray[np.int64]) -> NDArray[np.int64]:
        """One past the last target of each window, which is also one past its last input."""
        return np.minimum(self.seq_len + self.stride * indices, self.usable)

    def scored_begins(self, indices: NDArray[np.int64]) -> NDArray[np.int64]:
        """The first target that each window scores."""
        return np.where(indices == 0, 0, self.scored_ends(indices - 1))

    def scored_targets(self, indices: NDArray[np.int64]) -> int:
        """How many targets these windows score together."""
        return int((self.scored_ends(indices) - self.scored_begins(indices)).sum())

    def batch_windows(self, requested: int) -> int:
        """How many windows every batch has: `requested`, or more where windows are so short that bits would change."""
        return max(requested, -(-MIN_BATCH_TOKENS // self.seq_len))

    def gather(self, tokens: Tokens, indices: NDArray[np.int64], *, batch_windows: int) -> WindowBatch:
        """Cut the windows `indices` (at most `batch_windows`) out of the stream, padded to the fixed batch shape."""
        rows = np.concatenate([indices, np.repeat(indices[-1:], batch_windows - len(indices))])
        ends, begins = self.scored_ends(rows)[:, None], self.scored_begins(rows)[:, None]
        positions = ends - self.seq_len + np.arange(self.seq_len)  # (B, T)
        scored = positions >= begins
        scored[len(indices) :] = False
        return WindowBatch(
            inputs=tokens[positions].astype(np.int64), targets=tokens[positions + 1].astype(np.int64), scored=scored
        )


def plan_windows(num_tokens: int, *, seq_len: int, stride: int) -> Windows:
    """Plan the windows over a stream of `num_tokens` tokens; `stride` equal to `seq_len` is plain scoring.

    Args:
        num_tokens: length N of the stream.
        seq_len: tokens T a window shows the model; cut to the usable targets when larger.
        stride: new targets in each later window, 1 <= stride <= seq_len.

    Raises:
        ValueError: seq_len or stride out of range.
        TooFewTokens: the stream has no target.
    """
    if not 1 <= stride <= seq_len:
        raise ValueError(f"stride: expected 1 <= stride <= seq_len ({seq_len}), got {stride}")
    usable = usable_targets(num_tokens)
    cut = min(seq_len, usable)
    return Windows(usable=usable, seq_len=cut, stride=min(stride, cut))


def window_batches(indices: NDArray[np.int64], *, batch_windows: int) -> Iterator[NDArray[np.int64]]:
    """The window indices in groups of `batch_windows`, the last one shorter."""
    for start in range(0, len(indices), batch_windows):
        yield indices[start : start + batch_windows]


def rank_windows(count: int, *, batch_windows: int, rank: int, world_size: int) -> NDArray[np.int64]:
    """The contiguous windows of one rank: whole batches, so that every batch is the one that a single process forms.

    That makes a score independent of the number of processes wherever equal batches give equal bits.
    """
    batches = -(-count // batch_windows)
    first, last = (batches * part // world_size * batch_windows for part in (rank, rank + 1))
    return np.arange(first, min(last, count), dtype=np.int64)
