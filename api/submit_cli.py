"""`seedgolf submit`: check an artifact here, send it to a server, follow the job, print the report as `verify` does.

Exit codes: 0 accepted, or submitted without --wait; 1 rejected, here or there; 2 usage; 3 no verdict. The report goes
to stdout, everything else to stderr. Starts without torch.
"""

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, TypeVar

import click
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn

from api.client import BUSY, Client, Job
from api.client_errors import BadAddress, ClientError, NotReached, Refused
from api.hardware_class import HardwareClass
from api.settings import BadSetting, load
from api.states import VERDICTS
from artifact.finite_range import FiniteRange
from artifact.format import limits
from artifact.usage_fault import UsageFault
from verifier import render_markdown, render_terminal
from verifier.precheck import precheck
from verifier.report import BadReport, Report, Verdict
from verifier.tracks import UnknownTrack, load_tracks, named, track_for

REJECTED: Final = 1
NO_VERDICT: Final = 3
TRIES: Final = 5
CLASSES: Final = click.Choice([each.value for each in HardwareClass])
FILE: Final = click.Path(exists=True, dir_okay=False, path_type=Path)
FILE_TO_WRITE: Final = click.Path(dir_okay=False, path_type=Path)
T = TypeVar("T")


class NoVerdict(click.ClickException):
    """There is no verdict, and that is not the artifact's fault."""

    exit_code = NO_VERDICT


@click.command(epilog="Example: seedgolf submit run/artifact.sgolf --server https://golf.example.org --wait")
@click.argument("file", type=FILE)
@click.option("--server", envvar="SEEDGOLF_SERVER", metavar="URL", help="Address.  [default: the one on this machine]")
@click.option(
    "--token",
    envvar="SEEDGOLF_TOKEN",
    metavar="TOKEN",
    help="Better in the variable SEEDGOLF_TOKEN.  [default: this machine's server's own]",
)
@click.option("--valset", metavar="NAME", help="Validation set.  [default: the one that FILE claims]")
@click.option("--track", metavar="NAME", help="Limits.  [default: the first track that lists the set]")
@click.option("--class", "worker_class", type=CLASSES, help="Workers to ask.  [default: the server's choice]")
@click.option("--wait", is_flag=True, help="Wait for the verdict, and print the report.")
@click.option("--wait-seconds", type=FiniteRange(0, min_open=True), help="Wait no longer than this.")
@click.option("--summary", type=FILE_TO_WRITE, help="Append the report as Markdown, for a CI job's summary.")
@click.option("--json", "as_json", is_flag=True, help="Print the report, or the job without --wait, as JSON.")
def submit(
    file: Path,
    *,
    server: str | None,
    token: str | None,
    wait: bool,
    wait_seconds: float | None,
    summary: Path | None,
    as_json: bool,
    worker_class: str | None,
    **question: str | None,
) -> None:
    """Send an artifact to a server and wait for its verdict.

    Exits with 0 accepted (or submitted, without --wait), 1 rejected, 2 usage, 3 no verdict. The same file asked about
    again is the same job.
    """
    console = Console(stderr=True, highlight=False)
    data = _read(file)
    if summary is not None and not os.access(summary.parent, os.W_OK):  # looked at before the wait, not after it
        raise UsageFault(f"can't write {summary}: expected a folder to write into, got {summary.parent}")
    early = _checked_here(data, question["track"])
    if early is not None:
        console.print("rejected here, before any upload", style="bold")
        _show(early, summary=summary, as_json=as_json)
        sys.exit(REJECTED)
    url, found = _server_and_token(server, token)
    with _told(url), Client(url, found) as client:
        wanted = HardwareClass(worker_class) if worker_class else None
        job = _uploaded(client, data, file.name, console, worker_class=wanted, **question)
        page = client.server + job.links["page"]
        console.print(f"job {job.id}\npage {page}", soft_wrap=True)
        if job.workers_alive == 0:
            console.print(f"no {job.hardware_class} worker is there now; the job waits for one", style="bold")
        if not (wait or wait_seconds):
            click.echo(job.model_dump_json(indent=2) if as_json else f"{job.state}: {page}")
            return
        job = _followed(client, job, console, seconds=wait_seconds)
        if job.state not in VERDICTS:
            raise NoVerdict(f"no verdict: {job.state}{f': {job.code}: {job.message}' if job.code else ''}")
        report = client.report(job.id)
    _show(report, summary=summary, as_json=as_json, page=page)
    sys.exit(REJECTED if report.verdict is Verdict.REJECTED else 0)


def _read(file: Path) -> bytes:
    """The file's bytes, at most one beyond the format's cap."""
    try:
        with file.open("rb") as source:
            return source.read(limits.MAX_FILE_BYTES + 1)
    except OSError as error:
        raise UsageFault(f"{file}: {error.strerror}") from None


def _checked_here(data: bytes, track_name: str | None) -> Report | None:
    """The report of a file that fails the cheap checks under the named limits; the server knows more tracks than we."""
    tracks = load_tracks()
    try:
        track = named(tracks, track_name) if track_name else track_for(tracks, valset_sha256="", official=None)
    except UnknownTrack:
        return None
    return precheck(data, track=track, registration=None)


def _server_and_token(server: str | None, token: str | None) -> tuple[str, str]:
    """Where to send, and as whom: as given, else the server of this machine and the token that it wrote."""
    try:
        settings = load()
        address = settings.address_file.read_text().strip() if settings.address_file.is_file() else ""
        own = settings.token_file.read_text().strip() if settings.token_file.is_file() else ""
    except BadSetting as error:
        raise UsageFault(str(error)) from None
    except OSError as error:
        raise UsageFault(f"{error.filename}: {error.strerror}") from None
    url = (server or address).rstrip("/")
    if not url:
        raise UsageFault("no server: name one with --server URL, or start one here with `seedgolf serve`")
    found = token or (own if url == address else "")
    if not found:
        raise UsageFault(f"no token for {url}: give one with --token, or in SEEDGOLF_TOKEN")
    return url, found


def _uploaded(
    client: Client, data: bytes, name: str, console: Console, *, worker_class: HardwareClass | None, **names: str | None
) -> Job:
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(f"uploading {name}", total=len(data))

        def sent(done: int, _total: int) -> None:
            progress.update(task, completed=done)

        return _tried(lambda: client.submit(data, worker_class=worker_class, sent=sent, **names))


def _tried(ask: Callable[[], T]) -> T:
    """Ask, and ask again where the server is busy: submitting twice is submitting once."""
    for attempt in range(TRIES):
        try:
            return ask()
        except Refused as refusal:
            if refusal.status not in BUSY or refusal.code == "over-quota" or attempt == TRIES - 1:
                raise
            time.sleep(min(30.0, refusal.retry_after_seconds or 2.0**attempt))
    raise AssertionError("the last try returns or raises")


def _followed(client: Client, job: Job, console: Console, *, seconds: float | None) -> Job:
    """The job at its end, with a line that says where it stands; ctrl-C leaves it running."""
    columns = (TextColumn("{task.description:<34}"), BarColumn())
    progress = Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
    try:
        with progress:
            task = progress.add_task("", total=None)
            for now in client.follow(job.id, seconds=seconds):
                stage = now.progress
                progress.update(task, description=_line(now), completed=stage.done or 0, total=stage.total)
    except KeyboardInterrupt:
        raise NoVerdict(f"stopped waiting; the job goes on: {client.server}{job.links['page']}") from None
    return now


def _line(job: Job) -> str:
    place = f", place {job.position} in the queue" if job.position else ""
    if job.workers_alive == 0:
        place = f", no {job.hardware_class} worker there"
    attempt = f", attempt {job.attempt}" if job.attempt > 1 else ""
    stage = f": {job.progress.stage}" if job.progress.stage else ""
    return f"{job.state}{place}{attempt}{stage}"


def _show(report: Report, *, summary: Path | None, as_json: bool, page: str | None = None) -> None:
    if summary is not None:
        try:
            with summary.open("a") as file:
                file.write(render_markdown.render(report) + (f"\n[The report's page]({page})\n" if page else ""))
        except OSError as error:
            raise UsageFault(f"can't write {summary}: {error.strerror}") from None
    if as_json:
        click.echo(report.to_bytes(), nl=False)
    else:
        Console(highlight=False).print(render_terminal.render(report))


@contextmanager
def _told(url: str) -> Iterator[None]:
    """The client's faults as one line and an exit code; `url` is whom it asks."""
    try:
        yield
    except BadAddress as error:
        raise UsageFault(str(error)) from None
    except NotReached as error:
        raise NoVerdict(f"{url}: {error}; is it running? try again, the same file is the same job") from None
    except Refused as error:
        fault: type[click.ClickException] = NoVerdict if error.status >= 500 or error.status in BUSY else UsageFault
        raise fault(f"the server refused: {error}") from None
    except (BadReport, ClientError) as error:
        raise NoVerdict(str(error)) from None
