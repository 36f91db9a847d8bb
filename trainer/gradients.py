"""The gradient of a run as one vector: accumulated in place, summed over processes in one call, judged by one norm.

Adapters are small (a few million numbers), so one all-reduce after accumulation is cheaper and simpler than
bucketed overlap: no hooks, no unused-parameter search, and a parameter that stops learning needs no rebuild. The
loss travels in the vector's last place.
"""

from collections.abc import Sequence
from typing import Final

import torch
from jaxtyping import Float32
from torch import Tensor
from torch.nn import Parameter

from trainer.world import World

LOSS_PLACES: Final = 1


class Gradients:
    """Owns the memory behind every parameter's `.grad`.

    Law: after `reduce`, every process holds the mean gradient and mean loss over all processes' micro-batches.
    """

    def __init__(self, parameters: Sequence[Parameter]) -> None:
        self._parameters = tuple(parameters)
        total = sum(parameter.numel() for parameter in parameters)
        self._vector: Float32[Tensor, " n"] = torch.zeros(total + LOSS_PLACES, device=parameters[0].device)
        self.attach()

    def attach(self) -> None:
        """Make every parameter's `.grad` its part of the vector."""
        sizes = [parameter.numel() for parameter in self._parameters]
        for parameter, part in zip(self._parameters, torch.split(self._vector[:-LOSS_PLACES], sizes), strict=True):
            parameter.grad = part.view_as(parameter)

    def clear(self) -> None:
        """Start a new step."""
        self._vector.zero_()

    def add_loss(self, loss: Float32[Tensor, ""]) -> None:
        """Add a micro-batch's loss to the step's."""
        self._vector[-1] += loss.detach()

    def reduce(self, world: World, *, micro_batches: int) -> None:
        """Turn sums over this process's `micro_batches` into means over all of them in all processes."""
        world.sum_(self._vector)
        self._vector.mul_(1.0 / (micro_batches * world.world_size))

    @property
    def loss(self) -> float:
        """The step's loss in nats per token; waits for the device."""
        return float(self._vector[-1].item())

    def clip_(self, max_norm: float) -> None:
        """Shrink the gradient to a norm of `max_norm` where it is larger; decided on the device."""
        vector = self._vector[:-LOSS_PLACES]
        factor = (max_norm / (vector.norm() + 1e-12)).clamp(max=1.0)
        vector.mul_(factor)
