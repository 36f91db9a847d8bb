"""Canonical numerics: which routine multiplies float32 matrices in this process, and the proof that it is float32.

On AMD CPUs torch sends float32 products to a library that reaches 43 % of the peak; `precision("medium")` sends them
to oneDNN, which is twice as fast and still float32 there, but may round to bfloat16 on CPUs with AMX or Arm
fast-math. So it is taken only after a product on this very machine agreed with float64 (verification.md V-24). On
CUDA the same setting means TF32 or bfloat16: canonical numerics there are "highest" with every reduced precision off.
These are settings of the whole process.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import linear

SELF_TEST_SHAPE = (512, 768, 2304)  # rows, in, out
SELF_TEST_KEY = (0x5EED601F, 1)
MAX_SELF_TEST_ERROR = 2e-6  # float32 measures 2.5e-7 to 3.7e-7, bfloat16 about 2e-3


class MatmulRoute(StrEnum):
    """Who multiplies float32 matrices."""

    ONEDNN = "onednn"
    HIGHEST = "highest"


@dataclass(frozen=True, slots=True, kw_only=True)
class Numerics:
    """What was set, for the report.

    Attributes:
        device: the device's type, "cpu" or "cuda".
        route: who multiplies.
        self_test_error: relative error of the self-test on this route.
        refused_error: the error that the oneDNN route was refused for; None when it was taken or does not apply.
    """

    device: str
    route: MatmulRoute
    self_test_error: float
    refused_error: float | None = None


def set_canonical_numerics(device: torch.device, *, max_error: float = MAX_SELF_TEST_ERROR) -> Numerics:
    """Set this process's float32 matrix products for `device` and say what was set.

    Args:
        device: where the model will compute.
        max_error: the self-test must stay below it.

    Raises:
        RuntimeError: a CUDA device rounds float32 products although every reduced precision is off (an override from
            outside the process does that).
    """
    return _set_cpu(max_error) if device.type == "cpu" else _set_cuda(device, max_error)


def self_test_error(device: torch.device, multiply: Callable[[Tensor, Tensor], Tensor] = linear) -> float:
    """The relative error (Frobenius norm) of one float32 linear layer, multiplied on `device`, against float64."""
    rows, features_in, features_out = SELF_TEST_SHAPE
    generator = np.random.Generator(np.random.Philox(key=SELF_TEST_KEY))
    x = torch.from_numpy(generator.standard_normal((rows, features_in), dtype=np.float32))
    weight = torch.from_numpy(generator.standard_normal((features_out, features_in), dtype=np.float32))
    exact = linear(x.double(), weight.double())
    with torch.no_grad():
        error = multiply(x.to(device), weight.to(device)).cpu().double() - exact
    return float(error.norm() / exact.norm())


def _set_cpu(max_error: float) -> Numerics:
    cpu, refused_error = torch.device("cpu"), None
    if torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]  # torch types it not
        torch.set_float32_matmul_precision("medium")
        error = self_test_error(cpu)
        if error < max_error:
            return Numerics(device="cpu", route=MatmulRoute.ONEDNN, self_test_error=error)
        refused_error = error
    torch.set_float32_matmul_precision("highest")
    error = self_test_error(cpu)
    return Numerics(device="cpu", route=MatmulRoute.HIGHEST, self_test_error=error, refused_error=refused_error)


def _set_cuda(device: torch.device, max_error: float) -> Numerics:
    torch.set_float32_matmul_precision("highest")  # TF32 off for matrix products
    torch.backends.cudnn.allow_tf32 = False
    matmul = torch.backends.cuda.matmul
    matmul.allow_fp16_reduced_precision_reduction = False
    matmul.allow_bf16_reduced_precision_reduction = False
    matmul.allow_fp16_accumulation = False
    error = self_test_error(device)
    if error >= max_error:
        raise RuntimeError(f"{device}: expected float32 products within {max_error:g} of float64, got {error:.1e}")
    return Numerics(device=device.type, route=MatmulRoute.HIGHEST, self_test_error=error)
