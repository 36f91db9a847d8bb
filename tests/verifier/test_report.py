import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from tests.verifier.entries import Arena
from tests.verifier.write_schema import SCHEMA_FILE, schema_text
from verifier.report import MAX_REPORT_BYTES, BadReport, Report, Status, parse


@pytest.fixture(scope="module")
def report(arena: Arena) -> Report:
    return arena.judge(arena.entry())


def test_a_report_is_read_back_from_its_bytes(report: Report) -> None:
    assert parse(report.to_bytes()) == report


def test_two_runs_on_one_machine_differ_in_times_only(report: Report, arena: Arena) -> None:
    again = arena.judge(arena.entry())
    assert again != report
    assert again.without_times() == report.without_times()
    assert again.without_times().to_bytes() == report.without_times().to_bytes()
    assert not [result for result in again.without_times().checks if result.seconds]


def test_the_published_schema_is_that_of_the_code() -> None:
    assert SCHEMA_FILE.read_text() == schema_text(), "run `make golden`"


BAD = {
    "another version": {"schema_id": "seedgolf-report/2"},
    "unknown key": {"note": "approved"},
    "verdict without its reason": {"verdict": "rejected"},
    "code without a failure": {"code": "over-size"},
    "acceptance without a score": {"score": None},
    "a check left out": {"checks": []},
    "a screening without a sample": {"verdict": "screened"},
}


@pytest.mark.parametrize("change", BAD.values(), ids=BAD)
def test_a_changed_report_is_refused(change: dict[str, object], report: Report) -> None:
    fields = json.loads(report.to_bytes()) | change
    with pytest.raises(BadReport):
        parse(json.dumps(fields).encode())


def test_a_loss_beyond_float32_is_refused_so_that_its_square_is_a_number(report: Report) -> None:
    fields = json.loads(report.to_bytes())
    del fields["score"]["curve"]
    fields["score"]["val_loss"] = 1e200
    with pytest.raises(BadReport, match=r"score\.val_loss: expected less than or equal to"):
        parse(json.dumps(fields).encode())


@pytest.mark.parametrize("field", ["tokens", "bytes"])
def test_a_score_over_nothing_is_refused_so_that_nobody_divides_by_it(field: str, report: Report) -> None:
    fields = json.loads(report.to_bytes())
    del fields["score"]["curve"]
    parse(json.dumps(fields).encode())
    fields["score"][field] = 0
    with pytest.raises(BadReport, match=rf"score\.{field}: expected greater than or equal to 1"):
        parse(json.dumps(fields).encode())


def test_a_failed_check_has_a_code_and_no_other_has_one(report: Report) -> None:
    fields = report.checks[0].model_dump()
    with pytest.raises(ValidationError):
        type(report.checks[0]).model_validate(fields | {"status": Status.FAILED})
    with pytest.raises(ValidationError):
        type(report.checks[0]).model_validate(fields | {"code": "over-size"})


def test_too_many_bytes_are_not_even_parsed() -> None:
    with pytest.raises(BadReport, match="at most"):
        parse(b" " * (MAX_REPORT_BYTES + 1))


@given(st.binary(max_size=200))
def test_any_bytes_are_a_report_or_a_bad_report(raw: bytes) -> None:
    with pytest.raises(BadReport):
        parse(raw)
