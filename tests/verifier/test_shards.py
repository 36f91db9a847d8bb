from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from verifier.data_errors import (
    BadShardLength,
    BadShardMagic,
    DataError,
    TokenOutOfVocabulary,
    UnsupportedShardVersion,
)
from verifier.shards import (
    document_starts,
    file_sha256,
    read_shard,
    shard_sha256,
    split_documents,
    token_count,
    write_shard,
)

TOKENS = np.array([1, 500, 7, 1, 1023, 65535], dtype=np.uint16)
HEADER = bytes.fromhex("88d83401 01000000 06000000") + bytes(1024 - 12)
BODY = bytes.fromhex("0100 f401 0700 0100 ff03 ffff")


def word(value: int) -> bytes:
    return value.to_bytes(4, "little", signed=True)


def test_a_shard_is_the_challenges_header_and_uint16_tokens(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    write_shard(path, TOKENS)
    assert path.read_bytes() == HEADER + BODY
    assert file_sha256(path) == shard_sha256(TOKENS)
    assert list(tmp_path.iterdir()) == [path]


@given(tokens=arrays(np.uint16, st.integers(1, 60)))
def test_what_is_written_is_read(tmp_path_factory: pytest.TempPathFactory, tokens: np.ndarray) -> None:
    path = tmp_path_factory.getbasetemp() / "law.bin"
    write_shard(path, tokens)
    assert np.array_equal(read_shard(path, vocab_size=65536), tokens)
    assert token_count(path) == len(tokens)


FAULTS = [
    ("empty", b"", BadShardLength, "a header of 1024 bytes, got 0 bytes"),
    ("header cut", HEADER[:-1], BadShardLength, "a header of 1024 bytes, got 1023 bytes"),
    ("magic", word(20240521) + (HEADER + BODY)[4:], BadShardMagic, "expected the shard magic 20240520, got 20240521"),
    ("version", HEADER[:4] + word(2) + (HEADER + BODY)[8:], UnsupportedShardVersion, "expected version 1, got 2"),
    ("no token", HEADER[:8] + word(0) + HEADER[12:], BadShardLength, "a token count of at least 1, got 0"),
    ("negative", HEADER[:8] + word(-6) + HEADER[12:] + BODY, BadShardLength, "a token count of at least 1, got -6"),
    ("one byte missing", (HEADER + BODY)[:-1], BadShardLength, "1,036 bytes for 6 tokens, got 1,035 bytes"),
    ("one byte more", HEADER + BODY + b"\0", BadShardLength, "1,036 bytes for 6 tokens, got 1,037 bytes"),
    ("one token more", HEADER + BODY + b"\0\0", BadShardLength, "1,036 bytes for 6 tokens, got 1,038 bytes"),
]


@pytest.mark.parametrize(("name", "data", "fault", "words"), FAULTS, ids=[case[0] for case in FAULTS])
def test_a_faulty_shard_is_refused(tmp_path: Path, name: str, data: bytes, fault: type[DataError], words: str) -> None:
    path = tmp_path / "bad.bin"
    path.write_bytes(data)
    with pytest.raises(fault) as caught:
        read_shard(path, vocab_size=65536)
    assert words in str(caught.value)
    assert str(path) in caught.value.where


@pytest.mark.parametrize("offset", range(12))
def test_every_flipped_header_byte_is_refused(tmp_path: Path, offset: int) -> None:
    data = bytearray(HEADER + BODY)
    data[offset] ^= 0xFF
    path = tmp_path / "flipped.bin"
    path.write_bytes(data)
    with pytest.raises(DataError):
        read_shard(path, vocab_size=65536)


def test_a_token_outside_the_vocabulary_is_named_by_its_position(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    write_shard(path, TOKENS)
    with pytest.raises(
        TokenOutOfVocabulary, match=r"token 4: expected a value below the vocabulary size 1023, got 1023"
    ):
        read_shard(path, vocab_size=1023)
    assert token_count(path) == 6


def test_a_mapped_shard_cannot_be_written_through(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    write_shard(path, TOKENS)
    with pytest.raises(ValueError, match="read-only"):
        read_shard(path, vocab_size=65536)[0] = 3


@pytest.mark.parametrize("tokens", [np.array([], np.uint16), np.array([1], np.int64), np.ones((1, 1), np.uint16)])
def test_only_filled_uint16_vectors_are_written(tmp_path: Path, tokens: np.ndarray) -> None:
    with pytest.raises(ValueError, match="filled uint16 vector"):
        write_shard(tmp_path / "a.bin", tokens)
    assert not list(tmp_path.iterdir())


@given(tokens=arrays(np.uint16, st.integers(1, 60), elements=st.integers(0, 3)))
def test_documents_joined_are_the_stream_and_each_opens_with_bos(tokens: np.ndarray) -> None:
    documents = split_documents(tokens, bos_id=1)
    assert np.array_equal(np.concatenate(documents), tokens)
    assert all(document[0] == 1 for document in documents[1:])
    assert all(not np.any(document[1:] == 1) for document in documents)
    assert document_starts(tokens, bos_id=1)[0] == 0
