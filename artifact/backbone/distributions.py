"""What a random map is, and everything about it that is checked before a number is made.

A value of `RandomMap` satisfies every rule of backbone.md B-16 that can be checked without generating it.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from functools import cache

import numpy as np
from numpy.typing import NDArray

from artifact.backbone.errors import (
    DuplicateNameError,
    InvalidDistributionError,
    InvalidExponentError,
    InvalidShapeError,
)
from artifact.backbone.hadamard import hadamard_orders
from artifact.backbone.orthonormal import ortho_order
from artifact.backbone.reference import T as G8_TABLE
from artifact.backbone.stream import check_name

MAX_EXPONENT = 24  # 2^-24 is float16's least positive number


class Distribution(StrEnum):
    """The distributions of `frozen-backbone/1`."""

    G8 = "g8"
    RAD = "rad"
    U8 = "u8"
    TERN1 = "tern1"
    TERN2 = "tern2"
    TERN3 = "tern3"
    TERN4 = "tern4"
    TERN5 = "tern5"
    TERN6 = "tern6"
    TERN7 = "tern7"
    TOEP = "toep"
    HADA = "hada"
    ORTHO = "ortho"


def _ternary_table(m: int) -> list[int]:
    h = 128 >> m
    return [1] * h + [-1] * h + [0] * (256 - 2 * h)


CODE_TABLES: dict[Distribution, tuple[int, ...]] = {
    Distribution.RAD: (1, -1),
    Distribution.G8: G8_TABLE,
    Distribution.TOEP: G8_TABLE,
    Distribution.U8: tuple(range(-255, 256, 2)),
    **{Distribution(f"tern{m}"): tuple(_ternary_table(m)) for m in range(1, 8)},
}

# Each code depends on one field of the stream alone, so that a GPU can make it.
TABLE_DISTRIBUTIONS = frozenset(CODE_TABLES) - {Distribution.TOEP}


@dataclass(frozen=True, slots=True, kw_only=True)
class RandomMap:
    """A frozen matrix: `codes(seed, name, distribution, shape)` times 2^-exponent.

    Attributes:
        name: the stream name, `layers.3.mlp.up.weight`.
        distribution: which numbers.
        shape: (out, in).
        exponent: 0 to 24.

    Raises:
        InvalidNameError, InvalidDistributionError, InvalidShapeError, InvalidExponentError, NoConstructionError.
    """

    name: str
    distribution: Distribution
    shape: tuple[int, int]
    exponent: int

    def __post_init__(self) -> None:
        check_name(self.name)
        check_construction(self.distribution, self.shape)
        if type(self.exponent) is not int or not 0 <= self.exponent <= MAX_EXPONENT:
            raise InvalidExponentError(
                f"map {self.name!r}: exponent: expected an integer of 0 to {MAX_EXPONENT}, got {self.exponent!r}"
            )


def check_construction(distribution: Distribution, shape: tuple[int, int]) -> None:
    """Raise unless the rules give `distribution` a map of this shape. Costs microseconds for any shape.

    Raises:
        InvalidDistributionError: not a `Distribution`.
        InvalidShapeError: not two integers of at least 1.
        NoConstructionError: hada or ortho of an order max(out, in) without a construction.
    """
    if not isinstance(distribution, Distribution):
        raise InvalidDistributionError(f"distribution: expected one of {', '.join(Distribution)}, got {distribution!a}")
    if type(shape) is not tuple or [type(n) for n in shape] != [int, int] or min(shape) < 1:
        raise InvalidShapeError(f"shape: expected (out, in), two integers of at least 1, got {shape!r}")
    if distribution is Distribution.HADA:
        hadamard_orders(max(shape))
    elif distribution is Distribution.ORTHO:
        ortho_order(max(shape))


def check_unique_names(maps: Iterable[RandomMap]) -> None:
    """Raise DuplicateNameError if two maps have one name."""
    counts = Counter(random_map.name for random_map in maps)
    if twice := [name for name, count in counts.items() if count > 1]:
        raise DuplicateNameError(f"maps: expected one map for each name, got more than one for {twice[0]!r}")


@cache
def code_table(distribution: Distribution) -> NDArray[np.int16]:
    """The codes of the 256 bytes, or of the two bits, of a distribution that is a table over its stream."""
    table = np.array(CODE_TABLES[distribution], np.int16)
    table.flags.writeable = False
    return table


def code_dtype(distribution: Distribution) -> np.dtype[np.int8] | np.dtype[np.int16]:
    """int8 where every code fits, else int16 (u8 and ortho)."""
    wide = distribution in (Distribution.U8, Distribution.ORTHO)
    return np.dtype(np.int16) if wide else np.dtype(np.int8)


def default_exponent(distribution: Distribution, shape: tuple[int, int]) -> int:
    """The exponent that gives outputs of a sensible size: std * sqrt(fan_in) in [1, 2), fan_in = shape[1] (B-18).

    A trainer's default only: an artifact states its exponents, and no reader computes them.

    Raises:
        InvalidDistributionError, InvalidShapeError, NoConstructionError: as `check_construction`.
    """
    check_construction(distribution, shape)
    k = (shape[1].bit_length() - 1) // 2  # 2^k <= sqrt(fan_in) < 2^(k + 1)
    match distribution:
        case Distribution.ORTHO:
            return ortho_order(max(shape)).exponent
        case Distribution.RAD | Distribution.HADA:
            return k
        case Distribution.G8 | Distribution.TOEP:
            return 5 + k
        case Distribution.U8:
            return 7 + k
    m = int(distribution.value.removeprefix("tern"))
    return max(0, k - (m + 1) // 2)
