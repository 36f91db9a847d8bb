"""The checks that need no torch and no validation tokens, by themselves: a bad file is answered in milliseconds.

They are the same functions that `verify` runs first, so a file that passes here fails nowhere there for their reasons.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Final

from verifier import report_assembly, static_checks
from verifier.case import Case
from verifier.checks import Docket, Finding
from verifier.report import CheckName, Report
from verifier.settings import Settings
from verifier.tracks import Track
from verifier.valset import Registration

CaseCheck = Callable[[Case], Finding]

FIRST: Final[Mapping[CheckName, CaseCheck]] = {
    CheckName.CONTAINER: static_checks.check_container,
    CheckName.MANIFEST: static_checks.check_manifest,
    CheckName.SIZE: static_checks.check_size,
    CheckName.TENSORS: static_checks.check_tensors,
    CheckName.COST: static_checks.check_cost,
}
"""Before anything is built."""

LAST: Final[Mapping[CheckName, CaseCheck]] = {
    CheckName.TRAINING_TIME: static_checks.check_training_time,
    CheckName.DATA_OVERLAP: static_checks.check_data_overlap,
}
"""What the submitter attests."""


def precheck(data: bytes, *, track: Track, registration: Registration | None) -> Report | None:
    """Run the cheap checks.

    Returns:
        The rejecting report of a file that fails one of them; None for a file that has to be judged in full.
    """
    case = Case(data=data, track=track, registration=registration, settings=Settings())
    docket = Docket()
    run(case, docket, FIRST)
    for name in CheckName:
        if name not in {*FIRST, *LAST}:
            docket.skip(name, "the file was rejected before anything was built")
    run(case, docket, LAST)
    return report_assembly.assemble(case, docket) if docket.code is not None else None


def run(case: Case, docket: Docket, checks: Mapping[CheckName, CaseCheck]) -> None:
    """Run some checks in their order."""
    for name, check in checks.items():
        docket.run(name, partial(check, case))
