"""A run that is ready to train: its parts, each with a file of its own, and what surrounds it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from artifact.format.manifest import ManifestBody
from trainer.budget import Budget, TrainClock
from trainer.checkpoint import Checkpoint
from trainer.config import Config
from trainer.evaluate import Validation
from trainer.inputs import Inputs
from trainer.interrupt import Interrupt
from trainer.metrics import Listeners
from trainer.mfu import Mfu
from trainer.runfolder import RunFolder
from trainer.shards import Batches, BatchShape
from trainer.state import RunState
from trainer.step import MicroBatch, TrainStep
from trainer.world import World


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What a run is given besides its config and its data.

    Attributes:
        world: this process among all.
        folder: where rank 0 writes.
        listeners: told what happens.
        interrupt: asked whether to stop.
        now: a monotonic clock in seconds.
    """

    world: World
    folder: RunFolder
    listeners: Listeners
    interrupt: Interrupt
    now: Callable[[], float]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Run:
    """Config, data, surroundings, and the parts that were made of them."""

    config: Config
    config_sha256: str
    inputs: Inputs
    world: World
    folder: RunFolder
    listeners: Listeners
    interrupt: Interrupt
    now: Callable[[], float]
    body: ManifestBody
    state: RunState
    train_step: TrainStep
    batches: Batches
    shape: BatchShape
    validation: Validation
    clock: TrainClock
    budget: Budget
    mfu: Mfu

    def capture(self) -> Checkpoint:
        """The run at rest."""
        return self.state.capture(
            cursor=self.batches.cursor,
            train_seconds=self.clock.seconds,
            step_seconds=self.budget.steps.recent,
            config_sha256=self.config_sha256,
            data_sha256=self.inputs.sha256,
        )

    def is_interrupted(self) -> bool:
        """Whether a signal came to any process, which from then on all of them know; all ask together."""
        self.interrupt.hear(self.world.largest(self.interrupt.signal or 0))
        return self.interrupt.requested

    def micro_batches(self) -> Iterator[MicroBatch]:
        """This process's share of the next batch, on its device."""
        for _ in range(self.shape.grad_accum_steps):
            inputs, targets = self.batches.next_batch()
            device = self.world.device
            yield inputs.to(device, non_blocking=True), targets.to(device, non_blocking=True)
