"""The folder of registered validation sets: one sub-folder a set, with its shards, tokenizer and registration.

Files are copied in, so a set stays whole when its source moves, and the folder can be mounted elsewhere. The
built-in set registers itself the first time it is asked for.
"""

import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from errno import ENOENT
from pathlib import Path
from typing import Final

from artifact.format.errors import shown
from verifier import demo_corpus
from verifier.atomic_file import write_atomically
from verifier.data_errors import DataError
from verifier.progress import Progress, silent
from verifier.valset import (
    DOCUMENTS_FILE,
    NAME_PATTERN,
    REGISTRATION_FILE,
    TOKENIZER_FILE,
    Registration,
    documents_text,
    measure,
    read_registration,
    valset_sha256,
)

DEMO_NAME: Final = "demo"
DEMO_SHA256: Final = valset_sha256([demo_corpus.VAL_SHA256], pieces_sha256=demo_corpus.PIECES_SHA256)


class UnknownValset(DataError):
    """No registered set has the wanted name or digest."""

    code = "unknown-valset"


class ValsetExists(DataError):
    """The name is taken, or the same set is registered under another one."""

    code = "valset-exists"


class BadValsetName(DataError):
    """The name is not one that a set can have."""

    code = "bad-valset-name"


def default_folder() -> Path:
    """Where sets are registered unless another folder is named.

    Raises:
        FileNotFoundError: this user has no home.
    """
    try:
        return Path.home() / ".local" / "share" / "seedgolf" / "valsets"
    except RuntimeError:  # a container's user without an entry in its user database
        raise FileNotFoundError(ENOENT, "this user has no home; name a folder with --valset-dir", "~") from None


@dataclass(frozen=True, slots=True, kw_only=True)
class Registry:
    """The sets of one folder, which is made when the first is added."""

    folder: Path

    def registrations(self) -> list[Registration]:
        """Every registered set, by name.

        Raises:
            BadRegistration: a registration is none of this version.
            OSError: the folder cannot be read.
        """
        if not self.folder.is_dir():
            return []
        found = sorted(path.parent for path in self.folder.glob(f"*/{REGISTRATION_FILE}") if path.parent.name[0] != ".")
        return [read_registration(folder) for folder in found]

    def named(self, name: str) -> Registration:
        """The set called `name`; the built-in one is registered when it is missing.

        Raises:
            UnknownValset: there is none.
        """
        if name == DEMO_NAME:
            self.add_demo()
        sets = self.registrations()
        for registration in sets:
            if registration.name == name:
                return registration
        names = ", ".join(s.name for s in sets) or "none"
        raise UnknownValset(
            "validation set",
            expected=f"a registered one ({names})",
            got=shown(name),
            next_step="register it with `seedgolf valset add`",
        )

    def with_digest(self, sha256: str) -> Registration:
        """The set of that digest; the built-in one is registered when it is missing.

        Raises:
            UnknownValset: there is none.
        """
        if sha256 == DEMO_SHA256:
            self.add_demo()
        for registration in self.registrations():
            if registration.sha256 == sha256:
                return registration
        raise UnknownValset(
            "validation set",
            expected=f"one with the claimed digest {sha256}",
            got="none registered",
            next_step="register it with `seedgolf valset add`, or name another with --valset",
        )

    def folder_of(self, registration: Registration) -> Path:
        """Where a set's files lie."""
        return self.folder / registration.name

    def add_demo(self) -> None:
        """Register the built-in set unless it is there.

        Raises:
            DemoCorpusMismatch: the installed package gives another corpus.
            OSError: the folder cannot be written.
        """
        if (self.folder / DEMO_NAME / REGISTRATION_FILE).is_file():
            return
        with tempfile.TemporaryDirectory() as scratch:
            corpus = demo_corpus.write_demo(Path(scratch))
            self._copy_in(DEMO_NAME, [corpus.val], corpus.tokenizer, progress=silent)

    def add(self, name: str, shards: Sequence[Path], tokenizer: Path, *, progress: Progress = silent) -> Registration:
        """Measure and register a set; it is there whole or not at all.

        Args:
            name: lower-case letters, digits, `_`, `.` and `-`, at most 64.
            shards: in the order of the stream.
            tokenizer: the SentencePiece model that made them.
            progress: told documents.

        Raises:
            BadValsetName, ValsetExists: the name or the set cannot be added.
            DataError: a file is no shard or no tokenizer, or the byte table miscounts a document.
            OSError: a file cannot be read or written.
        """
        if not re.fullmatch(NAME_PATTERN.strip("^$"), name):
            raise BadValsetName("name", expected="lower-case letters, digits, _ . -, at most 64", got=shown(name))
        if name == DEMO_NAME:
            raise ValsetExists("name", expected="another one", got=f"{name}, the built-in set")
        if (self.folder / name).exists():
            raise ValsetExists("name", expected="a free one", got=name, next_step="name another or remove its folder")
        return self._copy_in(name, shards, tokenizer, progress=progress)

    def _copy_in(self, name: str, shards: Sequence[Path], tokenizer: Path, *, progress: Progress) -> Registration:
        self.folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=self.folder, prefix=f".{name}.") as scratch:
            place = Path(scratch) / name
            place.mkdir()
            copies = [place / f"val_{number:06}.bin" for number in range(len(shards))]
            sources = dict(zip([*copies, place / TOKENIZER_FILE], [*shards, tokenizer], strict=True))
            for copy, source in sources.items():
                shutil.copyfile(source, copy)
            with _said_of(sources):
                registration, documents = measure(
                    name, copies, place / TOKENIZER_FILE, tokenizer_name=tokenizer.stem, progress=progress
                )
            self._refuse_twin(registration)
            write_atomically(place / DOCUMENTS_FILE, documents_text(documents))
            write_atomically(place / REGISTRATION_FILE, registration.model_dump_json(indent=2).encode())
            try:
                place.rename(self.folder / name)
            except OSError:
                if not (self.folder / name / REGISTRATION_FILE).is_file():  # else another process was first
                    raise
        return registration

    def _refuse_twin(self, registration: Registration) -> None:
        for other in self.registrations():
            if other.sha256 == registration.sha256 and other.name != registration.name:
                raise ValsetExists("shards", expected="a set of their own", got=f"the registered set {other.name}")


@contextmanager
def _said_of(sources: Mapping[Path, Path]) -> Iterator[None]:
    """Let a fault of a copy name the file that a person gave."""
    try:
        yield
    except DataError as error:
        where = error.where
        for copy, source in sources.items():
            where = where.replace(str(copy), str(source))
        raise type(error)(where, expected=error.expected, got=error.got, next_step=error.next_step) from None
