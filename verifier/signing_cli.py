"""`seedgolf key new` and `seedgolf report sign|verify`: reports that anyone can check offline.

Exit codes: 0 done (`verify`: the signature holds, whatever the verdict), 1 it does not, 2 the command or a file is
wrong.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import click

from artifact.format.errors import shown
from artifact.usage_fault import UsageFault
from verifier import attestation, keys
from verifier import report as reports
from verifier.atomic_file import write_atomically
from verifier.data_errors import DataError
from verifier.dsse import MAX_ENVELOPE_BYTES
from verifier.report import MAX_REPORT_BYTES, Report
from verifier.shards import file_sha256
from verifier.signing_errors import BadKey, SigningError

FILE: Final = click.Path(exists=True, dir_okay=False, path_type=Path)
NEW_FILE: Final = click.Path(dir_okay=False, path_type=Path)
ENVELOPE_SUFFIX: Final = ".dsse"


@contextmanager
def faults_in_one_line() -> Iterator[None]:
    """End with a message; exit code 1 where a signed report does not hold, 2 where another file is at fault."""
    try:
        yield
    except DataError as error:
        is_answer = isinstance(error, SigningError) and not isinstance(error, BadKey)
        raise (click.ClickException if is_answer else UsageFault)(f"{error.code}: {error}") from None
    except OSError as error:
        raise UsageFault(f"{error.filename or 'disk'}: {error.strerror or error}") from None


@click.group()
def key() -> None:
    """Make the keys that sign reports."""


@key.command("new", epilog="Example: seedgolf key new --out judge.pem")
@click.option("--out", type=NEW_FILE, default=Path("seedgolf-key.pem"), show_default=True, help="Private key to make.")
def new(*, out: Path) -> None:
    """Make an Ed25519 key to sign reports with.

    OUT is the private half (mode 0600), OUT.pub is for everyone. Nothing is overwritten.
    """
    made = keys.new_key()
    with faults_in_one_line():
        keys.write_key(out, made)
    click.echo(f"private  {out}  keep it; whoever has it signs in your name")
    click.echo(f"public   {keys.public_path(out)}")
    click.echo(f"keyid    {made.public.keyid}")


@click.group()
def report() -> None:
    """Sign reports, and check signed ones."""


@report.command("sign", epilog="Example: seedgolf report sign report.json --key judge.pem")
@click.argument("file", metavar="REPORT.json", type=FILE)
@click.option("--key", "key_file", type=FILE, required=True, help="Private key, as `seedgolf key new` makes it.")
@click.option("--out", type=NEW_FILE, help="Signed report to write.  [default: REPORT.dsse]")
def sign_command(*, file: Path, key_file: Path, out: Path | None) -> None:
    """Sign what `seedgolf verify --json` printed.

    The result is an in-toto Statement in a DSSE envelope.
    """
    target = out or file.with_suffix(ENVELOPE_SUFFIX)
    with faults_in_one_line():
        signed = reports.parse(read_at_most(file, MAX_REPORT_BYTES))
        signer = keys.read_private_key(key_file)
        write_atomically(target, attestation.sign(signed, signer))
    click.echo(f"{target}  signed by {signer.public.keyid}")


@report.command("verify", epilog="Example: seedgolf report verify report.dsse --key judge.pem.pub --artifact run.sgolf")
@click.argument("file", type=FILE)
@click.option(
    "--key", "key_files", type=FILE, multiple=True, required=True, help="Trusted public key; may be repeated."
)
@click.option("--artifact", type=FILE, help="Also check that the report is about this file.")
@click.option("--json", "as_json", is_flag=True, help="Print the signed report as JSON.")
def verify_command(*, file: Path, key_files: tuple[Path, ...], artifact: Path | None, as_json: bool) -> None:
    """Check a signed report offline.

    Says who signed it, that no byte changed, and what it claims.
    Exits with 0 when the signature holds, also over a rejecting report: read the verdict.
    """
    with faults_in_one_line():
        trusted = [keys.read_public_key(path) for path in key_files]
        found = attestation.verify(read_at_most(file, MAX_ENVELOPE_BYTES), trusted)
        if artifact is not None:
            found.check_artifact(file_sha256(artifact))
    if as_json:
        click.echo(found.report.to_bytes(), nl=False)
    else:
        click.echo("\n".join(summary(found.report, keyid=found.keyid, artifact=artifact)))


def summary(found: Report, *, keyid: str, artifact: Path | None) -> Iterator[str]:
    """What a verified report says, in a few plain lines."""
    yield f"signature  holds; key {keyid}"
    this = f", the file {artifact}" if artifact is not None else ""
    yield f"artifact   {found.artifact.sha256}{this}"
    yield f"name       {shown(found.artifact.name or attestation.UNNAMED)}"
    yield f"verdict    {found.verdict}{f' ({found.code})' if found.code else ''}, track {found.track.name}"
    if found.score is not None and found.valset is not None:
        score = found.score
        yield f"score      val_bpb {score.val_bpb:.6f}, val_loss {score.val_loss:.6f} nats/token, {score.dtype}"
        yield f"measured   on {found.valset.name}: {score.tokens:,} targets, {score.bytes:,} bytes"


def read_at_most(path: Path, most_bytes: int) -> bytes:
    """The file's bytes, and at most one beyond the cap that its parser refuses."""
    with path.open("rb") as file:
        return file.read(most_bytes + 1)
