"""The numpy engine: cut a stream into fields and replace every field by an entry of a table.

g8, u8 and ternM are tables of 256 entries over the bytes of a stream, rad is a table of 2 entries over its bits, so
this one operation makes four of the seven distributions, in any number type: tables hold finished weights, or codes,
or bit patterns. A take costs the same for 2, 8 or 32 bytes, so it fetches rows: two entries per 16 bits, or eight per
byte of bits. `fast.py`, `device.py` and `kernel.py` have the same function in numba, torch and Triton.
"""

from functools import lru_cache
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from artifact.backbone.stream import BLOCK_BYTES, Stream, chunks

TAKE_ROWS = 8_192  # rows per take: its 64 KiB of widened indices stay in cache


class Lookup(Protocol):
    """An engine: out[e] = table[field e of the stream], field 0 starting at block `first_block`.

    `table` has 256 entries (fields are bytes) or 2 (fields are bits, lowest first); `out` is one-dimensional,
    contiguous and of the table's dtype, of 1, 2 or 4 bytes.
    """

    def __call__(self, stream: Stream, table: NDArray[Any], out: NDArray[Any], first_block: int = 0) -> None:
        """Fill `out`."""


def field_bits(table_size: int) -> int:
    """The width of a field, in bits, that indexes a table of 256 or 2 entries."""
    return {256: 8, 2: 1}[table_size]


def num_blocks(count: int, table_size: int) -> int:
    """How many blocks of 128 bits hold `count` fields."""
    return -(-count * field_bits(table_size) // (8 * BLOCK_BYTES))


def lookup(stream: Stream, table: NDArray[Any], out: NDArray[Any], first_block: int = 0) -> None:
    """The numpy engine's `Lookup`."""
    rows = _rows(table.tobytes(), table.dtype)
    width = rows.shape[1]
    start = 0
    for chunk in chunks(stream, first_block, num_blocks(out.size, table.size)):
        index = chunk.view("<u2" if table.size == 256 else np.uint8)
        part = out[start : start + len(index) * width]
        _take(rows, index, part[: part.size // width * width].reshape(-1, width))
        if rest := part.size % width:
            part[-rest:] = rows[index[part.size // width], :rest]
        start += part.size


def _take(rows: NDArray[Any], index: NDArray[Any], out: NDArray[Any]) -> None:
    for start in range(0, len(out), TAKE_ROWS):
        part = out[start : start + TAKE_ROWS]
        # The index is in range by its type; any mode but the default writes to `out` without a second buffer.
        np.take(rows, index[start : start + len(part)], axis=0, out=part, mode="wrap")


@lru_cache(maxsize=16)
def _rows(table: bytes, dtype: np.dtype[Any]) -> NDArray[Any]:
    """The rows that a 16-bit pair of bytes (low byte first) or a byte of bits (low bit first) stands for."""
    entries = np.frombuffer(table, dtype)
    if entries.size == 256:
        high, low = np.broadcast_arrays(entries[:, None], entries[None, :])
        rows = np.stack([low.ravel(), high.ravel()], axis=1)
    else:
        bits = np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1, bitorder="little")
        rows = entries[bits]
    rows.flags.writeable = False
    return rows
