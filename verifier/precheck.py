"""The checks that need no torch and no validation tokens: a bad file is answered before anything is built.

`verify` begins with these very functions, so an answer given early is the answer.
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
    """Run the cheap checks by themselves.

    Args:
        data: the whole file.
        track: the limits.
        registration: the validation set; None where none could be chosen.

    Returns:
        The rejecting report of a file that fails one of checks 1 to 5; None for one that has to be judged in full.
    """
    case, docket = Case(data=data, track=track, registration=registration, settings=Settings()), Docket()
    run(case, docket, FIRST)
    return rejected(case, docket)


def rejected(case: Case, docket: Docket) -> Report | None:
    """The report of a case that has failed one of the first checks; None for any other."""
    if docket.code is None:
        return None
    for name in CheckName:
        if name not in {*FIRST, *LAST}:
            docket.skip(name, "the file was rejected before anything was built")
    run(case, docket, LAST)
    return report_assembly.assemble(case, docket)


def run(case: Case, docket: Docket, checks: Mapping[CheckName, CaseCheck]) -> None:
    """Run some checks in their order."""
    for name, check in checks.items():
        docket.run(name, partial(check, case))
