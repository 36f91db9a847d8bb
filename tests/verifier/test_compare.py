"""Groups of seeds: what may be held together, what is refused and why, and the command."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from tests.verifier.judged import BYTES, TOKENS, accepted, digest, rejected
from verifier.compare import Comparison, compare
from verifier.compare_cli import compare_command
from verifier.compare_errors import (
    DuplicateRun,
    Incomparable,
    MixedConfigurations,
    MixedSettings,
    NoRecipe,
    NotAccepted,
    NoVariation,
    TooFewRuns,
)
from verifier.report import Report
from verifier.scored_run import Entry

NEW, OLD = (2.00, 2.01, 2.02), (2.03, 2.04, 2.05)


def entries(name: str, losses: tuple[float, ...], **changes: Any) -> list[Entry]:
    """A group: one configuration, seeds 1, 2, ..."""
    made = [
        accepted(f"{name}{seed}", val_loss=loss, seed=seed, config=name, **changes)
        for seed, loss in enumerate(losses, 1)
    ]
    return [Entry(label=f"{name}{seed}.json", report=report) for seed, report in enumerate(made, 1)]


def with_last(group: list[Entry], report: Report) -> list[Entry]:
    return [*group[:-1], Entry(label="odd.json", report=report)]


def test_two_groups_give_the_test_worked_out_by_hand() -> None:
    found = compare(entries("new", NEW), entries("old", OLD))
    assert found.baseline is not None
    assert found.test is not None
    assert (found.candidates.val_loss.n, found.baseline.val_loss.n) == (3, 3)
    assert found.candidates.val_loss.mean == pytest.approx(2.01)
    assert found.baseline.val_loss.sd == pytest.approx(0.01)
    assert found.test.gain == pytest.approx(0.03)
    assert found.test.p == pytest.approx(0.018795, abs=1e-6)


def test_the_units_are_those_of_the_set() -> None:
    found = compare(entries("new", NEW))
    assert found.per_byte(0.005) == pytest.approx(0.005 * TOKENS / BYTES)
    run = found.candidates.runs[0]
    assert found.bits_per_byte(run.val_loss) == pytest.approx(run.val_bpb)


def test_a_group_alone_is_described_and_not_tested() -> None:
    found = compare(entries("new", NEW))
    assert found.baseline is None
    assert found.test is None
    assert [run.seed for run in found.candidates.runs] == ["1", "2", "3"]


def odd_report(**changes: Any) -> Report:
    return accepted("odd", val_loss=2.02, seed=3, config="new", **changes)


REFUSED_IN_A_GROUP = {
    "rejected": (NotAccepted, rejected("odd")),
    "screened": (NotAccepted, odd_report().model_copy(update={"verdict": "screened"})),
    "no validation set": (NotAccepted, odd_report(valset=None)),
    "no windows": (NotAccepted, odd_report(eval=None)),
    "no backbone": (NotAccepted, odd_report(backbone=None)),
    "no training": (NoRecipe, odd_report(training=None)),
    "another validation set": (MixedSettings, odd_report(valset__sha256=digest("fineweb"))),
    "another track": (MixedSettings, odd_report(track__name="10min_16mb")),
    "other limits under one name": (MixedSettings, odd_report(track__sha256=digest("edited"))),
    "another window": (MixedSettings, odd_report(eval__seq_len=512, eval__stride=512)),
    "another stride": (MixedSettings, odd_report(eval__mode="sliding", eval__stride=64)),
    "another arithmetic": (MixedSettings, odd_report(score__dtype="bfloat16")),
    "fewer targets": (MixedSettings, odd_report(score__tokens=512)),
    "another configuration": (MixedConfigurations, odd_report(training__config_sha256=digest("tuned"))),
    "another network": (MixedConfigurations, odd_report(artifact__num_learned=11)),
    "another storage": (
        MixedConfigurations,
        odd_report(size__groups=[{"group": "embedding", "inflated_bytes": 1, "compressed_bytes": 1}]),
    ),
    "the same artifact": (DuplicateRun, odd_report(artifact__sha256=digest("new1"))),
    "the same nats": (DuplicateRun, odd_report(score__nats_sha256=digest("nats of new1"))),
    "the same seed": (DuplicateRun, odd_report(training__seed="1")),
}


@pytest.mark.parametrize("name", REFUSED_IN_A_GROUP)
@pytest.mark.parametrize("side", ["candidates", "baseline"])
def test_a_report_that_does_not_fit_is_named_with_its_rule(name: str, side: str) -> None:
    error, odd = REFUSED_IN_A_GROUP[name]
    group = with_last(entries("new", NEW), odd)
    other = entries("old", OLD)
    with pytest.raises(Incomparable, match=r"\Aodd\.json: expected|\Aold1\.json: expected") as caught:
        compare(*((group, other) if side == "candidates" else (other, group)))
    assert type(caught.value) is error


def test_two_runs_are_too_few_on_either_side() -> None:
    with pytest.raises(TooFewRuns, match=r"\Acandidates: expected at least 3"):
        compare(entries("new", NEW[:2]), entries("old", OLD))
    with pytest.raises(TooFewRuns, match=r"\Abaseline: expected at least 3"):
        compare(entries("new", NEW), entries("old", OLD[:2]))
    with pytest.raises(TooFewRuns):
        compare([])


def test_the_groups_are_measured_with_one_ruler() -> None:
    with pytest.raises(MixedSettings):
        compare(entries("new", NEW), entries("old", OLD, eval__mode="sliding", eval__stride=64))


def test_one_run_does_not_count_on_both_sides() -> None:
    with pytest.raises(DuplicateRun):
        compare(entries("new", NEW), entries("new", NEW))


def test_the_same_seeds_on_both_sides_are_fine() -> None:
    assert compare(entries("new", NEW), entries("old", OLD)).test is not None


def test_losses_that_never_vary_prove_nothing() -> None:
    with pytest.raises(NoVariation):
        compare(entries("new", (2.0, 2.0, 2.0)), entries("old", (2.1, 2.1, 2.1)))


def test_one_backbone_for_all_seeds_is_noticed() -> None:
    fixed: Comparison = compare(entries("new", NEW))
    assert fixed.candidates.has_one_backbone
    reports = [
        accepted(f"new{n}", val_loss=2 + n / 100, seed=n, config="new", backbone__seed=str(n)) for n in (1, 2, 3)
    ]
    varied = compare([Entry(label=str(n), report=report) for n, report in enumerate(reports)])
    assert not varied.candidates.has_one_backbone


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Report files new1.json ... and old1.json ..."""
    for entry in [*entries("new", NEW), *entries("old", OLD)]:
        (tmp_path / entry.label).write_bytes(entry.report.to_bytes())
    return tmp_path


def run(folder: Path, *args: str) -> Result:
    return CliRunner().invoke(
        compare_command, [str(folder / arg) if arg.endswith(".json") else arg for arg in args], env={"COLUMNS": "200"}
    )


NEW_FILES, OLD_FILES = ("new1.json", "new2.json", "new3.json"), ("old1.json", "old2.json", "old3.json")


def test_the_command_prints_the_test_and_both_rules(folder: Path) -> None:
    done = run(folder, *NEW_FILES, "--baseline", *OLD_FILES)
    assert done.exit_code == 0, done.output
    assert "t = 3.0619, df = 4.000, p = 0.0188" in done.output
    assert "rule as written, p < 0.01: not met" in done.output
    assert "rule as practised, p < 0.25: met" in done.output
    gain = next(line for line in done.output.splitlines() if line.startswith("gain"))
    assert gain.split() == ["gain", "0.030000", f"{0.03 * TOKENS / BYTES:.6f}", "0.017728"]
    assert "all runs have backbone seed 7" in done.output


def test_the_command_prints_json(folder: Path) -> None:
    done = run(folder, *NEW_FILES, "--baseline", *OLD_FILES, "--margin", "0.01", "--json")
    values = json.loads(done.stdout)
    assert values["test"]["margin"] == 0.01
    assert values["rules"][0] == {"rule": "as written", "p_below": 0.01, "met": False}
    assert values["in_other_units"]["gain"]["nats_per_byte"] == pytest.approx(0.03 * TOKENS / BYTES)
    assert [entry["seed"] for entry in values["baseline"]["runs"]] == ["1", "2", "3"]


def test_a_baseline_takes_every_file_up_to_the_next_option(folder: Path) -> None:
    orders = (
        [*NEW_FILES, "--baseline", *OLD_FILES, "--json"],
        ["--baseline", *OLD_FILES, "--json", *NEW_FILES],
        [*NEW_FILES, "--json", "--baseline", "old1.json", "--baseline", "old2.json", "--baseline", "old3.json"],
    )
    answers = [run(folder, *order).stdout for order in orders]
    assert answers[0] == answers[1] == answers[2]
    assert json.loads(answers[0])["test"]["df"] == pytest.approx(4)


def test_without_a_baseline_the_command_says_that_nothing_is_tested(folder: Path) -> None:
    assert "no baseline, so nothing is tested" in run(folder, *NEW_FILES).output


def test_the_command_refuses_in_one_line(folder: Path) -> None:
    (folder / "broken.json").write_text("{")
    cases = {
        "duplicate-run": [*NEW_FILES, "new1.json"],
        "mixed-configurations": ["new1.json", "new2.json", "old3.json"],
        "too-few-runs": ["new1.json", "new2.json"],
        "bad-report": ["broken.json", "new1.json", "new2.json"],
    }
    for code, args in cases.items():
        done = run(folder, *args)
        assert done.exit_code == 2
        assert done.output.startswith(f"Error: {code}: "), done.output
        assert done.output.count("\n") == 1


def test_a_missing_file_or_value_is_a_usage_error(folder: Path) -> None:
    for args in (
        [],
        ["none.json"],
        [*NEW_FILES, "--baseline"],
        ["--baseline", *OLD_FILES],
        [*NEW_FILES, "--margin", "-1"],
        [*NEW_FILES, "--margin", "inf"],
        [*NEW_FILES, "--margin", "nan"],
    ):
        assert run(folder, *args).exit_code == 2
