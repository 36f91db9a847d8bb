"""The numpy engine: cut a stream into fields and replace every field by an entry of a table.

g8, u8 and ternM are tables of 256 entries over the bytes of a stream, rad is a table of 2 entries over its bits, so
this one operation makes four of the seven distributions, in any number type: tables hold finished weights, or codes,
or bit patterns. `fast.py`, `device.py` and `kernel.py` have the same function in numba, torch and Triton.

Two ways, measured on a 2-core AMD EPYC for g8 in float32, nanoseconds a weight, the stream not counted:
bytearray.translate to int8 codes, widened and scaled (0.63), where the table is int8 codes times a scale; else
numpy's take (0.86). A take costs the same for 2, 8 or 32 bytes, so it fetches rows: two entries per 16 bits, or eight
per byte of bits.
"""

from functools import lru_cache, partial
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from artifact.backbone.stream import BLOCK_BYTES, Stream, chunks

TAKE_ROWS = 32_768  # rows per take: its 256 KiB of widened indices stay in the L2 cache
SLICE_BYTES = 122_880  # bytes per translation: below malloc's mmap threshold, so that no fresh pages are touched


class Lookup(Protocol):
    """An engine: out[e] = table[field e of the stream], field 0 starting at block `first_block`.

    `table` has 256 entries (fields are bytes) or 2 (fields are bits, lowest first); `out` is one-dimensional,
    contiguous and of the table's dtype, of 1, 2 or 4 bytes.
    """

    def __call__(self, stream: Stream, table: NDArray[Any], out: NDArray[Any], first_block: int = 0) -> None:
        """Fill `out`."""


class SmallCodes(NamedTuple):
    """A table as 256 int8 codes and one scale without dimensions."""

    codes: bytes
    scale: NDArray[Any]


def field_bits(table_size: int) -> int:
    """The width of a field, in bits, that indexes a table of 256 or 2 entries."""
    return {256: 8, 2: 1}[table_size]


def num_blocks(count: int, table_size: int) -> int:
    """How many blocks of 128 bits hold `count` fields."""
    return -(-count * field_bits(table_size) // (8 * BLOCK_BYTES))


def lookup(stream: Stream, table: NDArray[Any], out: NDArray[Any], first_block: int = 0) -> None:
    """The numpy engine's `Lookup`."""
    small = _small_codes(table.tobytes(), table.dtype)
    look_up = partial(_translate, small) if small else partial(_take, _rows(table.tobytes(), table.dtype))
    start = 0
    for chunk in chunks(stream, first_block, num_blocks(out.size, table.size)):
        part = out[start : start + 8 * len(chunk) // field_bits(table.size)]
        look_up(chunk, part)
        start += part.size


def _translate(table: SmallCodes, data: NDArray[np.uint8], out: NDArray[Any]) -> None:
    for start in range(0, len(out), SLICE_BYTES):
        part = out[start : start + SLICE_BYTES]
        codes = bytearray(data[start : start + len(part)]).translate(table.codes)
        np.copyto(part, np.frombuffer(codes, np.int8))
        if table.scale != 1:
            np.multiply(part, table.scale, part)


def _take(rows: NDArray[Any], data: NDArray[np.uint8], out: NDArray[Any]) -> None:
    index = data.view("<u2" if len(rows) == 2**16 else np.uint8)
    whole, rest = divmod(out.size, rows.shape[1])
    matrix = out[: out.size - rest].reshape(whole, rows.shape[1])
    for start in range(0, whole, TAKE_ROWS):
        part = matrix[start : start + TAKE_ROWS]
        # The index is in range by its type; any mode but the default writes to `out` without a second buffer.
        np.take(rows, index[start : start + len(part)], axis=0, out=part, mode="wrap")
    if rest:
        out[-rest:] = rows[index[whole], :rest]


@lru_cache(maxsize=32)
def _small_codes(table: bytes, dtype: np.dtype[Any]) -> SmallCodes | None:
    """A table of 256 entries as int8 codes and the scale that makes the entries of them, where it is of that kind."""
    entries = np.frombuffer(table, dtype)
    if entries.size != 256 or dtype not in (np.int8, np.int16, np.float32):
        return None
    scale = np.abs(entries[entries != 0]).min(initial=1)
    codes = entries.astype(np.float64) / scale
    if np.abs(codes).max() > 127 or not np.array_equal(codes, np.rint(codes)):
        return None
    return SmallCodes(codes.astype(np.int8).tobytes(), np.array(scale, dtype))


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
