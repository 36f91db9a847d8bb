"""Real numbers on a command line."""

import math
from typing import Any

import click


class FiniteRange(click.FloatRange):
    """A range of real numbers; `inf` and `nan`, which click's own lets through, lie in none."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:  # noqa: ANN401 - click's
        """The number that `value` spells; a usage error for any other text."""
        number: float = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"expected a finite number, got {number}", param, ctx)
        return number
