"""`ortho`: an exactly orthonormal map from fast Walsh-Hadamard transforms on integers (backbone.md B-14).

    A = D_R (I x H_b) D_(R-1) P_(R-1) ... D_1 P_1 (I x H_b) D_0

The first factor is written down, not computed; each round gathers rows and transforms groups of b of them. The work
goes tile by tile (b rows, about TILE_CODES codes), and the last round makes only the rows that are asked for.
One butterfly is two numpy calls over runs of rows; runs below 4,096 elements are three times slower,
so a transform does the upper half of the index bits, swaps halves while it widens the integers, and does the other
half in the same fast place.
"""

from collections.abc import Iterator
from functools import cache
from math import isqrt
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from artifact.backbone.errors import CodeRangeError, NoConstructionError
from artifact.backbone.hadamard import MAX_ORDER, Tile, hadamard
from artifact.backbone.scratch import carve, scratch
from artifact.backbone.stream import permutation, short_streams, signs

GROUP_SIZES = (256, 64, 16)
MAX_CODE = 256
TILE_CODES = 196_608  # 256 x 768: rows of a narrow map in one piece; 65,536 is 15 % slower, 262,144 no faster


class OrthoOrder(NamedTuple):
    """How an orthonormal map of one order is built: groups of `group_size` rows, `num_rounds` transforms."""

    group_size: int
    num_rounds: int

    @property
    def exponent(self) -> int:
        """The exponent that makes code * 2^-exponent exactly orthonormal."""
        return self.num_rounds * (self.group_size.bit_length() - 1) // 2


class Mixing(NamedTuple):
    """One round's row permutation and row signs."""

    permutation: NDArray[np.int64]
    signs: NDArray[np.int8]


def ortho_order(order: int) -> OrthoOrder:
    """Group size and number of rounds for order N = max(out, in) (B-14).

    Raises:
        NoConstructionError: 16 does not divide the order.
    """
    group_size = next((b for b in GROUP_SIZES if order % b == 0), 0)
    if not group_size or order > MAX_ORDER:
        raise NoConstructionError(
            f"ortho: order max(out, in): expected a multiple of 16, at most {MAX_ORDER}, got {order}"
        )
    num_rounds = 2
    while group_size**num_rounds < 8 * order:
        num_rounds += 1
    return OrthoOrder(group_size, num_rounds)


def ortho_tiles(seed: int, name: str, shape: tuple[int, int]) -> Iterator[Tile]:
    """The codes of an `ortho` map, tile by tile (B-14).

    Raises:
        NoConstructionError: the order has no construction.
        CodeRangeError: a code lies beyond 256.
    """
    (out, in_), order = shape, max(shape)
    b, num_rounds = ortho_order(order)
    # Every product on the way is an orthogonal matrix times at most b^(R/2), so nothing exceeds b^(R/2).
    wide = np.dtype(np.int16 if b**num_rounds < 2**30 else np.int32)
    lengths = {f"s{r}": -(-order // 8) for r in range(num_rounds + 1)} | {
        f"p{r}": 4 * order for r in range(1, num_rounds)
    }
    streams = short_streams(seed, name, lengths)
    column_signs, last_signs = signs(streams["s0"], in_), signs(streams[f"s{num_rounds}"], out).astype(wide)
    *inner, last = [Mixing(permutation(streams[f"p{r}"]), signs(streams[f"s{r}"], order)) for r in range(1, num_rounds)]
    width = min(in_, max(b, TILE_CODES // b))
    with scratch(order * width) as memory:
        for start in range(0, in_, width):
            columns = slice(start, min(start + width, in_))
            matrix: NDArray[Any] = memory[: order * (columns.stop - start)].view(np.int8).reshape(order, -1)
            _write_first_factor(matrix, b, column_signs, columns)
            for mixing in inner:
                matrix = _mix_all(matrix, mixing, b, wide)
            for group, tile in _mix(matrix, last, range(-(-out // b)), b, wide):
                rows = slice(group * b, min(group * b + b, out))
                codes = tile[: rows.stop - rows.start]
                codes *= last_signs[rows, None]  # both of one type: mixed types cost seven times as much
                if b**num_rounds > MAX_CODE**2:
                    _check_range(codes, name)
                yield Tile(rows, columns, codes)


def _check_range(codes: NDArray[Any], name: str) -> None:
    largest = max(int(codes.max()), -int(codes.min()))
    if largest > MAX_CODE:
        raise CodeRangeError(f"ortho map {name!r}: expected codes of magnitude at most {MAX_CODE}, got {largest}")


def _write_first_factor(matrix: NDArray[np.int8], b: int, column_signs: NDArray[np.int8], columns: slice) -> None:
    """Columns `columns` of (I x H_b) D_0, over whatever columns `matrix` held before."""
    matrix[...] = 0
    for first in range(columns.start // b * b, columns.stop, b):
        start, stop = max(first, columns.start), min(first + b, columns.stop)
        block = matrix[first : first + b, start - columns.start : stop - columns.start]
        np.multiply(hadamard(b)[:, start - first : stop - first], column_signs[start:stop], out=block)


def _mix_all(matrix: NDArray[Any], mixing: Mixing, b: int, wide: np.dtype[Any]) -> NDArray[Any]:
    """A whole round: (I x H_b) D P times `matrix`."""
    mixed = np.empty(matrix.shape, wide)
    for group, tile in _mix(matrix, mixing, range(len(matrix) // b), b, wide):
        mixed[group * b : group * b + b] = tile
    return mixed


def _mix(
    matrix: NDArray[Any], mixing: Mixing, groups: range, b: int, wide: np.dtype[Any]
) -> Iterator[tuple[int, NDArray[Any]]]:
    """Some groups of (I x H_b) D P times `matrix`, each as [b, columns] in one buffer.

    Entries of an int8 `matrix` are -1, 0 or 1 and grow to 16 at most before they are widened.
    """
    half = isqrt(b)
    shape = (b, matrix.shape[1])
    halves = (half, half, matrix.shape[1])
    order = _swapped_halves(b)
    with scratch(2 * b * matrix.shape[1] * (wide.itemsize + matrix.itemsize)) as memory:
        x, y, narrow_x, narrow_y = carve(
            memory, (shape, wide), (shape, wide), (shape, matrix.dtype), (shape, matrix.dtype)
        )
        for group in groups:
            rows = slice(group * b, group * b + b)
            np.take(matrix, mixing.permutation[rows][order], axis=0, out=narrow_x, mode="wrap")
            narrow_x *= mixing.signs[rows][order][:, None].astype(matrix.dtype)
            narrow = _butterflies(narrow_x, narrow_y, half)
            x.reshape(halves)[...] = narrow.reshape(halves).swapaxes(0, 1)
            yield group, _butterflies(x, y, half)


@cache
def _swapped_halves(b: int) -> NDArray[np.int64]:
    """The rows of a group with the upper and the lower half of the index bits exchanged."""
    half = isqrt(b)
    return np.arange(b).reshape(half, half).T.ravel()


def _butterflies(x: NDArray[Any], y: NDArray[Any], half: int) -> NDArray[Any]:
    """Sum and difference over each of the upper index bits of the rows, `half` = 2^bits, to and fro between x and y."""
    run = x.size
    while half > 1:
        half, run = half // 2, run // 2
        pairs, results = x.reshape(-1, 2, run), y.reshape(-1, 2, run)
        np.add(pairs[:, 0], pairs[:, 1], out=results[:, 0])
        np.subtract(pairs[:, 0], pairs[:, 1], out=results[:, 1])
        x, y = y, x
    return x
