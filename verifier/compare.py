"""Runs of several seeds held together: one configuration against another, and what may not be compared.

What makes runs one group is what was measured of them (network, storage, ruler) and the recipe they claim; what makes
them different runs is their file, their nats and their seed. The refusals answer what the field has seen: "three seeds"
that were one, and means over runs of different code.
"""

import math
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from verifier.compare_curves import Curves, curves
from verifier.compare_errors import (
    DuplicateRun,
    Incomparable,
    MixedConfigurations,
    MixedSettings,
    NoVariation,
    TooFewRuns,
)
from verifier.scored_run import Entry, Ruler, ScoredRun, curve_of, scored_run
from verifier.significance import MARGIN_NATS, MIN_RUNS, Sample, WelchTest, sample, welch

SHOWN_DIGEST: Final = 16

Key = Callable[[ScoredRun], Hashable]

ONE_RULER: Final[tuple[tuple[str, Key], ...]] = (
    ("validation set", lambda run: run.ruler.valset_sha256),
    ("track", lambda run: (run.ruler.track, run.ruler.track_sha256)),
    ("scoring windows", lambda run: run.ruler.windows),
    ("arithmetic", lambda run: run.ruler.dtype),
    ("number of targets and bytes", lambda run: (run.ruler.tokens, run.ruler.bytes)),
)
ONE_CONFIGURATION: Final[tuple[tuple[str, Key], ...]] = (
    ("configuration", lambda run: run.config_sha256),
    ("measured network", lambda run: run.network),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """The runs of one configuration; `val_loss` describes theirs, in nats per token."""

    config_sha256: str
    runs: tuple[ScoredRun, ...]
    val_loss: Sample

    @property
    def has_one_backbone(self) -> bool:
        """Whether all runs share their frozen maps: then the noise of the maps is not in their spread."""
        return len({run.backbone_seed for run in self.runs}) == 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Candidates, and with a baseline the test of their gain; `curves` only where every report has its own."""

    ruler: Ruler
    candidates: Group
    baseline: Group | None = None
    test: WelchTest | None = None
    curves: Curves | None = None

    def per_byte(self, nats_per_token: float) -> float:
        """The same amount in nats per byte."""
        return nats_per_token * self.ruler.tokens / self.ruler.bytes

    def bits_per_byte(self, nats_per_token: float) -> float:
        """The same amount in bits per byte, the unit of val_bpb."""
        return self.per_byte(nats_per_token) / math.log(2.0)


def compare(
    candidates: Sequence[Entry], baseline: Sequence[Entry] = (), *, margin_nats: float = MARGIN_NATS
) -> Comparison:
    """Hold the reports of one configuration together, and against those of another.

    Args:
        candidates: reports of one configuration, one a seed.
        baseline: the same of the configuration to beat; without one nothing is tested.
        margin_nats: the gain per token that is not enough.

    Raises:
        Incomparable: naming the first report that does not fit, and the rule.
    """
    ours, theirs = [scored_run(entry) for entry in candidates], [scored_run(entry) for entry in baseline]
    runs = ours + theirs
    for what, key in ONE_RULER:
        _check_equal(runs, what, key, MixedSettings)
    _check_distinct(runs, "artifact", lambda run: run.artifact_sha256)
    _check_distinct(runs, "score, bit for bit", lambda run: run.nats_sha256)
    group = _group(ours, "candidates")
    beaten = _group(theirs, "baseline") if theirs else None
    return Comparison(
        ruler=ours[0].ruler,
        candidates=group,
        baseline=beaten,
        test=_test(group, beaten, margin_nats=margin_nats) if beaten else None,
        curves=curves(*([curve_of(entry) for entry in entries] for entries in (candidates, baseline))),
    )


def _group(runs: Sequence[ScoredRun], where: str) -> Group:
    for what, key in ONE_CONFIGURATION:
        _check_equal(runs, what, key, MixedConfigurations)
    _check_distinct(runs, "training seed", lambda run: run.seed)
    if len(runs) < MIN_RUNS:
        raise TooFewRuns(where, expected=f"at least {MIN_RUNS} runs with different seeds", got=str(len(runs)))
    losses = sample([run.val_loss for run in runs])
    return Group(config_sha256=runs[0].config_sha256, runs=tuple(runs), val_loss=losses)


def _test(ours: Group, theirs: Group, *, margin_nats: float) -> WelchTest:
    if ours.val_loss.sd == 0 and theirs.val_loss.sd == 0:
        raise NoVariation("val_loss", expected="losses that differ between seeds", got="equal ones in both groups")
    losses = ([run.val_loss for run in group.runs] for group in (ours, theirs))
    return welch(*losses, margin=margin_nats)


def _check_equal(runs: Sequence[ScoredRun], what: str, key: Key, error: type[Incomparable]) -> None:
    for one, other in pairwise(runs):
        if key(one) != key(other):
            got = f"{_short(key(other))}, but {_short(key(one))} in {one.label}"
            raise error(other.label, expected=f"one {what}", got=got)


def _check_distinct(runs: Sequence[ScoredRun], what: str, key: Key) -> None:
    seen: dict[Hashable, str] = {}
    for run in runs:
        value = key(run)
        if value in seen:
            raise DuplicateRun(run.label, expected=f"another {what}", got=f"{_short(value)}, as in {seen[value]}")
        seen[value] = run.label


def _short(value: Hashable) -> str:
    """Digests cut to what a person compares, anything else whole."""
    parts = value if isinstance(value, tuple) else (value,)
    return " ".join(text[:SHOWN_DIGEST] if len(text) == 64 else text for text in map(str, parts))
