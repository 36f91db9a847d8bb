"""Muon in stacks, AdamW beside it, the gradient as one vector, the average of the weights."""

import numpy as np
import pytest
import torch
from torch.nn import Parameter

from artifact.format.manifest import Group
from tests.trainer.tiny import CPU
from trainer.config import MatrixOptimizer, OptimConfig
from trainer.ema import Ema
from trainer.gradients import Gradients
from trainer.muon import StackedMuon, orthogonalized
from trainer.optim import GroupedParameter, Optimizers

SHAPES = [(4, 24), (24, 4), (4, 24), (16, 16), (8, 12), (12, 8), (16, 16)]


def matrices(seed: int = 0) -> list[Parameter]:
    generator = torch.Generator().manual_seed(seed)
    return [Parameter(torch.randn(shape, generator=generator)) for shape in SHAPES]


@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
def test_stacked_muon_makes_the_updates_of_torch(weight_decay: float) -> None:
    """Equal up to bfloat16 rounding of the iteration: a batched product may sum in another order."""
    ours, theirs = matrices(), matrices()
    stacked = StackedMuon(ours, lr=0.05, momentum=0.9, weight_decay=weight_decay)
    reference = torch.optim.Muon(theirs, lr=0.05, momentum=0.9, weight_decay=weight_decay)
    for step in range(4):
        for parameter, other, grad in zip(ours, theirs, matrices(seed=step + 1), strict=True):
            parameter.grad, other.grad = grad.detach().clone(), grad.detach().clone()
        stacked.step()
        reference.step()
    for parameter, other, start in zip(ours, theirs, matrices(), strict=True):
        moved = (other - start).norm()
        assert (parameter - other).norm() < 0.02 * moved


def test_orthogonalized_matrices_have_singular_values_near_one() -> None:
    stack = torch.randn(3, 8, 20, generator=torch.Generator().manual_seed(0))
    values = torch.linalg.svdvals(orthogonalized(stack, steps=5, dtype=torch.float32))
    assert values.min() > 0.6
    assert values.max() < 1.3


def test_a_zero_gradient_moves_nothing() -> None:
    parameter = Parameter(torch.ones(3, 5))
    parameter.grad = torch.zeros(3, 5)
    StackedMuon([parameter], lr=1.0).step()
    assert torch.equal(parameter, torch.ones(3, 5))


def test_muon_refuses_what_is_no_matrix() -> None:
    with pytest.raises(ValueError, match=r"got a parameter of shape \(3,\)"):
        StackedMuon([Parameter(torch.zeros(3))], lr=1.0)


def grouped() -> list[GroupedParameter]:
    generator = torch.Generator().manual_seed(0)
    shapes = {
        ("embed.weight", Group.EMBEDDING): (10, 4),
        ("x.weight", Group.LEARNED): (4, 4),
        ("x.lora_a", Group.LORA_A): (2, 4),
        ("x.lora_b", Group.LORA_B): (4, 2),
        ("x.gain", Group.CONTROL): (4,),
    }
    return [
        GroupedParameter(name=name, group=group, parameter=Parameter(torch.randn(shape, generator=generator)))
        for (name, group), shape in shapes.items()
    ]


def stepped(items: list[GroupedParameter], optimizers: Optimizers, *, steps: int = 1, lr_factor: float = 1.0) -> None:
    for step in range(steps):
        generator = torch.Generator().manual_seed(step + 100)
        for item in items:
            if item.parameter.requires_grad:
                item.parameter.grad = torch.randn(item.parameter.shape, generator=generator)
        optimizers.step(lr_factor=lr_factor, momentum=0.9)


@pytest.mark.parametrize("lora", list(MatrixOptimizer))
def test_every_group_moves_at_its_own_rate(lora: MatrixOptimizer) -> None:
    """Both optimizers make a first step of known size: Adam rate per element, Muon rate times an orthogonal matrix."""
    optim = OptimConfig(
        lora=lora, learned_lr=0.1, lora_a_lr=0.2, lora_b_lr=0.3, embedding_lr=0.4, control_lr=0.5, muon_ns_steps=5
    )
    items = grouped()
    before = {item.name: item.parameter.detach().clone() for item in items}
    stepped(items, Optimizers(items, optim), lr_factor=0.5)
    moved = {item.name: (item.parameter - before[item.name]).detach() for item in items}
    assert moved["embed.weight"].abs().mean() == pytest.approx(0.2, rel=1e-3)
    assert moved["x.gain"].abs().mean() == pytest.approx(0.25, rel=1e-3)
    spectral = float(torch.linalg.matrix_norm(moved["x.weight"], ord=2))
    assert spectral == pytest.approx(0.05, rel=0.3)
    if lora is MatrixOptimizer.ADAMW:
        assert moved["x.lora_a"].abs().mean() == pytest.approx(0.1, rel=1e-3)
        assert moved["x.lora_b"].abs().mean() == pytest.approx(0.15, rel=1e-3)
    else:
        assert float(torch.linalg.matrix_norm(moved["x.lora_a"], ord=2)) == pytest.approx(0.1, rel=0.3)
        assert float(torch.linalg.matrix_norm(moved["x.lora_b"], ord=2)) == pytest.approx(0.15 * 2**0.5, rel=0.3)


def test_weight_decay_reaches_matrices_alone() -> None:
    items = grouped()
    before = {item.name: item.parameter.detach().clone() for item in items}
    optimizers = Optimizers(items, OptimConfig(weight_decay=0.1, learned_lr=1.0, control_lr=1.0, embedding_lr=1.0))
    for item in items:
        item.parameter.grad = torch.zeros_like(item.parameter)
    optimizers.step(lr_factor=1.0, momentum=0.9)
    for item in items:
        shrink = 0.9 if item.name == "x.weight" else 1.0 - 0.1 * 0.04 if "lora" in item.name else 1.0
        torch.testing.assert_close(item.parameter.detach(), before[item.name] * shrink)


def test_optimizers_go_on_from_their_state_with_the_same_bits() -> None:
    optim = OptimConfig()
    items = grouped()
    optimizers = Optimizers(items, optim)
    stepped(items, optimizers, steps=3)
    twins = [
        GroupedParameter(name=item.name, group=item.group, parameter=Parameter(item.parameter.detach().clone()))
        for item in items
    ]
    restored = Optimizers(twins, optim)
    restored.restore({name: value.clone() for name, value in optimizers.state().items()})
    stepped(items, optimizers, steps=2)
    stepped(twins, restored, steps=2)
    for item, twin in zip(items, twins, strict=True):
        assert torch.equal(item.parameter, twin.parameter), item.name


def test_a_released_parameter_stands_still_and_keeps_no_state() -> None:
    items = grouped()
    optimizers = Optimizers(items, OptimConfig(weight_decay=0.1))
    stepped(items, optimizers)
    released = next(item for item in items if item.name == "x.weight")
    optimizers.release([released.parameter])
    before = released.parameter.detach().clone()
    stepped(items, optimizers)
    assert torch.equal(released.parameter, before)
    assert not any(name.startswith("x.weight/") for name in optimizers.state())


def test_gradients_are_parts_of_one_vector() -> None:
    weight, bias = Parameter(torch.ones(2, 3)), Parameter(torch.ones(3))
    gradients = Gradients([weight, bias])
    for scale in (1.0, 3.0):
        loss = scale * (weight.sum() + 2 * bias.sum())
        torch.autograd.backward(loss)
        gradients.add_loss(loss)
    gradients.reduce(CPU, micro_batches=2)
    assert torch.equal(weight.grad, torch.full((2, 3), 2.0))
    assert torch.equal(bias.grad, torch.full((3,), 4.0))
    assert gradients.loss == 24.0
    gradients.clear()
    assert gradients.loss == 0.0
    assert not weight.grad.any()


@pytest.mark.parametrize(("max_norm", "expected"), [(1.0, 1.0), (100.0, 5.0)])
def test_clipping_shrinks_the_whole_gradient_and_leaves_the_loss(max_norm: float, expected: float) -> None:
    a, b = Parameter(torch.zeros(1)), Parameter(torch.zeros(1))
    gradients = Gradients([a, b])
    torch.autograd.backward(3 * a.sum() + 4 * b.sum())
    gradients.add_loss(torch.tensor(7.0))
    gradients.clip_(max_norm)
    assert float(torch.cat([a.grad, b.grad]).norm()) == pytest.approx(expected)
    assert gradients.loss == 7.0


def test_the_average_starts_as_a_plain_mean_and_then_forgets() -> None:
    parameter = Parameter(torch.zeros(1))
    ema = Ema({"x": parameter}, decay=0.75)
    assert not ema.has_started
    expected, values = 0.0, [8.0, 4.0, 3.0, 1.0, 6.0, 2.0]
    for count, value in enumerate(values, 1):
        with torch.no_grad():
            parameter.fill_(value)
        ema.update()
        expected += max(0.25, 1 / count) * (value - expected)
        with ema.in_place():
            assert float(parameter.detach()) == pytest.approx(expected)
            if count <= 4:
                assert float(parameter.detach()) == pytest.approx(np.mean(values[:count]))
        assert float(parameter.detach()) == value


def test_an_average_that_has_not_started_changes_nothing() -> None:
    parameter = Parameter(torch.ones(2))
    with Ema({"x": parameter}, decay=0.9).in_place():
        assert torch.equal(parameter, torch.ones(2))
