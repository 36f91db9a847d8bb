"""The commands under `seedgolf data`: make a corpus, fetch one, look at one.

Exit codes: 0 done, 2 the command or the data are wrong, 3 the hub does not answer. Progress goes to stderr, results to
stdout.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import ParamSpec

import click
from rich import box
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Column, Table
from rich.text import Text

from artifact.finite_range import FiniteRange
from artifact.usage_fault import UsageFault
from trainer.corpus import Recipe, Stage, prepare
from trainer.corpus_files import CorpusFiles, find_corpus
from trainer.corpus_info import CorpusInfo, measure
from trainer.documents import TextUnit
from trainer.fetch import FetchError, fetch
from trainer.tokenizer_training import MIN_VOCAB_SIZE
from verifier import demo_corpus, progress
from verifier.data_errors import DataError
from verifier.shards import TOKEN_VALUES, read_shard
from verifier.tokenizer import load_tokenizer

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
FOLDER = click.Path(file_okay=False, path_type=Path)
ANY = click.Path(exists=True, path_type=Path)
VOCAB_SIZES = click.IntRange(MIN_VOCAB_SIZE, TOKEN_VALUES)
SHOWN_DIGEST = 16
REFRESHES = (
    500  # how often a bar is told of its work at most: telling it of every document would cost more than reading
)

P = ParamSpec("P")


class NoAnswer(click.ClickException):
    """The network, and nobody's data, is at fault."""

    exit_code = 3


def faults_in_one_line(command: Callable[P, None]) -> Callable[P, None]:
    """Let `command` end with a message and an exit code where data, network or disk are at fault."""

    @wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            command(*args, **kwargs)
        except FetchError as error:
            is_usage = error.where.startswith("--")  # an option asks for what the hub does not have
            raise (UsageFault if is_usage else NoAnswer)(f"{error.code}: {error}") from None
        except DataError as error:
            raise UsageFault(f"{error.code}: {error}") from None
        except OSError as error:
            raise UsageFault(f"{error.filename or 'disk'}: {error.strerror or error}") from None

    return run


@click.group()
def data() -> None:
    """Make, fetch and inspect training and validation shards."""


@data.command(
    "prepare",
    short_help="Text and jsonl files to a tokenizer and shards.",
    epilog="Example: seedgolf data prepare books/ news.jsonl --out data/mine",
)
@click.argument("inputs", type=ANY, nargs=-1, required=True)
@click.option("--out", type=FOLDER, required=True, help="Folder to make; it appears whole or not at all.")
@click.option("--tokenizer", type=FILE, help="Use this SentencePiece model; without it one is trained.")
@click.option(
    "--vocab-size", type=VOCAB_SIZES, default=1024, show_default=True, help="Pieces of the tokenizer to train."
)
@click.option(
    "--val-fraction",
    type=FiniteRange(0, 1, min_open=True, max_open=True),
    default=0.1,
    show_default=True,
    help="About this share of the documents is for validation.",
)
@click.option(
    "--documents",
    "unit",
    type=click.Choice([unit.value for unit in TextUnit]),
    default=TextUnit.FILE.value,
    show_default=True,
    help="What a document of a .txt file is.",
)
@faults_in_one_line
def prepare_command(
    *, inputs: tuple[Path, ...], out: Path, tokenizer: Path | None, vocab_size: int, val_fraction: float, unit: str
) -> None:
    """Make a tokenizer and shards of INPUTS: .txt files, .jsonl files (one document a line, key "text"), folders.

    Whole documents go to training or validation by their own digest: a document keeps its side when others are added.
    """
    recipe = Recipe(tokenizer=tokenizer, vocab_size=vocab_size, val_fraction=val_fraction, unit=TextUnit(unit))
    with stages() as stage:
        files = prepare(inputs, out, recipe, stage=stage)
    _show(files)


@data.command(
    "fetch",
    short_help="The published FineWeb shards.",
    epilog="Example: seedgolf data fetch --variant sp1024 --train-shards 10",
)
@click.option("--variant", default="sp1024", show_default=True, help="Tokenizer family of the published export.")
@click.option("--train-shards", default=10, show_default=True, help="Training shards, 100 million tokens each.")
@click.option("--out", type=FOLDER, help="Folder to fill.  [default: data/VARIANT]")
@faults_in_one_line
def fetch_command(*, variant: str, train_shards: int, out: Path | None) -> None:
    """Fetch the challenge's published FineWeb shards and tokenizer; files already there are kept."""
    from trainer.hub import HuggingFaceHub  # noqa: PLC0415 - the hub's library is slow to import

    folder = out or Path("data") / variant
    with stages() as stage:
        listener = stage(f"fetching {variant}")
        files = fetch(variant, folder, HuggingFaceHub(), train_shards=train_shards, progress=listener)
    _show(files)


@data.command("demo", short_help="The built-in corpus.", epilog="Example: seedgolf data demo --out data/demo")
@click.option("--out", type=FOLDER, default=Path("data/demo"), show_default=True, help="Folder to fill.")
@faults_in_one_line
def demo_command(*, out: Path) -> None:
    """Write the built-in corpus: 256 documents of the CIA World Factbook, the same on every machine."""
    written = demo_corpus.write_demo(out)
    files = CorpusFiles(tokenizer=written.tokenizer, train=(written.train,), val=(written.val,))
    _show(files)
    tokenizer = load_tokenizer(files.tokenizer)
    text = demo_corpus.stream_text(tokenizer, read_shard(files.val[0], vocab_size=tokenizer.vocab_size))
    click.echo(f"xz -9e needs {demo_corpus.xz_bpb(text):.4f} bits per byte for the validation text.")


@data.command("info", short_help="What a corpus holds.", epilog="Example: seedgolf data info data/demo")
@click.argument("paths", type=ANY, nargs=-1, required=True)
@click.option("--tokenizer", type=FILE, help="The shards' SentencePiece model, when PATHS are shards.")
@click.option("--decode", is_flag=True, help="Also decode every document and check its bytes.")
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
@faults_in_one_line
def info_command(*, paths: tuple[Path, ...], tokenizer: Path | None, decode: bool, as_json: bool) -> None:
    """Say what a corpus folder, or shards with their --tokenizer, hold: tokens, documents, bytes, digests."""
    if tokenizer is not None:
        model, shards = tokenizer, paths
    elif len(paths) == 1 and paths[0].is_dir():
        files = find_corpus(paths[0])
        model, shards = files.tokenizer, (*files.train, *files.val)
    else:
        raise click.UsageError("give one corpus folder, or shards together with --tokenizer MODEL")
    with stages() as stage:
        found = measure(model, shards, decode=decode, stage=stage)
    if as_json:
        click.echo(found.model_dump_json(indent=2))
    else:
        Console(highlight=False).print(info_table(found))
        if decode:
            click.echo("Every document was decoded: its bytes are those that its tokens count.")


@contextmanager
def stages() -> Iterator[Stage]:
    """Bars on stderr, one a stage; where stderr is no terminal, a line a stage."""
    console = Console(stderr=True)
    quiet = not console.is_terminal
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn())
    with Progress(*columns, TimeElapsedColumn(), TimeRemainingColumn(), console=console, disable=quiet) as bars:

        def stage(name: str) -> progress.Progress:
            if quiet:
                console.print(name, highlight=False, markup=False)
            task, shown = bars.add_task(name, total=None), 0

            def listen(done: int, total: int, /) -> None:
                nonlocal shown
                if done == total or done - shown >= total // REFRESHES:
                    shown = done
                    bars.update(task, completed=done, total=total)

            return listen

        yield stage


def info_table(found: CorpusInfo) -> Table:
    """The corpus as a table, file names as plain text."""
    model = found.tokenizer
    title = f"{model.file}: {model.vocab_size:,} pieces, digest {model.pieces_sha256[:SHOWN_DIGEST]}"
    table = Table(
        Column("shard", overflow="fold"),
        *(Column(name, justify="right", no_wrap=True) for name in ("documents", "tokens", "bytes")),
        Column("sha256", no_wrap=True),
        title=Text(title),
        title_justify="left",
        box=box.SIMPLE_HEAD,
    )
    for shard in found.shards:
        counts = (f"{count:,}" for count in (shard.documents, shard.tokens, shard.bytes))
        table.add_row(Text(shard.file), *counts, shard.sha256[:SHOWN_DIGEST])
    if len(found.shards) > 1:
        totals = [sum(column) for column in zip(*((s.documents, s.tokens, s.bytes) for s in found.shards), strict=True)]
        table.add_section()
        table.add_row("together", *(f"{count:,}" for count in totals))
    return table


def _show(files: CorpusFiles) -> None:
    """Say what a command made."""
    with stages() as stage:
        found = measure(files.tokenizer, (*files.train, *files.val), decode=False, stage=stage)
    Console(highlight=False).print(info_table(found))
    click.echo(f"In {files.tokenizer.parent}: the tokenizer and {len(found.shards)} shards.")
