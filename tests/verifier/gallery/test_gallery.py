"""Every bad entry is rejected by its own check with its own code and with words that its author can act on."""

import pytest

from tests.verifier.entries import Arena
from tests.verifier.gallery.scenarios import Scenario, scenarios
from verifier.report import CheckName, Status, Verdict

SCENARIOS = list(scenarios())


def test_the_good_entry_is_accepted_with_every_check_passed(arena: Arena) -> None:
    report = arena.judge(arena.entry())
    assert report.verdict is Verdict.ACCEPTED
    assert {result.status for result in report.checks} == {Status.PASSED}


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_a_bad_entry_is_rejected_by_its_own_check_with_its_own_words(scenario: Scenario, arena: Arena) -> None:
    report = arena.judge(scenario.build(arena), track=scenario.judged_by(arena))
    assert (report.verdict, report.code) == (Verdict.REJECTED, scenario.code)
    failed = report.check(CheckName(scenario.check))
    assert failed.code == scenario.code
    text = f"expected {failed.expected}, got {failed.got}; {failed.detail}"
    assert [words for words in scenario.says if words not in text] == [], text
    others = [result for result in report.checks if result is not failed]
    assert Status.FAILED not in {result.status for result in others}
    assert all(result.detail for result in others if result.status is Status.SKIPPED)


def test_the_gallery_covers_every_check_that_can_reject() -> None:
    covered = {scenario.check for scenario in SCENARIOS}
    assert set(CheckName) - covered == {CheckName.SCORE, CheckName.BYTES_IDENTITY}  # the limits; our own fault
