"""A payload of 15 MB that inflates to more than 10 GB: one flushed deflate block of zeros, repeated.

Hoped for: a reader that inflates before it compares sizes, and runs out of memory.
"""

import zlib

from tests.forge import Draft

EXPECTED = "inflated-size-mismatch"
BLOCK_BYTES = 1 << 20
STREAM_BYTES = 15_000_000


def bomb(_: bytes) -> bytes:
    """The stream; its end is never reached."""
    encoder = zlib.compressobj(9)
    head = encoder.compress(bytes(BLOCK_BYTES)) + encoder.flush(zlib.Z_FULL_FLUSH)
    block = encoder.compress(bytes(BLOCK_BYTES)) + encoder.flush(zlib.Z_FULL_FLUSH)
    return (head + block * (STREAM_BYTES // len(block)))[:STREAM_BYTES]


def build() -> bytes:
    """The file."""
    return Draft(stream=bomb).build()
