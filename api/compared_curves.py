"""The curves of a comparison as charts: every run thin, the mean of its group thick, and where the gain comes from.

Knows a comparison and how the verifier draws lines; no route and no template.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Final

from markupsafe import Markup

from verifier.compare_curves import Curves, Losses, Place
from verifier.curve_charts import (
    BPB,
    NATS,
    drawn,
    position_axis,
    position_note,
    position_x,
    shown,
    span,
    stream_axis,
    stream_x,
)
from verifier.line_chart import Axis, Line, LineChart, Table, figure


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """Lines that belong together: one a run in the class `thin`, and their mean in the class `thick`."""

    name: str
    thin: str
    thick: str
    values: Callable[[Place], Losses]


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """What the curves go along: `places` in a table, and those of them that are `drawn`, each at its `x`."""

    title: str
    column: str
    note: str
    axis: Axis
    unit: str
    places: Sequence[Place]
    drawn: Sequence[Place]
    x: Callable[[Place], float]
    has_dots: bool


CANDIDATES: Final = Family(
    name="candidates", thin="candidate", thick="candidates", values=lambda place: place.candidates
)
BASELINE: Final = Family(name="baseline", thin="other", thick="baseline", values=lambda place: place.baseline)
GAIN: Final = Family(name="gain", thin="candidate", thick="candidates", values=lambda place: place.gains)


def charts(curves: Curves) -> Markup:
    """The losses and, with a baseline, the gain: along the validation set, and by position in the window."""
    figures = (figure(chart) for course in (_stream(curves), _position(curves)) for chart in _charts(course))
    return Markup("".join(figures))  # noqa: S704 - line_chart escapes


def _stream(curves: Curves) -> Course:
    places = curves.stream
    return Course(
        title="along the validation set",
        column="targets",
        note=f"{len(places)} equal parts in stream order.",
        axis=stream_axis(places[-1].last),
        unit=BPB,
        places=places,
        drawn=places,
        x=lambda place: stream_x(place.first, place.last),
        has_dots=False,
    )


def _position(curves: Curves) -> Course:
    places = curves.position
    return Course(
        title="by position in the window",
        column="tokens before",
        note=position_note(places),
        axis=position_axis(places[-1].last),
        unit=NATS,
        places=places,
        drawn=drawn(places),
        x=lambda place: position_x(place.last),
        has_dots=True,
    )


def _charts(course: Course) -> Iterator[LineChart]:
    has_baseline = bool(course.places[0].baseline)
    yield _chart(course, "Loss", "Lower is better.", [BASELINE, CANDIDATES] if has_baseline else [CANDIDATES])
    if has_baseline:
        yield _chart(course, "Gain", "Mean of the baseline minus candidates: higher is better.", [GAIN])


def _chart(course: Course, what: str, reading: str, families: Sequence[Family]) -> LineChart:
    rows = [
        (span(place.first, place.last), f"{place.tokens:,}", *(shown(fmean(one.values(place))) for one in families))
        for place in course.places
    ]
    return LineChart(
        title=f"{what} {course.title}",
        note=f"{reading} Thin: single seeds. {course.note}",
        x=course.axis,
        y_label=course.unit,
        lines=(
            *(line for family in families for line in _runs(course, family)),
            *(_mean(course, family) for family in families),
        ),
        level=(0.0, "no gain") if families == [GAIN] else None,
        table=Table(columns=(course.column, "number", *(family.name for family in families)), rows=rows),
    )


def _runs(course: Course, family: Family) -> Iterator[Line]:
    for number in range(len(family.values(course.places[0]))):
        points = [(course.x(place), family.values(place)[number]) for place in course.drawn]
        yield Line(kind=family.thin, points=points)


def _mean(course: Course, family: Family) -> Line:
    points = [(course.x(place), fmean(family.values(place))) for place in course.drawn]
    name = f"{family.name}, mean of {len(family.values(course.places[0]))} seeds"
    return Line(kind=family.thick, points=points, name=name, has_dots=course.has_dots)
