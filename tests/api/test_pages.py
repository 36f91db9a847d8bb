"""The pages under their policy: nothing inline, a stranger's words are text, every state and empty list has a page."""

import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from fastapi.responses import HTMLResponse

import api
from api import badge, charts, pages
from api.hardware_class import HardwareClass
from api.states import VERDICTS, State
from api.store.jobs import EventRow, JobView
from api.store.keys import KnownKey
from api.store.leaderboard import ArtifactView, JobLine, LeaderboardRow
from api.templating import age
from api.viewer import Filters, Viewer
from artifact.format import container, manifest
from artifact.format.tensors import expected_tensors
from tests.forge import Draft
from tests.verifier.judged import accepted, curved, digest, rejected
from verifier import bytes_chart
from verifier.compare import compare
from verifier.report import CheckName, Report, ScoreDtype
from verifier.scored_run import Entry
from verifier.tracks import load_tracks

NOW = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
HOSTILE = "<img src=x onerror=alert(1)>\"'{{ 7*7 }}"
READER = Viewer(base_url="http://localhost:8765", owner="alice", scopes=frozenset({"read", "submit"}), now=NOW)
ALICE = replace(READER, csrf="the-csrf-secret")
NOBODY = Viewer(base_url="http://localhost:8765", now=NOW)
STATIC = Path(api.__file__).parent / "static"


def job(state: State = State.RUNNING, **changes: Any) -> JobView:
    values: dict[str, Any] = {
        "id": "a" * 64,
        "state": state,
        "run": 1,
        "attempt": 1,
        "position": 3 if state is State.QUEUED else None,
        "workers_alive": 1 if state is State.QUEUED else None,
        "stage": "score" if state is State.RUNNING else None,
        "done": 30 if state is State.RUNNING else None,
        "total": 60 if state is State.RUNNING else None,
        "sign_of_life_at": NOW - timedelta(seconds=4) if state is State.RUNNING else None,
        "submitted_at": NOW - timedelta(minutes=2),
        "queued_at": NOW,
        "started_at": None,
        "finished_at": NOW if state in VERDICTS else None,
        "worker": None,
        "lost_workers": (),
        "code": None,
        "message": None,
        "val_bpb": 1.25 if state is State.ACCEPTED else None,
        "val_loss": 2.0 if state is State.ACCEPTED else None,
        "artifact_sha256": "b" * 64,
        "artifact_name": HOSTILE,
        "artifact_size_bytes": 1_234_567,
        "track_name": "local",
        "track_sha256": "c" * 64,
        "valset_name": "demo",
        "valset_sha256": "d" * 64,
        "verifier_version": "0.1.0",
        "hardware_class": HardwareClass.CPU,
        "dtype": ScoreDtype.FLOAT32,
    }
    return JobView(**values | changes)


def line(state: State = State.ACCEPTED) -> JobLine:
    return JobLine(
        job_id="a" * 64,
        state=state,
        code="over-size" if state is State.REJECTED else None,
        val_bpb=1.25 if state is State.ACCEPTED else None,
        artifact_sha256="b" * 64,
        artifact_name=HOSTILE,
        track_name="local",
        valset_name="demo",
        hardware_class=HardwareClass.CPU,
        submitted_at=NOW,
        finished_at=NOW,
    )


def row(rank: int, val_bpb: float = 1.25) -> LeaderboardRow:
    return LeaderboardRow(
        rank=rank,
        job_id=digest(f"job {rank}"),
        artifact_sha256=digest(f"artifact {rank}"),
        artifact_name=HOSTILE,
        artifact_size_bytes=1_000,
        val_bpb=val_bpb,
        val_loss=2.0,
        track_name="local",
        track_sha256="c" * 64,
        valset_name="demo",
        valset_sha256="d" * 64,
        verifier_version="0.1.0",
        hardware_class=HardwareClass.CPU,
        submitted_at=NOW + timedelta(hours=rank),
        finished_at=NOW,
    )


def filters(**changes: Any) -> Filters:
    values = {"track": None, "valset": None, "best_per_name": True, "limit": 100, "offset": 0, "more": False}
    return Filters(**values | {"tracks": ["local"], "valsets": ["demo"]} | changes)


def group(name: str, *losses: float, make: Callable[..., Report] = curved) -> list[Entry]:
    made = [make(f"{name}{seed}", val_loss=loss, seed=seed, config=name) for seed, loss in enumerate(losses, 1)]
    return [Entry(label=digest(f"job of {name}{seed}"), report=report) for seed, report in enumerate(made, 1)]


def compared(make: Callable[..., Report] = curved) -> HTMLResponse:
    ours, theirs = group("new", 2.0, 2.01, 2.02, make=make), group("old", 2.03, 2.04, 2.05, make=make)
    found = compare(ours, theirs)
    return pages.compare(ALICE, choices=[row(1)], candidates=ours, baseline=theirs, found=found)


def compared_alone() -> HTMLResponse:
    ours = group("new", 2.0, 2.01, 2.02)
    return pages.compare(ALICE, choices=[row(1)], candidates=ours, found=compare(ours))


MANIFEST = manifest.parse(container.read_manifest(Draft().build()).to_bytes())


def measured(label: str) -> Report:
    """A report with curves and the bytes of MANIFEST's tensors."""
    tensors = [
        {"name": spec.name, "inflated_bytes": spec.num_bytes, "compressed_bytes": spec.num_bytes - 1}
        for spec in expected_tensors(MANIFEST)
    ]
    return curved(label, size__tensors=tensors)


def fields_of(declared: manifest.Manifest) -> dict[str, Any]:
    return declared.model_dump(mode="json", exclude_none=True)


EVENT = EventRow(id=1, run=1, attempt=1, state=State.RUNNING, at=NOW, detail=HOSTILE)
PROBLEM = {"status": 404, "code": "not-found", "title": "Not found", "detail": HOSTILE, "got": HOSTILE}
KEY = KnownKey(keyid="e" * 64, pem="-----BEGIN PUBLIC KEY-----\n", created_at=NOW, retired_at=NOW)
ARTIFACT = ArtifactView(
    sha256="b" * 64, size_bytes=10, name=HOSTILE, manifest={"x": HOSTILE}, first_submitted_at=NOW, jobs=(line(),)
)
SIGNED = {"keyid": "e" * 64, "share_id": "abc"}

PAGES = {
    "home": lambda: pages.home(
        ALICE, mine=[line(), line(State.REJECTED), line(State.RUNNING)], tracks=["local"], valsets=[]
    ),
    "home of an administrator": lambda: pages.home(
        ALICE, mine=[], everyones=[line(State.FAILED), line(State.REJECTED)], tracks=["local"], valsets=[]
    ),
    "home of nobody": lambda: pages.home(NOBODY, mine=[], tracks=[], valsets=[]),
    **{f"run {state}": lambda state=state: pages.run(ALICE, job(state), [EVENT]) for state in State},
    "report": lambda: pages.report(ALICE, job(State.ACCEPTED), accepted(HOSTILE), **SIGNED),
    "report measured": lambda: pages.report(
        ALICE, job(State.ACCEPTED), measured(HOSTILE), manifest=fields_of(MANIFEST), **SIGNED
    ),
    "report rejected": lambda: pages.report(READER, job(State.REJECTED), rejected(HOSTILE), keyid=None),
    "compare": compared,
    "compare without baseline": compared_alone,
    "compare without curves": lambda: compared(accepted),
    "compare refused": lambda: pages.compare(ALICE, choices=[row(1)], refusal=HOSTILE),
    "compare empty": lambda: pages.compare(ALICE, choices=[]),
    "leaderboard": lambda: pages.leaderboard(
        ALICE, [row(1, 1.1), row(2, 1.3)], filters(best_per_name=False, track=HOSTILE)
    ),
    "leaderboard empty": lambda: pages.leaderboard(NOBODY, [], filters()),
    "artifact": lambda: pages.artifact(ALICE, ARTIFACT),
    "artifact measured": lambda: pages.artifact(
        ALICE, replace(ARTIFACT, manifest=fields_of(MANIFEST)), measured(HOSTILE).size
    ),
    "artifact not judged": lambda: pages.artifact(ALICE, replace(ARTIFACT, manifest=fields_of(MANIFEST), jobs=())),
    "tracks": lambda: pages.tracks(ALICE, list(load_tracks().values())),
    "valsets empty": lambda: pages.valsets(ALICE, []),
    "keys": lambda: pages.keys(NOBODY, [KEY]),
    "keys empty": lambda: pages.keys(NOBODY, []),
    "login": lambda: pages.login(NOBODY, error="wrong", next_path='/"><script>'),
    "error": lambda: pages.error(NOBODY, PROBLEM),
    "docs": lambda: pages.docs(ALICE),
}
everywhere = pytest.mark.parametrize("show", PAGES.values(), ids=PAGES)


class Document(HTMLParser):
    """Collects what a policy and a reader care about."""

    VOID = frozenset({"meta", "link", "input", "img", "br"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def text(response: HTMLResponse) -> str:
    return bytes(response.body).decode()


@everywhere
def test_nothing_is_inline_and_nothing_comes_from_elsewhere(show: Any) -> None:
    for tag, attributes in Document(text(show())).tags:
        assert tag not in {"style", "iframe", "object", "base"}
        assert tag != "script" or "src" in attributes
        assert "style" not in attributes
        assert not [name for name in attributes if name.startswith("on")]
        for name in ("src", "href", "action", "hx-get"):
            address = attributes.get(name) or "/"
            assert re.match(r"/(?!/)|#", address), address


@everywhere
def test_every_element_is_closed_and_ids_are_unique(show: Any) -> None:
    found = Document(text(show()))
    assert found.open == []
    ids = [attributes["id"] for _, attributes in found.tags if "id" in attributes]
    assert len(ids) == len(set(ids))


@everywhere
def test_a_strangers_words_are_text(show: Any) -> None:
    page = text(show())
    assert "<img src=x" not in page
    assert "<script>" not in page


@everywhere
def test_every_field_has_a_name_for_those_who_do_not_see_it(show: Any) -> None:
    page = text(show())
    labelled = re.sub(r"<label>.*?</label>", "", page, flags=re.DOTALL)
    for tag, attributes in Document(page).tags:
        assert tag != "img" or "alt" in attributes
    for field in re.findall(r"<(?:input|select)[^>]*>", labelled):
        assert 'type="hidden"' in field or "aria-label" in field, field


@everywhere
def test_every_form_that_changes_something_carries_the_csrf_secret(show: Any) -> None:
    for form in re.findall(r'<form[^>]*method="post".*?</form>', text(show()), flags=re.DOTALL):
        assert 'name="csrf" value="the-csrf-secret"' in form or 'action="/login"' in form


def test_the_csrf_field_stands_before_the_file() -> None:
    page = text(pages.home(ALICE, mine=[], tracks=[], valsets=[]))
    assert page.index('name="csrf"', page.index('action="/verify"')) < page.index('name="file"')


@pytest.mark.parametrize("viewer", [NOBODY, READER, replace(ALICE, scopes=frozenset({"read"}))])
def test_who_may_not_submit_sees_no_form_to_upload_or_cancel(viewer: Viewer) -> None:
    assert 'type="file"' not in text(pages.home(viewer, mine=[], tracks=[], valsets=[]))
    assert "/cancel" not in text(pages.run(viewer, job(), []))


@pytest.mark.parametrize("scope", ["submit", "admin"])
def test_who_may_submit_sees_the_forms(scope: str) -> None:
    viewer = replace(ALICE, scopes=frozenset({scope}))
    assert 'type="file"' in text(pages.home(viewer, mine=[], tracks=[], valsets=[]))
    assert "/cancel" in text(pages.run(viewer, job(), []))


def test_an_unfinished_run_asks_again_and_a_finished_one_does_not() -> None:
    for state in State:
        page = text(pages.run(ALICE, job(state), []))
        waiting = state in {State.QUEUED, State.RUNNING}
        assert ("hx-get" in page) is waiting
        assert ('http-equiv="refresh"' in page) is waiting
        assert ("/cancel" in page) is waiting


def test_htmx_neither_writes_styles_nor_evaluates_text() -> None:
    page = text(pages.run(ALICE, job(State.QUEUED), []))
    found = re.search(r"<meta name=\"htmx-config\" content='([^']+)'>", page)
    assert found
    config = json.loads(found[1])
    assert (config["includeIndicatorStyles"], config["allowEval"]) == (False, False)
    assert page.index("htmx-config") < page.index("htmx.min.js")
    assert all("htmx" not in text(show()) for name, show in PAGES.items() if not name.startswith("run"))


def test_a_run_shows_place_progress_and_the_last_sign_of_life() -> None:
    assert "Place 3 in the queue" in text(pages.run(ALICE, job(State.QUEUED), []))
    page = text(pages.run(ALICE, job(), []))
    for words in ('<progress max="60" value="30"', "4 seconds ago", 'aria-current="step">score<', "50 %"):
        assert words in page
    assert "starts the job again" not in page
    silent = job(sign_of_life_at=NOW - timedelta(seconds=40))
    assert "starts the job again" in text(pages.run(ALICE, silent, []))


def test_a_failed_run_says_what_happened_and_what_to_do() -> None:
    page = text(pages.run(ALICE, job(State.FAILED, code="worker-lost", message="three workers died"), []))
    for words in ("worker-lost", "three workers died", "not the artifact", "Upload the same file again"):
        assert words in page


def test_a_report_shows_every_check_and_how_to_verify_it_offline() -> None:
    page = text(pages.report(ALICE, job(State.ACCEPTED), accepted("one"), **SIGNED))
    assert [name for name in CheckName if name.value not in page] == []
    assert "seedgolf report verify" in page
    assert f"/keys#key-{'e' * 64}" in page
    assert "/shares/abc/revoke" in page
    assert "Not signed yet" in text(pages.report(ALICE, job(State.ACCEPTED), accepted("one"), keyid=None))


def test_a_comparison_shows_the_test_both_rules_and_every_seed() -> None:
    page = text(compared())
    assert "Gain +0.030000 nats per token" in page
    assert (page.count(">met<"), page.count(">not met<")) == (1, 1)
    seeds = page[page.index('class="chart"') :].partition("</svg>")[0]
    assert seeds.count('<circle class="candidates"') == seeds.count('<circle class="baseline"') == 3


def test_a_comparison_lays_the_seeds_thin_under_the_means_and_shows_the_gain() -> None:
    page = text(compared())
    titles = re.findall(r"<figcaption><b>([^<]*)</b>", page)
    courses = ("along the validation set", "by position in the window")
    assert titles == [f"{what} {course}" for course in courses for what in ("Loss", "Gain")]
    losses = page[page.index("Loss along") : page.index("Gain along")]
    plot = losses[losses.index('class="plot"') : losses.index("</svg>")]
    thin, thick = ("candidate", "other"), ("candidates", "baseline")
    assert [plot.count(f'<path class="{kind}"') for kind in thin + thick] == [3, 3, 1, 1]
    gains = page[page.index("Gain along") : page.index("Loss by position")]
    assert 'class="level"' in gains
    assert "no gain" in gains


def test_without_a_baseline_there_is_no_gain_to_draw() -> None:
    page = text(compared_alone())
    assert re.findall(r"<figcaption><b>(\w+)", page) == ["Loss", "Loss"]


def test_reports_from_before_there_were_curves_are_compared_and_said_to_have_none() -> None:
    page = text(compared(accepted))
    assert "holds no curves" in page
    assert "<figure" not in page
    assert "Gain +0.030000 nats per token" in page


def test_a_report_and_its_artifact_show_the_packed_bytes_of_every_tensor() -> None:
    for name in ("report measured", "artifact measured"):
        page = text(PAGES[name]())
        assert bytes_chart.PACKED in page
        for spec in expected_tensors(MANIFEST):
            line = next(line for line in page.splitlines() if f'class="digest">{spec.name}</th>' in line)
            assert f'data-label="bytes">{spec.num_bytes:,}<' in line
            assert f'data-label="packed">{spec.num_bytes - 1:,}<' in line


def test_an_artifact_without_a_report_shows_its_tensors_before_compression() -> None:
    page = text(PAGES["artifact not judged"]())
    assert "stored tensors and their bytes" in page
    assert "packed" not in page


def test_an_error_keeps_its_status() -> None:
    assert pages.error(NOBODY, PROBLEM).status_code == 404


def test_pages_are_kept_by_nobody() -> None:
    assert pages.login(NOBODY).headers["cache-control"] == "no-store"


def test_the_record_has_only_scores_that_beat_all_before() -> None:
    scores = (1.5, 1.6, 1.4, 1.45, 1.3)
    points = [charts.Point(at=NOW + timedelta(hours=n), val_bpb=b, name=f"run {n}") for n, b in enumerate(scores)]
    chart = charts.record(points)
    assert chart is not None
    assert re.findall(r"<title>run (\d)", chart) == ["0", "2", "4"]
    assert charts.record(points[:2]) is None


@pytest.mark.parametrize(
    ("seconds", "words"), [(-3, "just now"), (0.5, "just now"), (1, "1 second ago"), (59, "59 seconds ago"),
                           (60, "1 minute ago"), (7200, "2 hours ago"), (90_000, "1 day ago")],
)  # fmt: skip
def test_ages_are_told_in_their_largest_unit(seconds: float, words: str) -> None:
    assert age(NOW - timedelta(seconds=seconds), NOW) == words


def test_the_bytes_of_a_report_sum_to_what_counts() -> None:
    size = json.loads(accepted("one").to_bytes())["size"]
    parts = bytes_chart.parts(accepted("one").size)
    known = sum(group["compressed_bytes"] for group in size["groups"]) + size["code_bytes"]
    assert sum(part.packed_bytes for part in parts) == known + size.get("overhead_bytes", 0)


@pytest.mark.parametrize(("state", "val_bpb"), [("accepted", 1.2345), ("rejected", None), ("unknown", None)])
def test_a_badge_says_the_verdict_and_nothing_else(state: str, val_bpb: float | None) -> None:
    image = badge.badge(state, val_bpb).decode()
    assert Document(image).open == []
    assert state in image
    assert ("1.2345" in image) is (val_bpb is not None)


def test_scores_on_different_validation_sets_get_no_ranks_among_each_other() -> None:
    shown = {name: filters(valset=name, valsets=["demo", "tiny"]) for name in (None, "demo")}
    mixed, one = (text(pages.leaderboard(ALICE, [row(1), row(2)], kind)) for kind in shown.values())
    assert "rank</th>" not in mixed
    assert "choose one for a ranking" in mixed
    assert "rank</th>" in one
    assert "choose one for a ranking" not in one


def test_vendored_files_are_those_that_the_list_names() -> None:
    listed = re.findall(r"^\| `([^`]+)` .*`([0-9a-f]{64})` \|$", (STATIC / "VENDORED.md").read_text(), re.MULTILINE)
    assert len(listed) == 4
    for name, sha256 in listed:
        assert hashlib.sha256((STATIC / name).read_bytes()).hexdigest() == sha256


def test_the_seeds_of_one_design_stand_together_in_the_choice_the_best_design_first() -> None:
    rows = [replace(row(rank), artifact_name=name) for rank, name in enumerate(("new", "old", "new", "old"), 1)]
    page = text(pages.compare(ALICE, choices=rows))
    places = [page.index(f"{name}, {one.artifact_sha256[:12]} as candidate") for name, one in _named(rows)]
    assert places == sorted(places)


def _named(rows: list[LeaderboardRow]) -> list[tuple[str, LeaderboardRow]]:
    return [("new", rows[0]), ("new", rows[2]), ("old", rows[1]), ("old", rows[3])]


def test_a_report_says_when_it_was_judged() -> None:
    assert "Judged <time" in text(PAGES["report"]())
