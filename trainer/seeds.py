"""Named seeds: one 64-bit integer per purpose, derived from the run's seed by SHA-256, never `seed + i`."""

import hashlib
from typing import Final

TAG: Final = b"seedgolf-trainer/1"


def derive_seed(seed: int, name: str) -> int:
    """The seed of the purpose `name` (`data.order`, `model.initial`) in a run seeded with `seed`, 0 <= seed < 2^64.

    Law: different names give unrelated seeds, and so do neighbouring seeds.

    Returns:
        An integer in [0, 2^63): what every generator takes.
    """
    digest = hashlib.sha256(TAG + b"\0" + seed.to_bytes(8, "little") + name.encode()).digest()
    return int.from_bytes(digest[:8], "little") >> 1
