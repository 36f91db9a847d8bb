"""The curves of compared runs on one grid: along the validation set and by position in the window.

A comparison's runs were scored on the same targets in the same windows, so their curves have the same places; reports
from before there were curves have none, and then nothing is compared.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from verifier.curve_record import CurveRecord

Losses = tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """The loss of every run at one place of a curve.

    Attributes:
        first, last: targets of the stream, or positions in the window; counted from 1.
        tokens: how many targets.
        candidates, baseline: bits per byte along the stream, nats per token by position; in the order of the runs.
    """

    first: int
    last: int
    tokens: int
    candidates: Losses
    baseline: Losses

    @property
    def gains(self) -> Losses:
        """How much lower every candidate lies than the baseline's mean."""
        beaten = fmean(self.baseline)
        return tuple(beaten - loss for loss in self.candidates)


@dataclass(frozen=True, slots=True, kw_only=True)
class Curves:
    """val_bpb along the stream, val_loss by position."""

    stream: tuple[Place, ...]
    position: tuple[Place, ...]


def curves(candidates: Sequence[CurveRecord | None], baseline: Sequence[CurveRecord | None]) -> Curves | None:
    """Bring the runs' curves together; None where one is missing or was made over other places."""
    ours, theirs = ([curve for curve in group if curve is not None] for group in (candidates, baseline))
    every = ours + theirs
    if len(every) < len(candidates) + len(baseline) or len({_grid(curve) for curve in every}) != 1:
        return None
    return Curves(stream=_stream(ours, theirs), position=_position(ours, theirs))


def _grid(curve: CurveRecord) -> tuple[tuple[int, ...], ...]:
    segments = tuple((segment.tokens, segment.bytes) for segment in curve.segments)
    return segments + tuple((group.first, group.last, group.tokens) for group in curve.positions)


def _stream(ours: Sequence[CurveRecord], theirs: Sequence[CurveRecord]) -> tuple[Place, ...]:
    """One place a segment; those without a byte of text have no bits per byte and are left out."""
    places, last = [], 0
    for number, segment in enumerate(ours[0].segments):
        first, last = last + 1, last + segment.tokens
        found = [[curve.segments[number].val_bpb for curve in group] for group in (ours, theirs)]
        candidates, baseline = (tuple(value for value in group if value is not None) for group in found)
        if segment.bytes:
            places.append(
                Place(first=first, last=last, tokens=segment.tokens, candidates=candidates, baseline=baseline)
            )
    return tuple(places)


def _position(ours: Sequence[CurveRecord], theirs: Sequence[CurveRecord]) -> tuple[Place, ...]:
    return tuple(
        Place(
            first=group.first,
            last=group.last,
            tokens=group.tokens,
            candidates=tuple(curve.positions[number].val_loss for curve in ours),
            baseline=tuple(curve.positions[number].val_loss for curve in theirs),
        )
        for number, group in enumerate(ours[0].positions)
    )
