"""`frozen-backbone/1` in plain Python: the rules of docs/backbone.md, one function each, and nothing else.

This is the yardstick, not an engine: hashlib, integers and lists, seconds where the engines take microseconds. It
checks no argument; the checks stand in distributions.py. Names and letters are those of the page.
"""

from functools import cache, lru_cache
from hashlib import sha256
from typing import NamedTuple

TAG = b"frozen-backbone/1"
H = (  # B-8: the positive half of the g8 table
    0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 5, 5, 5, 6, 6, 6, 7, 7, 7, 8, 8, 8, 9,
    9, 9, 10, 10, 10, 11, 11, 11, 12, 12, 12, 13, 13, 13, 14, 14, 14, 15, 15, 15, 16, 16, 16, 17, 17, 18, 18, 18,
    19, 19, 19, 20, 20, 20, 21, 21, 22, 22, 22, 23, 23, 24, 24, 25, 25, 25, 26, 26, 27, 27, 28, 28, 29, 29, 29, 30,
    30, 31, 31, 32, 32, 33, 34, 34, 35, 35, 36, 36, 37, 38, 38, 39, 40, 40, 41, 42, 42, 43, 44, 45, 46, 47, 48, 48,
    49, 51, 52, 53, 54, 56, 57, 59, 61, 63, 65, 68, 71, 75, 81, 96,
)  # fmt: skip
T = tuple(-h for h in reversed(H)) + H


class Stream(NamedTuple):
    """Key and upper counter of a named stream (B-2)."""

    k0: int
    k1: int
    c2: int
    c3: int


def stream(seed: int, name: str, label: str) -> Stream:
    """B-2: the stream `label` of the map `name`."""
    u64le, u32le = seed.to_bytes(8, "little"), len(name.encode()).to_bytes(4, "little")
    d = sha256(TAG + b"\0" + u64le + u32le + name.encode() + label.encode("ascii")).digest()
    return Stream(*(int.from_bytes(d[i : i + 4], "little") for i in (0, 4, 8, 12)))


@lru_cache(maxsize=65536)
def philox(c0: int, c1: int, c2: int, c3: int, k0: int, k1: int) -> tuple[int, int, int, int]:
    """B-3: Philox4x32-10."""
    for _ in range(10):
        p0, p1 = 0xD2511F53 * c0, 0xCD9E8D57 * c2
        c0, c1, c2, c3 = (p1 >> 32) ^ c1 ^ k0, p1 % 2**32, (p0 >> 32) ^ c3 ^ k1, p0 % 2**32
        k0, k1 = (k0 + 0x9E3779B9) % 2**32, (k1 + 0xBB67AE85) % 2**32
    return c0, c1, c2, c3


def byte(S: Stream, i: int) -> int:
    """B-4: the i-th byte of a stream."""
    b = i // 16
    w = philox(b % 2**32, b // 2**32, S.c2, S.c3, S.k0, S.k1)
    return (w[(i % 16) // 4] >> 8 * (i % 4)) & 255


def sign(S: Stream, i: int) -> int:
    """B-5: the i-th sign of a stream."""
    return 1 - 2 * ((byte(S, i // 8) >> (i % 8)) & 1)


def perm(S: Stream, n: int) -> list[int]:
    """B-6: a permutation of range(n)."""
    words = [sum(byte(S, 4 * i + k) << 8 * k for k in range(4)) for i in range(n)]
    return [key % 2**31 for key in sorted(word * 2**31 + i for i, word in enumerate(words))]


def ternary(m: int, value: int) -> int:
    """B-10: +1, -1 or 0 with density 2^-m."""
    h = 128 >> m
    return 1 if value < h else -1 if value < 2 * h else 0


@cache
def chi(q: int, a: int) -> int:
    """The quadratic character of a mod q, for a that q does not divide."""
    return 1 if a % q in {x * x % q for x in range(1, q)} else -1


def paley(n: int, i: int, j: int) -> int:
    """B-12: entry (i, j) of the core Q_12, Q_20 or Q_28."""
    if n == 28:
        a, c = i // 2, j // 2
        if a == c:
            return -1 if i % 2 or j % 2 else 1
        s = 1 if a == 0 or c == 0 else chi(13, a - c)
        return -s if i % 2 and j % 2 else s
    if i in (0, j):
        return 1
    return -1 if j == 0 else chi(n - 1, i - j)


def hadamard(n: int, i: int, j: int) -> int:
    """B-12: entry (i, j) of the Hadamard matrix of order n."""
    if n & (n - 1) == 0:
        return 1 - 2 * ((i & j).bit_count() % 2)
    q = next(4 * p for p in (3, 5, 7) if n % (4 * p) == 0)
    m = n // q
    return paley(q, i // m, j // m) * hadamard(m, i % m, j % m)


def hada(seed: int, name: str, out: int, in_: int) -> list[list[int]]:
    """B-13: a Hadamard matrix with its rows permuted and all signs flipped at random."""
    n = max(out, in_)
    s0, s1, p0 = stream(seed, name, "s0"), stream(seed, name, "s1"), perm(stream(seed, name, "p0"), n)
    return [[sign(s1, i) * sign(s0, j) * hadamard(n, p0[i], j) for j in range(in_)] for i in range(out)]


def order_of(n: int) -> tuple[int, int]:
    """B-14: the group size b and the number of rounds R of an orthonormal map of order n."""
    b = next(b for b in (256, 64, 16) if n % b == 0)
    return b, next(r for r in range(2, 99) if b**r >= 8 * n)


def walsh_hadamard(column: list[int], b: int) -> list[int]:
    """B-14: (I x H_b) times a column, by butterflies."""
    h = 1
    while h < b:
        column = [column[i] + column[i + h] if i & h == 0 else column[i - h] - column[i] for i in range(len(column))]
        h *= 2
    return column


def ortho(seed: int, name: str, out: int, in_: int) -> list[list[int]]:
    """B-14: D_R (I x H_b) D_(R-1) P_(R-1) ... D_1 P_1 (I x H_b) D_0, one column at a time."""
    n = max(out, in_)
    b, rounds = order_of(n)
    d = [[sign(stream(seed, name, f"s{r}"), i) for i in range(n)] for r in range(rounds + 1)]
    p = [perm(stream(seed, name, f"p{r}"), n) for r in range(1, rounds)]
    columns = []
    for j in range(in_):
        m = [hadamard(b, i % b, j % b) * d[0][j] if i // b == j // b else 0 for i in range(n)]
        for r in range(1, rounds):
            m = walsh_hadamard([d[r][i] * m[p[r - 1][i]] for i in range(n)], b)
        columns.append([d[rounds][i] * m[i] for i in range(out)])
    return [list(row) for row in zip(*columns, strict=True)]


def code(S: Stream, distribution: str, e: int) -> int:
    """B-8 to B-10: the code of element e = i * in + j of a map that is a table over its stream."""
    if distribution == "rad":
        return sign(S, e)
    value = byte(S, e)
    if distribution == "g8":
        return T[value]
    return 2 * value - 255 if distribution == "u8" else ternary(int(distribution[4:]), value)


def codes(seed: int, name: str, distribution: str, shape: tuple[int, int]) -> list[list[int]]:
    """B-7 to B-14: all codes of a map, `shape` = (out, in), row by row."""
    out, in_ = shape
    if distribution in ("hada", "ortho"):
        return {"hada": hada, "ortho": ortho}[distribution](seed, name, out, in_)
    S = stream(seed, name, "w")
    if distribution == "toep":
        return [[T[byte(S, i - j + in_ - 1)] for j in range(in_)] for i in range(out)]
    return [[code(S, distribution, i * in_ + j) for j in range(in_)] for i in range(out)]
