"""A report as HTML: a fragment for the service's pages, and a page of its own for `seedgolf verify --html`.

Everything is escaped, nothing is fetched, and there is no style attribute and no script, so a fragment lives under a
strict content security policy. `style` gives the rules that a page around it needs.
"""

from collections.abc import Iterable, Iterator
from html import escape
from importlib import resources
from typing import Final

from verifier.checks import WHAT
from verifier.report import CheckResult, Report, SizeRecord, Status
from verifier.report_facts import Section, sections, verdict_line

STYLE_FILE: Final = "report.css"


def page(report: Report) -> str:
    """A whole document that needs nothing else."""
    title = escape(f"{report.verdict.value}: {report.artifact.name or report.artifact.sha256[:16]}")
    head = f'<meta charset="utf-8"><title>{title}</title><style>{style()}</style>'
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
    yield from (_section(section) for section in sections(report))
    yield "<h3>Checks</h3>"
    yield _table(("check", "result", "evidence", "expected", "got", "s"), map(_check, report.checks))
    if report.size.groups:
        yield "<h3>Where the bytes went</h3>"
        yield _bar(report.size)
        yield _table(("group", "bytes", "packed"), _sizes(report.size))
    yield "</article>"


def _failure(result: CheckResult) -> str:
    rows = (("expected", result.expected), ("got", result.got), ("what to do", result.detail))
    body = "".join(f"<p><b>{label}</b> {escape(text)}</p>" for label, text in rows if text)
    heading = f"<h3>{result.name.value}: <code>{escape(str(result.code))}</code></h3>"
    return f'<div class="failure">{heading}{body}</div>'


def _section(section: Section) -> str:
    rows = "".join(
        f'<tr><th scope="row">{escape(label)}</th><td>{escape(text)}</td></tr>' for label, text in section.rows
    )
    heading = f"<h3>{escape(section.title)} {_evidence(section.evidence.value)}</h3>"
    return f'<section class="facts-{section.evidence.value}">{heading}<table>{rows}</table></section>'


def _evidence(word: str) -> str:
    return f'<span class="evidence evidence-{word}">{word}</span>'


def _check(result: CheckResult) -> str:
    skipped = result.status is Status.SKIPPED
    expected, got = ("", result.detail) if skipped else (result.expected, result.got)
    status = result.status.value
    cells = (
        f'<th scope="row" title="{escape(WHAT[result.name])}">{result.name.value}</th>',
        f'<td class="{status}">{status}</td>',
        f"<td>{_evidence(result.evidence.value)}</td>",
        f"<td>{escape(expected)}</td>",
        f"<td>{escape(got)}</td>",
        f'<td class="number">{result.seconds:.2f}</td>',
    )
    return f"<tr>{''.join(cells)}</tr>"


def _sizes(size: SizeRecord) -> Iterator[str]:
    for group in size.groups:
        numbers = (group.inflated_bytes, group.compressed_bytes)
        cells = "".join(f'<td class="number">{number:,}</td>' for number in numbers)
        yield f'<tr><th scope="row">{escape(group.group)}</th>{cells}</tr>'


def _bar(size: SizeRecord) -> str:
    """The packed bytes of the groups side by side, in shares of all of them."""
    total = sum(group.compressed_bytes for group in size.groups) or 1
    start, parts = 0.0, []
    for number, group in enumerate(size.groups):
        width = 100 * group.compressed_bytes / total
        label = escape(f"{group.group}: {group.compressed_bytes:,} bytes")
        parts.append(
            f'<rect class="part-{number}" x="{start:.3f}" width="{width:.3f}" height="4"><title>{label}</title></rect>'
        )
        start += width
    label = 'role="img" aria-label="packed bytes by group"'
    return f'<svg viewBox="0 0 100 4" preserveAspectRatio="none" {label}>{"".join(parts)}</svg>'


def _table(columns: tuple[str, ...], rows: Iterable[str]) -> str:
    head = "".join(f'<th scope="col">{column}</th>' for column in columns)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"
