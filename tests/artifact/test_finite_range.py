"""Real numbers on a command line."""

import click
import pytest

from artifact.finite_range import FiniteRange

SECONDS = FiniteRange(0, min_open=True)


@pytest.mark.parametrize(("text", "number"), [("0.5", 0.5), ("1e3", 1000.0), ("600", 600.0)])
def test_a_number_in_the_range_is_taken(text: str, number: float) -> None:
    assert SECONDS.convert(text, None, None) == number


@pytest.mark.parametrize("text", ["inf", "-inf", "nan", "1e999", "0", "-1", "soon"])
def test_what_is_no_finite_number_of_the_range_is_a_usage_error(text: str) -> None:
    with pytest.raises(click.BadParameter):
        SECONDS.convert(text, None, None)
