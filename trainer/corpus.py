"""Prepare a corpus: text and jsonl files to a tokenizer and shards of whole documents, split by their own digests.

Three passes over the files, none of which holds them in memory: find where to cut the split, train the tokenizer on
training documents, encode. The folder appears whole or not at all. Every shard is decoded again and its bytes
compared with the byte table before it is kept: what training and scoring count is the text as the tokenizer sees it
(normalised).
"""

import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from trainer.corpus_files import CorpusFiles, find_corpus
from trainer.documents import NoDocuments, TextUnit, documents, find_texts
from trainer.tokenizer_training import train_tokenizer
from verifier.atomic_file import write_atomically
from verifier.bytes_table import bytes_table, cross_check
from verifier.data_errors import DataError
from verifier.document_split import is_validation, split_position
from verifier.progress import Progress, silent
from verifier.shards import Tokens, write_shard
from verifier.tokenizer import Tokenizer, load_tokenizer, parse_tokenizer

SHARD_TOKENS = 100_000_000  # as the published export has them
TOKENIZER_TEXT_CHARACTERS = 100_000_000  # SentencePiece holds what it learns from in memory
DOCUMENTS_PER_CALL = 256
TOKENIZER_FILE = "tokenizer.model"

Stage = Callable[[str], Progress]
"""Called with the name of the work that begins; gives the listener of that work."""


class FolderNotEmpty(DataError):
    """The folder to make is already in use."""

    code = "folder-not-empty"


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How to make a corpus.

    Attributes:
        tokenizer: a SentencePiece model to use, or None to train one of `vocab_size` pieces.
        vocab_size: pieces of a tokenizer that is trained.
        val_fraction: about this share of the documents, 0 < f < 1, and at least one, is for validation.
        unit: what a document of a .txt file is.
        shard_tokens: a shard is closed before it would exceed this; a longer document has a shard of its own.
    """

    tokenizer: Path | None = None
    vocab_size: int = 1024
    val_fraction: float = 0.1
    unit: TextUnit = TextUnit.FILE
    shard_tokens: int = SHARD_TOKENS


def no_stage(name: str) -> Progress:  # noqa: ARG001 - the signature of Stage
    """The stage that nobody listens to."""
    return silent


def prepare(inputs: Sequence[Path], out: Path, recipe: Recipe, *, stage: Stage = no_stage) -> CorpusFiles:
    """Make the folder `out` with a tokenizer, training shards and validation shards of the documents in `inputs`.

    The same documents, recipe and tokenizer library give the same bytes.

    Raises:
        DataError: nothing to read, a bad document, a tokenizer that cannot be trained or used, `out` in use.
        OSError: a file cannot be read or written.
    """
    if not 0 < recipe.val_fraction < 1:
        raise ValueError(f"val_fraction: expected 0 < f < 1, got {recipe.val_fraction}")
    paths = find_texts(inputs)
    given = None if recipe.tokenizer is None else load_tokenizer(recipe.tokenizer)
    with _new_folder(out) as folder:
        cut = _split_cut(documents(paths, unit=recipe.unit, progress=stage("reading")), recipe.val_fraction)
        if given is None:
            stage("training the tokenizer")
        tokenizer = given or _trained(documents(paths, unit=recipe.unit), cut, vocab_size=recipe.vocab_size)
        write_atomically(folder / TOKENIZER_FILE, tokenizer.processor.serialized_model_proto())
        texts = documents(paths, unit=recipe.unit, progress=stage("encoding"))
        _write_splits(folder, texts, tokenizer, cut=cut, shard_tokens=recipe.shard_tokens)
    return find_corpus(out)


class _SplitWriter:
    """Collects the documents of one split and writes them as shards."""

    def __init__(self, folder: Path, split: str, tokenizer: Tokenizer, *, shard_tokens: int) -> None:
        self._folder, self._split, self._tokenizer, self._shard_tokens = folder, split, tokenizer, shard_tokens
        self._table = bytes_table(tokenizer)
        self._held: list[Tokens] = []
        self._held_tokens = self._shards = 0

    def add(self, document: Tokens) -> None:
        if self._held_tokens + len(document) > self._shard_tokens:
            self.close()
        self._held.append(document)
        self._held_tokens += len(document)

    def close(self) -> None:
        """Check and write what is held, if anything."""
        if not self._held:
            return
        name = f"{self._split}_{self._shards:06d}.bin"
        tokens = np.concatenate(self._held)
        cross_check(self._table, self._tokenizer, tokens, where=name)
        write_shard(self._folder / name, tokens)
        self._held.clear()
        self._held_tokens, self._shards = 0, self._shards + 1


@contextmanager
def _new_folder(out: Path) -> Iterator[Path]:
    """A folder beside `out` that takes its place when the block succeeds, and goes when it does not."""
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise FolderNotEmpty(str(out), expected="a new or empty folder", got="one in use", next_step="choose another")
    partial = out.resolve().with_name(f".{out.resolve().name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        yield partial
        partial.replace(out)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _split_cut(texts: Iterable[str], val_fraction: float) -> float:
    """Where to cut the positions of documents: at `val_fraction`, moved so far that neither split is empty."""
    lowest, highest = 1.0, 0.0
    for position in map(split_position, texts):
        lowest, highest = min(lowest, position), max(highest, position)
    if lowest >= highest:
        raise NoDocuments(
            "corpus",
            expected="at least two different documents, one to train on and one to validate on",
            got="none" if lowest > highest else "one",
            next_step="give more text, or split it with `--documents blank-line`",
        )
    return min(max(val_fraction, float(np.nextafter(lowest, 1.0))), highest)


def _trained(texts: Iterable[str], cut: float, *, vocab_size: int) -> Tokenizer:
    training = (text for text in texts if not is_validation(text, val_fraction=cut))
    return parse_tokenizer(train_tokenizer(_first_characters(training), vocab_size=vocab_size))


def _first_characters(texts: Iterable[str]) -> Iterator[str]:
    """The first documents, TOKENIZER_TEXT_CHARACTERS or a little more of them."""
    taken = 0
    for text in texts:
        yield text
        taken += len(text)
        if taken >= TOKENIZER_TEXT_CHARACTERS:
            return


def _write_splits(folder: Path, texts: Iterator[str], tokenizer: Tokenizer, *, cut: float, shard_tokens: int) -> None:
    train, val = (_SplitWriter(folder, split, tokenizer, shard_tokens=shard_tokens) for split in ("train", "val"))
    while group := list(islice(texts, DOCUMENTS_PER_CALL)):
        for text, tokens in zip(group, tokenizer.encode(group), strict=True):
            if len(tokens) > 1:  # more than BOS: control characters alone normalise to nothing
                (val if is_validation(text, val_fraction=cut) else train).add(tokens)
    for writer in (train, val):
        writer.close()
