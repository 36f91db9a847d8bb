"""Where the bytes went: every tensor's share of the payload before and after compression.

One zlib stream holds all tensors, so a tensor's compressed size is measured by following the stream: it is fed in
small steps, and each step's bytes are credited to the tensors that came out of it. Shares sum to the payload exactly.
"""

import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from artifact.format import payload
from artifact.format.container import Artifact
from artifact.format.manifest import Group
from artifact.format.tensors import expected_tensors

MAX_STEPS: Final = 65_536
MAX_STEP_BYTES: Final = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """One tensor's bytes; `group` is None for the payload's header."""

    name: str
    group: Group | None
    inflated_bytes: int
    compressed_bytes: int


def shares(artifact: Artifact) -> tuple[Share, ...]:
    """The header's share and every tensor's, in payload order.

    Laws: the compressed shares sum to the payload's length, the inflated ones to its inflated size.
    """
    specs = expected_tensors(artifact.manifest)
    head = payload.LENGTH_BYTES + len(payload.header(specs))
    sizes = [head, *(spec.num_bytes for spec in specs)]
    compressed = _attribute(artifact.payload, sizes)
    names = ["header", *(spec.name for spec in specs)]
    groups: list[Group | None] = [None, *(spec.group for spec in specs)]
    return tuple(
        Share(name=name, group=group, inflated_bytes=size, compressed_bytes=part)
        for name, group, size, part in zip(names, groups, sizes, compressed, strict=True)
    )


def by_group(parts: Iterable[Share]) -> dict[str, tuple[int, int]]:
    """`(inflated, compressed)` bytes of the header and of every group present, in the order of `Group`."""
    names = ["header", *(group.value for group in Group)]
    totals = dict.fromkeys(names, (0, 0))
    for part in parts:
        name = part.group.value if part.group else "header"
        inflated, compressed = totals[name]
        totals[name] = inflated + part.inflated_bytes, compressed + part.compressed_bytes
    return {name: total for name, total in totals.items() if any(total)}


def _attribute(stream: bytes | memoryview, sizes: list[int]) -> list[int]:
    """Split the stream's length over consecutive ranges of its output, by how far each step came in both."""
    consumed, produced = _progress(stream)
    produced, first = np.unique(produced, return_index=True)
    marks = np.rint(np.interp(np.cumsum([0, *sizes]), produced, consumed[first])).astype(np.int64)
    marks[-1] = len(stream)
    return [int(part) for part in np.diff(marks)]


def _progress(stream: bytes | memoryview) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Cumulative input and output bytes after every step through the stream, both from 0."""
    decoder = zlib.decompressobj(wbits=15)
    step = min(max(len(stream) // MAX_STEPS, 1), MAX_STEP_BYTES)
    pieces = [stream[start : start + step] for start in range(0, len(stream), step)]
    consumed = np.cumsum([0, *(len(piece) for piece in pieces)])
    return consumed, np.cumsum([0, *(len(decoder.decompress(piece)) for piece in pieces)])
