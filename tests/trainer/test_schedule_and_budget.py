"""The clock of a run, what it allows, and what follows for rates and momentum. No test waits for a real clock."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.trainer.tiny import Clock
from trainer.budget import Budget, StepTimes, TrainClock
from trainer.config import BudgetConfig, OptimConfig, ScheduleConfig
from trainer.schedule import lr_factor, muon_momentum
from trainer.seeds import derive_seed


def budget(clock: Clock, *, train_seconds: float, max_steps: int = 0, reserve_seconds: float = 2.0) -> Budget:
    config = BudgetConfig(train_seconds=train_seconds, max_steps=max_steps, margin_seconds=1.0)
    train_clock = TrainClock(clock)
    train_clock.start()
    return Budget(config, train_clock, reserve_seconds=reserve_seconds)


def test_the_clock_counts_from_its_start_and_goes_on_where_the_run_stopped() -> None:
    now = Clock()
    clock = TrainClock(now, used_seconds=40.0)
    now.seconds = 5.0
    assert clock.seconds == 40.0
    clock.start()
    now.seconds = 12.5
    assert clock.seconds == 47.5


def test_the_share_that_is_gone_leaves_out_reserve_and_margin() -> None:
    now = Clock()
    allowed = budget(now, train_seconds=13.0)
    now.seconds = 5.0
    assert allowed.fraction(step=99) == 0.5
    now.seconds = 11.0
    assert allowed.fraction(step=99) == 1.0


def test_the_share_follows_whichever_limit_is_nearer() -> None:
    now = Clock()
    allowed = budget(now, train_seconds=13.0, max_steps=10)
    now.seconds = 1.0
    assert allowed.fraction(step=5) == 0.5
    assert allowed.fraction(step=0) == 0.1


def test_without_a_time_limit_the_share_counts_steps() -> None:
    allowed = budget(Clock(tick=1000.0), train_seconds=0.0, max_steps=8)
    assert [allowed.fraction(step) for step in (0, 2, 8)] == [0.0, 0.25, 1.0]
    assert allowed.fits(1e9)
    assert allowed.allows_step(7)
    assert not allowed.allows_step(8)


def test_a_step_begins_only_if_one_as_slow_as_the_slowest_would_end_in_time() -> None:
    now = Clock()
    allowed = budget(now, train_seconds=13.0)  # 10 s usable
    allowed.steps.add(2.0)
    allowed.steps.add(1.0)
    now.seconds = 7.8
    assert allowed.allows_step(2)
    now.seconds = 7.81
    assert not allowed.allows_step(2)


def test_a_run_that_goes_on_is_bound_by_the_steps_of_before() -> None:
    config, clock = BudgetConfig(train_seconds=13.0, margin_seconds=1.0), TrainClock(Clock(), used_seconds=7.81)
    assert Budget(config, clock, reserve_seconds=2.0).allows_step(2)
    assert not Budget(config, clock, reserve_seconds=2.0, step_seconds=[2.0, 1.0]).allows_step(2)


def test_other_work_leaves_room_for_a_step_after_it() -> None:
    now = Clock()
    allowed = budget(now, train_seconds=13.0)
    allowed.steps.add(1.0)
    now.seconds = 5.0
    assert allowed.fits(3.9)
    assert not allowed.fits(3.91)


def test_the_first_step_may_always_begin() -> None:
    allowed = budget(Clock(), train_seconds=0.5, reserve_seconds=9.0)
    assert allowed.allows_step(0)
    allowed.steps.add(0.1)
    assert not allowed.allows_step(1)


@given(
    st.floats(5.0, 100.0),
    st.lists(st.floats(0.01, 1.0), min_size=200, max_size=200),
    st.floats(0.0, 2.0),
)
def test_a_run_never_exceeds_its_limit(limit: float, noise: list[float], reserve: float) -> None:
    """The law, for steps that never take more than 1.1 times the slowest so far and closing within the reserve."""
    now = Clock()
    allowed = budget(now, train_seconds=limit, reserve_seconds=reserve)
    slowest, step = 0.2, 0
    while allowed.allows_step(step):
        seconds = min(noise[step % len(noise)], 1.1 * slowest)
        slowest = max(slowest, seconds)
        now.seconds += seconds
        allowed.steps.add(seconds)
        step += 1
    assert now.seconds + reserve <= limit


def test_one_slow_step_moves_neither_the_median_nor_the_schedule() -> None:
    times = StepTimes()
    for seconds in [30.0, *[0.1] * 10]:
        times.add(seconds)
    assert times.median_seconds == 0.1
    assert times.slowest_seconds == 30.0


def test_the_log_summary_states_the_median_of_all_steps_not_of_the_last_ones() -> None:
    times = StepTimes()
    for seconds in [*[0.1] * 100, *[0.5] * 40]:
        times.add(seconds)
    assert times.median_seconds == 0.1
    assert times.recent_median_seconds == 0.5


def test_a_slow_step_is_forgotten_after_a_while() -> None:
    times = StepTimes()
    for seconds in [30.0, *[0.1] * 32]:
        times.add(seconds)
    assert times.slowest_seconds == 0.1


def test_the_time_left_is_that_of_the_limit_which_ends_first() -> None:
    now = Clock()
    allowed = budget(now, train_seconds=100.0, max_steps=50)
    allowed.steps.add(0.5)
    now.seconds = 10.0
    assert allowed.seconds_left(step=40) == 5.0
    assert allowed.seconds_left(step=0) == 25.0
    assert budget(now, train_seconds=100.0).seconds_left(step=0) == 100.0


def test_whether_the_limit_was_kept_is_said_of_the_measured_seconds() -> None:
    allowed = budget(Clock(), train_seconds=600.0)
    assert allowed.is_kept_by(600.0)
    assert not allowed.is_kept_by(600.001)


SCHEDULE = ScheduleConfig(warmup_steps=4, warmdown_fraction=0.4, final_fraction=0.1)


@pytest.mark.parametrize(
    ("fraction", "step", "expected"),
    [(0.0, 0, 0.25), (0.0, 3, 1.0), (0.6, 9, 1.0), (0.8, 9, 0.55), (1.0, 9, 0.1), (0.8, 1, 0.275)],
)
def test_rates_go_up_by_steps_and_down_by_the_share_of_the_run(fraction: float, step: int, expected: float) -> None:
    assert lr_factor(SCHEDULE, fraction=fraction, step=step) == pytest.approx(expected)


def test_without_a_way_down_the_rates_stay() -> None:
    assert lr_factor(ScheduleConfig(warmdown_fraction=0.0), fraction=1.0, step=5) == 1.0


def test_momentum_warms_up_by_steps() -> None:
    optim = OptimConfig(muon_momentum=0.95, muon_momentum_start=0.85, muon_momentum_warmup_steps=10)
    assert [muon_momentum(optim, step=step) for step in (0, 5, 10, 99)] == pytest.approx([0.85, 0.9, 0.95, 0.95])
    assert muon_momentum(OptimConfig(muon_momentum_warmup_steps=0), step=0) == 0.95


def test_seeds_are_named_and_pinned() -> None:
    assert derive_seed(1, "data.order") == 1_303_299_240_710_920_730
    names = [(seed, name) for seed in (0, 1, 2**64 - 1) for name in ("data.order", "model.initial")]
    seeds = {derive_seed(seed, name) for seed, name in names}
    assert len(seeds) == 6
    assert all(0 <= seed < 2**63 for seed in seeds)
