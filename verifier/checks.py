"""The fourteen checks: their order, what each needs, and the docket that runs them and writes down what came.

A check is a function that returns a Finding, raises CheckFailed or ArtifactError (the submitter's fault) or
CheckSkipped (nothing to look at). Everything else it raises is ours and passes through. A check whose needs did not
pass is skipped with the reason, so a broken file costs only the checks that can still say something.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from artifact.format.errors import ArtifactError, InflatedSizeMismatch
from verifier.errors import CheckFailed, CheckSkipped
from verifier.report import CheckName, CheckResult, Evidence, Status

C: Final = CheckName

WHAT: Final[Mapping[CheckName, str]] = {
    C.CONTAINER: "magic, version, lengths, inflated size, digest, no byte too many",
    C.MANIFEST: "canonical JSON, strict schema, closed architecture set, known generator version",
    C.SIZE: "artifact and counted code against the track's limit",
    C.TENSORS: "exactly the tensors that the manifest implies; scales normal, numbers finite, codes in range",
    C.COST: "parameters, memory and operations that the manifest implies, before anything is built",
    C.BACKBONE: "the frozen maps rebuilt from the seed: their digest, exact orthogonality, no all-zero row",
    C.TOKENIZER: "the validation set's own; its byte table made again and compared with decoded text",
    C.VALSET: "accepted by the track; digests and totals as registered",
    C.PROBE: "on the real model: distributions sum to 1 and depend on earlier tokens only",
    C.SCORE: "val_loss and val_bpb over every target, within the time and memory limits",
    C.BYTES_IDENTITY: "val_loss x tokens / (ln 2 x val_bpb) equals the set's bytes",
    C.CLAIM: "claimed against measured score",
    C.TRAINING_TIME: "claimed training seconds within the limit and consistent with the log summary",
    C.DATA_OVERLAP: "training shards declared, none of them a validation shard",
}
"""What each check looks at, for people."""

EVIDENCE: Final[Mapping[CheckName, Evidence]] = {
    name: Evidence.ATTESTED if name in {C.TRAINING_TIME, C.DATA_OVERLAP} else Evidence.MEASURED for name in C
}

NEEDS: Final[Mapping[CheckName, tuple[CheckName, ...]]] = {
    C.CONTAINER: (),
    C.MANIFEST: (C.CONTAINER,),
    C.SIZE: (C.CONTAINER,),
    C.TENSORS: (C.MANIFEST,),
    C.COST: (C.MANIFEST,),
    C.BACKBONE: (C.SIZE, C.TENSORS, C.COST),
    C.TOKENIZER: (C.MANIFEST,),
    C.VALSET: (C.MANIFEST,),
    C.PROBE: (C.BACKBONE, C.TOKENIZER, C.VALSET),
    C.SCORE: (C.PROBE,),
    C.BYTES_IDENTITY: (C.SCORE,),
    C.CLAIM: (C.SCORE,),
    C.TRAINING_TIME: (C.MANIFEST,),
    C.DATA_OVERLAP: (C.MANIFEST,),
}
"""What must have passed before a check makes sense. Building and scoring wait for every cheap check before them."""

FORMAT_HINTS: Final[Mapping[CheckName, str]] = {
    C.CONTAINER: "the file is damaged or was not written by seedgolf: pack it again, and transfer it as binary",
    C.MANIFEST: "docs/format.md lists every key with its range; pack with this version's seedgolf",
    C.TENSORS: "pack with artifact.format.container.assemble, which refuses the same faults before writing",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What a passed check has to say."""

    expected: str = ""
    got: str = ""
    detail: str = ""


OTHER_TENSORS: Final = "a tensor is missing, too many or of another shape: pack manifest and tensors of one network"


def _nobody(name: CheckName) -> None:
    """Nobody follows."""


class Docket:
    """The results so far, and how to add the next one."""

    def __init__(
        self, begins: Callable[[CheckName], None] = _nobody, *, now: Callable[[], float] = time.perf_counter
    ) -> None:
        self._begins = begins
        self._now = now
        self.results: dict[CheckName, CheckResult] = {}

    def passed(self, *names: CheckName) -> bool:
        """Whether all of these checks ran and passed."""
        return all(name in self.results and self.results[name].status is Status.PASSED for name in names)

    @property
    def code(self) -> str | None:
        """The first failed check's code."""
        return next((result.code for result in self.results.values() if result.code is not None), None)

    def run(self, name: CheckName, check: Callable[[], Finding]) -> None:
        """Run a check, or skip it where one that it needs did not pass."""
        missing = next((need for need in NEEDS[name] if not self.passed(need)), None)
        if missing is not None:
            self.skip(name, f"needs the check {missing.value}, which did not pass")
            return
        self._begins(name)
        started = self._now()
        result = _outcome(name, check)
        self.results[name] = result.model_copy(update={"seconds": max(0.0, self._now() - started)})

    def copy(self) -> "Docket":
        """The same results in a docket of its own, which nobody follows."""
        twin = Docket(now=self._now)
        twin.results = dict(self.results)
        return twin

    def skip(self, name: CheckName, reason: str) -> None:
        """Note why a check does not run."""
        self.results[name] = _result(name, Status.SKIPPED, Finding(detail=reason))

    def fail(self, name: CheckName, failure: CheckFailed) -> None:
        """Note the failure of a check that did not end by itself."""
        self.results[name] = _failed(name, failure.code, failure.expected, failure.got, failure.hint)


def _outcome(name: CheckName, check: Callable[[], Finding]) -> CheckResult:
    try:
        return _result(name, Status.PASSED, check())
    except CheckSkipped as reason:
        return _result(name, Status.SKIPPED, Finding(detail=str(reason)))
    except CheckFailed as failure:
        return _failed(name, failure.code, failure.expected, failure.got, failure.hint)
    except ArtifactError as fault:
        hint = OTHER_TENSORS if isinstance(fault, InflatedSizeMismatch) else FORMAT_HINTS.get(name, "")
        return _failed(name, fault.code, f"{fault.where}: {fault.expected}", fault.got, hint)


def _result(name: CheckName, status: Status, finding: Finding) -> CheckResult:
    return CheckResult(
        name=name,
        status=status,
        evidence=EVIDENCE[name],
        expected=finding.expected,
        got=finding.got,
        detail=finding.detail,
    )


def _failed(name: CheckName, code: str, expected: str, got: str, hint: str) -> CheckResult:
    return CheckResult(
        name=name,
        status=Status.FAILED,
        evidence=EVIDENCE[name],
        code=str(code),
        expected=expected,
        got=got,
        detail=hint,
    )
