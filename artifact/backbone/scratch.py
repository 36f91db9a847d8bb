"""Scratch memory that is used again.

An allocation of a megabyte gets fresh pages from the kernel every time, and touching them costs as much as the
arithmetic that they are for (2-core AMD EPYC, virtual machine: 224 page faults make half of a 768 x 768 map's time).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

BLOCK_BYTES = 2**21

_free: list[
    NDArray[np.uint8]
] = []  # append and pop are atomic, so threads share it; it grows to one block for each user


@contextmanager
def scratch(num_bytes: int) -> Iterator[NDArray[np.uint8]]:
    """Uninitialised memory for the length of a with block, whoever else uses some at the same time."""
    if num_bytes > BLOCK_BYTES:
        yield np.empty(num_bytes, np.uint8)
        return
    try:
        block = _free.pop()
    except IndexError:
        block = np.empty(BLOCK_BYTES, np.uint8)
    try:
        yield block[:num_bytes]
    finally:
        _free.append(block)


def carve(memory: NDArray[np.uint8], *parts: tuple[tuple[int, ...], Any]) -> list[NDArray[Any]]:
    """Consecutive arrays of the given shapes and dtypes in `memory`, widest dtypes first so that all are aligned."""
    arrays, start = [], 0
    for shape, dtype in parts:
        stop = start + prod(shape) * np.dtype(dtype).itemsize
        arrays.append(memory[start:stop].view(dtype).reshape(shape))
        start = stop
    return arrays
