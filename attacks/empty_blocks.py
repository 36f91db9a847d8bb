"""A payload of 15 MB of empty deflate blocks: it inflates to nothing, slowly.

Hoped for: a reader whose work is bounded by its output only.
"""

from tests.forge import Draft

EXPECTED = "inflate-error"
ZLIB_HEAD = b"\x78\x9c"
EMPTY_STORED_BLOCK = b"\x00\x00\x00\xff\xff"


def build() -> bytes:
    """The file."""
    return Draft(stream=lambda _: ZLIB_HEAD + EMPTY_STORED_BLOCK * 3_000_000).build()
