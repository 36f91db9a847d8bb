"""A report as Markdown, for the summary of a CI run.

Every text that can hold a submitter's words stands in a code span, where Markdown sees no link, image, mention or tag.
"""

import re
from collections.abc import Iterator
from typing import Final

from verifier.report import CheckResult, Report, Status, Verdict
from verifier.report_facts import sections, verdict_line

MARKS: Final = {Status.PASSED: "✓ passed", Status.FAILED: "✗ failed", Status.SKIPPED: "– skipped"}
VERDICT_MARKS: Final = {Verdict.ACCEPTED: "✓", Verdict.REJECTED: "✗", Verdict.SCREENED: "~"}


def render(report: Report) -> str:
    """The whole report, ending with a line end."""
    return "\n".join(_lines(report)) + "\n"


def _lines(report: Report) -> Iterator[str]:
    yield f"## {VERDICT_MARKS[report.verdict]} {verdict_line(report)}"
    for result in report.checks:
        if result.status is Status.FAILED:
            yield from _failure(result)
    for section in sections(report):
        yield from ("", f"### {section.title}", "", "| | |", "| --- | --- |")
        yield from (f"| {label} | {code(text)} |" for label, text in section.rows)
    yield from (
        "",
        "### Checks",
        "",
        "| check | result | evidence | expected | got | s |",
        "| --- | --- | --- | --- | --- | ---: |",
    )
    yield from map(_check, report.checks)
    if report.size.groups:
        yield from ("", "### Where the bytes went", "", "| group | bytes | packed |", "| --- | ---: | ---: |")
        yield from (f"| {g.group} | {g.inflated_bytes:,} | {g.compressed_bytes:,} |" for g in report.size.groups)


def _failure(result: CheckResult) -> Iterator[str]:
    yield from ("", f"**{result.name.value}: `{result.code}`**", "")
    yield f"- expected: {code(result.expected)}"
    yield f"- got: {code(result.got)}"
    if result.detail:
        yield f"- {code(result.detail)}"


def _check(result: CheckResult) -> str:
    skipped = result.status is Status.SKIPPED
    expected, got = ("", result.detail) if skipped else (result.expected, result.got)
    mark, evidence = MARKS[result.status], result.evidence.value
    return f"| {result.name.value} | {mark} | {evidence} | {code(expected)} | {code(got)} | {result.seconds:.2f} |"


def code(text: str) -> str:
    """`text` as a code span that holds in a table cell; nothing for nothing."""
    if not text:
        return ""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * (longest + 1)
    padding = " " if text[0] in "` " or text[-1] in "` " else ""
    return f"{fence}{padding}{text}{padding}{fence}".replace("|", "\\|").replace("\n", " ")
