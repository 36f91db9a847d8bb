"""Bytes per token: the denominator of bits per byte, by the challenge's rule, checked against the text itself.

bytes(target) = the piece's UTF-8 bytes without a leading U+2581 (a byte-fallback piece 1; control, unknown and unused
0) + 1 when the piece starts with U+2581 and the previous token is not control, unknown or unused (verification.md
V-22). The rule is a formula about pieces; `cross_check` proves on every document that it counts the bytes
of the text.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from verifier.data_errors import ByteCountMismatch
from verifier.progress import Progress, silent
from verifier.sentencepiece_model import Piece, PieceType
from verifier.shards import Tokens, document_starts, split_documents
from verifier.tokenizer import Tokenizer

SPACE = "\u2581"  # the visible stand-in for a space at the start of a piece
BOUNDARY_TYPES = frozenset({PieceType.CONTROL, PieceType.UNKNOWN, PieceType.UNUSED})
DOCUMENTS_PER_CALL = 256
PART_TOKENS = 1 << 22


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BytesTable:
    """What each of V tokens adds to the byte count; the arrays are read-only and have shape (V,).

    Attributes:
        piece_bytes: bytes of the piece without its leading space.
        has_leading_space: the piece starts with a space, worth one byte after anything but a boundary.
        is_boundary: control, unknown or unused: no bytes, and no space after it.
        pieces_sha256: the digest of the tokenizer this table was made of.
    """

    piece_bytes: NDArray[np.int64] = field(repr=False)
    has_leading_space: NDArray[np.bool_] = field(repr=False)
    is_boundary: NDArray[np.bool_] = field(repr=False)
    pieces_sha256: str

    @property
    def vocab_size(self) -> int:
        """The number of tokens V."""
        return len(self.piece_bytes)

    def target_bytes(self, prev: Tokens, target: Tokens) -> NDArray[np.int64]:
        """The bytes of each target that follows `prev`; shapes are equal and kept."""
        return self.piece_bytes[target] + (self.has_leading_space[target] & ~self.is_boundary[prev])


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamTotals:
    """What a stream of documents holds; `bytes` are the UTF-8 bytes of its text."""

    documents: int
    tokens: int
    bytes: int


def bytes_table(tokenizer: Tokenizer) -> BytesTable:
    """The table of `tokenizer`, which has byte fallback (`load_tokenizer` refuses the others)."""
    pieces = tokenizer.pieces
    columns = (
        np.array([_piece_bytes(piece) for piece in pieces], dtype=np.int64),
        np.array([_has_leading_space(piece) for piece in pieces], dtype=np.bool_),
        np.array([piece.type in BOUNDARY_TYPES for piece in pieces], dtype=np.bool_),
    )
    for column in columns:
        column.setflags(write=False)
    return BytesTable(
        piece_bytes=columns[0],
        has_leading_space=columns[1],
        is_boundary=columns[2],
        pieces_sha256=tokenizer.pieces_sha256,
    )


def cross_check(
    table: BytesTable, tokenizer: Tokenizer, tokens: Tokens, *, where: str = "stream", progress: Progress = silent
) -> StreamTotals:
    """Decode every document of a stream and compare its text's bytes with the table's count.

    A stream may be cut: byte pieces at the cut end of its first or last document can be parts of a character, decode to
    nothing comparable and are left out of the comparison (each counts its one byte in the totals).

    Args:
        table: the table to check.
        tokenizer: the tokenizer it was made of.
        tokens: the stream, documents opened by BOS.
        where: the name of the stream in an error.
        progress: told documents.

    Returns:
        The totals of the whole stream.

    Raises:
        ByteCountMismatch: naming the first document that disagrees.
    """
    documents = split_documents(tokens, bos_id=tokenizer.bos_id)
    compared = _without_cut_characters(documents, tokenizer)
    for start in range(0, len(compared), DOCUMENTS_PER_CALL):
        group = compared[start : start + DOCUMENTS_PER_CALL]
        for number, (document, text) in enumerate(zip(group, tokenizer.decode(group), strict=True), start):
            counted, decoded = stream_totals(table, document, bos_id=tokenizer.bos_id).bytes, len(text.encode())
            if counted != decoded:
                raise ByteCountMismatch(
                    f"{where}: document {number}", expected=f"{decoded} bytes of text", got=f"{counted} by the table"
                )
        progress(start + len(group), len(compared))
    return stream_totals(table, tokens, bos_id=tokenizer.bos_id)


def stream_totals(table: BytesTable, tokens: Tokens, *, bos_id: int) -> StreamTotals:
    """What a stream holds, by the table alone; its first token follows nothing, as if after a BOS."""
    total_bytes, prev = 0, np.array([bos_id], dtype=np.uint16)
    for start in range(0, len(tokens), PART_TOKENS):
        part = tokens[start : start + PART_TOKENS]
        total_bytes += int(table.target_bytes(np.concatenate([prev, part[:-1]]), part).sum())
        prev = part[-1:]
    documents = len(document_starts(tokens, bos_id=bos_id))
    return StreamTotals(documents=documents, tokens=len(tokens), bytes=total_bytes)


def _piece_bytes(piece: Piece) -> int:
    if piece.type in BOUNDARY_TYPES:
        return 0
    return 1 if piece.type is PieceType.BYTE else len(piece.text.removeprefix(SPACE).encode())


def _has_leading_space(piece: Piece) -> bool:
    return piece.type not in BOUNDARY_TYPES and piece.type is not PieceType.BYTE and piece.text.startswith(SPACE)


def _without_cut_characters(documents: Sequence[Tokens], tokenizer: Tokenizer) -> list[Tokens]:
    """The documents without the byte pieces at the start of a cut first one and at the end of the last."""
    is_byte = np.array([piece.type is PieceType.BYTE for piece in tokenizer.pieces], dtype=np.bool_)
    whole = list(documents)
    if whole[0][0] != tokenizer.bos_id:
        whole[0] = whole[0][_leading_run(is_byte[whole[0]]) :]
    whole[-1] = whole[-1][: len(whole[-1]) - _leading_run(is_byte[whole[-1]][::-1])]
    return whole


def _leading_run(flags: NDArray[np.bool_]) -> int:
    """How many flags are set before the first that is not."""
    return len(flags) if flags.all() else int(np.argmin(flags))
