"""The public calls: codes, weights and the digest of a set of maps, and the one function that fills an array.

The table of contents of the package: a distribution is either a table over a stream (one `Lookup`, by the numba
engine where numba is installed, else by numpy's), a Toeplitz matrix of one, or a matrix that is built in tiles.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache
from hashlib import sha256
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import DTypeLike, NDArray

from artifact.backbone import lookup as numpy_engine
from artifact.backbone.distributions import Distribution, RandomMap, check_unique_names, code_dtype, code_table
from artifact.backbone.encoding import Encoding, NumberType
from artifact.backbone.errors import InvalidDTypeError
from artifact.backbone.hadamard import hada_tiles
from artifact.backbone.lookup import Lookup
from artifact.backbone.orthonormal import ortho_tiles
from artifact.backbone.stream import check_seed, open_stream


@cache
def fastest_lookup() -> Lookup:
    """The numba engine where numba is installed and fits this numpy, else the numpy engine."""
    try:
        from artifact.backbone import fast  # noqa: PLC0415  # numba is optional and takes half a second to import
    except ImportError:
        return numpy_engine.lookup
    return fast.lookup


def codes(seed: int, name: str, distribution: Distribution, shape: tuple[int, int]) -> NDArray[np.int8 | np.int16]:
    """The integer codes of a map, [out, in]: int8, or int16 for u8 and ortho.

    Raises:
        BackboneError: the one that errors.py lists for the broken rule.
    """
    random_map = RandomMap(name=name, distribution=distribution, shape=shape, exponent=0)
    out = np.empty(shape, code_dtype(distribution))
    fill_array(out, seed, random_map, NumberType(out.dtype.name))
    return out


def weights(
    seed: int,
    name: str,
    distribution: Distribution,
    shape: tuple[int, int],
    exponent: int,
    dtype: DTypeLike = np.float32,
) -> NDArray[np.float32 | np.float16]:
    """The weights of a map, code * 2^-exponent, exactly, as [out, in] of float32 or float16.

    numpy has no bfloat16: `device.fill` writes bfloat16 tensors.

    Raises:
        InvalidDTypeError: dtype is neither float32 nor float16.
        BackboneError: the one that errors.py lists for the broken rule.
    """
    if np.dtype(dtype) not in (np.float32, np.float16):
        raise InvalidDTypeError(f"map {name!r}: dtype: expected float32 or float16, got {np.dtype(dtype)}")
    random_map = RandomMap(name=name, distribution=distribution, shape=shape, exponent=exponent)
    out = np.empty(shape, dtype)
    fill_array(out, seed, random_map, NumberType(out.dtype.name))
    return out


def root_digest(seed: int, maps: Iterable[RandomMap], *, threads: int = 1) -> str:
    """SHA-256 over the int16 little-endian codes of every map in bytewise name order, as hex (B-17).

    Exponents do not enter. At most threads + 1 maps are in memory at once.

    Raises:
        InvalidSeedError: seed outside [0, 2^64).
        DuplicateNameError: two maps of one name.
        CodeRangeError: an ortho map has a code beyond 256.
    """
    check_seed(seed)
    ordered = sorted(maps, key=lambda random_map: random_map.name)  # ASCII: the order of the bytes
    check_unique_names(ordered)
    digest = sha256()
    for ints in _codes_of_all(seed, ordered, threads):
        digest.update(ints.data)
    return digest.hexdigest()


def _codes_of_all(seed: int, maps: list[RandomMap], threads: int) -> Iterator[NDArray[np.int16]]:
    """The int16 little-endian codes of every map, in order; threads work at most `threads` maps ahead."""

    def codes_of(random_map: RandomMap) -> NDArray[np.int16]:
        out = np.empty(random_map.shape, np.int16)
        fill_array(out, seed, random_map, NumberType.INT16)
        return out.astype("<i2", copy=False)

    if threads == 1:
        yield from map(codes_of, maps)
        return
    with ThreadPoolExecutor(threads) as pool:
        ahead: deque[Future[NDArray[np.int16]]] = deque()
        for random_map in maps:
            ahead.append(pool.submit(codes_of, random_map))
            if len(ahead) > threads:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()


def fill_array(
    out: NDArray[Any],
    seed: int,
    random_map: RandomMap,
    number_type: NumberType,
    lookup: Lookup | None = None,
) -> None:
    """Fill `out`, C-contiguous [out, in] of the number type's storage, with a map."""
    encoding = Encoding(number_type=number_type, exponent=random_map.exponent)
    assert out.flags.c_contiguous and (out.shape, out.dtype) == (random_map.shape, encoding.dtype)  # noqa: PT018 - one contract
    lookup = lookup or fastest_lookup()
    name, shape = random_map.name, random_map.shape
    match random_map.distribution:
        case Distribution.HADA | Distribution.ORTHO as distribution:
            tiles = hada_tiles if distribution is Distribution.HADA else ortho_tiles
            for rows, columns, tile in tiles(seed, name, shape):
                encoding.write(tile, out[rows, columns])
        case Distribution.TOEP:
            diagonals = np.empty(sum(shape) - 1, encoding.dtype)
            lookup(open_stream(seed, name, "w"), encoding.of(code_table(Distribution.TOEP)), diagonals)
            # Row i is v[i + in - 1], ..., v[i]: a window of the reversed diagonals, which starts at out - 1 - i.
            out[...] = sliding_window_view(diagonals[::-1], shape[1])[::-1]
        case distribution:
            lookup(open_stream(seed, name, "w"), encoding.of(code_table(distribution)), out.reshape(-1))
