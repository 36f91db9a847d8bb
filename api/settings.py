"""The settings of the service, and the only file of this package that reads the environment.

Every process of a server (API, workers, maintenance commands) reads the same `SEEDGOLF_*` variables; `seedgolf serve`
fills them in for the processes that it starts. docs/settings.md lists them; a test keeps the two equal.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from api.hardware_class import HardwareClass

PREFIX: Final = "SEEDGOLF_"
DEFAULT_PORT: Final = 8765
BASE_URL: Final = r"^https?://([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?/?$"
"""Without a path: the pages lie at the root of their host."""
BLOBS: Final = r"^(s3://[^/]|file:///)"
SPELT: Final = {
    "SEEDGOLF_BASE_URL": "an address like https://golf.example.org, without a path",
    "SEEDGOLF_BLOBS": "file:///FOLDER or s3://BUCKET/PREFIX",
}
EVERY_ADDRESS: Final = frozenset({"0.0.0.0", "::"})  # noqa: S104 - compared with, not bound


class BadSetting(ValueError):
    """A variable has a value that it cannot have."""


def _words(value: object) -> object:
    return tuple(filter(None, (word.strip() for word in value.split(",")))) if isinstance(value, str) else value


class Settings(BaseModel):
    """The settings; each is the variable of its name in capitals, with the prefix.

    Attributes:
        data: the server's folder: embedded database, blobs, keys, validation sets, the admin token.
        database: DSN of an external PostgreSQL; the embedded one without it.
        postgres: folder with PostgreSQL's programs for the embedded database and for dumps; searched for without it.
        blobs: `s3://bucket/prefix` or `file:///folder` for artifacts; a folder in `data` without it.
        host, port: where the API listens; port 0 takes a free one.
        base_url: the address under which people reach the pages; made of host and port without it.
        allowed_hosts: host names that requests may name, besides those of `base_url` and of this machine's loopback.
        public_read: pages, reports and leaderboard are open to anonymous readers (artifact bytes never are).
        worker_class: which jobs a worker of this machine takes.
        threads: CPU threads of one run; all cores of the machine shared by its workers without it.
        valsets: folder of registered validation sets; in `data` without it.
        tracks: folder with further tracks.
        signing_key: private key file that workers sign with; made in `data` without it.
        quota_verdicts, quota_window_seconds: verdicts, queued and running jobs of one owner within the window.
        quota_unfinished: queued and running jobs of one owner at once.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    data: Path = Field(default_factory=lambda: Path.home() / ".local" / "share" / "seedgolf" / "server")
    database: str | None = None
    postgres: Path | None = None
    blobs: Annotated[str, Field(pattern=BLOBS)] | None = None
    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = DEFAULT_PORT
    base_url: Annotated[str, Field(pattern=BASE_URL)] | None = None
    allowed_hosts: Annotated[tuple[str, ...], BeforeValidator(_words)] = ()
    public_read: bool = False
    worker_class: HardwareClass = HardwareClass.CPU
    threads: Annotated[int, Field(ge=1, le=1024)] | None = None
    valsets: Path | None = None
    tracks: Path | None = None
    signing_key: Path | None = None
    quota_verdicts: Annotated[int, Field(ge=1)] = 200
    quota_window_seconds: Annotated[int, Field(ge=1)] = 86_400
    quota_unfinished: Annotated[int, Field(ge=1)] = 50

    @property
    def valset_folder(self) -> Path:
        """Where validation sets are registered."""
        return self.valsets or self.data / "valsets"

    @property
    def blob_url(self) -> str:
        """Where artifacts are kept."""
        return self.blobs or (self.data / "blobs").absolute().as_uri()

    @property
    def key_file(self) -> Path:
        """The private key that workers sign with."""
        return self.signing_key or self.data / "keys" / "signing.pem"

    @property
    def token_file(self) -> Path:
        """The admin token that the first start writes."""
        return self.data / "admin-token"

    @property
    def address_file(self) -> Path:
        """Where `seedgolf serve` writes the address while it answers; `seedgolf submit` finds the server by it."""
        return self.data / "address"

    @property
    def url(self) -> str:
        """The address of the pages, without a slash at its end."""
        host = "localhost" if self.host in EVERY_ADDRESS else f"[{self.host}]" if ":" in self.host else self.host
        return (self.base_url or f"http://{host}:{self.port}").rstrip("/")

    def environ(self) -> dict[str, str]:
        """The variables that give these settings again; law: `load(s.environ()) == s`."""
        values: dict[str, Any] = self.model_dump(mode="json", exclude_none=True)
        return {
            PREFIX + name.upper(): ",".join(value) if isinstance(value, list) else str(value)
            for name, value in values.items()
        }

    def replaced(self, **changes: object) -> Self:
        """The settings with some of them changed, None for unchanged, and checked again."""
        given = {name: value for name, value in changes.items() if value is not None}
        return type(self).model_validate(self.model_dump() | given)


def inherited() -> dict[str, str]:
    """All variables of this process, only to be handed on: `verifier.child_environment` picks the few that it needs."""
    return dict(os.environ)  # noqa: TID251 - this is the file


def load(environ: Mapping[str, str] = os.environ) -> Settings:  # noqa: TID251 - this is the file
    """Read the settings from variables.

    Raises:
        BadSetting: a value is not allowed; names the variable.
    """
    found = {name: environ[key] for name in Settings.model_fields if environ.get(key := PREFIX + name.upper())}
    try:
        return Settings.model_validate(found)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        variable = PREFIX + str(first["loc"][0]).upper()
        wanted = f"expected {SPELT[variable]}" if variable in SPELT else first["msg"]
        raise BadSetting(f"{variable}: {wanted}, got {first['input']!a}") from None
