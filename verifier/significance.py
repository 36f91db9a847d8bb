"""Is a gain more than the luck of the seed? A one-sided Welch test against a margin, in nats per token.

Lower is better: gain = mean(baseline) - mean(candidates). The hypothesis to reject is H0: gain <= margin. Welch's test
(1947) takes the two variances as they are, so a noisy group is not helped by a quiet one; its degrees of freedom are
those of Welch and Satterthwaite. Nothing here knows a report.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist, fmean, stdev
from typing import Final

MARGIN_NATS: Final = 0.005
"""Per token: by how much the challenge's written rule wants a record to beat the one before."""
WRITTEN_P: Final = 0.01
"""The written rule: p below this."""
PRACTISED_P: Final = 0.25
"""What accepted records of the public challenge were held to in practice."""
MIN_RUNS: Final = 3
SEED_SD_NATS: Final = 0.0016
"""Standard deviation between seeds, per token: pooled over 49 runs of 15 records that the public challenge lists with
three seeds or more (34 degrees of freedom, the largest 0.0028; computed 2026-11-22 from their submission.json)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """A group of runs: how many, their mean, their standard deviation (n - 1), in nats per token."""

    n: int
    mean: float
    sd: float


@dataclass(frozen=True, slots=True, kw_only=True)
class WelchTest:
    """The test's numbers; gain, margin and standard error in nats per token.

    Attributes:
        gain: mean of the baseline minus mean of the candidates.
        margin: the gain under H0, at most.
        standard_error: of the gain.
        t: (gain - margin) / standard_error.
        df: degrees of freedom, a real number.
        p: probability of such a t or a larger one if the gain were the margin.
    """

    gain: float
    margin: float
    standard_error: float
    t: float
    df: float
    p: float


def sample(values: Sequence[float]) -> Sample:
    """Describe a group.

    Raises:
        ValueError: fewer than two values.
    """
    if len(values) < 2:
        raise ValueError(f"values: expected at least 2, got {len(values)}")
    return Sample(n=len(values), mean=fmean(values), sd=stdev(values))


def welch(candidates: Sequence[float], baseline: Sequence[float], *, margin: float = MARGIN_NATS) -> WelchTest:
    """Test whether the candidates' loss is below the baseline's by more than `margin`.

    Law: adding one constant to all values, or one constant to the baseline and to the margin, changes neither t nor p.

    Args:
        candidates: val_loss of each run, nats per token.
        baseline: val_loss of each run to be beaten.
        margin: gain that is not enough, nats per token.

    Raises:
        ValueError: fewer than two values in a group, or no group varies: then nothing is known of the noise.
    """
    ours, theirs = sample(candidates), sample(baseline)
    parts = [group.sd**2 / group.n for group in (ours, theirs)]  # each mean's variance
    variance = sum(parts)
    if variance == 0:
        raise ValueError("values: expected some that differ, got equal ones in both groups")
    gain, standard_error = theirs.mean - ours.mean, math.sqrt(variance)
    t = (gain - margin) / standard_error
    df = variance**2 / sum(part**2 / (group.n - 1) for part, group in zip(parts, (ours, theirs), strict=True))
    from scipy.special import stdtr  # noqa: PLC0415 - a quarter of a second that every start of the API would pay

    p = float(stdtr(df, -t))  # Student's distribution is symmetric: the upper tail of t is the lower one of -t
    return WelchTest(gain=gain, margin=margin, standard_error=standard_error, t=t, df=df, p=p)


def same_run_tolerance(sd: float = SEED_SD_NATS, *, p: float = WRITTEN_P) -> float:
    """By how much two runs of one recipe differ by luck alone with probability 1 - p, one-sided, in nats per token.

    The difference of two runs with standard deviation `sd` has standard deviation sd * sqrt(2).
    """
    return NormalDist().inv_cdf(1 - p) * sd * math.sqrt(2.0)
