"""The merged form of a low-rank layer against plain autograd, and when it is taken."""

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import linear
from torch.utils._python_dispatch import TorchDispatchMode

from artifact.model.lora import MergedLowRank, low_rank_linear, merging_pays
from tests.artifact.model.compiling import compiles

IN, OUT, RANK = 24, 40, 3


def operands(*lead: int, dtype: torch.dtype = torch.float32, seed: int = 0) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """X, W, A, B; W needs no gradient."""
    generator = torch.Generator().manual_seed(seed)
    sizes = ((*lead, IN), (OUT, IN), (RANK, IN), (OUT, RANK))
    x, weight, lora_a, lora_b = (torch.randn(size, generator=generator, dtype=dtype) for size in sizes)
    return x.requires_grad_(), weight / IN**0.5, lora_a.requires_grad_(), lora_b.requires_grad_()


def values_and_gradients(y: Tensor, *leaves: Tensor) -> tuple[Tensor, ...]:
    cotangent = torch.randn(y.shape, generator=torch.Generator().manual_seed(9)).to(y.dtype)
    return (y, *torch.autograd.grad(y, leaves, cotangent))


@pytest.mark.parametrize("lead", [(64,), (4, 16), (2, 3, 8)], ids=str)
def test_it_is_plain_autograd_of_both_plain_forms(lead: tuple[int, ...]) -> None:
    x, weight, lora_a, lora_b = operands(*lead)
    got = values_and_gradients(low_rank_linear(x, weight, lora_a, lora_b), x, lora_a, lora_b)
    two_path = linear(x, weight) + linear(linear(x, lora_a), lora_b)
    merged = linear(x, weight + lora_b @ lora_a)
    for plain in (two_path, merged):
        for ours, theirs in zip(got, values_and_gradients(plain, x, lora_a, lora_b), strict=True):
            torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5 * theirs.abs().max().item())


def test_its_gradients_are_the_differences_of_its_values() -> None:
    x, weight, lora_a, lora_b = operands(5, dtype=torch.float64)
    assert torch.autograd.gradcheck(
        lambda *leaves: MergedLowRank.apply(leaves[0], weight, *leaves[1:]), (x, lora_a, lora_b)
    )


class Shapes(TorchDispatchMode):
    """Notes the shape of everything that is computed."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[int, ...]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        self.seen += [tuple(part.shape) for part in [result] if isinstance(part, Tensor)]
        return result


def test_the_gradient_of_the_frozen_map_is_never_formed() -> None:
    x, weight, lora_a, lora_b = operands(64)
    y = low_rank_linear(x, weight, lora_a, lora_b)
    with Shapes() as shapes:
        y.sum().backward()
    assert (RANK, IN) in shapes.seen
    assert not {(OUT, IN), (IN, OUT)} & set(shapes.seen)
    assert weight.grad is None


def test_masters_and_their_gradients_stay_float32_under_autocast() -> None:
    x, weight, lora_a, lora_b = operands(64)
    exact = values_and_gradients(low_rank_linear(x, weight, lora_a, lora_b), x, lora_a, lora_b)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y = low_rank_linear(x, weight, lora_a, lora_b)
    got = values_and_gradients(y, x, lora_a, lora_b)
    assert [part.dtype for part in got] == [torch.bfloat16, torch.float32, torch.float32, torch.float32]
    for rounded, whole in zip(got, exact, strict=True):
        error = (rounded.float() - whole).norm() / whole.norm()
        assert error < 2e-2
        assert error > 1e-4  # it was bfloat16


@compiles
def test_it_compiles_into_one_graph() -> None:
    x, weight, lora_a, lora_b = operands(64)
    eager = values_and_gradients(low_rank_linear(x, weight, lora_a, lora_b), x, lora_a, lora_b)
    compiled = torch.compile(low_rank_linear, fullgraph=True, backend="aot_eager")
    got = values_and_gradients(compiled(x, weight, lora_a, lora_b), x, lora_a, lora_b)
    torch.testing.assert_close(got, eager)


def test_an_input_without_gradient_gets_none() -> None:
    x, weight, lora_a, lora_b = operands(64)
    y = low_rank_linear(x.detach(), weight, lora_a, lora_b)
    grad_a, grad_b = torch.autograd.grad(y.sum(), (lora_a, lora_b))
    assert grad_a.shape == lora_a.shape
    assert grad_b.shape == lora_b.shape


@pytest.mark.parametrize(
    ("num_tokens", "shape", "expected"),
    [(256, (512, 512), False), (257, (512, 512), True), (384, (1536, 512), False), (385, (1536, 512), True)],
)
def test_merging_pays_from_the_number_of_tokens_at_which_operations_are_equal(
    num_tokens: int, shape: tuple[int, int], expected: bool
) -> None:
    assert merging_pays(num_tokens=num_tokens, shape=shape) is expected
