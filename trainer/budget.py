"""The clock of a run and what it allows: how much of the run is gone, and whether one more piece of work still fits.

train_seconds is monotonic time from after set-up and warm-up to the end of quantisation and compression. The time
to quantise and pack is measured before the clock starts (`reserve_seconds`), and a step is begun only if the
slowest of the recent ones would still end in time: the limit is kept before the step, not noticed after it.
"""

from collections import deque
from collections.abc import Callable, Sequence
from statistics import median
from typing import Final

from trainer.config import BudgetConfig

RECENT_STEPS: Final = 32
CAUTION: Final = 1.1


class TrainClock:
    """Seconds of training so far: a monotonic clock since `start`, plus what earlier processes of the run used."""

    def __init__(self, now: Callable[[], float], *, used_seconds: float = 0.0) -> None:
        self._now = now
        self._used_seconds = used_seconds
        self._started: float | None = None

    def start(self) -> None:
        """Set-up and warm-up are over."""
        self._started = self._now()

    @property
    def seconds(self) -> float:
        """train_seconds so far."""
        return self._used_seconds + (0.0 if self._started is None else self._now() - self._started)


class StepTimes:
    """Durations of steps in seconds: this process's, and the last ones before it in a run that goes on."""

    def __init__(self, before: Sequence[float] = ()) -> None:
        self._all = list(before)
        self._recent = deque(before, maxlen=RECENT_STEPS)

    def add(self, seconds: float) -> None:
        """Note a step."""
        self._all.append(seconds)
        self._recent.append(seconds)

    @property
    def recent(self) -> tuple[float, ...]:
        """The last ones, for a checkpoint."""
        return tuple(self._recent)

    @property
    def median_seconds(self) -> float:
        """The median of all steps, which the manifest's log summary states; 0 before the first."""
        return median(self._all) if self._all else 0.0

    @property
    def recent_median_seconds(self) -> float:
        """The typical step of late, which one slow step does not move; 0 before the first."""
        return median(self._recent) if self._recent else 0.0

    @property
    def slowest_seconds(self) -> float:
        """The slowest of the recent steps; 0 before the first."""
        return max(self._recent, default=0.0)


class Budget:
    """What the limits of a run allow.

    Law: as long as no step takes more than 1.1 times the slowest recent one and closing no more than the reserve,
    the run ends within `train_seconds`.
    """

    def __init__(
        self, config: BudgetConfig, clock: TrainClock, *, reserve_seconds: float, step_seconds: Sequence[float] = ()
    ) -> None:
        self._max_steps = config.max_steps
        self._limit_seconds = config.train_seconds
        self._usable_seconds = max(0.0, config.train_seconds - reserve_seconds - config.margin_seconds)
        self._clock = clock
        self.steps = StepTimes(step_seconds)

    def fraction(self, step: int) -> float:
        """Share of the run that is gone after `step` steps, 0 to 1."""
        by_step = step / self._max_steps if self._max_steps else 0.0
        if not self._limit_seconds:
            return min(1.0, by_step)
        by_time = self._clock.seconds / self._usable_seconds if self._usable_seconds else 1.0
        return min(1.0, max(by_step, by_time))

    def fits(self, seconds: float) -> bool:
        """Whether work of `seconds` and a step after it would end in time."""
        if not self._limit_seconds:
            return True
        needed = seconds + CAUTION * self.steps.slowest_seconds
        return self._clock.seconds + needed <= self._usable_seconds

    def allows_step(self, step: int) -> bool:
        """Whether the step after `step` steps may begin; the first always may."""
        if self._max_steps and step >= self._max_steps:
            return False
        return step == 0 or self.fits(0.0)

    def seconds_left(self, step: int) -> float:
        """An estimate for people: until the limit, or of the remaining steps where those end sooner."""
        by_step = (self._max_steps - step) * self.steps.recent_median_seconds if self._max_steps else float("inf")
        by_time = self._limit_seconds - self._clock.seconds if self._limit_seconds else float("inf")
        return max(0.0, min(by_step, by_time))

    def is_kept_by(self, seconds: float) -> bool:
        """Whether a finished run of `seconds` kept the limit."""
        return not self._limit_seconds or seconds <= self._limit_seconds
