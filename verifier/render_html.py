"""A report as HTML: a fragment for the service's pages, and a page of its own for `seedgolf verify --html`.

Everything is escaped, nothing is fetched, and there is no style attribute and no script, so a fragment lives under a
strict content security policy. `style` gives the rules that a page around it needs. On a phone every row of a table
stands as a block, its cells labelled by `data-label`.
"""

import re
from collections.abc import Iterable, Iterator
from html import escape
from importlib import resources
from typing import Final

from verifier import bytes_chart, line_chart
from verifier.checks import WHAT
from verifier.curve_charts import position_chart, stream_chart
from verifier.report import CheckResult, Evidence, Report, Status
from verifier.report_facts import Section, sections, verdict_line

STYLE_FILE: Final = "report.css"
NUMBER: Final = ' class="number"'
NUMBERS: Final = frozenset({"s", "tensors", "bytes", "packed", "share"})
"""Columns that stand flush right, their headings too."""
BACKTICKS: Final = re.compile(r"`([^`]+)`")
HEAD: Final = (
    '<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
    '<meta name="color-scheme" content="light dark">'
)


def page(report: Report) -> str:
    """A whole document that needs nothing else."""
    title = escape(f"{report.verdict.value}: {report.artifact.name or report.artifact.sha256[:16]}")
    head = f"{HEAD}<title>{title}</title><style>{style()}</style>"
    return f'<!doctype html>\n<html lang="en"><head>{head}</head>\n<body>\n{fragment(report)}</body></html>\n'


def style() -> str:
    """The style sheet of a fragment."""
    return resources.files("verifier").joinpath("data", STYLE_FILE).read_text()


def fragment(report: Report) -> str:
    """The report as one `article` element."""
    return "".join(f"{line}\n" for line in _lines(report))


def _lines(report: Report) -> Iterator[str]:
    yield '<article class="report">'
    yield f'<h2 class="verdict-{report.verdict.value}">{escape(verdict_line(report))}</h2>'
    yield from (_failure(result) for result in report.checks if result.status is Status.FAILED)
    yield f'<dl class="figures">{"".join(_figures(report))}</dl>'
    yield "<h3>Checks</h3>"
    yield _table(("check", "result", "evidence", "expected", "got", "s"), map(_check, report.checks))
    yield from (_section(section) for section in sections(report))
    if report.score and report.score.curve:
        charts = (stream_chart(report.score, report.score.curve), position_chart(report.score, report.score.curve))
        yield f"<h3>Where the loss comes from {_evidence(Evidence.MEASURED.value)}</h3>"
        yield f'<div class="curves">{"".join(map(line_chart.figure, charts))}</div>'
    if report.size.groups:
        yield "<h3>Where the bytes went</h3>"
        yield bytes_chart.chart(report.size)
        yield _table(("group", "bytes", "packed", "share"), bytes_chart.rows(report.size))
    if report.size.tensors:
        table = _table(("role", "tensors", "bytes", "packed", "share"), bytes_chart.role_rows(report.size))
        yield "<details><summary>The same by role, all layers together</summary>"
        yield f"<p>{bytes_chart.PACKED}</p>{table}</details>"
    yield "</article>"


def _figures(report: Report) -> Iterator[str]:
    """The few numbers that a reader looks for first."""
    if report.score:
        yield _figure("val_bpb", f"{report.score.val_bpb:.6f}", f"{report.score.val_loss:.6f} nats per token")
        limit = f"of {report.track.eval_seconds:,g} s"
        yield _figure("scoring time", f"{report.score.seconds:,.1f} s", limit)
    size = report.size
    used = f"{size.total_bytes / size.limit_bytes:.1%} of {size.limit_bytes:,}" if size.limit_bytes else ""
    yield _figure("bytes", f"{size.total_bytes:,}", used)
    counts = {status: sum(result.status is status for result in report.checks) for status in Status}
    others = ", ".join(f"{counts[status]} {status.value}" for status in Status if status is not Status.PASSED)
    yield _figure("checks passed", f"{counts[Status.PASSED]} of {len(report.checks)}", others)


def _figure(label: str, value: str, note: str) -> str:
    return f"<div><dt>{escape(label)}</dt><dd>{escape(value)}</dd><dd>{escape(note)}</dd></div>"


def _failure(result: CheckResult) -> str:
    rows = (("expected", result.expected), ("got", result.got), ("what to do", result.detail))
    body = "".join(f"<p><b>{label}</b> {_prose(text)}</p>" for label, text in rows if text)
    heading = f"<h3>{result.name.value}: <code>{escape(str(result.code))}</code></h3>"
    return f'<div class="failure">{heading}{body}</div>'


def _section(section: Section) -> str:
    rows = "".join(
        f'<tr><th scope="row">{escape(label)}</th><td>{escape(text)}</td></tr>' for label, text in section.rows
    )
    heading = f"<h3>{escape(section.title)} {_evidence(section.evidence.value)}</h3>"
    return f'<section class="facts facts-{section.evidence.value}">{heading}<table>{rows}</table></section>'


def _prose(text: str) -> str:
    """Escaped, with the commands and fields that stand in backticks as code."""
    return BACKTICKS.sub(r"<code>\1</code>", escape(text))


def _evidence(word: str) -> str:
    return f'<span class="evidence evidence-{word}">{word}</span>'


def _check(result: CheckResult) -> str:
    skipped = result.status is Status.SKIPPED
    expected, got = ("", result.detail) if skipped else (result.expected, result.got)
    finding = result.detail if result.status is Status.PASSED else ""
    note = f"<small>{_prose(finding)}</small>" if finding else ""
    status = result.status.value
    cells = (
        f'<th scope="row">{result.name.value}<small>{escape(WHAT[result.name])}</small></th>',
        f'<td class="{status}">{status}</td>',
        f'<td class="{status}">{_evidence(result.evidence.value)}</td>',
        _cell("expected", escape(expected)),
        _cell("why" if skipped else "got", f"{escape(got)}{note}"),
        f'<td class="number" data-label="seconds">{result.seconds:.2f}</td>',
    )
    return f"<tr>{''.join(cells)}</tr>"


def _cell(label: str, html: str) -> str:
    return f'<td data-label="{label}">{html}</td>' if html else "<td></td>"


def _table(columns: tuple[str, ...], rows: Iterable[str]) -> str:
    head = "".join(f'<th scope="col"{NUMBER if column in NUMBERS else ""}>{column}</th>' for column in columns)
    return f'<table class="rows"><thead><tr>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table>'
