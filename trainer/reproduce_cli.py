"""`seedgolf reproduce`: train an artifact again on this machine and say whether its score can be had that way.

Exit codes: 0 reproduced; 1 not reproduced, or the file is rejected; 2 the command, a file or the data are wrong;
3 inconclusive, or the judge gave no verdict; 128 + the signal's number when a signal ended it. Progress goes to stderr,
results to stdout.
"""

import os
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, Final

import click
from rich.console import Console

from artifact.finite_range import FiniteRange
from artifact.format.limits import MAX_FILE_BYTES
from trainer.cli import FILE, FOLDER, faults_in_one_line
from trainer.corpus_files import find_corpus
from trainer.interrupt import Interrupt
from trainer.reproduce import Again, NotAccepted, reproduce
from trainer.reproduction import Outcome, Reproduction
from verifier import precheck, sandbox
from verifier.atomic_file import write_atomically
from verifier.case import Case
from verifier.checks import Docket
from verifier.child_environment import TAKEN_OVER
from verifier.choice import Choice, choose
from verifier.errors import JudgeCancelled, VerifierError
from verifier.report import Report
from verifier.settings import Settings
from verifier.significance import SEED_SD_NATS
from verifier.tracks import load_tracks
from verifier.valset_registry import Registry, default_folder
from verifier.verify_progress import watching

REPORT_FILE: Final = "report.json"
NO_VERDICT: Final = 3
EXIT_CODES: Final = {Outcome.REPRODUCED: 0, Outcome.NOT_REPRODUCED: 1, Outcome.INCONCLUSIVE: NO_VERDICT}


class NoVerdict(click.ClickException):
    """The judge ended without a verdict."""

    exit_code = NO_VERDICT


@click.command("reproduce", epilog="Example: seedgolf reproduce entry.sgolf --data data/sp1024 --out runs/again")
@click.argument("file", type=FILE)
@click.option("--out", type=FOLDER, required=True, help="Run folder to make; the report is written into it, too.")
@click.option("--data", "corpus", type=FOLDER, help="Corpus folder.  [default: the built-in corpus]")
@click.option("--track", "track_name", metavar="NAME", help="Limits.  [default: the first track that lists the set]")
@click.option("--valset", "valset_name", metavar="NAME", help="Registered set.  [default: the one that FILE claims]")
@click.option("--valset-dir", type=FOLDER, help="Registered sets.  [default: ~/.local/share/seedgolf/valsets]")
@click.option("--track-dir", type=FOLDER, help="Folder with further tracks (TOML).")
@click.option("--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto", show_default=True)
@click.option(
    "--seed-sd",
    type=FiniteRange(0, min_open=True),
    default=SEED_SD_NATS,
    show_default=True,
    help="Standard deviation between seeds of such runs, nats per token, as `seedgolf compare` prints it.",
)
@click.option("--json", "as_json", is_flag=True, help="Print FILE's report, training measured, as JSON.")
def reproduce_command(
    *,
    file: Path,
    out: Path,
    corpus: Path | None,
    device: str,
    seed_sd: float,
    as_json: bool,
    **names: Any,  # noqa: ANN401 - click's values; `chosen` takes them
) -> None:
    """Train FILE again from the recipe in its manifest, under the track's limit, and compare the two scores.

    FILE may be better than its twin by what two runs differ by luck. Under torchrun every process takes its share:
    torchrun --nproc-per-node 8 -m seedgolf reproduce entry.sgolf --data data/sp1024 --out runs/again
    """
    interrupt, console = Interrupt(), Console(stderr=True)
    with faults_in_one_line():
        data = read_artifact(file)
        choice = chosen(data, **names)
        again = Again(
            data=data,
            files=find_corpus(corpus) if corpus else None,
            out=out,
            device=device,
            track=choice.track,
            seed_sd=seed_sd,
        )
        refuse_early(data, choice)
        judge = partial(judged_alone, choice=choice, device=device, console=console, interrupt=interrupt)
        with interrupt.listening():
            found = reproduce(again, judge=judge, console=console, interrupt=interrupt, now=time.monotonic)
        if found is None:
            sys.exit(interrupt.exit_code)
        report = found.amended_report().to_bytes()
        write_atomically(out / REPORT_FILE, report)
    click.echo(report if as_json else "\n".join(summary(found, out / REPORT_FILE)), nl=not as_json)
    sys.exit(EXIT_CODES[found.outcome])


def read_artifact(file: Path) -> bytes:
    """The file's bytes, and at most one beyond the cap that the reader refuses."""
    with file.open("rb") as source:
        return source.read(MAX_FILE_BYTES + 1)


def chosen(
    data: bytes, *, track_name: str | None, valset_name: str | None, track_dir: Path | None, valset_dir: Path | None
) -> Choice:
    """The track and the validation set that judge both files."""
    registry = Registry(folder=(valset_dir or default_folder()).absolute())
    return choose(
        data, tracks=load_tracks(track_dir), registry=registry, track_name=track_name, valset_name=valset_name
    )


def refuse_early(data: bytes, choice: Choice) -> None:
    """Do not train for a file that the cheap checks reject.

    Raises:
        NotAccepted: naming the first check's code.
    """
    case = Case(data=data, track=choice.track, registration=choice.registration, settings=Settings())
    docket = Docket()
    for checks in (precheck.FIRST, precheck.LAST):
        if docket.code is None:
            precheck.run(case, docket, checks)
    if docket.code is not None:
        raise NotAccepted(f"the file: expected an accepted artifact, got one that is rejected ({docket.code})")


def judged_alone(data: bytes, *, choice: Choice, device: str, console: Console, interrupt: Interrupt) -> Report:
    """The judge's report of an artifact, from one process, also under torchrun; ends the process after a signal.

    Raises:
        NoVerdict: the judge gave none.
    """
    environ = {name: os.environ[name] for name in TAKEN_OVER if name in os.environ}  # noqa: TID251 - only handed on
    settings = Settings.model_validate({"threads": len(os.sched_getaffinity(0)), "device": device})
    try:
        with watching(console, draw=True) as watch:
            report = sandbox.judge(
                data,
                track=choice.track,
                valset_folder=choice.valset_folder,
                settings=settings,
                environ=environ,
                watch=watch,
                cancelled=lambda: interrupt.requested,
            )
    except JudgeCancelled:
        sys.exit(interrupt.exit_code)
    except VerifierError as error:
        raise NoVerdict(f"no verdict: {error.code}: {error}") from None
    assert report is not None  # it is, without torchrun's variables
    return report


def summary(found: Reproduction, report: Path) -> Iterator[str]:
    """What came out, in a few lines for a terminal."""
    for what, judged, evidence in (("file", found.file, "claimed"), ("twin", found.twin, "measured")):
        score, training = judged.score, judged.training
        yield (
            f"{what}  val_loss {score.val_loss:.6f}  val_bpb {score.val_bpb:.6f}"
            f"  {training.steps:,} steps in {training.train_seconds:.1f} s, {evidence}"
        )
    if found.same_bits:
        yield "every target has the same nats in both"
    yield f"twin minus file {found.excess:+.6f} nats per token; luck allows {found.tolerance:.6f} (one-sided, 1 %)"
    is_slower = found.outcome is Outcome.INCONCLUSIVE
    why = ": fewer steps than the file claims, on a machine that is not the track's" if is_slower else ""
    yield f"{found.outcome.value.replace('-', ' ')}{why}; {report}"
