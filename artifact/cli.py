"""`seedgolf inspect`, `diff` and `unpack`: looking at artifacts without torch.

Exit codes: 0 done (diff: equal), 1 different (diff alone), 2 the command or a file is wrong.
"""

import json
from pathlib import Path

import click
from rich.console import Console, RenderableType

from artifact import inspection, view
from artifact.format import container, limits, payload
from artifact.format.container import Artifact
from artifact.format.errors import ArtifactError, UnsupportedVersion
from artifact.format.tensors import expected_tensors
from artifact.usage_fault import UsageFault

FILE = click.Path(exists=True, dir_okay=False, readable=True, path_type=Path)
TENSORS_NAME = "tensors.safetensors"
MANIFEST_NAME = "manifest.json"
DAMAGED = "the file is damaged or was not written by seedgolf: pack it again, and transfer it as binary"


@click.command(epilog="Example: seedgolf inspect run/artifact.sgolf")
@click.argument("file", type=FILE)
@click.option("--tensors", "all_tensors", is_flag=True, help="List every tensor, not one line for all layers.")
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
def inspect(file: Path, *, all_tensors: bool, as_json: bool) -> None:
    """Show an artifact: what it declares, its tensors, and where its bytes went.

    Everything shown is checked against the format, nothing is scored: `seedgolf verify` judges.
    """
    found = inspection.inspect(load(file))
    if as_json:
        click.echo(json.dumps({"file": file.name} | found.to_json(), indent=2))
    else:
        show(view.inspection(found, file_name=file.name, all_tensors=all_tensors))


@click.command(epilog="Example: seedgolf diff seed-1.sgolf seed-2.sgolf")
@click.argument("first", type=FILE)
@click.argument("second", type=FILE)
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
@click.pass_context
def diff(ctx: click.Context, first: Path, second: Path, *, as_json: bool) -> None:
    """Say what differs between two artifacts: manifest fields, tensors, values.

    Exits with 0 when manifest and tensors are equal and with 1 when they differ.
    """
    found = inspection.compare(load(first), load(second))
    if as_json:
        click.echo(json.dumps(found.to_json(), indent=2))
    else:
        show(view.difference(found))
    ctx.exit(0 if found.same else 1)


@click.command(epilog="Example: seedgolf unpack run/artifact.sgolf unpacked/")
@click.argument("file", type=FILE)
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
def unpack(file: Path, folder: Path) -> None:
    """Write an artifact's tensors (safetensors) and manifest (JSON) into FOLDER; never overwrites."""
    found = load(file)
    parts = {
        TENSORS_NAME: payload.serialise(found.tensors, expected_tensors(found.manifest)),
        MANIFEST_NAME: found.manifest.to_bytes(),
    }
    standing = [folder / name for name in parts if (folder / name).exists()]
    if standing:
        raise UsageFault(f"{standing[0]} exists; name another folder or remove it")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, data in parts.items():
            with (folder / name).open("xb") as target:
                target.write(data)
            click.echo(f"{folder / name}  {len(data):,} bytes")
    except OSError as error:
        raise UsageFault(f"can't write {error.filename or folder}: {error.strerror}") from None


def load(file: Path) -> Artifact:
    """Read and check an artifact, reading at most one byte beyond the format's cap.

    Raises:
        UsageFault: with the fault's code and message.
    """
    try:
        with file.open("rb") as source:
            data = source.read(limits.MAX_FILE_BYTES + 1)
        return container.read(data)
    except ArtifactError as error:
        next_step = "upgrade seedgolf" if isinstance(error, UnsupportedVersion) else DAMAGED
        raise UsageFault(f"{file}: {error.code}: {error}; {next_step}") from None
    except OSError as error:
        raise UsageFault(f"can't read {file}: {error.strerror}") from None


def show(page: RenderableType) -> None:
    """Print a page; rich drops colours by itself when the output is no terminal."""
    Console(highlight=False).print(page)
