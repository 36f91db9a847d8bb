"""Everything the backbone refuses, one class and one stable code per rule (backbone.md B-16).

    BackboneError(ValueError)       a request the rules have no answer to
      InvalidSeedError              seed outside [0, 2^64)
      InvalidNameError              empty or non-ASCII stream name
      InvalidDistributionError      not one of the distributions of this tag
      InvalidShapeError             not two integers of at least 1
      InvalidExponentError          not an integer of 0 to 24
      NoConstructionError           hada or ortho of an order that has no construction
      CodeRangeError                a code beyond 256, which float16 and bfloat16 could not hold exactly
      InvalidDTypeError             a type that does not hold every weight exactly, or that this call cannot write
      DuplicateNameError            two maps of one name
      TensorMismatchError           a tensor does not have the map's shape, or a map has no tensor

Messages say where, expected, got. They never quote more than a name.
"""

from typing import ClassVar


class BackboneError(ValueError):
    """A request the rules of `frozen-backbone/1` have no answer to."""

    code: ClassVar[str] = "backbone-error"


class InvalidSeedError(BackboneError):
    """The seed is not an integer in [0, 2^64)."""

    code = "invalid-seed"


class InvalidNameError(BackboneError):
    """A stream name is empty or not ASCII."""

    code = "invalid-stream-name"


class InvalidDistributionError(BackboneError):
    """Not a `Distribution` of this tag."""

    code = "invalid-distribution"


class InvalidShapeError(BackboneError):
    """A shape is not (out, in), two integers of at least 1."""

    code = "invalid-shape"


class InvalidExponentError(BackboneError):
    """An exponent is not an integer of 0 to 24, where every code * 2^-exponent is exact in float16."""

    code = "invalid-exponent"


class NoConstructionError(BackboneError):
    """`hada` or `ortho` of an order for which the rules give no matrix."""

    code = "no-construction"


class CodeRangeError(BackboneError):
    """A code lies beyond 256 (possible only for `ortho` of three rounds or more)."""

    code = "code-out-of-range"


class InvalidDTypeError(BackboneError):
    """The requested dtype is none that the call writes."""

    code = "invalid-dtype"


class DuplicateNameError(BackboneError):
    """Two maps have one name, so their order in the digest would be undefined."""

    code = "duplicate-map"


class TensorMismatchError(BackboneError):
    """Tensors and maps do not belong together."""

    code = "tensor-mismatch"
