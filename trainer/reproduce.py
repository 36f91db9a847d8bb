"""Train an artifact again from the recipe in its manifest, on this machine and under the track's limit, and compare.

The run is the trainer's own (`session.run_training`), the scores are the verifier's own: file and twin go through one
judge. The recipe's steps and seconds bound the run, so a faster machine does not train longer than was claimed.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from artifact.format import container
from artifact.format.manifest import Manifest
from trainer.config import BudgetConfig, Config
from trainer.corpus_files import CorpusFiles
from trainer.errors import TrainerError
from trainer.interrupt import Interrupt
from trainer.recipe import recipe_config
from trainer.reproduction import Judged, Reproduction
from trainer.runfolder import RunFolder
from trainer.session import Request, run_training
from verifier import demo_corpus
from verifier.report import Report, Verdict
from verifier.shards import file_sha256
from verifier.significance import SEED_SD_NATS, same_run_tolerance
from verifier.tokenizer import load_tokenizer
from verifier.tracks import Track

Judge = Callable[[bytes], Report]
SHOWN_DIGEST = 16


class OtherData(TrainerError):
    """The data at hand are not those the artifact was trained on."""

    code = "other-data"


class NotAccepted(TrainerError):
    """The judge does not accept the file, or not its twin, so there are no two scores to compare."""

    code = "not-accepted"


@dataclass(frozen=True, slots=True, kw_only=True)
class Again:
    """What a person asked for.

    Attributes:
        data: the artifact's bytes.
        files: the corpus to train on; None for the built-in one.
        out: the run folder to make.
        device: "auto", "cpu" or "cuda".
        track: whose training limit holds.
        seed_sd: standard deviation between seeds of such runs, nats per token.
    """

    data: bytes
    files: CorpusFiles | None
    out: Path
    device: str
    track: Track
    seed_sd: float = SEED_SD_NATS


def reproduce(
    again: Again, *, judge: Judge, console: Console, interrupt: Interrupt, now: Callable[[], float]
) -> Reproduction | None:
    """Train again and compare.

    Args:
        again: what to train.
        judge: gives an artifact's report; all scores come from it.
        console: where the run shows itself.
        interrupt: asked whether to stop.
        now: a monotonic clock in seconds.

    Returns:
        None in a process of torchrun other than the first, and when a signal ended the run.

    Raises:
        TrainerError: BadRecipe, OtherData, NotAccepted, or the run's own.
        ArtifactError: the file is no artifact.
        DataError: a corpus file is none.
        OSError: a file cannot be read or written.
    """
    manifest = container.read(again.data).manifest
    config = under_limit(recipe_config(manifest), steps=_steps(manifest), limit_seconds=again.track.train_seconds)
    check_data(manifest, again.files)
    request = Request(
        config=config, files=again.files, out=again.out, device=again.device, resume=False, tensorboard=False
    )
    numbers = run_training(request, console=console, interrupt=interrupt, now=now)
    if numbers is None or interrupt.requested:
        return None
    twin = judged(RunFolder(root=again.out).artifact.read_bytes(), judge, "its retrained twin")
    return Reproduction(
        file=judged(again.data, judge, "the file"),
        twin=twin,
        tolerance=same_run_tolerance(again.seed_sd),
        on_reference=is_reference(again.track, twin),
    )


def is_reference(track: Track, twin: Judged) -> bool:
    """Whether the twin was trained on the hardware on whose clock the track's times are meant."""
    reference, training = track.reference_hardware, twin.training
    return reference is not None and reference.is_met_by(device=training.device, count=training.world_size)


def under_limit(config: Config, *, steps: int, limit_seconds: float | None) -> Config:
    """The recipe with no more steps than were claimed and no more seconds than the track allows."""
    limits = [seconds for seconds in (config.budget.train_seconds, limit_seconds) if seconds]
    budget = BudgetConfig(
        train_seconds=min(limits, default=0.0),
        max_steps=steps or config.budget.max_steps,
        margin_seconds=config.budget.margin_seconds,
    )
    return config.model_copy(update={"budget": budget})


def check_data(manifest: Manifest, files: CorpusFiles | None) -> None:
    """Refuse to train on anything but what the manifest declares.

    Raises:
        OtherData: shards or tokenizer have other digests.
        DataError, OSError: a file is no tokenizer or cannot be read.
    """
    declared = manifest.training.train_shards if manifest.training else ()
    given, pieces = _digests(files)
    where = "the built-in corpus" if files is None else "the given corpus"
    if pieces != manifest.tokenizer.pieces_sha256:
        expected, got = _listed([manifest.tokenizer.pieces_sha256]), _listed([pieces])
        raise OtherData(f"{where}: expected the tokenizer with pieces {expected}, got {got}; give --data")
    if not declared:
        raise OtherData("training.train_shards: expected the digests of the training shards, got none")
    if given != declared:
        raise OtherData(f"{where}: expected training shards {_listed(declared)}, got {_listed(given)}; give --data")


def judged(data: bytes, judge: Judge, what: str) -> Judged:
    """An artifact with its accepting report.

    Raises:
        NotAccepted: the report rejects it, or scored a sample only.
    """
    report, training = judge(data), container.read(data).manifest.training
    if report.verdict is not Verdict.ACCEPTED or report.score is None or training is None:
        got = f"{report.verdict}" + (f" ({report.code})" if report.code else "")
        raise NotAccepted(f"{what}: expected an accepted artifact, got one that is {got}; see `seedgolf verify`")
    return Judged(training=training, report=report, score=report.score)


def _digests(files: CorpusFiles | None) -> tuple[tuple[str, ...], str]:
    """The training shards' digests and the tokenizer's."""
    if files is None:
        return (demo_corpus.TRAIN_SHA256,), demo_corpus.PIECES_SHA256
    return tuple(file_sha256(path) for path in files.train), load_tokenizer(files.tokenizer).pieces_sha256


def _steps(manifest: Manifest) -> int:
    return manifest.training.steps if manifest.training else 0


def _listed(digests: Sequence[str]) -> str:
    """A few digests, cut to what a person compares."""
    shown = ", ".join(digest[:SHOWN_DIGEST] for digest in digests[:3])
    return f"{shown} and {len(digests) - 3} more" if len(digests) > 3 else shown or "none"
