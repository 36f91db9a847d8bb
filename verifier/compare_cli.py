"""`seedgolf compare`: reports of several seeds, and whether their gain is more than luck.

Exit codes: 0 compared (read what the rules say), 2 the command is wrong, or the reports cannot be compared.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from itertools import zip_longest
from pathlib import Path
from typing import Any, Final

import click
from rich import box
from rich.console import Console, RenderableType
from rich.console import Group as Stack
from rich.table import Table
from rich.text import Text

from artifact.finite_range import FiniteRange
from verifier import report as reports
from verifier.compare import Comparison, Group, compare
from verifier.scored_run import Entry
from verifier.significance import MARGIN_NATS, PRACTISED_P, WRITTEN_P, WelchTest
from verifier.signing_cli import FILE, faults_in_one_line, read_at_most

BASELINE: Final = "--baseline"
SHOWN_DIGEST: Final = 16
RULES: Final = (("as written", WRITTEN_P), ("as practised", PRACTISED_P))


class ManyBaselines(click.Command):
    """Lets `--baseline` take every file up to the next option, so that a shell's `*` works there."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Repeat the option before each of its values."""
        return super().parse_args(ctx, list(_repeated(args)))


def _repeated(args: Sequence[str]) -> Iterator[str]:
    """`--baseline A B` as `--baseline A --baseline B`; without a value it stays alone, for click to refuse."""
    inside = False
    for arg, follower in zip_longest(args, args[1:], fillvalue="--"):
        if arg.startswith("-"):
            inside = arg == BASELINE
            is_alone = inside and follower.startswith("-")
            if not inside or is_alone:
                yield arg
        else:
            yield from (BASELINE, arg) if inside else (arg,)


@click.command("compare", cls=ManyBaselines, epilog="Example: seedgolf compare new/*.json --baseline old/*.json")
@click.argument("files", metavar="REPORT...", type=FILE, nargs=-1, required=True)
@click.option(
    BASELINE, "baseline", metavar="REPORT...", type=FILE, multiple=True, help="Reports of what is to be beaten."
)
@click.option(
    "--margin",
    "margin_nats",
    type=FiniteRange(0),
    default=MARGIN_NATS,
    show_default=True,
    help="Gain in nats per token that is not enough.",
)
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
def compare_command(*, files: tuple[Path, ...], baseline: tuple[Path, ...], margin_nats: float, as_json: bool) -> None:
    """Hold reports of one configuration (three seeds or more) against those of another: a one-sided Welch test.

    The hypothesis to reject is that the gain is at most the margin. REPORT is what `seedgolf verify --json` prints.
    """
    with faults_in_one_line():
        found = compare(_read(files), _read(baseline), margin_nats=margin_nats)
    if as_json:
        click.echo(json.dumps(to_json(found), indent=2))
    else:
        Console(highlight=False).print(page(found))


def to_json(found: Comparison) -> dict[str, Any]:
    """The comparison as plain JSON data; amounts in nats per token, and the gain in the other units too."""
    values = asdict(found)
    if found.test is not None:
        test = found.test
        values["in_other_units"] = {
            name: {"nats_per_byte": found.per_byte(amount), "bits_per_byte": found.bits_per_byte(amount)}
            for name, amount in (("gain", test.gain), ("margin", test.margin), ("standard_error", test.standard_error))
        }
        values["rules"] = [{"rule": rule, "p_below": bound, "met": test.p < bound} for rule, bound in RULES]
    return values


def page(found: Comparison) -> RenderableType:
    """The comparison for a terminal."""
    ruler = found.ruler
    heading = Text(f"{ruler.valset} ({ruler.valset_sha256[:SHOWN_DIGEST]}), track {ruler.track}", style="bold")
    heading.append(f"\n{ruler.windows}, {ruler.dtype}; {ruler.tokens:,} targets, {ruler.bytes:,} bytes", "dim not bold")
    parts: list[RenderableType] = [heading, _runs("candidates", found.candidates)]
    if found.baseline is not None:
        parts.append(_runs("baseline", found.baseline))
    parts.append(_amounts(found))
    parts.append(Text("no baseline, so nothing is tested", "dim") if found.test is None else _verdict(found.test))
    notes = [_note(name, group) for name, group in (("candidates", found.candidates), ("baseline", found.baseline))]
    return Stack(*parts, *filter(None, notes))


def _runs(title: str, group: Group) -> Table:
    table = Table(title=Text(f"\n{title}: configuration {group.config_sha256[:SHOWN_DIGEST]}"), title_justify="left")
    table.box, table.show_edge, table.pad_edge = box.SIMPLE_HEAD, False, False
    for column in ("report", "seed", "backbone", "artifact"):
        table.add_column(column, overflow="fold")
    for column in ("val_loss", "val_bpb"):
        table.add_column(column, justify="right", no_wrap=True)
    for run in group.runs:
        texts = (run.label, run.seed, run.backbone_seed, run.artifact_sha256[:SHOWN_DIGEST])
        table.add_row(*map(Text, texts), f"{run.val_loss:.6f}", f"{run.val_bpb:.6f}")
    return table


def _amounts(found: Comparison) -> Table:
    """Means, spreads and the gain, each in the three units."""
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, title="")
    for column in ("", "n", "nats/token", "nats/byte", "bits/byte"):
        table.add_column(column, justify="right" if column else "left", no_wrap=True)
    for name, n, amount in _amount_rows(found):
        units = (amount, found.per_byte(amount), found.bits_per_byte(amount))
        table.add_row(name, n, *(f"{value:.6f}" for value in units))
    return table


def _amount_rows(found: Comparison) -> Iterator[tuple[str, str, float]]:
    for name, group in (("candidates", found.candidates), ("baseline", found.baseline)):
        if group is not None:
            yield f"{name}, mean", str(group.val_loss.n), group.val_loss.mean
            yield f"{name}, sd", "", group.val_loss.sd
    if found.test is not None:
        yield "gain", "", found.test.gain
        yield "standard error", "", found.test.standard_error
        yield "margin", "", found.test.margin


def _verdict(test: WelchTest) -> Text:
    text = Text("\none-sided Welch test, H0: gain <= margin", style="bold")
    text.append(f"\nt = {test.t:.4f}, df = {test.df:.3f}, p = {test.p:.3g}", style="not bold")
    for rule, bound in RULES:
        met = test.p < bound
        text.append(f"\nrule {rule}, p < {bound}: ", style="not bold")
        text.append("met" if met else "not met", style="green" if met else "red")
    return text


def _note(name: str, group: Group | None) -> Text | None:
    """A limit of the test that its numbers do not show."""
    if group is None or not group.has_one_backbone:
        return None
    seed = group.runs[0].backbone_seed
    return Text(f"{name}: all runs have backbone seed {seed}, so this speaks for these frozen maps alone", "dim")


def _read(files: Sequence[Path]) -> list[Entry]:
    parsed = []
    for path in files:
        try:
            parsed.append(Entry(label=path.name, report=reports.parse(read_at_most(path, reports.MAX_REPORT_BYTES))))
        except reports.BadReport as error:
            raise reports.BadReport(
                f"{path}: {error.where}", expected=error.expected, got=error.got, next_step=error.next_step
            ) from None
    return parsed
