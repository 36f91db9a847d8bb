"""A tokenizer as the verifier sees it: its pieces, their digest, and text to tokens and back.

Only SentencePiece models with byte fallback are taken: without byte pieces an unknown character becomes the unknown
piece, its bytes vanish, and a byte table undercounts the text (by 0.2-1 % on the challenge's 4096-piece model).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from sentencepiece import SentencePieceProcessor

from verifier.data_errors import BadTokenizer, NoByteFallback
from verifier.sentencepiece_model import Piece, PieceType, parse_pieces, pieces_sha256
from verifier.shards import TOKEN_VALUES, Tokens

BYTE_VALUES = 256


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Tokenizer:
    """A loaded tokenizer; two are the same when their `pieces_sha256` are."""

    pieces: tuple[Piece, ...] = field(repr=False)
    pieces_sha256: str
    bos_id: int
    processor: SentencePieceProcessor = field(repr=False)

    @property
    def vocab_size(self) -> int:
        """The number of pieces V."""
        return len(self.pieces)

    def encode(self, texts: Sequence[str]) -> list[Tokens]:
        """The tokens of each text, BOS first."""
        return [np.array([self.bos_id, *ids], dtype=np.uint16) for ids in self.processor.encode(list(texts))]

    def decode(self, documents: Sequence[Tokens]) -> list[str]:
        """The text of each document; BOS and other control pieces have none."""
        texts: list[str] = self.processor.decode([document.tolist() for document in documents])
        return texts


def load_tokenizer(path: Path) -> Tokenizer:
    """Load the SentencePiece model in the file `path`.

    Raises:
        BadTokenizer, NoByteFallback: it is no model that shards can be made with.
        OSError: the file cannot be read.
    """
    return parse_tokenizer(path.read_bytes(), where=str(path))


def parse_tokenizer(model: bytes, *, where: str = "tokenizer") -> Tokenizer:
    """Make a tokenizer of a serialized SentencePiece model; `where` names it in errors.

    Raises:
        BadTokenizer: no SentencePiece model, no BOS piece, or more pieces than uint16 tokens can name.
        NoByteFallback: not every byte has a piece.
    """
    try:
        pieces = parse_pieces(model)
    except BadTokenizer as error:  # which knows the bytes, not where they came from
        raise BadTokenizer(where, expected=error.expected, got=error.got) from None
    num_byte_pieces = sum(piece.type is PieceType.BYTE for piece in pieces)
    if num_byte_pieces != BYTE_VALUES:
        raise NoByteFallback(
            where,
            expected=f"a tokenizer with byte fallback ({BYTE_VALUES} byte pieces)",
            got=f"{num_byte_pieces} byte pieces",
            next_step="without them unknown characters lose their bytes and bits per byte would be wrong",
        )
    if len(pieces) > TOKEN_VALUES:
        raise BadTokenizer(where, expected=f"at most {TOKEN_VALUES} pieces", got=str(len(pieces)))
    processor = SentencePieceProcessor()
    try:
        processor.LoadFromSerializedProto(model)
    except RuntimeError:  # the library's own verdict on a message whose pieces we could read
        raise BadTokenizer(where, expected="a SentencePiece model", got="one that the library refuses") from None
    bos_id = processor.bos_id()
    if bos_id < 0:
        raise BadTokenizer(where, expected="a BOS piece that opens documents", got="none")
    return Tokenizer(pieces=pieces, pieces_sha256=pieces_sha256(pieces), bos_id=bos_id, processor=processor)
