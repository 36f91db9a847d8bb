"""The validation sets that the public challenge scores on, known by their published totals.

The files are not ours to ship. Whoever has them registers them, and a set is recognised by what cannot be had by
accident: its tokenizer, its number of scored targets and their bytes of text.
"""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class OfficialSet:
    """One published set; `targets` and `target_bytes` are what a score is taken over."""

    name: str
    pieces_sha256: str
    targets: int
    target_bytes: int


OFFICIAL_SETS: Final = (
    OfficialSet(
        name="fineweb-sp1024",
        pieces_sha256="150529e1c8d862d1cc8ba73d3de5d3f3d8698c07d2e4ff856eddf0b1cc2a453b",
        targets=62_021_632,
        target_bytes=151_080_363,
    ),
    OfficialSet(
        name="fineweb-sp8192",
        pieces_sha256="48a10262faaef553181e3f50fd26286668f05ff91caeadb519e160c894d18260",
        targets=40_540_160,
        target_bytes=151_078_222,
    ),
)


def recognise(*, pieces_sha256: str, targets: int, target_bytes: int) -> str | None:
    """The name of the official set with these totals, or None."""
    totals = pieces_sha256, targets, target_bytes
    names = (s.name for s in OFFICIAL_SETS if (s.pieces_sha256, s.targets, s.target_bytes) == totals)
    return next(names, None)
