"""How a run of the verifier is carried out: chosen by whoever runs it, never by the artifact.

Crosses from the caller to the judging process. What changes a number (dtype, device, batch on CUDA, sample) stands in
the report too.
"""

from typing import Annotated, Final, Literal

from pydantic import Field

from verifier.report import ScoreDtype, Value

BATCH_TOKENS_CPU: Final = 4_096  # 16 windows of 256 score 1.7 times as fast as 4 or 64 (one core, AMD EPYC, 2026)
BATCH_TOKENS_CUDA: Final = 32_768


class Settings(Value):
    """The settings of one run.

    Attributes:
        dtype: of the layers' products; float32 is canonical.
        device: `auto` takes CUDA where there is one; under torchrun every process takes the GPU of its local rank.
        threads: CPU threads.
        batch_windows: windows a batch; absent for the device's default.
        sample: share of the windows to screen with; absent to score all of them.
        sample_seed: which windows.
        wall_seconds: an operator's own limit in place of the track's evaluation limit.
        memory_bytes: an operator's own limit below the track's.
    """

    dtype: ScoreDtype = ScoreDtype.FLOAT32
    device: Literal["auto", "cpu", "cuda"] = "auto"
    threads: Annotated[int, Field(ge=1, le=1024)] = 1
    batch_windows: Annotated[int, Field(ge=1, le=4096)] | None = None
    sample: Annotated[float, Field(gt=0, lt=1)] | None = None
    sample_seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    wall_seconds: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    memory_bytes: Annotated[int, Field(ge=1)] | None = None
