import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from verifier.line_chart import HEIGHT, WIDTH, Axis, Line, LineChart, Table, figure, round_ticks

HOSTILE = "<img src=x onerror=alert(1)>\"'"
AXIS = Axis(label="steps", ends=(0.0, 4.0), ticks=[(0.0, "0"), (2.0, "2"), (4.0, "4"), (6.0, "6")])


def chart(*lines: Line, level: tuple[float, str] | None = None, title: str = "Loss") -> LineChart:
    table = Table(columns=("step", "loss"), rows=[("1", "3.5"), ("2", "3.0")])
    return LineChart(
        title=title, note="Lower is better.", x=AXIS, y_label="nats", lines=lines, level=level, table=table
    )


RISING = Line(kind="one", points=[(0.0, 1.0), (4.0, 3.0)], name="rising", has_dots=True)


def test_a_line_goes_from_corner_to_corner_of_its_range() -> None:
    (path,) = re.findall(r'<path class="one" d="(M[^"H]*)"', figure(chart(RISING)))
    numbers = [float(number) for number in re.findall(r"[\d.]+", path)]
    left, low, right, high = numbers
    assert left < right < WIDTH
    assert high < low < HEIGHT
    dots = re.findall(r'<circle class="one" cx="([\d.]+)" cy="([\d.]+)"', figure(chart(RISING)))
    assert [float(number) for dot in dots for number in dot] == numbers


def test_axes_have_labels_units_and_the_ticks_between_their_ends() -> None:
    found = re.findall(r"<text[^>]*>([^<]*)</text>", figure(chart(RISING)))
    assert found == ["1.0", "1.5", "2.0", "2.5", "3.0", "nats", "0", "2", "4", "steps"]


def test_only_named_lines_and_the_level_are_in_the_legend() -> None:
    thin = Line(kind="candidate", points=[(1.0, 2.0), (2.0, 2.5)])
    page = figure(chart(thin, RISING, level=(1.5, "half")))
    assert re.findall(r"</svg>([^<]*)</li>", page) == ["rising", "half"]
    assert page.count('class="candidate"') == 1


def test_those_who_see_no_lines_have_a_name_a_note_and_the_numbers() -> None:
    page = figure(chart(RISING))
    assert 'role="img" aria-label="Loss: nats by steps"' in page
    assert "<desc>Lower is better.</desc>" in page
    assert '<th scope="row" class="number">1</th><td class="number">3.5</td>' in page


def test_a_chart_escapes_every_word() -> None:
    hostile = Line(kind="one", points=RISING.points, name=HOSTILE)
    table = Table(columns=(HOSTILE,), rows=[(HOSTILE,), (HOSTILE,)])
    axis = Axis(label=HOSTILE, ends=(0.0, 4.0), ticks=[(0.0, HOSTILE)])
    page = figure(
        LineChart(
            title=HOSTILE, note=HOSTILE, x=axis, y_label=HOSTILE, lines=[hostile], level=(1.0, HOSTILE), table=table
        )
    )
    assert "<img" not in page
    assert "onerror=alert(1)&gt;&quot;" in page


def test_a_line_without_a_point_is_left_out_and_equal_values_are_drawn() -> None:
    page = figure(chart(Line(kind="one", points=[]), Line(kind="other", points=[(1.0, 2.0), (2.0, 2.0)])))
    assert 'class="one"' not in page
    assert "nan" not in page
    assert 'class="other"' in page


@pytest.mark.parametrize(
    ("low", "high", "words"),
    [
        (1.0, 3.0, ["1.0", "1.5", "2.0", "2.5", "3.0"]),
        (0.0, 0.025, ["0.00", "0.01", "0.02", "0.03"]),
        (2.66, 3.59, ["2.5", "3.0", "3.5", "4.0"]),
        (-0.003, 0.004, ["-0.004", "-0.002", "0.000", "0.002", "0.004"]),
        (0.0, 134_144.0, ["0", "50,000", "100,000", "150,000"]),
        (0.0, 9e30, ["0", "5e+30", "1e+31"]),
    ],
)
def test_ticks_are_round_numbers(low: float, high: float, words: list[str]) -> None:
    first, last, ticks = round_ticks(low, high)
    assert [text for _, text in ticks] == words
    assert first <= low
    assert last >= high


@given(low=st.floats(-1e5, 1e5), width=st.floats(0, 1e5))
def test_a_few_different_ticks_lie_around_any_range(low: float, width: float) -> None:
    first, last, ticks = round_ticks(low, low + width)
    slack = 1e-6 * (last - first)
    assert first <= low + slack
    assert last >= low + width - slack
    assert 2 <= len(ticks) <= 7
    assert len({text for _, text in ticks}) == len(ticks)
    assert max(len(text) for _, text in ticks) <= len("-100,000.00")
