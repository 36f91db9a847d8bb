"""The numba engine: the same `Lookup` as lookup.py, compiled, about four times as fast.

Imported only where numba is installed (extra `fast`). Compiled once and kept in numba's cache; the lock on the
interpreter is released, so threads work on different maps at once. Tables and outputs are handled as bit patterns.
"""

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba
import numpy as np
from numpy.typing import NDArray

from artifact.backbone.stream import MULTIPLIERS, NUM_ROUNDS, Stream

Function = TypeVar("Function", bound=Callable[..., Any])

M0, M1 = np.uint64(MULTIPLIERS[0]), np.uint64(MULTIPLIERS[1])
SHIFT = np.uint64(32)
CHUNK_BLOCKS = 512  # 8 KiB of words: well inside the L1 cache together with the table


def compiled(function: Function) -> Function:
    """Compile with numba and keep the result on disk, or only in this process where no cache folder can be written."""
    try:
        return cast(Function, numba.njit(nogil=True, cache=True)(function))
    except RuntimeError:  # numba: no locator available
        return cast(Function, numba.njit(nogil=True)(function))


@compiled
def _philox(first_block: np.uint64, keys: NDArray[np.uint64], c2_c3: np.uint64, words: NDArray[np.uint64]) -> None:
    """Blocks as pairs of 64-bit little-endian words; x is x0 << 32 | x1, y is x2 << 32 | x3."""
    for i in range(len(words) // 2):
        block = first_block + np.uint64(i)
        x, y = (block << SHIFT) | (block >> SHIFT), c2_c3
        for r in range(NUM_ROUNDS):
            p0, p1 = (x >> SHIFT) * M0, (y >> SHIFT) * M1
            x, y = (x << SHIFT) ^ p1 ^ keys[r, 0], (y << SHIFT) ^ p0 ^ keys[r, 1]
        words[2 * i] = (x >> SHIFT) | (x << SHIFT)
        words[2 * i + 1] = (y >> SHIFT) | (y << SHIFT)


@compiled
def _look_up_bytes(words: NDArray[np.uint64], table: NDArray[Any], out: NDArray[Any]) -> None:
    """out[e] = table[byte e of the words], the last of them one by one."""
    full = len(out) // 8
    for i in range(full):
        word = words[i]  # once: `out` might be the same memory, so the compiler would load it again for every byte
        for j in range(8):
            out[8 * i + j] = table[(word >> np.uint64(8 * j)) & np.uint64(255)]
    for e in range(8 * full, len(out)):
        out[e] = table[(words[full] >> np.uint64(8 * (e - 8 * full))) & np.uint64(255)]


@compiled
def _look_up_bits(words: NDArray[np.uint64], table: NDArray[Any], out: NDArray[Any]) -> None:
    """out[e] = table[bit e of the words], the last of them one by one."""
    zero, one = table[0], table[1]
    full = len(out) // 64
    for i in range(full):
        word = words[i]
        for j in range(64):
            out[64 * i + j] = one if (word >> np.uint64(j)) & np.uint64(1) else zero
    for e in range(64 * full, len(out)):
        out[e] = one if (words[full] >> np.uint64(e - 64 * full)) & np.uint64(1) else zero


@compiled
def _fill(
    first_block: np.uint64, keys: NDArray[np.uint64], c2_c3: np.uint64, table: NDArray[Any], out: NDArray[Any]
) -> None:
    words = np.empty(2 * CHUNK_BLOCKS, np.uint64)
    per_block = 16 if len(table) == 256 else 128
    for start in range(0, len(out), CHUNK_BLOCKS * per_block):
        part = out[start : start + CHUNK_BLOCKS * per_block]
        _philox(first_block, keys, c2_c3, words[: 2 * ((len(part) + per_block - 1) // per_block)])
        if len(table) == 256:
            _look_up_bytes(words, table, part)
        else:
            _look_up_bits(words, table, part)
        first_block += np.uint64(CHUNK_BLOCKS)


def lookup(stream: Stream, table: NDArray[Any], out: NDArray[Any], first_block: int = 0) -> None:
    """The numba engine's `Lookup`."""
    pattern = np.dtype(f"u{out.itemsize}")
    keys = np.array(stream.round_keys(), np.uint64)
    c2_c3 = np.uint64(stream.c2 << 32 | stream.c3)
    _fill(np.uint64(first_block), keys, c2_c3, table.view(pattern), out.view(pattern))
