"""The pieces of a SentencePiece model, read from the file's own bytes.

A `.model` file is a protobuf message whose field 1 repeats the pieces: {1: piece, 2: score (float32), 3: type}. The
Python package tells neither a user-defined piece from a normal one nor the score's bits, and both belong to a
tokenizer's identity, so the few wire rules needed are applied here (protobuf encoding guide: varint, 64-bit,
length-delimited, 32-bit; an absent field has its default; the last of a repeated scalar counts). Any bytes give a
list of pieces or a BadTokenizer.
"""

import hashlib
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum

from verifier.data_errors import BadTokenizer

PIECES_TAG = b"seedgolf/pieces/1\x00"
PIECE_FIELD = 1


class PieceType(IntEnum):
    """What a piece is, with SentencePiece's own numbers."""

    NORMAL = 1
    UNKNOWN = 2
    CONTROL = 3
    USER_DEFINED = 4
    UNUSED = 5
    BYTE = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """One entry of the vocabulary; `score_bits` is the score's float32 as an unsigned integer."""

    text: str
    score_bits: int
    type: PieceType


def parse_pieces(model: bytes) -> tuple[Piece, ...]:
    """The pieces of a serialized SentencePiece model in the order of their ids.

    Raises:
        BadTokenizer: the bytes are no such message, or it has no pieces.
    """
    pieces = tuple(_piece(value) for field, value in _fields(model) if field == PIECE_FIELD)
    if not pieces:
        raise BadTokenizer("tokenizer", expected="a SentencePiece model", got="no pieces")
    return pieces


def pieces_sha256(pieces: Sequence[Piece]) -> str:
    """The digest a tokenizer is known by: SHA-256 over its (piece, score, type) list, in hex.

    Hashed bytes: the tag `seedgolf/pieces/1` and a zero byte; then for each piece in the order of ids: u32le byte
    length of the UTF-8 piece, the UTF-8 piece, the score's float32 bits as u32le, the type as one byte. The bytes of
    the `.model` file itself differ between SentencePiece versions and therefore identify nothing.
    """
    digest = hashlib.sha256(PIECES_TAG)
    for piece in pieces:
        text = piece.text.encode()
        digest.update(struct.pack("<I", len(text)) + text + struct.pack("<IB", piece.score_bits, piece.type))
    return digest.hexdigest()


def _piece(value: int | bytes) -> Piece:
    """One SentencePiece message; absent fields have the schema's defaults ("", 0.0, NORMAL)."""
    fields: dict[int, int | bytes] = {1: b"", 2: bytes(4), 3: int(PieceType.NORMAL)}
    fields.update(_fields(value))
    text, score, kind = fields[1], fields[2], fields[3]
    if not isinstance(text, bytes) or not isinstance(score, bytes) or len(score) != 4 or not isinstance(kind, int):
        raise _broken("a piece with a text, a float32 score and a type")
    try:
        return Piece(text=text.decode(), score_bits=int.from_bytes(score, "little"), type=PieceType(kind))
    except ValueError:  # text that is not UTF-8, or a type outside the enum
        raise _broken("a piece with UTF-8 text and a known type") from None


def _fields(message: int | bytes) -> Iterator[tuple[int, int | bytes]]:
    """The (field number, value) pairs of a message: varints as int, every other wire type as its bytes."""
    if not isinstance(message, bytes):
        raise _broken("a message")
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        field, wire_type = key >> 3, key & 7
        if wire_type == 0:
            value, at = _varint(message, at)
            yield field, value
            continue
        if wire_type == 2:
            length, at = _varint(message, at)
        elif wire_type in {1, 5}:
            length = 8 if wire_type == 1 else 4
        else:
            raise _broken("a wire type of 0, 1, 2 or 5")
        if at + length > len(message):
            raise _broken("a field that ends inside its message")
        yield field, message[at : at + length]
        at += length


def _varint(message: bytes, at: int) -> tuple[int, int]:
    """The base-128 integer at offset `at` and the offset behind it."""
    for position in range(at, min(at + 10, len(message))):
        if message[position] < 0x80:
            digits = message[at : position + 1]
            return sum((byte & 0x7F) << (7 * i) for i, byte in enumerate(digits)), position + 1
    raise _broken("a varint of at most 10 bytes")


def _broken(expected: str) -> BadTokenizer:
    return BadTokenizer("tokenizer", expected=f"a SentencePiece model: {expected}", got="other bytes")
