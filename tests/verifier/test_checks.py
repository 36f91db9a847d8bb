import pytest

from artifact.format.errors import BadScale, InflatedSizeMismatch
from verifier.checks import EVIDENCE, NEEDS, WHAT, Docket, Finding
from verifier.errors import CheckFailed, CheckSkipped, Code, SelfCheckFailed
from verifier.report import CheckName, Evidence, Status


def passes() -> Finding:
    return Finding(expected="a", got="b", detail="c")


def fails() -> Finding:
    raise CheckFailed(Code.OVER_SIZE, expected="at most 1", got="2", hint="make it smaller")


def test_every_check_is_described_and_needs_only_earlier_ones() -> None:
    order = list(CheckName)
    assert set(WHAT) == set(NEEDS) == set(EVIDENCE) == set(order)
    assert all(order.index(need) < order.index(name) for name, needs in NEEDS.items() for need in needs)


def test_only_what_no_file_can_prove_is_attested() -> None:
    attested = {name for name, evidence in EVIDENCE.items() if evidence is Evidence.ATTESTED}
    assert attested == {CheckName.TRAINING_TIME, CheckName.DATA_OVERLAP}


def test_a_finding_a_failure_and_a_skip_become_results() -> None:
    docket = Docket()
    docket.run(CheckName.CONTAINER, passes)
    docket.run(CheckName.SIZE, fails)
    passed, failed = docket.results[CheckName.CONTAINER], docket.results[CheckName.SIZE]
    assert (passed.status, passed.code, passed.expected, passed.got) == (Status.PASSED, None, "a", "b")
    assert (failed.status, failed.code, failed.detail) == (Status.FAILED, "over-size", "make it smaller")
    assert docket.code == "over-size"

    def has_nothing_to_look_at() -> Finding:
        raise CheckSkipped("nothing claimed")

    docket.run(CheckName.MANIFEST, has_nothing_to_look_at)
    assert (docket.results[CheckName.MANIFEST].status, docket.results[CheckName.MANIFEST].detail) == (
        Status.SKIPPED,
        "nothing claimed",
    )


def test_what_a_failed_check_makes_meaningless_is_skipped_with_the_reason() -> None:
    docket, began = Docket(), []

    def runs() -> Finding:
        began.append(True)
        return Finding()

    docket.run(CheckName.CONTAINER, fails)
    docket.run(CheckName.MANIFEST, runs)
    assert began == []
    assert docket.results[CheckName.MANIFEST].status is Status.SKIPPED
    assert "container" in docket.results[CheckName.MANIFEST].detail


def test_a_fault_of_the_format_keeps_its_code_and_gets_a_hint() -> None:
    def reads() -> Finding:
        raise BadScale("tensor embed.weight.scale", expected="normal scales", got="nan")

    docket = Docket()
    docket.run(CheckName.CONTAINER, passes)
    docket.run(CheckName.MANIFEST, passes)
    docket.run(CheckName.TENSORS, reads)
    result = docket.results[CheckName.TENSORS]
    assert (result.code, result.expected) == ("bad-scale", "tensor embed.weight.scale: normal scales")
    assert "assemble" in result.detail


def test_a_size_that_tensors_do_not_have_speaks_of_tensors() -> None:
    def reads() -> Finding:
        raise InflatedSizeMismatch("payload", expected="8 bytes", got="9 bytes")

    docket = Docket()
    docket.run(CheckName.CONTAINER, reads)
    assert "a tensor is missing" in docket.results[CheckName.CONTAINER].detail


def test_our_own_fault_is_no_result() -> None:
    def contradicts_itself() -> Finding:
        raise SelfCheckFailed("two numbers differ")

    with pytest.raises(SelfCheckFailed):
        Docket().run(CheckName.CONTAINER, contradicts_itself)


def test_times_come_from_the_clock_that_is_given() -> None:
    ticks = iter([10.0, 12.5])
    docket = Docket(now=lambda: next(ticks))
    docket.run(CheckName.CONTAINER, passes)
    assert docket.results[CheckName.CONTAINER].seconds == 2.5


def test_a_copy_of_a_docket_goes_its_own_way_unfollowed() -> None:
    began: list[CheckName] = []
    docket = Docket(began.append)
    docket.run(CheckName.CONTAINER, passes)
    twin = docket.copy()
    twin.run(CheckName.SIZE, fails)
    assert (docket.code, twin.code, began) == (None, "over-size", [CheckName.CONTAINER])
