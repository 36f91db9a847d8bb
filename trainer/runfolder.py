"""The folder of a run: which file is where, and whether a folder can take a run."""

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from trainer.corpus_files import CorpusFiles
from trainer.errors import RunFolderError
from verifier.atomic_file import write_atomically

FINISHED = ("max_steps", "train_seconds")
"""How a run ends by itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFolder:
    """`root` and what lies in it; only rank 0 writes."""

    root: Path

    @property
    def config(self) -> Path:
        """The resolved config, as `--config` reads it."""
        return self.root / "config.toml"

    @property
    def recipe(self) -> Path:
        """The config without seeds and labels, as the manifest carries it: canonical JSON."""
        return self.root / "recipe.json"

    @property
    def metrics(self) -> Path:
        """One JSON object a line: steps, validations, notes."""
        return self.root / "metrics.jsonl"

    @property
    def checkpoint(self) -> Path:
        """The latest state that a run can go on from."""
        return self.root / "checkpoint.safetensors"

    @property
    def artifact(self) -> Path:
        """The entry."""
        return self.root / "artifact.sgolf"

    @property
    def result(self) -> Path:
        """What came out, in numbers."""
        return self.root / "result.json"

    @property
    def data(self) -> Path:
        """The built-in corpus, where no other data were given."""
        return self.root / "data"

    @property
    def data_files(self) -> Path:
        """Which other data were given."""
        return self.root / "data.json"

    @property
    def is_finished(self) -> bool:
        """Whether the run ended by itself, and not by a signal or a fault."""
        try:
            return json.loads(self.result.read_text("utf-8"))["ended_by"] in FINISHED
        except (OSError, ValueError, KeyError, TypeError):
            return False


def open_folder(root: Path, *, resume: bool) -> RunFolder:
    """The folder `root` for a new run, or for one that goes on.

    Raises:
        RunFolderError: it holds a run and `resume` is not set, or it cannot be made.
    """
    folder = RunFolder(root=root)
    if not resume and (folder.metrics.exists() or folder.artifact.exists()):
        can_go_on = folder.checkpoint.exists() and not folder.is_finished
        advice = f"go on with `seedgolf train --resume --out {root}`, or " if can_go_on else ""
        raise RunFolderError(f"{root}: this folder holds a run; {advice}take another --out")
    try:
        root.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunFolderError(f"{root}: the run folder cannot be made ({error.strerror})") from None
    return folder


@contextmanager
def occupied(root: Path) -> Iterator[None]:
    """Inside, `root` takes no other process's run: two would write over each other's checkpoint and log.

    Raises:
        RunFolderError: another process's run is there.
    """
    handle = os.open(root, os.O_RDONLY)
    try:
        with suppress(OSError):  # a file system without locks
            _lock(handle, root)
        yield
    finally:
        os.close(handle)


def _lock(handle: int, root: Path) -> None:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise RunFolderError(f"{root}: another process trains here; wait for its end, or take another --out") from None


def write_text(path: Path, text: str) -> None:
    """Write `text` to `path` atomically."""
    write_atomically(path, text.encode())


def write_json(path: Path, value: Mapping[str, object]) -> None:
    """Write `value` to `path` atomically, for people and programs."""
    write_text(path, json.dumps(value, indent=2) + "\n")


def write_files(path: Path, files: CorpusFiles) -> None:
    """Write down where the data lie, so that a run can go on without being told again."""
    table = {"tokenizer": [files.tokenizer], "train": files.train, "val": files.val}
    write_json(path, {kind: [str(file.resolve()) for file in paths] for kind, paths in table.items()})


def read_files(path: Path) -> CorpusFiles:
    """Where the data of a run lie.

    Raises:
        RunFolderError: the file is not one that `write_files` wrote.
    """
    try:
        table = json.loads(path.read_text("utf-8"))
        tokenizer, train, val = ([Path(name) for name in table[kind]] for kind in ("tokenizer", "train", "val"))
        return CorpusFiles(tokenizer=tokenizer[0], train=tuple(train), val=tuple(val))
    except (OSError, ValueError, KeyError, IndexError, TypeError):
        raise RunFolderError(f"{path}: expected the data files of a run; start again without --resume") from None
