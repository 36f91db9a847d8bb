"""Curves of several runs on one grid: what is brought together, and when nothing is."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from tests.verifier.judged import BYTES, TOKENS, accepted, curved
from verifier.compare import compare
from verifier.compare_cli import compare_command
from verifier.compare_curves import Curves, curves
from verifier.curve_record import CurveRecord
from verifier.report import Report
from verifier.scored_run import Entry, curve_of

NEW, OLD = (2.00, 2.01, 2.02), (2.03, 2.04, 2.05)


def entries(name: str, losses: tuple[float, ...], make: Any = curved) -> list[Entry]:
    made = [make(f"{name}{seed}", val_loss=loss, seed=seed, config=name) for seed, loss in enumerate(losses, 1)]
    return [Entry(label=f"{name}{seed}", report=report) for seed, report in enumerate(made, 1)]


def found(new: list[Entry], old: list[Entry]) -> Curves:
    together = compare(new, old).curves
    assert together is not None
    return together


def test_every_place_has_the_losses_of_all_runs_in_their_order() -> None:
    together = found(entries("new", NEW), entries("old", OLD))
    first, last = together.stream[0], together.stream[-1]
    assert (first.first, first.last, first.tokens) == (1, 128, 128)
    assert (last.first, last.last) == (TOKENS - 127, TOKENS)
    assert len(together.stream) == 8
    runs = [entry.report for entry in entries("new", NEW)]
    segments = [report.score.curve.segments[0].val_bpb for report in runs if report.score and report.score.curve]
    assert list(first.candidates) == segments
    assert [place.last for place in together.position] == [1, 2, 256]
    assert together.position[2].candidates == pytest.approx([0.99 * loss for loss in NEW])
    assert together.position[2].baseline == pytest.approx([0.99 * loss for loss in OLD])


def test_the_gain_is_of_every_candidate_over_the_mean_of_the_baseline() -> None:
    place = found(entries("new", NEW), entries("old", OLD)).position[2]
    assert place.gains == pytest.approx([0.99 * (2.04 - loss) for loss in NEW])


def test_without_a_baseline_there_are_the_candidates_alone() -> None:
    together = compare(entries("new", NEW)).curves
    assert together is not None
    assert {place.baseline for place in together.stream} == {()}


def test_one_report_from_before_there_were_curves_leaves_none_to_compare() -> None:
    assert compare(entries("new", NEW), entries("old", OLD, accepted)).curves is None
    mixed = [*entries("new", NEW)[:2], *entries("new", NEW, accepted)[2:]]
    assert compare(mixed).curves is None


def changed(report: Report, **sums: Any) -> CurveRecord:
    curve = curve_of(Entry(label="odd", report=report))
    assert curve is not None
    return curve.model_copy(update=sums)


def test_curves_over_other_places_are_not_laid_over_each_other() -> None:
    ours = changed(curved("one"))
    coarse = changed(curved("two"), segments=ours.segments[:4])
    assert curves([ours], [ours]) is not None
    assert curves([ours], [coarse]) is None


def test_a_segment_without_text_has_no_bits_per_byte_and_is_left_out() -> None:
    report = curved("one")
    silent = changed(report).segments[0].model_copy(update={"bytes": 0})
    curve = changed(report, segments=(silent, *changed(report).segments[1:]))
    together = curves([curve], [])
    assert together is not None
    assert [place.first for place in together.stream] == [1 + 128 * number for number in range(1, 8)]


def test_the_command_prints_the_curves_as_json(tmp_path: Path) -> None:
    for entry in [*entries("new", NEW), *entries("old", OLD)]:
        (tmp_path / f"{entry.label}.json").write_bytes(entry.report.to_bytes())
    files = [[str(tmp_path / f"{name}{seed}.json") for seed in (1, 2, 3)] for name in ("new", "old")]
    done = CliRunner().invoke(compare_command, [*files[0], "--baseline", *files[1], "--json"])
    values = json.loads(done.stdout)
    assert len(values["curves"]["stream"]) == 8
    place = values["curves"]["position"][2]
    assert (place["first"], place["last"], place["tokens"]) == (3, 256, TOKENS - 44)
    assert place["baseline"] == pytest.approx([0.99 * loss for loss in OLD])
    assert sum(place["tokens"] for place in values["curves"]["stream"]) == values["ruler"]["tokens"]
    assert values["ruler"]["bytes"] == BYTES
