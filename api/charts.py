"""Charts as inline SVG: classes and attributes only, so they live under the pages' content security policy.

Knows values and geometry, no route and no database. The bytes of a report have a chart of their own, in the verifier.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from markupsafe import Markup, escape

from verifier.compare import Comparison, Group

WIDTH: Final = 400
LEFT: Final = 75
RIGHT: Final = 24
ROW: Final = 34
TICKS: Final = 4
HEIGHT: Final = 160


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """A score and when it came; lower is better."""

    at: datetime
    val_bpb: float
    name: str


def seeds(found: Comparison) -> Markup:
    """Every run's val_loss as a dot, a row a group, its mean as a line."""
    groups = [("candidates", found.candidates), *([("baseline", found.baseline)] if found.baseline else [])]
    losses = [run.val_loss for _, group in groups for run in group.runs]
    place = _scale(losses, LEFT, WIDTH - RIGHT)
    bottom = ROW * len(groups) + 10
    rows = (_row(name, group, ROW * number + 22, place) for number, (name, group) in enumerate(groups))
    axis = _axis(losses, place, bottom)
    label = "val_loss of every seed, in nats per token; lower is better"
    return _svg(bottom + 40, label, [*rows, *axis, _text(WIDTH / 2, bottom + 34, label, "middle")])


def _row(name: str, group: Group, y: float, place: Callable[[float], float]) -> str:
    dots = "".join(
        f'<circle class="{name}" cx="{place(run.val_loss):.2f}" cy="{y}" r="6">'
        f"<title>{escape(f'seed {run.seed}: {run.val_loss:.6f}')}</title></circle>"
        for run in group.runs
    )
    mean = place(group.val_loss.mean)
    line = f'<line class="mean" x1="{mean:.2f}" x2="{mean:.2f}" y1="{y - 12}" y2="{y + 12}"/>'
    return f"{_text(0, y + 4, name, 'start')}{line}{dots}"


def record(points: Sequence[Point]) -> Markup | None:
    """The best score over time as steps; nothing for fewer than two records."""
    records = list(_records(points))
    if len(records) < 2:
        return None
    times = [point.at.timestamp() for point in records]
    scores = [point.val_bpb for point in records]
    across, down = _scale(times, LEFT, WIDTH - RIGHT), _scale(scores, HEIGHT - 40, 16)
    path = f"M{across(times[0]):.2f} {down(scores[0]):.2f}" + "".join(
        f"H{across(time):.2f}V{down(score):.2f}" for time, score in zip(times[1:], scores[1:], strict=True)
    )
    dots = (_record_dot(point, across(time), down(point.val_bpb)) for point, time in zip(records, times, strict=True))
    words = [
        *(_text(LEFT - 12, down(score) + 4, f"{score:.4f}", "end") for score in (scores[0], scores[-1])),
        _text(LEFT, HEIGHT - 8, f"{records[0].at:%Y-%m-%d %H:%M}", "start"),
        _text(WIDTH - RIGHT, HEIGHT - 8, f"{records[-1].at:%Y-%m-%d %H:%M}", "end"),
    ]
    return _svg(HEIGHT, "best val_bpb over time", [f'<path class="step" d="{path}"/>', *dots, *words])


def _records(points: Sequence[Point]) -> Iterator[Point]:
    """The points that beat all before them."""
    best = float("inf")
    for point in sorted(points, key=lambda point: point.at):
        if point.val_bpb < best:
            best = point.val_bpb
            yield point


def _record_dot(point: Point, x: float, y: float) -> str:
    title = escape(f"{point.name}: {point.val_bpb:.6f}")
    return f'<circle class="candidates" cx="{x:.2f}" cy="{y:.2f}" r="5"><title>{title}</title></circle>'


def _scale(values: Sequence[float], first: float, last: float) -> Callable[[float], float]:
    """From the values' range, widened a little, to pixels; equal values stand in the middle."""
    low, high = min(values), max(values)
    margin = (high - low) * 0.05
    low, width = low - margin, high - low + 2 * margin
    return lambda value: first + (last - first) * ((value - low) / width if width else 0.5)


def _axis(values: Sequence[float], place: Callable[[float], float], y: float) -> Iterator[str]:
    yield f'<line class="axis" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y}" y2="{y}"/>'
    low, high = min(values), max(values)
    for value in sorted({low + (high - low) * step / (TICKS - 1) for step in range(TICKS)}):
        x = place(value)
        yield f'<line class="tick" x1="{x:.2f}" x2="{x:.2f}" y1="{y}" y2="{y + 5}"/>'
        yield _text(x, y + 18, f"{value:.4f}", "middle")


def _text(x: float, y: float, words: str, anchor: str) -> str:
    return f'<text x="{x:.2f}" y="{y:.2f}" text-anchor="{anchor}">{escape(words)}</text>'


def _svg(height: float, label: str, parts: Sequence[str]) -> Markup:
    head = f'<svg class="chart" viewBox="0 0 {WIDTH} {height:g}" role="img" aria-label="{escape(label)}">'
    return Markup(f"{head}{''.join(parts)}</svg>")  # noqa: S704 - numbers, and words that went through escape
