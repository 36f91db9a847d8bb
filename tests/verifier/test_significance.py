"""The Welch test against numbers worked out by hand and against scipy's own test."""

from math import sqrt

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from verifier.significance import MARGIN_NATS, PRACTISED_P, WRITTEN_P, sample, welch

LOSSES = st.lists(st.floats(1.0, 4.0), min_size=3, max_size=8)


def upper_tail_with_4_degrees(t: float) -> float:
    """P(T > t) for Student's distribution with 4 degrees of freedom, in closed form."""
    q = 1 + t**2 / 4
    return 0.5 - 3 / 8 * t / sqrt(q) * (1 - t**2 / q / 12)


def test_equal_spreads_by_hand() -> None:
    """Means 2.01 and 2.04, sd 0.01 each, n = 3: se = 0.01 sqrt(2/3), t = 0.025 / se = 3.0619, df = 4, p = 0.0188."""
    found = welch([2.00, 2.01, 2.02], [2.03, 2.04, 2.05], margin=0.005)
    assert found.gain == pytest.approx(0.03, abs=1e-12)
    assert found.standard_error == pytest.approx(0.0081649658, abs=1e-9)
    assert found.t == pytest.approx(3.0618622, abs=1e-6)
    assert found.df == pytest.approx(4, abs=1e-9)
    assert found.p == pytest.approx(0.018795, abs=1e-6)
    assert found.p == pytest.approx(upper_tail_with_4_degrees(found.t), abs=1e-12)


def test_unequal_spreads_by_hand() -> None:
    """Variances of the means 0.0004/4 and 0.0100/5: df = 0.0021^2 / (0.0001^2/3 + 0.002^2/4) = 4.3954."""
    half, fifth = 0.02 * sqrt(0.75), 0.1 * sqrt(0.5)  # deviations that give sd 0.02 over 4 values and 0.1 over 5
    ours = [3 - half, 3 - half, 3 + half, 3 + half]
    theirs = [3.5 - 2 * fifth / sqrt(2.5) * sqrt(2) * k for k in (-1, -0.5, 0, 0.5, 1)]
    assert sample(ours).sd == pytest.approx(0.02)
    scale = 0.1 / sample(theirs).sd
    theirs = [3.5 + (value - 3.5) * scale for value in theirs]
    found = welch(ours, theirs, margin=0.4)
    assert found.standard_error == pytest.approx(sqrt(0.0021))
    assert found.df == pytest.approx(0.0021**2 / (0.0001**2 / 3 + 0.002**2 / 4))
    assert found.t == pytest.approx(0.1 / sqrt(0.0021))


def test_scipys_own_welch_test_agrees() -> None:
    from scipy import stats

    ours, theirs = [2.0712, 2.0689, 2.0744, 2.0701], [2.0801, 2.0849, 2.0790]
    for margin in (0.0, 0.005, 0.02):
        shifted = [value - margin for value in theirs]
        expected = stats.ttest_ind(shifted, ours, equal_var=False, alternative="greater")
        found = welch(ours, theirs, margin=margin)
        assert (found.t, found.df, found.p) == pytest.approx(
            (expected.statistic, expected.df, expected.pvalue), rel=1e-9
        )


def test_a_gain_of_exactly_the_margin_is_a_coin_toss() -> None:
    assert welch([2.0, 2.5, 3.0], [2.5, 3.0, 3.5], margin=0.5).p == pytest.approx(0.5)


def test_a_loss_is_never_significant() -> None:
    assert welch([2.10, 2.11, 2.12], [2.00, 2.01, 2.02]).p > 0.99


def test_the_rules_are_the_published_ones() -> None:
    assert (MARGIN_NATS, WRITTEN_P, PRACTISED_P) == (0.005, 0.01, 0.25)


@given(ours=LOSSES, theirs=LOSSES, shift=st.floats(-1, 1))
@settings(max_examples=50, deadline=None)
def test_only_differences_count(ours: list[float], theirs: list[float], shift: float) -> None:
    assume(sample(ours).sd + sample(theirs).sd > 1e-3)
    found = welch(ours, theirs, margin=0.1)
    moved = welch([v + shift for v in ours], [v + shift for v in theirs], margin=0.1)
    beaten = welch(ours, [v + shift for v in theirs], margin=0.1 + shift)
    assert moved.p == pytest.approx(found.p, abs=1e-6)
    assert beaten.p == pytest.approx(found.p, abs=1e-6)


def test_values_without_any_noise_are_refused() -> None:
    with pytest.raises(ValueError, match="some that differ"):
        welch([2.0, 2.0, 2.0], [2.1, 2.1, 2.1])
    with pytest.raises(ValueError, match="at least 2"):
        welch([2.0], [2.1, 2.2])
