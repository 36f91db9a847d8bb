"""What a running training says, and who may listen: the log, the terminal, TensorBoard."""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class StepMetrics:
    """The steps since the last of these.

    Attributes:
        step: optimizer steps made.
        tokens: tokens trained on since the run began.
        train_seconds: the run's clock.
        train_loss: nats per token, mean over these steps.
        lr_factor: of the last step.
        tokens_per_second: over these steps, all processes together, validation excluded.
        mfu: share of the devices' peak; None where it is not known.
        fraction: share of the run that is gone.
        seconds_left: until the run ends.
    """

    step: int
    tokens: int
    train_seconds: float
    train_loss: float
    lr_factor: float
    tokens_per_second: float
    mfu: float | None
    fraction: float
    seconds_left: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ValidationMetrics:
    """A look at the validation stream: of `targets` targets, with the weights that would be packed now."""

    step: int
    train_seconds: float
    val_loss: float
    val_bpb: float
    targets: int
    seconds: float


class Listener(Protocol):
    """Told everything that a run says; rank 0 alone has any."""

    def on_step(self, metrics: StepMetrics) -> None:
        """Some steps were made."""

    def on_validation(self, metrics: ValidationMetrics) -> None:
        """The validation stream was looked at."""

    def on_scoring(self, what: str, done: int, total: int) -> None:
        """`done` of `total` targets of a whole validation stream are scored by this process."""

    def note(self, text: str) -> None:
        """Something happened that a person should read once."""

    def close(self) -> None:
        """The run is over."""


class Listeners:
    """Several listeners as one; none at all in the processes that do not report."""

    def __init__(self, listeners: Sequence[Listener]) -> None:
        self._listeners = tuple(listeners)

    def on_step(self, metrics: StepMetrics) -> None:
        """See `Listener`."""
        for listener in self._listeners:
            listener.on_step(metrics)

    def on_validation(self, metrics: ValidationMetrics) -> None:
        """See `Listener`."""
        for listener in self._listeners:
            listener.on_validation(metrics)

    def on_scoring(self, what: str, done: int, total: int) -> None:
        """See `Listener`."""
        for listener in self._listeners:
            listener.on_scoring(what, done, total)

    def note(self, text: str) -> None:
        """See `Listener`."""
        for listener in self._listeners:
            listener.note(text)

    def close(self) -> None:
        """See `Listener`; a log that cannot be written leaves no terminal without its cursor."""
        with ExitStack() as stack:
            for listener in self._listeners:
                stack.callback(listener.close)
