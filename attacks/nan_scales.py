"""A quantisation scale is NaN: its row becomes NaN, and NaN passes `scale > 0` where it is written `not scale <= 0`.

Hoped for: a score of NaN that compares as better than every other.
"""

import numpy as np

from tests.forge import Draft, good_manifest, stored_tensors

EXPECTED = "bad-scale"


def build() -> bytes:
    """The file."""
    tensors = stored_tensors(good_manifest())
    tensors["embed.weight.scale"][:] = np.nan
    return Draft(tensors=tensors).build()
