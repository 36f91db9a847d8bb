"""One optimizer step: micro-batches through the network, the gradient summed over processes, the update."""

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext

import torch
from jaxtyping import Float32, Int64
from torch import Tensor

from trainer.config import Precision, Switch
from trainer.schedule import lr_factor, muon_momentum
from trainer.state import RunState
from trainer.world import World

MicroBatch = tuple[Int64[Tensor, "B T"], Int64[Tensor, "B T"]]
"""Inputs and the token after each."""


class TrainStep:
    """Makes steps on a state; compiled and in bfloat16 where the config or the device says so."""

    def __init__(self, state: RunState, world: World) -> None:
        run, on_gpu = state.config.run, world.device.type == "cuda"
        self._state = state
        self._world = world
        self.compiled = run.compile is Switch.ON or (run.compile is Switch.AUTO and on_gpu)
        self.bfloat16 = run.precision is Precision.BFLOAT16 or (run.precision is Precision.AUTO and on_gpu)
        loss = torch.compile(state.gpt, fullgraph=True, dynamic=False) if self.compiled else state.gpt
        self._loss: Callable[[Tensor, Tensor], Float32[Tensor, ""]] = loss

    def __call__(self, micro_batches: Iterable[MicroBatch], *, fraction: float) -> float:
        """Make one step.

        Args:
            micro_batches: this process's share of the batch.
            fraction: share of the run that is gone.

        Returns:
            The mean loss over all micro-batches of all processes, in nats per token, before the update.
        """
        state, config = self._state, self._state.config
        self.accumulate(micro_batches)
        if config.optim.grad_clip:
            state.gradients.clip_(config.optim.grad_clip)
        factor = lr_factor(config.schedule, fraction=fraction, step=state.step)
        state.optimizers.step(lr_factor=factor, momentum=muon_momentum(config.optim, step=state.step))
        state.step += 1
        if config.ema.decay and fraction >= config.ema.start_fraction:
            state.ema.update()
        return state.gradients.loss

    def accumulate(self, micro_batches: Iterable[MicroBatch]) -> None:
        """Leave the mean gradient and loss over `micro_batches` of all processes in the state."""
        gradients = self._state.gradients
        gradients.clear()
        count = 0
        for inputs, targets in micro_batches:
            with self._autocast():
                loss = self._loss(inputs, targets)
            torch.autograd.backward(loss)
            gradients.add_loss(loss)
            count += 1
        gradients.reduce(self._world, micro_batches=count)

    def _autocast(self) -> AbstractContextManager[object]:
        if not self.bfloat16:
            return nullcontext()
        return torch.autocast(self._world.device.type, dtype=torch.bfloat16)
