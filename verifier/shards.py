"""Shards: the challenge's files of tokens, read with suspicion and written whole.

A shard is 256 little-endian int32 words (magic 20240520, version 1, token count, the rest unread) followed by exactly
that many little-endian uint16 tokens. Reading maps the file into memory and checks everything once, before anyone
trains or scores on it; nothing here knows what a token means. Law: `read_shard(write_shard(path, tokens)) == tokens`.
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from verifier.atomic_file import write_atomically
from verifier.data_errors import BadShardLength, BadShardMagic, TokenOutOfVocabulary, UnsupportedShardVersion

MAGIC = 20240520
VERSION = 1
HEADER_WORDS = 256
HEADER_BYTES = 4 * HEADER_WORDS
TOKEN_BYTES = 2
TOKEN_VALUES = 1 << 16
SCAN_TOKENS = 1 << 24  # the vocabulary check reads 32 MiB of the map at a time

Tokens: TypeAlias = NDArray[np.uint16]


def read_shard(path: Path, *, vocab_size: int) -> Tokens:
    """Map the shard `path` into memory after checking its header, its length and every token.

    Returns:
        A read-only map of the tokens, one dimension.

    Raises:
        BadShardLength, BadShardMagic, UnsupportedShardVersion, TokenOutOfVocabulary: the file is no such shard.
        OSError: the file cannot be read.
    """
    num_tokens = token_count(path)
    tokens = np.memmap(path, dtype="<u2", mode="r", offset=HEADER_BYTES, shape=(num_tokens,))
    check_vocabulary(tokens, vocab_size=vocab_size, where=str(path))
    return tokens


def token_count(path: Path) -> int:
    """The number of tokens in the shard `path`: its header and its length are checked, its tokens are not read.

    Raises:
        BadShardLength, BadShardMagic, UnsupportedShardVersion: the file is no such shard.
        OSError: the file cannot be read.
    """
    size_bytes = path.stat().st_size
    if size_bytes < HEADER_BYTES:
        raise BadShardLength(str(path), expected=f"a header of {HEADER_BYTES} bytes", got=f"{size_bytes} bytes")
    header = np.fromfile(path, dtype="<i4", count=HEADER_WORDS)
    magic, version, num_tokens = (int(word) for word in header[:3])
    if magic != MAGIC:
        raise BadShardMagic(f"{path}: header word 0", expected=f"the shard magic {MAGIC}", got=str(magic))
    if version != VERSION:
        raise UnsupportedShardVersion(f"{path}: header word 1", expected=f"version {VERSION}", got=str(version))
    if num_tokens < 1:
        raise BadShardLength(f"{path}: header word 2", expected="a token count of at least 1", got=str(num_tokens))
    implied_bytes = HEADER_BYTES + TOKEN_BYTES * num_tokens
    if size_bytes != implied_bytes:
        raise BadShardLength(
            str(path), expected=f"{implied_bytes:,} bytes for {num_tokens:,} tokens", got=f"{size_bytes:,} bytes"
        )
    return num_tokens


def check_vocabulary(tokens: Tokens, *, vocab_size: int, where: str) -> None:
    """Refuse a token at or above `vocab_size`, naming the first.

    Raises:
        TokenOutOfVocabulary: with the position of the first such token.
    """
    for start in range(0, len(tokens), SCAN_TOKENS):
        part = tokens[start : start + SCAN_TOKENS]
        if int(part.max()) >= vocab_size:
            first = int(np.argmax(part >= vocab_size))
            raise TokenOutOfVocabulary(
                f"{where}: token {start + first:,}",
                expected=f"a value below the vocabulary size {vocab_size}",
                got=str(int(part[first])),
                next_step="use the tokenizer these shards were made with",
            )


def write_shard(path: Path, tokens: Tokens) -> None:
    """Write `tokens` as the shard `path`: whole or not at all, whatever happens on the way.

    Raises:
        ValueError: `tokens` is empty, not one-dimensional or not uint16 (the caller's mistake).
        OSError: the file cannot be written.
    """
    if tokens.dtype != np.uint16 or tokens.ndim != 1 or tokens.size == 0:
        raise ValueError(f"tokens: expected a filled uint16 vector, got {tokens.dtype} of shape {tokens.shape}")
    write_atomically(path, *_shard_parts(tokens))


def shard_sha256(tokens: Tokens) -> str:
    """The SHA-256, in hex, of the shard file that `tokens` would make."""
    digest = hashlib.sha256()
    for part in _shard_parts(tokens):
        digest.update(part)
    return digest.hexdigest()


def file_sha256(path: Path) -> str:
    """The SHA-256 of a file's bytes in hex: what a shard is known by."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def document_starts(tokens: Tokens, *, bos_id: int) -> NDArray[np.int64]:
    """Where each document begins: at every BOS, and at 0 when the stream opens in the middle of a document."""
    starts = np.flatnonzero(tokens == bos_id).astype(np.int64)
    return starts if len(starts) and starts[0] == 0 else np.concatenate([np.zeros(1, dtype=np.int64), starts])


def split_documents(tokens: Tokens, *, bos_id: int) -> list[Tokens]:
    """The documents of a stream as views, each with the BOS that opens it; joined they are the stream."""
    return np.split(tokens, document_starts(tokens, bos_id=bos_id)[1:])


def _shard_parts(tokens: Tokens) -> tuple[bytes, memoryview]:
    header = np.zeros(HEADER_WORDS, dtype="<i4")
    header[:3] = MAGIC, VERSION, tokens.size
    return header.tobytes(), np.ascontiguousarray(tokens, dtype="<u2").data


def read_stream(paths: Sequence[Path], *, vocab_size: int) -> Tokens:
    """Shards one after the other as one stream; a single shard stays a memory map.

    Raises:
        DataError: a file is no shard, or holds a token outside the vocabulary.
        OSError: a file cannot be read.
    """
    shards = [read_shard(path, vocab_size=vocab_size) for path in paths]
    return shards[0] if len(shards) == 1 else np.concatenate(shards)
