"""Learning rate and momentum over a run: pure functions of the share of the run that is gone and of the step.

The share comes from the wall clock (`trainer.budget`), so the way down ends with the budget whatever a step costs
and no estimate of the step time enters it: a slow first step cannot bend the schedule.
"""

from trainer.config import OptimConfig, ScheduleConfig


def lr_factor(schedule: ScheduleConfig, *, fraction: float, step: int) -> float:
    """The factor on every learning rate.

    Args:
        schedule: the shape.
        fraction: share of the run that is gone, 0 to 1.
        step: steps made so far.
    """
    up = min(1.0, (step + 1) / schedule.warmup_steps) if schedule.warmup_steps else 1.0
    left = 1.0 - fraction
    if left >= schedule.warmdown_fraction:
        return up
    down = left / schedule.warmdown_fraction
    return up * (schedule.final_fraction + (1.0 - schedule.final_fraction) * down)


def muon_momentum(optim: OptimConfig, *, step: int) -> float:
    """Muon's momentum: linearly from its start to its value, so that early noise is forgotten soon."""
    if step >= optim.muon_momentum_warmup_steps:
        return optim.muon_momentum
    share = step / optim.muon_momentum_warmup_steps
    return optim.muon_momentum_start + share * (optim.muon_momentum - optim.muon_momentum_start)
