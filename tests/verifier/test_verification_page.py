"""docs/verification.md keeps up with the code: every check, code, limit, flag and exit code stands there."""

import re
from pathlib import Path

import click
import pytest

from artifact.format.accounting import MAX_STEP_BYTES
from artifact.format.errors import ERRORS as FORMAT_ERRORS
from verifier import claims, cli, cost, curve_record, probe, sandbox, screening
from verifier.checks import EVIDENCE
from verifier.child_environment import TAKEN_OVER
from verifier.errors import ERRORS, Code
from verifier.official_sets import OFFICIAL_SETS
from verifier.report import SCHEMA_ID, CheckName
from verifier.settings import BATCH_TOKENS_CPU, BATCH_TOKENS_CUDA
from verifier.static_checks import STAGE
from verifier.tracks import load_tracks
from verifier.valset_cli import valset

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "verification.md").read_text()
ROWS = {row.split("|")[2].strip(): row for row in PAGE.splitlines() if re.match(r"\| \d+ \| `", row)}


def has(text: str) -> bool:
    """Whether the page says it, not as a part of a longer number or word."""
    return re.search(rf"(?<![\w,.]){re.escape(text)}(?![\w]|[,.]\d)", PAGE) is not None


def test_the_table_has_every_check_in_its_order_with_its_evidence() -> None:
    assert list(ROWS) == [f"`{name.value}`" for name in CheckName]
    for name, evidence in EVIDENCE.items():
        assert f"| {evidence.value} |" in ROWS[f"`{name.value}`"]


def test_every_code_of_the_format_stands_with_its_check() -> None:
    assert set(STAGE) == set(FORMAT_ERRORS)
    for error, name in STAGE.items():
        assert f"`{error.code}`" in ROWS[f"`{name.value}`"]


@pytest.mark.parametrize("code", [*Code, *(error.code for error in ERRORS)])
def test_every_code_of_the_verifier_stands_on_the_page(code: str) -> None:
    assert f"`{code}`" in PAGE


def test_which_failures_are_worth_another_try_is_said() -> None:
    for error in ERRORS:
        assert re.search(rf"^\| `{error.code}` \|.*\| {'yes' if error.retryable else 'no'} \|$", PAGE, re.MULTILINE)


FLAGS = {
    option
    for command in (cli.verify, *valset.commands.values())
    for parameter in command.params
    if isinstance(parameter, click.Option)
    for option in parameter.opts
}


@pytest.mark.parametrize("flag", sorted(FLAGS))
def test_every_flag_stands_on_the_page(flag: str) -> None:
    assert re.search(rf"`{flag}[ `]", PAGE)


def test_every_flag_on_the_page_exists() -> None:
    launcher = {"--standalone", "--nproc-per-node"}
    assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", PAGE)) - launcher <= FLAGS


def test_every_limit_stands_on_the_page() -> None:
    tracks = load_tracks()
    for track in tracks.values():
        assert f"| `{track.name}` | {track.limit_bytes:,} bytes |" in PAGE
        assert track.train_seconds in {None, 600.0}
        assert track.eval_seconds == 600.0
        assert has(f"{track.cost.max_parameters:,}")
        assert has(f"{track.cost.max_memory_bytes // 2**30} GiB")
        assert has(f"{track.cost.max_eval_flops:g}".replace("e+", "e"))
        assert track.reference_hardware is None or has(track.reference_hardware.shown)
    numbers = (
        f"{claims.FLOAT32_BPB:.0e}",
        f"{claims.BFLOAT16_BPB:.0e}",
        f"{probe.MAX_SUM_ERROR:.0e}",
        "1e-09",
    )
    for number in numbers:
        assert has(number.replace("e-0", "e-"))
    assert has(f"{sandbox.PREPARATION_SECONDS:g} s")
    assert has(f"at least {screening.MIN_WINDOWS}")
    assert has(f"{screening.RESAMPLES:,}")
    assert has(f"{screening.CONFIDENCE * 100:g} %")
    assert has(f"at most {curve_record.MAX_SEGMENTS} equal parts")
    assert has(f"at most {curve_record.MAX_POSITION_GROUPS} groups")
    assert has(f"steps of at most {MAX_STEP_BYTES} bytes")
    assert has(f"{cost.BATCH_TOKENS:,} tokens a batch")
    assert has(f"{BATCH_TOKENS_CPU:,} tokens on a CPU, {BATCH_TOKENS_CUDA:,} on CUDA")


def test_the_official_sets_stand_with_their_totals() -> None:
    for known in OFFICIAL_SETS:
        assert f"`{known.name}`" in PAGE
        assert has(f"{known.targets:,}")
        assert has(f"{known.target_bytes:,}")


def test_every_exit_code_and_handed_on_name_stands_on_the_page() -> None:
    for code in (0, cli.REJECTED, cli.UsageFault.exit_code, cli.NO_VERDICT):
        assert re.search(rf"^\| {code} \| ", PAGE, re.MULTILINE)
    assert [name for name in TAKEN_OVER if f"`{name}`" not in PAGE] == []
    assert SCHEMA_ID in PAGE


def test_rules_have_numbers_of_their_own_and_those_that_are_cited_exist() -> None:
    defined = re.findall(r"^- \*\*(V-\d+)\*\*", PAGE, re.MULTILINE)
    assert len(defined) == len(set(defined))
    cited = {
        rule
        for path in [*(ROOT / "verifier").rglob("*.py"), ROOT / "docs" / "verification.md"]
        for rule in re.findall(r"\bV-\d+\b", path.read_text())
    }
    assert sorted(cited - set(defined)) == []
