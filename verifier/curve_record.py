"""Where a score comes from, as a part of the report: the loss along the stream, and by position in the window.

Both curves are sums over the very targets of the score; who shows them divides. Laws, which `ScoreRecord` enforces:
the segments' targets and bytes sum to the score's, and so do the positions' targets.
"""

import math
from typing import Annotated, Final

from pydantic import Field

from verifier.report_base import Count, Real, Some, Value

MAX_SEGMENTS: Final = 64
MAX_POSITION_GROUPS: Final = 16


class SegmentSum(Value):
    """A piece of the stream: consecutive targets.

    Attributes:
        tokens: its targets.
        bytes: their bytes of text; 0 where they are all control tokens.
        nats: their sum, in float64 in stream order.
    """

    tokens: Some
    bytes: Count
    nats: Real

    @property
    def val_bpb(self) -> float | None:
        """Bits per byte; None without a byte."""
        return self.nats / (math.log(2.0) * self.bytes) if self.bytes else None


class PositionSum(Value):
    """The targets that were predicted from about equally many tokens of their window.

    Attributes:
        first: the fewest tokens that the network saw, the target's position in its window counted from 1.
        last: the most.
        tokens: how many targets.
        nats: their sum, in float64 in stream order.
    """

    first: Some
    last: Some
    tokens: Some
    nats: Real

    @property
    def val_loss(self) -> float:
        """Nats per token."""
        return self.nats / self.tokens


class CurveRecord(Value):
    """The measured curves of a score.

    Attributes:
        segments: the stream in at most 64 pieces that differ by at most one target.
        positions: positions 1, 2, 3-4, 5-8, and so on, doubling; at most 16 groups, the last takes the rest.
    """

    segments: Annotated[tuple[SegmentSum, ...], Field(min_length=1, max_length=MAX_SEGMENTS)]
    positions: Annotated[tuple[PositionSum, ...], Field(min_length=1, max_length=MAX_POSITION_GROUPS)]

    @property
    def totals(self) -> tuple[int, int, int]:
        """Targets of the segments, their bytes, targets of the positions."""
        tokens, counted = (sum(getattr(one, field) for one in self.segments) for field in ("tokens", "bytes"))
        return tokens, counted, sum(group.tokens for group in self.positions)
