"""What a corpus holds, measured from its files: tokens, documents, bytes, digests. `data info` prints it."""

from collections.abc import Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from trainer.corpus import Stage, no_stage
from verifier.bytes_table import bytes_table, cross_check, stream_totals
from verifier.shards import file_sha256, read_shard
from verifier.tokenizer import Tokenizer, load_tokenizer


class Info(BaseModel):
    """A frozen value of the report."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")


class TokenizerInfo(Info):
    """A tokenizer and the digest it is known by."""

    file: str
    vocab_size: int
    pieces_sha256: str


class ShardInfo(Info):
    """A shard: `bytes` is the UTF-8 text of its documents, `sha256` the digest of the file."""

    file: str
    documents: int
    tokens: int
    bytes: int
    sha256: str


class CorpusInfo(Info):
    """A tokenizer and shards made with it; `decoded` says whether every document was decoded to check its bytes."""

    tokenizer: TokenizerInfo
    shards: tuple[ShardInfo, ...]
    decoded: bool


def measure(model: Path, shards: Sequence[Path], *, decode: bool, stage: Stage = no_stage) -> CorpusInfo:
    """Read tokenizer and shards and say what they hold.

    Args:
        model: the SentencePiece model.
        shards: the shards in the order to list them.
        decode: also decode every document and compare its bytes with the byte table's.
        stage: told of each shard.

    Raises:
        DataError: a file is not what it should be.
        OSError: a file cannot be read.
    """
    tokenizer = load_tokenizer(model)
    return CorpusInfo(
        tokenizer=TokenizerInfo(
            file=model.name, vocab_size=tokenizer.vocab_size, pieces_sha256=tokenizer.pieces_sha256
        ),
        shards=tuple(_measured(path, tokenizer, decode=decode, stage=stage) for path in shards),
        decoded=decode,
    )


def _measured(path: Path, tokenizer: Tokenizer, *, decode: bool, stage: Stage) -> ShardInfo:
    listener = stage(f"reading {path.name}")
    tokens, table = read_shard(path, vocab_size=tokenizer.vocab_size), bytes_table(tokenizer)
    if decode:
        totals = cross_check(table, tokenizer, tokens, where=path.name, progress=listener)
    else:
        totals = stream_totals(table, tokens, bos_id=tokenizer.bos_id)
    return ShardInfo(
        file=path.name,
        documents=totals.documents,
        tokens=totals.tokens,
        bytes=totals.bytes,
        sha256=file_sha256(path),
    )
