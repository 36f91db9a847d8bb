"""Muon with equal shapes stacked: one batched Newton-Schulz iteration per shape instead of one per matrix.

The same update as `torch.optim.Muon` (momentum by lerp, Nesterov, quintic Newton-Schulz, learning rate times
sqrt(max(1, out / in))), for many small matrices: a matrix and the transpose of another share a stack, so A [R, D] and
B [D, R] of every layer are orthogonalised by the same few `bmm`. benchmarks/bench_train.py measures both.

Source: Jordan et al., "Muon: An optimizer for hidden layers in neural networks" (2024), with torch's coefficients.
"""

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import Parameter
from torch.optim import Optimizer

COEFFICIENTS: Final = (3.4445, -4.7750, 2.0315)
EPS: Final = 1e-7


def orthogonalized(stack: Float[Tensor, "n r c"], *, steps: int, dtype: torch.dtype) -> Float[Tensor, "n r c"]:
    """Each matrix of a stack with its singular values driven towards 1 (0.7 to 1.2 after five steps).

    Args:
        stack: r <= c.
        steps: Newton-Schulz iterations.
        dtype: arithmetic of the iterations; bfloat16 suffices, since the result is no exact orthogonal matrix anyway.
    """
    a, b, c = COEFFICIENTS
    x = stack.to(dtype)
    x = x / x.norm(dim=(1, 2), keepdim=True).clamp(min=EPS)
    for _ in range(steps):
        gram = x @ x.mT  # n r r
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x


class StackedMuon(Optimizer):
    """Muon over 2-D parameters; one momentum buffer per parameter, as `torch.optim.Muon` keeps it."""

    def __init__(
        self,
        params: Iterable[Parameter] | Iterable[dict[str, Any]],
        *,
        lr: float,
        weight_decay: float = 0.0,
        momentum: float = 0.95,
        ns_steps: int = 5,
        dtype: torch.dtype = torch.bfloat16,
    ) -> None:
        defaults = {"lr": lr, "weight_decay": weight_decay, "momentum": momentum, "ns_steps": ns_steps}
        super().__init__(params, defaults)
        self._dtype = dtype
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.ndim != 2:
                    raise ValueError(f"Muon takes matrices, got a parameter of shape {tuple(parameter.shape)}")

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]  # returns no loss
        """Update every parameter that has a gradient; `closure` is not supported."""
        assert closure is None
        for group in self.param_groups:
            params = [parameter for parameter in group["params"] if parameter.requires_grad]
            for stack in _by_shape(params):
                self._step_stack(stack, group)

    def _step_stack(self, params: Sequence[Parameter], group: dict[str, Any]) -> None:
        """Update matrices of one size; the tall ones stand last, transposed."""
        lr, momentum = group["lr"], group["momentum"]
        wide = sum(not _is_tall(parameter) for parameter in params)
        buffers = [self._buffer(parameter) for parameter in params]
        grads = [_gradient(parameter) for parameter in params]
        torch._foreach_lerp_(buffers, grads, 1 - momentum)
        updates = torch._foreach_lerp(grads, buffers, momentum)  # noqa: SLF001 - torch's own optimizers' bulk form
        stack = torch.stack([*updates[:wide], *(update.mT for update in updates[wide:])])  # n r c
        stack = orthogonalized(stack, steps=group["ns_steps"], dtype=self._dtype).to(params[0].dtype)
        if group["weight_decay"]:
            torch._foreach_mul_(list[Tensor](params), 1 - lr * group["weight_decay"])
        _, rows, cols = stack.shape
        for some, steps, rate in (
            (params[:wide], stack[:wide], lr),
            (params[wide:], stack[wide:].mT.contiguous(), lr * math.sqrt(cols / rows)),
        ):
            if some:
                torch._foreach_add_(list[Tensor](some), list(steps), alpha=-rate)

    def _buffer(self, parameter: Parameter) -> Tensor:
        state = self.state[parameter]
        if "momentum_buffer" not in state:
            state["momentum_buffer"] = torch.zeros_like(parameter)
        buffer: Tensor = state["momentum_buffer"]
        return buffer


def _gradient(parameter: Parameter) -> Tensor:
    assert parameter.grad is not None, "trainer.gradients owns the gradient of every parameter that learns"
    return parameter.grad


def _is_tall(matrix: Tensor) -> bool:
    return matrix.shape[0] > matrix.shape[1]


def _by_shape(params: Sequence[Parameter]) -> list[list[Parameter]]:
    """Parameters that share a stack, wide ones first, in a fixed order."""
    stacks: dict[tuple[int, int], list[Parameter]] = defaultdict(list)
    for parameter in sorted(params, key=_is_tall):
        rows, cols = parameter.shape
        stacks[min(rows, cols), max(rows, cols)].append(parameter)
    return list(stacks.values())
