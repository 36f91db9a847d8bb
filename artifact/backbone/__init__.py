"""The frozen backbone, `frozen-backbone/1`: (seed, name, distribution, shape) -> the same numbers on every machine.

    codes(seed, name, distribution, shape)                           integers, [out, in]
    weights(seed, name, distribution, shape, exponent, dtype)        code * 2^-exponent, exactly
    root_digest(seed, maps)                                          what an artifact states about all of its maps
    default_exponent, check_construction                             for trainers and for readers of hostile shapes

Every weight is a small integer times a power of two, exact in float32, bfloat16 and float16. The rules are
docs/backbone.md and, in runnable form, reference.py. This package needs numpy alone; numba is used where it is
installed; torch tensors on any device are filled by `artifact.backbone.device`, which nothing here imports.
"""

from artifact.backbone.distributions import Distribution, RandomMap, check_construction, default_exponent
from artifact.backbone.errors import (
    BackboneError,
    CodeRangeError,
    DuplicateNameError,
    InvalidDistributionError,
    InvalidDTypeError,
    InvalidExponentError,
    InvalidNameError,
    InvalidSeedError,
    InvalidShapeError,
    NoConstructionError,
    TensorMismatchError,
)
from artifact.backbone.generate import codes, root_digest, weights

__all__ = [
    "BackboneError",
    "CodeRangeError",
    "Distribution",
    "DuplicateNameError",
    "InvalidDTypeError",
    "InvalidDistributionError",
    "InvalidExponentError",
    "InvalidNameError",
    "InvalidSeedError",
    "InvalidShapeError",
    "NoConstructionError",
    "RandomMap",
    "TensorMismatchError",
    "check_construction",
    "codes",
    "default_exponent",
    "root_digest",
    "weights",
]
