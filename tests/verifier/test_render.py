import io
import re
from html.parser import HTMLParser

import pytest
from rich.console import Console

from tests.verifier.entries import Arena
from tests.verifier.gallery.scenarios import changed, exactly_full
from verifier import curve_charts, render_html, render_markdown, render_terminal
from verifier.report import CheckName, EnvironmentRecord, Evidence, Report, TrainingRecord
from verifier.report_facts import TITLES, sections, verdict_line
from verifier.settings import Settings

HOSTILE = "<img src=x onerror=alert(1)> [x](http://e.vil) `code` ``` | @team [bold red]markup[/]"


@pytest.fixture(scope="module")
def report(arena: Arena) -> Report:
    return arena.judge(arena.entry())


@pytest.fixture(scope="module")
def hostile(arena: Arena) -> Report:
    return arena.judge(changed("name", to=HOSTILE)(arena))


def terminal(report: Report, *, width: int = 160) -> str:
    console = Console(file=io.StringIO(), width=width, highlight=False)
    console.print(render_terminal.render(report))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


RENDERINGS = {
    "terminal": terminal,
    "markdown": render_markdown.render,
    "html": render_html.fragment,
    "page": render_html.page,
}
everywhere = pytest.mark.parametrize("render", RENDERINGS.values(), ids=RENDERINGS)


@everywhere
def test_every_check_stands_in_every_rendering(render: object, report: Report) -> None:
    text = render(report)  # type: ignore[operator]
    assert [name for name in CheckName if name.value not in text] == []


@everywhere
def test_measured_claimed_and_attested_are_told_apart(render: object, report: Report) -> None:
    text = re.sub(r"<[^>]*>", " ", render(report))  # type: ignore[operator]
    places = [text.index(TITLES[evidence]) for evidence in Evidence]
    assert places == sorted(places)
    measured, claimed, attested = (text[a:b] for a, b in zip(places, [*places[1:], None], strict=True))
    assert report.score is not None
    assert f"{report.score.val_bpb:.8f}" in measured
    assert "tiny entry" in claimed
    assert "tiny entry" not in measured
    assert f"{report.claims[0].claimed:.8f}" in claimed
    assert "smoke" in attested
    assert "smoke" not in measured + claimed


@everywhere
def test_a_reproduced_training_moves_to_what_was_measured(render: object, report: Report) -> None:
    assert isinstance(report.training, TrainingRecord)
    training = report.training.model_copy(update={"evidence": Evidence.MEASURED})
    text = render(report.model_copy(update={"training": training}))  # type: ignore[operator]
    assert TITLES[Evidence.ATTESTED] not in text
    assert "smoke" in text


@everywhere
def test_a_rejection_says_code_expected_got_and_what_to_do(render: object, arena: Arena) -> None:
    report = arena.judge(changed("name", to="tiny entry!")(arena), track=exactly_full(arena))
    text = render(report)  # type: ignore[operator]
    size = report.check(CheckName.SIZE)
    for words in ("rejected: over-size", size.expected, size.got, "seedgolf inspect"):
        assert words in text


@everywhere
def test_a_screening_is_called_an_estimate_and_never_a_score(render: object, arena: Arena) -> None:
    report = arena.judge(arena.entry(), settings=Settings(device="cpu", sample=0.2))
    text = render(report)  # type: ignore[operator]
    assert "screened: val_bpb about" in text
    assert "a sample is no score" in text
    assert "accepted:" not in text


def test_the_verdict_line_says_on_what_machine_a_time_was_measured(report: Report) -> None:
    assert verdict_line(report).startswith("accepted: val_bpb ")
    assert "not on" not in verdict_line(report)
    assert isinstance(report.environment, EnvironmentRecord)
    elsewhere = report.model_copy(
        update={
            "track": report.track.model_copy(update={"reference_hardware": "8x H100 SXM"}),
            "environment": report.environment.model_copy(update={"is_reference": False, "hardware": "2 CPU cores"}),
        }
    )
    assert verdict_line(elsewhere).endswith("; times measured on 2 CPU cores, not on 8x H100 SXM")


class Tags(HTMLParser):
    """Collects tags, attributes and whether every element is closed."""

    VOID = frozenset({"meta"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: set[str] = set()
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes |= {name for name, _ in attrs}
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_fragment_lives_under_a_strict_policy_and_is_well_formed(hostile: Report) -> None:
    found = Tags(render_html.fragment(hostile))
    assert found.open == []
    assert not {"img", "script", "style", "link", "iframe", "form"} & set(found.tags)
    assert not {name for name in found.attributes if name in {"style", "href", "src"} or name.startswith("on")}
    assert render_html.fragment(hostile).startswith('<article class="report">')


def test_the_page_needs_nothing_else(hostile: Report) -> None:
    page = render_html.page(hostile)
    assert page.startswith("<!doctype html>")
    assert Tags(page).open == []
    assert "http:" not in page.replace("http://e.vil", "")
    assert render_html.style() in page


def test_a_strangers_name_is_text_in_html(hostile: Report) -> None:
    assert "&lt;img src=x onerror=alert(1)&gt;" in render_html.fragment(hostile)


def test_a_command_in_a_hint_is_code_in_html(arena: Arena) -> None:
    fragment = render_html.fragment(arena.judge(changed("claims", "val_bpb", to=0.5)(arena)))
    assert "claim what <code>seedgolf verify</code> measures" in fragment


def test_a_strangers_name_is_a_code_span_in_markdown(hostile: Report) -> None:
    line = next(line for line in render_markdown.render(hostile).splitlines() if "onerror" in line)
    escaped = HOSTILE.replace("|", "\\|")
    assert line == f"| name | ````{escaped}```` |"


@pytest.mark.parametrize(
    ("text", "expected"),
    [("", ""), ("a", "`a`"), ("`a", "`` `a ``"), ("a``b", "```a``b```"), (" a", "`  a `"), ("a|b\nc", "`a\\|b c`")],
)
def test_a_code_span_holds_whatever_the_text(text: str, expected: str) -> None:
    assert render_markdown.code(text) == expected


def test_a_strangers_name_is_no_markup_in_the_terminal(hostile: Report) -> None:
    assert "[bold red]markup[/]" in terminal(hostile)


def test_what_could_steer_a_terminal_is_shown_as_a_question_mark(report: Report) -> None:
    artifact = report.artifact.model_copy(update={"name": "a\x1b[2Jb\u202ec\n"})
    text = terminal(report.model_copy(update={"artifact": artifact}))
    assert "\x1b" not in text
    assert "a?[2Jb?c?" in text


def test_tables_of_markdown_have_as_many_cells_as_columns(report: Report) -> None:
    block: list[str] = []
    for line in [*render_markdown.render(report).splitlines(), ""]:
        if line.startswith("|"):
            block.append(line)
        elif block:
            assert len({len(re.findall(r"(?<!\\)\|", row)) for row in block}) == 1
            block = []


def test_the_html_draws_both_curves_and_lists_their_numbers(report: Report) -> None:
    assert report.score is not None
    assert report.score.curve is not None
    page = render_html.fragment(report)
    assert page.count('<figure class="curve">') == page.count('class="plot"') == 2
    for segment in report.score.curve.segments:
        assert f"{segment.val_bpb:.6f}" in page
    for group in report.score.curve.positions:
        assert f"{group.val_loss:.6f}" in page


@everywhere
def test_a_report_from_before_there_were_curves_is_shown_without(render: object, report: Report) -> None:
    assert report.score is not None
    old = report.model_copy(update={"score": report.score.model_copy(update={"curve": None})})
    text = render(old)  # type: ignore[operator]
    assert f"{report.score.val_bpb:.6f}" in text
    assert "by position" not in text.lower()
    assert "by position" in render(report).lower()  # type: ignore[operator]


def test_positions_with_few_targets_are_in_the_table_only(report: Report) -> None:
    assert report.score is not None
    assert report.score.curve is not None
    few, *others = report.score.curve.positions
    fewer = few.model_copy(update={"tokens": curve_charts.MIN_TARGETS - 1})
    curve = report.score.curve.model_copy(update={"positions": (fewer, *others)})
    shown, cut = (curve_charts.position_chart(report.score, one) for one in (report.score.curve, curve))
    assert len(cut.lines[0].points) == len(shown.lines[0].points) - 1
    assert len(cut.table.rows) == len(shown.table.rows)
    assert "in the table only" in cut.note
    assert "in the table only" not in shown.note


def test_a_set_that_is_small_everywhere_is_drawn_all_the_same(report: Report) -> None:
    assert report.score is not None
    assert report.score.curve is not None
    few = tuple(group.model_copy(update={"tokens": 1}) for group in report.score.curve.positions)
    chart = curve_charts.position_chart(report.score, report.score.curve.model_copy(update={"positions": few}))
    assert len(chart.lines[0].points) == len(few)


def test_every_section_stands_on_one_kind_of_evidence(report: Report) -> None:
    assert [section.evidence for section in sections(report)] == list(Evidence)
    assert all(text for section in sections(report) for row in section.rows for text in row)
