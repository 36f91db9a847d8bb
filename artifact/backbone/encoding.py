"""How a code is stored: as an integer, or as code * 2^-exponent in one of three float types (backbone.md B-15).

All of them are exact, so the same code gives the same number everywhere; this file is the only one that knows about
floats. bfloat16, which numpy does not have, is stored as its bit patterns in uint16.
"""

from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from artifact.backbone.orthonormal import MAX_CODE


class NumberType(StrEnum):
    """What the elements of a map are."""

    INT8 = "int8"
    INT16 = "int16"
    FLOAT32 = "float32"
    FLOAT16 = "float16"
    BFLOAT16 = "bfloat16"


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoding:
    """A number type and, for floats, the exponent: an element is code * 2^-exponent."""

    number_type: NumberType
    exponent: int = 0

    @property
    def dtype(self) -> np.dtype[Any]:
        """The numpy type of the storage."""
        return np.dtype("uint16" if self.number_type is NumberType.BFLOAT16 else self.number_type.value)

    def of(self, codes: NDArray[Any]) -> NDArray[Any]:
        """The elements of integer codes. Code 0 gives +0.0: the integer becomes a float before it is scaled."""
        if self.number_type in (NumberType.INT8, NumberType.INT16):
            return codes.astype(self.dtype)
        values = codes.astype(np.float32) * self._scale
        if self.number_type is NumberType.BFLOAT16:
            return (values.view(np.uint32) >> 16).astype(np.uint16)  # 8 significant bits: the lower half is zero
        return values.astype(self.dtype)

    def write(self, codes: NDArray[Any], out: NDArray[Any]) -> None:
        """Write the elements of a matrix of codes, each at most 256 in magnitude, into `out`."""
        if self.number_type in (NumberType.INT8, NumberType.INT16):
            out[...] = codes
        elif self.number_type is NumberType.FLOAT32:
            np.multiply(codes, self._scale, out=out)
        else:  # numpy rounds to float16 in software, four times slower than this table
            out[...] = np.take(_elements(self), codes, mode="wrap")

    @property
    def _scale(self) -> np.float32:
        return np.float32(2.0**-self.exponent)


@lru_cache(maxsize=16)
def _elements(encoding: Encoding) -> NDArray[Any]:
    """The elements of codes 0, ..., 256, -256, ..., -1, so that a negative code indexes from the end."""
    return encoding.of(np.concatenate([np.arange(MAX_CODE + 1), np.arange(-MAX_CODE, 0)]))
