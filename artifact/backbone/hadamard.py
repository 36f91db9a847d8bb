"""`hada`: a Hadamard matrix, its rows permuted and all signs flipped at random (backbone.md B-12, B-13).

A Hadamard matrix of order n is a Kronecker product of small ones, so a row is made from one row of each factor and
only the rows and columns that are asked for are ever made.
"""

from collections.abc import Iterator
from functools import cache, lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from artifact.backbone.errors import NoConstructionError
from artifact.backbone.stream import permutation, short_streams, signs

MAX_ORDER = 2**31 - 1  # B-6: permutations end here
TILE_CODES = 65_536
MAX_FACTOR = 256
MAX_PRODUCT = 1_024


class Tile(NamedTuple):
    """A rectangle of a map: its place and its codes, which are valid until the next tile is asked for."""

    rows: slice
    columns: slice
    codes: NDArray[Any]


def hadamard_orders(order: int) -> list[int]:
    """The orders of the Kronecker factors of H_order: 12s, 20s and 28s first, then powers of two up to 256 (B-12).

    Raises:
        NoConstructionError: the order has none.
    """
    orders, rest = [], order
    if order <= MAX_ORDER:
        for core in (12, 20, 28):
            while rest & (rest - 1) and rest % core == 0:
                orders.append(core)
                rest //= core
    if order > MAX_ORDER or rest & (rest - 1):
        expected = f"a power of two times 12s, 20s and 28s, at most {MAX_ORDER}"
        raise NoConstructionError(f"hada: order max(out, in): expected {expected}, got {order}")
    while rest > 1 or not orders:
        orders.append(min(rest, MAX_FACTOR))
        rest //= orders[-1]
    return orders


@cache
def hadamard(order: int) -> NDArray[np.int8]:
    """The factor of the given order, 12, 20, 28 or a power of two up to 256, as [order, order] signs (B-12)."""
    if order == 28:
        matrix = _paley_two()
    elif order in (12, 20):
        matrix = _paley_one(order)
    else:
        matrix = np.ones((1, 1), np.int8)
        while len(matrix) < order:
            matrix = np.block([[matrix, matrix], [matrix, -matrix]])
    matrix.flags.writeable = False
    return matrix


def _characters(q: int) -> NDArray[np.int8]:
    """chi((i - j) mod q) for i, j < q: the quadratic character, 0 on the diagonal."""
    chi = np.full(q, -1, np.int8)
    chi[np.arange(1, q) ** 2 % q] = 1
    chi[0] = 0
    i = np.arange(q)
    characters: NDArray[np.int8] = chi[(i[:, None] - i) % q]
    return characters


def _paley_one(order: int) -> NDArray[np.int8]:
    matrix = np.ones((order, order), np.int8)
    matrix[1:, 0] = -1
    matrix[1:, 1:] = _characters(order - 1) + np.eye(order - 1, dtype=np.int8)
    return matrix


def _paley_two() -> NDArray[np.int8]:
    symmetric = np.ones((14, 14), np.int8)
    symmetric[1:, 1:] = _characters(13)
    np.fill_diagonal(symmetric, 0)
    off_diagonal = np.kron(symmetric, np.array([[1, 1], [1, -1]], np.int8))
    return off_diagonal + np.kron(np.eye(14, dtype=np.int8), np.array([[1, -1], [-1, -1]], np.int8))


@lru_cache(maxsize=8)
def _factors(order: int) -> tuple[NDArray[np.int8], ...]:
    """The factors of H_order, the last of them multiplied together: rows are made fastest from a long one."""
    *orders, last = hadamard_orders(order)
    factors = [hadamard(last)]
    for factor in reversed(orders):
        if factor * len(factors[0]) <= MAX_PRODUCT:
            factors[0] = np.kron(hadamard(factor), factors[0])
        else:
            factors.insert(0, hadamard(factor))
    return tuple(factors)


def _kronecker_rows(
    factors: tuple[NDArray[np.int8], ...], index: NDArray[np.int64], num_columns: int
) -> NDArray[np.int8]:
    """Rows `index` and the first `num_columns` columns of the Kronecker product of the factors."""
    *head, last = factors
    right = last[index % len(last), :num_columns]
    if not head:
        return right
    left = _kronecker_rows(tuple(head), index // len(last), -(-num_columns // len(last)))
    return (left[:, :, None] * right[:, None, :]).reshape(len(index), -1)[:, :num_columns]


def hada_tiles(seed: int, name: str, shape: tuple[int, int]) -> Iterator[Tile]:
    """The codes of a `hada` map, +1 or -1, a few rows at a time (B-13)."""
    out, in_ = shape
    order = max(shape)
    factors = _factors(order)
    streams = short_streams(seed, name, {"s0": -(-in_ // 8), "s1": -(-out // 8), "p0": 4 * order})
    column_signs, row_signs = signs(streams["s0"], in_), signs(streams["s1"], out)
    row_index = permutation(streams["p0"])[:out]
    step = max(1, TILE_CODES // in_)
    for start in range(0, out, step):
        rows = slice(start, min(start + step, out))
        codes = _kronecker_rows(factors, row_index[rows], in_)
        codes *= column_signs
        codes *= row_signs[rows, None]
        yield Tile(rows, slice(0, in_), codes)
