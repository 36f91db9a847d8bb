"""What every part of a report is made of: the frozen base and the kinds of its numbers."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

Real = Annotated[float, Field(allow_inf_nan=False)]
Loss = Annotated[float, Field(allow_inf_nan=False, ge=-3.5e38, le=3.5e38)]  # a mean of float32
Seconds = Annotated[Real, Field(ge=0)]
Count = Annotated[int, Field(ge=0)]
Some = Annotated[int, Field(ge=1)]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


class Value(BaseModel):
    """Base of every part of a report: immutable, strict types, unknown keys refused."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")
