"""`seedgolf valset add|list|show|check`: the validation sets that artifacts can be judged on. No torch.

Exit codes: 0 done, 1 a set is not what was registered, 2 a name or a file is wrong. Bars go to stderr.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from glob import glob
from pathlib import Path
from typing import Final

import click
from rich import box
from rich.console import Console
from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bars
from rich.table import Table
from rich.text import Text

from artifact.usage_fault import UsageFault
from verifier import valset as valsets
from verifier.bytes_table import cross_check
from verifier.data_errors import DataError
from verifier.errors import VerifierError
from verifier.progress import Progress
from verifier.valset import Registration
from verifier.valset_registry import DEMO_NAME, Registry, default_folder

FILE: Final = click.Path(exists=True, dir_okay=False, path_type=Path)
SHOWN_DIGEST: Final = 16

folder_option = click.option(
    "--valset-dir",
    type=click.Path(file_okay=False, path_type=Path),
    help="Registered sets.  [default: ~/.local/share/seedgolf/valsets]",
)


@click.group()
def valset() -> None:
    """Register validation sets, and look at them."""


@valset.command("add", epilog="Example: seedgolf valset add mine --shards 'data/val_*.bin' --tokenizer data/mine.model")
@click.argument("name")
@click.option("--shards", "patterns", multiple=True, required=True, metavar="GLOB", help="Shards; may be repeated.")
@click.option("--tokenizer", type=FILE, required=True, help="The SentencePiece model that made them.")
@folder_option
def add(name: str, *, patterns: tuple[str, ...], tokenizer: Path, valset_dir: Path | None) -> None:
    """Measure shards and register them as the validation set NAME.

    Every document is decoded, and its bytes are compared with what the byte table counts. Files are copied. Shards are
    one stream in the order given, those of one pattern in the order of their names.
    """
    shards = [Path(found) for pattern in patterns for found in sorted(glob(pattern))]  # noqa: PTH207 - absolute ones too
    if not shards:
        raise click.BadParameter(f"no file matches {' '.join(patterns)}", param_hint="--shards")
    with faults_in_one_line(), decoding() as progress:
        registration = _registry(valset_dir).add(name, shards, tokenizer, progress=progress)
    _show(registration)


@valset.command("list", epilog="Example: seedgolf valset list")
@click.option("--json", "as_json", is_flag=True, help="Print the registrations as JSON.")
@folder_option
def list_sets(*, as_json: bool, valset_dir: Path | None) -> None:
    """List the registered sets."""
    with faults_in_one_line():
        sets = _registry(valset_dir).registrations()
    if as_json:
        click.echo(json.dumps([registration.model_dump(mode="json") for registration in sets], indent=2))
        return
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, header_style="dim")
    for column in ("name", "documents", "targets", "bytes", "tokenizer", "official", "digest"):
        table.add_column(column, justify="right" if column in {"documents", "targets", "bytes"} else "left")
    for found in sets:
        counts = (f"{count:,}" for count in (found.documents, found.targets, found.target_bytes))
        texts = (found.tokenizer_name, found.official or "", found.sha256[:SHOWN_DIGEST])
        table.add_row(found.name, *counts, *map(Text, texts))
    Console(highlight=False).print(table)
    if DEMO_NAME not in [found.name for found in sets]:
        click.echo(f"The built-in set registers itself: seedgolf valset show {DEMO_NAME}")


@valset.command("show", epilog="Example: seedgolf valset show demo")
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="Print the registration as JSON.")
@folder_option
def show(name: str, *, as_json: bool, valset_dir: Path | None) -> None:
    """Show what was measured when NAME was registered."""
    with faults_in_one_line():
        registration = _registry(valset_dir).named(name)
    if as_json:
        click.echo(registration.model_dump_json(indent=2))
    else:
        _show(registration)


@valset.command("check", epilog="Example: seedgolf valset check demo")
@click.argument("name")
@folder_option
def check(name: str, *, valset_dir: Path | None) -> None:
    """Hold NAME's files against its registration.

    Every document is decoded again, too.
    """
    with faults_in_one_line(), decoding() as progress:
        registry = _registry(valset_dir)
        opened = valsets.open_valset(registry.folder_of(registry.named(name)))
        valsets.check(opened)
        cross_check(opened.table, opened.tokenizer, opened.tokens, where=name, progress=progress)
    click.echo(f"{name}: {opened.registration.documents:,} documents, all as registered")


@contextmanager
def faults_in_one_line() -> Iterator[None]:
    """End with a message; exit code 1 where a registered set is not what it was, 2 where a name or file is wrong."""
    try:
        yield
    except DataError as error:
        raise UsageFault(f"{error.code}: {error}") from None
    except VerifierError as error:
        raise click.ClickException(f"{error.code}: {error}") from None
    except OSError as error:
        raise UsageFault(f"{error.filename or 'disk'}: {error.strerror or error}") from None


@contextmanager
def decoding() -> Iterator[Progress]:
    """A bar on stderr while documents are decoded, which takes minutes for a published set; terminals only."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Bars(*columns, console=console, transient=True, disable=not console.is_terminal) as bars:
        task = bars.add_task("decoding documents", total=None)

        def listen(done: int, total: int, /) -> None:
            bars.update(task, completed=done, total=total)

        yield listen


def _registry(folder: Path | None) -> Registry:
    return Registry(folder=folder or default_folder())


def _show(registration: Registration) -> None:
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for label, text in _facts(registration):
        table.add_row(label, Text(text))
    Console(highlight=False).print(table)


def _facts(found: Registration) -> Iterator[tuple[str, str]]:
    yield "name", found.name + (f", the official set {found.official}" if found.official else "")
    yield "digest", found.sha256
    yield "tokenizer", f"{found.tokenizer_name}, {found.vocab_size:,} pieces, {found.pieces_sha256}"
    yield "documents", f"{found.documents:,}, {found.distinct_documents:,} of them distinct"
    yield "stream", f"{found.tokens:,} tokens, {found.bytes:,} bytes of text"
    yield "scored", f"{found.targets:,} targets, {found.target_bytes:,} bytes of text"
    for shard in found.shards:
        yield shard.file, f"{shard.tokens:,} tokens, {shard.sha256}"
