"""`seedgolf token`: who may use a server. A secret is shown once, on standard output; everything else is not secret."""

import asyncio
import json
import re
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, TypeVar

import click
from rich.console import Console
from rich.table import Table
from sqlalchemy.ext.asyncio import AsyncConnection

from api import database
from api.cli_settings import data_option, faults_told, settings_with
from api.first_start import LINK_SECONDS
from api.server_database import reached
from api.settings import Settings
from api.store import tokens
from api.store.tokens import Scope, Token
from artifact.usage_fault import UsageFault

OWNER: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,63}")
DURATION: Final = re.compile(r"([1-9][0-9]{0,5})([dh])")
UNITS: Final = {"d": "days", "h": "hours"}

Answer = TypeVar("Answer")


def owner_name(ctx: click.Context, param: click.Parameter, text: str) -> str:
    """A name to count quotas by: letters, digits and `. _ @ + -`."""
    if not OWNER.fullmatch(text):
        raise click.BadParameter(f"expected up to 64 of A-Z a-z 0-9 . _ @ + -, got {text!a}", ctx=ctx, param=param)
    return text


def expiry(ctx: click.Context, param: click.Parameter, text: str | None) -> datetime | None:
    """A time from now (`30d`, `12h`), or a date, at whose beginning it ends (UTC)."""
    if text is None:
        return None
    try:
        match = DURATION.fullmatch(text)
        given = timedelta(**{UNITS[match[2]]: int(match[1])}) if match else None
        when = datetime.now(UTC) + given if given else datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        when = datetime.min.replace(tzinfo=UTC)
    if when <= datetime.now(UTC):
        raise click.BadParameter(f"expected 30d, 12h or a coming date 2031-12-31, got {text!a}", ctx=ctx, param=param)
    return when


def id_of(_ctx: click.Context, _param: click.Parameter, text: str) -> str:
    """A token's middle part; of a whole token, which is what one has at hand, the rest is neither used nor shown."""
    parts = text.strip().split("_", 2)
    return parts[1] if len(parts) == 3 and parts[0] == "sg" else text  # sg_<id>_<secret>


@click.group()
def token() -> None:
    """Make, list and revoke the tokens of a server."""


@token.command(epilog="Example: seedgolf token new --owner ada --scope submit --scope read --expires 90d")
@click.option("--owner", required=True, callback=owner_name, help="Whose it is; quotas and withdrawals go by it.")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    type=click.Choice([each.value for each in Scope]),
    default=[Scope.SUBMIT.value, Scope.READ.value],
    show_default=True,
    help="What it allows; admin allows everything.",
)
@click.option("--expires", metavar="WHEN", callback=expiry, help="30d, 12h, or a date.  [default: never]")
@click.option("--json", "as_json", is_flag=True, help="Print the token with its id as JSON.")
@data_option
def new(owner: str, scopes: tuple[str, ...], expires: datetime | None, as_json: bool, data: Path | None) -> None:
    """Make a token and print it; it cannot be shown again."""

    async def story(connection: AsyncConnection) -> tokens.NewToken:
        return await tokens.new(connection, owner=owner, scopes=map(Scope, scopes), expires_at=expires)

    made = _told(data, story)
    click.echo(json.dumps(_shown(made.token) | {"token": made.text}, indent=2) if as_json else made.text)


@token.command("list", epilog="Example: seedgolf token list --json")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@data_option
def list_tokens(as_json: bool, data: Path | None) -> None:
    """Show every token ever made, without its secret."""
    shown = [_shown(each) for each in _told(data, tokens.list_all)]
    if as_json:
        click.echo(json.dumps(shown, indent=2))
        return
    table = Table(box=None, pad_edge=False)
    for name in ("id", "owner", "scopes", "made", "expires", "last used", "revoked"):
        table.add_column(name, no_wrap=name not in {"owner", "scopes"}, overflow="fold")
    for row in shown:
        times = [(row[name] or "–")[:10] for name in ("created_at", "expires_at", "last_used_at", "revoked_at")]
        table.add_row(row["id"], row["owner"], " ".join(row["scopes"]), *times)
    Console().print(table)


@token.command(epilog="Example: seedgolf token revoke 1f0c7d2e9a44")
@click.argument("token_id", metavar="ID", callback=id_of)
@data_option
def revoke(token_id: str, data: Path | None) -> None:
    """Make a token worthless at once.

    The browser sessions that came of it end too. ID is the token's middle part.
    """

    async def story(connection: AsyncConnection) -> bool:
        return await tokens.revoke(connection, token_id)

    if not _told(data, story):
        raise UsageFault(f"token {token_id!a}: expected one that is not revoked, got none; see `token list`")
    click.echo(f"revoked {token_id}", err=True)


@token.command(epilog="Example: seedgolf token link 1f0c7d2e9a44")
@click.argument("token_id", metavar="ID", callback=id_of)
@data_option
def link(token_id: str, data: Path | None) -> None:
    """Print an address that logs a browser in once.

    It is good for a quarter of an hour, and logs in as the holder of token ID.
    """

    async def story(connection: AsyncConnection) -> str | None:
        usable = await tokens.by_id(connection, token_id)
        return await tokens.new_link(connection, token_id, LINK_SECONDS) if usable else None

    code = _told(data, story)
    if code is None:
        raise UsageFault(f"token {token_id!a}: expected one in use, got none; see `seedgolf token list`")
    click.echo(f"{_address(settings_with(data=data))}/login?link={code}")


def _address(settings: Settings) -> str:
    """Where people reach the server: as this environment says, or as the server that is running here wrote down."""
    if settings.base_url or not settings.address_file.is_file():
        return settings.url
    return settings.address_file.read_text().strip()


def _told(data: Path | None, story: Callable[[AsyncConnection], Awaitable[Answer]]) -> Answer:
    """What `story` answers, in one transaction on the server's database."""

    async def transaction(dsn: str) -> Answer:
        async with database.engine(dsn, pooled=False).begin() as connection:
            return await story(connection)

    with faults_told(), reached(settings_with(data=data)) as dsn:
        return asyncio.run(transaction(dsn))


def _shown(token: Token) -> dict[str, Any]:
    times = {"created_at": token.created_at, "expires_at": token.expires_at}
    times |= {"last_used_at": token.last_used_at, "revoked_at": token.revoked_at}
    shown = {name: when.astimezone(UTC).isoformat(timespec="seconds") if when else None for name, when in times.items()}
    return {"id": token.id, "owner": token.owner, "scopes": sorted(token.scopes), **shown}
