"""Every tensor's data_offsets start at 0, so that one range of bytes is read as many tensors.

Hoped for: a header that promises more than the file holds, or two readers that see different tensors.
"""

import re

from tests.forge import Draft
from tests.vectors.make import joined, split

EXPECTED = "bad-tensor-header"


def build() -> bytes:
    """The file."""
    head, data = split(Draft().inner())
    overlapping = re.sub(
        rb"\[(\d+),(\d+)\]\}", lambda found: b"[0,%d]}" % (int(found[2]) - int(found[1])), head.rstrip()
    )
    overlapping += b" " * (-len(overlapping) % 8)
    padded = data.ljust(len(head) + len(data) - len(overlapping), b"\0")
    return Draft(inflated=joined(overlapping, padded)).build()
