"""The training: steps until the budget, the number of steps or a signal ends it.

Rank 0 looks at the clock and tells the others what comes next, so that every process makes the same steps; a piece
of work is begun only if it fits. Whatever happens between two steps (validation, a checkpoint, freezing) stands
here once.
"""

import math
from dataclasses import dataclass, field
from enum import IntEnum
from statistics import fmean

from trainer.checkpoint import write_checkpoint
from trainer.errors import NonFiniteLoss
from trainer.metrics import StepMetrics, ValidationMetrics
from trainer.run import Run
from trainer.schedule import lr_factor
from verifier.data_errors import NonFiniteNats


class Next(IntEnum):
    """What all processes do next."""

    STEP = 0
    VALIDATE = 1
    STOP = 2


@dataclass(slots=True, kw_only=True)
class Watch:
    """What the loop remembers between steps: since the last log, and since the last of the timed works."""

    losses: list[float] = field(default_factory=list)
    step_seconds: list[float] = field(default_factory=list)
    validated_at_step: int = -1
    validated_at: float = 0.0
    validation_seconds: float = 0.0
    saved_at: float = 0.0
    save_seconds: float = 0.0
    fraction: float = 0.0


def train(run: Run) -> float:
    """Train until the run ends; its clock runs on for whoever packs.

    Returns:
        The mean loss of the last logged steps, nats per token; of an earlier process, where this one made none.

    Raises:
        NonFiniteLoss: training diverged; the message names the last good checkpoint.
    """
    watch = Watch()
    validate(run, watch)  # before the clock: it compiles, and tells how long a look takes
    run.clock.start()
    watch.validated_at = watch.saved_at = run.clock.seconds
    while True:
        began = run.now()
        if run.is_interrupted():
            break
        fraction, order = run.world.told(*_next(run, watch))
        if order == Next.STOP:
            break
        if order == Next.VALIDATE:
            validate(run, watch)
            continue
        make_step(run, watch, fraction=fraction)
        run.budget.steps.add(run.now() - began)  # everything that a step brings with it
        if run.world.is_main and _save_is_due(run, watch):
            save(run, watch)
    if watch.losses:
        _log(run, watch)
    if run.interrupt.requested and run.world.is_main:
        save(run, watch)
    return run.state.train_loss


def make_step(run: Run, watch: Watch, *, fraction: float) -> None:
    """One optimizer step, timed, checked and logged."""
    config, state, started = run.config, run.state, run.now()
    if config.freeze.roles and not state.frozen and fraction >= config.freeze.after_fraction:
        state.freeze()
        run.listeners.note(f"step {state.step:,}: {', '.join(config.freeze.roles)} stopped learning")
    loss = run.train_step(run.micro_batches(), fraction=fraction)
    if not math.isfinite(loss):
        raise NonFiniteLoss(_divergence(run, f"the loss is {loss}"))
    watch.step_seconds.append(run.now() - started)
    watch.losses.append(loss)
    watch.fraction = fraction
    if state.step % config.run.log_every_steps == 0:
        _log(run, watch)


def validate(run: Run, watch: Watch) -> None:
    """Look at the beginning of the validation stream with the weights that would be packed now.

    Raises:
        NonFiniteLoss: they give NaN or infinity.
    """
    try:
        with run.state.ema.in_place():
            score = run.validation.running(run.state.gpt, run.world)
    except NonFiniteNats as error:
        raise NonFiniteLoss(_divergence(run, f"the validation loss is {error.got}")) from None
    watch.validated_at, watch.validated_at_step = run.clock.seconds, run.state.step
    watch.validation_seconds = score.seconds
    run.listeners.on_validation(
        ValidationMetrics(
            step=run.state.step,
            train_seconds=run.clock.seconds,
            val_loss=score.val_loss,
            val_bpb=score.val_bpb,
            targets=score.tokens,
            seconds=score.seconds,
        )
    )


def save(run: Run, watch: Watch) -> None:
    """Write the checkpoint, unless the last update already broke the weights."""
    started = run.now()
    checkpoint = run.capture()
    if checkpoint.is_finite:
        write_checkpoint(run.folder.checkpoint, checkpoint)
    watch.saved_at, watch.save_seconds = run.clock.seconds, run.now() - started


def _next(run: Run, watch: Watch) -> tuple[float, Next]:
    """What rank 0 decides; the others' answer is not heard."""
    step, budget = run.state.step, run.budget
    if not budget.allows_step(step):
        return 1.0, Next.STOP
    if _validation_is_due(run, watch) and budget.fits(watch.validation_seconds):
        return 0.0, Next.VALIDATE
    return budget.fraction(step), Next.STEP


def _validation_is_due(run: Run, watch: Watch) -> bool:
    step, settings = run.state.step, run.config.eval
    if step == watch.validated_at_step:
        return False
    by_step = settings.every_steps and step % settings.every_steps == 0
    by_time = settings.every_seconds and run.clock.seconds - watch.validated_at >= settings.every_seconds
    return bool(by_step or by_time)


def _save_is_due(run: Run, watch: Watch) -> bool:
    every = run.config.run.checkpoint_every_seconds
    due = every and run.clock.seconds - watch.saved_at >= every
    return bool(due) and run.budget.fits(watch.save_seconds)


def _log(run: Run, watch: Watch) -> None:
    """Say what the steps since the last log came to."""
    tokens_per_step, seconds = run.config.batch.train_batch_tokens, sum(watch.step_seconds)
    tokens_per_second = len(watch.losses) * tokens_per_step / seconds if seconds else 0.0
    run.state.train_loss = fmean(watch.losses)
    step = run.state.step
    run.listeners.on_step(
        StepMetrics(
            step=step,
            tokens=step * tokens_per_step,
            train_seconds=run.clock.seconds,
            train_loss=run.state.train_loss,
            lr_factor=lr_factor(run.config.schedule, fraction=watch.fraction, step=step - 1),
            tokens_per_second=tokens_per_second,
            mfu=run.mfu.of(tokens_per_second),
            fraction=watch.fraction,
            seconds_left=run.budget.seconds_left(step),
        )
    )
    watch.losses.clear()
    watch.step_seconds.clear()


def _divergence(run: Run, what: str) -> str:
    """What to say, and where the last good weights are."""
    where = run.folder.checkpoint
    good = f"the last good checkpoint is {where}" if where.exists() else "there is no checkpoint yet"
    return f"step {run.state.step:,}: {what}; {good}. Train again with lower rates, as in --set optim.learned_lr=..."
