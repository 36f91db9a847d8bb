"""What a run reads: the training shards, the validation stream, the tokenizer, and the digests that identify them."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field

from artifact.format import canonical, limits, manifest
from artifact.format.architecture import ModelConfig
from trainer.corpus_files import CorpusFiles
from trainer.errors import ConfigError
from verifier.bytes_table import BytesTable, bytes_table
from verifier.shards import Tokens, file_sha256, read_shard, read_stream
from verifier.tokenizer import Tokenizer, load_tokenizer
from verifier.valset import valset_sha256


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """The data of a run, mapped into memory and checked.

    Attributes:
        files: where they lie; only the run folder knows.
        tokenizer: made both streams.
        table: its bytes per token.
        train: one stream a shard.
        val: the whole validation stream.
        train_digests: SHA-256 of each training shard's file.
        valset_sha256: identity of the validation set.
    """

    files: CorpusFiles
    tokenizer: Tokenizer = field(repr=False)
    table: BytesTable = field(repr=False)
    train: tuple[Tokens, ...] = field(repr=False)
    val: Tokens = field(repr=False)
    train_digests: tuple[str, ...]
    valset_sha256: str

    @property
    def sha256(self) -> str:
        """The identity of all of it: a run goes on with the same data only."""
        declared = {"train": list(self.train_digests), "valset": self.valset_sha256}
        return hashlib.sha256(canonical.dumps(declared)).hexdigest()

    @property
    def declared_tokenizer(self) -> manifest.Tokenizer:
        """What the manifest says of the tokenizer."""
        return manifest.Tokenizer(
            name=self.files.tokenizer.stem[: limits.MAX_TEXT_CHARACTERS],
            vocab_size=self.tokenizer.vocab_size,
            pieces_sha256=self.tokenizer.pieces_sha256,
        )


def read_inputs(files: CorpusFiles, model: ModelConfig) -> Inputs:
    """Read and check the data that a model is to be trained on.

    Raises:
        ConfigError: the tokenizer has another number of pieces than the model, or the shards are none to train on.
        DataError: a file is no tokenizer or no shard.
        OSError: a file cannot be read.
    """
    tokenizer = load_tokenizer(files.tokenizer)
    if tokenizer.vocab_size != model.vocab_size:
        got = f"{files.tokenizer} has {tokenizer.vocab_size} pieces, model.vocab_size is {model.vocab_size}"
        raise ConfigError(f"{got}; add --set model.vocab_size={tokenizer.vocab_size}")
    val_digests = [file_sha256(path) for path in files.val]
    train_digests = tuple(file_sha256(path) for path in files.train)
    _check_training(files, train_digests, val_digests)
    return Inputs(
        files=files,
        tokenizer=tokenizer,
        table=bytes_table(tokenizer),
        train=tuple(read_shard(path, vocab_size=tokenizer.vocab_size) for path in files.train),
        val=read_stream(files.val, vocab_size=tokenizer.vocab_size),
        train_digests=train_digests,
        valset_sha256=valset_sha256(val_digests, pieces_sha256=tokenizer.pieces_sha256),
    )


def _check_training(files: CorpusFiles, train_digests: Sequence[str], val_digests: Sequence[str]) -> None:
    """Refuse at once what the manifest could not declare after the training, or the verifier would reject."""
    if len(files.train) > limits.MAX_TRAIN_SHARDS:
        expected = f"at most {limits.MAX_TRAIN_SHARDS}, which the manifest can name"
        raise ConfigError(f"training shards: expected {expected}, got {len(files.train)}; give fewer, larger ones")
    for path, digest in zip(files.train, train_digests, strict=True):
        if digest in val_digests:
            raise ConfigError(f"{path}: expected a shard for training alone, got one of validation; give other shards")
