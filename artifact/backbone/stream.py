"""Named streams: SHA-256 of a name gives a key, Philox4x32-10 gives the words (backbone.md B-2 to B-6).

The numpy engine's inner loop. It knows nothing of distributions. A state of four 32-bit words is kept as two
uint64, x = x0 << 32 | x1 and y = x2 << 32 | x3, so that a round is eight in-place operations on a chunk of
CHUNK_BLOCKS counters. The words of a chunk are handed out as bytes in stream order.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import numpy as np
from numpy.typing import NDArray

from artifact.backbone.errors import InvalidNameError, InvalidSeedError
from artifact.backbone.scratch import carve, scratch

TAG = b"frozen-backbone/1"
MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
KEY_STEPS = (0x9E3779B9, 0xBB67AE85)
NUM_ROUNDS = 10
BLOCK_BYTES = 16
CHUNK_BLOCKS = 65_536  # 1,024 to 131,072 were tried: a quarter is 13 % slower (call overhead), twice this 8 % faster
MASK32 = 0xFFFFFFFF


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """A stream of bytes with random access: the Philox key (k0, k1) and the upper half of its counter (c2, c3)."""

    k0: int
    k1: int
    c2: int
    c3: int

    def round_keys(self) -> list[tuple[int, int]]:
        """The keys of the ten rounds, each already in the upper half of a 64-bit word."""
        return [
            (((self.k0 + r * KEY_STEPS[0]) & MASK32) << 32, ((self.k1 + r * KEY_STEPS[1]) & MASK32) << 32)
            for r in range(NUM_ROUNDS)
        ]


def check_seed(seed: int) -> None:
    """Raise InvalidSeedError unless `seed` is an integer in [0, 2^64)."""
    if type(seed) is not int or not 0 <= seed < 2**64:
        raise InvalidSeedError(f"seed: expected an integer in [0, 2^64), got {seed!r}")


def check_name(name: str) -> None:
    """Raise InvalidNameError unless `name` is a non-empty ASCII string."""
    if not isinstance(name, str) or not name or not name.isascii():
        raise InvalidNameError(f"stream name: expected a non-empty ASCII string, got {name!a}")


def open_stream(seed: int, name: str, label: str) -> Stream:
    """The stream `label` ("w", "s0", "p1", ...) of the map `name` (B-2).

    Raises:
        InvalidSeedError: seed outside [0, 2^64).
        InvalidNameError: name empty or not ASCII.
    """
    check_seed(seed)
    check_name(name)
    encoded = name.encode("ascii")
    header = TAG + b"\0" + seed.to_bytes(8, "little") + len(encoded).to_bytes(4, "little")
    digest = sha256(header + encoded + label.encode("ascii")).digest()
    k0, k1, c2, c3 = (int.from_bytes(digest[i : i + 4], "little") for i in (0, 4, 8, 12))
    return Stream(k0=k0, k1=k1, c2=c2, c3=c3)


def chunks(stream: Stream, first_block: int, num_blocks: int) -> Iterator[NDArray[np.uint8]]:
    """The bytes of blocks first_block, ..., first_block + num_blocks - 1, in chunks (B-3, B-4).

    Every chunk is a view of one buffer and valid until the next is asked for.
    """
    size = min(CHUNK_BLOCKS, num_blocks)
    keys = stream.round_keys()
    start, end = first_block, first_block + num_blocks
    with scratch(size * (5 * 8 + BLOCK_BYTES)) as memory:
        steps, pairs, products, words = carve(
            memory, ((size,), "u8"), ((2 * size,), "u8"), ((2 * size,), "u8"), ((size, 4), "<u4")
        )
        np.multiply(np.arange(size, dtype=np.uint64), MULTIPLIERS[0], out=steps)
        while start < end:
            stop = min(end, start - start % CHUNK_BLOCKS + CHUNK_BLOCKS)  # never straddles a multiple of 2^32
            n = stop - start
            state = pairs[: 2 * n]
            _first_two_rounds(stream, keys, start, steps[:n], state)
            _rounds(keys[2:], state, products[: 2 * n])
            _interleave(state, words[:n])
            yield words[:n].reshape(-1).view(np.uint8)
            start = stop


def _first_two_rounds(
    stream: Stream,
    keys: list[tuple[int, int]],
    first_block: int,
    steps: NDArray[np.uint64],
    state: NDArray[np.uint64],
) -> None:
    """Rounds 1 and 2, in which all but the counter's low word is the same for the whole chunk: 7 operations, not 20.

    `steps` is i * M0, so steps + M0 * c0 are the first round's products of the counters c0 + i.
    """
    (m0, m1), (x, y) = MULTIPLIERS, state.reshape(2, -1)
    c0, c1 = first_block & MASK32, first_block >> 32
    same = (m1 * stream.c2) ^ (c1 << 32) ^ keys[0][0]  # x0 << 32 | x1 after round 1
    np.add(steps, m0 * c0, out=y)
    np.bitwise_xor(y, (stream.c3 << 32) ^ keys[0][1], out=y)
    np.right_shift(y, 32, out=x)
    np.multiply(x, m1, out=x)
    np.bitwise_xor(x, ((same & MASK32) << 32) ^ keys[1][0], out=x)
    np.left_shift(y, 32, out=y)
    np.bitwise_xor(y, (m0 * (same >> 32)) ^ keys[1][1], out=y)


def _rounds(keys: Iterable[Any], state: NDArray[np.uint64], products: NDArray[np.uint64]) -> None:
    """One round for each pair of keys, in place: `state` is every x, then every y; `products` is memory of its size.

    Positional arguments and arrays without dimensions halve what a call of a numpy function costs (0.65 to 0.28 us).
    """
    m0, m1, half = (np.array(value, np.uint64) for value in (*MULTIPLIERS, 32))
    (x, y), (p, q) = state.reshape(2, -1), products.reshape(2, -1)
    for k0, k1 in keys:
        np.right_shift(state, half, products)
        np.multiply(p, m0, p)
        np.multiply(q, m1, q)
        np.left_shift(state, half, state)
        np.bitwise_xor(x, q, x)
        np.bitwise_xor(x, np.asarray(k0, np.uint64), x)
        np.bitwise_xor(y, p, y)
        np.bitwise_xor(y, np.asarray(k1, np.uint64), y)


def _interleave(state: NDArray[np.uint64], words: NDArray[np.uint32]) -> None:
    """Write the packed state as words x0, x1, x2, x3 of each block, little-endian on any machine."""
    halves = state.astype("<u8", copy=False).view("<u4").reshape(2, -1)
    for i in range(4):
        words[:, i] = halves[i // 2, 1 - i % 2 :: 2]


def short_streams(seed: int, name: str, num_bytes: Mapping[str, int]) -> dict[str, NDArray[np.uint8]]:
    """The first bytes of several streams of one map, by label: label -> how many.

    Made together, since a short stream costs as many calls as a long one.
    """
    streams = [open_stream(seed, name, label) for label in num_bytes]
    counts = np.array([-(-length // BLOCK_BYTES) for length in num_bytes.values()])
    first = np.cumsum(counts) - counts
    x = (np.arange(counts.sum()) - np.repeat(first, counts)).astype(np.uint64) << np.uint64(32)
    y = np.repeat(np.array([stream.c2 << 32 | stream.c3 for stream in streams], np.uint64), counts)
    state = np.concatenate([x, y])
    round_keys = np.array([stream.round_keys() for stream in streams], np.uint64)  # [streams, rounds, 2]
    _rounds(np.repeat(round_keys.transpose(1, 2, 0), counts, axis=2), state, np.empty_like(state))
    words = np.empty((len(x), 4), "<u4")
    _interleave(state, words)
    data = words.view(np.uint8).reshape(-1)
    starts = (first * BLOCK_BYTES).tolist()
    return {label: data[start : start + num_bytes[label]] for label, start in zip(num_bytes, starts, strict=True)}


def signs(data: NDArray[np.uint8], count: int) -> NDArray[np.int8]:
    """The first `count` signs of a stream, +1 or -1, from its first bytes (B-5)."""
    bits = np.unpackbits(data, count=count, bitorder="little")
    return 1 - 2 * bits.view(np.int8)  # signed before the arithmetic: 1 - 2 * uint8 wraps to 255


def permutation(data: NDArray[np.uint8]) -> NDArray[np.int64]:
    """A permutation of range(n) from the first 4 n bytes of a stream, n < 2^31 (B-6).

    Sorts n random words, ties broken by position.
    """
    words = data.view("<u4").astype(np.int64)
    keys = (words << 31) + np.arange(len(words))
    keys.sort()
    return keys & 0x7FFFFFFF
