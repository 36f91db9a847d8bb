"""Runs the Triton kernel in Triton's interpreter: `TRITON_INTERPRET=1 python -m tests.artifact.backbone.interpret`.

A process of its own, because Triton decides for or against its interpreter when it is imported. Prints the SHA-256 of
what the kernel wrote for each case as JSON; test_kernel.py compares.
"""

import json
from hashlib import sha256
from typing import NamedTuple

import numpy as np

from artifact.backbone.distributions import TABLE_DISTRIBUTIONS, code_table
from artifact.backbone.encoding import Encoding, NumberType
from artifact.backbone.stream import Stream, open_stream
from tests.artifact.backbone.vectors import KNOWN_ANSWERS, VECTORS


class Case(NamedTuple):
    """One lookup: where in which stream, what table, how many elements."""

    stream: Stream
    table: np.ndarray
    size: int
    first_block: int = 0


def known_answer(counter: tuple[int, ...], key: tuple[int, ...]) -> Case:
    """The block of one of Random123's known answers."""
    stream = Stream(k0=key[0], k1=key[1], c2=counter[2], c3=counter[3])
    return Case(stream, np.arange(256, dtype=np.uint8).view(np.int8), 16, counter[1] << 32 | counter[0])


STREAM = open_stream(2**64 - 1, "a", "w")
BYTES, BITS = np.arange(256, dtype=np.int16), np.array([1, -1], np.int8)
CASES = {f"known {i}": known_answer(counter, key) for i, (counter, key, _) in enumerate(KNOWN_ANSWERS)}
for first_block in (0, 1, 2**32 - 3, 2**40 + 5, 2**64 - 2048):
    for count in (1, 8_192, 20_000):
        CASES[f"bytes {first_block} {count}"] = Case(STREAM, BYTES, count, first_block)
        CASES[f"bits {first_block} {count}"] = Case(STREAM, BITS, count, first_block)
for vector in VECTORS:
    if vector.distribution in TABLE_DISTRIBUTIONS:
        for number_type in (NumberType.FLOAT32, NumberType.FLOAT16, NumberType.BFLOAT16):
            table = Encoding(number_type=number_type, exponent=vector.exponent).of(code_table(vector.distribution))
            stream = open_stream(vector.seed, vector.name, "w")
            CASES[f"{vector} {number_type}"] = Case(stream, table, vector.shape[0] * vector.shape[1])


def main() -> None:
    """Run every case and print the digests."""
    import torch

    from artifact.backbone import kernel

    digests = {}
    for name, case in CASES.items():
        pattern = np.dtype(f"i{case.table.itemsize}")
        out = torch.full((case.size,), 99, dtype=getattr(torch, pattern.name))
        kernel.lookup(case.stream, torch.from_numpy(case.table.view(pattern)), out, case.first_block)
        digests[name] = sha256(out.numpy().tobytes()).hexdigest()
    print(json.dumps(digests))


if __name__ == "__main__":
    main()
