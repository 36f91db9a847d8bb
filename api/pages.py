"""The pages: one function a page, from plain values to HTML.

They work without JavaScript; only the run page moves by itself with it. Knows no request and no SQL: routes bring what
is shown. All templates are escaped; the two pieces of ready HTML are a report's fragment and the charts, which escape
for themselves.
"""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, Final

from fastapi.responses import HTMLResponse
from markupsafe import Markup

from api import charts, compared_curves, declared
from api.states import State
from api.store.jobs import EventRow, JobView
from api.store.keys import KnownKey
from api.store.leaderboard import ArtifactView, JobLine, LeaderboardRow
from api.store.valsets import KnownValset
from api.templating import page
from api.viewer import Filters, Viewer
from verifier import bytes_chart, render_html
from verifier.compare import Comparison
from verifier.compare_cli import RULES
from verifier.report import CheckName, Report, SizeRecord
from verifier.scored_run import Entry
from verifier.tracks import Track

__all__ = [
    "Filters",
    "Viewer",
    "artifact",
    "compare",
    "docs",
    "error",
    "home",
    "keys",
    "leaderboard",
    "login",
    "report",
    "run",
    "tracks",
    "valsets",
]

SILENT: Final = timedelta(seconds=25)
"""Since the last sign of life: two heartbeats and a half."""


def home(
    viewer: Viewer,
    *,
    mine: Sequence[JobLine],
    everyones: Sequence[JobLine] | None = None,
    offset: int = 0,
    older: int | None = None,
    tracks: Sequence[str],
    valsets: Sequence[str],
) -> HTMLResponse:
    """The form to upload, one's own submissions, and for an operator everyone's; no page says whose a job is.

    Args:
        viewer: who looks.
        mine: the viewer's own submissions.
        everyones: those of all, for an operator.
        offset: how many submissions the lists leave out, the last ones.
        older: the offset at which they go on; None where they end here.
        tracks: to choose from.
        valsets: to choose from.
    """
    return page(
        "home.html",
        viewer,
        mine=mine,
        everyones=everyones,
        offset=offset,
        older=older,
        tracks=tracks,
        valsets=valsets,
    )


def run(viewer: Viewer, job: JobView, events: Sequence[EventRow]) -> HTMLResponse:
    """A job: where it stands and what happened to it."""
    stages = [name.value for name in CheckName]
    number = stages.index(job.stage) if job.stage in stages else -1
    heard = job.sign_of_life_at
    silent = job.state is State.RUNNING and heard is not None and viewer.now - heard > SILENT
    return page(
        "run.html", viewer, job=job, events=list(events)[::-1], stages=stages, stage_number=number, is_silent=silent
    )


def report(
    viewer: Viewer,
    job: JobView,
    report: Report,
    *,
    keyid: str | None,
    share_id: str | None = None,
    manifest: Mapping[str, Any] | None = None,
) -> HTMLResponse:
    """A report, its signature and its badge.

    Args:
        viewer: who looks.
        job: the report's.
        report: the report.
        keyid: of the key that signed it; None before.
        share_id: of the viewer's own badge.
        manifest: what the artifact declares, for the table of tensors.
    """
    return page(
        "report.html",
        viewer,
        job=job,
        report=report,
        fragment=Markup(render_html.fragment(report)),  # noqa: S704 - render_html escapes
        tensors=declared.tensors(declared.read(manifest), report.size),
        packed_note=bytes_chart.PACKED,
        keyid=keyid,
        share_id=share_id,
    )


def compare(
    viewer: Viewer,
    *,
    choices: Sequence[LeaderboardRow],
    candidates: Sequence[Entry] = (),
    baseline: Sequence[Entry] = (),
    found: Comparison | None = None,
    refusal: str | None = None,
) -> HTMLResponse:
    """Reports to choose from, and what the chosen ones say; `refusal` is why they cannot be compared."""
    groups = [("Candidates", found.candidates)] if found else []
    if found and found.baseline:
        groups.append(("Baseline", found.baseline))
    return page(
        "compare.html",
        viewer,
        choices=_together(choices),
        picked={entry.label for entry in candidates},
        beaten={entry.label for entry in baseline},
        found=found,
        groups=groups,
        chart=charts.seeds(found) if found else None,
        curves=compared_curves.charts(found.curves) if found and found.curves else None,
        rules=RULES,
        refusal=refusal,
    )


def _together(choices: Sequence[LeaderboardRow]) -> list[LeaderboardRow]:
    """The runs of one name beside each other, the name with the best run first, and its runs in time."""
    names = list(dict.fromkeys(row.artifact_name for row in choices))
    return sorted(choices, key=lambda row: (names.index(row.artifact_name), row.submitted_at))


def leaderboard(viewer: Viewer, rows: Sequence[LeaderboardRow], filters: Filters) -> HTMLResponse:
    """The accepted artifacts, the best first; with the history the record over time, where one ruler measured it."""
    is_one_ruler = len({(row.valset_sha256, row.track_sha256) for row in rows}) == 1
    is_history = is_one_ruler and not (filters.best_per_name or filters.more or filters.offset)
    points = [
        charts.Point(at=row.submitted_at, val_bpb=row.val_bpb, name=row.artifact_name or row.artifact_sha256)
        for row in rows
    ]
    return page(
        "leaderboard.html", viewer, rows=rows, filters=filters, chart=charts.record(points) if is_history else None
    )


def artifact(viewer: Viewer, view: ArtifactView, size: SizeRecord | None = None) -> HTMLResponse:
    """An artifact: its jobs, what its manifest declares, and where its bytes went as a report measured it."""
    manifest = declared.read(view.manifest)
    return page(
        "artifact.html",
        viewer,
        view=view,
        facts=list(declared.facts(manifest)) if manifest else [],
        tensors=declared.tensors(manifest, size),
        packed_note=bytes_chart.PACKED,
        manifest_text=declared.text(view.manifest) if view.manifest else "",
    )


def tracks(viewer: Viewer, tracks: Sequence[Track]) -> HTMLResponse:
    """The limits that artifacts are judged by."""
    return page("tracks.html", viewer, tracks=tracks)


def valsets(viewer: Viewer, sets: Sequence[KnownValset]) -> HTMLResponse:
    """The validation sets, each once with the classes of workers that have it."""
    classes: dict[str, list[str]] = {}
    for one in sets:
        classes.setdefault(one.sha256, []).append(one.hardware_class.value)
    first = {one.sha256: one for one in reversed(sets)}
    return page("valsets.html", viewer, sets=[(first[digest], found) for digest, found in classes.items()])


def keys(viewer: Viewer, keys: Sequence[KnownKey]) -> HTMLResponse:
    """The public keys, the one in use first."""
    return page("keys.html", viewer, keys=keys)


def login(viewer: Viewer, *, error: str | None = None, next_path: str = "/") -> HTMLResponse:
    """The form that exchanges a token for a session."""
    return page("login.html", viewer, error=error, next_path=next_path)


def error(viewer: Viewer, problem: Mapping[str, Any]) -> HTMLResponse:
    """A refusal: what was expected, what came, what to do."""
    return page("error.html", viewer, status=problem["status"], problem=problem)


def docs(viewer: Viewer) -> HTMLResponse:
    """The API's own description, to try it out."""
    return page("docs.html", viewer)
