"""Linears that read the same input together do what they do one by one, and shapes are what they say."""

import pytest
import torch
from torch import Tensor

from artifact.format.architecture import LinearSpec
from artifact.format.manifest import from_json
from artifact.model.linear import Linear, apply_together
from artifact.model.norm import rms_norm
from tests.artifact.model.compiling import SHAPES_ARE_CHECKED
from tests.artifact.model.networks import LEARNED, LORA, SHIFT, VERA, Json, frozen

IN = 16
KINDS: dict[str, tuple[Json, Json, Json]] = {
    "all lora, ranks apart": (frozen(adapter=LORA), frozen(adapter=LORA | {"lora_rank": 7}), frozen(adapter=LORA)),
    "lora and vera": (frozen(adapter=LORA), frozen(adapter=VERA), frozen(adapter=LORA)),
    "all lora, ranks too high to stack": (frozen(adapter=LORA | {"lora_rank": 60}),) + 2 * (frozen(adapter=LORA),),
    "all learned": (LEARNED, LEARNED, LEARNED),
    "one with a gain": (frozen(adapter=LORA), frozen("channel", LORA), frozen(adapter=LORA)),
    "everything": (LEARNED, frozen("matrix", SHIFT), frozen()),
}


def arbitrary_linear(spec: Json, rows: int, *, seed: int) -> Linear:
    generator = torch.Generator().manual_seed(seed)
    linear = Linear(from_json(LinearSpec, spec), (rows, IN), device=torch.device("cpu"))
    with torch.no_grad():
        for tensor in (*linear.parameters(), *linear.buffers()):
            tensor.copy_(torch.randn(tensor.shape, generator=generator))
    return linear


def outputs_and_gradients(outputs: list[Tensor], leaves: list[Tensor]) -> list[Tensor]:
    generator = torch.Generator().manual_seed(1)
    cotangents = [torch.randn(y.shape, generator=generator) for y in outputs]
    return [*outputs, *torch.autograd.grad(outputs, leaves, cotangents)]


@pytest.mark.parametrize("kinds", KINDS.values(), ids=KINDS)
def test_together_is_one_by_one(kinds: tuple[Json, Json, Json]) -> None:
    linears = [arbitrary_linear(spec, rows, seed=rows) for spec, rows in zip(kinds, (24, 8, 12), strict=True)]
    x = torch.randn((2, 20, IN), generator=torch.Generator().manual_seed(3)).requires_grad_()
    leaves = [x, *[parameter for linear in linears for parameter in linear.parameters()]]
    together = outputs_and_gradients(apply_together(linears, x), leaves)
    apart = outputs_and_gradients([linear(x) for linear in linears], leaves)
    for ours, theirs in zip(together, apart, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5 * theirs.abs().max().item())


@pytest.mark.parametrize(
    "spec", [LEARNED, frozen("channel", SHIFT), frozen("matrix", LORA), frozen(adapter=VERA)], ids=str
)
def test_under_autocast_outputs_are_bfloat16_and_gradients_float32(spec: Json) -> None:
    linear = arbitrary_linear(spec, 24, seed=0)
    x = torch.randn((2, 20, IN), generator=torch.Generator().manual_seed(3))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y = linear(x)
    y.float().square().sum().backward()
    assert y.dtype == torch.bfloat16
    assert {parameter.grad.dtype for parameter in linear.parameters()} == {torch.float32}


@pytest.mark.skipif(not SHAPES_ARE_CHECKED, reason="make test-shapes")
def test_a_wrong_shape_is_refused_when_shapes_are_checked() -> None:
    from jaxtyping import TypeCheckError

    linear = arbitrary_linear(LEARNED, 24, seed=0)
    with pytest.raises(TypeCheckError):
        apply_together([linear], torch.zeros(IN, dtype=torch.int64))
    with pytest.raises(TypeCheckError):
        rms_norm([1.0])
