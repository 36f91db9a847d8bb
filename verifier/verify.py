"""The whole path, top to bottom: from the bytes of a file to a report.

A bad artifact gives a rejecting report; only our own faults are exceptions. Cheap checks come first, and what a failed
check makes meaningless is skipped with the reason (`checks.NEEDS`). The limits on time, memory and network lie around
this function, in `sandbox`.
"""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Final

from verifier import bench as benches
from verifier import network_checks, precheck, report_assembly, score_checks, valset
from verifier.bench import Bench
from verifier.case import Case, Unwatched, Watch
from verifier.checks import Docket, Finding
from verifier.report import CheckName, Report
from verifier.settings import Settings
from verifier.tracks import Track

ON_THE_BENCH: Final[Mapping[CheckName, Callable[[Case, Bench], Finding]]] = {
    CheckName.BACKBONE: network_checks.check_backbone,
    CheckName.TOKENIZER: network_checks.check_tokenizer,
    CheckName.VALSET: network_checks.check_valset,
    CheckName.PROBE: network_checks.check_probe,
    CheckName.SCORE: score_checks.check_score,
    CheckName.BYTES_IDENTITY: score_checks.check_bytes_identity,
    CheckName.CLAIM: score_checks.check_claim,
}


def verify(
    data: bytes, *, track: Track, valset_folder: Path | None, settings: Settings, watch: Watch | None = None
) -> Report:
    """Judge an artifact in this process, without the sandbox's limits.

    Args:
        data: the whole file.
        track: the limits.
        valset_folder: the registered validation set; None only where the manifest cannot be read, so none is chosen.
        settings: device, arithmetic, sample.
        watch: told how far the run is.

    Raises:
        VerifierError: ours, no verdict.
        ValueError: no validation set for a file whose manifest can be read.
    """
    watch = watch or Unwatched()
    registration = valset.registration_in(valset_folder) if valset_folder else None
    case, docket = Case(data=data, track=track, registration=registration, settings=settings), Docket(watch.begins)
    precheck.run(case, docket, precheck.FIRST)
    return precheck.rejected(case, docket) or judge(case, docket, valset_folder, watch)


def judge(case: Case, docket: Docket, valset_folder: Path | None, watch: Watch) -> Report:
    """Build, probe and score what has passed the first checks.

    Raises:
        VerifierError: ours, no verdict.
        ValueError: no validation set.
    """
    if valset_folder is None:
        raise ValueError("valset_folder: expected one for a file whose manifest can be read")
    bench = benches.set_up(case, valset.open_valset(valset_folder), watch)
    for name, check in ON_THE_BENCH.items():
        if name is CheckName.SCORE and docket.passed(CheckName.PROBE):
            watch.scoring_begins(_report_if_stopped(case, docket))
        docket.run(name, partial(check, case, bench))
    precheck.run(case, docket, precheck.LAST)
    score_checks.add_curve(case, bench)
    return report_assembly.assemble(case, docket)


def _report_if_stopped(case: Case, docket: Docket) -> Report:
    """What there is to say if the clock ends the scoring that now begins."""
    stopped = docket.copy()
    limit = case.track.eval_seconds
    stopped.fail(CheckName.SCORE, score_checks.over_time(limit, got="scoring that was still running"))
    for name in (CheckName.BYTES_IDENTITY, CheckName.CLAIM):
        stopped.skip(name, "the score was not finished")
    precheck.run(case, stopped, precheck.LAST)
    return report_assembly.assemble(case, stopped)
