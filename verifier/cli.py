"""`seedgolf verify`: judge an artifact in a sandbox and print the report. Starts without torch; the child has it.

Exit codes: 0 accepted or screened, 1 rejected, 2 usage, 3 no verdict (our fault, or an operator's limit). The report
goes to stdout, everything else to stderr.
"""

import os
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import Any, Final, NoReturn

import click
from rich.console import Console

from artifact.finite_range import FiniteRange
from artifact.format import limits
from artifact.usage_fault import UsageFault, drop_output
from verifier import render_html, render_markdown, render_terminal, sandbox
from verifier.child_environment import is_first_process, processes_here, under_torchrun
from verifier.choice import Choice, choose
from verifier.data_errors import DataError
from verifier.errors import VerifierError
from verifier.report import Report, ScoreDtype, Verdict
from verifier.settings import BATCH_TOKENS_CPU, BATCH_TOKENS_CUDA, Settings
from verifier.tracks import load_tracks
from verifier.valset_registry import Registry, default_folder
from verifier.verify_progress import watching

REJECTED: Final = 1
NO_VERDICT: Final = 3

FILE: Final = click.Path(exists=True, dir_okay=False, path_type=Path)
FILE_TO_WRITE: Final = click.Path(dir_okay=False, path_type=Path)
FOLDER: Final = click.Path(file_okay=False, path_type=Path)
BATCH_DEFAULTS: Final = f"{BATCH_TOKENS_CPU:,} tokens on a CPU, {BATCH_TOKENS_CUDA:,} on CUDA"


class NoVerdict(click.ClickException):
    """The run ended without a verdict."""

    exit_code = NO_VERDICT


def share(ctx: click.Context, param: click.Parameter, text: str | None) -> float | None:
    """A part of the whole, written `2%` or `0.02`; nothing and the whole are no samples."""
    if text is None:
        return None
    try:
        found = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    except ValueError:
        found = 0.0
    if not 0 < found < 1:
        raise click.BadParameter(f"expected a share such as 2% or 0.02, got {text!a}", ctx=ctx, param=param)
    return found


@click.command(epilog="Example: seedgolf verify run/artifact.sgolf --markdown summary.md")
@click.argument("file", type=FILE)
@click.option("--valset", "valset_name", metavar="NAME", help="Registered set.  [default: the one that FILE claims]")
@click.option("--track", "track_name", metavar="NAME", help="Limits.  [default: the first track that lists the set]")
@click.option(
    "--dtype",
    type=click.Choice([each.value for each in ScoreDtype]),
    default="float32",
    show_default=True,
    help="Of the products.",
)
@click.option("--sample", metavar="SHARE", callback=share, help="Screen a share of the windows, 2% say: no score.")
@click.option("--sample-seed", type=click.IntRange(0, 2**63 - 1), default=0, show_default=True, help="Which windows.")
@click.option("--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto", show_default=True)
@click.option("--threads", type=click.IntRange(1, 1024), help="CPU threads.  [default: all cores]")
@click.option("--batch-windows", type=click.IntRange(1, 4096), help=f"Windows a batch.  [default: {BATCH_DEFAULTS}]")
@click.option("--wall-seconds", type=FiniteRange(0, min_open=True), help="Scoring limit in place of the track's.")
@click.option("--memory-bytes", type=click.IntRange(1), help="Memory limit below the track's.")
@click.option("--valset-dir", type=FOLDER, help="Registered sets.  [default: ~/.local/share/seedgolf/valsets]")
@click.option("--track-dir", type=FOLDER, help="Folder with further tracks (TOML).")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
@click.option("--markdown", type=FILE_TO_WRITE, help="Also write the report as Markdown.")
@click.option("--html", type=FILE_TO_WRITE, help="Also write the report as an HTML page.")
def verify(
    file: Path,
    *,
    as_json: bool,
    markdown: Path | None,
    html: Path | None,
    **options: Any,  # noqa: ANN401 - click's values; Settings checks them
) -> None:
    """Judge an artifact: every check, the score, the verdict.

    Exits with 0 accepted or screened, 1 rejected, 2 usage, 3 no verdict.
    """
    for target in (markdown, html):
        _can_be_written(target)
    before = signal.signal(signal.SIGTERM, _end)
    try:
        report = _judged(file, **options)
    finally:
        signal.signal(signal.SIGTERM, before)
    if report is None:  # a process of torchrun other than the first
        return
    _print(report, as_json=as_json)
    _write(markdown, render_markdown.render(report))
    _write(html, render_html.page(report))
    sys.exit(REJECTED if report.verdict is Verdict.REJECTED else 0)


def _judged(
    file: Path,
    *,
    valset_name: str | None,
    track_name: str | None,
    valset_dir: Path | None,
    track_dir: Path | None,
    threads: int | None,
    dtype: str,
    **options: Any,  # noqa: ANN401 - click's, checked by `Settings`
) -> Report | None:
    environ = os.environ  # noqa: TID251 - only handed on: child_environment says which names the child gets
    cores = max(1, len(os.sched_getaffinity(0)) // processes_here(environ))
    settings = Settings(threads=threads or cores, dtype=ScoreDtype(dtype), **options)
    if settings.sample is not None and under_torchrun(environ):
        raise UsageFault("--sample: one process screens; start it without torchrun")
    data, choice = _opened(file, valset_name, track_name, valset_dir, track_dir)
    try:
        with watching(Console(stderr=True), draw=is_first_process(environ)) as watch:
            return sandbox.judge(
                data,
                track=choice.track,
                valset_folder=choice.valset_folder,
                settings=settings,
                environ=environ,
                watch=watch,
            )
    except VerifierError as error:
        last_words = "".join(f"; its last words: {line}" for line in error.log_tail.splitlines()[-1:])
        raise NoVerdict(f"no verdict: {error.code}: {error}{last_words}") from None
    except OSError as error:  # the child or its folder could not be made: a full disk, no more processes
        raise NoVerdict(f"no verdict: {error.filename or 'the judging process'}: {error.strerror}") from None


def _opened(
    file: Path, valset_name: str | None, track_name: str | None, valset_dir: Path | None, track_dir: Path | None
) -> tuple[bytes, Choice]:
    """The file's bytes, at most one beyond the format's cap, and by what they are judged."""
    try:
        with file.open("rb") as source:
            data = source.read(limits.MAX_FILE_BYTES + 1)
        registry = Registry(folder=(valset_dir or default_folder()).absolute())  # the judge has another folder
        tracks = load_tracks(track_dir)
        return data, choose(data, tracks=tracks, registry=registry, track_name=track_name, valset_name=valset_name)
    except DataError as error:
        raise UsageFault(f"{error.code}: {error}") from None
    except OSError as error:
        raise UsageFault(f"{error.filename or file}: {error.strerror}") from None


def _can_be_written(target: Path | None) -> None:
    """Look before the judging, which can take minutes, that its report has a place to go."""
    if target is not None and not os.access(target.parent, os.W_OK):
        raise UsageFault(f"can't write {target}: expected a folder to write into, got {target.parent}")


def _print(report: Report, *, as_json: bool) -> None:
    """The report on stdout; the exit code of a verdict is for a report that arrived."""
    console = Console(highlight=False)
    try:
        with console.capture() as page:  # rich would end a broken pipe with 1, which means rejected
            console.print(render_terminal.render(report))
        shown = page.get().encode(console.encoding, "replace")  # a page for ASCII has question marks
        click.echo(report.to_bytes() if as_json else shown, nl=False)
    except OSError as error:
        drop_output()
        raise UsageFault(f"can't write the report: {error.strerror}") from None


def _write(target: Path | None, text: str) -> None:
    if target is None:
        return
    try:
        target.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageFault(f"can't write {target}: {error.strerror}") from None


def _end(signum: int, _frame: FrameType | None) -> NoReturn:
    """End as an exception, so that the child and its folder go too."""
    sys.exit(128 + signum)
