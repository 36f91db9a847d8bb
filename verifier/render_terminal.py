"""A report in a terminal (rich). Texts are a stranger's: printed as plain text, never as markup or escape codes."""

from typing import Final

from rich import box
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from verifier.report import CheckResult, Report, SizeRecord, Status, Verdict
from verifier.report_facts import sections, verdict_line

VERDICT_STYLES: Final = {Verdict.ACCEPTED: "bold green", Verdict.REJECTED: "bold red", Verdict.SCREENED: "bold yellow"}
STATUS_STYLES: Final = {Status.PASSED: "green", Status.FAILED: "bold red", Status.SKIPPED: "dim"}


def render(report: Report) -> RenderableType:
    """The whole report; the verdict stands last, where a terminal leaves the eye."""
    facts = [_section(section.title, _rows(section.rows)) for section in sections(report)]
    sizes = [_section("Where the bytes went", _sizes(report.size))] if report.size.groups else []
    verdict = Group("", plain(verdict_line(report), style=VERDICT_STYLES[report.verdict]))
    failed = [_advice(result) for result in report.checks if result.status is Status.FAILED]
    return Group(_section("Checks", _checks(report)), *facts, *sizes, *failed, verdict)


def plain(text: str, *, style: str = "") -> Text:
    """`text` with a question mark for every character that could steer a terminal."""
    return Text("".join(letter if letter.isprintable() else "?" for letter in text), style=style)


def _section(title: str, body: RenderableType) -> RenderableType:
    return Group(Text(f"\n{title}", style="bold"), Padding(body, (0, 0, 0, 2)))


def _plain_table(*columns: str, right: tuple[str, ...] = ()) -> Table:
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, header_style="dim")
    for column in columns:
        table.add_column(column, justify="right" if column in right else "left", overflow="fold")
    return table


def _checks(report: Report) -> Table:
    table = _plain_table("check", "result", "evidence", "found", "s", right=("s",))
    for result in report.checks:
        status = Text(result.status.value, style=STATUS_STYLES[result.status])
        found = plain(_found(result), style="dim" if result.status is Status.SKIPPED else "")
        table.add_row(Text(result.name.value), status, Text(result.evidence.value), found, f"{result.seconds:.2f}")
    return table


def _found(result: CheckResult) -> str:
    if result.status is Status.SKIPPED:
        return result.detail
    parts = [result.code, result.got, result.detail if result.status is Status.PASSED else None]
    return "; ".join(part for part in parts if part)


def _advice(result: CheckResult) -> RenderableType:
    rows = (("expected", result.expected), ("got", result.got), ("do", result.detail))
    body = _rows(tuple((label, text) for label, text in rows if text))
    return _section(f"{result.name.value}: {result.code}", body)


def _rows(rows: tuple[tuple[str, str], ...]) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for label, text in rows:
        table.add_row(label, plain(text))
    return table


def _sizes(size: SizeRecord) -> Table:
    table = _plain_table("group", "bytes", "packed", right=("bytes", "packed"))
    for group in size.groups:
        table.add_row(group.group, f"{group.inflated_bytes:,}", f"{group.compressed_bytes:,}")
    if size.overhead_bytes is not None:
        table.add_row("head, manifest", f"{size.overhead_bytes:,}", f"{size.overhead_bytes:,}")
    table.add_row("counted code", "", f"{size.code_bytes:,}")
    return table
