"""Lines over a pair of labelled axes, as inline SVG: a figure with its legend and a table of the same numbers.

Classes and attributes only, no script and no style, so it lives under a strict content security policy; colours are
given by report.css. Knows numbers and words, no report; escapes what it is given.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

WIDTH: Final = 400
HEIGHT: Final = 250
LEFT: Final = 50
RIGHT: Final = 18
TOP: Final = 12
BOTTOM: Final = 46
TICKS: Final = 5
NARROWEST: Final = 1e-4
"""A range this small beside its values is drawn as if it were wider, so that the ticks stay short numbers."""
LONGEST: Final = 1e6

Ticks = Sequence[tuple[float, str]]
Place = Callable[[float], float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line. `kind` is its class in report.css; a line without a name is not in the legend."""

    kind: str
    points: Sequence[tuple[float, float]]
    name: str = ""
    has_dots: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """What lies along it, with its unit; ticks beyond its ends are left out."""

    label: str
    ends: tuple[float, float]
    ticks: Ticks


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """The numbers behind a chart, as text."""

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class LineChart:
    """A chart of one idea.

    Attributes:
        title: the idea.
        note: how to read it, in a sentence.
        x: the axis across.
        y_label: what goes up, with its unit.
        lines: the last one lies on top; at least one has a point.
        level: a value and its name, drawn across the whole width.
        table: the same numbers for those who do not see the lines.
    """

    title: str
    note: str
    x: Axis
    y_label: str
    lines: Sequence[Line]
    table: Table
    level: tuple[float, str] | None = None


def figure(chart: LineChart) -> str:
    """The chart as one `figure` element."""
    named = [(line.kind, line.name) for line in chart.lines if line.name]
    if chart.level:
        named.append(("level", chart.level[1]))
    legend = "".join(
        f'<li><svg class="key" viewBox="0 0 20 10" aria-hidden="true"><path class="{kind}" d="M0 5H20"/></svg>'
        f"{escape(name)}</li>"
        for kind, name in named
    )
    return (
        f'<figure class="curve"><figcaption><b>{escape(chart.title)}</b> {escape(chart.note)}</figcaption>'
        f'{_plot(chart)}<ul class="legend">{legend}</ul>{_details(chart.table)}</figure>'
    )


def _plot(chart: LineChart) -> str:
    ys = [y for line in chart.lines for _, y in line.points] + ([chart.level[0]] if chart.level else [])
    low, high, ticks = round_ticks(min(ys), max(ys))
    across, down = _scale(*chart.x.ends, LEFT, WIDTH - RIGHT), _scale(low, high, HEIGHT - BOTTOM, TOP)
    level = [f'<path class="level" d="M{LEFT} {down(chart.level[0]):.1f}H{WIDTH - RIGHT}"/>'] if chart.level else []
    parts = (
        *_y_axis(chart.y_label, ticks, down),
        *_x_axis(chart.x, across),
        *level,
        *(_line(line, across, down) for line in chart.lines),
    )
    label = f"{chart.title}: {chart.y_label} by {chart.x.label}"
    head = f'<svg class="plot" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(label)}">'
    return f"{head}<desc>{escape(chart.note)}</desc>{''.join(parts)}</svg>"


def _line(line: Line, across: Place, down: Place) -> str:
    if not line.points:
        return ""
    path = "L".join(f"{across(x):.1f} {down(y):.1f}" for x, y in line.points)
    dots = (
        f'<circle class="{line.kind}" cx="{across(x):.1f}" cy="{down(y):.1f}" r="2.5"/>'
        for x, y in (line.points if line.has_dots else ())
    )
    return f'<path class="{line.kind}" d="M{path}"/>{"".join(dots)}'


def _y_axis(label: str, ticks: Ticks, down: Place) -> Iterator[str]:
    for value, words in ticks:
        y = down(value)
        yield f'<path class="grid" d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}"/>{_text(LEFT - 5, y + 4, words, "end")}'
    turned = f'transform="translate(12 {(TOP + HEIGHT - BOTTOM) / 2:g}) rotate(-90)"'
    yield f'<text class="label" {turned} text-anchor="middle">{escape(label)}</text>'


def _x_axis(axis: Axis, across: Place) -> Iterator[str]:
    bottom = HEIGHT - BOTTOM
    yield f'<path class="axis" d="M{LEFT} {bottom}H{WIDTH - RIGHT}"/>'
    for value, words in axis.ticks:
        if axis.ends[0] <= value <= axis.ends[1]:
            x = across(value)
            yield f'<path class="axis" d="M{x:.1f} {bottom}v4"/>{_text(x, bottom + 16, words, "middle")}'
    middle = (LEFT + WIDTH - RIGHT) / 2
    yield f'<text class="label" x="{middle:g}" y="{HEIGHT - 8}" text-anchor="middle">{escape(axis.label)}</text>'


def round_ticks(low: float, high: float) -> tuple[float, float, Ticks]:
    """Round numbers around `low` .. `high`, 1, 2 or 5 times a power of ten apart: the first, the last, and all."""
    rough = max(high - low, NARROWEST * max(abs(low), abs(high), 1.0)) / (TICKS - 1)
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    decimals = max(0, -math.floor(math.log10(step) + 1e-9))
    values = [number * step for number in range(first, max(last, first + 1) + 1)]
    spelling = f",.{decimals}f" if max(abs(low), abs(high)) < LONGEST else ".3g"
    return values[0], values[-1], [(value, format(value, spelling)) for value in values]


def _scale(low: float, high: float, first: float, last: float) -> Place:
    """From values to pixels; equal values stand in the middle."""
    width = high - low
    return lambda value: first + (last - first) * ((value - low) / width if width else 0.5)


def _text(x: float, y: float, words: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(words)}</text>'


def _details(table: Table) -> str:
    head = "".join(f'<th scope="col" class="number">{escape(column)}</th>' for column in table.columns)
    rows = "".join(f"<tr>{''.join(_cells(row))}</tr>" for row in table.rows)
    body = f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
    return f'<details><summary>The numbers</summary><div class="scroll">{body}</div></details>'


def _cells(row: Sequence[str]) -> Iterator[str]:
    first, *others = row
    yield f'<th scope="row" class="number">{escape(first)}</th>'
    yield from (f'<td class="number">{escape(text)}</td>' for text in others)
