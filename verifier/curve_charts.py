"""The two curves of a score as charts: what a report shows of where its loss comes from, and the axes they share."""

import math
from collections.abc import Sequence
from itertools import accumulate
from typing import Final, Protocol, TypeVar

from verifier.curve_record import CurveRecord
from verifier.line_chart import Axis, Line, LineChart, Table, round_ticks
from verifier.report import ScoreRecord

MIN_TARGETS: Final = 30
"""Fewer say too little to be drawn; the table has them."""
BPB: Final = "bits per byte"
NATS: Final = "nats per token"
THOUSANDS: Final = 5_000
MILLIONS: Final = 5_000_000
TICK_OCTAVES: Final = 2


class Group(Protocol):
    """Targets that are drawn as one point."""

    @property
    def tokens(self) -> int:
        """How many."""


GroupT = TypeVar("GroupT", bound=Group)


def stream_chart(score: ScoreRecord, curve: CurveRecord) -> LineChart:
    """val_bpb along the validation set, against that of the whole."""
    lasts = list(accumulate(segment.tokens for segment in curve.segments))
    places = [(last - segment.tokens + 1, last, segment) for last, segment in zip(lasts, curve.segments, strict=True)]
    values = [(stream_x(first, last), segment.val_bpb) for first, last, segment in places]
    rows = [
        (span(first, last), f"{segment.bytes:,}", f"{segment.nats:,.2f}", shown(segment.val_bpb))
        for first, last, segment in places
    ]
    return LineChart(
        title="Loss along the validation set",
        note=f"val_bpb of {len(places)} equal parts in stream order; lower is better.",
        x=stream_axis(lasts[-1]),
        y_label=BPB,
        lines=(Line(kind="one", points=[(x, y) for x, y in values if y is not None], name="each part"),),
        level=(score.val_bpb, f"whole set {score.val_bpb:.4f}"),
        table=Table(columns=("targets", "bytes", "nats", "val_bpb"), rows=rows),
    )


def position_chart(score: ScoreRecord, curve: CurveRecord) -> LineChart:
    """Loss by how much of its window came before a target."""
    groups = curve.positions
    rows = [
        (span(group.first, group.last), f"{group.tokens:,}", f"{group.nats:,.2f}", shown(group.val_loss))
        for group in groups
    ]
    points = [(position_x(group.last), group.val_loss) for group in drawn(groups)]
    return LineChart(
        title="Loss by position in the window",
        note=position_note(groups),
        x=position_axis(groups[-1].last),
        y_label=NATS,
        lines=(Line(kind="one", points=points, name="mean of each group", has_dots=True),),
        level=(score.val_loss, f"all targets {score.val_loss:.4f}"),
        table=Table(columns=("tokens before", "targets", "nats", "val_loss"), rows=rows),
    )


def drawn(groups: Sequence[GroupT]) -> Sequence[GroupT]:
    """The groups with targets enough to be drawn; all of them where none has."""
    return [group for group in groups if group.tokens >= MIN_TARGETS] or groups


def position_note(groups: Sequence[Group]) -> str:
    """What a chart by position shows and leaves out."""
    is_whole = len(drawn(groups)) == len(groups)
    small = "" if is_whole else f"; groups of fewer than {MIN_TARGETS} targets are in the table only"
    return f"By the tokens of its window before a target, in doublings{small}."


def stream_axis(num_targets: int) -> Axis:
    """Along the validation set, in targets."""
    unit, suffix = (1e6, " M") if num_targets >= MILLIONS else (1e3, " k") if num_targets >= THOUSANDS else (1.0, "")
    ticks = [(value, f"{value / unit:g}{suffix if value else ''}") for value, _ in round_ticks(0.0, num_targets)[2]]
    return Axis(label="targets of the validation set", ticks=ticks, ends=(0.0, float(num_targets)))


def position_axis(last: int) -> Axis:
    """Along the window, a doubling a step."""
    ticks = [(float(octave), f"{2**octave:,}") for octave in range(0, last.bit_length() + 1, TICK_OCTAVES)]
    return Axis(label="tokens of the window before the target", ticks=ticks, ends=(0.0, position_x(last)))


def stream_x(first: int, last: int) -> float:
    """Where the targets `first` to `last`, counted from 1, stand on `stream_axis`."""
    return (first - 1 + last) / 2


def position_x(last: int) -> float:
    """Where the positions up to `last` stand on `position_axis`."""
    return math.log2(last)


def span(first: int, last: int) -> str:
    """A range of whole numbers."""
    return f"{first:,}" if first == last else f"{first:,} to {last:,}"


def shown(value: float | None) -> str:
    """A loss in a table."""
    return "" if value is None else f"{value:.6f}"
