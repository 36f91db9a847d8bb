"""One byte after the zlib stream, inside the payload's length.

Hoped for: a place to hide data that no digest of the tensors covers.
"""

import zlib

from tests.forge import Draft

EXPECTED = "inflate-error"


def build() -> bytes:
    """The file."""
    return Draft(stream=lambda data: zlib.compress(data) + b"\0").build()
