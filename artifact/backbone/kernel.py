"""The Triton kernel: the same `Lookup` as lookup.py on a CUDA device, one launch for a map.

Imported only by device.py, only for a CUDA tensor. `tl.philox` makes the words of B-3 from the same key and counters.
A program makes VALUES values of a map, lays the four words of every block side by side and cuts them into fields, so
that stores are contiguous. Tables and outputs are handled as integers of their size, so there is one program for each
of the two field widths and each size of element, whatever the float type.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

from artifact.backbone.stream import Stream

VALUES = 8_192
PATTERNS = {1: torch.int8, 2: torch.int16, 4: torch.int32}


@triton.jit  # type: ignore[untyped-decorator]  # Triton has no types
def lookup_kernel(
    table: tl.tensor,
    out: tl.tensor,
    count: tl.int64,
    first_block: tl.uint64,
    key: tl.uint64,  # k1 << 32 | k0
    counter: tl.uint64,  # c3 << 32 | c2
    WIDTH: tl.constexpr,
    VALUES: tl.constexpr,
) -> None:
    """out[e] = table[field e of the stream], fields of WIDTH bits, for VALUES values e."""
    FIELDS: tl.constexpr = 32 // WIDTH
    BLOCKS: tl.constexpr = VALUES // (4 * FIELDS)
    program = tl.program_id(0).to(tl.int64)
    block = tl.cast(first_block, tl.uint64) + (program * BLOCKS + tl.arange(0, BLOCKS)).to(tl.uint64)
    c0, c1 = block.to(tl.uint32), (block >> 32).to(tl.uint32)
    # The casts to uint64 are for Triton's interpreter, which ignores the annotations.
    c2, c3 = tl.cast(counter, tl.uint64).to(tl.uint32), (tl.cast(counter, tl.uint64) >> 32).to(tl.uint32)
    w0, w1, w2, w3 = tl.philox(tl.cast(key, tl.uint64), c0, c1, c2, c3)
    words = tl.reshape(tl.join(tl.join(w0, w2), tl.join(w1, w3)), (4 * BLOCKS, 1))
    column = tl.arange(0, FIELDS)[None, :]
    fields = (words >> (WIDTH * column)) & ((1 << WIDTH) - 1)
    place = program * VALUES + tl.arange(0, 4 * BLOCKS)[:, None] * FIELDS + column
    tl.store(out + place, tl.load(table + fields), mask=place < count)


def lookup(stream: Stream, table: Tensor, out: Tensor, first_block: int = 0) -> None:
    """The Triton engine's `Lookup`: `table` and `out` are contiguous tensors of one dtype on one device."""
    pattern = PATTERNS[out.element_size()]
    with torch.cuda.device_of(out):  # type: ignore[no-untyped-call]  # torch types it not
        lookup_kernel[(triton.cdiv(out.numel(), VALUES),)](
            table.view(pattern),
            out.view(-1).view(pattern),
            out.numel(),
            first_block,
            stream.k1 << 32 | stream.k0,
            stream.c3 << 32 | stream.c2,
            WIDTH=8 if table.numel() == 256 else 1,
            VALUES=VALUES,
        )
