"""A training run from its request to its result: the table of contents of this package."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from trainer import overrides, toml
from trainer.config import Config
from trainer.corpus_files import CorpusFiles, find_corpus
from trainer.errors import RunFolderError
from trainer.finish import Finished, finish
from trainer.inputs import read_inputs
from trainer.interrupt import Interrupt, Interrupted
from trainer.loop import train
from trainer.metrics import Listener, Listeners
from trainer.progress import Terminal
from trainer.rebuild import rescore
from trainer.recipe import recipe_text
from trainer.result import Numbers, result
from trainer.run import Run, Surroundings
from trainer.runfolder import RunFolder, occupied, open_folder, write_files, write_json, write_text
from trainer.runlog import RunLog
from trainer.setup import set_up
from trainer.world import World, joined
from verifier.demo_corpus import write_demo


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What a person asked for.

    Attributes:
        config: what to train.
        files: the data; None for the built-in corpus, written into the run folder.
        out: the run folder.
        device: "auto", "cpu" or "cuda".
        resume: go on with the run in `out`.
        tensorboard: write TensorBoard's files, too.
    """

    config: Config
    files: CorpusFiles | None
    out: Path
    device: str
    resume: bool
    tensorboard: bool


def run_training(
    request: Request, *, console: Console, interrupt: Interrupt, now: Callable[[], float]
) -> Numbers | None:
    """Train, pack and prove; rank 0 gets the numbers, the others None.

    Raises:
        TrainerError: see `trainer.errors`.
        DataError: the data's fault.
        ArtifactError: a network that cannot be packed.
        OSError: a file that cannot be read or written.
    """
    with ExitStack() as held:
        with joined(device=request.device) as world:
            run, finished = _train(request, world, held, console=console, interrupt=interrupt, now=now)
        held.callback(run.listeners.close)
        return None if finished is None else _prove(run, finished)


def _train(
    request: Request,
    world: World,
    held: ExitStack,
    *,
    console: Console,
    interrupt: Interrupt,
    now: Callable[[], float],
) -> tuple[Run, Finished | None]:
    """Everything that the processes do together; the listeners stay open unless it fails, and `held` has the folder."""
    folder, files = _open(request, world, held)
    listeners = Listeners(_listeners(request, folder, console, now) if world.is_main else ())
    try:
        inputs = read_inputs(files, request.config.model)
        around = Surroundings(world=world, folder=folder, listeners=listeners, interrupt=interrupt, now=now)
        run = set_up(request.config, inputs, around, resume=request.resume)
        return run, finish(run, train_loss=train(run))
    except BaseException:
        listeners.close()
        raise


def _open(request: Request, world: World, held: ExitStack) -> tuple[RunFolder, CorpusFiles]:
    """Rank 0 makes the folder and writes down what is about to happen; the others wait for it.

    Raises:
        RunFolderError: it cannot; the others are told, for they would wait until their launcher kills them.
    """
    folder, refused = RunFolder(root=request.out), True
    try:
        if world.is_main:
            open_folder(request.out, resume=request.resume)
            held.enter_context(occupied(request.out))
            _write_down(request, folder)
        refused = False
    finally:
        refused = bool(world.largest(refused))
    if refused:
        raise RunFolderError(f"{request.out}: the first process could not begin the run; it says why")
    return folder, request.files or find_corpus(folder.data)


def _write_down(request: Request, folder: RunFolder) -> None:
    write_text(folder.config, toml.dumps(overrides.to_table(request.config)))
    write_text(folder.recipe, recipe_text(request.config))
    if request.files is None:
        write_demo(folder.data)
    else:
        write_files(folder.data_files, request.files)


def _listeners(request: Request, folder: RunFolder, console: Console, now: Callable[[], float]) -> Sequence[Listener]:
    listeners: list[Listener] = [RunLog(folder.metrics), Terminal(console, now=now)]
    if request.tensorboard:
        from trainer.tensorboard import TensorBoard  # noqa: PLC0415 - an extra, imported when asked for

        listeners.append(TensorBoard(folder.root / "tensorboard"))
    return listeners


def _prove(run: Run, finished: Finished) -> Numbers:
    """Have a fresh process score the file, and write down what came out.

    Raises:
        RebuildMismatch: it scored something else, or nothing; the result is written first.
    """
    numbers = result(run, finished)
    write_json(run.folder.result, numbers)
    if run.folder.is_finished:  # there is nothing to go on with
        run.folder.checkpoint.unlink(missing_ok=True)
    if finished.claimed is not None:
        run.listeners.note("rebuilding the network from the file alone, in a fresh process")
        try:
            rebuilt = rescore(run, finished.claimed)
        except Interrupted:
            run.listeners.note(f"not rebuilt: `seedgolf verify {run.folder.artifact}` rebuilds and scores it as well")
            return numbers
        numbers |= rebuilt.numbers
        write_json(run.folder.result, numbers)
        rebuilt.check(run.folder.artifact)
    return numbers
