"""A folder that holds a corpus: one tokenizer, training shards, validation shards, told apart by their names.

`data prepare`, `data fetch` and `data demo` all leave such a folder, and `train --data` takes one.
"""

from dataclasses import dataclass
from pathlib import Path

from verifier.data_errors import DataError


class BadCorpusFolder(DataError):
    """The folder holds no corpus, or more than one."""

    code = "bad-corpus-folder"


@dataclass(frozen=True, slots=True, kw_only=True)
class CorpusFiles:
    """The files of a corpus; shards in the order of their names, at least one of each kind."""

    tokenizer: Path
    train: tuple[Path, ...]
    val: tuple[Path, ...]


def find_corpus(directory: Path) -> CorpusFiles:
    """The corpus in `directory`: `*.model`, `*train*.bin` and `*val*.bin`.

    Raises:
        BadCorpusFolder: a kind is missing, or there are several tokenizers.
    """
    models = sorted(directory.glob("*.model"))
    if len(models) != 1:
        raise BadCorpusFolder(str(directory), expected="one tokenizer (*.model)", got=str(len(models)), next_step=NEXT)
    train, val = _shards(directory, "train"), _shards(directory, "val")
    return CorpusFiles(tokenizer=models[0], train=train, val=val)


NEXT = "make the folder with `seedgolf data prepare`, `fetch` or `demo`"


def _shards(directory: Path, split: str) -> tuple[Path, ...]:
    shards = tuple(sorted(directory.glob(f"*{split}*.bin")))
    if not shards:
        raise BadCorpusFolder(str(directory), expected=f"{split} shards (*{split}*.bin)", got="none", next_step=NEXT)
    return shards
