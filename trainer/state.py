"""Everything of a run that changes from step to step, and how it is taken down and put back exactly."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor

from artifact.format.tensors import learned_parameters
from artifact.model.gpt import GPT
from trainer.checkpoint import Checkpoint, Progress
from trainer.config import Config
from trainer.ema import Ema
from trainer.errors import BadCheckpoint
from trainer.gradients import Gradients
from trainer.optim import GroupedParameter, Optimizers
from trainer.shards import Cursor


class RunState:
    """The network, its gradient, optimizers and average, and how far the run is.

    Law: `restore(capture(...))` changes nothing, and a run goes on from a restored state with the same bits.

    Attributes:
        step: optimizer steps made; also the position in the data.
        train_loss: mean of the last logged steps, nats per token.
        frozen: whether the roles of `freeze` have stopped learning.
    """

    def __init__(self, gpt: GPT, config: Config) -> None:
        self.gpt = gpt
        self.config = config
        self.step = 0
        self.train_loss = 0.0
        self.frozen = False
        self.parameters = dict(gpt.named_parameters())
        groups = {item.name: item.group for item in learned_parameters(gpt.network)}
        grouped = [
            GroupedParameter(name=name, group=groups[name], parameter=parameter)
            for name, parameter in self.parameters.items()
        ]
        self.gradients = Gradients(list(self.parameters.values()))
        self.optimizers = Optimizers(grouped, config.optim)
        self.ema = Ema(self.parameters, decay=config.ema.decay)

    def freeze(self) -> None:
        """The roles of `freeze` stop learning, for good; their weights stay learned and stored."""
        names = self.gpt.freeze(roles=self.config.freeze.roles, layers=range(self.gpt.model.num_layers))
        self.optimizers.release(self.parameters[name] for name in names)
        self.frozen = True

    @contextmanager
    def as_if_frozen(self) -> Iterator[None]:
        """Inside, the gradient leaves out what `freeze` will stop; afterwards everything learns as before."""
        names = self.gpt.freeze(roles=self.config.freeze.roles, layers=range(self.gpt.model.num_layers))
        try:
            yield
        finally:
            for name in names:
                self.parameters[name].requires_grad_(True)
            self.gradients.attach()

    def capture(
        self,
        *,
        cursor: Cursor,
        train_seconds: float,
        step_seconds: Sequence[float],
        config_sha256: str,
        data_sha256: str,
    ) -> Checkpoint:
        """The run at rest; the tensors are the state's own: write or copy them before the next step."""
        ema_updates, averages = self.ema.state()
        progress = Progress(
            step=self.step,
            epoch=cursor.epoch,
            epoch_windows=cursor.windows,
            train_seconds=train_seconds,
            train_loss=self.train_loss,
            step_seconds=step_seconds,
            ema_updates=ema_updates,
            frozen=self.frozen,
            config_sha256=config_sha256,
            data_sha256=data_sha256,
        )
        parts: dict[str, Mapping[str, Tensor]] = {
            "model": {name: parameter.detach() for name, parameter in self.parameters.items()},
            "optim": self.optimizers.state(),
            "ema": averages,
            "rng": {"torch": torch.get_rng_state()},
        }
        tensors = {f"{part}/{name}": value for part, table in parts.items() for name, value in table.items()}
        return Checkpoint(progress=progress, tensors=tensors)

    @torch.no_grad()
    def restore(self, checkpoint: Checkpoint) -> None:
        """Go on where `checkpoint` was taken.

        Raises:
            BadCheckpoint: its tensors are not this network's.
        """
        values = checkpoint.part("model")
        shapes = {name: tuple(parameter.shape) for name, parameter in self.parameters.items()}
        if shapes != {name: tuple(value.shape) for name, value in values.items()}:
            raise BadCheckpoint("checkpoint: expected the tensors of this network, got another set")
        for name, parameter in self.parameters.items():
            parameter.copy_(values[name])
        if checkpoint.progress.frozen and not self.frozen:
            self.freeze()
        self.optimizers.restore(checkpoint.part("optim"))
        averages = {name: value.to(self.gpt.device) for name, value in checkpoint.part("ema").items()}
        self.ema.restore(checkpoint.progress.ema_updates, averages)
        torch.set_rng_state(checkpoint.part("rng")["torch"])
        self.step = checkpoint.progress.step
        self.train_loss = checkpoint.progress.train_loss
