"""The score and what it is held against: the clock, the set's bytes, the claim."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from verifier import claims
from verifier.bench import Bench, memory_verdict
from verifier.case import Case
from verifier.checks import Finding
from verifier.data_errors import NonFiniteNats
from verifier.errors import CheckFailed, CheckSkipped, Code, SelfCheckFailed
from verifier.loss_curve import loss_curve
from verifier.report import ScoreRecord
from verifier.scoring import score
from verifier.screening import Sample, screen

MAX_IDENTITY_ERROR: Final = 1e-9


def check_score(case: Case, bench: Bench) -> Finding:
    """Score the set, or screen a sample of it where the settings say so.

    Raises:
        CheckFailed: non-finite-nats, eval-time-limit, memory-limit.
    """
    with memory_verdict(case), _finite_verdict():
        return _score(case, bench) if case.settings.sample is None else _screen(case, bench, case.settings.sample)


def _score(case: Case, bench: Bench) -> Finding:
    windows, machine = bench.windows, bench.machine
    measured = score(
        bench.merged.logits,
        bench.valset.tokens,
        bench.valset.table,
        seq_len=windows.seq_len,
        stride=windows.stride,
        device=machine.device,
        batch_windows=bench.batch_windows,
        rank=machine.rank,
        world_size=machine.world_size,
        progress=bench.watch.progress,
        observe=bench.observe,
    )
    case.score = ScoreRecord(
        val_loss=measured.val_loss,
        val_bpb=measured.val_bpb,
        tokens=measured.tokens,
        bytes=measured.bytes,
        windows=measured.windows,
        nats_sha256=measured.nats_sha256,
        dtype=case.settings.dtype,
        seconds=measured.seconds,
    )
    if measured.seconds > case.track.eval_seconds:
        raise over_time(case.track.eval_seconds, got=f"{measured.seconds:,.1f} s")
    got = f"val_bpb {measured.val_bpb:.6f} over {measured.tokens:,} targets, {measured.bytes:,} bytes"
    return Finding(expected=f"every target, in at most {case.track.eval_seconds:g} s", got=got)


def _screen(case: Case, bench: Bench, fraction: float) -> Finding:
    sample = Sample(fraction=fraction, seed=case.settings.sample_seed, dtype=case.settings.dtype)
    case.screening = screen(
        bench.merged.logits,
        bench.valset.tokens,
        bench.valset.table,
        bench.windows,
        sample,
        batch_windows=bench.batch_windows,
        device=bench.machine.device,
        progress=bench.watch.progress,
    )
    found = case.screening.val_bpb
    return Finding(
        expected="finite nats",
        got=f"val_bpb about {found.estimate:.4f} ({found.low:.4f} to {found.high:.4f})",
        detail=f"{case.screening.windows:,} of {case.screening.all_windows:,} windows: a screening is no score",
    )


def check_bytes_identity(case: Case, bench: Bench) -> Finding:
    """The two scores imply the set's bytes, which were counted apart from the scoring.

    Raises:
        SelfCheckFailed: they do not.
    """
    found, registered = _whole_score(case), bench.valset.registration
    implied = found.val_loss * found.tokens / (math.log(2.0) * found.val_bpb) if found.val_bpb else float(found.bytes)
    error = abs(implied / registered.target_bytes - 1)
    if error > MAX_IDENTITY_ERROR or found.tokens != registered.targets:
        raise SelfCheckFailed(
            f"bytes-identity: expected {registered.target_bytes:,} bytes of {registered.targets:,} targets, "
            f"got {implied:,.3f} of {found.tokens:,}"
        )
    return Finding(expected=f"{registered.target_bytes:,} bytes", got=f"{implied:,.3f}", detail=f"off by {error:.0e}")


def check_claim(case: Case, bench: Bench) -> Finding:
    """Hold the claimed score against the measured one.

    Raises:
        CheckFailed: claim-mismatch.
    """
    assert case.manifest is not None
    found, valset_sha256 = _whole_score(case), bench.valset.registration.sha256
    return claims.check_claims(case.manifest.claims, found, valset_sha256=valset_sha256)


def add_curve(case: Case, bench: Bench) -> None:
    """Put the curves of a finished score beside it, where a report is made; the clock of the scoring has stopped."""
    if case.score is not None and bench.target_nats is not None and bench.machine.rank == 0:
        curve = loss_curve(bench.target_nats, bench.valset.tokens, bench.valset.table, bench.windows)
        case.score = ScoreRecord(**dict(case.score) | {"curve": curve})


def over_time(limit_seconds: float, *, got: str) -> CheckFailed:
    """The failure of a scoring that took too long."""
    return CheckFailed(
        Code.EVAL_TIME_LIMIT,
        expected=f"at most {limit_seconds:g} s of scoring",
        got=got,
        hint="declare a smaller network or a longer stride; the clock is that of the machine that scored",
    )


def _whole_score(case: Case) -> ScoreRecord:
    if case.score is None:
        raise CheckSkipped("a sample was screened, which is no score")
    return case.score


@contextmanager
def _finite_verdict() -> Iterator[None]:
    try:
        yield
    except NonFiniteNats as error:
        raise CheckFailed(
            Code.NON_FINITE_NATS,
            expected=f"{error.where}: {error.expected}",
            got=error.got,
            hint="the stored numbers overflow somewhere in the network: look at scales and gains",
        ) from None
